"""Trace of a rule: the operations of one call on symbolic nodes, each only once, with the
derivatives of all of them.

A rule is called with arrays of ``Node``; every arithmetic operation and every function of
``arrays`` adds a node to a ``Trace``, or finds an equal one, so that common subexpressions are
shared from the start. sympy knows more of algebra and takes 15 to 50 times longer; formulas to be
read come from ``symbolic``, compiled code comes from here. No text of a user is parsed.
"""

import math
from collections.abc import Hashable
from dataclasses import fields
from functools import cache, cached_property

import numpy as np

from ..arrays import ELEMENTWISE, Numpy
from ..autodiff.dual import sigmoid_slope, tanh_slope
from ..symbolic import Formulas
from ..system import System

LEAVES = ("const", "x", "u", "p")
UNARY = (*ELEMENTWISE, "neg", "not")
# operations, those of the tangent included, beyond which a rule is no longer small: LLVM takes 4 s
# for 2,000
MAX_OPERATIONS = 1500


class UntraceableError(TypeError):
    """A rule does something that cannot be written down as operations on numbers."""


class TooLargeError(UntraceableError):
    """A rule takes more operations than machine code is made for."""


class Trace:
    """Nodes in the order in which they were made: ``entries[i]`` is (operation, *operands),
    operands being indices or constants."""

    def __init__(self):
        self.entries, self.index, self.work = [], {}, 0

    def node(self, operation, *operands):
        """The node of an operation, made where there is none yet; constants are folded and neutral
        elements vanish."""
        found = _simplify(self, operation, operands)
        if found is not None:
            return found
        operands = tuple(o.index if isinstance(o, Node) else o for o in operands)
        if operation in ("add", "mul", "and", "or"):
            operands = tuple(sorted(operands))
        return self._entry((operation, *operands))

    def constant(self, value):
        return self._entry(("const", float(value)))

    def symbol(self, kind, i):
        """The i-th component of the state ("x"), the input ("u") or the parameters ("p")."""
        return self._entry((kind, i))

    def lift(self, value):
        """A node of a node, a number, or an array of one of them."""
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if isinstance(value, Node):
            return value
        if isinstance(value, (bool, int, float, np.number, np.bool_)) and not isinstance(
            value, np.complexfloating
        ):
            return self.constant(value)
        raise UntraceableError(f"a {type(value).__name__} stands where a real number is needed")

    def _entry(self, entry):
        key = (*entry, math.copysign(1.0, entry[1])) if entry[0] == "const" else entry
        if key not in self.index:
            self.work += entry[0] not in LEAVES
            if self.work > MAX_OPERATIONS:
                raise TooLargeError(f"the rule takes more than {MAX_OPERATIONS} operations")
            self.index[key] = len(self.entries)
            self.entries.append(entry)
        return Node(self, self.index[key])


class Node:
    """One number of a trace: arithmetic, comparisons and the vocabulary give further nodes. It has
    no value, and no truth."""

    __slots__ = ("trace", "index")

    def __init__(self, trace, index):
        self.trace, self.index = trace, index

    @property
    def constant(self):
        """The value, where the node is a constant, else None."""
        entry = self.trace.entries[self.index]
        return entry[1] if entry[0] == "const" else None

    def _binary(self, operation, other, swapped=False):
        if isinstance(other, np.ndarray) and other.ndim:
            return NotImplemented
        other = self.trace.lift(other)
        return self.trace.node(operation, *((other, self) if swapped else (self, other)))

    def __bool__(self):
        raise UntraceableError(
            "it asks whether a number is true while that number is not known "
            "yet: write dm.where(condition, x, y)"
        )

    def __float__(self):
        raise UntraceableError(
            "it needs the value of a number that is not known yet: use dm.sin, "
            "dm.exp and their kin in place of math's"
        )

    __int__ = __index__ = __complex__ = __float__

    def __pow__(self, exponent):
        return self._binary("pow", exponent)

    def __rpow__(self, base):
        return self._binary("pow", base, swapped=True)

    def __neg__(self):
        return self.trace.node("neg", self)

    def __pos__(self):
        return self

    def __abs__(self):
        return self.trace.node("abs", self)

    def __invert__(self):
        return self.trace.node("not", self)

    def __eq__(self, other):
        return self._binary("eq", other)

    def __ne__(self, other):
        return self._binary("ne", other)

    __hash__ = None  # type: ignore[assignment]


