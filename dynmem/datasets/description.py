"""Summary of a Dataset as text, and the checksum of its content."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.validation import public
from .attributes import require_dataset
from .registry import table
from .splits import PARTS, pieces

if TYPE_CHECKING:
    from xarray import DataArray, Dataset

MAX_BYTES_HASHED = 2_000_000_000  # up to which the checksum of the content is computed
LAWS = {"law": "law", "law_latex": "law (LaTeX)"}
ATTRIBUTES = {
    "goal": "goal",
    "loss": "loss",
    "dependency": "lag in steps",
    "decision": "answer at step",
    "vocabulary": "vocabulary",
    "answers": "answers",
    "part": "part",
    "source": "source",
    "start": "first sample",
    "size": "size",
    "speakers": "speakers",
    "licence": "licence",
    "made_by": "made by",
    "exponents": "exponents",
    "exponents_source": "exponents from",
    "lyapunov_time": "Lyapunov time",
    "characteristic_time": "own time",
    "sampling_step": "sampling step",
    "transient": "transient",
    "signal_to_noise": "signal to noise",
    "seed": "seed",
    "parameters": "parameters",
    "options": "options",
    "dynmem_version": "version of dynmem",
}
# attributes of time, and what precedes the unit
TIME_POWERS = {
    "lyapunov_time": "",
    "characteristic_time": "",
    "sampling_step": "",
    "transient": "",
    "exponents": "1/",
}


@public
def summary(dataset: Dataset | str | PathLike) -> str:
    """Text on a Dataset: law, dims, variables with units, parts, floor, source, licence, checksum.

    Parameters
    ----------
    dataset : xarray.Dataset or path
        A Dataset, or the file that holds one.

    Returns
    -------
    str
        A title and one row a fact. The checksum is that of the content, the same in memory, in
        netCDF-4 and in Zarr.

    Raises
    ------
    TypeError
        For what is no Dataset, and for the name of a dataset, which ``describe`` takes.

    Examples
    --------
    >>> import dynmem as dm
    >>> print(dm.datasets.summary(dm.datasets.load("henon", samples=100)).splitlines()[1])
    law                x' = -a*x**2 + y + 1.0, y' = b*x
    """
    if isinstance(dataset, (str, PathLike)):
        if isinstance(dataset, str) and dataset in table():
            raise TypeError(
                f"{dataset!r} is a name: pass it to dm.datasets.describe, or pass "
                f"dm.datasets.load({dataset!r}), or the path of a file that holds it"
            )
        from .store import open

        with open(dataset) as opened:
            return summary(opened)
    require_dataset(dataset)
    rows = [(words, dataset.attrs[name]) for name, words in LAWS.items() if name in dataset.attrs]
    rows += [
        ("dims", ", ".join(f"{name} {size}" for name, size in sorted(dataset.sizes.items()))),
        *_variables(dataset),
        *_parts(dataset),
    ]
    rows += [
        (
            name,
            ": ".join(
                _number(dataset.attrs[key])
                for key in (name, f"{name}_meaning")
                if key in dataset.attrs
            ),
        )
        for name in ("floor", "chance")
        if {name, f"{name}_meaning"} & set(dataset.attrs)
    ]
    rows += [
        (words, _timed(dataset, name))
        for name, words in ATTRIBUTES.items()
        if name in dataset.attrs
    ]
    rows.append(
        (
            "checksum",
            fingerprint(dataset)
            if dataset.nbytes <= MAX_BYTES_HASHED
            else "of a file this large see FILE.sha256",
        )
    )
    title = dataset.attrs.get("title", "a dataset")
    return "\n".join([_printable(title), *(_row(*row) for row in rows)])


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of names, dims, units, numbers and attributes, whatever the file format.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dataset.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> import xarray as xr
    >>> fingerprint(xr.Dataset({"a": 1.0})) == fingerprint(xr.Dataset({"a": 2.0}))
    False
    """
    digest = hashlib.sha256(_attributes(dataset.attrs))
    for name in sorted(map(str, dataset.variables)):
        v = dataset[name].variable
        digest.update(
            json.dumps([name, v.dims, v.shape, name in dataset.coords]).encode()
            + _attributes(v.attrs)
        )
        rows = max(1, 2_000_000 // max(1, int(np.prod(v.shape[1:])))) if v.ndim else 1
        for start in range(0, v.shape[0] if v.ndim else 1, rows):
            values = np.asarray(v[start : start + rows].values if v.ndim else v.values)
            if values.dtype.kind in "OUT":
                digest.update(json.dumps(values.tolist(), default=str).encode())
            else:
                little = values.dtype.newbyteorder("<")
                digest.update(little.str.encode() + values.astype(little).tobytes())
    return digest.hexdigest()


def _attributes(attrs: dict) -> bytes:
    """Attributes as JSON, numpy's numbers and arrays as plain ones."""
    return json.dumps(
        {k: v.tolist() if hasattr(v, "tolist") else v for k, v in attrs.items()},
        sort_keys=True,
        default=str,
    ).encode()


def _timed(dataset: Dataset, name: str) -> Any:
    """An attribute, with the unit of the coordinate time where it is one of time."""
    value = dataset.attrs[name]
    unit = dataset.time.attrs.get("units", "1") if "time" in dataset.coords else "1"
    if name not in TIME_POWERS or unit == "1":
        return value
    return f"{', '.join(map(_number, np.ravel(value)))} {TIME_POWERS[name]}{unit}"


def _variables(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for name, v in sorted(dataset.data_vars.items()):
        dims = ", ".join(f"{d}" for d in v.dims)
        yield (
            str(name),
            f"{v.attrs.get('long_name', '')}{_flags(v)} ({dims}) "
            f"{_unit(v, 'in ') or 'dimensionless'}, {v.dtype}".strip(),
        )
    for name, v in sorted(dataset.coords.items()):
        ends = (
            f"{float(v[0]):.6g} to {float(v[-1]):.6g}"
            if v.size and v.dtype.kind in "iuf" and name in dataset.dims
            else ""
        )
        yield (
            str(name),
            f"{v.attrs.get('long_name', '')}{_flags(v)} ({', '.join(map(str, v.dims))}): "
            f"{ends}{_unit(v, ' ')}".strip(" :"),
        )


def _flags(variable: DataArray) -> str:
    """Meanings of whole numbers that are flags."""
    values, words = (
        np.ravel(variable.attrs.get("flag_values", ())),
        str(variable.attrs.get("flag_meanings", "")).split(),
    )
    return (
        f", {', '.join(f'{value} {word}' for value, word in zip(values, words, strict=False))}"
        if words
        else ""
    )


def _unit(variable: DataArray, before: str) -> str:
    """The unit after a word or a space; nothing where it is 1."""
    unit = variable.attrs.get("units", "1")
    return "" if unit == "1" else before + unit


def _parts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    if "split" in dataset.coords:
        counts = dict.fromkeys(PARTS, 0)
        for _, found in pieces(dataset):
            counts = {
                name: count + int(np.sum(found == PARTS[name])) for name, count in counts.items()
            }
        yield "parts", ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _row(name: str, value: Any) -> str:
    if isinstance(value, (list, np.ndarray)):
        value = ", ".join(map(_number, np.ravel(value)))
    return textwrap.fill(
        _printable(_number(value)),
        130,
        initial_indent=f"{name:<18} ",
        subsequent_indent=" " * 19,
        break_long_words=False,
    )


def _number(value: Any) -> str:
    """A number with six digits; anything else as it is."""
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def _printable(words: object) -> str:
    """Words in one line, without control characters, by which a file could command the terminal."""
    return "".join(
        letter if letter.isprintable() else "?" for letter in " ".join(str(words).split())
    )
