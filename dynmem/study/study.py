"""Studies: a question, a grid of parameters and a function that measures one point, run to a store
that survives what may happen to it."""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files import space_watched
from ..runtime.threads import cores
from .command import add_options, guarded
from .parameters import ConfigurationError, read_assignments
from .question import Question
from .run import Progress, Run, check_space
from .store import Store

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, eq=False)
class Study(Question):
    """A question put to every point of a grid.

    ``measure(**point, **settings) -> Dataset`` answers for one point; it stands at the top level of
    its module, so that worker processes find it. The points are the product of the values of
    ``grid``; a parameter called ``seed`` is one like any other. ``quick`` replaces axes and
    settings for a trial run of seconds. ``units`` holds for each axis its units or (units, long
    name). ``limits`` holds for numbers (least, most), either may be None, and for strings all that
    are allowed (an axis of strings: those of the grid, unless said). ``finish(Dataset) -> Dataset``
    may add to the combined Dataset, ``summary(Dataset) -> str`` is printed at the end.

    >>> import xarray as xr
    >>> def measure(gain, seed): return xr.Dataset({"square": ((), gain**2)})
    >>> study = Study("demo", "What is a square?", grid={"gain": [0.5, 2.0], "seed": [0]}, measure=measure)
    >>> len(study.plan()), study.plan().points()[1]
    (2, {'gain': 2.0, 'seed': 0})
    """

    def run(
        self, *, output=None, quick=False, workers=1, overrides=None, fresh=False, progress=None
    ) -> "Dataset":
        """Measure every point that the store does not hold yet, and return the combined Dataset,
        also written to ``output/NAME.nc``.

        ``output`` is ``results`` (``results/quick`` for a quick run) unless given. A point whose
        measure raised an error, or ended three worker processes, is missing in the Dataset and
        named in its variable ``status``; ``failures`` lists them. The result does not depend on
        ``workers``. ``fresh`` moves an earlier store aside. ``progress`` shows a bar, by default
        where stderr is a terminal. Raises ``ConfigurationError``, ``ChangedError`` (the store was
        made otherwise), ``DamageError``, ``BusyError``, ``NoSpaceError``, and ``Stopped`` on Ctrl-C
        or SIGTERM.
        """
        plan = self.plan(quick, overrides)
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ConfigurationError([f"workers = {workers}: must be at least 1"])
        store = Store(self.name, folder(output, quick))
        with space_watched():
            check_space(len(plan) - (0 if fresh else store.count()), store.folder)
            with store.lock(), Progress(len(plan), progress) as report:
                return Run(self, plan, store, report).dataset(workers or cores(), fresh)

    def load(self, *, output=None, quick=False) -> "Dataset":
        """The Dataset of a finished run."""
        return Store(self.name, folder(output, quick)).load()

    # ---- the command line

    def main(self, argv: Sequence[str] | None = None) -> int:
        """``python -m studies.NAME``: the options of ``dynmem run NAME``."""
        parser = argparse.ArgumentParser(
            prog=f"python -m studies.{self.name}", description=self.question, allow_abbrev=False
        )
        add_options(parser)
        return guarded(lambda: self.command(parser.parse_args(argv)))

    def command(self, options: argparse.Namespace) -> int:
        """Run as the options say; the summary goes to stdout, the rest to stderr. Exit code 1 when
        points failed."""
        plan = self.plan()
        overrides, errors = read_assignments(options.set, plan.grid, plan.settings)
        if options.workers is not None and not re.fullmatch("[1-9][0-9]{0,2}", options.workers):
            errors.append(f"workers = {options.workers!r}: must be a whole number from 1 to 999")
        self._plan(
            options.quick,
            {name: value for name, value in overrides.items() if value not in (None, [])},
            errors,
        )
        if errors:
            raise ConfigurationError(dict.fromkeys(errors))
        workers = cores() if options.workers is None else int(options.workers)
        dataset = self.run(
            output=options.output,
            quick=options.quick,
            workers=workers,
            overrides=overrides,
            fresh=options.fresh,
        )
        self._tell(
            dataset, Store(self.name, folder(options.output, options.quick)).file, options.json
        )
        return 1 if failures(dataset) else 0

    def _tell(self, dataset: "Dataset", file: Path, as_json: bool) -> None:
        failed = failures(dataset)
        if as_json:
            sizes = {str(name): size for name, size in dataset.sizes.items()}
            print(
                json.dumps(
                    {"study": self.name, "store": str(file), "sizes": sizes, "failed": failed}
                )
            )
            return
        for failure in failed[:10]:
            print(_describe(failure), file=sys.stderr)
        if len(failed) > 10:
            print(
                f"and {len(failed) - 10} more: the variable status of {file} holds them all",
                file=sys.stderr,
            )
        if self.summary is not None and len(failed) < dataset.status.size:
            print(self.summary(dataset))
        print(f"results: {file}")


def folder(output, quick: bool) -> Path:
    """Folder of a run: a quick run keeps apart from a full one."""
    if output is not None:
        return Path(output)
    return Path("results", "quick") if quick else Path("results")


def failures(dataset: "Dataset") -> list[dict]:
    """Points of a combined Dataset that failed, in order: number, parameters and error."""
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
    place = []
    for size in reversed(shape):
        index, i = divmod(index, size)
        place.insert(0, i)
    return place


def _describe(failure: Mapping) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in failure["parameters"].items())
    return f"point {failure['point']} ({parameters}) failed: {failure['error']}"
