"""The functions that a rule may use: one set that runs on numpy, dual numbers, torch and sympy.

A rule is written once, with arithmetic, ``@``, slices and the functions below, and each function
dispatches on the type of its argument. Arrays of sympy symbols are numpy arrays of dtype object.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from .runtime.torch_modules import as_numpy
from .typing import Array

ELEMENTWISE = (
    "tanh",
    "sigmoid",
    "exp",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "arctan",
    "erf",
    "abs",
    "sign",
    "relu",
    "floor",
)


def namespace(*arrays):
    """Namespace of the first argument that is not plain numpy: duals, torch or symbols, else numpy
    itself.

    >>> namespace(np.zeros(3)).__name__
    'Numpy'
    """
    for array in arrays:
        found = getattr(type(array), "__namespace__", None)
        if found is not None:
            return found
        kind = type(array).__module__.partition(".")[0]
        if kind == "torch":
            return _torch()
        if kind == "sympy" or getattr(array, "dtype", None) == object:
            return _symbols()
    return Numpy


def sequence_namespace(arrays):
    """Namespace shared by a sequence of arrays; an empty sequence is refused."""
    if not len(arrays):
        raise ValueError("stack and concat need at least one array, got none")
    return namespace(*arrays)


class Numpy:
    """numpy under the names of a rule's functions."""

    tanh, exp, log, log1p, sqrt = np.tanh, np.exp, np.log, np.log1p, np.sqrt
    sin, cos, tan, sinh, cosh, arctan = np.sin, np.cos, np.tan, np.sinh, np.cosh, np.arctan
    abs, sign, floor, where, concat, solve, sum = (
        np.abs,
        np.sign,
        np.floor,
        np.where,
        np.concatenate,
        np.linalg.solve,
        np.sum,
    )
    transpose = staticmethod(lambda x: np.swapaxes(x, -1, -2))
    detach = staticmethod(lambda x: x)
    complex = staticmethod(lambda real, imaginary: real + 1j * imaginary)
    maximum = np.maximum

    @staticmethod
    def stack(arrays, axis=0):
        """np.stack, but a constant component spreads over the batch of the others."""
        return np.stack(
            arrays if len({np.shape(a) for a in arrays}) == 1 else np.broadcast_arrays(*arrays),
            axis=axis,
        )

    @staticmethod
    def sigmoid(x):
        # never overflows, and keeps its digits far below zero, where (1 + tanh(x/2))/2 has none
        small = np.exp(-np.abs(x))
        return np.where(x < 0, small, 1.0) / (1.0 + small)

    @staticmethod
    def relu(x):
        return np.maximum(x, 0.0)

    @staticmethod
    def erf(x):
        from scipy.special import erf  # numpy has none

        return erf(x)


@cache
def _torch():
    import torch

    class Torch:
        """torch under the names of a rule's functions."""

        tanh, sigmoid, exp, log, log1p, sqrt = (
            torch.tanh,
            torch.sigmoid,
            torch.exp,
            torch.log,
            torch.log1p,
            torch.sqrt,
        )
        sin, cos, tan, sinh, cosh, arctan = (
            torch.sin,
            torch.cos,
            torch.tan,
            torch.sinh,
            torch.cosh,
            torch.arctan,
        )
        abs, sign, floor, relu, erf, solve, sum = (
            torch.abs,
            torch.sign,
            torch.floor,
            torch.relu,
            torch.erf,
            torch.linalg.solve,
            torch.sum,
        )
        transpose = staticmethod(lambda x: x.mT)
        detach = staticmethod(lambda x: x.detach())
        complex = torch.complex

        @staticmethod
        def _alike(arrays):
            """Constants as tensors of the dtype of the tensors among them: torch's own default
            would round 0.1 to float32."""
            dtype = next((a.dtype for a in arrays if isinstance(a, torch.Tensor)), torch.float64)
            return [
                a if isinstance(a, torch.Tensor) else torch.as_tensor(a, dtype=dtype)
                for a in arrays
            ]

        @staticmethod
        def where(condition, x, y):
            return torch.where(torch.as_tensor(condition), *Torch._alike((x, y)))

        @staticmethod
        def maximum(x, y):
            return torch.maximum(*Torch._alike((x, y)))

        @staticmethod
        def stack(arrays, axis=0):
            return torch.stack(torch.broadcast_tensors(*Torch._alike(arrays)), dim=axis)

        @staticmethod
        def concat(arrays, axis=0):
            return torch.cat(Torch._alike(arrays), dim=axis)

    return Torch


