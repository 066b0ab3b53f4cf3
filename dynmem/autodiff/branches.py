"""Branches of a rule: which way each ``sign``, ``where``, ``floor``, ``%``, ``abs`` and comparison
of it goes at a state, and the rule as it is on one branch, held beyond where that branch ends.

A rule is called with a ``Branched`` array, a numpy array or a dual number that writes each decision
into a ``Record``, or takes it from one. On one branch a rule is smooth; where an argument of a
decision crosses zero (a whole number, of ``floor``), the next branch begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import arrays
from ..arrays import ELEMENTWISE, NUMPY_FUNCTIONS, namespace, roll
from ..system import Flow
from .dual import as_objects

SIDE, WHOLE = "side", "whole"  # of zero, and the whole number below


class Record:
    """The decisions of one call of a rule, in order: their kinds, arguments (arrays or dual
    numbers) and modes (side -1, 0 or 1 of zero, or the whole number below), and whether the value
    itself may jump there, or its slope alone. With ``modes`` the decisions are taken from these."""

    def __init__(self, modes: list | None = None):
        self.given = modes
        self.kinds: list[str] = []
        self.arguments: list[Any] = []
        self.modes: list[np.ndarray] = []
        self.may_jump: list[bool] = []

    def decide(self, kind, argument, may_jump):
        """The mode of the next decision, an array of floats."""
        if self.given is None:
            value = np.asarray(namespace(argument).detach(argument), float)
            mode = np.sign(value) if kind is SIDE else np.floor(value)
        else:
            mode = self.given[len(self.modes)]
        self.kinds.append(kind)
        self.arguments.append(argument)
        self.modes.append(mode)
        self.may_jump.append(may_jump)
        return mode


class Branched(np.lib.mixins.NDArrayOperatorsMixin):
    """An array, or a dual number, of a rule whose decisions are recorded."""

    __slots__ = ("inside", "record")

    def __init__(self, inside, record):
        self.inside, self.record = inside, record

    shape = property(lambda self: np.shape(self.inside))
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape)))
    dtype = property(lambda self: self.inside.dtype)
    T = property(lambda self: Branched(self.inside.T, self.record))

    def __len__(self):
        return len(self.inside)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return Branched(self.inside[key], self.record)

    def __bool__(self):
        raise TypeError("a rule asks whether a number is true: write dm.where(condition, x, y)")

    def __float__(self):
        raise TypeError("a rule needs the value of a number: use dm.sin, not math.sin")

    def __array__(self, dtype=None, copy=None):
        return as_objects(self, dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or kwargs:
            raise TypeError(f"numpy's {ufunc.__name__} cannot be followed in a rule")
        if ufunc in _DECIDING:
            return _DECIDING[ufunc](_record(inputs), *inputs)
        if ufunc.__name__ in _COMPOSED:
            return NUMPY_FUNCTIONS[ufunc.__name__](*inputs)
        return Branched(ufunc(*map(_inside, inputs)), _record(inputs))

    def __array_function__(self, function, types, args, kwargs):
        if function is np.where:
            return _Branches.where(*args)
        if function is np.clip:
            return arrays.clip(*args, **kwargs)
        if function is np.roll:
            return roll(*args)
        found = function(
            *map(_inside, args), **{name: _inside(value) for name, value in kwargs.items()}
        )
        return _outside(found, _record((*args, *kwargs.values())))


def _outside(found, record):
    """What a function of numpy returned: arrays and dual numbers, alone or in a sequence, are
    followed; a shape or a count is what it is."""
    if isinstance(found, (tuple, list)):
        return type(found)(_outside(one, record) for one in found)
    return Branched(found, record) if hasattr(found, "shape") else found


def _method(name):
    def method(self, *args, **kwargs):
        return Branched(getattr(self.inside, name)(*args, **kwargs), self.record)

    return method


for _name in ("sum", "mean", "reshape", "transpose", "swapaxes"):
    setattr(Branched, _name, _method(_name))


def _inside(value):
    """What is inside, in a sequence of arrays too."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_inside, value))
    return value.inside if isinstance(value, Branched) else value


def _record(values) -> Any:
    """The record of the first that has one, in a sequence of arrays too."""
    for value in values:
        found = value if isinstance(value, Branched) else None
        if isinstance(value, (tuple, list)):
            found = _record(value)
        if found is not None:
            return found.record if isinstance(found, Branched) else found
    return None


