"""Dual numbers: every operation against central differences, torch.func, and push against pull."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dynmem as dm
from dynmem.arrays import Numpy
from dynmem.autodiff.dual import DERIVATIVES, Dual
from dynmem.autodiff.jacobian import linearise_rule
from dynmem.autodiff.tangents import Forward

RNG = np.random.default_rng(0)
M34, M43, M33, B234, V3, V4 = (
    RNG.standard_normal(s) for s in ((3, 4), (4, 3), (3, 3), (2, 3, 4), 3, 4)
)
MASK = np.array([True, False, True])
I, J = np.array([2, 0, 2]), np.array([[0, 1], [1, 1]])


def pushed(function, x):
    """Value and tangents (size of x, *S) along every direction of x."""
    out = function(Dual(x, Forward(np.eye(x.size).reshape(x.size, *x.shape))))
    return out.value, np.broadcast_to(out.tangent.array(), (x.size, *out.shape))


def holds(function, x, tolerance=1e-7):
    """Values are numpy's, push agrees with central differences, pull is its transpose."""
    x = np.asarray(x, dtype=float)
    plain = np.asarray(function(x))
    value, tangents = pushed(function, x)
    assert value.shape == plain.shape
    np.testing.assert_allclose(value, plain, rtol=1e-13, atol=1e-13)
    step, eye = 1e-6, np.eye(x.size).reshape(x.size, *x.shape)
    central = np.array(
        [(np.asarray(function(x + step * e)) - function(x - step * e)) / (2 * step) for e in eye]
    )
    np.testing.assert_allclose(tangents, central, rtol=tolerance, atol=tolerance)
    recorded, back = linearise_rule(function, x)
    np.testing.assert_allclose(recorded, plain, rtol=1e-13, atol=1e-13)
    gradients = np.random.default_rng(1).standard_normal((2, *plain.shape))
    expected = gradients.reshape(2, -1) @ tangents.reshape(x.size, -1).T
    np.testing.assert_allclose(back(gradients).reshape(2, -1), expected, rtol=1e-12, atol=1e-12)


