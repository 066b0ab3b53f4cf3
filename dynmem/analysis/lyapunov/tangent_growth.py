"""The tangent loop: how fast the directions of a frame grow along an orbit, with a QR as often as
the frame's condition requires."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...autodiff.jacobian import divergence, jacobian, push
from ...errors import NotFiniteError
from ...integrate.discontinuity import jumps
from ...orbits import FlowMap, not_finite
from ...runtime.validation import is_real
from .qr import Frame, random_frame

# share of its length that the worst row keeps between two QRs, in large and in small frames:
# rounding grows by its inverse
TARGET_SHARE = 1e-6, 1e-4
MIN_SHARE = 1e-8, 1e-6  # below it the steps since the last QR are repeated, one by one
SMALL_FRAME_ROWS = 96  # whose QR costs little next to the calls
MAX_QR_INTERVAL = 64  # steps
# log of the growth since the last QR, below which digits are lost to underflow
LOG_GROWTH_FLOOR = -600.0
CHECKED_SHARE = 0.02  # share of the steps whose volume growth is computed too
GROWTH_RECORDS = 1024  # kept; beyond twice as many, neighbours are merged
MAX_FRAME_NUMBERS = 2**31  # 16 GiB


@dataclass
class Record:
    """Growth of each exponent over consecutive stretches of time, merged so that no more than ``2 *
    GROWTH_RECORDS`` are kept."""

    durations: list = field(default_factory=list)
    growths: list = field(default_factory=list)
    width: int = 1  # stretches merged into one record
    waiting: int = 0
    time: float = 0.0
    total: np.ndarray | float = 0.0

    def add(self, duration, growth):
        """Add the growth (k,) over one more stretch."""
        self.time, self.total = self.time + duration, self.total + growth
        if self.waiting:
            self.durations[-1] += duration
            self.growths[-1] = self.growths[-1] + growth
        else:
            self.durations.append(duration)
            self.growths.append(growth)
        self.waiting = (self.waiting + 1) % self.width
        if len(self.durations) == 2 * GROWTH_RECORDS and not self.waiting:
            pairs = range(0, 2 * GROWTH_RECORDS, 2)
            self.durations = [self.durations[i] + self.durations[i + 1] for i in pairs]
            self.growths = [self.growths[i] + self.growths[i + 1] for i in pairs]
            self.width *= 2

    def arrays(self):
        """Durations (m,) and growths (m, k)."""
        return np.array(self.durations), np.array(self.growths)


@dataclass(frozen=True)
class Growth:
    """What a run has measured, for one system or, with leading axes, for many: growth (..., m, k)
    of each exponent over stretches of the given durations (m,); running means (..., times, k);
    which directions were lost (..., k); and the residual of the sum rule (...) over the steps
    checked (...)."""

    durations: np.ndarray
    growths: np.ndarray
    times: np.ndarray
    running: np.ndarray
    lost: np.ndarray
    residual: np.ndarray
    checked: np.ndarray
    interval: int


class Tangents:
    """State and frame of a run: ``advance`` iterates them; ``record`` collects growth once
    ``measuring`` is set.

    A direction that is lost while measuring has the exponent -inf and leaves the frame: what would
    fill its place is another direction, and the rows after it would be freed from that one.
    """

    def __init__(self, system, x, k, drive, rng, steps, clock=0):
        self.system, self.x, self.drive, self.steps = system, x, drive, steps
        self.frame = random_frame(k, x.shape[-1] - clock, rng, clock)
        self.qr = Frame(k)
        self.interval, self.step, self.record = 1, 0, Record()
        self.aim, self.least = TARGET_SHARE[k <= SMALL_FRAME_ROWS], MIN_SHARE[k <= SMALL_FRAME_ROWS]
        self.measuring, self.lost = False, np.zeros(k, bool)
        self.complete = k == x.shape[-1] - clock
        self.next_check, self.checked, self.residual = 0, 0, 0.0

    def advance(self, until):
        """Iterate to the step ``until``, with as many steps between two QRs as rounding allows."""
        while self.step < until:
            count = min(self.interval, until - self.step) if len(self.frame) else until - self.step
            check = (
                self.measuring
                and self.complete
                and not self.lost.any()
                and self.step >= self.next_check
            )
            before = (self.x, self.frame, self.step)
            volume = self._push(count, check)
            if not len(self.frame):
                self._measure(count, np.empty(0), volume)
                continue
            frame, logs, shares = self.qr.orthonormalise(self.frame)
            worst = shares.min()
            # too long since the last QR: again, with shorter steps
            if (worst < self.least or logs.min() < LOG_GROWTH_FLOOR) and count > 1:
                self.x, self.frame, self.step = before
                self.interval = max(1, count // 2)
                continue
            self.frame = frame
            self._adapt(count, worst)
            if self.measuring:
                self._measure(count, logs, volume)

    def _push(self, count, check):
        x, frame, volume = self.x, self.frame, 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(count):
                u, before = self.drive(self.step), x
                x, frame = push(self.system, x, frame, u)
                self.step += 1
                if not np.isfinite(x).all():
                    raise not_finite(self.system, self.step, self.steps)
                if check:
                    volume += self._volume(before, u)
            if not np.isfinite(frame).all():
                if count == 1:
                    raise NotFiniteError(
                        f"Jacobian not finite at step {self.step} of "
                        f"{self.steps} ({self.system}): the rule has no "
                        "derivative there, or overflows"
                    )
                # overflow since the last QR: share 0 repeats these steps, one by one
                frame = np.zeros_like(frame)
        self.x, self.frame = x, frame
        return volume if check else None

    def _volume(self, x, u):
        try:
            return volume_growth(self.system, x, u)
        except NotFiniteError:
            if isinstance(self.system, FlowMap):  # half-way through the step
                raise not_finite(self.system, self.step, self.steps) from None
            return np.nan  # the frame is lost in the same step, which raises

    def _adapt(self, count, worst):
        """The number of steps after which the worst row should keep the share aimed at, if it goes
        on as it did."""
        worst = min(max(worst, 1e-16), 0.999)
        wanted = int(count * np.log(self.aim) / np.log(worst))
        self.interval = int(np.clip(wanted, 1, min(MAX_QR_INTERVAL, 2 * self.interval)))

    def _measure(self, count, logs, volume):
        growth, kept = np.full(self.lost.size, -np.inf), logs > -np.inf
        growth[~self.lost] = logs
        self.record.add(count * abs(self.system.dt), growth)
        if not kept.all():
            self.lost |= np.isneginf(growth)
            self.frame, self.qr = self.frame[kept], Frame(int(kept.sum()))
        if volume is not None:
            self.next_check = self.step + int(count / CHECKED_SHARE)
            self.checked += count
            total = logs.sum()
            self.residual += 0.0 if np.isneginf(total) and np.isneginf(volume) else total - volume


def volume_growth(system, x, u):
    """ln|det J| of one step of a Map, or the divergence of a Flow integrated over the step by
    Simpson's rule."""
    if isinstance(system, FlowMap) and not jumps(system.flow, len(x)):
        half = FlowMap(system.flow, system.dt / 2, system.substeps, system.order)
        middle = half.rule(x, u)
        ends = [divergence(system.flow, p, u) for p in (x, middle, half.rule(middle, u))]
        return system.dt * float(ends[0] + 4.0 * ends[1] + ends[2]) / 6.0
    return float(np.linalg.slogdet(jacobian(system, x, u))[1])


def how_many(exponents: int | None, n: int, meaning: str = "the number of states") -> int:
    """Number of exponents, all n by default. Raises ValueError for what is no whole number from 1
    to n, MemoryError for a frame that cannot fit."""
    if exponents is None:
        k = n
    elif not is_real(exponents) or not 1 <= exponents <= n or exponents != int(exponents):
        raise ValueError(
            f"exponents = {exponents!r:.60}: must be a whole number from 1 to {n}, {meaning}"
        )
    else:
        k = int(exponents)
    if k * n > MAX_FRAME_NUMBERS:
        raise MemoryError(
            f"a frame of {k} directions of {n} states takes {k * n / 2**27:.0f} "
            "GiB: pass exponents=k, such as 10"
        )
    return k
