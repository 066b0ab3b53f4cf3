"""Small models and an easy task that the tests of training share."""

import numpy as np

import dynmem as dm
from dynmem import models, tasks
from dynmem.training.trainable import leaves, rebuilt

CELLS = ["linear", "tanh", "relu", "orthogonal", "lstm", "gru"]

EASY = tasks.Copy(delay=1, symbols=2, length=1)

EASY_FIT = {"steps": 150, "learning_rate": 1e-2}


class Pair(dm.Map):
    """A user's own map: two coupled numbers, with a matrix, a list of vectors, a mask of whole
    numbers and a plain number."""

    K: np.ndarray
    shifts: tuple
    mask: np.ndarray
    damping: float = 0.1
    label: str = "mine"
    states = ("a", "b")
    inputs = 1

    def rule(self, x, u):
        return (1 - self.damping) * dm.tanh(
            x @ self.K.T + self.shifts[0] + self.shifts[1] * self.mask + u
        )


def pair():
    return Pair(
        np.array([[0.5, 0.2], [-0.3, 0.4]]),
        (np.array([0.1, 0.0]), np.array([1.0, 2.0])),
        np.array([1, 0]),
    )


def small(name, layers=1, outputs=None, inputs=4, **options):
    """A small random model with every bias at work."""
    model = models.get(
        name, units=5, inputs=inputs, layers=layers, outputs=outputs, rng=1, bias_sd=0.5, **options
    )
    rng = np.random.default_rng(2)
    return rebuilt(
        model,
        {path: rng.standard_normal(5) for path, _ in leaves(model) if path.split(".")[-1] == "c"},
    )


def copy_model(name="gru", task=EASY, units=8, **options):
    return models.get(name, units=units, inputs=task.inputs, outputs=task.outputs, rng=0, **options)


def same(a, b):
    """Whether two systems have the same class and the same bits."""
    first, second = dict(leaves(a)), dict(leaves(b))
    return (
        type(a) is type(b)
        and first.keys() == second.keys()
        and all(np.array_equal(first[k], second[k]) for k in first)
    )
