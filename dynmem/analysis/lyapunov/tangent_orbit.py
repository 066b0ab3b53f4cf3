"""An orbit with its frame of tangent vectors, every factor kept: for covariant vectors and
finite-time exponents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import STATE_LOST, TANGENT_COST, program
from ...drive import default_transient, example_input, in_time
from ...errors import NotFiniteError, ShapeError
from ...orbits import as_map, not_finite, steps_in, whole_steps
from ...runtime.validation import generator
from ...system import Map, System, as_state, as_system, check_rule, inner
from .qr import random_frame
from .tangent_growth import how_many

CHUNK_NUMBERS = 4096 * 16  # in the frames of a chunk of blocks
MIN_CHUNK_BLOCKS = 16


@dataclass
class TangentOrbit:
    """An orbit: its map, state, frame (k, n) of orthonormal rows, and step."""

    system: System
    stepper: Map
    x: np.ndarray
    frame: np.ndarray
    drive: Any
    work: float  # steps in all: compilation pays from some number on
    step: int = 0

    @property
    def size(self) -> int:
        """Number of states, the time apart."""
        return len(self.x) - inner(self.stepper).clock

    def advance(self, steps: int) -> None:
        """Iterate, and keep nothing."""
        for _ in self.advance_blocks(steps):
            pass

    def advance_blocks(self, blocks: int, stride: int = 1) -> Iterator[tuple]:
        """Iterate over ``blocks`` blocks of ``stride`` steps, in chunks: (states, frames, factors),
        of shapes (m, n), (m, k, n), (m, k, k).

        States and frames are those at the start of each block; its factor L is lower triangular,
        frame J^T = L next frame, its diagonal not negative; 0 where a direction fell into the span
        of those before it, to rounding.
        """
        chunk = max(MIN_CHUNK_BLOCKS, CHUNK_NUMBERS // self.frame.size)
        while blocks > 0:
            count = min(chunk, blocks)
            states, frames, factors = self._record(count, stride)
            self.x, self.frame, self.step = states[-1], frames[-1], self.step + count * stride
            yield states[:-1], frames[:-1], factors
            blocks -= count

    @cached_property
    def compiled(self):
        """The compiled map, or None where numpy is faster."""
        return program(self.stepper, len(self.x), self.work * TANGENT_COST)

    def _record(self, blocks, stride):
        found = None
        if self.compiled:
            found = _compiled_blocks(
                self.compiled,
                self.stepper,
                self.x,
                self.frame,
                self.drive,
                self.step,
                blocks,
                stride,
            )
        return found or record_blocks(
            self.stepper, self.x, self.frame, self.drive, self.step, blocks, stride
        )


def _compiled_blocks(compiled, stepper, x, frame, drive, step, blocks, stride):
    """``record_blocks`` by the compiled map; None where a direction is lost, which takes more
    care."""
    x, frame = x[None].copy(), np.ascontiguousarray(frame)[None].copy()
    before = x[0].copy(), frame[0].copy()
    result = compiled.run(
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


def start_orbit(
    system: System,
    x0: Any,
    drive: Any,
    rng: Any,
    *,
    exponents: int | None,
    dt: float | None,
    times: dict,
) -> tuple[TangentOrbit, list[int], dict]:
    """A TangentOrbit at x0 with ``exponents`` random directions, the steps in ``times``, and those
    times: {"duration": 1.0, "transient": None, ...}, where None is the default transient."""
    system = as_system(system, timed=True)
    seeds = generator(rng).spawn(3)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    n = len(x)
    k = how_many(exponents, n)
    span = times["duration"]
    whole_steps(span, 1.0)
    given = {name: 0.1 * span if time is None else time for name, time in times.items()}
    work = sum(whole_steps(time, 1.0, name) for name, time in given.items()) * TANGENT_COST
    run = in_time(system, x, drive, dt)
    x, held = run.x, example_input(run.system, run.drive)
    stepper = as_map(run.system, dt, x, held, work, run.spacing)
    default = default_transient(span, stepper.dt)
    counts = [
        whole_steps(default, stepper.dt) if time is None else steps_in(stepper, time, name)
        for name, time in times.items()
    ]
    times = {name: default if time is None else time for name, time in times.items()}
    inputs = run.inputs(stepper, sum(counts), seeds[1])
    check_rule(stepper, x, inputs(0))
    frame = random_frame(k, n, seeds[2], run.clock)
    return TangentOrbit(system, stepper, x, frame, inputs, sum(counts)), counts, times


def rate_unit(system: System, dt: float) -> tuple[str, str]:
    """Units of an exponent and of time."""
    per = "1/step" if isinstance(system, Map) and dt == 1 else "1/time unit"
    return per, per[2:]
