"""The vocabulary of a rule: one meaning on numpy, torch, duals and symbols."""

import numpy as np
import pytest
import sympy

import dynmem as dm
from dynmem import arrays
from dynmem.autodiff.dual import Dual
from dynmem.autodiff.tangents import Forward

X = np.array([0.3, -0.7, 1.2])
POSITIVE = {"log", "sqrt"}


def as_symbols(x):
    return np.array([sympy.Float(v, 17) for v in x.flat], dtype=object).reshape(x.shape)


def numbers(x):
    return np.array([float(v) for v in np.ravel(x)]).reshape(np.shape(x))


def agree(function, *points, tolerance=1e-14):
    import torch

    expected = np.asarray(function(*points))
    for found in (
        function(*(torch.tensor(p) for p in points)).numpy(),
        numbers(function(*(as_symbols(p) for p in points))),
        function(*(Dual(p, Forward(np.zeros((1, *p.shape)))) for p in points)).value,
    ):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("name", arrays.ELEMENTWISE)
def test_elementwise(name):
    agree(getattr(dm, name), abs(X) if name in POSITIVE else X)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: dm.stack((x[..., 0], 0.1, x[..., 1])),
        lambda x: dm.stack((1, x[..., 0]), axis=0),
        lambda x: dm.concat((x, x[..., :1])),
        lambda x: dm.sum(x * x),
        lambda x: dm.split(dm.concat((x, x)), 2)[1],
        lambda x: dm.maximum(x, 0.1) + dm.minimum(0.1, x),
        dm.softmax,
        dm.softplus,
        lambda x: dm.where(x > 0.1, x, 0.1),
        lambda x: dm.where(x > 0.1, 0.1, 0.3) * x,
        lambda x: x % 0.7,
    ],
    ids=[
        "stack",
        "stack first",
        "concat",
        "sum",
        "split",
        "maximum",
        "softmax",
        "softplus",
        "where",
        "where constants",
        "modulus",
    ],
)
def test_one_meaning_everywhere(function):
    """Constants keep float64 on torch: 0.1 in float32 is wrong in the ninth digit."""
    agree(function, X)


@pytest.mark.parametrize("name", ["solve", "solve vector", "cayley", "transpose"])
def test_matrices(name):
    a = np.random.default_rng(0).standard_normal((3, 3))
    function, points = {
        "solve": (dm.solve, (a, a.T.copy())),
        "solve vector": (dm.solve, (a, X)),
        "cayley": (dm.cayley, (a - a.T,)),
        "transpose": (dm.transpose, (a,)),
    }[name]
    agree(function, *points, tolerance=1e-12)


def test_stack_spreads_a_constant_over_the_batch():
    batch = np.ones((4, 2))
    assert dm.stack((batch[..., 0], 0.5)).shape == (4, 2)


def test_softmax_does_not_overflow_and_sums_to_one():
    y = dm.softmax(np.array([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3])


def test_softplus_and_sigmoid_at_the_ends():
    np.testing.assert_allclose(dm.softplus(np.array([-1e3, 0.0, 1e3])), [0.0, np.log(2), 1e3])
    np.testing.assert_allclose(dm.sigmoid(np.array([-1e3, 0.0, 1e3])), [0.0, 0.5, 1.0])


def test_cayley_is_its_own_inverse_and_orthogonal_for_skew():
    a = np.random.default_rng(0).standard_normal((2, 5, 5))
    q = dm.cayley(a - np.swapaxes(a, -1, -2))
    np.testing.assert_allclose(
        q @ np.swapaxes(q, -1, -2), np.broadcast_to(np.eye(5), (2, 5, 5)), atol=1e-13
    )
    np.testing.assert_allclose(dm.cayley(q), a - np.swapaxes(a, -1, -2), atol=1e-11)


def test_torch_arrays_keep_their_dtype():
    import torch

    x = torch.ones(2, dtype=torch.float32)
    for out in (
        dm.stack((x[0], 0.1)),
        dm.concat((x, np.ones(1))),
        dm.maximum(x, 0.1),
        dm.where(x > 0, x, 0.5),
        dm.cayley(torch.ones(2, 2)),
    ):
        assert out.dtype == torch.float32


def test_errors():
    with pytest.raises(ValueError, match="at least one array"):
        dm.stack(())
    with pytest.raises(ValueError, match="3 equal parts do not divide"):
        dm.split(np.zeros(4), 3)


def test_tensors_copies_whatever_comes():
    import torch

    source = np.ones(2)
    copy = arrays.tensors(source)
    copy[0] = 5
    assert source[0] == 1.0
    for given in (
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2], dtype=np.int8),
        np.array([True, False]),
        torch.ones(2, requires_grad=True),
    ):
        assert arrays.tensors(given).dtype == np.float64
    assert arrays.tensors([1j]).dtype == complex
