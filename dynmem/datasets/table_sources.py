"""Read the series that a user brings, whatever holds them: arrays, pandas, xarray, CSV, netCDF."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ShapeError
from .table_arrays import from_xarray
from .table_files import read_csv, read_netcdf, require_file
from .table_frames import from_frame
from .tables import Series, Table, label, numbers

CSV = (".csv", ".tsv", ".txt")
NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")


def read_table(
    data: Any,
    columns: Sequence[str] | None = None,
    time: str | None = None,
    group: str | None = None,
) -> Table:
    """The series in an array, a list of arrays, a DataFrame, a DataArray, a Dataset or a file."""
    if isinstance(columns, str):
        columns = [columns]
    if isinstance(data, (str, os.PathLike)):
        if "://" in str(data):
            raise ValueError(
                f"{data!s:.60} is an address, and nothing is fetched: save the file and pass its "
                "path"
            )
        return _from_file(Path(data), columns, time, group)
    if _is_pandas(data):
        return from_frame(data, columns, time, group)
    if hasattr(data, "dims") and hasattr(data, "coords"):
        return from_xarray(data, columns, time, group)
    if hasattr(data, "to_pandas"):
        raise TypeError(f"{type(data).__name__} is read through pandas: pass data.to_pandas()")
    for name, value in (("columns", columns), ("time", time), ("group", group)):
        if value is not None:
            raise TypeError(
                f"{name} = {value!r:.60} names a column, and {type(data).__name__} has no names: "
                "pass a pandas.DataFrame"
            )
    if isinstance(data, dict):
        raise TypeError("a dict is read through pandas: pass pandas.DataFrame(data)")
    if isinstance(data, (list, tuple)) and len(data) and np.ndim(_first(data)) > 0:
        return _from_list(list(data))
    return _from_arrays([data])


def _first(data: Sequence) -> Any:
    """The first entry, as something whose number of axes numpy can tell."""
    return data[0].values if _is_pandas(data[0]) or hasattr(data[0], "dims") else data[0]


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "iloc")


def _from_file(path: Path, columns: Any, time: str | None, group: str | None) -> Table:
    """Series of a CSV or a netCDF file."""
    suffix = path.suffix.lower()
    if suffix not in (*CSV, *NETCDF):
        raise ValueError(
            f"{path} ends in {suffix or 'nothing'}: series are read from CSV ({', '.join(CSV)}) "
            f"and netCDF ({', '.join(NETCDF)}); read other files with pandas or xarray and pass "
            "what they return"
        )
    require_file(path)
    if suffix in CSV:
        table = from_frame(read_csv(path), columns, time, group)
    else:
        table = from_xarray(read_netcdf(path), columns, time, group)
    return replace(table, title=label("file", path.name))


def _from_list(entries: list) -> Table:
    """Several series: arrays, DataFrames or DataArrays of the same columns."""
    tables = [
        read_table(each) if _is_pandas(each) or hasattr(each, "dims") else _from_arrays([each])
        for each in entries
    ]
    first = tables[0]
    for number, table in enumerate(tables):
        if table.columns != first.columns or len(table.series) != 1:
            raise ShapeError(
                f"series {number} of the list has the columns {', '.join(table.columns)}, series "
                f"0 has {', '.join(first.columns)}: all need the same"
            )
    series = [
        Series(table.series[0].values, table.series[0].time, str(number))
        for number, table in enumerate(tables)
    ]
    return Table(series, first.columns, first.origin, first.units, first.time_name, first.time_unit)


def _from_arrays(arrays: list) -> Table:
    values = numbers("series", arrays[0])
    if values.ndim == 3:
        found = [Series(each, name=str(number)) for number, each in enumerate(values)]
    elif values.ndim in (1, 2):
        found = [Series(values if values.ndim == 2 else values[:, None])]
    else:
        raise ShapeError(
            f"the series has shape {values.shape}: pass (time,), (time, columns), or a list of "
            "such arrays for several series"
        )
    steps, width = found[0].values.shape
    if not steps:
        raise ShapeError("the series is empty: pass numbers (time,) or (time, columns)")
    if steps < width:
        raise ShapeError(
            f"the series has shape {values.shape}, {steps} samples of {width} columns: time comes "
            "first, pass array.T"
        )
    return Table(found, [f"x{i}" for i in range(width)] if width > 1 else ["x"])
