"""One run of a study: resume, measure what is missing, combine, and stop cleanly."""

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
from typing import TYPE_CHECKING

from ..errors import ShortRunWarning
from ..runtime.files import NoSpaceError, encode, save
from . import provenance
from .combine import check_point, combine, describe
from .parameters import Plan
from .store import Store
from .workers import Outcome, outcomes

if TYPE_CHECKING:
    from xarray import Dataset

    from .question import Question

SMALLEST_POINT = 16384  # bytes of an almost empty netCDF-4 file and its record


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal; what was finished is saved."""

    def __init__(self, signum: int, message: str = "stopped"):
        super().__init__(message)
        self.signum = signum


class Progress:
    """Words on stderr, and a bar where it is a terminal (or where ``bar`` says so)."""

    def __init__(self, total: int, bar: bool | None = None):
        self.total, self.shown, self.bar = total, sys.stderr.isatty() if bar is None else bar, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
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
    swallowed by somebody's code."""
    caught: list[int] = []

    def stop(signum, frame):
        caught.append(signum)
        raise Stopped(signum)

    def check():
        if caught:
            raise Stopped(caught[0])

    main = threading.current_thread() is threading.main_thread()
    # a signal that was ignored from outside (nohup, a job in the background) stays ignored
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
    """``NoSpaceError`` when even the smallest files for so many points would not fit."""
    while not folder.exists():
        folder = folder.absolute().parent
    needed, free = points * SMALLEST_POINT, shutil.disk_usage(folder).free
    if needed > free:
        raise NoSpaceError(
            f"needs about {_size(needed)} for {points:,} points, {_size(free)} are free"
        )


def _size(number: float) -> str:
    """A number of bytes for a reader.

    >>> _size(380e9), _size(2000)
    ('380 GB', '2 kB')
    """
    power = min(int(math.log10(max(number, 1)) // 3), 5)
    return f"{number / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def measured(
    measure: Callable[..., "Dataset"], settings: Mapping, axes: tuple[str, ...], point: Mapping
) -> bytes:
    """One point as the bytes of a netCDF-4 file. Runs that are too short are said in what they
    measure, not for each point again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortRunWarning)
        return encode(check_point(measure(**point, **settings), axes))


@dataclass
class Run:
    """What a run of a study has at hand."""

    study: "Question"
    plan: Plan
    store: Store
    report: Progress
    records: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self):
        self.configuration = self.study.configuration(self.plan)
        self.finish_code = provenance.function_code(self.study.finish)

    def dataset(self, workers: int, fresh: bool) -> "Dataset":
        """The combined Dataset, from the store where it is finished."""
        if fresh and (aside := self.store.set_aside()):
            self.report.say(f"the earlier store of {self.study.name} was moved to {aside}")
        ready = self.store.finished(self.configuration, self.finish_code)
        if ready is not None and not (self.store.points.exists() and _has_failures(ready)):
            self.report.say(
                f"{self.study.name} is done: {self.store.file} ({len(self.plan)} points)"
            )
            return ready
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
        """Take up what is finished; failed points are tried again."""
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
        """Measure and keep every point that is not in the store."""
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
                self.keep(index, points[index], outcome)
        check()

    def keep(self, index: int, point: Mapping, outcome: Outcome) -> None:
        words = {"parameters": dict(point), "error": outcome.error, "traceback": outcome.traceback}
        self.records[index] = self.store.save_point(
            index, outcome.payload, self.configuration, **words
        )
        self.report.step()

    def combined(self) -> "Dataset":
        """Combine the points from the disk, so that a run in one go and a resumed one take the same
        way."""
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
        save(describe(dataset, self.study, self.configuration, self.finish_code), self.store.file)
        return self.store.load()

    def finished(self, dataset: "Dataset", incomplete: bool) -> "Dataset":
        """What the study's ``finish`` makes of it; where points failed it may find less than it
        needs, which costs no point."""
        try:
            return self.study.finish(dataset)
        except Exception as error:
            if not incomplete:
                raise
            self.report.say(
                f"finish of {self.study.name} was left out, since points failed: "
                f"{type(error).__name__}: {error}"
            )
            return dataset


def _has_failures(dataset: "Dataset") -> bool:
    return any(status.startswith("failed: ") for status in dataset.status.values.ravel().tolist())