def _add_methods():
    binary = {
        "add": "add",
        "sub": "sub",
        "mul": "mul",
        "truediv": "div",
        "mod": "mod",
        "and": "and",
        "or": "or",
    }
    for name, operation in binary.items():
        setattr(Node, f"__{name}__", lambda a, b, op=operation: a._binary(op, b))
        setattr(Node, f"__r{name}__", lambda a, b, op=operation: a._binary(op, b, swapped=True))
    for name in ("lt", "le", "gt", "ge"):
        setattr(Node, f"__{name}__", lambda a, b, op=name: a._binary(op, b))
    for name in UNARY:  # numpy's functions call these on arrays of objects
        setattr(Node, name, lambda a, op=name: a.trace.node(op, a))


_add_methods()


def _simplify(trace, operation, operands):
    """A node that is already known for an operation on constants or neutral elements; None where
    there is work to do."""
    values = [o.constant if isinstance(o, Node) else o for o in operands]
    if operation == "select" and values[0] is not None:
        return operands[1] if values[0] else operands[2]
    if all(v is not None for v in values):
        with np.errstate(all="ignore"):
            return trace.constant(_value(operation, *map(np.float64, values)))
    if operation == "pow":
        return _power(trace, operands[0], values[1])
    left, right = (values[0], values[1]) if len(values) == 2 else (None, None)
    if operation == "add" and 0.0 in (left, right):
        return operands[1] if left == 0.0 else operands[0]
    if operation == "sub" and right == 0.0:
        return operands[0]
    if operation == "sub" and left == 0.0:
        return trace.node("neg", operands[1])
    if operation == "mul" and 1.0 in (left, right):
        return operands[1] if left == 1.0 else operands[0]
    if operation == "mul" and -1.0 in (left, right):
        return trace.node("neg", operands[1] if left == -1.0 else operands[0])
    if operation == "mul" and 0.0 in (left, right):
        return trace.constant(0.0)
    if operation == "div" and right == 1.0:
        return operands[0]
    if operation == "neg" and (entry := trace.entries[operands[0].index])[0] == "neg":
        return Node(trace, entry[1])
    return None


def _power(trace, base, exponent):
    """Small whole powers as products; None for the others."""
    if exponent is None or exponent != int(exponent) or abs(exponent) > 8:
        return None
    if exponent < 0:
        return trace.node("div", trace.constant(1.0), _power(trace, base, -exponent))
    if exponent < 2:
        return base if exponent else trace.constant(1.0)
    half = _power(trace, base, exponent // 2)
    return half * half * base if exponent % 2 else half * half


def _value(operation, *values):
    """An operation on numbers."""
    functions = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "div": np.divide,
        "pow": np.power,
        "mod": np.remainder,
        "neg": np.negative,
        "not": lambda a: not a,
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
        "select": lambda c, a, b: a if c else b,
        "tanh_slope": tanh_slope,
        "sigmoid_slope": sigmoid_slope,
    }
    return (
        functions[operation](*values)
        if operation in functions
        else getattr(Numpy, operation)(*values)
    )


class Traced(Formulas):
    """Array of nodes."""

    def __eq__(self, other):
        return np.equal(self, other, dtype=object)

    def __ne__(self, other):
        return np.not_equal(self, other, dtype=object)

    __hash__ = None  # type: ignore[assignment]


