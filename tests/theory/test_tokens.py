"""Token paths from the lengths of tokens, as the analysis takes them."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory


def test_lengths_are_read_as_the_analysis_reads_them():
    """Tokens of one length leave no spread: prediction and measurement are equal."""
    lengths = {256: np.ones(500, int), 512: [np.full(250, 2), np.full(300, 2)]}
    measured = dm.analysis.token_paths(lengths, window=50)
    predicted = theory.token_paths(lengths, window=50)
    for name in measured.data_vars:
        np.testing.assert_allclose(predicted[name], measured[name], rtol=1e-12)
        assert predicted[name].attrs == measured[name].attrs
    assert predicted.vocabulary.identical(measured.vocabulary)


def test_names_are_given_once():
    with pytest.raises(ValueError, match="leave it out"):
        theory.token_paths({1: np.ones(5)}, vocabulary=[1])
