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
    # the present input is known without a memory: what is left is half of the state before
    floor = np.square(y[..., 0] - u @ [1.0, -1.0]).mean()
    assert (
        history.learned == 1
        and history.floor == pytest.approx(floor, rel=0.05)
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
    # nothing is known of an answer but of the first, which is 0
    assert history.floor == pytest.approx(7 / 8 * np.log(3), rel=0.03)
    assert Samples(symbols, delayed).chance == pytest.approx(1 / 8 + 7 / 8 / 3, abs=0.04)
    bits = Samples(
        symbols[..., None], (delayed[..., None] == 0).astype(float), "binary_cross_entropy"
    )
    entropy = np.log(3) - 2 / 3 * np.log(2)  # of a third of ones
    assert bits.floor == pytest.approx(7 / 8 * entropy, rel=0.05)
    assert bits.chance == pytest.approx(1 / 8 + 7 / 8 * 2 / 3, abs=0.04)


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


def stateless(rng, inputs=1, outputs=1):
    """A readout of the present input."""
    return models.Network(
        (models.Dense(np.eye(inputs), np.zeros(inputs)),),
        0.1 * rng.standard_normal((outputs, inputs)),
    )


def series(name, rng):
    """Inputs and targets that the present input tells all there is to know of, or a part."""
    walk = np.cumsum(rng.standard_normal((300, 51, 1)), axis=1)
    u = rng.standard_normal((300, 20, 1))
    return {
        "random walk": (walk[:, :-1], walk[:, 1:]),
        "echo": (u, u),
        "echo with noise": (u, u + 0.1 * rng.standard_normal(u.shape)),
    }[name]


@pytest.mark.parametrize("name", ["random walk", "echo", "echo with noise"])
def test_what_the_present_input_tells_is_not_learned(name):
    """The best constant is far above; a readout without states comes down to the floor, no lower,
    and a network with states no further."""
    rng = np.random.default_rng(0)
    inputs, targets = series(name, rng)
    for model in (stateless(rng), models.get("gru", units=8, inputs=1, outputs=1)):
        _, history = fit(
            model, (inputs, targets), steps=60, learning_rate=0.1, batch=32, validation_size=32
        )
        assert history.learned == 0 and history.floor < 0.1 * targets.var()
        assert history.floor_meaning.startswith("squared error without a memory, by a linear")


def test_what_needs_a_memory_is_learned_above_the_present_input():
    """y_t = 10 u_t + u_(t-1): the present input alone explains 99 % and leaves 1."""
    u = np.random.default_rng(0).standard_normal((300, 20, 1))
    y = 10 * u
    y[:, 1:] += u[:, :-1]
    model = models.get("linear", units=4, inputs=1, outputs=1, rng=0)
    _, history = fit(model, (u, y), steps=300, learning_rate=6e-2, batch=32, validation_size=32)
    assert history.floor == pytest.approx(19 / 20, rel=0.1) and history.learned == 1
