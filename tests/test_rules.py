"""How users write a rule: numpy's functions, tuples, lists and np.array, with one behaviour."""

import warnings

import numpy as np
import pytest

import dynmem as dm
from dynmem.compiler.program import program
from dynmem.errors import ShapeError


class Stacked(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return dm.stack((1.0 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]))


class Tuple(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return 1.0 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]


class List(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return [1.0 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]]


class NumpyStack(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return np.stack([1.0 - 1.4 * np.square(x[..., 0]) + x[..., 1], 0.3 * x[..., 0]], axis=-1)


class NumpyArray(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return np.array([1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])


@pytest.mark.parametrize("kind", [Tuple, List, NumpyStack, NumpyArray])
@pytest.mark.parametrize("steps", [20, 5_000])  # numpy, compiled
def test_henon_in_any_style_is_henon(kind, steps):
    start = [0.1, 0.1]
    expected = dm.orbit(Stacked(), start, duration=steps).x
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dm.orbit(kind(), start, duration=steps).x
        np.testing.assert_array_equal(found[:20], expected[:20])
        for engine in ("dual", "symbolic"):
            found = dm.jacobian(kind(), start, engine=engine)
            np.testing.assert_allclose(found, dm.jacobian(Stacked(), start), rtol=1e-15)
        found = dm.cotangent_product(kind(), start, np.eye(2))
        np.testing.assert_array_equal(found, dm.jacobian(Stacked(), start))
        assert program(kind(), 2) is not None


def test_one_state_alone_is_named_where_many_are_needed():
    with pytest.raises(ShapeError, match=r"NumpyArray serves one state.*x\[\.\.\., i\]"):
        dm.fixed_points(NumpyArray())


FUNCTIONS = {
    "tanh": np.tanh,
    "sin": np.sin,
    "arctan": np.arctan,
    "floor": lambda x: x * np.floor(3.0 * x),
    "ceil": lambda x: x * np.ceil(3.0 * x),
    "clip": lambda x: np.clip(x, -0.4, 0.9),
    "arctan2": lambda x: np.arctan2(x, 0.3 - x),
    "arctan2, left": lambda x: np.arctan2(x, -1.0 - x * x),
    "hypot": lambda x: np.hypot(x, 0.5),
    "log10": lambda x: np.log10(1.0 + x * x),
    "log2": lambda x: np.log2(1.0 + x * x),
    "exp2": np.exp2,
    "expm1": np.expm1,
    "square": np.square,
    "reciprocal": lambda x: np.reciprocal(2.0 + x),
    "maximum": lambda x: np.maximum(x, 0.2),
    "minimum": lambda x: np.minimum(0.2, x),
    "fabs": np.fabs,
    "logaddexp": lambda x: np.logaddexp(x, 0.3),
}


class Elementwise(dm.Map):
    name: str = "tanh"
    states = ("x", "y", "z")

    def rule(self, x, u):
        return FUNCTIONS[self.name](x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_functions_in_a_rule(name):
    system, x, step = Elementwise(name), np.array([0.31, -0.72, 1.23]), 1e-6
    slope = (FUNCTIONS[name](x + step) - FUNCTIONS[name](x - step)) / (2 * step)
    for engine in ("dual", "symbolic"):
        found = dm.jacobian(system, x, engine=engine)
        np.testing.assert_allclose(found, np.diag(slope), rtol=1e-8, atol=1e-9)
    found = dm.cotangent_product(system, x, np.eye(3))
    np.testing.assert_allclose(found, np.diag(slope), rtol=1e-8, atol=1e-9)
    run = program(system, 3).run(system, x[None].copy(), np.zeros((1, 0, 3)), 1, keep=("states",))
    np.testing.assert_allclose(run.states[0, 0], FUNCTIONS[name](x), rtol=1e-15, atol=1e-16)


def test_on_torch_the_functions_of_dynmem_are_named():
    with pytest.raises(TypeError, match=r"use dm\.sin, dm\.stack"):
        dm.jacobian(Elementwise("sin"), np.ones(3), engine="torch")


def test_what_has_no_derivative_is_named():
    class Odd(dm.Map):
        states = ("x",)

        def rule(self, x, u):
            return np.arccos(x)

    with pytest.raises(TypeError, match="arccos is not in the vocabulary"):
        dm.jacobian(Odd(), [0.3])


class Complex(dm.Map):
    states = ("z",)

    def rule(self, x, u):
        return x * x + 0.1 + 0.2j


class Folded(dm.Flow):
    states = ("z",)

    def rule(self, x, u):
        return np.exp(1j * x)


@pytest.mark.parametrize(
    "call",
    [
        lambda: dm.orbit(Complex(), [0.0], duration=5),
        lambda: dm.orbit(Folded(), [0.0], duration=5.0, rtol=1e-8),
        lambda: dm.lyapunov_spectrum(Complex(), [0.0], duration=50),
        lambda: dm.covariant_vectors(Complex(), [0.0], duration=50),
        lambda: dm.jacobian(Complex(), [0.0]),
        lambda: dm.fixed_points(Complex()),
    ],
)
def test_complex_states_are_refused(call):
    with pytest.raises(TypeError, match="returned complex numbers: make the real"):
        call()


class InPlace(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        x[..., 0] = 2.0 * x[..., 0]
        return x


class Grows(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        x *= 0.5
        return x


@pytest.mark.parametrize("system", [InPlace(), Grows()])
@pytest.mark.parametrize("steps", [5, 50_000])
def test_a_rule_that_changes_its_state_is_refused(system, steps):
    with pytest.raises(TypeError, match="changes its state in place"):
        dm.orbit(system, np.ones(system.size), duration=steps)
    with pytest.raises(TypeError, match="changes its state in place"):
        dm.lyapunov_spectrum(system, np.ones(system.size), duration=steps)


def test_a_rule_of_the_wrong_shape_is_refused_everywhere():
    class Short(dm.Map):
        states = ("x", "y")

        def rule(self, x, u):
            return x[..., :1]

    for analysis, options in (
        (dm.covariant_vectors, {}),
        (dm.analysis.finite_time_exponents, {"window": 10}),
        (dm.gali, {}),
        (dm.megno, {}),
    ):
        with pytest.raises(ShapeError, match=r"Short returned shape \(1,\)"):
            analysis(Short(), [1.0, 1.0], duration=100, **options)


def test_parameters_in_a_dict_in_an_ensemble():
    class Logistic(dm.Map):
        p: dict = None
        states = ("x",)

        def rule(self, x, u):
            return self.p["r"] * x * (1.0 - x)

    systems = [Logistic(p={"r": r}) for r in (3.7, 3.9)]
    together = dm.lyapunov_spectrum(systems, [0.3], duration=1_000).lyapunov
    alone = [dm.lyapunov_spectrum(s, [0.3], duration=1_000).lyapunov for s in systems]
    np.testing.assert_array_equal(together, alone)
    assert together[0] != together[1]
