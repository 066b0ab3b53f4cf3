"""Series that a user brings, in one form: arrays with the names of their columns, their times and
their units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import NotFiniteError
from ..runtime.torch_modules import as_numpy

TIME_NAMES = ("time", "t", "date", "datetime", "timestamp")
LEAST_SIZE, MOST_SIZE = 1e-100, 1e100  # of the largest number of a column
MAX_LABEL_LETTERS = 200  # of the name of a column or a series
INTERPOLATE = {  # how to fill what is missing, by where the numbers come from
    "pandas": "frame.interpolate(limit_direction='both')",
    "xarray": "array.interpolate_na('{time}')",
    "numpy": "numpy.interp(t, t[known], x[known])",
}


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers (time, column) in the order of time, and their times where they are known."""

    values: np.ndarray
    time: np.ndarray | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """Series that have their columns in common. ``origin`` is the library in whose words errors
    tell what to do."""

    series: list[Series]
    columns: list[str]
    origin: str = "numpy"
    units: dict[str, str] = field(default_factory=dict)
    time_name: str = "time"
    time_unit: str | None = None
    title: str = ""


def numbers(name: str, values: Any) -> np.ndarray:
    """Real numbers in float64, NaN where a value is missing. Raises TypeError for anything else."""
    values = as_numpy(values)
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill it first, {name}.filled(numpy.nan)")
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got {array.dtype} of shape {array.shape}: "
            f"pass numbers alone, {name}.astype(float)"
        )
    return array.astype(float)


def is_number(text: str) -> bool:
    try:
        float(text.strip().strip('"'))
    except ValueError:
        return False
    return True


def label(kind: str, name: Any) -> str:
    """A name as a Dataset can hold it. Raises ValueError for one that no file would give back."""
    text = str(name)
    try:
        text.encode()
        plain = text.isprintable() and 0 < len(text) <= MAX_LABEL_LETTERS
    except UnicodeEncodeError:
        plain = False
    if not plain:
        raise ValueError(
            f"{kind} {text!r:.50}: rename it, to 1 to {MAX_LABEL_LETTERS} letters that print"
        )
    return text


def check_values(table: Table) -> None:
    """Raise NotFiniteError where a value is missing or infinite, with what fills it."""
    for series in table.series:
        lost = ~np.isfinite(series.values)
        if lost.any():
            row, column = (int(i) for i in np.argwhere(lost)[0])
            fill = INTERPOLATE[table.origin].format(time=table.time_name)
            of = f" of series {series.name}" if len(table.series) > 1 else ""
            raise NotFiniteError(
                f"{int(lost.sum())} of {lost.size} values{of} are missing or infinite, first in "
                f"column {table.columns[column]!r} at sample {row}: fill them, {fill}, or pass a "
                "stretch without gaps"
            )
    for i, name in enumerate(table.columns):
        check_size(f"column {name!r}", *(series.values[:, i] for series in table.series))


def check_size(name: str, *arrays: np.ndarray) -> None:
    """Raise ValueError for numbers so large, or so small, that their squares are lost."""
    largest = max((float(np.abs(array).max(initial=0.0)) for array in arrays), default=0.0)
    if largest and not LEAST_SIZE < largest < MOST_SIZE:
        raise ValueError(
            f"{name} has values of the size {largest:.3g}, whose squares are lost: pass it in "
            f"another unit, between {LEAST_SIZE:g} and {MOST_SIZE:g}"
        )
