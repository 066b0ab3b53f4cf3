"""Systems: frozen records of parameters with one rule.

``Map``: x_t = rule(x_(t-1), u_t).  ``Flow``: dx/dt = rule(x, u).  The output is y_t = output(x_t,
u_t), by default the state. Leading axes of x and u are batch; the last axis holds the components.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from .arrays import namespace, stack, steps, tensors
from .errors import NotFiniteError, ShapeError
from .runtime.validation import integer


@dataclass(frozen=True, eq=False)
class System:
    """A rule with named states and parameters; the fields of the dataclass are the parameters.

    Class attributes that a subclass may set: ``states``, the names of the state's components;
    ``inputs``, the number of inputs (0 where the system is autonomous); ``source``, the reference.
    """

    states = ()
    inputs = 0
    source = ""
    # directions pushed at once, where a rule's intermediate arrays outgrow the processor's cache;
    # None: all
    tile = None
    neutral = {}  # parameters at values that take them out of the equation: formulas leave them out

    def rule(self, x, u):
        """Right-hand side: the next state of a Map, the velocity of a Flow; shapes (..., n) and
        (..., inputs) to (..., n)."""
        raise TypeError(
            f"{type(self).__name__} has no rule: define rule(self, x, u) with the "
            "functions of dynmem (dm.sin, dm.stack ...)"
        )

    def output(self, x, u):
        """What an observer sees of the state x that u has led to; by default the state itself."""
        return x

    @property
    def size(self):
        """Number n of state components, or None where only a state that is handed in can tell."""
        return len(self.states) or None

    @property
    def outputs(self):
        """Number of components of the output."""
        if type(self).output is System.output:
            return self.size
        return np.shape(
            self.output(self.initial(), np.zeros(self.inputs) if self.inputs else None)
        )[-1]

    @property
    def parameters(self) -> dict:
        """Parameters as plain numbers, arrays as lists of their shape: what a store records."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    def initial(self, rng=0):
        """A state to start from, shape (n,): independent standard normal numbers unless the system
        knows better."""
        if self.size is None:
            raise ShapeError(
                f"{type(self).__name__} names no states: pass x0, an array of shape "
                "(n,), or set states = (...)"
            )
        return np.random.default_rng(rng).standard_normal(self.size)

    def __str__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.parameters.items())})"


@dataclass(frozen=True, eq=False)
class Map(System):
    """Discrete time: x_t = rule(x_(t-1), u_t). One step lasts ``dt`` units of time (1 unless the
    system says otherwise).

    >>> @dataclass(frozen=True, eq=False)
    ... class Logistic(Map):
    ...     r: float = 4.0
    ...     states = ("x",)
    ...     def rule(self, x, u):
    ...         return self.r * x * (1 - x)
    >>> Logistic().rule(np.array([0.25]), None).tolist()
    [0.75]
    """

    dt = 1.0

    def unroll(self, x, u):
        """Outputs (..., T, outputs) and last state (..., n) for inputs u (..., T, inputs) from the
        state x (..., n): the rule step by step.

        On numpy and torch; no checks: for inner loops.
        """
        # arrays that only count need not go through every step
        if unroll := getattr(namespace(u), "unroll", None):
            return unroll(self, x, u)
        states, driven = [], self.inputs > 0
        for now in steps(u):
            x = self.rule(x, now if driven else None)
            states.append(x)
        return self.output(stack(states, axis=-2), u if driven else None), x

    def run(self, x, u):
        """The same outputs and last state as ``unroll``, all steps at once where a model knows how.

        Shapes: u (..., T, inputs) and x (..., n), say ``model.initial()``, to (..., T, outputs) and
        (..., n). Unchecked, for inner loops (``dm.orbit`` checks); a system without inputs reads
        off u the number of steps alone.
        """
        return self.unroll(x, u)


@dataclass(frozen=True, eq=False)
class Flow(System):
    """Continuous time: dx/dt = rule(x, u)."""