OPERATIONS = (
    {
        # arithmetic, constants on either side, broadcasting both ways
        "x + c": (3, lambda x: x + 2.0),
        "c + x": (3, lambda x: V3 + x),
        "x + wide": (3, lambda x: x + M43),
        "wide + x": (3, lambda x: M43 + x),
        "x + x": (3, lambda x: x + x),
        "x + x wide": ((4, 3), lambda x: x + x[0]),
        "tanh + narrow": ((4, 3), lambda x: dm.tanh(x) + x[0]),
        "narrow + tanh": ((4, 3), lambda x: x[0] + dm.tanh(x)),
        "outer +": (3, lambda x: x[:, None] + dm.sin(x)),
        "x - c": (3, lambda x: x - V3),
        "c - x": (3, lambda x: 1 - x),
        "x - x": (3, lambda x: x[::-1] - x),
        "x - mask": (3, lambda x: x - MASK),
        "x * c": (3, lambda x: x * 3),
        "c * x": (3, lambda x: V3 * x),
        "x * wide": (3, lambda x: x * M43),
        "outer *": (3, lambda x: x[:, None] * x),
        "x * x * x": (3, lambda x: x * x * x),
        "column * wide": ((3, 1), lambda x: x * M34),
        "x / c": (3, lambda x: x / 3),
        "c / x": (3, lambda x: V3 / x),
        "1 / x": (3, lambda x: 1 / x),
        "x / x": (3, lambda x: x / (2 + x[0])),
        "x / int array": (3, lambda x: x / np.array([1, 2, 4])),
        "-x": (3, lambda x: -x),
        "+x": (3, lambda x: +x),
        "abs": (3, lambda x: abs(x)),
        "x ** 2": (3, lambda x: x**2),
        "x ** 0": (3, lambda x: x**0 + x),
        "x ** 3.5": (3, lambda x: (x * x + 1) ** 3.5),
        "x ** -1": (3, lambda x: x**-1.0),
        "x ** array": (3, lambda x: x ** np.array([0, 1, 3])),
        "2 ** x": (3, lambda x: 2.0**x),
        "array ** x": (3, lambda x: np.array([0.5, 1.0, 2.0]) ** x),
        "x ** x": (3, lambda x: (x * x + 0.1) ** x),
        "x % c": (3, lambda x: x % 0.7),
        "np.square": (3, lambda x: np.square(x)),
        "np ufuncs": (3, lambda x: np.multiply(2, np.add(1, np.negative(x)))),
        "np divide, subtract": (
            3,
            lambda x: np.divide(1, x) + np.subtract(V3, x) + np.power(x, 2) + np.power(2.0, x),
        ),
        # products
        "x @ 1": (3, lambda x: x @ V3),
        "1 @ x": (3, lambda x: V3 @ x),
        "x @ 2": (3, lambda x: x @ M34),
        "2 @ x": (3, lambda x: M43 @ x),
        "x @ 3": (3, lambda x: x @ B234),
        "3 @ x": (4, lambda x: B234 @ x),
        "x @ x": (3, lambda x: x @ dm.sin(x)),
        "X @ 1": ((2, 3), lambda x: x @ V3),
        "1 @ X": ((4, 3), lambda x: V4 @ x),
        "X @ 2": ((2, 3), lambda x: x @ M34),
        "2 @ X": ((4, 2), lambda x: M34 @ x),
        "X @ 3": ((5, 3), lambda x: x @ B234),
        "3 @ X": ((4, 2), lambda x: B234 @ x),
        "X @ X": ((3, 3), lambda x: x @ dm.cos(x)),
        "X @ x": ((3, 3), lambda x: x @ x[0]),
        "x @ X": ((3, 3), lambda x: x[0] @ x),
        "B @ 2": ((2, 2, 3), lambda x: x @ M34),
        "B @ 1": ((2, 2, 3), lambda x: x @ V3),
        "2 @ B": ((2, 4, 2), lambda x: M34 @ x),
        "B @ 3": ((2, 2, 3), lambda x: x @ B234),
        "B @ B": ((2, 3, 3), lambda x: x @ dm.sin(x)),
        "B @ X": ((2, 3, 3), lambda x: x @ x[0]),
        "x @ B": ((2, 3, 3), lambda x: x[0, 0] @ x),
        "B @ x": ((2, 3, 3), lambda x: x @ x[0, 0]),
        "np.matmul": (3, lambda x: np.matmul(M43, x)),
        "x @ list": (3, lambda x: x @ [1.0, 2.0, 3.0]),
        # indices
        "int": (3, lambda x: x[1]),
        "negative": ((2, 3), lambda x: x[-1]),
        "slice": (4, lambda x: x[1:3]),
        "stride": (4, lambda x: x[::2]),
        "backwards": (4, lambda x: x[::-1]),
        "ellipsis": ((2, 3), lambda x: x[..., 1]),
        "None": ((2, 3), lambda x: x[:, None, 1:]),
        "integer array": (3, lambda x: x[I]),
        "list": (3, lambda x: x[[0, 2]]),
        "last axis array": ((2, 3), lambda x: x[..., I]),
        "matrix of indices": ((2, 3), lambda x: x[:, J]),
        "two arrays": ((3, 3), lambda x: x[I, [0, 1, 0]]),
        "split arrays": ((3, 2, 3), lambda x: x[I, :, [0, 1, 0]]),
        "int and array": ((2, 3, 3), lambda x: x[0, :, I]),
        "boolean": ((2, 3), lambda x: x[:, MASK]),
        "boolean whole": ((2, 3), lambda x: x[np.array([MASK, ~MASK])]),
        "index of a chain": ((2, 3), lambda x: dm.tanh(x)[:, I] + dm.tanh(x)[..., :1]),
        "iteration": ((2, 3), lambda x: sum(iter(x), 0.0)),
        "split": ((2, 4), lambda x: dm.split(x, 2)[1]),
        # reductions and shapes
        "sum": ((2, 3), lambda x: x.sum()),
        "sum axis": ((2, 3), lambda x: x.sum(0)),
        "sum axes": ((2, 3, 2), lambda x: x.sum(axis=(0, -1))),
        "sum keepdims": ((2, 3), lambda x: x * x.sum(axis=-1, keepdims=True)),
        "mean": ((2, 3), lambda x: x.mean(-1)),
        "mean all": ((2, 3), lambda x: x.mean()),
        "np.sum": ((2, 3), lambda x: np.sum(x, axis=-1)),
        "np.mean": ((2, 3), lambda x: np.mean(x)),
        "dm.sum": ((2, 3), lambda x: dm.sum(x * x)),
        "reshape": ((2, 3), lambda x: dm.sin(x).reshape(3, 2)),
        "reshape tuple": ((2, 3), lambda x: np.reshape(x, (-1,))),
        "transpose": ((2, 3, 2), lambda x: x.transpose(2, 0, 1)),
        "transpose tuple": ((2, 3), lambda x: np.transpose(x, (1, 0))),
        "T": ((2, 3), lambda x: x.T * M33[:, :2]),
        "swapaxes": ((2, 3, 2), lambda x: np.swapaxes(x, 0, -1)),
        "dm.transpose": ((2, 3), lambda x: dm.transpose(x)),
        # joins and choices
        "stack": (3, lambda x: dm.stack((x[0], dm.sin(x[1]), x[0] * x[2]))),
        "stack constants": ((2, 3), lambda x: dm.stack((x[:, 0], 0.1, V3[0]))),
        "stack first": (3, lambda x: np.stack([x, V3, x * x], axis=0)),
        "concat": ((2, 3), lambda x: dm.concat((x, M43[:2], dm.sin(x)))),
        "concat first": ((2, 3), lambda x: np.concatenate([x, dm.exp(x)], axis=0)),
        "where": (3, lambda x: dm.where(x > 0.2, x * x, dm.sin(x))),
        "where constants": (3, lambda x: np.where(MASK, x, 1.0) + dm.where(x < 0, 0.0, x)),
        "where wide": (3, lambda x: dm.where(M43 > 0, x, x * x)),
        "where numbers": (3, lambda x: dm.where(1, x, 0) + dm.where(np.array([1, 0, 0]), x, 2.0)),
        "maximum": (3, lambda x: dm.maximum(x, 0.1)),
        "minimum": (3, lambda x: dm.minimum(x, V3)),
        "np.maximum": (3, lambda x: np.maximum(0.0, x) + np.minimum(x, 0.3)),
        "equal": (3, lambda x: dm.where(x == x[0], 2 * x, x) + dm.where(x != x[1], x, 0)),
        "like": (3, lambda x: x + np.ones_like(x) * np.shape(x)[0] + np.zeros_like(x)),
        # the rest of the vocabulary
        "softmax": ((2, 3), lambda x: dm.softmax(x)),
        "softmax 1": (3, lambda x: dm.softmax(30 * x)),
        "softplus": (3, lambda x: dm.softplus(x)),
        "solve both": ((3, 3), lambda x: dm.solve(x + 3 * np.eye(3), x * x)),
        "solve vector": (3, lambda x: dm.solve(M33, x)),
        "solve matrix": ((3, 3), lambda x: dm.solve(x + 3 * np.eye(3), V3)),
        "solve batch": ((2, 3, 3), lambda x: dm.solve(x + 3 * np.eye(3), x)),
        "cayley": ((3, 3), lambda x: dm.cayley(x - dm.transpose(x))),
        "modulo": (3, lambda x: (x % (1.3 + 0.1 * x * x)) + 1.7 % (1.3 + x * x)),
        "scalar": ((), lambda x: dm.sin(x) * x),
        "chain": ((2, 3), lambda x: dm.tanh(dm.tanh(dm.sin(x) * 2) * x) + dm.exp(x)),
    }
    | {
        name: (
            3,
            lambda x, name=name: getattr(dm, name)(
                x * x + 0.3 if name in ("log", "sqrt", "log1p") else x
            ),
        )
        for name in DERIVATIVES
    }
    | {
        f"np.{name}": (3, lambda x, name=name: getattr(np, name)(x + 2))
        for name in DERIVATIVES
        if hasattr(np, name)
    }
)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name):
    shape, function = OPERATIONS[name]
    holds(function, np.random.default_rng(7).uniform(-1, 1, shape))


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    [
        "tanh",
        "x ** x",
        "softmax",
        "solve both",
        "cayley",
        "stack constants",
        "x @ x",
        "where",
        "softplus",
        "sigmoid",
    ],
)
def test_push_is_torch_jvp_and_pull_is_torch_vjp(name):
    import torch

    shape, function = OPERATIONS[name]
    if name == "solve both":  # numpy's identity has no place in a torch rule

        def function(x):
            return dm.solve(x + 3 * dm.arrays.identity_like(x), x * x)

    x, rng = np.random.default_rng(7).uniform(-1, 1, shape), np.random.default_rng(8)
    t, v = torch.tensor(x), rng.standard_normal((1, *np.shape(x)))
    value, slope = torch.func.jvp(function, (t,), (torch.tensor(v[0]),))
    out = function(Dual(x, Forward(v)))
    np.testing.assert_allclose(out.value, value.numpy(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(out.tangent.array()[0], slope.numpy(), rtol=1e-12, atol=1e-13)
    gradient = rng.standard_normal((1, *value.shape))
    expected = torch.func.vjp(function, t)[1](torch.tensor(gradient[0]))[0]
    np.testing.assert_allclose(
        linearise_rule(function, x)[1](gradient)[0], expected.numpy(), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("order", range(4))
def test_parts_that_overlap_add_up(order):
    """Cotangents of parts are added in place, whatever else comes before and after them, and never
    to an array that another step still reads."""
    import torch

    def function(x):
        parts = [
            x[..., :3] * x[..., 1:],
            x[..., 2:3] + 0.0 * x[..., :3],
            3.0 * x[..., :3] - x[..., 1],
            dm.stack((x.sum(), x[..., ::2].sum(), x[..., 3])) * x[..., 0],
        ]
        return sum(parts[order:] + parts[:order])

    x = np.random.default_rng(order).standard_normal(4)
    g = np.random.default_rng(9).standard_normal((2, 3))
    before = g.copy()
    found = linearise_rule(function, x)[1](g)
    jacobian = torch.func.jacrev(function)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, g @ jacobian, rtol=1e-13)
    np.testing.assert_array_equal(g, before)


UNARY = {
    name: getattr(dm, name) for name in ("tanh", "sigmoid", "sin", "cos", "arctan", "softplus")
} | {
    "reverse": lambda x: x[..., ::-1],
    "roll": lambda x: dm.concat((x[..., 1:], x[..., :1])),
    "half": lambda x: 0.5 * x,
    "mix": lambda x: x @ M33,
    "mean": lambda x: x - x.mean(-1, keepdims=True),
    "square": lambda x: x**2 / (1 + x * x),
    "pick": lambda x: x[..., I],
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (2 + b * b),
    "dot": lambda a, b: a * dm.sum(a * b)[..., None],
    "stack": lambda a, b: dm.stack((a, b), axis=0).mean(0),
}
TREES = st.recursive(
    st.sampled_from(["x", "c", "row"]),
    lambda tree: (
        st.tuples(st.sampled_from(list(UNARY)), tree)
        | st.tuples(st.sampled_from(list(BINARY)), tree, tree)
    ),
    max_leaves=8,
)


def grow(tree, x):
    if isinstance(tree, str):
        return {"x": x, "c": V3, "row": x[:1]}[tree]
    parts = [grow(part, x) for part in tree[1:]]
    return (UNARY if len(parts) == 1 else BINARY)[tree[0]](*parts)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TREES, st.integers(0, 100))
def test_random_expressions(tree, seed):
    holds(lambda x: grow(tree, x) + 0 * x, np.random.default_rng(seed).uniform(-1, 1, (2, 3)), 1e-6)


def test_infinite_slopes_stay_behind_a_mask():
    def function(x):
        return dm.where(x > 0, dm.sqrt(x), 0.0) + dm.where(x > 0, dm.log(x), 1.0)

    with np.errstate(divide="ignore", invalid="ignore"):
        value, tangents = pushed(function, np.array([0.0, 4.0, -1.0]))
    np.testing.assert_allclose(value, [1.0, 2 + math.log(4), 1.0])
    np.testing.assert_allclose(tangents, np.diag([0.0, 0.5, 0.0]))


def test_nan_is_not_swallowed_by_maximum():
    x = np.array([np.nan, 1.0])
    assert np.isnan(pushed(lambda x: dm.maximum(x, 0.0), x)[0]).tolist() == [True, False]
    assert np.isnan(pushed(lambda x: dm.minimum(0.0 * x, x), x)[0]).tolist() == [True, False]


def test_frames_are_not_changed_in_place():
    rows = RNG.standard_normal((4, 3))
    x, before = Dual(V3, Forward(rows)), rows.copy()
    for out in (x + x, x * 2 + x, dm.tanh(x) + x, x + dm.tanh(x), x - dm.sin(x) * x, x):
        out.tangent.array()
    np.testing.assert_array_equal(rows, before)


def test_no_directions_and_no_batch():
    out = dm.tanh(Dual(np.zeros((0, 3)), Forward(np.zeros((2, 0, 3)))) @ M34)
    assert out.tangent.array().shape == (2, 0, 4)
    assert (Dual(np.zeros((2, 3)), Forward(np.zeros((0, 2, 3)))) @ M34).tangent.array().shape == (
        0,
        2,
        4,
    )
    assert Dual(np.zeros((2, 3)), Forward(np.zeros((0, 2, 3)))).reshape(
        6
    ).tangent.array().shape == (
        0,
        6,
    )


def test_zero_to_a_power():
    value, tangents = pushed(
        lambda x: x**2 + x**0 + x ** np.array([0, 1]) + dm.stack((x[0] ** (x[1] + 1), x[1])),
        np.zeros(2),
    )
    np.testing.assert_array_equal(value, [2.0, 1.0])
    np.testing.assert_array_equal(tangents, [[1.0, 0.0], [0.0, 2.0]])


def test_numbers_outside_the_vocabulary_are_refused():
    x = Dual(V3, Forward(np.eye(3)))
    for wrong in (
        lambda: math.sin(x[0]),
        lambda: np.cbrt(x),
        lambda: np.cumsum(x),
        lambda: np.array([x[0], x[1]], float),
        lambda: np.interp(x, V3, V3),
        lambda: np.add.reduce(x),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match=r"use dm\.stack"):
        np.cumsum(x)


def test_a_saturated_unit_has_a_slope_of_exactly_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("tanh", "sigmoid", "relu", "softplus"):
            value, tangents = pushed(getattr(dm, name), np.array([-800.0, 800.0]))
            assert np.isfinite(value).all()
            assert tangents[0, 0] == 0.0
    assert Numpy.sigmoid(-800.0) == 0.0
