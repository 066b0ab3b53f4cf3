"""A study: a question put to every point of a grid, run to a store that survives what may happen
to it."""

from __future__ import annotations

import argparse
import errno
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.files import space_watched
from ..runtime.platform import cores, reach_of_locks
from ..runtime.validation import public
from .command import Parser, add_options, guarded
from .parameters import ConfigurationError, read_assignments
from .progress import MIN_POINT_BYTES, Progress, check_space
from .question import Question
from .run import Means, Run
from .store import Store

if TYPE_CHECKING:
    from xarray import Dataset

MAX_WORKERS = 999
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
MAX_FAILURES_PRINTED = 10


@public
@dataclass(frozen=True, eq=False, repr=False)
class Study(Question):
    """A question put to every point of a grid.

    The points are the product of the values of ``grid``. Each is measured on its own, on one
    thread, and kept on disk as soon as it is measured; the result does not depend on the number of
    workers or on how often the run was stopped.

    Parameters
    ----------
    name : str
        Name of the study and of its store: letters, digits, ``.``, ``_``, ``-``.
    question : str
        The question, in one sentence.
    grid : mapping of str to sequence
        Values of each axis: numbers, or strings. A parameter called ``seed`` is one like any other.
    measure : callable
        ``measure(**point, **settings) -> Dataset`` measures one point; one that is defined in a
        notebook goes to worker processes too. The generators of ``random``, numpy and torch are
        seeded from the parameters of the point. A store is compared by what it reaches: its own
        text, the user's functions that it calls, and the values that they use.
    settings : mapping, optional
        Parameters that are the same at every point.
    quick : mapping, optional
        Axes and settings of a trial run of seconds, in place of the full ones.
    units : mapping of str to str or tuple, optional
        Units of each parameter, or (units, long name).
    limits : mapping of str to sequence, optional
        (least, most) of a number, either may be None; for strings all that are allowed (an axis of
        strings: those of the grid, unless given).
    source : str, optional
        References.
    extras : mapping of str to mapping, optional
        Extras of dynmem, or import names of other packages, that a run needs, each with the values
        of parameters for which it does ({} for every run): checked before the first point.
    files : sequence of path, optional
        Files that ``measure`` reads: a changed one is a change of its code.
    cost : callable, optional
        ``cost(**point, **settings) -> float``, what a point costs in any unit: the dearest points
        are measured first, and the time that is left follows it.
    finish : callable, optional
        ``finish(Dataset) -> Dataset`` adds to the combined Dataset.
    summary : callable, optional
        ``summary(Dataset) -> str`` is printed at the end of a run.

    Raises
    ------
    ConfigurationError
        The declaration cannot run: all reasons at once.

    Examples
    --------
    >>> import xarray as xr
    >>> def measure(gain, seed): return xr.Dataset({"square": ((), gain**2)})
    >>> study = Study("demo", "A square?", grid={"gain": [0.5, 2.0], "seed": [0]}, measure=measure)
    >>> study, study.plan().point(1)
    (Study('demo', 2 gain x 1 seed = 2 points), {'gain': 2.0, 'seed': 0})
    """

    def run(
        self,
        *,
        output: str | Path | None = None,
        quick: bool = False,
        workers: int | None = 1,
        cluster: Any = None,
        overrides: Mapping[str, Any] | None = None,
        fresh: bool = False,
        accept: bool = False,
        progress: bool | None = None,
    ) -> Dataset:
        """Measure every point that the store does not hold yet, and combine all points.

        The result is also written to ``output/NAME.nc``. The grid may grow: values that are added
        to an axis cost their own points only, and so do those of a new axis for which ``measure``
        has a default, the value of the points in the store. What is removed from the grid stays in
        the store.

        Parameters
        ----------
        output : path, optional
            Folder of the store: ``results``, or ``results/quick`` for a quick run, unless given.
        quick : bool, optional
            Use the axes and settings of the trial run.
        workers : int or None, optional
            Number of processes, on loopback; None for one a core. One is this process itself.
        cluster : str, path, distributed.Client or cluster object, optional
            Dask cluster that measures the points, in place of local processes: address or scheduler
            file of one that runs, or an object such as ``dask_jobqueue.SLURMCluster``.
        overrides : mapping, optional
            Other values of axes and settings.
        fresh : bool, optional
            Move an earlier store aside and start anew.
        accept : bool, optional
            Keep the points of a store that was made with other settings or other code; the result
            says so in its attribute ``accepted``.
        progress : bool, optional
            Show a progress bar; by default where stderr is a terminal.

        Returns
        -------
        xarray.Dataset
            The variables of ``measure`` with the axes of the grid as first dims, and

            status : (axes of the grid), 1
                ``done``, ``not finite: VARIABLES``, or ``failed: ERROR``: the measure raised an
                error, or ended three worker processes. A failed point is NaN.

        Raises
        ------
        ConfigurationError
            An override cannot be used.
        ChangedError
            The store was made with other settings, or with other code: what differs, line by line.
        DamageError
            A file of the store does not match its checksum.
        BusyError
            Another process runs this study.
        NoSpaceError
            The disk is full, or would be.
        MissingExtraError
            A package that the study needs is missing; nothing is measured or stored.
        ClusterError
            The cluster or its workers cannot be reached; what was finished is saved.
        Stopped
            Ctrl-C or SIGTERM; what was finished is saved.
        """
        plan = self.plan(quick, overrides)
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ConfigurationError([f"workers = {workers}: must be at least 1"])
        store = Store(self.name, folder(output, quick))
        means = Means(workers or cores(), cluster, fresh, accept)
        if fresh or not store.file.exists():
            self.check_extras(plan)
        with space_watched(), Progress(progress) as report:
            check_space((len(plan) - store.count()) * MIN_POINT_BYTES, len(plan), store.folder)
            run = Run(self, plan, store, report, means)
            try:
                with store.lock() as note:
                    run.note = note
                    if words := reach_of_locks(store.folder):
                        report.say(words)
                    store.tidy()
                    run.set_aside()
                    ready = run.finished()
                    if ready is not None:
                        return ready
                    self.check_extras(plan)
                    return run.dataset()
            except OSError as error:
                # a finished study may stand in a folder that cannot be written
                if error.errno not in READ_ONLY or (ready := run.finished()) is None:
                    raise
                return ready

    def load(self, *, output: str | Path | None = None, quick: bool = False) -> Dataset:
        """The Dataset of a finished run.

        Parameters
        ----------
        output, quick
            As of ``run``.

        Returns
        -------
        xarray.Dataset
            That of ``run``.

        Raises
        ------
        FileNotFoundError
            The study has not run.
        DamageError
            The file does not match its checksum.
        """
        return Store(self.name, folder(output, quick)).load()

    # ---- the command line

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run from the command line: ``python -m dynmem.studies.NAME``, ``python mine.py``.

        The options are those of ``dynmem run``. Returns the exit code.
        """
        main = sys.modules["__main__"].__spec__  # None where a file is run by its path
        prog = f"python {sys.argv[0]}" if main is None else f"python -m {main.name}"
        parser = Parser(prog=prog, description=self.question, allow_abbrev=False)
        add_options(parser)
        return guarded(lambda: self.command(parser.parse_args(argv)))

    def command(self, options: argparse.Namespace) -> int:
        """Run with the options of ``dynmem run``: summary to stdout, the rest to stderr.

        Returns the exit code, 1 where points failed.
        """
        plan = self.plan()
        overrides, errors = read_assignments(options.set, plan.grid, plan.settings)
        if options.workers is not None and not re.fullmatch("[1-9][0-9]{0,2}", options.workers):
            errors.append(
                f"workers = {options.workers!r}: must be a whole number from 1 to {MAX_WORKERS}"
            )
        self._plan(
            options.quick,
            {name: value for name, value in overrides.items() if value not in (None, [])},
            errors,
        )
        if errors:
            raise ConfigurationError(dict.fromkeys(errors))
        usual = 1 if options.quick else cores()
        workers = usual if options.workers is None else int(options.workers)
        dataset = self.run(
            output=options.output,
            quick=options.quick,
            workers=workers,
            cluster=options.cluster,
            overrides=overrides,
            fresh=options.fresh,
            accept=options.accept,
        )
        self._report(
            dataset, Store(self.name, folder(options.output, options.quick)).file, options.json
        )
        return 1 if failures(dataset) else 0

    def _report(self, dataset: Dataset, file: Path, as_json: bool) -> None:
        failed = failures(dataset)
        if as_json:
            sizes = {str(name): size for name, size in dataset.sizes.items()}
            print(
                json.dumps(
                    {"study": self.name, "store": str(file), "sizes": sizes, "failed": failed}
                )
            )
            return
        for failure in failed[:MAX_FAILURES_PRINTED]:
            print(_describe(failure), file=sys.stderr)
        if (more := len(failed) - MAX_FAILURES_PRINTED) > 0:
            words = f"and {more} more: the variable status of {file} holds them all"
            print(words, file=sys.stderr)
        if self.summary is not None and len(failed) < dataset.status.size:
            print(self.summary(dataset))
        if len(failed) == dataset.status.size:
            print(f"no results: every point failed; {file} holds the errors", file=sys.stderr)
        elif failed:
            print(
                f"results: {file}, without the {len(failed)} of {dataset.status.size} points "
                "that failed"
            )
        else:
            print(f"results: {file}")


def folder(output: str | Path | None, quick: bool) -> Path:
    """Folder of a run's store; a quick run has its own."""
    if output is not None:
        return Path(output)
    return Path("results", "quick") if quick else Path("results")


