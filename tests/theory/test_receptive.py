"""Receptive fields of a model: read from its blocks, and equal to those of its numbers."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.models import Convolution, ConvolutionBlock, Network, get


@pytest.mark.parametrize(("init", "power"), [("he", 1.0), ("uniform", 1 / 36)])
def test_a_model_is_read_as_its_numbers(init, power):
    model = get("tcn", units=64, inputs=64, layers=3, kernel=3, init=init, outputs=2)
    found = theory.receptive_field(model)
    expected = theory.receptive_field(3, 3, convolutions=2, path_power=power)
    assert found.receptive_field == expected.receptive_field == 29
    np.testing.assert_array_equal(found.reached, expected.reached)
    np.testing.assert_allclose(found.share, expected.share, rtol=0.1)  # weights scatter
    measured = dm.analysis.receptive_field(model, samples=1)
    assert measured.receptive_field == found.receptive_field
    assert all(measured[name].attrs == found[name].attrs for name in found.data_vars)


def test_convolutions_without_skip_connections():
    layers = tuple(Convolution.random(4, 4, rng=i, kernel=2, dilation=2**i) for i in range(4))
    found = theory.receptive_field(Network(layers))
    np.testing.assert_allclose(found.share, 1 / 16, rtol=1e-12)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.receptive_field(get("gru", units=2, inputs=1)), ValueError, "got GRU"),
        (lambda: theory.receptive_field(3), TypeError, "needs layers"),
        (
            lambda: theory.receptive_field(ConvolutionBlock.random(2, 2), 3),
            TypeError,
            "leave them out",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
