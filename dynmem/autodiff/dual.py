"""Dual numbers over numpy: the exact tangent of any rule, without a Jacobian and without a second
copy of the equation.

A ``Dual`` carries a value of shape S and a tangent that is linear in the perturbation. Two kinds of
tangent share the one table of derivatives below. ``Forward`` holds k perturbed directions, shape
(k, *S): forward mode, a whole frame pushed by one BLAS product. ``Reverse`` records the linear
steps, so that k cotangents go back through them: reverse mode.
"""

from typing import Any

import numpy as np

from ..arrays import NUMPY_FUNCTIONS, Numpy, roll


def tanh_slope(x):
    """1 - tanh(x)^2 without its cancellation: tanh is 1 to rounding from 19 on."""
    small = np.exp(-2.0 * np.abs(x))
    return 4.0 * small / (1.0 + small) ** 2


def sigmoid_slope(x):
    """s (1 - s) of the sigmoid s without its cancellation: s is 1 to rounding from 37 on."""
    small = np.exp(-np.abs(x))
    return small / (1.0 + small) ** 2


# Derivative of each elementwise function as a function of its argument x and its value y.
DERIVATIVES = {
    "tanh": lambda x, y: tanh_slope(x),
    "sigmoid": lambda x, y: sigmoid_slope(x),
    "exp": lambda x, y: y,
    "log": lambda x, y: 1.0 / x,
    "log1p": lambda x, y: 1.0 / (1.0 + x),
    "sqrt": lambda x, y: 0.5 / y,
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "tan": lambda x, y: 1.0 + y * y,
    "sinh": lambda x, y: np.cosh(x),
    "cosh": lambda x, y: np.sinh(x),
    "arctan": lambda x, y: 1.0 / (1.0 + x * x),
    "erf": lambda x, y: 2.0 / np.sqrt(np.pi) * np.exp(-x * x),
    "abs": lambda x, y: np.sign(x),
    "relu": lambda x, y: (x > 0).astype(float),
    "sign": lambda x, y: np.zeros_like(y),
    "floor": lambda x, y: np.zeros_like(y),
}


def as_objects(x, dtype):
    """Components of a number of ours as an array of objects: np.array((a, b)) in a rule, stacked
    afterwards."""
    if dtype is not None and dtype != object:
        float(x)
    parts = np.empty(x.shape, dtype=object)
    for index in np.ndindex(x.shape):
        parts[index] = x[index] if x.shape else x
    return parts


