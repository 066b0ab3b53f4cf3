"""The question of a study: its grid, settings and limits, checked, and what its numbers depend
on."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..runtime.files import canonical
from . import provenance
from .parameters import ConfigurationError, Plan, check_axis, check_value, kind_of, plain, unknown
from .store import check_name

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, eq=False)
class Question:
    """What a study asks: fields, plan and configuration, without the means to run it; see
    ``Study``."""

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
        errors = [
            f"{name} is both an axis and a setting" for name in self.grid if name in self.settings
        ]
        errors += [
            unknown(name, self.parameters)
            for name in (*self.quick, *self.units, *self.limits)
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

    # ---- what a run measures

    def plan(self, quick: bool = False, overrides: Mapping[str, Any] | None = None) -> Plan:
        """Axes and settings of a run, checked; ``ConfigurationError`` holds everything that is
        wrong."""
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
        return Plan(
            grid, {name: self._setting(name, chosen[name], errors) for name in self.settings}
        )

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
            errors.append(
                f"{name}: a setting is a number, a string, a list of them, or None, not "
                f"a {type(value).__name__}"
            )
        return value

    def configuration(self, plan: Plan) -> dict:
        """All that the numbers of a plan depend on."""
        code = provenance.code(self.measure, self.finish, self.summary)
        parameters = {
            "axes": list(plan.grid),
            "grid": dict(plan.grid),
            "settings": dict(plan.settings),
        }
        return {**parameters, "code": code, "versions": provenance.versions()}


def _signature_errors(measure: Callable, parameters: Sequence[str]) -> list[str]:
    """What ``measure`` is not given, or cannot take."""
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
