"""The declaration of a study: its grid, settings and limits, checked, and what its numbers depend
on."""

from __future__ import annotations

import hashlib
import html
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from ..runtime.extras import missing_extra
from ..runtime.files import canonical
from . import provenance
from .parameters import (
    ConfigurationError,
    Plan,
    check_axis,
    check_value,
    kind_of,
    plain,
    unit_and_name,
    unknown,
)
from .reach import reached
from .store import check_name

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class Question:
    """What a study asks: fields, plan and configuration, without the means to run it; see
    ``Study``."""

    name: str
    question: str
    grid: Mapping[str, Sequence]
    measure: Callable[..., Dataset]
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    limits: Mapping[str, Sequence] = field(default_factory=dict)
    source: str = ""
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Sequence[str | Path] = ()
    cost: Callable[..., float] | None = None
    finish: Callable[[Dataset], Dataset] | None = None
    summary: Callable[[Dataset], str] | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        errors = [
            f"{name} is both an axis and a setting" for name in self.grid if name in self.settings
        ]
        errors += [
            unknown(name, self.parameters)
            for name in (*self.quick, *self.units, *self.limits, *chain(*self.extras.values()))
            if name not in self.parameters
        ]
        errors += [] if self.grid else ["the grid has no axis"]
        errors += _signature_errors(self.measure, self.parameters)
        for quick in (False, True):
            self._plan(quick, {}, errors)
        if errors:
            raise ConfigurationError(
                f"study {self.name}: {error}" for error in dict.fromkeys(errors)
            )

    @property
    def parameters(self) -> list[str]:
        """Names of the axes and the settings."""
        return [*self.grid, *self.settings]

    def __repr__(self) -> str:
        axes = " x ".join(f"{len(plain(values))} {name}" for name, values in self.grid.items())
        return f"{type(self).__name__}({self.name!r}, {axes} = {len(self.plan())} points)"

    def _repr_html_(self) -> str:
        facts = self.describe()
        rows = [
            (name, *(_words(row.get(k)) for k in ("values", "value", "limits", "long_name")))
            for name, row in (facts["axes"] | facts["settings"]).items()
        ]
        columns = ("parameter", "values", "value", "limits", "meaning")
        head = "".join(f"<th>{column}</th>" for column in columns)
        cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return (
            f"<p><b>{html.escape(self.name)}</b>: {html.escape(self.question)}</p>"
            f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self.source)}</p>"
        )

    def describe(self) -> dict[str, Any]:
        """Name, question, axes and settings with their limits, what a quick run replaces, number of
        points, and source, as plain values."""
        return {
            "name": self.name,
            "about": self.question,
            "axes": {
                name: {"values": plain(values), **self._facts(name)}
                for name, values in self.grid.items()
            },
            "settings": {
                name: {"value": plain(value), **self._facts(name)}
                for name, value in self.settings.items()
            },
            "quick": plain(self.quick),
            "points": {"full": len(self.plan()), "quick": len(self.plan(quick=True))},
            "source": self.source,
        }

    def _facts(self, name: str) -> dict[str, Any]:
        """Limits, units and long name of a parameter."""
        units, long_name = unit_and_name(name, self.units.get(name, "1"))
        return {"limits": plain(self.limits.get(name)), "units": units, "long_name": long_name}

    # ---- what a run measures

    def plan(self, quick: bool = False, overrides: Mapping[str, Any] | None = None) -> Plan:
        """Axes and settings of a run, checked.

        Parameters
        ----------
        quick : bool, optional
            Those of the trial run.
        overrides : mapping, optional
            Other values of axes and settings.

        Returns
        -------
        Plan
            Grid and settings.

        Raises
        ------
        ConfigurationError
            With a line for each error.
        """
        errors: list[str] = []
        plan = self._plan(quick, overrides or {}, errors)
        if errors:
            raise ConfigurationError(errors)
        return plan

    def check_extras(self, plan: Plan) -> None:
        """Raise MissingExtraError where a run of this plan needs a package that is missing."""
        values = {**plan.grid, **{name: [value] for name, value in plan.settings.items()}}
        for extra, where in self.extras.items():
            if all(value in values[name] for name, value in where.items()) and (
                missing := missing_extra(extra)
            ):
                raise MissingExtraError(f"study {self.name} needs {missing}")

    def _plan(self, quick: bool, overrides: Mapping[str, Any], errors: list[str]) -> Plan:
        chosen = {**self.grid, **self.settings, **(self.quick if quick else {})}
        errors += [unknown(name, self.parameters) for name in overrides if name not in chosen]
        chosen |= {name: value for name, value in overrides.items() if name in chosen}
        grid = {name: self._axis(name, chosen[name], errors) for name in self.grid}
        return Plan(
            grid, {name: self._setting(name, chosen[name], errors) for name in self.settings}
        )

    def _axis(self, name: str, values: Any, errors: list[str]) -> list:
        usual = plain(self.grid[name])
        kind, limits = kind_of(usual) if isinstance(usual, list) else None, self.limits.get(name)
        if kind is str and limits is None:
            limits = [*usual, *plain(self.quick.get(name, []))]
        values, wrong = check_axis(name, values, kind, limits)
        errors += wrong
        return values

    def _setting(self, name: str, value: Any, errors: list[str]) -> Any:
        value, usual, limits = plain(value), plain(self.settings[name]), self.limits.get(name)
        if isinstance(usual, (int, float, str)) and not isinstance(usual, bool):
            errors += check_value(name, value, type(usual), limits)
        elif isinstance(value, list) and isinstance(usual, list) and kind_of(usual) is not None:
            kind = kind_of(usual)
            errors += [e for item in value for e in check_value(name, item, kind, limits)]
        elif usual is not None and type(value) is not type(usual):
            errors.append(f"{name} = {value!r}: must be a {type(usual).__name__}, as {usual!r}")
        try:
            canonical(value)
        except TypeError:
            errors.append(
                f"{name}: a setting is a number, a string, a list of them, or None, not "
                f"a {type(value).__name__}"
            )
        return value

    def configuration(self, plan: Plan) -> dict[str, Any]:
        """Everything that the numbers of a plan depend on."""
        found = reached(self.measure)
        usual = _defaults(self.measure)
        given = {*plan.grid, *plan.settings}
        return {
            "study": self.name,
            "axes": list(plan.grid),
            "grid": dict(plan.grid),
            "settings": dict(plan.settings),
            "defaults": {name: value for name, value in usual.items() if name not in given},
            "usual": usual,
            "code": {**found.parts, **self._files()},
            "packages": sorted(found.packages),
            "versions": provenance.versions(found.packages),
            "accepted": [],
            "earlier_versions": [],
        }

    def _files(self) -> dict[str, str]:
        """Checksum of each file that the measure reads."""
        found, missing = {}, []
        for name in self.files:
            path = Path(name)
            if path.is_file():
                with open(path, "rb") as file:
                    found[f"file {name}"] = hashlib.file_digest(file, "sha256").hexdigest()
            else:
                missing.append(f"files: there is no file {path}")
        if missing:
            raise ConfigurationError(missing)
        return found


def _words(value: Any) -> str:
    """A value or a list of values, in a table."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _signature_errors(measure: Callable, parameters: Sequence[str]) -> list[str]:
    """Parameters that ``measure`` needs and is not given, or is given and does not take."""
    signature = inspect.signature(measure).parameters.values()
    taken = {p.name for p in signature if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    needed = {p.name for p in signature if p.name in taken and p.default is p.empty}
    errors = [
        f"measure needs {name}, which is neither an axis nor a setting"
        for name in sorted(needed - set(parameters))
    ]
    if not any(p.kind is p.VAR_KEYWORD for p in signature):
        errors += [f"measure does not take {name}" for name in parameters if name not in taken]
    return errors


def _defaults(measure: Callable) -> dict[str, Any]:
    """Defaults of a measure; those that are no plain values belong to its code."""
    found = {}
    for name, parameter in inspect.signature(measure).parameters.items():
        value = plain(parameter.default)
        if parameter.default is not parameter.empty and _is_plain(value):
            found[name] = value
    return found


def _is_plain(value: Any) -> bool:
    try:
        canonical(value)
    except (TypeError, ValueError):
        return False
    return True
