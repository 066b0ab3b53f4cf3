"""The input of a run: zero, white noise, an array or a function, read once for every analysis."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import tensors
from .errors import NotFiniteError, ShapeError
from .runtime.validation import is_real
from .system import System, as_input, inner
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


def drive_name(drive: Drive) -> Any:
    """What a Dataset records of a drive: None, the number, or the type of anything else."""
    if is_real(drive):
        return drive if np.isscalar(drive) else float(np.asarray(drive))
    return None if drive is None else type(drive).__name__


def read_drive(
    system: System,
    drive: Drive,
    steps: int,
    rng: np.random.Generator,
    *,
    least: int | None = None,
) -> ConstantInput | RecordedInput | GeneratedInput:
    """Input of a run of so many steps, as a function of the step.

    ``inputs(step)`` is the input of one step, ``inputs.block(start, count)`` those of several (or
    the one that is held), ``inputs.array()`` all of them, (steps, inputs).

    Parameters
    ----------
    system : Map or Flow
        Whose input it is.
    drive : float, array_like (steps, inputs) or callable, optional
        None: zero; a number: standard deviation of white noise; an array with one row a step, of
        which the first ``steps`` are used; a function (rng, steps) -> array.
    steps : int
        Length of the run.
    rng : numpy.random.Generator
        Of the noise, and of the function.
    least : int, optional
        Where given, an array may be as short as this, and its last ``steps`` rows are used.

    Raises
    ------
    ShapeError
        Where the array is too short, of another shape, or of labelled dims in another order.
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
        return GeneratedInput(
            lambda rng, count: sd * rng.standard_normal((count, system.inputs)), rng, steps
        )
    if callable(drive):
        return GeneratedInput(_checked(system, drive), rng, steps)
    values = drive_values(system, drive)
    if values.ndim != 2 or len(values) < (steps if least is None else least):
        needs = (
            f"the run needs ({steps}, {system.inputs}): transient and duration together"
            if least is None
            else f"lags up to {least - 1} need at least ({least}, {system.inputs})"
        )
        raise ShapeError(f"drive has shape {values.shape}, {needs}")
    return RecordedInput(values[:steps] if least is None else values[-steps:])


def constant_drive(system: System, drive: Drive) -> np.ndarray | None:
    """One input (inputs,) that is held: the array given, zero for None; None for a system without
    inputs."""
    if drive is None:
        return np.zeros(system.inputs) if system.inputs else None
    if is_real(drive) or callable(drive):
        raise ShapeError(
            f"drive = {drive!r:.60}: must be one input that is held, an array of shape "
            f"({system.inputs},)"
        )
    values = drive_values(system, drive)
    if values.ndim != 1:
        raise ShapeError(
            f"drive has shape {values.shape}, expected one input that is held, of shape "
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
        kind = tensors(drive).dtype.kind if not isinstance(drive, (str, bool, np.bool_)) else "U"
    except ValueError:  # rows of unequal length
        kind = "O"
    if kind == "c":
        raise TypeError("drive is complex: make its real and imaginary parts inputs of their own")
    if kind != "f":
        raise ValueError(
            f"drive = {drive!r:.60}: must be None, a number, an array (steps, inputs), "
            "or a function (rng, steps) -> array"
        )
    return as_input(system, _one_hot(system, drive), "drive")


def _one_hot(system, drive):
    """Symbols (..., steps) of a system with a vocabulary as one-hot rows; another array itself."""
    values = drive.detach().cpu().numpy() if hasattr(drive, "detach") else np.asarray(drive)
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
        return None if self.value is None else np.tile(self.value, (self.steps, 1))


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
        return self.block(0, self.steps) if self.steps else self.draw(self.rng, 0)


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
