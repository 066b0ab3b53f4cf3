"""The parameters of a study: values of its axes and settings, checked, and read from a command
line."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..errors import suggestion

MOST_VALUES = 1_000_000  # of an axis or a setting
MAX_INTEGER = 2**63 - 1  # of int64, in which an axis is stored


class ConfigurationError(ValueError):
    """A grid, a setting or an option cannot be used; the message has one line for each reason."""

    def __init__(self, reasons: Iterable[str]) -> None:
        super().__init__("\n".join(reasons))


@dataclass(frozen=True)
class Plan:
    """What one run measures.

    Parameters
    ----------
    grid : mapping of str to list
        Values of each axis; the points are their product.
    settings : mapping
        Parameters that are the same at every point.

    Examples
    --------
    >>> plan = Plan({"gain": [0.9, 1.1], "seed": [0, 1, 2]}, {})
    >>> len(plan), plan.point(1)
    (6, {'gain': 0.9, 'seed': 1})
    """

    grid: Mapping[str, list]
    settings: Mapping[str, Any]

    def __len__(self) -> int:
        """Number of points."""
        return math.prod(len(values) for values in self.grid.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each axis."""
        return tuple(len(values) for values in self.grid.values())

    def point(self, index: int) -> dict[str, Any]:
        """Parameters of a point, the last axis running fastest."""
        places = []
        for size in reversed(self.shape):
            index, place = divmod(index, size)
            places.append(place)
        rows = zip(self.grid.items(), reversed(places), strict=True)
        return {name: values[place] for (name, values), place in rows}

    def points(self) -> Iterator[dict[str, Any]]:
        """Parameters of each point in turn."""
        for values in product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def plain(value: Any) -> Any:
    """Numpy scalars and arrays, tuples and ranges as plain Python numbers and lists."""
    if isinstance(value, range) and len(value) > MOST_VALUES:
        raise ConfigurationError(
            [f"{value!r:.60}: has {len(value):,} values, a study takes at most {MOST_VALUES:,}"]
        )
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (tuple, list, range)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def unit_and_name(parameter: str, entry: str | tuple[str, str]) -> tuple[str, str]:
    """Units and long name from an entry of ``units``: units alone, or both."""
    return (entry, parameter.replace("_", " ")) if isinstance(entry, str) else entry


def kind_of(values: Sequence) -> type | None:
    """Common type of the values of an axis: int, float (also where both occur) or str; None for
    anything else.

    >>> kind_of([1, 2.5]), kind_of(["tanh"]), kind_of([True])
    (<class 'float'>, <class 'str'>, None)
    """
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return float
    return kinds.pop() if len(kinds) == 1 and kinds <= {int, float, str} else None


def check_axis(
    name: str, values: Any, kind: type | None, limits: Sequence | None
) -> tuple[list, list[str]]:
    """Values of an axis, converted to its type, and the errors in them."""
    values = plain(values)
    if not isinstance(values, list) or not values:
        return [], [f"{name} = {values!r}: must be one value or more"]
    errors = [error for value in values for error in check_value(name, value, kind, limits)]
    if not errors and kind is not None:
        values = [kind(value) for value in values]
        errors = [
            f"{name} = {value} is given twice"
            for value, times in Counter(values).items()
            if times > 1
        ]
    return values, errors


def check_value(name: str, value: Any, kind: type | None, limits: Sequence | None) -> list[str]:
    """Errors in one value: of type, of range (limits: (least, most), or the strings allowed), or
    that it is not finite.

    >>> check_value("delay", 0, int, (1, None))
    ['delay = 0: must be at least 1']
    """
    if kind is None:
        return [f"{name}: its values must be all numbers or all strings"]
    if kind is str:
        return _check_text(name, value, limits)
    if type(value) is not int and not (kind is float and type(value) is float):
        return [f"{name} = {value!r}: must be a {'whole ' if kind is int else ''}number"]
    # an integer of hundreds of digits is no float: compare it first
    largest = MAX_INTEGER if kind is int else sys.float_info.max
    if abs(value) > largest or not math.isfinite(value):
        return [f"{name} = {_digits(value)}: must be a finite number"]
    least, most = limits or (None, None)
    if least is not None and value < least:
        return [f"{name} = {value}: must be at least {least}"]
    if most is not None and value > most:
        return [f"{name} = {value}: must be at most {most}"]
    return []


def _digits(value: float) -> str:
    """A number for a message, also one of hundreds of digits."""
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}... ({len(text)} digits)"


def _check_text(name: str, value: Any, choices: Sequence | None) -> list[str]:
    if not isinstance(value, str):
        return [f"{name} = {value!r}: must be a string"]
    if choices and value not in choices:
        return [f"{name} = {value!r}: must be one of {', '.join(choices)}"]
    return []


def unknown(name: str, known: Iterable[str]) -> str:
    """Message for a parameter that does not exist."""
    return f"{name}: no such parameter: choose one of {', '.join(known)}{suggestion(name, known)}"


def read_value(text: str, kind: type | None) -> Any:
    """A value from a user's text, never evaluated; the ValueError states what it must be.

    >>> read_value("1e-3", float), read_value("12", int), read_value("false", bool)
    (0.001, 12, False)
    """
    if kind is str and text:
        return text
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in (int, float) and re.fullmatch(r"[+-]?[0-9]{1,4000}", text):
        return int(text) if kind is int else float(text)
    if kind is float and re.fullmatch(r"[0-9.eE+-]+|[+-]?(inf|nan)", text):
        try:
            return float(text)
        except ValueError:
            pass
    words: dict[type | None, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a string",
    }
    raise ValueError(f"must be {words.get(kind, 'a value of one type')}")


def read_assignments(
    texts: Iterable[str], grid: Mapping[str, list], settings: Mapping[str, Any]
) -> tuple[dict, list[str]]:
    """Overrides from ``name=v1,v2,...``, each value read as the type of the parameter, and all
    errors in them."""
    overrides: dict[str, Any] = {}
    errors: list[str] = []
    known = [*grid, *settings]
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals:
            errors.append(f"{text}: write it as name=value or name=value,value")
        elif name not in known:
            errors.append(unknown(name, known))
        elif name in overrides:
            errors.append(f"{name} is set twice")
        else:
            overrides[name] = None
            overrides[name], wrong = _read(name, values, grid, settings)
            errors += wrong
    return overrides, errors


def _read(name: str, text: str, grid: Mapping, settings: Mapping) -> tuple[Any, list[str]]:
    if name in grid:
        return _read_each(name, text.split(","), kind_of(grid[name]))
    present = settings[name]
    several = isinstance(present, list)
    kind = kind_of(present) if several else type(present)
    if kind not in (int, float, bool, str):
        return None, [f"{name}: cannot be set from the command line"]
    values, errors = _read_each(name, text.split(",") if several else [text], kind)
    return (values if several else (values or [None])[0]), errors


def _read_each(name: str, texts: Iterable[str], kind: type | None) -> tuple[list, list[str]]:
    values, errors = [], []
    for text in texts:
        try:
            values.append(read_value(text.strip(), kind))
        except ValueError as error:
            errors.append(f"{name} = {text.strip()!r}: {error}")
    return values, errors
