"""Arrays that count the multiply-adds and elementwise operations of a rule, from shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, prod
from typing import ClassVar

import numpy as np

from ...arrays import Numpy


class UncountedError(TypeError):
    """An operation of unknown cost, or a conversion after which nothing would be counted."""


# numpy functions that move numbers about, and count nothing
FREE_FUNCTIONS = {
    "concatenate",
    "stack",
    "reshape",
    "transpose",
    "swapaxes",
    "moveaxis",
    "broadcast_to",
    "broadcast_arrays",
    "expand_dims",
    "squeeze",
    "ravel",
    "take",
    "take_along_axis",
    "split",
    "array_split",
    "flip",
    "roll",
    "tile",
    "repeat",
    "copy",
    "shape",
    "ndim",
    "size",
    "zeros_like",
    "ones_like",
    "empty_like",
    "real",
    "imag",
    "pad",
    "atleast_1d",
    "atleast_2d",
    "iscomplexobj",
    "isrealobj",
    "result_type",
    "diagonal",
}
# one operation for each number of the result
PER_RESULT_FUNCTIONS = {"where", "clip", "nan_to_num"}
# one operation for each number of the argument
REDUCTIONS = {
    "sum",
    "mean",
    "max",
    "amax",
    "min",
    "amin",
    "prod",
    "cumsum",
    "any",
    "all",
    "argmax",
    "argmin",
    "trace",
}
OPERATIONS_OF_COMPLEX_UFUNCS = {
    "multiply": 6,
    "divide": 11,
    "absolute": 4,
    "add": 2,
    "subtract": 2,
    "negative": 2,
    "conjugate": 1,
}
OPERATIONS_OF_OTHER_COMPLEX_UFUNCS = 8


@dataclass
class Tally:
    """Counts of multiply-adds (a product and its sum), of elementwise operations, and of the
    numbers that either computes."""

    multiply_adds: int = 0
    elementwise: int = 0
    numbers: int = 0

    def add(self, other, times=1):
        """Count another tally, several times."""
        self.multiply_adds += times * other.multiply_adds
        self.elementwise += times * other.elementwise
        self.numbers += times * other.numbers


class Counted(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose operations are counted, with the length of the chain of operations that led to
    it (``depth``).

    A tanh, an exponential, an addition or a comparison counts one for each number of the result, a
    sum one for each of its argument; a matrix product one multiply-add for each pair; copies,
    slices and operations on plain arrays alone count nothing. Complex numbers count as
    their real and imaginary parts do; a Fourier transform of length n counts 5 n log2 n, of real
    numbers half of it.

    >>> tally = Tally()
    >>> y = np.tanh(Counted(np.ones(3), tally) @ np.ones((3, 5)))
    >>> tally.multiply_adds, tally.elementwise, y.depth
    (15, 5, 2)
    """

    __slots__ = ("value", "tally", "depth")
    __namespace__: ClassVar[type[Numpy]]  # Counting, set below

    def __init__(self, value, tally, depth=0):
        self.value, self.tally, self.depth = value, tally, depth

    shape = property(lambda self: np.shape(self.value))
    ndim = property(lambda self: np.ndim(self.value))
    size = property(lambda self: np.size(self.value))
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: self._moved(self.value.T))
    real = property(lambda self: self._moved(self.value.real))
    imag = property(lambda self: self._moved(self.value.imag))

    def __repr__(self):
        return f"Counted(shape={self.shape}, depth={self.depth})"

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return self._moved(self.value[key])

    def __bool__(self):
        return bool(self.value)

    def __array__(self, *_, **__):
        raise UncountedError(
            "a counting array cannot become a plain one: what follows would not be counted"
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "reduce":
            return _apply("sum", lambda *a: ufunc.reduce(*a, **kwargs), inputs)
        if method != "__call__" or kwargs:
            raise UncountedError(
                f"the operations of numpy's {ufunc.__name__}.{method} with "
                f"{', '.join(kwargs) or 'no options'} are not known"
            )
        if ufunc is np.matmul:
            return _product(*inputs)
        plain = _plain(inputs)
        value = ufunc(*plain)
        operations, complex_args = 1, [np.iscomplexobj(a) for a in plain]
        if any(complex_args):
            operations = OPERATIONS_OF_COMPLEX_UFUNCS.get(
                ufunc.__name__, OPERATIONS_OF_OTHER_COMPLEX_UFUNCS
            )
        if ufunc is np.multiply and any(complex_args) and not all(complex_args):
            operations = 2  # a real factor
        return _counted(value, inputs, elementwise=operations * np.size(value))

    def __array_function__(self, function, types, args, kwargs):
        name = function.__name__
        if function.__module__.startswith("numpy.fft"):
            return _transformed(function, args, kwargs)
        if name == "einsum":
            return _einsum(args, kwargs)
        if name == "solve":
            return _solved(*args)
        if name not in FREE_FUNCTIONS | PER_RESULT_FUNCTIONS | REDUCTIONS:
            raise UncountedError(
                f"the operations of numpy's {name} are not known: add it to "
                f"{__name__}, or write it with dynmem's vocabulary"
            )
        return _apply(name, lambda *a: function(*a, **kwargs), args)

    def _moved(self, value):
        return Counted(value, self.tally, self.depth)

    def reshape(self, *shape):
        return self._moved(self.value.reshape(*shape))

    def swapaxes(self, a, b):
        return self._moved(self.value.swapaxes(a, b))

    def transpose(self, *axes):
        return self._moved(self.value.transpose(*axes))

    def astype(self, *args, **kwargs):
        return self._moved(self.value.astype(*args, **kwargs))

    def copy(self):
        return self._moved(self.value.copy())

    def sum(self, axis=None, keepdims=False):
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        return np.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis=None, keepdims=False):
        return np.max(self, axis=axis, keepdims=keepdims)

    def any(self, axis=None):
        return np.any(self, axis=axis)

    def cumsum(self, axis=None):
        return np.cumsum(self, axis=axis)

    def clip(self, *bounds):
        return np.clip(self, *bounds)


