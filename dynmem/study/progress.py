"""What a run says while it goes: messages, a bar, the time and the disk that are left to need."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ..runtime.files import NoSpaceError
from ..runtime.memory import size
from ..runtime.platform import free_disk

MIN_POINT_BYTES = 4096  # of the smallest file on most disks
LONG_SECONDS = 2.0  # a run that takes longer says how long
START_SECONDS = 20.0  # after which imports and compilation no longer matter to an estimate
NOTE_SECONDS = 1.0  # between two notes in the lock file


class Progress:
    """Messages on stderr, and a progress bar where it is a terminal (or where ``bar`` is True)."""

    def __init__(self, bar: bool | None = None) -> None:
        self.shown = sys.stderr.isatty() if bar is None else bar
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def start(self, total: int, done: int) -> None:
        if self.shown:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, initial=done, unit="point", file=sys.stderr)

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def say(self, words: str) -> None:
        if self.bar is None:
            print(words, file=sys.stderr, flush=True)
        else:
            self.bar.write(words, file=sys.stderr)


class Estimate:
    """Time and disk that the points which are left will need, from those that were measured.

    Parameters
    ----------
    weights : dict of int to float
        Cost of each point that is left, in any unit.
    workers : int
        Number of processes.
    """

    def __init__(self, weights: dict[int, float], workers: int) -> None:
        self.weights, self.workers = weights, workers
        self.left_weight = sum(weights.values())
        self.points = self.bytes = 0
        self.weight = 0.0
        self.start = self.noted = time.monotonic()
        self.warm, self.warm_weight = self.start, 0.0  # when each worker had measured one
        self.said = False

    def add(self, index: int, size: int) -> None:
        """Take a measured point into account."""
        self.points += 1
        self.bytes += size
        self.weight += self.weights[index]
        self.left_weight -= self.weights[index]
        if self.points <= self.workers:
            self.warm, self.warm_weight = time.monotonic(), self.weight

    @property
    def left(self) -> float:
        """Seconds that the rest will take. The first points do not count once there are others:
        they import and compile."""
        start, weight = (self.warm, self.warm_weight) if self.settled else (self.start, 0.0)
        pace = (time.monotonic() - start) / max(self.weight - weight, 1e-300)
        return pace * max(self.left_weight, 0.0)

    @property
    def settled(self) -> bool:
        """Whether points were measured after the first ones, for long enough to tell their pace."""
        return self.points > self.workers and time.monotonic() - self.warm > 0.3 * LONG_SECONDS

    @property
    def disk(self) -> float:
        """Bytes that the rest will take, twice: as points, and combined."""
        number = len(self.weights) - self.points
        return 2 * number * max(self.bytes / self.points, MIN_POINT_BYTES / 2)

    def words(self, free: float) -> str:
        """What the rest will need, once, where it takes long; empty before that is known."""
        elapsed = time.monotonic() - self.start
        known = (self.settled and elapsed > LONG_SECONDS) or elapsed > START_SECONDS
        if self.said or not known or self.left < LONG_SECONDS:
            return ""
        self.said = True
        left = len(self.weights) - self.points
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return (
            f"{left:,} points left, about {duration(self.left)} with {workers} and "
            f"{size(self.disk)} of disk ({size(free)} are free)"
        )

    def due(self) -> bool:
        """Whether it is time for another note."""
        now = time.monotonic()
        if now - self.noted < NOTE_SECONDS:
            return False
        self.noted = now
        return True


def check_space(needed: float, points: int, folder: Path) -> None:
    """Raise NoSpaceError where these points would not fit."""
    free = free_disk(folder)
    if needed > free:
        raise NoSpaceError(
            f"needs about {size(needed)} for {points:,} points, {size(free)} are free"
        )


def duration(seconds: float) -> str:
    """A time, with its unit.

    >>> duration(0.5), duration(90), duration(7300)
    ('0.5 s', '2 min', '2 h')
    """
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