class Vocabulary:
    """The vocabulary on nodes and arrays of nodes."""

    @staticmethod
    def stack(arrays, axis=0):
        return Numpy.stack([_objects(a) for a in arrays], axis=axis).view(Traced)

    @staticmethod
    def concat(arrays, axis=0):
        return np.concatenate([_objects(a) for a in arrays], axis=axis).view(Traced)

    @staticmethod
    def where(condition, x, y):
        return _each(
            lambda c, a, b: _owner(c, a, b).node("select", *map(_owner(c, a, b).lift, (c, a, b))),
            condition,
            x,
            y,
        )

    @staticmethod
    def maximum(x, y):
        return Vocabulary.where((x > y) | (x != x), x, y)

    @staticmethod
    def solve(a, b):
        raise UntraceableError(
            "it solves a linear system, whose pivots depend on numbers not known yet"
        )

    @staticmethod
    def sum(x, axis=-1):
        return x.sum(axis=axis)

    detach, transpose = Numpy.detach, Numpy.transpose


for _name in ELEMENTWISE:
    setattr(
        Vocabulary,
        _name,
        staticmethod(
            lambda x, op=_name: _each(
                lambda a: a.trace.node(op, a) if isinstance(a, Node) else _value(op, a), x
            )
        ),
    )
Traced.__namespace__ = Node.__namespace__ = Vocabulary  # type: ignore[attr-defined]


def _owner(*values):
    return next(v.trace for v in values if isinstance(v, Node))


def _objects(array):
    return array if isinstance(array, Traced) else np.asarray(array, dtype=object)


def _each(function, *arrays):
    """function on every entry; a node where the arguments are single."""
    if not any(isinstance(a, np.ndarray) for a in arrays):
        return function(*arrays)
    found = np.frompyfunc(function, len(arrays), 1)(*(np.asarray(a, dtype=object) for a in arrays))
    return np.asarray(found, dtype=object).view(Traced)


def traced(trace, kind, count):
    """The components of a state, an input or the parameters as an array of nodes."""
    out = np.empty(count, dtype=object).view(Traced)
    out[:] = [trace.symbol(kind, i) for i in range(count)]
    return out


def with_parameters(system, take):
    """The system with take(value) in place of each real number and array it holds, in nested
    systems too, and of what it computes from them once and for all. Counts, options and parameters
    at a value that takes them out of the equation stay."""
    kind = type(system)
    floats, derived = _kinds(kind)
    twin = object.__new__(kind)
    for name, value in sorted(
        (vars(system) | {name: getattr(system, name) for name in derived}).items()
    ):
        if not (name in system.neutral and np.isscalar(value) and value == system.neutral[name]):
            value = _taken(value, take, name in floats)
        object.__setattr__(twin, name, value)
    return twin


@cache
def _kinds(kind):
    """Names of the fields that are real numbers, and of what the class computes once and for
    all."""
    derived = [name for name in dir(kind) if isinstance(getattr(kind, name), cached_property)]
    return {f.name for f in fields(kind) if f.type in (float, "float")}, derived


