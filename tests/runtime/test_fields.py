"""Fields of a class: lists become arrays, and what fits nothing is refused by its name."""

from __future__ import annotations

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import ShapeError


class Net(dm.Map):
    W: np.ndarray
    b: np.ndarray = [0.0, 0.0, 0.0]
    gain: float = 1.0
    steps: int = 1
    states = 3

    def rule(self, x, u):
        return dm.tanh(self.gain * x @ self.W.T + self.b)


class Loose(dm.Map):  # nothing annotated as an array: a list of numbers is one all the same
    weights: object = None
    names: tuple = ()
    states = ("x",)

    def rule(self, x, u):
        return 0.5 * x


W = 0.3 * np.arange(9.0).reshape(3, 3)


def test_lists_are_arrays():
    made, listed = Net(W), Net(W.tolist(), [1, 2, 3])
    assert isinstance(listed.W, np.ndarray) and listed.b.dtype == float
    np.testing.assert_array_equal(made.W, listed.W)
    np.testing.assert_array_equal(
        dm.orbit(Net(W.tolist()), [0.1, 0.2, 0.3], duration=5).x,
        dm.orbit(made, [0.1, 0.2, 0.3], duration=5).x,
    )
    assert made.b is not Net(W).b  # the default is no shared array
    loose = Loose([1, 2], names=("a", "b"))
    assert loose.weights.tolist() == [1.0, 2.0] and loose.names == ("a", "b")
    assert Loose(["a"]).weights == ["a"] and Loose(notes := []).weights is notes


def test_lists_of_models_are_arrays():
    assert dm.models.Linear(W.tolist()).W.shape == (3, 3)
    layers = [dm.models.Linear(W), dm.models.Linear(W, W)]
    assert isinstance(dm.models.Network(layers), dm.models.Network)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Net(np.ones((3, 2))), ShapeError, r"W \(3, 2\), b \(3,\) of Net do not fit a st"),
        (lambda: Net(np.ones((2, 3))), ShapeError, r"W \(2, 3\), b \(3,\) of Net do not fit"),
        (lambda: Net(W, [1.0, 2.0]), ShapeError, r"b \(2,\) of Net do not fit .* or each other"),
        (lambda: Net([[1.0, 2.0], [3.0]]), ShapeError, "W of Net has rows of unequal length"),
        (lambda: Net("W.npy"), TypeError, "W of Net must hold real numbers.*got 'W.npy'"),
        (lambda: Net(None), TypeError, "W of Net must hold real numbers.*got None"),
        (lambda: Net([["a", "b"]]), TypeError, "W of Net must hold real numbers"),
        (lambda: Net(W, gain="2"), TypeError, "gain = '2': must be a finite number, without quo"),
        (lambda: Net(W, gain=None), TypeError, "gain = None: must be a finite number"),
        (lambda: Net(W, gain=float), TypeError, "gain = <class 'float'>: must be a finite number"),
        (lambda: Net(W, steps=2.5), ValueError, "steps = 2.5: must be a whole number"),
        (lambda: Net(W, steps="2"), TypeError, "steps = '2': must be a whole number"),
        (lambda: Net(), TypeError, "Net needs W: it takes W, b, gain, steps"),
        (lambda: Net(W, W=W), TypeError, "Net got W twice"),
        (lambda: Net(W, 1, 2, 3, 4), TypeError, r"takes 4 parameters \(W, b, gain, steps\), got 5"),
        (lambda: Net(W, gian=2.0), TypeError, r"no parameter 'gian' \(did you mean gain\?\)"),
    ],
)
def test_what_does_not_fit_is_refused_at_construction(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_a_class_that_checks_itself_is_left_to_its_checks():
    class Checked(dm.Map):
        W: np.ndarray
        states = 3

        def __post_init__(self):
            if self.W.shape != (3, 3):
                raise ShapeError("mine")

        def rule(self, x, u):
            return x @ self.W.T

    with pytest.raises(ShapeError, match="^mine$"):
        Checked(np.ones((3, 2)))


def test_what_a_rule_raises_where_nobody_starts_says_nothing():
    class Picky(dm.Map):
        W: np.ndarray
        states = 2

        def rule(self, x, u):
            if np.ndim(x) == 1 and x[0] == 0.5:
                raise ValueError("half is not allowed")
            return x @ self.W.T

    assert Picky(np.eye(2)).W.shape == (2, 2)