def failures(dataset: Dataset) -> list[dict[str, Any]]:
    """Points of a combined Dataset that failed.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of ``Study.run``.

    Returns
    -------
    list of dict
        For each failed point, in order: point (its number), parameters, error.

    Examples
    --------
    >>> import xarray as xr
    >>> status = xr.DataArray(["done", "failed: ValueError: x"], {"gain": [0.5, 2.0]}, "gain")
    >>> failures(xr.Dataset({"status": status}))
    [{'point': 1, 'parameters': {'gain': 2.0}, 'error': 'ValueError: x'}]
    """
    found, axes = [], dataset.status.dims
    for index, status in enumerate(dataset.status.values.ravel().tolist()):
        if status.startswith("failed: "):
            place = _place(index, dataset.status.shape)
            parameters = {
                axis: dataset[axis].values[i].item() for axis, i in zip(axes, place, strict=True)
            }
            found.append(
                {"point": index, "parameters": parameters, "error": status.removeprefix("failed: ")}
            )
    return found


def _place(index: int, shape: Sequence[int]) -> list[int]:
    place: list[int] = []
    for size in reversed(shape):
        index, i = divmod(index, size)
        place.insert(0, i)
    return place


def _describe(failure: Mapping) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in failure["parameters"].items())
    return f"point {failure['point']} ({parameters}) failed: {failure['error']}"
