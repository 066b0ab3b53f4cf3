"""Gated networks in closed form, against the models' own Jacobians."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import models, theory
from dynmem.errors import ShapeError


def sigma(x):
    return 1 / (1 + np.exp(-x))


def test_time_scales():
    np.testing.assert_allclose(
        theory.gate_time_scale([0.9, 0.99]).time_scale, [9.4912215811, 99.4991624791], rtol=1e-9
    )
    chrono = theory.chrono_bias([1.5, 2.0, 30.0, 1e6])
    np.testing.assert_allclose(1 / (1 - sigma(chrono.bias)), chrono.time, rtol=1e-9)
    np.testing.assert_allclose(chrono.forget, sigma(chrono.bias), rtol=1e-14)
    assert chrono.time_scale.values[2] == pytest.approx(29.5, abs=0.01)


@pytest.mark.parametrize("bias, value", [(0.0, -0.6931472), (1.0, -0.3132617), (5.0, -0.0067153)])
def test_zero_weight_spectra(bias, value):
    found = theory.zero_weight_lstm_spectrum(4, bias)
    np.testing.assert_allclose(found.lyapunov, [value] * 4 + [-np.inf] * 4, atol=5e-8)
    np.testing.assert_allclose(
        theory.zero_weight_gru_spectrum(4, bias).lyapunov, [value] * 4, atol=5e-8
    )
    assert theory.zero_weight_lstm_spectrum(2, [-800.0, 800.0]).lyapunov.values[:2].tolist() == [
        0.0,
        -800.0,
    ]
    assert found.time_scale.item() == pytest.approx(
        theory.gate_time_scale(sigma(bias)).time_scale.item()
    )


@pytest.mark.parametrize("name, keep", [("lstm", "forget_bias"), ("gru", "update_bias")])
def test_origin_spectrum_is_that_of_the_models_jacobian(name, keep):
    model = models.get(name, units=7, inputs=1, rng=2, gain=1.4, **{keep: 0.7})
    state = np.zeros(model.size)
    values = np.sort(np.abs(np.linalg.eigvals(dm.jacobian(model, state))))[::-1]
    block = model.W[14:21]
    found = getattr(theory, f"{name}_origin_spectrum")(block, **{keep: 0.7})
    np.testing.assert_allclose(np.exp(found.lyapunov), values, atol=1e-7)


def test_origin_edge_and_critical_gain():
    weights = np.random.default_rng(0).standard_normal((500, 500)) / np.sqrt(500)
    for edge, whole, options in (
        (
            theory.lstm_origin,
            theory.lstm_origin_spectrum,
            {"forget_bias": 1.0, "input_bias": -0.5, "output_bias": 0.3},
        ),
        (theory.gru_origin, theory.gru_origin_spectrum, {"update_bias": 1.0, "reset_bias": 0.4}),
    ):
        assert whole(1.2 * weights, **options).lyapunov.values[0] == pytest.approx(
            edge(1.2, **options).lyapunov.item(), abs=0.02
        )
        critical = edge(1.0, **options).critical_gain.item()
        assert edge(critical, **options).lyapunov.item() == pytest.approx(0.0, abs=1e-14)
    assert theory.gru_origin(1.0, update_bias=3.0).critical_gain.item() == pytest.approx(2.0)


def test_twins_share_names_dims_and_units():
    """A prediction is subtracted from a measurement by labels alone."""
    model = models.get("lstm", units=5, rng=0, gain=0.5, forget_bias=1.0)
    measured = dm.lyapunov_spectrum(model, duration=2000, transient=500, rng=0)
    predicted = theory.lstm_origin_spectrum(model.W[10:15], forget_bias=1.0)
    for name in ("lyapunov", "lyapunov_error", "kaplan_yorke_dimension", "entropy_rate"):
        assert (
            predicted[name].dims == measured[name].dims
            and predicted[name].attrs["units"] == measured[name].attrs["units"]
        )
    assert abs(predicted.lyapunov - measured.lyapunov)[:5].max() < 5e-3


def test_shut_gates_have_no_critical_gain():
    assert (
        theory.lstm_origin(1.0, input_bias=-1e3).critical_gain
        == np.inf
        == theory.gru_origin(1.0, reset_bias=-1e3).critical_gain
    )


@pytest.mark.parametrize(
    "call, error, advice",
    [
        (lambda: theory.gate_time_scale(1.0), ValueError, r"forget = \[1.0\]"),
        (lambda: theory.chrono_bias(1.0), ValueError, r"time = \[1.0\]"),
        (lambda: theory.chrono_bias("a"), TypeError, "time must hold real numbers"),
        (lambda: theory.gate_time_scale(None), TypeError, "forget must hold real numbers"),
        (lambda: theory.zero_weight_gru_spectrum(3, "a"), TypeError, "update_bias must hold"),
        (lambda: theory.lstm_origin(np.eye(2)), ValueError, "gain = array"),
        (lambda: theory.gru_origin(1.0, reset_bias=None), ValueError, "reset_bias = None"),
        (
            lambda: theory.zero_weight_lstm_spectrum(3, [0.0, 1.0]),
            ShapeError,
            r"expected a number or \(3,\)",
        ),
        (lambda: theory.lstm_origin(-1.0), ValueError, "gain = -1.0"),
        (lambda: theory.lstm_origin(1.0, forget_bias=np.nan), ValueError, "forget_bias = nan"),
        (lambda: theory.gru_origin_spectrum(np.ones((2, 3))), ShapeError, "square"),
    ],
)
def test_errors_say_what_to_do(call, error, advice):
    with pytest.raises(error, match=advice):
        call()
