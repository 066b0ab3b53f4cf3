"""The passage of a state and its frame along an orbit, every factor kept: what covariant vectors
and finite-time exponents are made from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import STATE_LOST, TANGENT, program
from ...errors import NotFiniteError, ShapeError
from ...orbits import as_map, not_finite, whole_steps
from ...system import Map, System, as_state, as_system
from ..drive import example_input, read_drive
from .qr import random_frame
from .tangent_growth import how_many

CHUNK = 4096  # numbers in the frames of a chunk of blocks, at least


@dataclass
class TangentOrbit:
    """An orbit under way: its map, state, frame (k, n) of orthonormal rows, and step; ``go``
    carries it on."""

    system: System
    stepper: Map
    x: np.ndarray
    frame: np.ndarray
    drive: object
    work: float  # steps in all: machine code pays for its compilation from some number on
    step: int = 0

    def go(self, blocks, stride=1):
        """The next ``blocks`` blocks of ``stride`` steps, in chunks: (states, frames, factors), of
        shapes (m, n), (m, k, n), (m, k, k).

        States and frames are those at the start of each block; its factor L is lower triangular,
        frame J^T = L next frame, its diagonal not negative; 0 where a direction fell into the span
        of those before it, to rounding.
        """
        chunk = max(16, 16 * CHUNK // self.frame.size)
        while blocks > 0:
            count = min(chunk, blocks)
            states, frames, factors = self._record(count, stride)
            self.x, self.frame, self.step = states[-1], frames[-1], self.step + count * stride
            yield states[:-1], frames[:-1], factors
            blocks -= count

    def skip(self, steps):
        """Go on without keeping anything."""
        for _ in self.go(steps):
            pass

    @cached_property
    def made(self):
        """The map as machine code, or None where numpy serves better."""
        return program(self.stepper, len(self.x), self.work * TANGENT)

    def _record(self, blocks, stride):
        found = None
        if self.made:
            found = _by_machine(
                self.made, self.stepper, self.x, self.frame, self.drive, self.step, blocks, stride
            )
        return found or record_blocks(
            self.stepper, self.x, self.frame, self.drive, self.step, blocks, stride
        )


def _by_machine(made, stepper, x, frame, drive, step, blocks, stride):
    """``record_blocks`` by machine code; None where a direction is lost, which takes more care."""
    x, frame = x[None].copy(), np.ascontiguousarray(frame)[None].copy()
    before = x[0].copy(), frame[0].copy()
    result = made.run(
        stepper,
        x,
        frame,
        blocks * stride,
        inputs=drive.block(step, blocks * stride),
        every=stride,
        keep=("states", "frames", "factors"),
    )
    status, when = result.status[0]
    if status == STATE_LOST:
        raise not_finite(stepper, step + int(when), step + blocks * stride)
    if status:
        return None
    states, frames = (
        np.concatenate([first[None], kept[0]])
        for first, kept in zip(before, (result.states, result.frames), strict=True)
    )
    return states, frames, result.factors[0]


def record_blocks(stepper, x, frame, drive, step, blocks, stride):
    """States (m + 1, n), orthonormal frames (m + 1, k, n) and lower triangular factors (m, k, k) of
    m blocks of ``stride`` steps each.

    Raises NotFiniteError with the step where state or tangent is lost.
    """
    k, n = frame.shape
    states, frames, factors = (
        np.empty((blocks + 1, n)),
        np.empty((blocks + 1, k, n)),
        np.empty((blocks, k, k)),
    )
    states[0], frames[0] = x, frame
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for block in range(blocks):
            for _ in range(stride):
                x, frame = push(stepper, x, frame, drive(step))
                step += 1
                if not np.isfinite(x).all():
                    raise not_finite(stepper, step, step + (blocks - block - 1) * stride)
            if not np.isfinite(frame).all():
                raise NotFiniteError(
                    f"tangent not finite at step {step} ({stepper}): it "
                    "overflows, or the rule has no derivative there"
                )
            frame, factors[block] = _orthonormal(frame)
            states[block + 1], frames[block + 1] = x, frame
    return states, frames, factors


def _orthonormal(frame):
    """Q (k, n) and L (k, k) of frame = L Q."""
    Q, R = np.linalg.qr(frame.T)
    signs = np.where(R.diagonal() < 0, -1.0, 1.0)
    L = (R * signs[:, None]).T
    lost = L.diagonal() < 4.0 * np.sqrt(frame.shape[1]) * np.finfo(float).eps * np.linalg.norm(
        frame, axis=1
    )
    L[lost, lost] = 0.0
    return (Q * signs).T, L


def start(system, x0, drive, rng, *, exponents, dt, times):
    """A TangentOrbit at x0 and the numbers of steps in ``times``, {name: time}; the frame holds
    ``exponents`` random directions."""
    system = as_system(system)
    seeds = np.random.default_rng(rng).spawn(3)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    n = len(x)
    k = how_many(exponents, n)
    stepper = as_map(
        system,
        dt,
        x,
        example_input(system, drive),
        sum(whole_steps(time, 1.0, name) for name, time in times.items()) * TANGENT,
    )
    counts = [whole_steps(time, stepper.dt, name) for name, time in times.items()]
    inputs = read_drive(stepper, drive, sum(counts), seeds[1])
    return TangentOrbit(
        system, stepper, x, random_frame(k, n, seeds[2]), inputs, sum(counts)
    ), counts


def default_transient(duration, transient):
    """The transient asked for, or a tenth of the duration, once that is known to be a time."""
    whole_steps(duration, 1.0)
    return 0.1 * duration if transient is None else transient


def drive_name(drive):
    """What a Dataset records of a drive."""
    return drive if drive is None or np.isscalar(drive) else type(drive).__name__


def rate_unit(passage):
    """Units of an exponent and of time."""
    per = "1/step" if isinstance(passage.system, Map) and passage.stepper.dt == 1 else "1/time unit"
    return per, per[2:]
