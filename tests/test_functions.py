"""Systems of plain functions and of classes without a decorator, and what misspelt names bring."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import ShapeError
from dynmem.runtime.validation import public

HENON = dm.systems.get("henon")


def by_component(state, a=1.4, b=0.3):
    x, y = state
    return 1 - a * x**2 + y, b * x


def by_index(x, a=1.4, b=0.3):
    return [1 - a * x[0] ** 2 + x[1], b * x[0]]


def by_array(x, a=1.4, b=0.3):
    return dm.stack((1 - a * x[..., 0] ** 2 + x[..., 1], b * x[..., 0]))


@pytest.mark.parametrize("function", [by_component, by_index, by_array])
def test_a_function_is_the_system_that_it_computes(function):
    made = dm.Map.from_function(function, states=("x", "y"))
    points = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    np.testing.assert_array_equal(made.rule(points, None), HENON.rule(points, None))
    np.testing.assert_allclose(dm.jacobian(made, points), dm.jacobian(HENON, points), atol=1e-14)
    assert made.parameters == {"a": 1.4, "b": 0.3} and made.states == ("x", "y")
    spectra = [
        dm.lyapunov_spectrum(s, [0.1, 0.1], duration=500, transient=100).lyapunov
        for s in (made, HENON)
    ]
    np.testing.assert_allclose(*spectra, atol=0.05)  # chaotic orbits part by rounding
    dm.check_system(made)


@pytest.mark.parametrize("read", [lambda u: u, lambda u: u[0]])
def test_one_input_may_be_a_number_or_a_sequence(read):
    made = dm.Map.from_function(lambda x, u: (x[..., 1], 0.5 * x[..., 0]), states=2)
    assert made.inputs == 1
    driven = dm.Flow.from_function(lambda x, u: (x[1], read(u) - x[0]), states=2)
    assert driven.rule(np.array([1.0, 2.0]), np.array([3.0])).tolist() == [2.0, 2.0]


def test_a_changed_copy_keeps_the_function_and_can_be_pickled():
    made = replace(dm.Map.from_function(by_index, states=2), a=1.2)
    again = pickle.loads(pickle.dumps(made))
    assert again.a == 1.2 and again.rule(np.zeros(2), None).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: dm.Map.from_function(3), TypeError, "takes a function"),
        (lambda: dm.Map.from_function(lambda: 0), TypeError, "takes no state"),
        (lambda: dm.Map.from_function(lambda x, u, r: x), TypeError, "parameter r"),
        (
            lambda: dm.Map.from_function(by_index, parameters={"aa": 1.0}),
            TypeError,
            "takes no parameter 'aa' .did you mean a",
        ),
        (lambda: dm.Map.from_function(by_index, states=3), ShapeError, "no function of 3 states"),
        (lambda: dm.systems.Lorenz63(roh=3.0), TypeError, "did you mean rho"),
        (lambda: dm.lyapunov_spectrum(HENON, duratoin=3), TypeError, "did you mean duration"),
        (lambda: dm.lyapunov_spectrum(HENON, [0.1, 0.1], 50), TypeError, "pass the rest by name"),
        (lambda: dm.lyapunov_spectrum(HENON), TypeError, "needs duration"),
        (lambda: dm.gradient_norms([HENON], lags=2), TypeError, "only dm.lyapunov_spectrum"),
        (lambda: dm.lyapunov_spectrum([0.1, 0.1], HENON, duration=3), TypeError, "first argument"),
        (lambda: dm.lyapunov_spectrum(HENON, HENON, duration=3), TypeError, "the state the second"),
        (lambda: dm.orbit(HENON, 1.0, duration=3), ShapeError, "drive="),
        (
            lambda: dm.orbit(HENON, np.ma.masked_array([0.1, 0.1], mask=[1, 0]), duration=3),
            TypeError,
            "masked array",
        ),
        (lambda: dm.lyapunov, AttributeError, "did you mean lyapunov_spectrum"),
        (lambda: dm.parameter_map, AttributeError, "dynmem.analysis.parameter_map"),
    ],
)
def test_what_was_probably_meant_is_said(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_class_needs_no_decorator():
    class Rotation(dm.Map):
        angle: float = 0.5
        states = 2

        def rule(self, x, u):
            c, s = np.cos(self.angle), np.sin(self.angle)
            return dm.stack((c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]))

    assert Rotation(0.1).angle == 0.1 and Rotation().states == ("x0", "x1")
    with pytest.raises(FrozenInstanceError, match="dataclasses.replace"):
        Rotation().angle = 2.0
    assert dm.spectral_radius(Rotation(), [1.0, 0.0]) == pytest.approx(1.0)


def test_public_functions_keep_their_signature():
    @public
    def horizon(lags, *, drive=None):
        return lags, drive

    assert horizon(3, drive=1.0) == (3, 1.0) and horizon.__name__ == "horizon"
    with pytest.raises(TypeError, match="did you mean drive"):
        horizon(3, drive_=1.0)
