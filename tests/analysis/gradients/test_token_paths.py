"""Paths in tokens against theory."""

import numpy as np

import dynmem as dm
from dynmem.datasets import token_distances


def test_paths_of_even_tokens_are_the_theory():
    lengths = {
        256: np.ones(400, int),
        1024: np.full(200, 2),
        4096: [np.full(100, 4), np.full(50, 4)],
    }
    options = {"characters": 40, "spectral_radius": 0.8, "window": 20}
    measured = dm.analysis.token_paths(lengths, **options)
    predicted = dm.theory.token_paths(
        measured.characters_per_token, vocabulary=list(lengths), **options
    )
    assert set(measured.variables) == set(predicted.variables) and measured.sizes == predicted.sizes
    for name in measured.data_vars:
        np.testing.assert_allclose(measured[name], predicted[name], rtol=1e-12)
        assert measured[name].attrs == predicted[name].attrs


def test_paths_through_real_text():
    """The theory holds to 2 % for path and window; the gradient lies above it (Jensen), the more
    the longer the tokens."""
    lengths = token_distances.token_lengths(vocabularies=(256, 512, 2048))
    measured = dm.analysis.token_paths(lengths)
    predicted = dm.theory.token_paths(measured.characters_per_token, vocabulary=list(lengths))
    np.testing.assert_allclose(measured.path_length, predicted.path_length, rtol=0.02)
    np.testing.assert_allclose(measured.window_covered, predicted.window_covered, rtol=0.02)
    excess = (measured.log_gradient - predicted.log_gradient).values
    assert abs(excess[0]) < 0.02 and 0.2 < excess[1] < 1.0 and 0.2 < excess[2] < 1.0