def _plain(value):
    """A parameter as JSON can hold it."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, System):
        return {"system": type(value).__name__, **value.parameters}
    if isinstance(value, (tuple, list)) and not all(np.isscalar(v) for v in value):
        return [_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.number, tuple, list)):
        array = np.asarray(value)
        return (
            array.tolist()
            if array.size <= 16 and array.dtype.kind in "biuf"
            else f"array{array.shape}"
        )
    return str(value)


def map_arrays(system, function, select=lambda value: isinstance(value, np.ndarray)):
    """The same system with function(array) in place of each array it holds, in nested systems too.
    It is not validated anew: torch tensors and symbols may stand where arrays stood."""

    def change(value):
        if isinstance(value, System):
            return map_arrays(value, function, select)
        if isinstance(value, (tuple, list)) and any(
            isinstance(v, System) or select(v) for v in value
        ):
            return type(value)(change(v) for v in value)
        return function(value) if select(value) else value

    twin = object.__new__(type(system))
    for name, value in vars(system).items():
        # those are computed anew
        if not isinstance(getattr(type(system), name, None), cached_property):
            object.__setattr__(twin, name, change(value))
    return twin


def check_rule(system, shape, x):
    """Refuse a rule whose result, of the shape given, is not a state like x."""
    if shape != x.shape:
        inner = getattr(system, "flow", system)
        arrays = [
            name
            for name, value in inner.parameters.items()
            if isinstance(value, (list, str)) and np.ndim(getattr(inner, name))
        ]
        advice = (
            f"; a parameter that is an array ({', '.join(arrays)}) must fit it, and several "
            "systems are a list of them"
            if arrays
            else ""
        )
        raise ShapeError(
            f"the rule of {type(inner).__name__} returned shape {shape} for a state "
            f"of shape {x.shape}: stack its "
            "components, taken as x[..., i], on the last axis with "
            f"dm.stack((...)){advice}"
        )


def check_batch(system, x, u=None):
    """Refuse a rule that takes one state alone: x[0] for a component, A @ x, an ``if``, a sum over
    everything."""
    if not x.size:  # no state, or no components
        return
    x = x.reshape(-1, x.shape[-1])[:1]
    u = u if u is None else np.asarray(u).reshape(-1, np.shape(u)[-1])[0]
    # not as many as there are components: x[0] must not pass for one of them
    several = np.repeat(x, 3 if x.shape[-1] == 2 else 2, axis=0)
    with np.errstate(all="ignore"):
        one = np.asarray(system.rule(x[0], u))
        check_rule(system, one.shape, x[0])
        try:
            found, reason = np.asarray(system.rule(several, u)), ""
        except (IndexError, ValueError, TypeError) as error:
            found, reason = None, f" ({type(error).__name__}: {error})"
    if (
        found is None
        or found.shape != several.shape
        or not np.allclose(found, one, rtol=1e-6, atol=1e-9, equal_nan=True)
    ):
        raise ShapeError(
            f"the rule of {type(getattr(system, 'flow', system)).__name__} serves "
            "one state, and is needed for many of shape (..., n): "
            "write x[..., i] for a component, x @ A.T for a matrix, dm.where for an "
            f"if, axis=-1 for a sum{reason}"
        )


def as_system(system, kind=System):
    """The system itself if it is of the kind asked for; otherwise an error that says what to do."""
    if isinstance(system, kind):
        return system
    if isinstance(system, Flow) and kind is Map:
        raise TypeError(
            f"{type(system).__name__} is a Flow and a Map is needed: pass dm.FlowMap(flow, dt)"
        )
    if isinstance(system, Map) and kind is Flow:
        raise TypeError(
            f"{type(system).__name__} is a Map and a Flow is needed: a Map steps by "
            "itself, pass it where a Map may stand"
        )
    if isinstance(system, type) and issubclass(system, System):
        raise TypeError(f"{system.__name__} is a class: pass an instance, {system.__name__}(...)")
    raise TypeError(
        f"expected a dynmem {kind.__name__}, got {type(system).__name__}: derive it "
        "from dm.Map or dm.Flow, "
        "or convert a torch module with dm.models.from_torch"
    )


def as_state(system, x, name="x"):
    """x as a float64 array of shape (..., n), checked against the system's size."""
    x = tensors(x)
    if x.dtype.kind not in "fc":
        raise ShapeError(f"{name} must hold numbers, got dtype {x.dtype}")
    if x.ndim == 0:
        raise ShapeError(f"{name} must have shape (..., n), got a single number: pass [{x}]")
    if system.size is not None and x.shape[-1] != system.size:
        names = f" ({', '.join(system.states)})" if 0 < len(system.states) <= 8 else ""
        raise ShapeError(
            f"{name} has {x.shape[-1]} components, {type(system).__name__} has "
            f"{system.size} states{names}: "
            f"pass shape (..., {system.size})"
        )
    if not np.isfinite(x).all():
        raise NotFiniteError(
            f"{name} holds NaN or infinity: {type(system).__name__} cannot start there"
        )
    return x


def as_input(system, u, name="u"):
    """u as a float64 array of shape (..., inputs), or None for a system that runs free."""
    if u is None:
        return None
    u = tensors(u)
    if u.ndim == 0 or u.shape[-1] != system.inputs:
        if not system.inputs:
            raise ShapeError(f"{type(system).__name__} takes no input: leave {name} out")
        has = u.shape[-1] if u.ndim else "no axis of"
        raise ShapeError(
            f"{name} has {has} inputs, {type(system).__name__} takes "
            f"{system.inputs}: pass shape (..., {system.inputs})"
        )
    if not np.isfinite(u).all():
        raise NotFiniteError(f"{name} holds NaN or infinity")
    return u


def component_index(system, component, n):
    """Index of one of n components given by its name or index."""
    if isinstance(component, str):
        if component not in system.states:
            raise ValueError(
                f"{type(system).__name__} has no component {component!r}: it has "
                f"{', '.join(system.states) or 'no names'}"
            )
        return list(system.states).index(component)
    if integer("component", component, 0) >= n:
        raise ValueError(f"component {component}: {type(system).__name__} has {n}, counted from 0")
    return int(component)
