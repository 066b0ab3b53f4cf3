"""Studies: a question, a grid of parameters and a function that measures one point, run to a store that survives what may happen to it."""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import canonical, space_watched
from . import provenance
from .command import add_options, guarded
from .parameters import ConfigurationError, Plan, check_axis, check_value, kind_of, plain, read_assignments, unknown
from .run import Progress, Run, check_space
from .store import Store, check_name
from .workers import cores

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, eq=False)
class Study:
    """A question put to every point of a grid.

    ``measure(**point, **settings) -> Dataset`` answers for one point; it stands at the top level of its module, so that worker processes
    find it. The points are the product of the values of ``grid``; a parameter called ``seed`` is one like any other. ``quick`` replaces
    axes and settings for a trial run of seconds. ``units`` holds for each axis its units or (units, long name). ``limits`` holds for
    numbers (least, most), either may be None, and for strings all that are allowed (an axis of strings: those of the grid, unless said).
    ``finish(Dataset) -> Dataset`` may add to the combined Dataset, ``summary(Dataset) -> str`` is printed at the end.

    >>> import xarray as xr
    >>> def measure(gain, seed): return xr.Dataset({"square": ((), gain**2)})
    >>> study = Study("demo", "What is a square?", grid={"gain": [0.5, 2.0], "seed": [0]}, measure=measure)
    >>> len(study.plan()), study.plan().points()[1]
    (2, {'gain': 2.0, 'seed': 0})
    """

    name: str
    question: str
    grid: Mapping[str, Sequence]
    measure: Callable[..., "Dataset"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    limits: Mapping[str, Sequence] = field(default_factory=dict)
    source: str = ""
    finish: Callable[["Dataset"], "Dataset"] | None = None
    summary: Callable[["Dataset"], str] | None = None

    def __post_init__(self):
        check_name(self.name)
        errors = [f"{name} is both an axis and a setting" for name in self.grid if name in self.settings]
        errors += [unknown(name, self.parameters) for name in (*self.quick, *self.units, *self.limits) if name not in self.parameters]
        errors += [] if self.grid else ["the grid has no axis"]
        errors += _signature_errors(self.measure, self.parameters)
        for quick in (False, True):
            self._plan(quick, {}, errors)
        if errors:
            raise ConfigurationError(f"study {self.name}: {error}" for error in dict.fromkeys(errors))

    @property
    def parameters(self) -> list[str]:
        """Names of the axes and the settings."""
        return [*self.grid, *self.settings]

    # ---- what a run measures

    def plan(self, quick: bool = False, overrides: Mapping[str, Any] | None = None) -> Plan:
        """Axes and settings of a run, checked; ``ConfigurationError`` holds everything that is wrong."""
        errors: list[str] = []
        plan = self._plan(quick, overrides or {}, errors)
        if errors:
            raise ConfigurationError(errors)
        return plan

    def _plan(self, quick: bool, overrides: Mapping[str, Any], errors: list[str]) -> Plan:
        chosen = {**self.grid, **self.settings, **(self.quick if quick else {})}
        errors += [unknown(name, self.parameters) for name in overrides if name not in chosen]
        chosen |= {name: value for name, value in overrides.items() if name in chosen}
        grid = {name: self._axis(name, chosen[name], errors) for name in self.grid}
        return Plan(grid, {name: self._setting(name, chosen[name], errors) for name in self.settings})

    def _axis(self, name: str, values, errors: list[str]) -> list:
        usual = plain(self.grid[name])
        kind, limits = kind_of(usual) if isinstance(usual, list) else None, self.limits.get(name)
        if kind is str and limits is None:
            limits = [*usual, *plain(self.quick.get(name, []))]
        values, wrong = check_axis(name, values, kind, limits)
        errors += wrong
        return values

    def _setting(self, name: str, value, errors: list[str]):
        value, usual, limits = plain(value), plain(self.settings[name]), self.limits.get(name)
        if isinstance(usual, (int, float, str)) and not isinstance(usual, bool):
            errors += check_value(name, value, type(usual), limits)
        elif usual is not None and type(value) is not type(usual):
            errors.append(f"{name} = {value!r}: must be a {type(usual).__name__}, as {usual!r}")
        try:
            canonical(value)
        except TypeError:
            errors.append(f"{name}: a setting is a number, a string, a list of them, or None, not a {type(value).__name__}")
        return value

    def configuration(self, plan: Plan) -> dict:
        """All that the numbers of a plan depend on."""
        code = provenance.code(self.measure, self.finish, self.summary)
        parameters = {"axes": list(plan.grid), "grid": dict(plan.grid), "settings": dict(plan.settings)}
        return {**parameters, "code": code, "versions": provenance.versions()}

    # ---- running

    def run(self, *, output=None, quick=False, workers=1, overrides=None, fresh=False, progress=None) -> "Dataset":
        """Measure every point that the store does not hold yet, and return the combined Dataset, also written to ``output/NAME.nc``.

        ``output`` is ``results`` (``results/quick`` for a quick run) unless given. A point whose measure raised an error, or ended three
        worker processes, is missing in the Dataset and named in its variable ``status``; ``failures`` lists them. The result does not
        depend on ``workers``. ``fresh`` moves an earlier store aside. ``progress`` shows a bar, by default where stderr is a terminal.
        Raises ``ConfigurationError``, ``ChangedError`` (the store was made otherwise), ``DamageError``, ``BusyError``, ``NoSpaceError``,
        and ``Stopped`` on Ctrl-C or SIGTERM.
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
        parser = argparse.ArgumentParser(prog=f"python -m studies.{self.name}", description=self.question, allow_abbrev=False)
        add_options(parser)
        return guarded(lambda: self.command(parser.parse_args(argv)))

    def command(self, options: argparse.Namespace) -> int:
        """Run as the options say; the summary goes to stdout, the rest to stderr. Exit code 1 when points failed."""
        plan = self.plan()
        overrides, errors = read_assignments(options.set, plan.grid, plan.settings)
        if options.workers is not None and not re.fullmatch("[1-9][0-9]{0,2}", options.workers):
            errors.append(f"workers = {options.workers!r}: must be a whole number from 1 to 999")
        self._plan(options.quick, {name: value for name, value in overrides.items() if value not in (None, [])}, errors)
        if errors:
            raise ConfigurationError(dict.fromkeys(errors))
        workers = cores() if options.workers is None else int(options.workers)
        dataset = self.run(output=options.output, quick=options.quick, workers=workers, overrides=overrides, fresh=options.fresh)
        self._tell(dataset, Store(self.name, folder(options.output, options.quick)).file, options.json)
        return 1 if failures(dataset) else 0

    def _tell(self, dataset: "Dataset", file: Path, as_json: bool) -> None:
        failed = failures(dataset)
        if as_json:
            sizes = {str(name): size for name, size in dataset.sizes.items()}
            print(json.dumps({"study": self.name, "store": str(file), "sizes": sizes, "failed": failed}))
            return
        for failure in failed[:10]:
            print(_describe(failure), file=sys.stderr)
        if len(failed) > 10:
            print(f"and {len(failed) - 10} more: the variable status of {file} holds them all", file=sys.stderr)
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
            parameters = {axis: dataset[axis].values[i].item() for axis, i in zip(axes, place, strict=True)}
            found.append({"point": index, "parameters": parameters, "error": status.removeprefix("failed: ")})
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


def _signature_errors(measure: Callable, parameters: Sequence[str]) -> list[str]:
    """What ``measure`` is not given, or cannot take."""
    signature = inspect.signature(measure).parameters.values()
    taken = {p.name for p in signature if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    needed = {p.name for p in signature if p.name in taken and p.default is p.empty}
    errors = [f"measure needs {name}, which is neither an axis nor a setting" for name in sorted(needed - set(parameters))]
    if not any(p.kind is p.VAR_KEYWORD for p in signature):
        errors += [f"measure does not take {name}" for name in parameters if name not in taken]
    return errors
