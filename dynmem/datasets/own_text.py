"""A user's own text, or tokens, as a Dataset for the prediction of the next token."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamageError, ShapeError
from ..labels import dataset
from ..runtime.torch_modules import as_numpy
from ..runtime.validation import integer, number, public
from ..typing import ArrayLike
from . import bpe
from .splits import MEANINGS
from .table_files import require_file
from .tables import label
from .text import BYTES, check_engine, learned_merges, token_coords, token_variables, unigram
from .text_sources import held_out_names

if TYPE_CHECKING:
    from xarray import Dataset

TEXT_MEMORY_RATIO = 20  # bytes of memory for each letter, as words and tokens
SOURCE = "given by the caller"
LEAST_LETTERS = 1000  # of a text that is cut in two


@public
def from_text(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    vocabulary: int = 512,
    held_out: float | int | str | Sequence[str] | None = None,
    engine: str = "plain",
    encoding: str = "utf-8",
    title: str = "",
    source: str = SOURCE,
    licence: str = "of whoever wrote it",
) -> Dataset:
    """Your own text files as tokens of a byte-pair vocabulary, like the dataset ``text``.

    Parameters
    ----------
    files : path or sequence of paths
        Plain text; each file is a document.
    vocabulary : int
        Entries, from 256 (bytes).
    held_out : float, int, str or sequence of str, optional
        What is held out: of one file the share at its end, by default 0.15, cut at the end of a
        line; of several files their names, or a whole number n for every n-th, by default 5 or,
        of fewer files, the last one.
    engine : {"plain", "tokenizers"}
        "tokenizers", with the extra ``text``, finds the same merges faster.
    encoding : str
        Of the files.
    title, source, licence : str
        Phrase for titles, reference, licence.

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

        Coordinates: split(position), train or test. The merges are learned from the documents that
        are not held out. The attribute floor is the entropy of single tokens of the training part.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    DamageError
        For a file that is no text in this encoding.
    ValueError
        For a text that is too short, two files of one name, and options that cannot be.
    UnknownNameError
        For the name of no document.
    ImportError
        With what to install, where a package is missing.

    References
    ----------
    Sennrich, Haddow and Birch (2016), ACL 54, 1715.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import dynmem as dm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rhyme.txt"
    ...     _ = path.write_text("one two, buckle my shoe\\n" * 200)
    ...     data = dm.datasets.from_text(path, vocabulary=270)
    >>> data.document.values.tolist(), data.sizes["entry"]
    (['rhyme.txt, first 85 %', 'rhyme.txt, last 15 %'], 270)
    >>> from dynmem.datasets.text import decode
    >>> decode(data, data.token[:20])[:12]
    'one two, buc'
    """
    size, engine = integer("vocabulary", vocabulary, BYTES), check_engine(engine)
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not paths:
        raise ValueError("files is empty: pass the path of a text file")
    found = _documents(list(map(Path, paths)), encoding)
    found, parts = _divided(found, held_out)
    rules = learned_merges([found[name] for name in parts[0]], size - BYTES, engine)
    names = [*parts[0], *parts[1]]
    pieces = [bpe.tokens(found[name], rules) for name in names]
    characters = sum(map(len, found.values()))
    made = dataset(
        token_variables(found, names, parts, pieces, rules),
        token_coords(names, parts, pieces, rules),
        title=title
        or f"text of {label('file', Path(paths[0]).name)}"
        + (f" and {len(paths) - 1} more" if paths[1:] else ""),
        source=source,
        goal="next_token",
        parameters={"vocabulary": BYTES + len(rules), "held_out": ", ".join(parts[1])},
        licence=licence,
        size=f"{characters} characters in {len(paths)} files",
        size_in_characters=characters,
        **unigram(parts, pieces),
    )
    made.split.attrs |= MEANINGS
    return made


@public
def from_tokens(
    tokens: ArrayLike | Sequence[ArrayLike],
    *,
    held_out: float | Sequence[int] | None = None,
    pieces: Sequence[str] | None = None,
    title: str = "tokens given by the caller",
    source: str = SOURCE,
    licence: str = "of whoever gave them",
) -> Dataset:
    """Your own tokens as a Dataset for the prediction of the next one.

    Parameters
    ----------
    tokens : array_like (position,) or list of them
        Whole numbers from 0: one stream, or a list of documents.
    held_out : float or sequence of int, optional
        Of one stream the share at its end, by default 0.15; of several documents their numbers, by
        default every fifth or, of fewer, the last one.
    pieces : sequence of str, optional
        What each token stands for.
    title, source, licence : str
        Phrase for titles, reference, licence.

    Returns
    -------
    xarray.Dataset
        token : (position), 1
            Tokens, the documents one after another.
        start : (document), token
            Position of the first token of the document.
        held_out : (document), 1
            Whether the document is held out.
        piece : (entry), 1 [optional]
            What each token stands for.

        Coordinates: split(position), train or test. The attribute floor is the entropy of single
        tokens of the training part.

    Raises
    ------
    TypeError
        For what is no whole number.
    ValueError
        For negative tokens, and documents that are too few or too short.

    References
    ----------
    Shannon (1951), Bell System Technical Journal 30, 50.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.from_tokens(np.arange(3000) // 2 % 2)  # 0, 0, 1, 1, 0, 0, ...
    >>> round(data.attrs["floor"], 3), round(float(np.log(2)), 3)
    (0.693, 0.693)
    >>> _, history = dm.fit("gru", data, units=12, steps=60, learning_rate=2e-2, batch=16)
    >>> int(history.learned)
    1
    """
    documents = _token_lists(tokens)
    names = [str(i) for i in range(len(documents))]
    if len(documents) == 1:
        cut = len(documents[0]) - max(1, round(_share(held_out) * len(documents[0])))
        documents = [documents[0][:cut], documents[0][cut:]]
        names, held = ["first part", "last part"], ["last part"]
    else:
        chosen = None if held_out is None else [names[i] for i in _numbers(held_out, len(names))]
        held = list(held_out_names(names, _usual(names) if chosen is None else chosen)[1])
    parts = tuple(name for name in names if name not in held), tuple(held)
    order = [names.index(name) for part in parts for name in part]
    ordered = [documents[i] for i in order]
    names = [names[i] for i in order]
    variables = {
        "token": ("position", np.concatenate(ordered), "1", "token"),
        "start": (
            "document",
            np.cumsum([0, *map(len, ordered)])[:-1],
            "token",
            "position of the document's first token",
        ),
        "held_out": (
            "document",
            [name in held for name in names],
            "1",
            "whether the document is held out",
        ),
    }
    if pieces is not None:
        if len(pieces) <= max(int(document.max()) for document in documents):
            raise ValueError(
                f"{len(pieces)} pieces, and token {max(int(d.max()) for d in documents)} occurs: "
                "pass one for each token from 0"
            )
        spelled = [str(piece) for piece in pieces]
        variables["piece"] = ("entry", spelled, "1", "what the token stands for")
    coords = token_coords(names, parts, ordered)
    made = dataset(
        variables,
        coords,
        title=title,
        source=source,
        goal="next_token",
        parameters={"documents": len(names), "held_out": ", ".join(held)},
        licence=licence,
        size=f"{sum(map(len, documents))} tokens in {len(documents)} documents",
        **unigram(parts, ordered),
    )
    made.split.attrs |= MEANINGS
    return made


def _documents(paths: list[Path], encoding: str) -> dict[str, str]:
    """Text of each file by its name."""
    names = [label("file", path.name) for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two files are called {', '.join(twice)}: rename one of them")
    found = {}
    for name, path in zip(names, paths, strict=True):
        require_file(path, TEXT_MEMORY_RATIO)
        try:
            found[name] = path.read_text(encoding)
        except UnicodeDecodeError as error:
            raise DamageError(
                f"{path} is no text in {encoding} (byte {error.start}): pass its encoding=, such "
                "as 'latin-1'"
            ) from None
        except LookupError:
            raise ValueError(
                f"encoding = {encoding!r:.40}: Python knows none of this name"
            ) from None
        if not found[name].strip():
            raise DamageError(f"{path} is empty: leave it out")
    return found


def _divided(
    found: dict[str, str], held_out: Any
) -> tuple[dict[str, str], tuple[tuple[str, ...], tuple[str, ...]]]:
    """Documents, and the names of those to train on and of those held out; one file is cut."""
    if len(found) > 1:
        chosen = _usual(list(found)) if held_out is None else held_out
        return found, held_out_names(list(found), chosen)
    ((name, text),) = found.items()
    share = _share(held_out)
    if len(text) < LEAST_LETTERS:
        raise ValueError(
            f"{name} has {len(text)} characters: pass a text of at least {LEAST_LETTERS}, of which "
            "a part can be held out"
        )
    cut = round((1.0 - share) * len(text))
    line = text.find("\n", cut)
    if 0 <= line < cut + share * len(text) / 2:
        cut = line + 1
    first, last = (
        f"{name}, {what} %" for what in (f"first {100 * (1 - share):g}", f"last {100 * share:g}")
    )
    return {first: text[:cut], last: text[cut:]}, ((first,), (last,))


def _share(held_out: Any) -> float:
    """Share of a single document that is held out."""
    if held_out is None:
        return 0.15
    return number("held_out", held_out, above=0, below=1)


def _usual(names: list[str]) -> int | list[str]:
    """Every fifth document, or of fewer the last one."""
    return 5 if len(names) >= 5 else names[-1:]


def _numbers(held_out: Any, count: int) -> list[int]:
    return [integer("held_out", i, 0, count - 1) for i in np.ravel(np.asarray(held_out)).tolist()]


def _token_lists(tokens: Any) -> list[np.ndarray]:
    """Documents as arrays of whole numbers."""
    tokens = as_numpy(tokens)
    several = isinstance(tokens, (list, tuple)) and len(tokens) > 0 and np.ndim(tokens[0]) > 0
    documents = [np.asarray(each) for each in (tokens if several else [tokens])]
    for i, document in enumerate(documents):
        if document.dtype.kind not in "iu" or document.ndim != 1:
            raise TypeError(
                f"document {i} has dtype {document.dtype} and shape {document.shape}: pass whole "
                "numbers (position,), or a list of such arrays; text is read by from_text"
            )
        if len(document) < 2:
            raise ShapeError(f"document {i} has {len(document)} tokens: leave it out")
        if document.min() < 0 or document.max() >= 2**31:
            raise ValueError(f"document {i}: tokens count from 0 to 2**31 - 1")
    return [document.astype(np.int32) for document in documents]
