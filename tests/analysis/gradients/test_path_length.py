"""Steps between an input and an output, read from the model."""

import dynmem as dm
from dynmem import theory
from dynmem.models import Attention


def test_path_lengths_are_read_from_the_model():
    layer = Attention.random(2, 2, window=6)
    lags = [0, 1, 5, 6]
    for model in (layer, dm.models.Tanh.random(3, 2), dm.models.LSTM.random(3, 2)):
        found = theory.path_length(model, lags=lags)
        measured = dm.analysis.path_length(model, lags=lags)
        assert found.path_length.identical(measured.path_length)
