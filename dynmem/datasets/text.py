"""Real text cut into byte pairs: one training gives every smaller vocabulary."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnknownNameError
from ..labels import dataset
from ..runtime.validation import integer
from ..typing import ArrayLike
from . import bpe
from .entry import Entry
from .splits import MEANINGS, PARTS
from .text_sources import SOURCES, facts, split, texts

if TYPE_CHECKING:
    from xarray import Dataset

ENGINES = ("plain", "tokenizers")
BYTES = 256  # entries of the smallest vocabulary
FAST = (
    "engine='tokenizers' needs the package tokenizers: pip install 'dynmem[text]', or pass "
    "engine='plain', which finds the same merges"
)
FLOOR_MEANING = "nats a token, knowing only how often each occurs"


def text(
    source: str = "python",
    *,
    vocabulary: int = 512,
    held_out: int | str | Sequence[str] | None = None,
    engine: str = "plain",
) -> Dataset:
    """Text as tokens of a byte-pair vocabulary, documents held out, with every smaller vocabulary.

    Bytes are the first 256 tokens; each merge of the most frequent pair of neighbours within a word
    adds one. The vocabulary of v entries is the first v of a larger one, so that its one training
    has the curve over all smaller ones.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".
    vocabulary : int
        Entries, from 256 (bytes).
    held_out : int, str or sequence of str, optional
        Documents held out, as of ``split``: names, or every n-th.
    engine : str
        "plain" or, with the extra ``text``, "tokenizers": the same merges.

    Returns
    -------
    xarray.Dataset
        token : (position), 1
            Number of the entry, the documents one after another.
        start : (document), token
            Position of the first token of the document.
        characters : (document), character
            Length of the document.
        held_out : (document), 1
            Whether the document is held out.
        piece : (entry), 1
            Letters of the entry.
        left, right : (merge), 1
            Halves of the merge that made entry 256 + merge.
        characters_per_token : (vocabulary, part), character/token
            For each vocabulary up to this one, on the parts "training" and "held_out".

        Coordinates: split(position), train or test. Attributes: floor, licence, python, size.

    Raises
    ------
    UnknownNameError
        For another source, document or engine.
    ValueError
        For a vocabulary below 256.
    ImportError
        With what to install, where a package is missing.

    References
    ----------
    Sennrich, Haddow and Birch (2016), ACL 54, 1715; on bytes, Radford et al. (2019).

    Examples
    --------
    >>> data = text("python", vocabulary=300)
    >>> ratio = data.characters_per_token.sel(part="held_out")
    >>> bool((ratio.diff("vocabulary") >= 0).all())
    True
    """
    size = integer("vocabulary", vocabulary, BYTES)
    parts = split(source, held_out)
    rules = merges(source, parts[0], size - BYTES, engine)
    found = texts(source)
    names = [*parts[0], *parts[1]]
    pieces = [bpe.tokens(found[name], rules) for name in names]
    made = dataset(
        token_variables(found, names, parts, pieces, rules),
        token_coords(names, parts, pieces, rules),
        title=f"{SOURCES[source].title}, in tokens",
        source=SOURCES[source].source,
        goal="next_token",
        parameters={
            "source": source,
            "vocabulary": BYTES + len(rules),
            "held_out": ", ".join(parts[1]),
        },
        **facts(source),
        **unigram(parts, pieces),
    )
    made.split.attrs |= MEANINGS
    return made


def token_coords(
    names: list[str],
    parts: tuple[tuple[str, ...], tuple[str, ...]],
    pieces: list[np.ndarray],
    rules: np.ndarray | None = None,
) -> dict[str, tuple]:
    """Names of documents, part of each token, and the vocabularies of merges."""
    marks = [PARTS["test" if name in parts[1] else "train"] for name in names]
    split = np.repeat(marks, list(map(len, pieces))).astype(np.int8)
    coords = {
        "document": ("document", names, "1", "name of the document"),
        "split": ("position", split, "1", "part that the token belongs to"),
    }
    if rules is not None:
        sizes = BYTES + np.arange(len(rules) + 1)
        coords |= {
            "part": ("part", ["training", "held_out"], "1", "part of the text"),
            "vocabulary": ("vocabulary", sizes, "entry", "entries of the vocabulary"),
        }
    return coords


def token_variables(
    found: dict[str, str],
    names: list[str],
    parts: tuple[tuple[str, ...], tuple[str, ...]],
    pieces: list[np.ndarray],
    rules: np.ndarray,
) -> dict[str, tuple]:
    """Tokens, documents, entries and merges."""
    curves = [bpe.curve(bpe.count_words(found[name] for name in part), rules) for part in parts]
    ratio = np.stack(
        [
            sum(len(found[name]) for name in part) / curve
            for part, curve in zip(parts, curves, strict=True)
        ]
    )
    spelled = [piece.decode("utf-8", "backslashreplace") for piece in bpe.spelled(rules)]
    lengths = [len(found[name]) for name in names]
    return {
        "token": (
            ("position",),
            np.concatenate(pieces).astype(np.int32),
            "1",
            "token, a number of an entry",
        ),
        "start": (
            ("document",),
            np.cumsum([0, *map(len, pieces)])[:-1],
            "token",
            "position of the document's first token",
        ),
        "characters": (("document",), lengths, "character", "length of the document"),
        "held_out": (
            ("document",),
            [name in parts[1] for name in names],
            "1",
            "whether the document is held out",
        ),
        "piece": (
            ("entry",),
            spelled,
            "1",
            "letters of the entry, bytes that are no letters as \\x..",
        ),
        "left": (
            ("merge",),
            rules[:, 0],
            "1",
            "left half of the merge that made entry 256 + merge",
        ),
        "right": (("merge",), rules[:, 1], "1", "right half"),
        "characters_per_token": (
            ("vocabulary", "part"),
            ratio.T,
            "character/token",
            "mean characters per token",
        ),
    }


def unigram(
    parts: tuple[tuple[str, ...], tuple[str, ...]], pieces: list[np.ndarray]
) -> dict[str, Any]:
    """Floor: the entropy of single tokens of the training part. Chance: how often the most frequent
    of them is held out. ``pieces``: tokens of the documents of both parts, in their order."""
    trained, held_out = (
        np.concatenate(each) for each in (pieces[: len(parts[0])], pieces[len(parts[0]) :])
    )
    counts = np.bincount(trained)
    shares = counts / len(trained)
    return {
        "floor": float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))),
        "floor_meaning": FLOOR_MEANING,
        "chance": float(np.mean(held_out == counts.argmax())),
        "chance_meaning": "share of held-out tokens that are the most frequent one",
    }


def merges(source: str, trained: tuple[str, ...], count: int, engine: str = "plain") -> np.ndarray:
    """Merges learned from documents; token 256 + i stands for the pair of row i.

    Parameters
    ----------
    source : str
        "python" or "shakespeare".
    trained : tuple of str
        Names of the documents.
    count : int
        Number of merges; fewer where the text has no pair left.
    engine : str
        "plain" or "tokenizers".

    Returns
    -------
    np.ndarray
        Pairs of tokens, shape (count, 2).

    Raises
    ------
    UnknownNameError
        For another engine.
    ImportError
        Where the engine is "tokenizers" and the extra ``text`` is not installed.
    """
    return _learned(source, trained, count, check_engine(engine))


def check_engine(engine: str) -> str:
    """The engine. Raises UnknownNameError for another one."""
    if not isinstance(engine, str) or engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    return engine


@functools.lru_cache(maxsize=8)
def _learned(source: str, trained: tuple[str, ...], count: int, engine: str) -> np.ndarray:
    return learned_merges([texts(source)[name] for name in trained], count, engine)


def learned_merges(documents: list[str], count: int, engine: str) -> np.ndarray:
    """Merges learned from texts, as of ``merges``."""
    if engine == "plain":
        return bpe.learn(bpe.count_words(documents), count)
    try:
        return bpe.fast(documents, count)
    except ImportError as error:
        raise ImportError(FAST) from error


def decode(data: Dataset, tokens: ArrayLike) -> str:
    """Text of tokens, by the merges of a Dataset of ``text``.

    Parameters
    ----------
    data : xarray.Dataset
        With the variables ``left`` and ``right``.
    tokens : array_like (n,)
        Tokens.

    Returns
    -------
    str
        Their text.

    Examples
    --------
    >>> data = text("python", vocabulary=300)
    >>> tail = data.token[int(data.start[-1]) :]
    >>> decode(data, tail) == texts("python")[str(data.document.values[-1])]
    True
    """
    spelled = bpe.spelled(np.stack([data.left, data.right], axis=-1))
    return b"".join(spelled[token] for token in np.asarray(tokens)).decode("utf-8", "replace")


DATASETS = {
    "text": Entry(
        text,
        "next_token",
        "; ".join(f"{name}: {source.licence}" for name, source in SOURCES.items()),
        "none: natural language",
        FLOOR_MEANING,
    )
}
