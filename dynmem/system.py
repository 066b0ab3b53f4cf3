"""Systems: frozen records of parameters with one rule.

``Map``: x_t = rule(x_(t-1), u_t).  ``Flow``: dx/dt = rule(x, u).  The output is y_t =
output(x_t, u_t), by default the state. Leading axes of x and u are batch; the last axis holds the
components.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

import numpy as np

from .arrays import joined, namespace, stack, steps, tensors
from .errors import NotFiniteError, ShapeError, UnknownAttributeError
from .runtime.fields import check_construction, read_fields
from .runtime.torch_modules import is_module
from .runtime.validation import integer, public
from .typing import Array, ArrayLike, Rng

S = TypeVar("S", bound="System")
MAX_ENTRIES_IN_RECORD = 16  # a larger array is recorded by its shape
# what analyses read off a class and no user calls, and what only some systems have
HIDDEN = (
    "tile",
    "neutral",
    "formula",
    "equation",
    "branch_gain",
    "levels",
    "jump",
    "weight",
    "balanced",
)
OPTIONAL = (
    "known",
    "exponent_sum",
    "energy",
    "force",
    "drift",
    "splitting",
    "flow",
    "resampled",
)


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
@dataclass(frozen=True, eq=False, repr=False)
class System:
    """A rule with named states and parameters.

    Every class derived from ``Map`` or ``Flow`` is a frozen dataclass: its annotated names are its
    parameters, and ``dataclasses.replace(system, rho=20.0)`` makes a changed copy.

    Attributes
    ----------
    states : tuple of str
        Names of the components of the state; empty where they are numbered.
    inputs : int
        Number of inputs, 0 where the system is autonomous.
    vocabulary : int
        Number of symbols where the input is a one-hot row, 0 elsewhere: a ``drive`` may then hold
        the symbols as integers.
    source : str
        Reference: author (year), journal, equation.
    tile : int or None
        Directions that are differentiated at once, where a rule's intermediate arrays would
        outgrow the processor's cache; None for all.
    neutral : dict
        Values of parameters at which they drop out of the equation, so that formulas leave them
        out.
    equation : str
        LaTeX of the equation, where the symbols of ``dm.symbolic`` would not be readable.
    known : Known or None
        Published or exact exponents, with their tolerance and reference.
    exponent_sum : float or None
        Sum of all Lyapunov exponents, where it is exact: the divergence of a flow, or ln|det J| of
        a map, that is the same at every state.
    energy : callable or None
        ``energy(x)``, shape (..., n) to (...).
    conserves_energy : bool
        Whether the energy is a constant of the motion.
    force, drift : callable or None
        ``force(q)`` and ``drift(q, v, h)``, the exact motion without the force, of a flow that
        symplectic steps integrate.
    splitting : sequence or None
        Pairs (drift, kick) of a symplectic step whose drift is q + h v.
    flow : Flow or None
        The flow that a map integrates.
    resampled : callable or None
        ``resampled(factor)``: the same model for inputs whose samples lie farther apart.
    branch_gain : str or None
        Name of the option of ``random`` that scales a residual branch at initialisation.
    balanced : callable or None
        ``balanced()``: the state of a synapse with no memory, (n,).
    levels : int
        Number of strong levels of a stochastic synapse, for its random start.
    timed : bool
        Whether the rule takes the time, rule(self, x, u, t); read off its signature.
    clock : int
        1 for a system whose last state is the time.
    circles : dict
        Periods of the states that live on a circle, {"phase": 2 pi}.
    formula : bool
        Whether the rule is made of the functions of dynmem, so that it can be traced and compiled.
    events : tuple of Event
        Where a flow is reset: ``(dm.event(when, then),)``.
    jump, weight : callable or None
        ``jump(states, events, rng)`` and ``weight(states)`` of single stochastic synapses.

    Examples
    --------
    >>> import dynmem as dm
    >>> class Rotation(dm.Map):
    ...     angle: float = 0.5
    ...     states = ("x", "y")
    ...     def rule(self, x, u):
    ...         c, s = dm.cos(self.angle), dm.sin(self.angle)
    ...         return dm.stack((c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]))
    >>> round(dm.spectral_radius(Rotation(), [1.0, 0.0]), 12)
    1.0
    """

    # not annotated: an annotation would put them among the fields, before those of a subclass
    states = ()  # type: Any
    inputs = 0  # type: Any
    vocabulary = 0  # type: Any
    source = ""  # type: Any
    tile = None  # type: Any
    neutral = {}  # type: Any
    equation = ""  # type: Any
    known = None  # type: Any
    exponent_sum = None  # type: Any
    energy = None  # type: Any
    conserves_energy = True  # type: Any
    force = None  # type: Any
    drift = None  # type: Any
    splitting = None  # type: Any
    flow = None  # type: Any
    resampled = None  # type: Any
    branch_gain = None  # type: Any
    balanced = None  # type: Any
    levels = 1  # type: Any
    jump = None  # type: Any
    weight = None  # type: Any
    timed = False  # type: Any
    clock = 0  # type: Any
    circles = {}  # type: Any
    formula = True  # type: Any
    events = ()  # type: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls).get("__annotations__", {}):
            default = vars(cls).get(name)
            if isinstance(default, list):
                default = read_fields(cls.__name__, cls.__annotations__, {name: default})[name]
            if isinstance(default, np.ndarray):  # a default that instances must not share
                setattr(cls, name, field(default_factory=default.copy))
        if isinstance(vars(cls).get("states"), (int, np.integer)):
            cls.states = tuple(f"x{i}" for i in range(cls.states))
        if "rule" in vars(cls):
            cls.timed = len(inspect.signature(cls.rule).parameters) > 3
            wrapped = _timed_result if cls.timed else _stacked_result
            cls.rule = wrapped(cls.rule)  # type: ignore[method-assign]
        dataclass(frozen=True, eq=False, repr=False)(cls)
        check_construction(cls)
        # System refuses assignments for all; the class stays open to an explicit @dataclass
        del cls.__setattr__, cls.__delattr__
        if "__repr__" not in vars(cls):
            # an explicit @dataclass would print whole arrays
            setattr(cls, "__repr__", cls.__repr__)  # noqa: B010

    def rule(self, x: Array, u: Array | None) -> Array:
        """Right-hand side: the next state of a Map, the velocity of a Flow; shapes (..., n) and
        (..., inputs) to (..., n)."""
        raise TypeError(
            f"{type(self).__name__} has no rule: define rule(self, x, u) with the functions of "
            "dynmem (dm.sin, dm.stack ...)"
        )

    def output(self, x: Array, u: Array | None) -> Array:
        """Output y_t = output(x_t, u_t); by default the state."""
        return x

    @property
    def size(self) -> Any:
        """Number n of state components, or None where only the state passed to it has a size."""
        return len(self.states) or None

    @property
    def outputs(self) -> Any:
        """Number of components of the output."""
        if type(self).output is System.output:
            return self.size
        u = np.zeros(self.inputs) if self.inputs else None
        return np.shape(self.output(self.initial(), u))[-1]

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters as plain numbers and lists, large arrays by their shape: as a store records
        them."""
        return {f.name: plain_value(getattr(self, f.name)) for f in fields(self)}

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A state to start from, shape (n,): independent standard normal numbers by default."""
        if self.size is None:
            raise ShapeError(
                f"{type(self).__name__} names no states, so it has no state to start from: set "
                "states = (...), or pass the state (x0 of a run, starts of dm.fixed_points, x of "
                "dm.check_system)"
            )
        return np.random.default_rng(rng).standard_normal(self.size)

    if not TYPE_CHECKING:  # it would make every name an attribute for mypy and editors

        def __getattr__(self, name: str) -> Any:
            """An error for a name that a system does not have, with the one probably meant."""
            if not name.startswith("_") and hasattr(type(self), name):
                return object.__getattribute__(self, name)  # what its property raised
            raise UnknownAttributeError(self, name)

    def __dir__(self) -> list[str]:
        """Names that a user may call or read: without the hooks that this system does not set."""
        return [
            name
            for name in super().__dir__()
            if name not in HIDDEN
            and not (name in OPTIONAL and getattr(self, name, None) is None)
            and not (name == "conserves_energy" and self.energy is None)
        ]

    def __repr__(self) -> str:
        """Class, numbers and sizes on one line, never an array."""
        shown, weights = [], 0
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, System):
                shown.append(f"{f.name}={type(value).__name__}")
            elif isinstance(value, tuple) and any(isinstance(v, System) for v in value):
                shown.append(
                    f"{len(value)} {f.name if len(value) != 1 else f.name.removesuffix('s')}"
                )
            elif isinstance(value, (bool, int, float, str, np.number)) and f.repr:
                shown.append(
                    f"{f.name}={value:.6g}" if isinstance(value, float) else f"{f.name}={value}"
                )
        weights = sum(int(np.size(a)) for a in arrays_of(self))
        sizes = (
            [f"{self.size} states" if self.size != 1 else "1 state"]
            if self.size is not None
            else []
        )
        sizes += [f"{self.inputs} input{'s' * (self.inputs != 1)}"] if self.inputs else []
        sizes += [f"{weights:,} weights"] if weights else []
        return f"{type(self).__name__}({', '.join([*shown, *sizes])})"

    # Symbols are built from systems: the module that shows them is imported by name, when needed.

    def _repr_html_(self) -> str:
        """The system as a notebook shows it: equation, parameters, known exponents, reference."""
        return import_module("dynmem.display").system_html(self)

    def _repr_latex_(self) -> str | None:
        """Equations in LaTeX; None where there are more than a reader can take in."""
        return import_module("dynmem.display").latex(self)

    @classmethod
    @public
    def from_function(
        cls,
        function: Callable,
        *,
        states: Sequence[str] | int | None = None,
        inputs: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        name: str | None = None,
        events: Sequence[Any] = (),
    ) -> Any:
        """System of a plain function f(x), f(x, u), f(x, u, t), or f(x, u, name=value, ...).

        The function returns the next state (``dm.Map.from_function``) or the velocity
        (``dm.Flow.from_function``), as an array of shape (..., n) or as a sequence of n
        components. Its parameters become parameters of the system.

        Parameters
        ----------
        function : callable
            First argument: the state. A second argument without a default is the input, one named
            ``t`` or ``time`` is the time. The rest are parameters. Components are x[..., i]; where
            ``states`` is given the function may also be written for one state: ``x, y = state``,
            or x[0] and x[1].
        states : sequence of str or int, optional
            Names of the components, or how many there are.
        inputs : int, optional
            Number of inputs: 1 by default where the function takes an input.
        parameters : mapping, optional
            Values of parameters; by default those of the function's signature.
        name : str, optional
            Name of the system, that of the function by default.
        events : sequence of Event, optional
            Where a flow is reset, such as ``(dm.event(when, then),)``.

        Returns
        -------
        Map or Flow

        Raises
        ------
        TypeError
            If the function does not take a state, a parameter has no value, or is unknown.
        ShapeError
            If the function does not return n components.

        Examples
        --------
        >>> import dynmem as dm
        >>> def lorenz(state, sigma=10.0, rho=28.0, beta=8 / 3):
        ...     x, y, z = state
        ...     return sigma * (y - x), x * (rho - z) - y, x * y - beta * z
        >>> system = dm.Flow.from_function(lorenz, states=("x", "y", "z"))
        >>> system
        lorenz(sigma=10, rho=28, beta=2.66667, 3 states)
        >>> dm.jacobian(system, [1.0, 2.0, 3.0]).round(2).tolist()
        [[-10.0, 10.0, 0.0], [25.0, -1.0, -1.0], [2.0, 1.0, -2.67]]
        """
        from .functions import system_of

        return system_of(cls, function, states, inputs, dict(parameters or {}), name, tuple(events))


def _stacked_result(rule: Callable) -> Callable:
    """A rule whose result may be a tuple or list of components, or np.array of them, which is an
    array of objects where the components are dual numbers or symbols."""

    @functools.wraps(rule)
    def stacked(self, x, u):
        result = rule(self, x, u)
        kind = type(result)
        if kind is tuple or kind is list:
            return stack(tuple(result))
        return joined(result) if kind is np.ndarray and result.dtype.hasobject else result

    return stacked


def _timed_result(rule: Callable) -> Callable:
    """The same for a rule that takes the time."""

    @functools.wraps(rule)
    def stacked(self, x, u, t=None):
        if t is None:
            raise TypeError(
                f"the rule of {type(self).__name__} depends on time: pass dm.at_time(system, t)"
            )
        result = rule(self, x, u, t)
        kind = type(result)
        if kind is tuple or kind is list:
            return stack(tuple(result))
        return joined(result) if kind is np.ndarray and result.dtype.hasobject else result

    return stacked


def _refuse_assignment(self: System, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(
        f"{type(self).__name__} is frozen, {name} cannot be set: make a changed copy with "
        f"dataclasses.replace(system, {name}=...); parameters of your own class are annotated "
        "names in its body"
    )


System.__setattr__ = _refuse_assignment  # type: ignore[method-assign, assignment]
System.__delattr__ = _refuse_assignment  # type: ignore[method-assign, assignment]


def from_rest(run: Callable) -> Callable:
    """A method ``run(x, u)`` that starts at rest for x = None, takes lists and, of a system of
    numpy arrays, torch tensors; swapped arguments and wrong shapes are refused."""

    @functools.wraps(run)
    def call(self: Map, x: Array | None, u: Array) -> tuple[Array, Array]:
        u = tensors(u) if isinstance(u, (list, tuple)) else u
        x = tensors(x) if isinstance(x, (list, tuple)) else x
        if hasattr(u, "new_zeros") and is_array(x):
            x = u.new_tensor(x)
        elif hasattr(x, "new_zeros") and is_array(u):
            x = tensors(x)
        size, shape = self.size, tuple(getattr(u, "shape", ()))
        if len(shape) < 2 or (self.inputs and shape[-1] != self.inputs):
            got = f"of shape {shape}" if shape else f"{u!r:.60}"
            raise ShapeError(
                f"u is {got}: the inputs of {type(self).__name__} have shape (..., T, "
                f"{self.inputs}), one row a step; the state is the first argument, None for zero"
            )
        if x is None:
            if size is None:
                raise ShapeError(
                    f"{type(self).__name__} names no states: pass x, an array of shape (..., n)"
                )
            x = u.new_zeros(size) if hasattr(u, "new_zeros") else np.zeros(size)
        if size is not None and getattr(x, "shape", ())[-1:] != (size,):
            got = f"of shape {tuple(x.shape)}" if getattr(x, "shape", ()) else f"{x!r:.60}"
            raise ShapeError(
                f"x is {got}: the state of {type(self).__name__} has shape (..., {size}); the "
                "state is the first argument, None for zero, the inputs the second"
            )
        return run(_on_torch(self, u) if hasattr(u, "new_zeros") else self, x, u)

    return call


def _on_torch(system: S, u: Array) -> S:
    """The system with its numpy arrays as tensors of the dtype and on the device of u."""
    if not arrays_of(system):
        return system
    import torch

    return map_arrays(system, lambda a: torch.as_tensor(a, dtype=u.dtype, device=u.device))


class Map(System):
    """Discrete time: x_t = rule(x_(t-1), u_t). One step lasts ``dt`` units of time, by default 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> class Logistic(dm.Map):
    ...     r: float = 4.0
    ...     states = ("x",)
    ...     def rule(self, x, u):
    ...         return self.r * x * (1 - x)
    >>> Logistic().rule(np.array([0.25]), None).tolist()
    [0.75]
    >>> Logistic(r=3.0)
    Logistic(r=3, 1 state)
    """

    dt = 1.0  # type: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("run", "unroll"):
            if name in vars(cls):
                setattr(cls, name, from_rest(vars(cls)[name]))

    @from_rest
    def unroll(self, x: Array | None, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) and last state (..., n) for inputs u (..., T, inputs) from the
        state x (..., n), None for zero: the rule step by step, on numpy and torch.
        """
        # arrays that only count operations need not go through every step
        if unroll := getattr(namespace(u), "unroll", None):
            return unroll(self, x, u)
        states, driven = [], self.inputs > 0
        for now in steps(u):
            x = self.rule(x, now if driven else None)
            states.append(x)
        return self.output(stack(states, axis=-2), u if driven else None), x

    @from_rest
    def run(self, x: Array | None, u: Array) -> tuple[Array, Array]:
        """The same outputs and last state as ``unroll``, all steps at once where a model can.

        Shapes: x (..., n), None for the zero state, and u (..., T, inputs) to (..., T, outputs)
        and (..., n). Shapes are checked, values are not (``dm.orbit`` does); a system without
        inputs reads only the number of steps off u.
        """
        return self.unroll(x, u)


