"""Theory of one attention: the labels and the meaning of the drive are those of the analysis."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.errors import ShapeError
from dynmem.models import Attention


def test_dilution_of_an_attention_is_measured_without_scores():
    layer = Attention.random(4, 4, heads=2, window=5, sharpness=0.0)
    measured = dm.analysis.attention_dilution(layer, steps=8)
    predicted = theory.attention_dilution(layer, steps=8)
    for name in predicted.data_vars:
        np.testing.assert_allclose(predicted[name], measured[name], rtol=1e-12, atol=1e-14)
        assert predicted[name].dims == measured[name].dims
        assert predicted[name].attrs == measured[name].attrs
    assert all(predicted[c].identical(measured[c]) for c in ("step", "head"))


def test_a_drive_is_drawn_as_it_is_measured():
    layer = Attention.random(4, 4, window=9)
    measured = dm.analysis.attention_paths(layer, lags=6, rng=3)
    predicted = theory.attention_paths(layer, lags=6, rng=3)
    for name in measured.data_vars:
        np.testing.assert_allclose(predicted[name], measured[name], atol=1e-12)
        assert predicted[name].attrs == measured[name].attrs
    drawn = theory.attention_paths(
        layer, drive=lambda rng, steps: rng.standard_normal((steps, 4)), lags=6, rng=3
    )
    assert drawn.total_gradient.equals(predicted.total_gradient)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.attention_dilution([3], steps=2), ValueError, "steps = 2"),
        (
            lambda: theory.attention_paths(Attention.random(2, 2, window=3), lags=3),
            ShapeError,
            "window of 3",
        ),
        (lambda: theory.path_length(dm.models.LRU.random(2, 2), lags=3), ValueError, "of LRU"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
