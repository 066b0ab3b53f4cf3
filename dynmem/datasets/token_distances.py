"""Distances in tokens between related characters of a text, under several vocabularies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..labels import dataset
from ..runtime.validation import integer
from ..typing import ArrayLike
from . import bpe
from .text import BYTES, merges
from .text_sources import SOURCES, facts, split, texts

if TYPE_CHECKING:
    from xarray import Dataset


def token_lengths(
    source: str = "python",
    *,
    vocabularies: Sequence[int] = (256, 512, 1024),
    held_out: int | str | Sequence[str] | None = None,
    engine: str = "plain",
) -> dict[int, list[np.ndarray]]:
    """Lengths in characters of the tokens of each held-out document, under each vocabulary.

    One training of the largest vocabulary serves all; ``dm.analysis.token_paths`` takes them.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".
    vocabularies : sequence of int
        Sizes in entries, from 256.
    held_out : int, str or sequence of str, optional
        As of ``split``.
    engine : str
        As of ``text``.

    Returns
    -------
    dict
        List of arrays (tokens,) by vocabulary.

    Raises
    ------
    ValueError
        For a vocabulary that is larger than the text allows.

    Examples
    --------
    >>> found = token_lengths(vocabularies=(256, 300))
    >>> {size: bool(sum(map(len, lengths)) > 1000) for size, lengths in found.items()}
    {256: True, 300: True}
    """
    sizes = [integer("vocabulary", size, BYTES) for size in vocabularies]
    trained, held = split(source, held_out)
    rules = merges(source, trained, max(sizes) - BYTES, engine)
    if BYTES + len(rules) < max(sizes):
        raise ValueError(
            f"vocabulary = {max(sizes)}: the text of {source!r} ends at "
            f"{BYTES + len(rules)} entries, pass at most that many"
        )
    # a byte that continues a character (10xxxxxx) begins none
    begun = np.array([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in bpe.spelled(rules)])
    return {
        size: [begun[bpe.tokens(texts(source)[name], rules[: size - BYTES])] for name in held]
        for size in sizes
    }


def distances(
    source: str = "python",
    *,
    vocabularies: Sequence[int] = (256, 512, 1024),
    held_out: int | str | Sequence[str] | None = None,
    engine: str = "plain",
    letters: int = 5,
) -> Dataset:
    """Distances from the first letter of a word to that of its last occurrence before.

    For each word of at least ``letters`` letters in a held-out document that has occurred in it
    before. What stays a fixed number of characters away comes nearer, in the steps of a model, as
    the vocabulary grows.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".
    vocabularies : sequence of int
        Sizes in entries, from 256.
    held_out : int, str or sequence of str, optional
        As of ``split``.
    engine : str
        As of ``text``.
    letters : int
        Letters of the shortest word.

    Returns
    -------
    xarray.Dataset
        characters_apart : (pair), character
            Distance to the same word before.
        tokens_apart : (vocabulary, pair), token
            The same distance in tokens.

    Examples
    --------
    >>> found = distances(vocabularies=(256, 512))
    >>> bool((found.tokens_apart[1] < found.tokens_apart[0]).all())
    True
    """
    lengths = token_lengths(source, vocabularies=vocabularies, held_out=held_out, engine=engine)
    held = split(source, held_out)[1]
    repeats = [_repeats(texts(source)[name], letters) for name in held]
    apart = [
        np.concatenate(
            [
                token_of(row)[now] - token_of(row)[before]
                for row, (before, now) in zip(rows, repeats, strict=True)
            ]
        )
        for rows in lengths.values()
    ]
    variables = {
        "characters_apart": (
            ("pair",),
            np.concatenate([now - before for before, now in repeats]),
            "character",
            "distance to the same word before",
        ),
        "tokens_apart": (
            ("vocabulary", "pair"),
            np.stack(apart),
            "token",
            "the same distance in tokens",
        ),
    }
    coords = {"vocabulary": ("vocabulary", list(lengths), "entry", "entries of the vocabulary")}
    return dataset(
        variables,
        coords,
        title=f"distances between equal words in {SOURCES[source].title}",
        source=SOURCES[source].source,
        parameters={"source": source, "letters": letters, "held_out": ", ".join(held)},
        **facts(source),
    )


def token_of(lengths: ArrayLike) -> np.ndarray:
    """Number of the token of each character, (characters,), from the lengths of the tokens.

    >>> token_of([2, 1, 3]).tolist()
    [0, 0, 1, 2, 2, 2]
    """
    return np.repeat(np.arange(np.size(lengths)), np.asarray(lengths))


def _repeats(document: str, letters: int) -> np.ndarray:
    """Characters at which a word begins that has occurred before, and at which it last did: two
    arrays (before, now)."""
    last: dict[str, int] = {}
    pairs = []
    for found in re.finditer(rf"[^\W\d_]{{{letters},}}", document):
        word = found[0].lower()
        if word in last:
            pairs.append((last[word], found.start()))
        last[word] = found.start()
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T