class Flow(System):
    """Continuous time: dx/dt = rule(x, u).

    Examples
    --------
    >>> import dynmem as dm
    >>> class Decay(dm.Flow):
    ...     rate: float = 0.5
    ...     states = ("x",)
    ...     def rule(self, x, u):
    ...         return -self.rate * x
    >>> bool(abs(dm.orbit(Decay(), [1.0], duration=2.0).x[-1, 0] - np.exp(-1.0)) < 1e-9)
    True
    """


def plain_value(value: Any) -> Any:
    """A parameter as JSON can hold it."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, System):
        return {"system": type(value).__name__, **value.parameters}
    if isinstance(value, (tuple, list)) and not all(np.isscalar(v) for v in value):
        return [plain_value(v) for v in value]
    if isinstance(value, (np.ndarray, np.number, tuple, list)):
        array = np.asarray(value)
        small = array.size <= MAX_ENTRIES_IN_RECORD and array.dtype.kind in "biuf"
        return array.tolist() if small else f"array{array.shape}"
    return str(value)


def is_array(value: Any) -> bool:
    """Whether a value is a numpy array."""
    return isinstance(value, np.ndarray)


def map_arrays(system: S, function: Callable, select: Callable[[Any], bool] = is_array) -> S:
    """The same system with function(array) in place of each array that it holds, in nested systems
    too. It is not validated again: torch tensors and symbols may replace arrays."""

    def change(value: Any) -> Any:
        if isinstance(value, System):
            return map_arrays(value, function, select)
        if isinstance(value, (tuple, list)) and any(
            isinstance(v, System) or select(v) for v in value
        ):
            return type(value)(change(v) for v in value)
        return function(value) if select(value) else value

    twin = object.__new__(type(system))
    for name, value in vars(system).items():
        # cached properties are computed again
        if not isinstance(getattr(type(system), name, None), cached_property):
            object.__setattr__(twin, name, change(value))
    return twin


def arrays_of(system: System) -> list[np.ndarray]:
    """The arrays that are parameters of a system, in nested systems too."""
    found: list[np.ndarray] = []
    map_arrays(system, found.append)
    return found


def inner(system: System) -> System:
    """The flow that a map integrates, or the system itself."""
    return system if system.flow is None else system.flow


def circles_of(system: System, n: int) -> np.ndarray | None:
    """Periods (n,) of the states that the system says live on circles, infinite for the others;
    None where it names none."""
    circles, names = inner(system).circles, inner(system).states
    if not any(name in circles for name in names):
        return None
    return np.array([circles.get(name, np.inf) for name in names])[:n]


def check_rule(system: System, x: np.ndarray, u: np.ndarray | None = None) -> None:
    """Refuse a rule whose result is not a state like x, or that changes x in place."""
    flow, fixed = inner(system), np.array(x)
    fixed.flags.writeable = False
    try:
        with np.errstate(all="ignore"):
            result = system.rule(fixed, u)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise TypeError(
            f"the rule of {type(flow).__name__} changes its state in place: return a new one, "
            "dm.stack((...))"
        ) from error
    shape = np.shape(result)
    if np.iscomplexobj(result) and not np.iscomplexobj(x):
        raise TypeError(
            f"the rule of {type(flow).__name__} returned complex numbers: make the real and the "
            "imaginary part components of the state, dm.stack((real, imaginary))"
        )
    if shape != x.shape:
        arrays = [
            name
            for name, value in flow.parameters.items()
            if isinstance(value, (list, str)) and np.ndim(getattr(flow, name))
        ]
        advice = (
            f"; a parameter that is an array ({', '.join(arrays)}) must fit it, and several "
            "systems are a list of them"
            if arrays
            else ""
        )
        raise ShapeError(
            f"the rule of {type(flow).__name__} returned shape {shape} for a state of shape "
            f"{x.shape}: stack its components, taken as x[..., i], on the last axis with "
            f"dm.stack((...)){advice}"
        )


def check_batch(system: System, x: np.ndarray, u: np.ndarray | None = None) -> None:
    """Refuse a rule that takes one state alone: x[0] for a component, A @ x, an ``if``, a sum over
    everything."""
    # no state, or no components; a section takes batches, and from x[0] no orbit may return to it
    if not (x.size and system.formula):
        return
    x = x.reshape(-1, x.shape[-1])[:1]
    u = u if u is None else np.asarray(u).reshape(-1, np.shape(u)[-1])[0]
    # not as many as there are components: x[0] must not pass for one of them
    several = np.repeat(x, 3 if x.shape[-1] == 2 else 2, axis=0)
    with np.errstate(all="ignore"):
        check_rule(system, x[0], u)
        one = np.asarray(system.rule(x[0], u))
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
            f"the rule of {type(inner(system)).__name__} serves one state, and is needed for many "
            "of shape (..., n): write x[..., i] for a component, x @ A.T for a matrix, dm.where "
            f"for an if, axis=-1 for a sum{reason}"
        )


def as_system(
    system: Any,
    kind: type[S] = System,  # type: ignore[assignment]
    *,
    timed: bool = False,
) -> S:
    """The system itself if it is of the kind required, that of a torch module; otherwise an
    error with what to do.

    ``timed``: whether a rule that depends on time is served.
    """
    if isinstance(system, kind):
        if not timed and inner(system).timed:
            raise TypeError(
                f"the rule of {type(inner(system)).__name__} depends on time, which this function "
                "does not follow: pass dm.StroboscopicMap(flow, period), or dm.at_time(system, t)"
            )
        return system
    if is_module(system):  # converted by name, when needed: models stand above
        return as_system(import_module("dynmem.models.conversion").from_torch(system), kind)
    if isinstance(system, Flow) and kind is Map:
        raise TypeError(
            f"{type(system).__name__} is a Flow and a Map is needed: pass dm.FlowMap(flow, dt)"
        )
    if isinstance(system, Map) and kind is Flow:
        raise TypeError(
            f"{type(system).__name__} is a Map and a Flow is needed: a Map steps by itself, pass "
            "it where a Map is taken"
        )
    if isinstance(system, type) and issubclass(system, System):
        raise TypeError(f"{system.__name__} is a class: pass an instance, {system.__name__}(...)")
    if isinstance(system, (list, tuple)) and system and isinstance(system[0], System):
        raise TypeError(
            f"expected one {kind.__name__}, got a list of {len(system)}: only dm.lyapunov_spectrum "
            "takes several at once, call this function for each"
        )
    if isinstance(system, str):
        raise TypeError(
            f"expected a dynmem {kind.__name__}, got the name {system!r}: pass "
            f"dm.systems.get({system!r}) or dm.models.get({system!r}, units=...)"
        )
    advice = (
        "the system is the first argument, the state the second"
        if isinstance(system, (list, tuple, np.ndarray, float, int))
        else "make one of a plain function by dm.Map.from_function or dm.Flow.from_function, or of "
        "a torch module by dm.models.from_torch"
    )
    raise TypeError(f"expected a dynmem {kind.__name__}, got {type(system).__name__}: {advice}")


def as_state(system: System, x: ArrayLike, name: str = "x") -> np.ndarray:
    """x as a float64 array of shape (..., n), checked against the system's size."""
    if isinstance(x, System):
        raise TypeError(
            f"{name} is a {type(x).__name__}: the system is the first argument, the state the "
            "second; several systems are one list"
        )
    try:
        values = tensors(x)
    except ValueError:  # rows of unequal length
        values = np.asarray(None)
    if values.dtype.kind not in "fc":
        order = f", in the order {', '.join(system.states[:8])}" if system.states else ""
        raise ShapeError(f"{name} must be an array of numbers{order}, got {x!r:.60}")
    if values.ndim == 0:
        raise ShapeError(
            f"{name} must have shape (..., n), got a single number: pass [{values}]; an input is "
            "passed by keyword, drive=..."
        )
    if system.size is not None and values.shape[-1] != system.size:
        names = f" ({', '.join(system.states)})" if 0 < len(system.states) <= 8 else ""
        raise ShapeError(
            f"{name} has {values.shape[-1]} components, {type(system).__name__} has {system.size} "
            f"states{names}: pass shape (..., {system.size})"
        )
    if not np.isfinite(values).all():
        raise NotFiniteError(
            f"{name} holds NaN or infinity: {type(system).__name__} cannot start there"
        )
    return values


def as_input(system: System, u: ArrayLike | None, name: str = "u") -> Any:
    """u as a float64 array of shape (..., inputs), or None for a system without input."""
    if u is None:
        return None
    values = tensors(u)
    if values.dtype.kind not in "fc":
        raise ShapeError(f"{name} must be an array of numbers, got {u!r:.60}")
    if values.ndim == 0 or values.shape[-1] != system.inputs:
        if not system.inputs:
            raise ShapeError(f"{type(system).__name__} takes no input: leave {name} out")
        has = values.shape[-1] if values.ndim else "no axis of"
        raise ShapeError(
            f"{name} has {has} inputs, {type(system).__name__} takes {system.inputs}: pass shape "
            f"(..., {system.inputs})"
        )
    if not np.isfinite(values).all():
        raise NotFiniteError(f"{name} holds NaN or infinity")
    return values


def component_index(system: System, component: str | int, n: int) -> int:
    """Index of one of n components, from its name or index."""
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
