"""Time in a rule and in a drive: systems that depend on it, as systems that carry a clock.

A rule ``rule(self, x, u, t)`` and an input u(t) are functions of time. ``with_clock`` makes an
autonomous system of them by one more state, the time, with d time/dt = 1: every engine and every
integrator then serves them at the times of its own stages. Perturbations leave the clock alone, so
that a frame of tangent vectors keeps a last component of 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import concat, joined, namespace, stack
from .errors import NotFiniteError, ShapeError
from .events import Event
from .runtime.validation import choice, number, public
from .system import Flow, Map, System
from .typing import Array

INTERPOLATIONS = ("held", "linear", "cubic")


class _Frozen:
    """What a flow and a map at one time share."""

    states = property(lambda self: self.inside.states)
    inputs = property(lambda self: self.inside.inputs)
    size = property(lambda self: self.inside.size)
    source = property(lambda self: self.inside.source)
    events = property(
        lambda self: tuple(e.inside(self.inside, t=self.time) for e in self.inside.events)
    )

    def rule(self, x, u):
        return self.inside.rule(x, u, self.time)

    def output(self, x, u):
        return self.inside.output(x, u)

    def initial(self, rng=0):
        return self.inside.initial(rng)


class FrozenFlow(_Frozen, Flow):
    """A flow that depends on time, at one time."""

    inside: Flow = None  # type: ignore[assignment]
    time: float = 0.0


class FrozenMap(_Frozen, Map):
    """A map that depends on time, at one time."""

    inside: Map = None  # type: ignore[assignment]
    time: float = 0.0


@public
def at_time(system: System, t: float) -> System:
    """A system whose rule depends on time, as it is at one time: for Jacobians and eigenvalues.

    Parameters
    ----------
    system : Map or Flow
        A system with ``rule(self, x, u, t)``.
    t : float
        The time.

    Returns
    -------
    Map or Flow

    Raises
    ------
    TypeError
        If the rule does not depend on time.

    Examples
    --------
    >>> import dynmem as dm
    >>> class Mathieu(dm.Flow):
    ...     states = ("x", "v")
    ...     def rule(self, x, u, t):
    ...         return x[..., 1], -(1.0 + 0.5 * dm.cos(t)) * x[..., 0]
    >>> dm.jacobian(dm.at_time(Mathieu(), 0.0), [0.0, 0.0]).tolist()
    [[0.0, 1.0], [-1.5, -0.0]]
    """
    if not isinstance(system, System) or not system.timed:
        raise TypeError(
            f"{type(system).__name__} does not depend on time: its rule is not rule(self, x, u, t)"
        )
    frozen: Any = FrozenFlow if isinstance(system, Flow) else FrozenMap
    return frozen(system, number("t", t))


def _moved(inside, x, u, t):
    """The rule, with the time where it takes it."""
    return inside.rule(x, u, t) if inside.timed else inside.rule(x, u)


class _Clocked:
    """What a flow and a map with a clock share: the states of the system inside, and the time."""

    def _with_time(self, x, u):
        """State, input and time of the system inside."""
        return x[..., :-1], u, x[..., -1]

    @property
    def events(self):
        """Those of the system inside, which leave the time as it is."""
        return tuple(self._clocked(event) for event in self.inside.events)

    def _clocked(self, event):
        def when(x, u):
            return event.distance(self.inside, *self._with_time(x, u))

        def then(x, u):
            reset = event.reset(self.inside, *self._with_time(x, u))
            return concat((reset, x[..., -1:]))

        return Event(when, then, event.direction)

    clock = 1
    states = property(lambda self: (*self.inside.states, "time") if self.inside.states else ())
    size = property(lambda self: None if self.inside.size is None else self.inside.size + 1)
    source = property(lambda self: self.inside.source)

    def output(self, x, u):
        return self.inside.output(x[..., :-1], u)


class ClockedFlow(_Clocked, Flow):
    """dx/dt = rule(x, u, t), or rule(x, signal(t)); d time/dt = 1."""

    inside: Flow = None  # type: ignore[assignment]
    signal: Any = None

    inputs = property(lambda self: 0 if self.signal is not None else self.inside.inputs)

    def _with_time(self, x, u):
        t = x[..., -1]
        if self.signal is not None:
            u = signal_values(self.signal, t, self.inside.inputs)
        return x[..., :-1], u, t

    def rule(self, x, u):
        x, u, t = self._with_time(x, u)
        return concat((_moved(self.inside, x, u, t), (0.0 * t + 1.0)[..., None]))


class ClockedMap(_Clocked, Map):
    """x_t = rule(x_(t-1), u_t, time); the time grows by dt a step."""

    inside: Map = None  # type: ignore[assignment]

    inputs = property(lambda self: self.inside.inputs)
    dt = property(lambda self: self.inside.dt)

    def rule(self, x, u):
        x, t = x[..., :-1], x[..., -1]
        return concat((_moved(self.inside, x, u, t), (t + self.dt)[..., None]))


class InterpolatedFlow(_Clocked, Flow):
    """dx/dt = rule(x, u(t), t) with u a polynomial between two samples: its input is a row of the
    time at which the polynomial starts and its coefficients, (1 + (degree + 1) inputs,)."""

    inside: Flow = None  # type: ignore[assignment]
    degree: int = 1

    inputs = property(lambda self: 1 + (self.degree + 1) * self.inside.inputs)

    def _with_time(self, x, u):
        x, t, m = x[..., :-1], x[..., -1], self.inside.inputs
        since = (t - u[..., 0])[..., None]
        value = u[..., 1 : 1 + m]
        for i in range(1, self.degree + 1):  # the highest power first
            value = value * since + u[..., 1 + i * m : 1 + (i + 1) * m]
        return x, value, t

    def rule(self, x, u):
        x, value, t = self._with_time(x, u)
        return concat((_moved(self.inside, x, value, t), (0.0 * t + 1.0)[..., None]))


def signal_values(signal: Callable, t: Array, inputs: int) -> Array:
    """Inputs (..., inputs) of a function of time at the times t (...)."""
    try:
        value = signal(t)
    except TypeError:
        if isinstance(t, np.ndarray) or np.isscalar(t):
            raise
        value = _linearised(signal, t)
    if type(value) is np.ndarray and value.dtype.hasobject:
        value = joined(value)
    if isinstance(value, (tuple, list)):
        value = stack(tuple(v + 0.0 * t for v in value))
    shape, wanted = np.shape(value), np.shape(t)
    if shape == wanted and inputs == 1:
        return (value + 0.0 * t)[..., None]
    if shape == (*wanted, inputs):
        return value
    if shape == (inputs, *wanted):  # np.array of the inputs, each for all times
        return stack(tuple(value))
    if shape in ((), (inputs,)):  # a constant
        return value + np.zeros((*wanted, inputs))
    raise ShapeError(
        f"drive(t) returned shape {shape} for a time of shape {wanted}: the system needs "
        f"(..., {inputs}), such as dm.stack((dm.sin(t), dm.cos(t)))"
    )


def _linearised(signal, t):
    """A function of plain numbers alone, such as np.interp, at a dual number: its slope, by a
    central difference, has a part in the choice of a step only."""
    now = namespace(t).detach(t)
    if not isinstance(now, np.ndarray):  # a symbol has no value
        raise TypeError("drive(t) takes numbers alone: write it with dm.sin and its kin")
    width = 1e-6 * np.maximum(1.0, np.abs(now))
    before, value, after = (np.asarray(signal(at), float) for at in (now - width, now, now + width))
    slope = (after - before) / (2.0 * width if value.shape == now.shape else 2.0 * width[..., None])
    since = t - now
    return value + slope * (since if value.shape == now.shape else since[..., None])


def is_signal(drive: Any) -> bool:
    """Whether a drive is a function of time alone: it has one argument without a default."""
    if not callable(drive):
        return False
    try:
        arguments = inspect.signature(drive).parameters.values()
    except ValueError:  # a function without a signature, such as a numpy ufunc
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in arguments if p.kind in positional and p.default is p.empty]
    return len(needed) == 1


def has_times(drive: Any) -> bool:
    """Whether a drive is a DataArray with a coordinate ``time``."""
    return type(drive).__module__.partition(".")[0] == "xarray" and "time" in getattr(
        drive, "coords", ()
    )


@public
def signal(values: Any, *, dt: float, start: float = 0.0, interpolation: str = "linear") -> Any:
    """Input of a Flow sampled every ``dt``, with the curve between the samples.

    ``drive=dm.signal(values, dt=0.01)`` integrates the flow with an input that is a function of
    time, whatever the step of the integrator: held (of first order in dt), linear between the
    samples (of second order), or a natural cubic spline through them (of fourth order inside).

    Parameters
    ----------
    values : array_like (time,) or (time, inputs)
        Samples, the first at ``start``.
    dt : float
        Time between two samples.
    start : float, optional
        Time of the first sample, at which the run starts.
    interpolation : {"linear", "held", "cubic"}
        Curve between two samples.

    Returns
    -------
    xarray.DataArray
        Samples (time, input) with their times; any DataArray with a coordinate ``time`` may be
        passed as a drive, and is linear between its samples unless its attribute
        ``interpolation`` says otherwise.

    Raises
    ------
    ShapeError
        If the samples are not (time,) or (time, inputs), or fewer than two.

    Examples
    --------
    >>> import dynmem as dm
    >>> class Leaky(dm.Flow):
    ...     states = ("x",)
    ...     inputs = 1
    ...     def rule(self, x, u):
    ...         return -x + u
    >>> ramp = dm.signal([0.0, 10.0], dt=10.0)  # u = t
    >>> last = dm.orbit(Leaky(), [0.0], duration=10.0, drive=ramp).x[-1, 0]
    >>> bool(abs(last - (9.0 + np.exp(-10.0))) < 1e-9)
    True
    """
    import xarray as xr

    choice("interpolation", interpolation, INTERPOLATIONS)
    samples = np.asarray(values, float)
    samples = samples[:, None] if samples.ndim == 1 else samples
    if samples.ndim != 2 or len(samples) < 2:
        raise ShapeError(
            f"values have shape {np.shape(values)}: expected (time,) or (time, inputs), with at "
            "least two samples"
        )
    times = number("start", start) + number("dt", dt, above=0) * np.arange(len(samples))
    return xr.DataArray(
        samples,
        coords={"time": times},
        dims=("time", "input"),
        attrs={"interpolation": interpolation},
    )


def polynomials(drive: Any, flow: Flow) -> tuple[np.ndarray, float, float, int]:
    """Rows (intervals, 1 + (degree + 1) inputs) of a sampled input: the time at which each
    polynomial starts and its coefficients, the highest power first; the time between two samples,
    that of the first, and the degree.

    Raises
    ------
    ShapeError
        If the samples do not fit the inputs of the flow.
    ValueError
        If the times do not grow in equal steps.
    NotFiniteError
        If a sample is not finite.
    """
    values, times = np.asarray(drive.values, float), np.asarray(drive["time"].values)
    dims = drive.dims
    if times.dtype.kind not in "if":
        raise ValueError(
            f"the times of drive are {times.dtype}: make them numbers in the system's unit, "
            "drive.assign_coords(time=(drive.time - drive.time[0]) / np.timedelta64(1, 's'))"
        )
    if len(dims) == 1 and flow.inputs == 1:
        values = values[:, None]
    if values.ndim != 2 or dims[0] != "time" or values.shape[1] != flow.inputs or len(values) < 2:
        raise ShapeError(
            f"drive has dims {dims} and shape {values.shape}: expected ('time', 'input') with "
            f"{flow.inputs} inputs and at least two samples"
        )
    if not np.isfinite(values).all():
        gap = int(np.isfinite(values).all(axis=1).argmin())
        raise NotFiniteError(
            f"drive is not finite at time {times[gap]:g}: fill the gap, "
            "drive.interpolate_na('time')"
        )
    spacing = float(times[-1] - times[0]) / (len(times) - 1)
    if not spacing > 0 or np.abs(np.diff(times) - spacing).max() > 1e-6 * spacing:
        raise ValueError(
            "the times of drive do not grow in equal steps: interpolate it first, "
            "drive.interp(time=np.arange(start, end, dt))"
        )
    kind = choice("interpolation", drive.attrs.get("interpolation", "linear"), INTERPOLATIONS)
    starts = times[:-1].astype(float)
    if kind == "held":
        coefficients = [values[:-1]]
    elif kind == "linear":
        coefficients = [np.diff(values, axis=0) / spacing, values[:-1]]
    else:
        from scipy.interpolate import CubicSpline

        coefficients = list(CubicSpline(times, values, bc_type="natural").c)
    rows = np.concatenate([starts[:, None], *coefficients], axis=1)
    return rows, spacing, float(times[0]), len(coefficients) - 1


def with_clock(x: np.ndarray, start: float = 0.0) -> np.ndarray:
    """The state x (..., n) with the time as its last component."""
    return np.concatenate([x, np.full((*x.shape[:-1], 1), start)], axis=-1)