@cache
def _symbols():
    import sympy

    def each(function):
        lifted = np.frompyfunc(function, 1, 1)
        return staticmethod(lambda x: lifted(x) if isinstance(x, np.ndarray) else function(x))

    def choose(condition, x, y):
        return (
            sympy.Piecewise((x, condition), (y, True))
            if isinstance(condition, sympy.Basic)
            else x
            if condition
            else y
        )

    lifted_choose = np.frompyfunc(choose, 3, 1)

    class Symbols:
        """sympy under the names of a rule's functions, on arrays of dtype object."""

        tanh, exp, log, sqrt, abs = map(
            each, (sympy.tanh, sympy.exp, sympy.log, sympy.sqrt, sympy.Abs)
        )
        # its derivative is 0, not a delta function
        sign = each(lambda x: sympy.Piecewise((1, x > 0), (-1, x < 0), (0, True)))
        sin, cos, tan, sinh, cosh, arctan = map(
            each, (sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.atan)
        )
        erf = each(sympy.erf)
        log1p = each(lambda x: sympy.log(1 + x))
        sigmoid = each(lambda x: (1 + sympy.tanh(x / 2)) / 2)
        relu = each(lambda x: sympy.Piecewise((x, x > 0), (0, True)))
        floor = each(lambda x: x - sympy.Mod(x, 1))  # whose derivative sympy does not leave undone
        stack, concat, where, sum = Numpy.stack, np.concatenate, lifted_choose, np.sum
        transpose, detach = Numpy.transpose, Numpy.detach
        maximum = np.frompyfunc(lambda x, y: sympy.Piecewise((x, x > y), (y, True)), 2, 1)
        hypot = np.frompyfunc(lambda x, y: sympy.sqrt(x * x + y * y), 2, 1)
        arctan2 = np.frompyfunc(sympy.atan2, 2, 1)

        @staticmethod
        def solve(a, b):
            return np.array(sympy.Matrix(a).LUsolve(sympy.Matrix(b)), dtype=object).reshape(
                np.shape(b)
            )

    return Symbols