def _taken(value, take, is_float):
    if isinstance(value, System):
        return with_parameters(value, take)
    if isinstance(value, (float, np.floating)) or (type(value) is int and is_float):
        return take(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
        return take(value)
    if isinstance(value, (tuple, list)) and any(
        isinstance(v, (System, float, np.ndarray)) for v in value
    ):
        return type(value)(_taken(v, take, False) for v in value)
    return value


def parameter_values(system):
    """The numbers that ``with_parameters`` takes, in its order, as one array."""
    found = []
    with_parameters(system, lambda value: found.append(np.ravel(value)))
    return np.concatenate([np.zeros(0), *found]).astype(float)


def same_structure(systems):
    """Whether systems have one equation and differ in its numbers alone."""
    return (
        len({type(system) for system in systems}) == 1
        and len({_structure(system) for system in systems}) == 1
    )


def _structure(value):
    """All of a system but the values of its numbers, as something that can be compared."""
    if isinstance(value, System):
        twin = with_parameters(value, lambda number: ("number", *np.shape(number)))
        return type(value), *((name, _structure(part)) for name, part in sorted(vars(twin).items()))
    if isinstance(value, (tuple, list)):
        return tuple(map(_structure, value))
    if isinstance(value, dict):
        return tuple((name, _structure(part)) for name, part in value.items())
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value if isinstance(value, Hashable) else object()  # like no other


def trace_rule(system, size, symbols=True):
    """The trace of a rule and the nodes of its result; parameters are nodes too, or, with
    ``symbols=False``, numbers.

    Raises UntraceableError where the rule cannot be written down.
    """
    trace = Trace()
    counter = iter(range(10**9))

    def take(value):
        """Symbols in the place of a number or an array."""
        shape = np.shape(value)
        nodes = [trace.symbol("p", next(counter)) for _ in range(int(np.prod(shape)))]
        if not shape:
            return nodes[0]
        out = np.empty(len(nodes), dtype=object).view(Traced)
        out[:] = nodes
        return out.reshape(shape)

    twin = with_parameters(system, take) if symbols else system
    u = traced(trace, "u", system.inputs) if system.inputs else None
    try:
        result = twin.rule(traced(trace, "x", size), u)
    except UntraceableError:
        raise
    # whatever a user's rule does with objects that are not numbers; the rule itself is tried
    # elsewhere
    except Exception as error:
        raise UntraceableError(
            f"it fails on symbols ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
        ) from error
    result = np.atleast_1d(_objects(result))
    if result.shape != (size,):
        raise UntraceableError(f"it returns shape {result.shape} for a state of shape ({size},)")
    return trace, [trace.lift(value) for value in result]


def partials(trace, node):
    """How a node changes with its operands: a list of (coefficient, operand), or ("select",
    condition, a, b)."""
    operation, *operands = trace.entries[node.index]
    if operation in (
        *LEAVES,
        "floor",
        "sign",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "and",
        "or",
        "not",
    ):
        return []
    a, *rest = [Node(trace, i) for i in operands]
    b = rest[0] if rest else None
    one = trace.constant(1.0)
    if operation == "select":
        return ("select", a, *rest)
    if operation == "pow":
        return [(b * a ** (b - 1.0), a), (_log_power(trace, node, a), b)]
    return {
        "add": lambda: [(one, a), (one, b)],
        "sub": lambda: [(one, a), (-one, b)],
        "mul": lambda: [(b, a), (a, b)],
        "div": lambda: [(one / b, a), (-(node / b), b)],
        "neg": lambda: [(-one, a)],
        "mod": lambda: [(one, a), (-(a / b).floor(), b)],
        "tanh": lambda: [(trace.node("tanh_slope", a), a)],
        "sigmoid": lambda: [(trace.node("sigmoid_slope", a), a)],
        "exp": lambda: [(node, a)],
        "log": lambda: [(one / a, a)],
        "log1p": lambda: [(one / (one + a), a)],
        "sqrt": lambda: [(0.5 / node, a)],
        "sin": lambda: [(a.cos(), a)],
        "cos": lambda: [(-a.sin(), a)],
        "tan": lambda: [(one + node * node, a)],
        "sinh": lambda: [(a.cosh(), a)],
        "cosh": lambda: [(a.sinh(), a)],
        "arctan": lambda: [(one / (one + a * a), a)],
        "erf": lambda: [(2.0 / math.sqrt(math.pi) * (-(a * a)).exp(), a)],
        "abs": lambda: [(a.sign(), a)],
        "relu": lambda: [(Vocabulary.where(a > 0.0, 1.0, 0.0), a)],
    }[operation]()


def _log_power(trace, node, base):
    """d base^exponent / d exponent = base^exponent ln base, and 0 at base 0."""
    return Vocabulary.where(base == 0.0, 0.0, node * base.log())
