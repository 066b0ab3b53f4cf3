"""The input of a run: zero, white noise, an array, one input that is held, or a function, read once
for every analysis."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .arrays import tensors
from .clock import (
    ClockedFlow,
    ClockedMap,
    InterpolatedFlow,
    has_times,
    is_signal,
    polynomials,
    signal_values,
    with_clock,
)
from .errors import NotFiniteError, ShapeError
from .runtime.memory import require_memory
from .runtime.torch_modules import as_numpy
from .runtime.validation import is_real
from .system import Flow, Map, System, as_input, inner
from .typing import Drive

STEPS_PER_CHUNK = 1024  # inputs drawn at once
SHORTEST_TRANSIENT = 100  # steps


def default_transient(span: float, dt: float) -> float:
    """Time before measuring starts, where none is given: a tenth of the run (or of the longest
    lag), at least 100 steps of ``dt``; in the unit of ``span``.

    >>> default_transient(5000.0, 1.0), default_transient(10.0, 0.01)
    (500.0, 1.0)
    """
    return max(0.1 * span, SHORTEST_TRANSIENT * abs(dt))


def drive_name(drive: Any) -> Any:
    """What a Dataset records of a drive: None, the number, or the type of anything else."""
    if is_real(drive):
        return drive if np.isscalar(drive) else float(np.asarray(drive))
    if drive is None:
        return None
    if has_times(drive):
        return f"DataArray, {drive.attrs.get('interpolation', 'linear')} between samples"
    return type(drive).__name__


@dataclass(frozen=True)
class Timed:
    """A run in time: the system, with a clock as its last state where it or its drive depends on
    time, the state with the time, and the drive that is left, the rows of ``spacing`` units of time
    each where samples are interpolated."""

    system: System
    x: np.ndarray
    drive: Any
    start: float = 0.0
    spacing: float | None = None

    @property
    def clock(self):
        """1 where the last state is the time."""
        return inner(self.system).clock

    def inputs(self, stepper: Map, steps: int, rng: np.random.Generator) -> Any:
        """The input of so many steps, as ``read_drive`` returns it."""
        if self.spacing is None:
            return read_drive(stepper, self.drive, steps, rng)
        if len(self.drive) < steps:
            raise ShapeError(
                f"drive ends {len(self.drive) * self.spacing:g} after its first sample, the run "
                f"takes {steps * self.spacing:g}, transient and duration together"
            )
        return RecordedInput(self.drive[:steps])


def in_time(system: Any, x: np.ndarray, drive: Any, dt: float | None = None) -> Timed:
    """A run of a system, with a clock where its rule, or a drive of a flow, depends on time.

    A flow takes a function of time u(t) and samples with times at every stage of its integrator; a
    map takes the function at its steps, in ``read_drive``.
    """
    flow = inner(system)
    if has_times(drive) and isinstance(flow, Flow) and flow.inputs:
        if isinstance(system, Map):
            raise TypeError(
                "a FlowMap has steps of its own, and drive has times: pass the flow in its place"
            )
        rows, spacing, start, degree = polynomials(drive, flow)
        clocked: System = InterpolatedFlow(flow, degree)
        return Timed(clocked, with_clock(x, start), rows, start, spacing)
    along = drive if is_signal(drive) and isinstance(flow, Flow) else None
    if along is not None:
        _require_inputs(flow)
        signal_values(along, np.float64(0.0), flow.inputs)
    as_rows = isinstance(system, Flow) and not (callable(drive) or is_real(drive) or drive is None)
    if as_rows and dt is None and np.ndim(drive) > 1:
        raise ShapeError(
            f"drive has shape {np.shape(drive)}, one row a step, and a Flow has no step of its "
            "own: pass dt=..., or drive=dm.signal(values, dt=...) for an input that is a function "
            "of time"
        )
    if not flow.timed and along is None:
        return Timed(system, x, drive)
    if isinstance(flow, Flow):
        clocked = ClockedFlow(flow, along)
        # a FlowMap keeps its step
        clocked = clocked if isinstance(system, Flow) else replace(system, flow=clocked)
        return Timed(clocked, with_clock(x), None if along is not None else drive)
    return Timed(ClockedMap(system), with_clock(x), drive)


def read_drive(
    system: Any,
    drive: Drive,
    steps: int,
    rng: np.random.Generator,
    *,
    lags: int | None = None,
) -> ConstantInput | RecordedInput | GeneratedInput:
    """Input of a run of so many steps, as a function of the step.

    ``inputs(step)`` is the input of one step, ``inputs.block(start, count)`` those of several (or
    the one that is held), ``inputs.array()`` all of them, (steps, inputs).

    Parameters
    ----------
    system : Map or Flow
        Whose input it is.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        None: zero; a number: standard deviation of white noise, of a step of a map, and of a unit
        of time of a flow (the values held over a step dt have number/sqrt(dt)); an array with one
        row a step; one input (inputs,) that is held; a function of the step; a function
        (rng, steps) -> array, called once.
    steps : int
        Length of the run.
    rng : numpy.random.Generator
        Of the noise, and of the function.
    lags : int, optional
        The largest lag, where the run is a transient and a window of lags.

    Raises
    ------
    ShapeError
        Where the array is too short or too long, of another shape, or of labelled dims in another
        order.
    NotFiniteError
        Where the drive holds NaN or infinity.
    TypeError
        Where it is complex, masked, or no numbers.
    ValueError
        Where the number is negative or the system takes no input.
    """
    if drive is None:
        return ConstantInput(np.zeros(system.inputs) if system.inputs else None, steps)
    if is_real(drive):
        sd = float(np.asarray(drive))
        if not (np.isfinite(sd) and sd >= 0):
            raise ValueError(
                f"drive = {drive}: must be a finite number of at least 0, the standard deviation "
                "of the noise"
            )
        _require_inputs(system)
        if system.flow is not None:  # of the same strength whatever the step
            sd /= np.sqrt(abs(system.dt))
        return GeneratedInput(
            lambda rng, count: sd * rng.standard_normal((count, system.inputs)),
            rng,
            steps,
            system.inputs,
        )
    if callable(drive):
        _require_inputs(system)
        _require_inputs_fit(steps, system.inputs)
        if is_signal(drive):
            return RecordedInput(_tabulated(system, drive, steps))
        return RecordedInput(_checked(system, drive)(rng, steps))
    values = drive_values(system, drive)
    if values.ndim == 1:
        return ConstantInput(values, steps)
    if values.ndim != 2 or len(values) != steps:
        raise ShapeError(
            f"drive has shape {values.shape}, {_other_rows(values, steps, system, lags)}"
        )
    return RecordedInput(values)


def _other_rows(values, steps, system, lags):
    """What is wrong with an array that has not one row for each of the steps."""
    rows = len(values)
    if lags is not None and (values.ndim != 2 or rows <= lags):
        return f"lags up to {lags} need at least ({lags + 1}, {system.inputs})"
    needs = f"the run needs ({steps}, {system.inputs}), one row a step, transient and "
    if lags is None:
        return f"{needs}duration together: {_other_length(rows, steps, system)}"
    fits = f", or drive[-{steps}:]" if rows > steps else ""
    return f"{needs}lags together: pass transient={rows - lags - 1}{fits}"


def held_drive(system: System, drive: Drive) -> np.ndarray | None:
    """One input (inputs,) for all steps: zero for None; None where the input varies, and for a
    system without inputs."""
    if drive is None:
        return np.zeros(system.inputs) if system.inputs else None
    if is_real(drive) or callable(drive):
        return None
    values = drive_values(system, drive)
    return values if values.ndim == 1 else None


def constant_drive(system: System, drive: Drive) -> np.ndarray | None:
    """One input (inputs,) that is held: the array given, zero for None; None for a system without
    inputs."""
    if drive is None:
        return np.zeros(system.inputs) if system.inputs else None
    values = held_drive(system, drive)
    if values is None:
        _require_inputs(system)
        varies = not (is_real(drive) or callable(drive))
        got = f"drive has shape {tensors(drive).shape}" if varies else f"drive = {drive!r:.60}"
        raise ShapeError(
            f"{got}: fixed points and diagrams take one input that is held, an array of shape "
            f"({system.inputs},)"
        )
    return values


def drive_values(system: System, drive: Any) -> np.ndarray:
    """A drive given as an array, checked: real, finite, labels in order, its last axis the
    inputs."""
    if isinstance(drive, np.ma.MaskedArray):
        raise TypeError("drive is a masked array: fill it first, drive.filled(...)")
    if type(drive).__module__.partition(".")[0] == "xarray":
        _check_dims(drive)
    try:
        kind = str(getattr(drive, "dtype", None) or np.asarray(drive).dtype)
    except ValueError:  # rows of unequal length
        kind = "object"
    if "complex" in kind:
        raise TypeError("drive is complex: make its real and imaginary parts inputs of their own")
    if "bool" in kind and np.ndim(drive):
        raise TypeError("drive holds truth values: pass numbers, drive.astype(float)")
    if not ("float" in kind or "int" in kind):
        raise ValueError(
            f"drive = {drive!r:.60}: must be None, a number, an array (steps, inputs) or, for one "
            "input that is held, (inputs,), or a function (rng, steps) -> array"
        )
    shape = np.shape(drive)
    if len(shape) == 1 and system.inputs == 1 != len(drive):
        raise ShapeError(
            f"drive has shape {shape}: pass one row a step, shape ({len(drive)}, 1), as "
            "np.reshape(drive, (-1, 1))"
        )
    return as_input(system, _one_hot(system, drive), "drive")


def _one_hot(system, drive):
    """Symbols (..., steps) of a system with a vocabulary as one-hot rows; another array itself."""
    values = np.asarray(as_numpy(drive))
    if not system.vocabulary or values.dtype.kind not in "iu":
        return drive
    wrong = values[(values < 0) | (values >= system.vocabulary)]
    if wrong.size:
        raise ValueError(
            f"drive holds the symbol {wrong.flat[0]}: {type(system).__name__} has the symbols 0 to "
            f"{system.vocabulary - 1}"
        )
    return np.eye(system.vocabulary)[values]


def example_input(system: System, drive: Drive) -> np.ndarray | None:
    """An input of the kind a drive brings, at which the step of a Flow may be chosen: the array
    itself, else zero."""
    if not system.inputs:
        return None
    if drive is None or is_real(drive) or callable(drive):
        return np.zeros(system.inputs)
    return drive_values(system, drive)


@dataclass(frozen=True)
class ConstantInput:
    """One input, the same at every step; None for a system without inputs."""

    value: np.ndarray | None
    steps: int

    def __call__(self, step):
        return self.value

    def block(self, start, count):
        return self.value

    def array(self):
        if self.value is None:
            return None
        _require_inputs_fit(self.steps, self.value.size)
        return np.tile(self.value, (self.steps, 1))


@dataclass(frozen=True)
class RecordedInput:
    """Inputs (steps, inputs) from an array."""

    values: np.ndarray

    def __call__(self, step):
        return self.values[step]

    def block(self, start, count):
        return self.values[start : start + count]

    def array(self):
        return self.values


@dataclass
class GeneratedInput:
    """Inputs drawn a chunk at a time, in an order that does not depend on how they are read."""

    draw: Callable
    rng: np.random.Generator
    steps: int
    inputs: int
    chunks: dict = field(default_factory=dict)

    def chunk(self, index):
        """Inputs of one chunk; the one before it is kept too."""
        while index not in self.chunks:
            if len(self.chunks) > 1:
                self.chunks.pop(min(self.chunks))
            newest = max(self.chunks, default=-1) + 1
            left = self.steps - newest * STEPS_PER_CHUNK
            count = min(left, STEPS_PER_CHUNK) if left > 0 else STEPS_PER_CHUNK
            self.chunks[newest] = self.draw(self.rng, count)
        return self.chunks[index]

    def __call__(self, step):
        return self.chunk(step // STEPS_PER_CHUNK)[step % STEPS_PER_CHUNK]

    def block(self, start, count):
        first, last = start // STEPS_PER_CHUNK, (start + count - 1) // STEPS_PER_CHUNK
        joined = np.concatenate([self.chunk(i) for i in range(first, last + 1)])
        return joined[start - first * STEPS_PER_CHUNK :][:count]

    def array(self):
        _require_inputs_fit(self.steps, self.inputs)
        return self.block(0, self.steps) if self.steps else self.draw(self.rng, 0)


def _other_length(rows, steps, system):
    span = f"transient=0 and duration={rows * abs(system.dt):g}"
    return f"pass {span}, or drive[:{steps}]" if rows > steps else f"pass more rows, or {span}"


def _tabulated(system, drive, steps):
    """Inputs (steps, inputs) of a function of the step: of all steps at once where it takes an
    array of them, else of one after another."""
    times = np.arange(steps) * abs(system.dt)
    few = times[: min(3, steps)]
    each = [signal_values(drive, t, system.inputs) for t in few]
    try:
        found = signal_values(drive, times, system.inputs)
        together = np.allclose(found[: len(few)], each, equal_nan=True)
    except (TypeError, ValueError):  # a function of single numbers, such as math.sin
        together = False
    if not together:
        found = np.array([signal_values(drive, t, system.inputs) for t in times])
    found = np.asarray(found, float).reshape(steps, system.inputs)
    if not np.isfinite(found).all():
        raise NotFiniteError(
            f"drive(t) is not finite at t = {times[np.isfinite(found).all(axis=1).argmin()]:g}"
        )
    return found


def _require_inputs_fit(steps, inputs):
    require_memory(
        2 * 8 * steps * inputs,  # the inputs, and once more while they are drawn
        f"{inputs} inputs over {steps:.6g} steps",
        "pass a shorter duration, or fewer lags",
    )


def _require_inputs(system):
    if not system.inputs:
        name = type(inner(system)).__name__
        raise ValueError(f"{name} takes no input: leave drive out")


def _check_dims(drive):
    """Refuse labelled axes in another order than (time, input)."""
    dims, in_time = tuple(getattr(drive, "dims", ())), ("time", "step")
    if len(dims) == 2 and dims[0] not in in_time:
        turn = next((dim for dim in dims if dim in in_time), None)
        advice = f"drive.transpose({turn!r}, ...)" if turn else "drive.values, one row a step"
        raise ShapeError(f"drive has dims {dims}, expected ('time', 'input'): pass {advice}")


def _checked(system, drive):
    """The function (rng, steps), with a check of what it returns."""
    _require_inputs(system)
    try:
        inspect.signature(drive).bind(None, 1)
    except TypeError:
        raise TypeError(
            "drive is a function of other arguments: it must take (rng, steps) and return an "
            f"array (steps, {system.inputs})"
        ) from None
    except ValueError:  # a function without a signature
        pass

    def draw(rng, steps):
        inputs = np.asarray(drive(rng, steps), dtype=float)
        if inputs.shape != (steps, system.inputs):
            raise ShapeError(
                f"the drive returned shape {inputs.shape} for {steps} steps: "
                f"{type(system).__name__} needs ({steps}, {system.inputs})"
            )
        if not np.isfinite(inputs).all():
            raise NotFiniteError(
                "the drive returned NaN or infinity at step "
                f"{int(np.isfinite(inputs).all(axis=1).argmin())} of {steps}"
            )
        return inputs

    return draw
