"""``dynmem list`` and ``dynmem show``: what there is, and what it is."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import UnknownNameError, suggestion
from ..study.command import complain
from ..study.registry import KINDS as FILE_KINDS, entries, path_hint

REGISTRIES = {"systems": "system", "models": "model", "tasks": "task", "datasets": "dataset"}
KINDS = {**REGISTRIES, **FILE_KINDS}  # plural: singular
MAX_COLUMNS = 100
ABOUT_COLUMNS = 110  # longest line about a name in a list
LABEL_COLUMNS = 14
EXAMPLES = {
    "system": 'dm.lyapunov_spectrum(dm.systems.get("{name}"), duration=1000)',
    "model": 'dm.models.get("{name}", units=64, inputs=8, outputs=4)',
    "task": 'task = dm.tasks.get("{name}"); task.sample(10)',
    "dataset": 'dm.datasets.load("{name}")',
}
IN_THE_HEADING = ("name", "about", "kind", "class", "equation_latex", "limits")


def list_names(options: argparse.Namespace) -> int:
    """``dynmem list``: the names of each kind, with one line about each."""
    kinds = [options.kind] if options.kind else [*KINDS]
    found = {kind: names_of(kind) for kind in kinds}
    if options.json:
        records = {
            kind: [{"name": name, "about": about} for name, about in names.items()]
            for kind, names in found.items()
        }
        print(json.dumps(records))
        return 0
    for kind, names in found.items():
        if not options.kind:
            print(bold(kind))
        width = max(14, *map(len, names), 0)
        for name, about in names.items():
            print(f"{'' if options.kind else '  '}{name:<{width}} {about}".rstrip())
    return 0


def names_of(kind: str) -> dict[str, str]:
    """Names of one kind, each with a line about it."""
    if kind in FILE_KINDS:
        return {name: entry.about() for name, entry in entries(kind).items()}
    module = importlib.import_module(f"dynmem.{kind}")
    return {
        name: textwrap.shorten(_plain_text(module.about(name)), ABOUT_COLUMNS, placeholder=" ...")
        for name in module.names()
    }


def show_name(options: argparse.Namespace) -> int:
    """``dynmem show NAME``: what is known of the name, for each kind of thing that has it."""
    found = facts_of(options.name)
    if not found:
        return complain(_unknown(options.name), 2)
    if options.json:
        print(json.dumps(as_json(found)))
        return 0
    width = min(shutil.get_terminal_size().columns, MAX_COLUMNS)
    for number, (kind, facts) in enumerate(found.items()):
        if number:
            print()
        print("\n".join(card(kind, facts, width)))
    return 0


def facts_of(name: str) -> dict[str, dict]:
    """Facts on a name by kind: of a system, model, task, dataset or study, or of several."""
    found = {}
    for plural in [*REGISTRIES, "study"] if not name.endswith(".py") else ["study"]:
        kind = REGISTRIES.get(plural, "study")
        try:
            facts = importlib.import_module(f"dynmem.{plural}").describe(name)
        except UnknownNameError:
            continue
        if facts["name"] != name and not name.endswith(".py"):
            facts = {"name": facts["name"], "also called": name} | facts
        found[kind] = facts
        if kind in EXAMPLES:
            facts.setdefault("example", EXAMPLES[kind].format(name=facts["name"]))
    return found


def _unknown(name: str) -> str:
    """Message for a name that nothing has, with the names of any kind that it resembles."""
    known: dict[str, str] = {}
    for plural, singular in KINDS.items():
        if singular != "figure":
            known |= dict.fromkeys(names_of(plural), singular)
    hint = suggestion(name, known) or ": `dynmem list` shows every name"
    if path := path_hint(name):
        hint = f": {path}"
    return f"no system, model, task, dataset or study is called {name!r}{hint}"


# ---- a card of facts -----------------------------------------------------------------------------


def card(kind: str, facts: Mapping[str, Any], width: int) -> Iterator[str]:
    """Lines of text on one thing: its name and what it is, then a row for each fact."""
    yield f"{bold(str(facts.get('name', '')))} ({facts.get('kind', '')} {kind})".replace("( ", "(")
    yield from _wrapped(str(facts.get("about", "")), width)
    above = 2  # rows of the fact above: facts of one row stand without blank lines between them
    for label in facts:
        if label in IN_THE_HEADING:
            continue
        rows = list(_rows(_fact(label, facts), width - LABEL_COLUMNS))
        if len(rows) > 1 or (rows and above > 1):
            yield ""
        for number, row in enumerate(rows):
            yield f"{'' if number else label.replace('_', ' '):<{LABEL_COLUMNS}}{row}".rstrip()
        above = len(rows) or above


def _fact(label: str, facts: Mapping[str, Any]) -> Any:
    """A fact as it is shown: parameters with their limits, a text without the line about it, an
    equation with its own line breaks."""
    value, limits = facts[label], facts.get("limits") or {}
    if label == "parameters" and limits:
        return {name: {"default": default, "": limits.get(name)} for name, default in value.items()}
    if label in ("question", "description") and isinstance(value, str):
        return value.removeprefix(str(facts.get("about", ""))).strip()
    if label == "known":
        known = as_json(value) or {}
        return {name: entry for name, entry in known.items() if entry is not None}
    if label == "equation" and isinstance(value, str):
        return value.splitlines()
    return value


def _rows(value: Any, width: int) -> Iterator[str]:
    """Lines for the value of a fact."""
    value = as_json(value)
    if value in (None, "", [], {}):
        return
    if isinstance(value, str):
        yield from _wrapped(value, width)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            if entry not in ("", []):
                words = _parameter(name, entry) if isinstance(entry, Mapping) else _words(entry)
                yield from _wrapped(f"{name} = {words}", width, hanging="    ")
    elif isinstance(value, list) and any(" " in str(line) for line in value):
        for line in value:
            yield from _wrapped(str(line), width, hanging="    ")
    else:
        yield from _wrapped(_words(value), width)


def _parameter(name: str, entry: Mapping[str, Any]) -> str:
    """A parameter on one line: its value, and in brackets its meaning, units and limits."""
    given = next((entry[k] for k in ("values", "value", "default") if k in entry), None)
    limits, meaning, units = (entry.get(k) for k in ("limits", "long_name", "units"))
    meaning = "" if meaning == name.replace("_", " ") else meaning
    unit = "" if units in (None, "", "1") else f"in {units}"
    known = ("values", "value", "default", "limits", "long_name", "units")
    rest = "; ".join(
        f"{k} {_words(v)}".strip() for k, v in entry.items() if k not in known and v is not None
    )
    notes = "; ".join(note for note in (meaning, unit, _limits(limits), rest) if note)
    return f"{_words(given)}  ({notes})" if notes else _words(given)


def _limits(limits: Any) -> str:
    """Limits in words: the allowed strings, or the least and the most.

    >>> _limits([1, 1000000]), _limits([0.5, None]), _limits(["pre", "post"])
    ('from 1 to 1,000,000', 'from 0.5', 'one of pre, post')
    """
    if not limits:
        return ""
    if any(isinstance(limit, str) for limit in limits):
        return f"one of {_words(limits)}"
    bounds = zip(("from", "to"), limits, strict=True)
    return " ".join(f"{word} {limit:,}" for word, limit in bounds if limit is not None)


def _words(value: Any) -> str:
    """A plain value in one line; a long list is cut in the middle.

    >>> _words([0.5, 1.0]), _words(list(range(100)))
    ('0.5, 1', '0, 1, 2, 3, 4, 5 ... 99 (100 values)')
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        words = [_words(one) for one in value]
        if len(words) > 16:
            return f"{', '.join(words[:6])} ... {words[-1]} ({len(words)} values)"
        return ", ".join(words)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, width: int, hanging: str = "") -> Iterator[str]:
    """Paragraphs of running text, filled; lines that are indented keep their breaks."""
    for number, paragraph in enumerate(_plain_text(inspect.cleandoc(text)).split("\n\n")):
        if number:
            yield ""
        if any(line.startswith(" ") for line in paragraph.splitlines()):
            yield from paragraph.splitlines()
        else:
            yield from textwrap.wrap(
                paragraph, width, subsequent_indent=hanging, break_long_words=False
            )


def _plain_text(text: str) -> str:
    """Text without the double backquotes of docstrings."""
    return text.replace("``", "")


def as_json(value: Any) -> Any:
    """A value as JSON can hold it: records as mappings, arrays as lists, anything else by its name.

    >>> as_json({"a": (1, None), "f": len})
    {'a': [1, None], 'f': 'len'}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: as_json(getattr(value, field.name)) for field in fields}
    if isinstance(value, (list, tuple, range, set, frozenset)):
        return [as_json(one) for one in value]
    return value.__name__ if callable(value) and hasattr(value, "__name__") else str(value)


def bold(words: str) -> str:
    """Words in bold on a terminal that supports it, unless NO_COLOR is set."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return words if plain else f"\033[1m{words}\033[0m"
