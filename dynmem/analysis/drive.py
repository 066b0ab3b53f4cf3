"""Inputs of a run: nothing, white noise, an array or a function, read once for every analysis."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..system import as_input, inner


def example_input(system, drive):
    """An input of the kind a drive brings, at which a flow's step may be chosen: the array itself,
    else zero."""
    if not system.inputs:
        return None
    return (
        np.zeros(system.inputs) if drive is None or np.isscalar(drive) or callable(drive) else drive
    )


def inputs_of(system, drive, steps, rng):
    """The inputs of a run of so many steps; an array that does not hold them all is refused."""
    if drive is not None and not np.isscalar(drive) and not callable(drive):
        drive = as_input(system, drive, "drive")
        if np.iscomplexobj(drive):
            raise TypeError(
                "drive is complex: make its real and imaginary parts inputs of their own"
            )
        if drive.ndim != 2 or len(drive) < steps:
            raise ShapeError(
                f"drive has shape {drive.shape}, the run needs ({steps}, "
                f"{system.inputs}): transient and duration together"
            )
    return make_drive(system, drive, rng)


def make_drive(system, drive, rng):
    """The input u_t as a function of the step, from None (zero), a number (standard deviation of
    white noise), an array, or a function (rng, steps); its ``block(start, count)`` gives many at
    once, or the one that is held."""
    if drive is None:
        return Held(np.zeros(system.inputs) if system.inputs else None)
    if isinstance(drive, str):
        raise ValueError(
            f"drive = {drive!r}: must be None, a number, an array (steps, inputs), "
            "or a function (rng, steps) -> array"
        )
    if np.isscalar(drive):
        sd = float(drive)
        if not (np.isfinite(sd) and sd >= 0):
            raise ValueError(
                f"drive = {drive}: the standard deviation of the noise must be a "
                "finite number of at least 0"
            )
        if not system.inputs:
            raise ValueError(f"{type(inner(system)).__name__} takes no input: leave drive out")
        return Chunks(lambda rng, steps: sd * rng.standard_normal((steps, system.inputs)), rng)
    return Chunks(_checked(system, drive), rng) if callable(drive) else Given(np.asarray(drive))


@dataclass(frozen=True)
class Held:
    """One input, the same at every step."""

    value: np.ndarray | None

    def __call__(self, step):
        return self.value

    def block(self, start, count):
        return self.value


@dataclass(frozen=True)
class Given:
    """Inputs (steps, inputs) that are there already."""

    values: np.ndarray

    def __call__(self, step):
        return self.values[step]

    def block(self, start, count):
        return self.values[start : start + count]


@dataclass
class Chunks:
    """Inputs made a chunk at a time, in an order that does not depend on who asks when."""

    make: object
    rng: np.random.Generator
    size: int = 1024
    held: dict = field(default_factory=dict)

    def chunk(self, index):
        while index not in self.held:
            if len(self.held) > 1:
                self.held.pop(min(self.held))
            self.held[max(self.held, default=-1) + 1] = self.make(self.rng, self.size)
        return self.held[index]

    def __call__(self, step):
        return self.chunk(step // self.size)[step % self.size]

    def block(self, start, count):
        first, last = start // self.size, (start + count - 1) // self.size
        joined = np.concatenate([self.chunk(i) for i in range(first, last + 1)])
        return joined[start - first * self.size :][:count]


def _checked(system, drive):
    """The function (rng, steps), its result held to the shape that the system takes."""

    def make(rng, steps):
        inputs = np.asarray(drive(rng, steps), dtype=float)
        if inputs.shape != (steps, system.inputs):
            raise ShapeError(
                f"the drive returned shape {inputs.shape} for {steps} steps: "
                f"{type(system).__name__} needs "
                f"({steps}, {system.inputs})"
            )
        if not np.isfinite(inputs).all():
            raise NotFiniteError(
                "the drive returned NaN or infinity at step "
                f"{int(np.isfinite(inputs).all(axis=1).argmin())} of {steps}"
            )
        return inputs

    return make