class Dual:
    """A value of shape S with a tangent (``Forward`` or ``Reverse``). Rules use it like an array:
    arithmetic, ``@``, slices, the vocabulary of ``dynmem.arrays``, and numpy's functions of the
    same names.

    >>> from dynmem.autodiff.tangents import Forward
    >>> x = Dual(np.array([0.5, 2.0]), Forward(np.eye(2)))
    >>> (x * x).tangent.array().diagonal().tolist()
    [1.0, 4.0]
    """

    __slots__ = ("value", "tangent")

    def __init__(self, value, tangent):
        self.value, self.tangent = np.asarray(value), tangent

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: self.transpose())

    def __repr__(self):
        return f"Dual(shape={self.shape}, {type(self.tangent).__name__})"

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __add__(self, other):
        if isinstance(other, Dual):
            value = self.value + other.value
            return Dual(value, self.tangent.add(other.tangent, value.shape))
        value = self.value + other
        return Dual(
            value,
            self.tangent if value.shape == self.shape else self.tangent.broadcast(value.shape),
        )

    def __mul__(self, other):
        if isinstance(other, Dual):
            value = self.value * other.value
            left, right = (
                self.tangent.scale(other.value, value.shape),
                other.tangent.scale(self.value, value.shape),
            )
            return Dual(value, left.add(right, value.shape))
        value = self.value * other
        return Dual(value, self.tangent.scale(other, value.shape))

    def __pow__(self, exponent):
        if isinstance(exponent, Dual):
            base, power = self**exponent.value, self.value**exponent
            return Dual(base.value, base.tangent.add(power.tangent, base.shape))
        value = self.value**exponent
        if isinstance(exponent, (int, float)):
            lower = exponent - 1 if exponent else 1
        else:
            lower = np.where(np.equal(exponent, 0), 1, np.subtract(exponent, 1))
        slope = exponent * self.value**lower  # at the zeroth power 0 x, not 0 / x
        # a root has an infinite slope at 0, which a state that does not move there never sees
        root = not isinstance(exponent, (int, float)) or 0 < exponent < 1
        scale = self.tangent.scale_moving if root else self.tangent.scale
        return Dual(value, scale(slope, value.shape))

    def __rpow__(self, base):
        value = np.power(base, self.value)
        return Dual(
            value,
            self.tangent.scale(value * np.log(np.where(np.equal(base, 0), 1.0, base)), value.shape),
        )

    def __mod__(self, period):
        if isinstance(period, Dual):  # a % b = a - floor(a/b) b
            whole = self - period * np.floor(self.value / period.value)
            return Dual(self.value % period.value, whole.tangent)
        value = self.value % period
        return Dual(value, self.tangent.broadcast(value.shape))

    def __rmod__(self, other):
        return (0.0 * self + other) % self

    def __neg__(self):
        return self * -1.0

    def __pos__(self):
        return self

    def __abs__(self):
        return _Duals.abs(self)

    def __sub__(self, other):
        return self + (-other if isinstance(other, Dual) else 0.0 - other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * (other**-1.0 if isinstance(other, Dual) else 1.0 / np.asarray(other))

    def __rtruediv__(self, other):
        return self**-1.0 * other

    __radd__, __rmul__ = __add__, __mul__

    def __matmul__(self, other):
        other = other if isinstance(other, Dual) else np.asarray(other)
        if other.ndim == 1:
            return _Duals.sum(self * other) if self.ndim == 1 else (self @ other[:, None])[..., 0]
        if self.ndim == 1:
            return (
                (self[None, :] @ other)[..., 0, :]
                if other.ndim > 2 or isinstance(other, Dual)
                else self._right(other)
            )
        if isinstance(other, Dual):
            value = self.value @ other.value
            left = self.tangent.matmul(other.value, value.shape)
            return Dual(
                value, left.add(other.tangent.rmatmul(self.value, value.shape), value.shape)
            )
        return self._right(other)

    def _right(self, matrix):
        value = self.value @ matrix
        return Dual(value, self.tangent.matmul(matrix, value.shape))

    def __rmatmul__(self, other):
        other = np.asarray(other)
        if self.ndim == 1:
            return self @ (other if other.ndim == 1 else other.swapaxes(-1, -2))
        if other.ndim == 1:
            return (other[None, :] @ self)[..., 0, :]
        value = other @ self.value
        return Dual(value, self.tangent.rmatmul(other, value.shape))

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        value = self.value[key]
        return Dual(value, self.tangent.index(key, np.shape(value)))

    def sum(self, axis=None, keepdims=False):
        axes = range(self.ndim) if axis is None else [a % self.ndim for a in np.atleast_1d(axis)]
        value = self.value.sum(axis=tuple(axes), keepdims=keepdims)
        return Dual(value, self.tangent.sum(tuple(a + 1 for a in axes), keepdims, value.shape))

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size)

    def reshape(self, *shape):
        value = self.value.reshape(*shape)
        return Dual(value, self.tangent.reshape(value.shape))

    def transpose(self, *axes):
        value = self.value.transpose(*axes)
        axes = (
            axes[0]
            if len(axes) == 1 and not np.isscalar(axes[0])
            else axes or tuple(reversed(range(self.ndim)))
        )
        return Dual(
            value, self.tangent.transpose((0, *(a % self.ndim + 1 for a in axes)), value.shape)
        )

    def swapaxes(self, a, b):
        axes = list(range(self.ndim))
        axes[a], axes[b] = axes[b], axes[a]
        return self.transpose(tuple(axes))

    def __lt__(self, other):
        return self.value < _value(other)

    def __le__(self, other):
        return self.value <= _value(other)

    def __gt__(self, other):
        return self.value > _value(other)

    def __ge__(self, other):
        return self.value >= _value(other)

    def __eq__(self, other):
        return self.value == _value(other)

    def __ne__(self, other):
        return self.value != _value(other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self):
        return bool(self.value)

    def __array__(self, dtype=None, copy=None):
        return as_objects(self, dtype)

    def __float__(self):
        raise TypeError(
            "a dual number cannot become a float: build a state with dm.stack or dm.concat, "
            "and use dm.sin and its kin (not math.sin) inside a rule"
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        operation = _UFUNCS.get(ufunc) or NUMPY_FUNCTIONS.get(ufunc.__name__)
        if method != "__call__" or kwargs or operation is None:
            raise TypeError(
                f"numpy's {ufunc.__name__} is not in the vocabulary of a rule: use "
                "the functions of dynmem "
                f"({', '.join(sorted(DERIVATIVES))}) and arithmetic"
            )
        return operation(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        operation = _FUNCTIONS.get(function)
        if operation is None:
            raise TypeError(
                f"numpy's {function.__name__} is not in the vocabulary of a rule: use "
                "dm.stack, dm.concat, dm.sum, dm.where"
            )
        return operation(*args, **kwargs)


def _value(x):
    return x.value if isinstance(x, Dual) else x


def _join(arrays, axis):
    """Concatenate values and tangents; arrays without a tangent are constants."""
    values = [np.asarray(_value(a)) for a in arrays]
    value = np.concatenate(values, axis=axis)
    kind = next(type(a.tangent) for a in arrays if isinstance(a, Dual))
    parts = [a.tangent if isinstance(a, Dual) else None for a in arrays]
    axis %= value.ndim
    return Dual(value, kind.concat(parts, [v.shape[axis] for v in values], axis, value.shape))


class _Duals:
    """Dual numbers under the vocabulary's names."""

    sum = staticmethod(lambda x, axis=-1: x.sum(axis=axis))
    transpose = staticmethod(lambda x: x.swapaxes(-1, -2))
    detach = staticmethod(_value)
    concat = staticmethod(lambda arrays, axis=0: _join(arrays, axis))

    @staticmethod
    def stack(arrays, axis=0):
        shape = np.broadcast_shapes(*(np.shape(_value(a)) for a in arrays))
        axis %= len(shape) + 1
        key = (slice(None),) * axis + (None,)
        wide = [a if np.shape(_value(a)) == shape else a + np.zeros(shape) for a in arrays]
        return _join([(a if isinstance(a, Dual) else np.asarray(a))[key] for a in wide], axis)

    @staticmethod
    def moveaxis(x, source, destination):
        axes = list(range(x.ndim))
        axes.insert(destination % x.ndim, axes.pop(source % x.ndim))
        return x.transpose(tuple(axes))

    @staticmethod
    def where(condition, x, y):
        mask = np.asarray(_value(condition), dtype=bool)
        return _Duals._chosen(mask, x) + _Duals._chosen(~mask, y)

    @staticmethod
    def _chosen(mask, x):
        """x with zeros where the mask leaves it out: an infinite value or slope there does not
        become NaN."""
        value = np.where(mask, _value(x), 0.0)
        return Dual(value, x.tangent.select(mask, value.shape)) if isinstance(x, Dual) else value

    @staticmethod
    def maximum(x, y):
        left = _value(x)
        return _Duals.where((left > _value(y)) | np.isnan(left), x, y)  # NaN goes on, as in numpy

    @staticmethod
    def solve(a, b):
        """Solution x of a x = b; from a dx + da x = db."""
        x = np.linalg.solve(_value(a), _value(b))
        inverse = np.linalg.inv(_value(a))
        change = (b if isinstance(b, Dual) else 0.0 * x) - (
            a @ x if isinstance(a, Dual) else 0.0 * x
        )
        return inverse @ change + (x - inverse @ _value(change))


def _elementwise(name, slope):
    def function(x):
        value = getattr(Numpy, name)(x.value)
        scale = x.tangent.scale_moving if name == "sqrt" else x.tangent.scale
        return Dual(value, scale(slope(x.value, value), value.shape))

    return staticmethod(function)


for _name, _slope in DERIVATIVES.items():
    setattr(_Duals, _name, _elementwise(_name, _slope))
Dual.__namespace__ = _Duals  # type: ignore[attr-defined]

# numpy's operators with a dual number on either side
_UFUNCS: dict[Any, Any] = {
    np.add: lambda a, b: b + a if isinstance(b, Dual) else a + b,
    np.subtract: lambda a, b: a - b if isinstance(a, Dual) else b.__rsub__(a),
    np.multiply: lambda a, b: b * a if isinstance(b, Dual) else a * b,
    np.divide: lambda a, b: a / b if isinstance(a, Dual) else b.__rtruediv__(a),
    np.power: lambda a, b: a**b if isinstance(a, Dual) else b.__rpow__(a),
    np.remainder: lambda a, b: a % b if isinstance(a, Dual) else b.__rmod__(a),
    np.matmul: lambda a, b: a @ b if isinstance(a, Dual) else b.__rmatmul__(a),
    np.negative: lambda a: -a,
    **{
        f: (lambda a, b, f=f: f(_value(a), _value(b)))
        for f in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
    },
}


def _norm(x, order, axis):
    if order not in (None, 2) or (axis is None and x.ndim > 1):
        raise TypeError("np.linalg.norm in a rule is that of vectors: dm.sqrt(dm.sum(x * x))")
    return _Duals.sqrt((x * x).sum(-1 if axis is None else axis))


def _rolled(x, shift, axis):
    if axis not in (-1, x.ndim - 1) and x.ndim > 1:
        raise TypeError("np.roll in a rule takes axis=-1, the components of a state: dm.roll(x, k)")
    return roll(x, shift)


_FUNCTIONS = {
    np.stack: _Duals.stack,
    np.concatenate: _Duals.concat,
    np.sum: lambda x, axis=None, keepdims=False: x.sum(axis, keepdims),
    np.mean: lambda x, axis=None, keepdims=False: x.mean(axis, keepdims),
    np.where: _Duals.where,
    np.clip: NUMPY_FUNCTIONS["clip"],
    np.dot: lambda a, b: a @ b,
    np.linalg.norm: lambda x, ord=None, axis=None: _norm(x, ord, axis),
    np.roll: lambda x, shift, axis=None: _rolled(x, shift, axis),
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.zeros_like: lambda x: np.zeros(x.shape),
    np.ones_like: lambda x: np.ones(x.shape),
    np.reshape: lambda x, shape: x.reshape(shape),
    np.swapaxes: lambda x, a, b: x.swapaxes(a, b),
    np.moveaxis: _Duals.moveaxis,
    np.transpose: lambda x, axes=None: x.transpose(*(axes or ())),
}