def _plain(args):
    """The arguments with plain arrays in place of counted ones, in lists too."""
    return [
        a.value
        if isinstance(a, Counted)
        else type(a)(_plain(a))
        if isinstance(a, (list, tuple))
        else a
        for a in args
    ]


def _counted_args(args):
    for a in args:
        if isinstance(a, Counted):
            yield a
        elif isinstance(a, (list, tuple)):
            yield from _counted_args(a)


def _counted(value, args, *, multiply_adds=0, elementwise=0, step=1):
    """The result of an operation, wrapped and counted."""
    counted = list(_counted_args(args))
    tally, depth = counted[0].tally, max(a.depth for a in counted)
    if isinstance(value, (list, tuple)):
        return type(value)(
            Counted(each, tally, depth + step) if isinstance(each, np.ndarray) else each
            for each in value
        )
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    if step:
        tally.multiply_adds += int(multiply_adds)
        tally.elementwise += int(elementwise)
        tally.numbers += np.size(value) * (2 if np.iscomplexobj(value) else 1)
    return Counted(value, tally, depth + step)


def _apply(name, function, args):
    plain = _plain(args)
    value = function(*plain)
    if name in FREE_FUNCTIONS:
        return _counted(value, args, step=0)
    work = (
        np.size(value)
        if name in PER_RESULT_FUNCTIONS
        else max(np.size(a.value) for a in _counted_args(args))
    )
    return _counted(value, args, elementwise=work * (2 if np.iscomplexobj(value) else 1))


def _weight(*arrays):
    """Real multiply-adds in one product of numbers of these arrays."""
    return prod(2 if np.iscomplexobj(a) else 1 for a in arrays)


def _product(a, b):
    left, right = _plain((a, b))
    value = np.matmul(left, right)
    return _counted(
        value, (a, b), multiply_adds=_weight(left, right) * np.size(value) * left.shape[-1]
    )


def _einsum(args, kwargs):
    formula, *operands = args
    plain = _plain(operands)
    value = np.einsum(formula, *plain, **kwargs)
    # each product of ones adds 1
    products = np.einsum(formula, *(np.ones(np.shape(a)) for a in plain)).sum()
    return _counted(value, operands, multiply_adds=_weight(*plain) * products)


def _solved(a, b):
    left, right = _plain((a, b))
    value, n = np.linalg.solve(left, right), left.shape[-1]
    return _counted(
        value,
        (a, b),
        multiply_adds=_weight(left, right) * (np.size(left) * n / 3 + n * np.size(value)),
    )


def _transformed(function, args, kwargs):
    value = function(*_plain(args), **kwargs)
    axis = kwargs.get("axis", -1)
    longer = max(value.shape[axis], args[0].shape[axis])
    halves = max(value.size, args[0].size) * (0.5 if "r" in function.__name__[:2] else 1.0)
    return _counted(value, args, elementwise=5 * halves * max(1.0, log2(longer)))


class Counting(Numpy):
    """The functions of ``dynmem.arrays`` on counting arrays: one operation each where numpy needs
    several, and a loop counted by two of its steps."""

    detach = staticmethod(lambda x: x.value)
    complex = staticmethod(
        lambda real, imaginary: _counted(
            Numpy.complex(*_plain((real, imaginary))), (real, imaginary), step=0
        )
    )
    sigmoid = staticmethod(lambda x: _counted(Numpy.sigmoid(x.value), (x,), elementwise=x.size))
    erf = staticmethod(lambda x: _counted(Numpy.erf(x.value), (x,), elementwise=x.size))

    @staticmethod
    def unroll(system, x, u):
        """``system.unroll`` with every step counted as the first two are; the values of later
        states are those of the second."""
        length, now = u.shape[-2], u[..., 0, :] if system.inputs else None
        first = x if isinstance(x, Counted) else Counted(np.asarray(x), u.tally)
        one = system.rule(first, now)
        tally, total = Tally(), u.tally
        two = system.rule(
            Counted(one.value, tally, one.depth),
            None if now is None else Counted(now.value, tally, now.depth),
        )
        total.add(tally, length - 1)
        chain = max(0, two.depth - one.depth)
        last = Counted(
            two.value if length > 1 else one.value, total, one.depth + (length - 1) * chain
        )
        states = np.broadcast_to(
            last.value[..., None, :], (*last.shape[:-1], length, last.shape[-1])
        )
        return system.output(Counted(states, total, last.depth), u if system.inputs else None), last


Counted.__namespace__ = Counting