def _compared(above, with_equal):
    """A comparison: whether a is above b (or below), by the side of a - b."""

    def decided(record, a, b):
        side = record.decide(SIDE, _inside(a) - _inside(b), True)
        holds = side > 0 if above else side < 0
        return Branched(holds | (side == 0) if with_equal else holds, record)

    return decided


def _chosen(record, mask, x, y):
    x, y = _inside(x), _inside(y)
    return Branched(namespace(x, y).where(mask, x, y), record)


def _sign(record, a):
    return Branched(record.decide(SIDE, _inside(a), True) + 0.0, record)


def _abs(record, a):
    return Branched(_inside(a) * record.decide(SIDE, _inside(a), False), record)


def _relu(record, a):
    return _chosen(record, record.decide(SIDE, _inside(a), False) > 0, a, 0.0 * _inside(a))


def _maximum(record, a, b):
    side = record.decide(SIDE, _inside(a) - _inside(b), False)
    return _chosen(record, side > 0, a, b)


def _floor(record, a):
    a = _inside(a)
    return Branched(record.decide(WHOLE, a, True) + np.zeros(np.shape(a)), record)


def _remainder(record, a, b):
    a, b = _inside(a), _inside(b)
    return Branched(a - b * record.decide(WHOLE, a / b, True), record)


_DECIDING: dict[Any, Any] = {
    np.greater: _compared(True, False),
    np.greater_equal: _compared(True, True),
    np.less: _compared(False, False),
    np.less_equal: _compared(False, True),
    np.sign: _sign,
    np.absolute: _abs,
    np.fabs: _abs,
    np.maximum: _maximum,
    np.minimum: lambda record, a, b: -_maximum(record, -a, -b),
    np.floor: _floor,
    np.ceil: lambda record, a: -_floor(record, -a),
    np.remainder: _remainder,
}
_COMPOSED = ("arctan2", "clip")  # of functions that decide


class _Branches:
    """Branched arrays under the names of a rule's functions."""

    abs, sign, relu, floor = (
        staticmethod(lambda x, f=f: f(x.record, x)) for f in (_abs, _sign, _relu, _floor)
    )
    detach = staticmethod(lambda x: namespace(x.inside).detach(x.inside))

    @staticmethod
    def where(condition, x, y):
        return _chosen(_record((condition, x, y)), _inside(condition), x, y)

    @staticmethod
    def maximum(x, y):
        return _maximum(_record((x, y)), x, y)

    @staticmethod
    def hypot(x, y):
        return Branched(arrays.hypot(_inside(x), _inside(y)), _record((x, y)))


def _inherited(name):
    def function(*args, **kwargs):
        inside = _inside(args)
        first = inside[0] if isinstance(inside[0], (tuple, list)) else inside
        return Branched(getattr(namespace(*first), name)(*inside, **kwargs), _record(args))

    return staticmethod(function)


for _name in (*ELEMENTWISE, "stack", "concat", "sum", "transpose", "solve"):
    if not hasattr(_Branches, _name):
        setattr(_Branches, _name, _inherited(_name))
Branched.__namespace__ = _Branches  # type: ignore[attr-defined]


def on_branch(flow: Any, x: Any, u: Any, modes: list | None = None) -> tuple[Any, Record]:
    """Velocity of a flow at x on the branch of these modes (by default that of x itself), and the
    record of its decisions."""
    record = Record(modes)
    found = flow.rule(Branched(x, record), u if u is None else Branched(u, record))
    return _inside(found), record


class BranchFlow(Flow):
    """A flow on one branch: the modes of its decisions are inputs, after its own."""

    inside: Flow = None  # type: ignore[assignment]
    shapes: tuple = ()

    states = property(lambda self: self.inside.states)
    size = property(lambda self: self.inside.size)
    inputs = property(
        lambda self: self.inside.inputs + sum(int(np.prod(shape)) for shape in self.shapes)
    )

    def rule(self, x, u):
        start = self.inside.inputs
        own, modes = u[:start] if start else None, []
        for shape in self.shapes:
            count = int(np.prod(shape))
            modes.append(u[start : start + count].reshape(shape) if shape else u[start])
            start += count
        return on_branch(self.inside, x, own, modes)[0]
