"""A Dataset as a table to read: a row for each label of a dim, numbers with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UnknownNameError
from .runtime.validation import public

if TYPE_CHECKING:
    from xarray import Dataset

PARTS = ("_error", "_lower", "_upper")  # of a variable, shown beside it


@public
def table(result: Dataset, *, rows: str | None = None, columns: Sequence[str] | None = None) -> str:
    """A Dataset as text: a row for each label of a dim, a column for each variable.

    ``NAME_error`` stands beside its variable as +-, ``NAME_lower`` and ``NAME_upper`` as an
    interval; an infinite upper end is written as "and more". Single numbers stand below.

    Parameters
    ----------
    result : xarray.Dataset
        A result of dynmem: ``dm.race``, ``dm.compare``, ``dm.analysis.match`` ...
    rows : str, optional
        The dim; by default the one that most variables have alone.
    columns : sequence of str, optional
        Names of variables; by default all that have this dim alone.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        Where no variable has one dim.
    UnknownNameError
        For a dim or a variable that is not there.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.analysis.match(["tanh", "lstm"], budget=10_000, inputs=8)
    >>> print(dm.table(found, columns=["units", "parameters"]))
    model  units  parameters
    tanh      96       10080
    lstm      46       10120
    """
    names = [str(name) for name in result.data_vars]
    dim = _dim(result, names) if rows is None else rows
    if dim not in result.dims:
        raise UnknownNameError("dim of this result", dim, [str(d) for d in result.dims])
    for name in columns or ():
        if name not in names:
            raise UnknownNameError("variable of this result", name, names)
    shown = [n for n in names if result[n].dims == (dim,)] if columns is None else list(columns)
    if columns is None:
        shown = [n for n in shown if not _is_part(n, shown)]
    labels = result[dim].values if dim in result.coords else np.arange(result.sizes[dim])
    cells = [[dim, "", *map(_number, labels.tolist())]]
    cells += [_column(result, name, dim) for name in shown]
    if not any(column[1] for column in cells):
        cells = [[column[0], *column[2:]] for column in cells]
    return "\n".join(_line(row, cells) for row in zip(*cells, strict=True))


def _dim(result, names):
    alone = [result[name].dims[0] for name in names if result[name].ndim == 1]
    if not alone:
        raise ValueError("no variable of the Dataset has one dim: pass rows= and columns=")
    return str(max(alone, key=alone.count))


def _is_part(name: str, names: list[str]) -> bool:
    return any(name.endswith(part) and name.removesuffix(part) in names for part in PARTS)


def _column(result, name, dim):
    """Head, units and cells of a variable."""
    if result[name].dims != (dim,):
        raise ValueError(f"{name} has dims {result[name].dims}: a column has {dim} alone")
    values = result[name].values.tolist()
    error, low, high = (
        result[name + part].values.tolist() if name + part in result else None for part in PARTS
    )
    cells = []
    for i, value in enumerate(values):
        cell = _number(value)
        if error is not None and np.isfinite(error[i]):
            cell += f" +- {_number(error[i])}"
        if low is not None and high is not None:
            ends = "" if np.isnan(low[i]) else f" [{_number(low[i])}, {_number(high[i])}]"
            cell += ends.replace("inf]", "...)")
        cells.append(cell)
    units = str(result[name].attrs.get("units", "1"))
    return [
        name.replace("_", " "),
        "" if units == "1" else f"({units}s)" if "/" not in units else f"({units})",
        *cells,
    ]


def _number(value: Any) -> str:
    """A value in at most four digits; whole numbers in full.

    >>> _number(0.123456), _number(10080), _number(float("nan")), _number("holds")
    ('0.1235', '10080', '-', 'holds')
    """
    if isinstance(value, float):
        if np.isnan(value):
            return "-"
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e7 else f"{value:.4g}"
    return str(value)


def _line(row, cells):
    """A row, texts to the left and numbers to the right."""
    parts = []
    for text, column in zip(row, cells, strict=True):
        width = max(map(len, column))
        left = any(cell[:1].isalpha() for cell in column[1:]) and column[0][:1].isalpha()
        parts.append(f"{text:<{width}}" if left else f"{text:>{width}}")
    return "  ".join(parts).rstrip()
