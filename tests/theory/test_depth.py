"""Theory of depth: a model is read as its numbers, and what cannot be predicted is refused."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.models import get

NAMES = ("stream_variance", "layer_gradients", "depth_spectrum")


def stack(placement, inputs=32, **options):
    return get(
        "attention",
        units=32,
        inputs=inputs,
        layers=3,
        placement=placement,
        **{"feedforward": 48, "sharpness": 0.0} | options,
    )


@pytest.mark.parametrize("placement", ["pre", "post", "deepnorm", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_read_as_its_numbers(name, placement):
    """The encoder keeps the variance of white noise up to its own scatter: that is divided out."""
    model = stack(placement)
    entry = np.sqrt(np.mean((model.layers[0].V ** 2).sum(axis=1)))
    found = getattr(theory, name)(model, drive=1.0 / entry)
    expected = getattr(theory, name)(3, placement=placement, width=32, hidden=48)
    for variable in expected.data_vars:
        np.testing.assert_allclose(found[variable], expected[variable], rtol=1e-9, atol=1e-12)


def test_the_drive_is_the_size_of_the_stream_that_enters():
    found = theory.stream_variance(stack("pre"), drive=3.0, steps=2).variance
    entered = theory.stream_variance(stack("pre"), drive=np.full((2, 32), 3.0), steps=2).variance
    np.testing.assert_allclose(found, entered, rtol=1e-12)
    block = stack("none").layers[1]
    assert theory.stream_variance(block, drive=2.0).variance[0] == 4.0


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.depth_spectrum(stack("pre"), width=3), TypeError, "leave them out"),
        (lambda: theory.depth_spectrum(stack("pre", feedforward=0)), TypeError, "feed-forward"),
        (lambda: theory.depth_spectrum(stack("pre", activation="gelu")), TypeError, "gelu"),
        (lambda: theory.depth_spectrum(stack("pre"), drive=None), ValueError, "rms of drive = 0"),
        (
            lambda: theory.depth_spectrum(get("gru", units=3, inputs=3)),
            TypeError,
            "no stack of residual blocks",
        ),
        (
            lambda: theory.layer_gradients(
                get("gru", units=3, inputs=3, placement="pre", feedforward=3)
            ),
            TypeError,
            "a block of GRU",
        ),
        (lambda: theory.stream_variance(3.5), ValueError, "number of blocks = 3.5"),
        (lambda: theory.stream_variance(3, layers=2), TypeError, "takes no argument 'layers'"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_one_table_of_labels():
    """Dims, units and coordinates of the twins are the same."""
    model = stack("pre")
    options = {"depth_spectrum": {"exponents": 4}}
    for name in NAMES:
        predicted = getattr(theory, name)(model, **options.get(name, {}))
        measured = getattr(dm.analysis, name)(model, **options.get(name, {}))
        for variable in predicted.data_vars:
            assert predicted[variable].dims == measured[variable].dims
            assert predicted[variable].attrs == measured[variable].attrs
            assert predicted[variable].coords.equals(measured[variable].coords)


@pytest.mark.parametrize("placement", ["pre", "post", "deepnorm", "none"])
@pytest.mark.parametrize("name", ["stream_variance", "layer_gradients", "depth_spectrum"])
def test_measured_networks_agree(name, placement):
    net = get(
        "attention",
        units=64,
        inputs=64,
        layers=3,
        placement=placement,
        feedforward=64,
        sharpness=0.0,
        rng=0,
    )
    measured = getattr(dm.analysis, name)(
        net, **({"exponents": 40} if name == "depth_spectrum" else {"steps": 1}), samples=8
    )
    predicted = getattr(theory, name)(
        net, **({"exponents": 40} if name == "depth_spectrum" else {"steps": 1})
    )
    for variable in predicted.data_vars:
        assert (
            measured[variable].dims == predicted[variable].dims
            and measured[variable].attrs["units"] == predicted[variable].attrs["units"]
        )
        if variable not in ("lyapunov_error", "growth"):
            assert float(measured[variable].mean()) == pytest.approx(
                float(predicted[variable].mean()), rel=0.3, abs=0.03
            )
    assert {
        name: measured[name].equals(predicted[name]) for name in predicted.coords
    } == dict.fromkeys(predicted.coords, True)
