"""One run of a study: resume, measure what is missing, combine, and stop cleanly."""

from __future__ import annotations

import math
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ShortRunWarning
from ..runtime.files import NoSpaceError, encode, save
from . import provenance
from .combine import add_provenance, check_point, combine
from .parameters import Plan
from .store import Store
from .workers import Outcome, outcomes

if TYPE_CHECKING:
    from xarray import Dataset

    from .question import Question

MIN_POINT_BYTES = 16384  # of an almost empty netCDF-4 file and its record


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal (``signum``); what was finished is saved."""

    def __init__(self, signum: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signum = signum


class Progress:
    """Messages on stderr, and a progress bar where it is a terminal (or where ``bar`` is True)."""

    def __init__(self, total: int, bar: bool | None = None) -> None:
        self.total, self.shown = total, sys.stderr.isatty() if bar is None else bar
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def start(self, done: int) -> None:
        if self.shown:
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, initial=done, unit="point", file=sys.stderr)

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def say(self, words: str) -> None:
        if self.bar is None:
            print(words, file=sys.stderr, flush=True)
        else:
            self.bar.write(words, file=sys.stderr)


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Raise ``Stopped`` on SIGINT and SIGTERM; yields a check for a signal whose exception was
    swallowed by the code that it interrupted."""
    caught: list[int] = []

    def stop(signum: int, frame: object) -> None:
        caught.append(signum)
        raise Stopped(signum)

    def check() -> None:
        if caught:
            raise Stopped(caught[0])

    main = threading.current_thread() is threading.main_thread()
    # a signal that is already ignored (nohup, a background job) stays ignored
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
    before = {s: handler for s, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for signum in before:
        signal.signal(signum, stop)
    try:
        yield check
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def check_space(points: int, folder: Path) -> None:
    """Raise NoSpaceError where even the smallest files for this number of points would not fit."""
    while not folder.exists():
        folder = folder.absolute().parent
    needed, free = points * MIN_POINT_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise NoSpaceError(
            f"needs about {_size(needed)} for {points:,} points, {_size(free)} are free"
        )


def _size(number: float) -> str:
    """A number of bytes, with its unit.

    >>> _size(380e9), _size(2000)
    ('380 GB', '2 kB')
    """
    power = min(int(math.log10(max(number, 1)) // 3), 5)
    return f"{number / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def measured(
    measure: Callable[..., Dataset], settings: Mapping, axes: tuple[str, ...], point: Mapping
) -> bytes:
    """One point as the bytes of a netCDF-4 file. Warnings of short runs are silenced: the Dataset
    holds the variables ``converged`` and ``warning``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortRunWarning)
        return encode(check_point(measure(**point, **settings), axes))


@dataclass
class Run:
    """State of one run of a study."""

    study: Question
    plan: Plan
    store: Store
    report: Progress
    records: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configuration = self.study.configuration(self.plan)
        self.finish_code = provenance.function_code(self.study.finish)

    def dataset(self, workers: int, fresh: bool) -> Dataset:
        """The combined Dataset, from the store where it is finished."""
        if fresh and (aside := self.store.set_aside()):
            self.report.say(f"the earlier store of {self.study.name} was moved to {aside}")
        ready = self.store.finished(self.configuration, self.finish_code)
        if ready is not None and not (self.store.points.exists() and _has_failures(ready)):
            self.report.say(
                f"{self.study.name} is done: {self.store.file} ({len(self.plan)} points)"
            )
            return ready
        self.study.check_extras(self.plan)
        with stoppable() as check:
            try:
                self.resume()
                self.measure(workers, check)
                return self.combined()
            except KeyboardInterrupt as stop:
                words = (
                    f"stopped; {self.store.count()} of {len(self.plan)} points saved; run "
                    "again to go on"
                )
                raise Stopped(getattr(stop, "signum", signal.SIGINT), words) from None

    def resume(self) -> None:
        """Read the records of finished points; failed points are tried again."""
        self.records = self.store.open(self.configuration)
        failed = [index for index, record in self.records.items() if record["sha256"] is None]
        for index in failed:
            self.store.forget(index)
            del self.records[index]
        if self.records:
            self.report.say(
                f"resuming {self.study.name}: {len(self.records)} of {len(self.plan)} points done"
            )
        if failed:
            self.report.say(
                f"{len(failed)} that failed before "
                f"{'is' if len(failed) == 1 else 'are'} tried again"
            )

    def measure(self, workers: int, check: Callable[[], None]) -> None:
        """Measure and save every point that is not in the store."""
        points = {
            index: point for index, point in self.plan.points().items() if index not in self.records
        }
        if not points:
            return
        self.report.start(len(self.records))
        call = partial(measured, self.study.measure, self.plan.settings, tuple(self.plan.grid))
        with closing(
            outcomes(call, points, min(workers, len(points)), self.report.say)
        ) as finished:
            for index, outcome in finished:
                check()
                self.save_point(index, points[index], outcome)
        check()

    def save_point(self, index: int, point: Mapping, outcome: Outcome) -> None:
        """Write a point to the store, or the error that it raised."""
        words = {"parameters": dict(point), "error": outcome.error, "traceback": outcome.traceback}
        self.records[index] = self.store.save_point(
            index, outcome.payload, self.configuration, **words
        )
        self.report.step()

    def combined(self) -> Dataset:
        """Combine the points as read from disk, so that an uninterrupted run and a resumed one are
        the same."""
        errors = {
            index: record["error"]
            for index, record in self.records.items()
            if record["sha256"] is None
        }
        points = {
            index: self.store.read_point(index, record)
            for index, record in self.records.items()
            if index not in errors
        }
        dataset = combine(self.plan, points, errors, self.study.units)
        if self.study.finish is not None and points:
            dataset = self.finished(dataset, bool(errors))
        save(
            add_provenance(dataset, self.study, self.configuration, self.finish_code),
            self.store.file,
        )
        return self.store.load()

    def finished(self, dataset: Dataset, incomplete: bool) -> Dataset:
        """The Dataset after the study's ``finish``. Where points failed, an error in ``finish`` is
        reported and the Dataset is kept without it."""
        assert self.study.finish is not None
        try:
            return self.study.finish(dataset)
        except Exception as error:
            if not incomplete:
                raise
            self.report.say(
                f"finish of {self.study.name} was skipped, since points failed: "
                f"{type(error).__name__}: {error}"
            )
            return dataset


def _has_failures(dataset: Dataset) -> bool:
    return any(status.startswith("failed: ") for status in dataset.status.values.ravel().tolist())
