"""Tangents: duals, torch and symbols agree to 1e-12 for every system; products never form the
Jacobian."""

import tracemalloc

import numpy as np
import pytest

import dynmem as dm
from dynmem.autodiff.jacobian import cotangent_product, divergence, jacobian, push, tangent_product
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.orbits import FlowMap
from tests.reference import BUILD, Cat, ForcedDuffing, Henon, Lorenz, Quadratic, row

LONG = {"network, gru"}  # its formula takes half a minute
SMALL = [
    name
    for name in BUILD
    if name not in LONG and not isinstance(row(name)[0], FlowMap) and row(name)[1].size <= 6
]


def equal(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(
        found,
        expected,
        rtol=tolerance,
        atol=tolerance * max(1, np.max(np.abs(expected), initial=0)),
    )


@pytest.mark.parametrize("of", ["state", "output"])
@pytest.mark.parametrize("wrt", ["state", "input"])
@pytest.mark.parametrize("name", BUILD)
def test_duals_are_torch(name, wrt, of):
    system, x, u = row(name)
    if wrt == "input" and u is None:
        with pytest.raises(ShapeError, match="takes no input"):
            jacobian(system, x, wrt=wrt)
        return
    found = jacobian(system, x, u, wrt=wrt, of=of)
    rows = x.size if of == "state" else np.shape(system.output(x, u))[-1]
    assert found.shape == (rows, x.size if wrt == "state" else system.inputs)
    equal(found, jacobian(system, x, u, wrt=wrt, of=of, engine="torch"))


@pytest.mark.parametrize("name", SMALL)
def test_duals_are_symbols(name):
    system, x, u = row(name)
    for wrt in ("state", "input") if system.inputs else ("state",):
        equal(jacobian(system, x, u, wrt=wrt), jacobian(system, x, u, wrt=wrt, engine="symbolic"))


@pytest.mark.parametrize("name", BUILD)
def test_products_are_products_with_the_jacobian(name):
    system, x, u = row(name)
    rng = np.random.default_rng(2)
    for wrt in ("state", "input") if system.inputs else ("state",):
        J = jacobian(system, x, u, wrt=wrt)
        frame, rows = rng.standard_normal((3, J.shape[1])), rng.standard_normal((2, J.shape[0]))
        equal(tangent_product(system, x, frame, u, wrt=wrt), frame @ J.T)
        equal(cotangent_product(system, x, rows, u, wrt=wrt), rows @ J)


@pytest.mark.parametrize("name", BUILD)
def test_a_batch_is_a_loop(name):
    system, x, u = row(name)
    rng = np.random.default_rng(3)
    xs = x + 0.01 * rng.standard_normal((2, 3, x.size))
    us = None if u is None else u + 0.1 * rng.standard_normal((2, 3, u.size))
    frames, rows = rng.standard_normal((2, 3, 4, x.size)), rng.standard_normal((2, 3, 2, x.size))
    at = lambda i, j: (xs[i, j], None if u is None else us[i, j])  # noqa: E731
    for of in ("state", "output"):
        loop = [[jacobian(system, *at(i, j), of=of) for j in range(3)] for i in range(2)]
        equal(jacobian(system, xs, us, of=of), loop)
    equal(
        tangent_product(system, xs, frames, us),
        [
            [tangent_product(system, at(i, j)[0], frames[i, j], at(i, j)[1]) for j in range(3)]
            for i in range(2)
        ],
    )
    equal(
        cotangent_product(system, xs, rows, us),
        [
            [cotangent_product(system, at(i, j)[0], rows[i, j], at(i, j)[1]) for j in range(3)]
            for i in range(2)
        ],
    )
    if u is not None:
        loop = [[jacobian(system, *at(i, j), wrt="input") for j in range(3)] for i in range(2)]
        equal(jacobian(system, xs, us, wrt="input"), loop)


@pytest.mark.parametrize("engine", ["dual", "torch", "symbolic"])
def test_states_and_inputs_broadcast(engine):
    system, x, u = row("quadratic")
    xs, us = x + np.arange(2)[:, None, None] / 10, u + np.arange(3)[:, None] / 10
    for wrt in ("state", "input"):
        found = jacobian(system, xs, us, wrt=wrt, engine=engine)
        assert found.shape == (2, 3, 3, 3 if wrt == "state" else 2)
        equal(found[1, 2], jacobian(system, xs[1, 0], us[2], wrt=wrt))
    equal(jacobian(system, x, us, engine=engine)[1], jacobian(system, x, us[1]))


def test_one_frame_for_a_batch_and_a_batch_of_frames_for_one_state():
    """Three directions and a batch of three: nothing may line up by accident."""
    system, x, u = row("lstm")
    rng = np.random.default_rng(0)
    xs, frame = x + 0.1 * rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    equal(
        tangent_product(system, xs, frame, u),
        [tangent_product(system, each, frame, u) for each in xs],
    )
    equal(
        cotangent_product(system, xs, frame, u),
        [cotangent_product(system, each, frame, u) for each in xs],
    )
    frames = rng.standard_normal((5, 3, 4))
    equal(
        tangent_product(system, x, frames, u),
        [tangent_product(system, x, each, u) for each in frames],
    )
    equal(
        cotangent_product(system, x, frames, u),
        [cotangent_product(system, x, each, u) for each in frames],
    )


def test_known_jacobians():
    equal(jacobian(Henon(), [0.5, 0.2]), [[-1.4, 1.0], [0.3, 0.0]], 1e-15)
    x, y, z = 1.0, 2.0, 20.0
    equal(jacobian(Lorenz(), [x, y, z]), [[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]], 1e-14)
    equal(
        divergence(Lorenz(), np.random.default_rng(0).standard_normal((4, 3))),
        np.full(4, -41 / 3),
        1e-13,
    )
    equal(jacobian(ForcedDuffing(), [1.0, 0.0], [0.0], wrt="input"), [[0.0], [1.0]], 1e-15)


@pytest.mark.parametrize("engine", ["dual", "torch", "symbolic"])
def test_a_driven_system_without_input_is_taken_at_zero(engine):
    for name in ("duffing", "quadratic", "lstm"):
        system, x, u = row(name)
        equal(jacobian(system, x, engine=engine), jacobian(system, x, 0 * u))


def test_integer_and_read_only_parameters():
    M = np.array([[2, 1], [1, 1]])
    M.setflags(write=False)
    for matrix in (M, M[::-1][::-1], M.T, M.astype(np.float32)):
        for engine in ("dual", "torch", "symbolic"):
            equal(jacobian(Cat(matrix), [0.1, 0.2], engine=engine), [[2, 1], [1, 1]])


def test_large_systems_never_form_the_jacobian():
    """A Jacobian of 3,000 states takes 72 MB; two rows take two products."""
    system = dm.models.Tanh.random(3000, rng=0)
    x, rows = 0.1 * np.ones(3000), np.random.default_rng(0).standard_normal((2, 3000))
    tracemalloc.start()
    pushed, pulled = tangent_product(system, x, rows), cotangent_product(system, x, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6
    slope = 1 - np.tanh(x @ system.W.T) ** 2
    equal(pushed, (rows @ system.W.T) * slope, 1e-11)
    equal(pulled, (rows * slope) @ system.W, 1e-11)


def test_push_in_tiles_is_push_at_once():
    system = dm.models.LSTM.random(140, rng=0)
    x, rows = system.initial(), np.random.default_rng(1).standard_normal((500, 280))
    value, pushed = push(system, x, rows)
    equal(pushed[-3:], push(system, x, rows[-3:])[1])
    equal(value, system.rule(x, None))


class Constant(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        return np.ones(x.shape)


class Numbers(Constant):
    def rule(self, x, u):
        return [x[1], -x[0]]


def test_a_constant_rule_has_no_tangent():
    assert not jacobian(Constant(), [1.0, 2.0]).any()
    assert not tangent_product(Constant(), [1.0, 2.0], np.eye(2)).any()
    assert not cotangent_product(Constant(), [1.0, 2.0], np.eye(2)).any()


def test_a_list_of_components_is_a_state():
    for found in (
        jacobian(Numbers(), [1.0, 2.0]),
        push(Numbers(), np.ones(2), np.eye(2))[1].T,
        tangent_product(Numbers(), [1.0, 2.0], np.eye(2)).T,
        cotangent_product(Numbers(), [1.0, 2.0], np.eye(2)),
    ):
        np.testing.assert_array_equal(found, [[0.0, 1.0], [-1.0, 0.0]])


def test_errors():
    system, x, u = row("quadratic")
    with pytest.raises(ValueError, match="engine = 'jax': must be one of"):
        jacobian(system, x, u, engine="jax")
    with pytest.raises(ValueError, match="wrt = .*: must be one of"):
        jacobian(system, x, u, wrt="inputs")
    with pytest.raises(ShapeError, match="needs u"):
        jacobian(system, x, wrt="input")
    with pytest.raises(ShapeError, match="pass shape"):
        jacobian(system, x[:2], u)
    with pytest.raises(NotFiniteError):
        jacobian(system, [np.nan, 0, 0], u)
    for product in (tangent_product, cotangent_product):
        for bad in (np.ones(3), np.ones((2, 4))):
            with pytest.raises(ShapeError, match=r"expected \(\.\.\., k, 3\)"):
                product(system, x, bad, u)
    with pytest.raises(TypeError, match="expected a dynmem System"):
        jacobian(np.eye(2), [0, 0])

    class Flat(dm.Map):
        states = ("a", "b")

        def rule(self, x, u):
            return x[..., 0]

    with pytest.raises(ShapeError, match=r"returned shape \(\) for a state of shape \(2,\): stack"):
        jacobian(Flat(), [0.0, 1.0])
    with pytest.raises(ValueError, match="use engine='dual' for the output"):
        jacobian(system, x, u, of="output", engine="symbolic")
    assert Quadratic.inputs == 2
