"""Derivatives that exist where a factor of them does not, or cancels: in every mode."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.compiler.program import program
from dynmem.errors import NotFiniteError


class RectifiedRoot(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return 0.5 * x + 0.1 * dm.relu(x) ** 0.5


class Normalised(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return 0.5 * x / (1.0 + dm.sqrt(dm.sum(x * x))[..., None])


class RootBranch(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return 0.5 * x + dm.where(x > 0.0, 0.1 * dm.sqrt(x), 0.0)


class Sinc(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return 0.5 * x + dm.where(x != 0.0, 0.1 * dm.sin(x) / x, 0.1)


class LogBranch(dm.Map):  # of its own: x ln x, continued by 0
    states = ("x", "y")

    def rule(self, x, u):
        a, b = x[..., 0], x[..., 1]
        return dm.stack((0.5 * a + dm.where(b > 0.0, b * dm.log(b), 0.0), 0.25 * b))


class FractionalPower(dm.Map):  # |x|^1.5 and |x|^0.5 of a number that does not move
    states = ("x", "y")

    def rule(self, x, u):
        a, b = x[..., 0], x[..., 1]
        return dm.stack((0.5 * a + dm.abs(b) ** 1.5, 0.25 * b + (0.0 * a) ** 0.5))


SWITCHED_OFF = [
    (RectifiedRoot(), [-1.0], [[0.5]]),
    (Normalised(), [0.0, 0.0], [[0.5, 0.0], [0.0, 0.5]]),
    (RootBranch(), [-1.0], [[0.5]]),
    (Sinc(), [0.0], [[0.5]]),
    (LogBranch(), [1.0, 0.0], [[0.5, 0.0], [0.0, 0.25]]),
    (LogBranch(), [1.0, -1.0], [[0.5, 0.0], [0.0, 0.25]]),
    (FractionalPower(), [1.0, 0.0], [[0.5, 0.0], [0.0, 0.25]]),
]


@pytest.mark.filterwarnings("ignore:(invalid|divide):RuntimeWarning")
@pytest.mark.parametrize(("system", "x", "expected"), SWITCHED_OFF)
def test_what_is_switched_off_has_no_slope(system, x, expected):
    eye = np.eye(len(x))
    np.testing.assert_array_equal(dm.jacobian(system, x), expected)
    np.testing.assert_array_equal(dm.cotangent_product(system, x, eye), expected)
    np.testing.assert_array_equal(dm.tangent_product(system, x, eye), np.transpose(expected))
    compiled = program(system, len(x), np.inf)
    run = compiled.run(system, np.array([x]), eye[None].copy(), 1, keep=("factors", "frames"))
    np.testing.assert_allclose(
        run.factors[0, 0] @ run.frames[0, 0], np.transpose(expected), atol=1e-16
    )


class Root(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return dm.sqrt(x)


def test_a_root_that_moves_at_zero_is_refused():
    for engine in ("dual", "torch", "symbolic"):
        with pytest.raises(NotFiniteError, match="Root"):
            dm.jacobian(Root(), [0.0], engine=engine)


def test_torch_names_the_engine_that_can():
    with pytest.raises(NotFiniteError, match="engine='dual'"):
        dm.jacobian(RootBranch(), [-1.0], engine="torch")


class Saturated(dm.Map):
    shift: float = 20.0
    function: str = "tanh"
    states = ("x",)

    def rule(self, x, u):
        return getattr(dm, self.function)(x + self.shift)


@pytest.mark.parametrize("steps", [50, 200_000])  # numpy, compiled
@pytest.mark.parametrize("shift", [17.0, 20.0, -20.0, 300.0])
def test_the_slope_of_a_saturated_tanh(shift, steps):
    """2 ln sech z = 2 ln 2 - 2|z| - 2 ln(1 + e^-2|z|); 1 - tanh^2 is 0 from 19 on."""
    found = dm.lyapunov_spectrum(Saturated(shift), [np.sign(shift)], duration=steps)
    z = abs(shift) + 1.0
    expected = 2.0 * np.log(2.0) - 2.0 * z - 2.0 * np.log1p(np.exp(-2.0 * z))
    np.testing.assert_allclose(found.lyapunov, expected, rtol=1e-13)


@pytest.mark.parametrize("steps", [50, 200_000])
@pytest.mark.parametrize(("shift", "rest"), [(40.0, 1.0), (-40.0, 0.0), (500.0, 1.0)])
def test_the_slope_of_a_saturated_sigmoid(shift, rest, steps):
    """ln s(1 - s) = -|z| - 2 ln(1 + e^-|z|); s (1 - s) is 0 from 37 on."""
    found = dm.lyapunov_spectrum(Saturated(shift, "sigmoid"), [rest], duration=steps)
    z = abs(shift + rest)
    np.testing.assert_allclose(found.lyapunov, -z - 2.0 * np.log1p(np.exp(-z)), rtol=1e-13)


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_slopes_where_nothing_saturates(function):
    x = np.linspace(-5.0, 5.0, 101)[:, None]
    y = getattr(np, function)(x) if function == "tanh" else 1.0 / (1.0 + np.exp(-x))
    expected = 1.0 - y * y if function == "tanh" else y * (1.0 - y)
    found = dm.jacobian(Saturated(0.0, function), x)[..., 0]
    np.testing.assert_allclose(
        found, expected, rtol=3e-12
    )  # the cancellation of the formula: e^-10
