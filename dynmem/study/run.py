"""One run of a study: find what is there, measure what is missing, combine, and stop cleanly."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..runtime import netcdf
from ..runtime.files import aside, canonical, replacement
from ..runtime.platform import answering, free_disk, stop_signals
from .combine import Layout, Survey
from .encoding import PointFile
from .executor import Outcomes, existing_client, in_process, local_client, on_cluster, pickled
from .growth import Keys, changes, show, version_changes, without_history
from .parameters import Plan
from .point import Outcome, Task, versions_mark
from .progress import Estimate, Progress, check_space
from .reach import digest, reached
from .store import MEMORY_BYTES, ChangedError, Note, Store

if TYPE_CHECKING:
    from xarray import Dataset

    from .question import Question

LOST = "it ended"  # begins the error of a point that ended its workers


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal (``signum``); what was finished is saved."""

    def __init__(self, signum: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Raise ``Stopped`` on the signals that ask for an end; yields a check for one whose exception
    was swallowed by the code that it interrupted."""
    caught: list[int] = []

    def stop(signum: int, frame: object) -> None:
        caught.append(signum)
        raise Stopped(signum)

    def check() -> None:
        if caught:
            raise Stopped(caught[0])

    with answering(stop_signals(), stop):
        yield check


@dataclass(frozen=True)
class Means:
    """How a run goes about it: processes or a cluster, and what it does with an earlier store."""

    workers: int = 1
    cluster: Any = None
    fresh: bool = False
    accept: bool = False


@dataclass
class Run:
    """State of one run of a study."""

    study: Question
    plan: Plan
    store: Store
    report: Progress
    means: Means
    note: Note | None = None
    # key of each point that is in the store, and error of each that failed
    found: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configuration = self.study.configuration(self.plan)
        self.keys = Keys(self.study.name, self.configuration)
        self.alone: set[int] = set()  # points that are measured in a process of their own
        self.finish_code = digest(reached(self.study.finish).parts)
        self.stored: dict | None = None

    # ---- what is there

    def set_aside(self) -> None:
        """Move an earlier store out of the way, where that is asked for."""
        if self.means.fresh and (folder := self.store.set_aside()):
            self.report.say(f"the earlier store of {self.study.name} was moved to {folder}")

    def finished(self) -> Dataset | None:
        """The combined Dataset, where it is the answer already."""
        ready = self._ready()
        if ready is not None:
            words = f"{self.study.name} is done: {self.store.file} ({len(self.plan)} points)"
            self.report.say(words)
        return ready

    def _ready(self) -> Dataset | None:
        if not self.store.is_combined():
            return None
        dataset = self.store.load()
        stored = json.loads(dataset.attrs["configuration"])
        alone = not self.store.points.exists()
        if alone:
            self._compare(stored)
            if stored["grid"] != self.configuration["grid"]:
                raise ChangedError(
                    f"{self._grid_words(stored)}, and the points of the store were deleted: use "
                    f"another --output, or --fresh (store {self.study.name} in {self.store.folder})"
                )
            return dataset
        now = {**self.configuration, "finish": self.finish_code}
        same = ("axes", "grid", "settings", "defaults", "code", "finish")
        failed = any(s.startswith("failed: ") for s in dataset.status.values.ravel().tolist())
        if failed or any(canonical(stored[name]) != canonical(now[name]) for name in same):
            return None
        self._say_versions(stored)
        return dataset

    def _grid_words(self, stored: Mapping[str, Any]) -> str:
        names = {**stored["grid"], **self.configuration["grid"]}
        before, after = stored["grid"], self.configuration["grid"]
        return "; ".join(
            f"{name} was {show(before.get(name))} in the store, {show(after.get(name))} now"
            for name in names
            if before.get(name) != after.get(name)
        )

    def _compare(self, stored: Mapping[str, Any]) -> None:
        """Take over a store's history; ChangedError where its points are others than ours, unless
        they were accepted."""
        lines = changes(stored, self.configuration)
        if lines and not self.means.accept:
            words = f"{lines[0]}: " if len(lines) == 1 else "\n".join([*lines, ""])
            raise ChangedError(
                f"{words}use another --output, --fresh to start anew, or --accept to keep what "
                f"was measured (store {self.study.name} in {self.store.folder})"
            )
        entry = {"configuration": without_history(stored), "changes": lines}
        self.configuration["accepted"] = [*stored["accepted"], *([entry] if lines else [])]
        if lines:
            self.report.say("\n".join(["the points of the store are kept, although", *lines]))

    def _say_versions(self, stored: Mapping[str, Any]) -> None:
        """Say which versions differ from those of the store, and keep those in its history."""
        before, now = stored["versions"], self.configuration["versions"]
        earlier = [*stored["earlier_versions"], *([before] if before != now else [])]
        self.configuration["earlier_versions"] = [e for e in earlier if e != now]
        for line in version_changes(before, now):
            self.report.say(f"{line}; recorded")

    def resume(self) -> None:
        """Find the points that are in the store; those that failed are tried again."""
        self.store.points.mkdir(parents=True, exist_ok=True)
        self.stored = self.store.configuration()
        done, failed = self.store.keys()
        if self.stored is not None and (done or failed):
            self._compare(self.stored)
            self._say_versions(self.stored)
        self.keys = Keys(self.study.name, self.configuration)
        older = bool(self.keys.older)
        self.store.save_configuration(self.configuration)
        retried = 0
        suspect = (self.note.before if self.note else {}).get("measuring")
        for index, point in enumerate(self.plan.points()):
            key = self.keys.key(point)
            if key in done:
                self.found[index] = key
            elif older and (old := next(filter(done.__contains__, self.keys.older_keys(point)), 0)):
                self.found[index] = str(old)
            elif key in failed:
                retried += 1
                if self._error(key).startswith(LOST):
                    self.alone.add(index)
            if key == suspect:
                self.alone.add(index)
        if self.found or retried:
            self.report.say(
                f"resuming {self.study.name}: {len(self.found)} of {len(self.plan)} points done"
            )
        if retried:
            are = "is" if retried == 1 else "are"
            self.report.say(f"{retried} that failed before {are} tried again")

    def _error(self, key: str) -> str:
        try:
            return self.store.failure(key)["error"]
        except DamageError:
            return ""

    # ---- measure

    def dataset(self) -> Dataset:
        """The combined Dataset, after what is missing was measured."""
        with stoppable() as check:
            try:
                self.resume()
                self.measure(check)
                return self.combined()
            except KeyboardInterrupt as stop:
                words = (
                    f"stopped; {self._saved()} of {len(self.plan)} points saved; run again to go on"
                )
                raise Stopped(getattr(stop, "signum", signal.SIGINT), words) from None

    def _saved(self) -> int:
        """Points of the plan that are on disk."""
        on_disk = set.union(*self.store.keys())
        keys = map(self.keys.key, self.plan.points())
        return sum(i in self.found or key in on_disk for i, key in enumerate(keys))

    def measure(self, check: Callable[[], None]) -> None:
        """Measure and save every point that is not in the store, the dearest first."""
        weights = {i: self._cost(i) for i in range(len(self.plan)) if i not in self.found}
        if not weights:
            return
        if self.study.cost is not None:
            weights = dict(sorted(weights.items(), key=lambda item: -item[1]))
        workers = self.means.workers if self.means.cluster is None else 1
        self.estimate = Estimate(weights, min(workers, len(weights)))
        self.report.start(len(self.plan), len(self.found))
        with closing(self.outcomes(list(weights))) as finished:
            for index, outcome in finished:
                check()
                self.save(index, outcome)
        check()

    def _cost(self, index: int) -> float:
        if self.study.cost is None:
            return 1.0
        return float(self.study.cost(**self.plan.point(index), **self.plan.settings))

    def task(self) -> Task:
        """What the points share."""
        configuration = self.configuration
        return Task(
            self.study.name,
            self.study.measure,
            tuple(self.plan.grid),
            self.plan.settings,
            configuration["defaults"],
            self.keys.code,
            configuration["versions"],
            None if self.means.cluster is None else tuple(configuration["packages"]),
        )

    def outcomes(self, indices: Sequence[int]) -> Outcomes:
        """Outcomes of points, measured in this process or on the workers of a cluster."""
        task, say, point = self.task(), self.report.say, self.plan.point
        workers, cluster = self.means.workers, self.means.cluster
        if cluster is not None:
            # its machines need not have the user's files
            own = reached(self.study.measure).modules
            payload = pickled(task, own)
            with existing_client(cluster, say) as client:
                yield from on_cluster(task, payload, indices, point, client, say)
            return
        # what ended this process, or workers, before has a process of its own
        risky = [index for index in indices if index in self.alone]
        if workers > 1 or risky:
            chosen = indices if workers > 1 else risky
            payload = pickled(task)
            with local_client(min(workers, len(chosen)), say) as client:
                yield from on_cluster(task, payload, chosen, point, client, say)
        if workers == 1:
            safe = [index for index in indices if index not in self.alone]
            yield from in_process(task, safe, point, self._begin)

    def _begin(self, index: int) -> None:
        if self.note is not None:
            self.note.write(measuring=self.keys.key(self.plan.point(index)))

    def save(self, index: int, outcome: Outcome) -> None:
        """Write a point to the store, or the error that it raised."""
        key = self.keys.key(self.plan.point(index))
        self.store.save_point(key, outcome.data, outcome.failed, outcome.seconds)
        if outcome.failed:
            self.errors[index] = key
        else:
            self.found[index] = key
            (self.store.points / f"{key}.failed").unlink(missing_ok=True)
        self.report.step()
        estimate, folder = self.estimate, self.store.folder
        estimate.add(index, len(outcome.data))
        if estimate.points == min(estimate.workers, len(estimate.weights)):
            check_space(estimate.disk, len(estimate.weights) - estimate.points, folder)
        if words := estimate.words(free_disk(folder)):
            self.report.say(words)
        if self.note is not None and (estimate.points == 1 or estimate.due()):
            done = len(self.found) + len(self.errors)
            self.note.write(done=done, total=len(self.plan), left=estimate.left)

    # ---- combine

    def combined(self) -> Dataset:
        """Combine the points as read from disk, so that an uninterrupted run and a resumed one are
        the same."""
        try:
            layout = self.layout()
            attrs = {**self._source(layout), **self.provenance(layout)}
            if self.study.finish is None or not layout.fitting:
                with replacement(self.store.file) as file:
                    layout.write(file, attrs, self._point)
            else:
                with self._written(layout, self._source(layout)) as dataset:
                    finished = self.finish(dataset, bool(layout.errors))
                    self._check(finished)
                    own = {k: v for k, v in finished.attrs.items() if k not in attrs}
                    given = finished.attrs.get("source", "this study")
                    if not self.study.source:
                        attrs["source"] = given
                    with replacement(self.store.file) as file:
                        netcdf.write(file, finished.assign_attrs({**own, **attrs}))
        except DamageError as error:
            damaged = self.store.damaged() or [str(error)]
            raise DamageError(
                f"store {self.study.name}: {self._mismatch(damaged)}: {self.store.advice()}"
            ) from None
        return self.store.load()

    def _mismatch(self, files: Sequence[str]) -> str:
        numbers = {key: index for index, key in {**self.errors, **self.found}.items()}
        names = sorted(
            f"point {numbers[key]}" if (key := file.partition(".")[0]) in numbers else file
            for file in files
        )
        verb, what = ("does", "its checksum") if len(names) == 1 else ("do", "their checksums")
        return f"{', '.join(names)} {verb} not match {what}"

    def _point(self, index: int) -> PointFile:
        return self.store.point(self.found[index])

    def layout(self) -> Layout:
        """Form of the combined Dataset, from the headers of all points."""
        survey = Survey(self.plan)
        self.measured_with: dict[tuple[str, str, str], int] = {}
        for index in sorted(self.found):
            point = self._point(index)
            survey.add(index, point)
            mark = (point.header["code"], canonical(self._fixed(point)), point.header["versions"])
            self.measured_with[mark] = self.measured_with.get(mark, 0) + 1
        errors = {index: self.store.failure(key)["error"] for index, key in self.errors.items()}
        return Layout(survey, errors, self.study.units)

    def _fixed(self, point: PointFile) -> dict[str, Any]:
        return {k: v for k, v in point.header["parameters"].items() if k not in self.plan.grid}

    def _source(self, layout: Layout) -> dict[str, Any]:
        attrs = layout.survey.agreed(None, layout.forms)
        return {"source": attrs["source"]} if "source" in attrs else {}

    @contextmanager
    def _written(self, layout: Layout, attrs: Mapping[str, Any]) -> Iterator[Dataset]:
        """The combined Dataset without its provenance, for ``finish``; in memory where it is small,
        else in a file that is removed."""
        import xarray as xr

        options: dict[str, Any] = {"engine": "h5netcdf", "decode_times": False, "cache": False}
        if layout.size <= MEMORY_BYTES:
            file = BytesIO()
            layout.write(file, attrs, self._point)
            with xr.open_dataset(file, **options) as dataset:
                yield netcdf.decoded(dataset.load()).drop_encoding()
            return
        path = self.store.points / "combined.nc"
        with aside(path, flush=False) as large:
            layout.write(large, attrs, self._point)
        try:
            with xr.open_dataset(path, **options) as dataset:
                yield netcdf.decoded(dataset).drop_encoding()
        finally:
            path.unlink()

    def finish(self, dataset: Dataset, incomplete: bool) -> Dataset:
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

    def _check(self, dataset: Dataset) -> None:
        if wrong := netcdf.problems(dataset):
            raise TypeError(
                f"finish of {self.study.name} returned what cannot be stored: {'; '.join(wrong)}"
            )

    def provenance(self, layout: Layout) -> dict[str, Any]:
        """Title, source, seeds and provenance; no date, so that equal runs give equal bytes."""
        configuration, study = self.configuration, self.study
        parameters = {**configuration["grid"], **configuration["settings"]}
        seeds = parameters.get("seed", [])
        attrs = {
            "title": f"{study.name}: {study.question}",
            "question": study.question,
            "source": study.source or self._source(layout).get("source", "this study"),
            "parameters": json.dumps(parameters, sort_keys=True),
            "seed": json.dumps(seeds if isinstance(seeds, list) else [seeds]),
            "threads": 1,
            "dynmem_version": configuration["versions"]["dynmem"].partition(" ")[0],
            "versions": json.dumps(configuration["versions"]),
            "configuration": canonical({**configuration, "finish": self.finish_code}),
        }
        if others := self._others():
            attrs["accepted"] = json.dumps(others)
        return attrs

    def _others(self) -> list[str]:
        """Points that were measured with other code, settings or versions than those of this run,
        and were kept."""
        configuration, lines = self.configuration, []
        now = versions_mark(configuration["versions"])
        known = {versions_mark(v): v for v in configuration["earlier_versions"]}
        fixed = canonical(
            {name: value for name, value in self.keys.fixed.items() if name not in self.plan.grid}
        )
        old: dict[str, int] = {}
        for (code, settings, versions), number in self.measured_with.items():
            if versions != now:
                differ = version_changes(known.get(versions, {}), configuration["versions"])
                words = "; ".join(differ).replace(" in the store", "")
                old[words] = old.get(words, 0) + number
            if (code, settings) != (self.keys.code, fixed):
                accepted = reversed(configuration["accepted"])
                words = next(
                    (
                        "; ".join(entry["changes"])
                        for entry in accepted
                        if digest(entry["configuration"]["code"]) == code
                    ),
                    "measured before the change",
                )
                old[words] = old.get(words, 0) + number
        lines = [f"{number} points: {words}" for words, number in old.items()]
        return lines
