"""How a grid finds its points in a store: the key of a point, what may change without a word, and
what has changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from ..runtime.files import canonical, checksum
from .reach import UNKNOWN, digest

KEY_LENGTH = 24  # hexadecimal digits
MAX_LINES = 12  # of a changed function that are shown


def key(study: str, parameters: Mapping[str, Any], code: str) -> str:
    """Name of a point's file: a checksum of what the point depends on."""
    record = {"study": study, "parameters": dict(parameters), "code": code}
    return checksum(canonical(record).encode())[:KEY_LENGTH]


class Keys:
    """Keys of the points of a configuration, and of those that older ones gave the same points.

    Parameters
    ----------
    study : str
        Name of the study.
    configuration : mapping
        What ``Question.configuration`` says; ``accepted`` has the older ones.
    """

    def __init__(self, study: str, configuration: Mapping[str, Any]) -> None:
        self.study, self.now = study, configuration
        self.fixed = {**configuration["defaults"], **configuration["settings"]}
        self.code = digest(configuration["code"])
        self.older = [
            (old, digest(old["code"]))
            for old in (entry["configuration"] for entry in configuration["accepted"])
        ][::-1]

    def parameters(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a point: axes, settings, and defaults of the measure."""
        return {**self.fixed, **point}

    def key(self, point: Mapping[str, Any]) -> str:
        """Key of a point that is measured now."""
        return key(self.study, self.parameters(point), self.code)

    def older_keys(self, point: Mapping[str, Any]) -> Iterator[str]:
        """Keys of the same point under the older configurations that were accepted."""
        every = {**self.now["usual"], **self.parameters(point)}
        for old, code in self.older:
            fixed = {**old["defaults"], **old["settings"]}
            names = {*fixed, *old["axes"]}
            added = point.keys() - names
            lost = names - every.keys()
            if lost & set(old["axes"]) or any(
                name not in self.now["usual"] or point[name] != self.now["usual"][name]
                for name in added
            ):
                continue
            parameters = {name: every[name] for name in old["axes"]} | {
                name: point.get(name, value) for name, value in fixed.items()
            }
            yield key(self.study, parameters, code)


def without_history(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration by which its points are known."""
    return {name: configuration[name] for name in ("axes", "settings", "defaults", "code")}


def changes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What makes the points of a store others than those that would be measured now, as lines. The
    values of the axes may change, an axis may be added where the measure has a default for it, and
    a setting may become an axis.

    >>> same = {"axes": ["gain"], "defaults": {}, "code": {}, "usual": {}}
    >>> changes({**same, "settings": {"steps": 5}}, {**same, "settings": {"steps": 6}})
    ['steps was 5 in the store, 6 now']
    """
    before = {**stored["defaults"], **stored["settings"]}
    after = {**now["defaults"], **now["settings"]}
    lines = [
        f"{name} was {show(before.get(name))} in the store, {show(after.get(name))} now"
        for name in {**before, **after}
        if name not in stored["axes"] and name not in now["axes"]
        if canonical(before.get(name)) != canonical(after.get(name))
    ]
    lines += [
        f"{name} is a new axis: give it a default in measure, the value of the points in the store"
        for name in now["axes"]
        if name not in before and name not in stored["axes"] and name not in now["usual"]
    ]
    lines += [
        f"{name} was an axis in the store, absent now"
        for name in stored["axes"]
        if name not in after and name not in now["axes"]
    ]
    return lines + code_changes(stored["code"], now["code"])


def code_changes(stored: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What has changed in the functions and values that a measure reaches, line by line."""
    lines: list[str] = []
    for name in sorted({**stored, **now}):
        before, after = stored.get(name), now.get(name)
        if after is not None and after.startswith(UNKNOWN):
            what = after.partition(": ")[2]
            lines.append(f"{name} cannot be compared with the store's ({what})")
        elif before is None:
            lines.append(f"{name} is new")
        elif after is None:
            lines.append(f"{name} was reached in the store, and is not now")
        elif before != after and "\n" not in before + after:
            lines.append(f"{name} was {_short(before)} in the store, {_short(after)} now")
        elif before != after:
            lines += [f"{name} has changed:", *_difference(before, after)]
    return lines


def _difference(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    lines = [f"  {line[0]} {line[1:]}" for line in [*found][2:] if not line.startswith("@@")]
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"  and {more} more lines"]


def version_changes(stored: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Packages whose version is another one than that of the store."""
    return [
        f"{name} was {show(stored.get(name))} in the store, {show(now.get(name))} now"
        for name in {**stored, **now}
        if stored.get(name) != now.get(name)
    ]


def show(value: Any) -> str:
    """A value in a message."""
    if value is None:
        return "absent"
    return _short(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[:length]}..."