def _elementwise(name: str) -> Callable[[Array], Array]:
    def function(x: Array) -> Array:
        return getattr(namespace(x), name)(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{name}(x), element by element.

    Parameters
    ----------
    x : array
        numpy array, dual number, torch tensor or array of sympy expressions.

    Returns
    -------
    array
        Of the same kind and shape.

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.{name}(1.0)) == float(dm.arrays.Numpy.{name}(1.0))
    True
    """
    return function


tanh, sigmoid, exp, log, log1p, sqrt = (
    _elementwise(n) for n in ("tanh", "sigmoid", "exp", "log", "log1p", "sqrt")
)
sin, cos, tan, sinh, cosh, arctan = (
    _elementwise(n) for n in ("sin", "cos", "tan", "sinh", "cosh", "arctan")
)
erf, abs, sign, relu, floor = (  # noqa: A001
    _elementwise(n) for n in ("erf", "abs", "sign", "relu", "floor")
)


def where(condition: Array, x: Array, y: Array) -> Array:
    """x where the condition holds, else y.

    The condition is a comparison and carries no derivative.

    Parameters
    ----------
    condition : array of bool
    x, y : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.where(np.array([True, False]), 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    return namespace(x, y, condition).where(condition, x, y)


def maximum(x: Array, y: Array) -> Array:
    """The larger of x and y, element by element.

    Parameters
    ----------
    x, y : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.maximum(np.array([1.0, 3.0]), 2.0).tolist()
    [2.0, 3.0]
    """
    return namespace(x, y).maximum(x, y)


def minimum(x: Array, y: Array) -> Array:
    """The smaller of x and y, element by element.

    Parameters
    ----------
    x, y : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.minimum(np.array([1.0, 3.0]), 2.0).tolist()
    [1.0, 2.0]
    """
    return -maximum(-x, -y)


def clip(x: Array, low: Array, high: Array) -> Array:
    """x limited to the interval from low to high, element by element, as np.clip.

    Parameters
    ----------
    x, low, high : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.clip(np.array([-2.0, 0.3, 2.0]), -1.0, 1.0).tolist()
    [-1.0, 0.3, 1.0]
    """
    return minimum(maximum(x, low), high)


def hypot(x: Array, y: Array) -> Array:
    """sqrt(x^2 + y^2), element by element, scaled so that it neither over- nor underflows.

    Parameters
    ----------
    x, y : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.hypot(3.0, 4.0))
    5.0
    """
    if formula := getattr(namespace(x, y), "hypot", None):
        return formula(x, y)
    larger = maximum(abs(x), abs(y))
    scale = namespace(larger).detach(where(larger > 0.0, larger, 1.0))
    return scale * sqrt((x / scale) ** 2 + (y / scale) ** 2)


def arctan2(y: Array, x: Array) -> Array:
    """Angle of the point (x, y) from the positive x axis, in (-pi, pi], as np.arctan2.

    Parameters
    ----------
    y, x : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.arctan2(1.0, -1.0)) == 0.75 * np.pi
    True
    """
    if formula := getattr(namespace(x, y), "arctan2", None):
        return formula(y, x)
    steep = abs(y) > abs(x)
    ratio = where(steep, x, y) / where(steep, y, where(x == 0.0, 1.0, x))  # at most 1
    side = where(y < 0.0, -1.0, 1.0)
    turned = where(x < 0.0, side * np.pi, 0.0)
    return where(steep, side * (np.pi / 2), turned) + where(steep, -1.0, 1.0) * arctan(ratio)


def stack(arrays: Sequence[Array], axis: int = -1) -> Array:
    """Stack arrays along a new axis, by default the last.

    ``stack((x, y))`` builds a state of two components; constants broadcast.

    Parameters
    ----------
    arrays : sequence of array
    axis : int

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the sequence is empty.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.stack((1.0, 2.0)).tolist()
    [1.0, 2.0]
    """
    return sequence_namespace(arrays).stack(arrays, axis=axis)


def joined(parts: np.ndarray) -> Array:
    """An array of objects, which np.array makes of dual numbers, as one dual number."""
    if parts.ndim < 2:
        return stack(tuple(parts)) if parts.ndim else parts.item()
    return stack(tuple(joined(part) for part in parts), axis=0)


def concat(arrays: Sequence[Array], axis: int = -1) -> Array:
    """Join arrays along an existing axis, by default the last.

    Parameters
    ----------
    arrays : sequence of array
    axis : int

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the sequence is empty.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.concat((np.zeros(1), np.ones(2))).tolist()
    [0.0, 1.0, 1.0]
    """
    return sequence_namespace(arrays).concat(arrays, axis=axis)


def sum(x: Array, axis: int = -1) -> Array:  # noqa: A001
    """Sum over one axis, by default the last.

    Parameters
    ----------
    x : array
    axis : int

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.sum(np.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    return namespace(x).sum(x, axis=axis)


def split(x: Array, parts: int) -> tuple[Array, ...]:
    """Cut the last axis into equal parts.

    Parameters
    ----------
    x : array (..., n)
    parts : int

    Returns
    -------
    tuple of array (..., n / parts)

    Raises
    ------
    ValueError
        If the parts do not divide the axis.

    Examples
    --------
    >>> import dynmem as dm
    >>> [part.tolist() for part in dm.split(np.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    size, rest = divmod(x.shape[-1], parts)
    if rest:
        raise ValueError(
            f"the last axis has {x.shape[-1]} entries, which {parts} equal parts do not divide"
        )
    return tuple(x[..., i * size : (i + 1) * size] for i in range(parts))


def roll(x: Array, shift: int) -> Array:
    """Shift the last axis cyclically, as np.roll: neighbours on a ring.

    Parameters
    ----------
    x : array (..., n)
    shift : int

    Returns
    -------
    array (..., n)

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.roll(np.arange(4), 1).tolist()
    [3, 0, 1, 2]
    """
    shift %= x.shape[-1]
    return concat((x[..., x.shape[-1] - shift :], x[..., : x.shape[-1] - shift])) if shift else x


def softmax(x: Array) -> Array:
    """exp(x) / sum exp(x) over the last axis, shifted by the maximum so that it cannot overflow.

    Parameters
    ----------
    x : array (..., n)

    Returns
    -------
    array (..., n)

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.softmax(np.zeros(2)).tolist()
    [0.5, 0.5]
    """
    detached = namespace(x).detach(x)
    if getattr(detached, "dtype", None) != object:
        top = detached.amax(-1) if hasattr(detached, "amax") else detached.max(-1)
        x = x - top[..., None]
    weights = exp(x)
    return weights / weights.sum(axis=-1, keepdims=True)


def softplus(x: Array) -> Array:
    """ln(1 + exp(x)) without overflow.

    Parameters
    ----------
    x : array

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.softplus(np.array(1000.0)))
    1000.0
    """
    # not relu, whose slope 0 at 0 is not that of softplus, 1/2; with abs that of both terms is
    return 0.5 * (x + abs(x)) + log1p(exp(-abs(x)))


def steps(u: Array) -> Sequence[Array]:
    """The steps of a sequence (..., T, k), one array (..., k) after another.

    >>> [step.tolist() for step in steps(np.eye(2))]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    # of torch not u[:, t]: its backward pass is quadratic in T
    return u.unbind(-2) if hasattr(u, "unbind") else np.moveaxis(u, -2, 0)


def transpose(x: Array) -> Array:
    """Swap the last two axes.

    Parameters
    ----------
    x : array (..., m, n)

    Returns
    -------
    array (..., n, m)

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.transpose(np.ones((2, 3))).shape
    (3, 2)
    """
    return namespace(x).transpose(x)


def solve(a: Array, b: Array) -> Array:
    """Solution x of a x = b.

    Parameters
    ----------
    a : array (n, n)
    b : array (n,) or (n, m)

    Returns
    -------
    array

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.solve(2.0 * np.eye(2), np.ones(2)).tolist()
    [0.5, 0.5]
    """
    return namespace(a, b).solve(a, b)


def identity_like(a: Array) -> Array:
    """Identity of the size and kind of the square matrix a."""
    eye = np.eye(a.shape[-1])
    if namespace(a).__name__ == "Torch":
        return a.new_tensor(eye)
    return eye.astype(int).astype(object) if a.dtype == object else eye


def cayley(a: Array) -> Array:
    """Cayley transform (I + a)^-1 (I - a), which maps a skew-symmetric a to an orthogonal matrix.

    The same map is the bilinear step of a linear flow: cayley(-step A / 2). It is its own inverse.

    Parameters
    ----------
    a : array (n, n)

    Returns
    -------
    array (n, n)

    Examples
    --------
    >>> import dynmem as dm
    >>> q = dm.cayley(np.array([[0.0, 2.0], [-2.0, 0.0]]))
    >>> bool(np.allclose(q @ q.T, np.eye(2)))
    True
    """
    eye = identity_like(a)
    return solve(eye + a, eye - a)


def as_complex(real: Array, imaginary: Array) -> Array:
    """Complex array of two real ones, on numpy and torch; ``.real`` and ``.imag`` lead back."""
    return namespace(real).complex(real, imaginary)


def tensors(x: Array) -> np.ndarray:
    """Plain numpy float64 (or complex) array of any argument that is a number, a list, or a torch
    tensor."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("got a masked array: fill it first, with its method filled(value)")
    array = np.asarray(as_numpy(x))
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


# What a rule may call by numpy's own name, on dual numbers, symbols and traces too: name of the
# ufunc, and the function of a rule that it stands for.
NUMPY_FUNCTIONS: dict[str, Callable[..., Array]] = {
    name: globals()[name] for name in ELEMENTWISE if hasattr(np, name)
} | {
    "absolute": abs,
    "fabs": abs,
    "arctan2": arctan2,
    "ceil": lambda x: -floor(-x),
    "clip": clip,
    "exp2": lambda x: exp(np.log(2.0) * x),
    "expm1": lambda x: 2.0 * exp(0.5 * x) * sinh(0.5 * x),
    "hypot": hypot,
    "log10": lambda x: log(x) / np.log(10.0),
    "log2": lambda x: log(x) / np.log(2.0),
    "logaddexp": lambda x, y: y + softplus(x - y),
    "maximum": maximum,
    "minimum": minimum,
    "reciprocal": lambda x: 1.0 / x,
    "square": lambda x: x * x,
}

VOCABULARY = (
    *ELEMENTWISE,
    "where",
    "maximum",
    "minimum",
    "clip",
    "hypot",
    "arctan2",
    "stack",
    "concat",
    "sum",
    "split",
    "roll",
    "softmax",
    "softplus",
    "transpose",
    "solve",
    "cayley",
)
__all__ = [*VOCABULARY, "namespace", "tensors", "VOCABULARY"]
assert builtins.all(name in globals() for name in VOCABULARY)
