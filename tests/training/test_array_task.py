"""A user's own arrays as a task: floors, disjoint sets, and what does not fit."""

import numpy as np
import pytest

from dynmem import models
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.training import Samples, Trainable, fit


def test_values_of_a_users_own():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((100, 12, 2))
    truth = Trainable(
        models.Network(
            (models.Linear(np.array([[0.5]]), np.array([[1.0, -1.0]])),), np.ones((1, 1))
        ),
        "float64",
    )
    y = truth(u).detach().numpy()
    model = models.get("linear", units=1, inputs=2, outputs=1, rng=1, gain=0.1)
    trained, history = fit(model, (u, y), steps=400, learning_rate=2e-2, rng=1)
    assert (
        history.learned == 1
        and history.floor == pytest.approx(y.var())
        and "accuracy" not in history
    )
    assert trained.layers[0].W.item() == pytest.approx(0.5, abs=0.02)


def test_symbols_of_a_users_own():
    symbols = np.random.default_rng(0).integers(3, size=(60, 8))
    delayed = np.roll(symbols, 1, axis=1)
    delayed[:, 0] = 0
    model = models.get("gru", units=12, inputs=3, outputs=3, rng=0)
    _, history = fit(model, (symbols, delayed), steps=200, learning_rate=2e-2)
    assert history.learned == 1 and float(history.validation_accuracy[-1]) > 0.95
    share = np.bincount(delayed.ravel()) / delayed.size
    assert (
        history.floor == pytest.approx(-(share * np.log(share)).sum())
        and Samples(symbols, delayed).chance == share.max()
    )
    bits = Samples(
        symbols[..., None], (delayed[..., None] == 0).astype(float), "binary_cross_entropy"
    )
    assert bits.floor == pytest.approx(
        -share[0] * np.log(share[0]) - (1 - share[0]) * np.log(1 - share[0])
    )
    assert bits.chance == pytest.approx(max(share[0], 1 - share[0]))


def test_parts_of_a_users_arrays_are_disjoint():
    x = np.arange(50.0).reshape(50, 1, 1)
    parts = Samples(x, x).split(0)
    assert sorted(np.concatenate([part.targets.ravel() for part in parts])) == list(range(50))
    # to train on, to choose the weights by, to judge them
    assert [len(part.targets) for part in parts] == [40, 5, 5]
    with pytest.raises(ShapeError, match="cut them into windows"):
        fit(models.get("gru", units=3, inputs=1, outputs=1), (x[:2], x[:2]), steps=1)


X = np.zeros((4, 5, 2))


@pytest.mark.parametrize(
    ("arrays", "loss", "message"),
    [
        ((X, X[:3]), None, "inputs .* and targets .* do not fit"),
        ((X, X[:, :4]), None, "do not fit"),
        ((X[:0], X[:0]), None, "do not fit"),
        ((X[..., 0], X), None, "inputs have shape"),
        ((X, X[..., 0]), None, "mean_squared_error needs numbers"),
        ((X, X), "cross_entropy", "cross_entropy needs whole numbers"),
        ((X, np.full((4, 5), 2)), None, "class 2 occurs among the targets"),
        ((X, X + 0.5), "binary_cross_entropy", "must be 0 or 1"),
        ((X, X), "hinge", "loss = 'hinge': must be one of"),
        ((X * np.nan, X), None, "inputs must be finite"),
    ],
)
def test_arrays_that_cannot_be_trained_on(arrays, loss, message):
    with pytest.raises((ValueError, NotFiniteError), match=message):
        fit(models.get("gru", units=3, inputs=2, outputs=2), arrays, steps=1, loss=loss)
