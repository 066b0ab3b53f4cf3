"""Series of an xarray DataArray or Dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError, UnknownNameError
from .tables import TIME_NAMES, Series, Table, label, numbers


def from_xarray(data: Any, columns: Any, time: str | None, group: str | None) -> Table:
    """Series of a DataArray or a Dataset: ``time`` is a dim, ``group`` another one."""
    if hasattr(data, "data_vars"):
        return _from_variables(data, columns, time, group)
    dims = [str(dim) for dim in data.dims]
    for name in (time, group):
        if name is not None and name not in dims:
            raise UnknownNameError("dim", str(name), dims)
    usual = [dim for dim in dims if dim.lower() in TIME_NAMES]
    time = time or (usual or dims)[0] if dims else time
    others = [dim for dim in dims if dim not in (time, group)]
    if time is None or len(others) > 1:
        raise ShapeError(
            f"the DataArray has the dims {', '.join(dims) or 'none'}: pass one of time and one of "
            "columns, array.stack(column=[...]), and the dim of several series as group="
        )
    array = data.transpose(*([group] if group else []), time, *others)
    units = str(data.attrs.get("units", "1"))
    names = _labels(array, others[0], "column") if others else [label("column", data.name or "x")]
    if columns is not None:
        if unknown := [name for name in columns if name not in names]:
            raise UnknownNameError("column", str(unknown[0]), names)
        array = (
            array.isel({others[0]: [names.index(name) for name in columns]}) if others else array
        )
        names = list(columns)
    values = numbers("the DataArray", array.values)
    values = values if others else values[..., None]
    times, unit = _xarray_times(array, time)
    members = values if group else values[None]
    called = _labels(array, group, "series") if group else [""]
    found = [Series(each, times, name) for each, name in zip(members, called, strict=True)]
    return Table(found, names, "xarray", dict.fromkeys(names, units), time, unit)


def _labels(array: Any, dim: str, kind: str) -> list[str]:
    """Names along a dim: its labels, else its numbers."""
    if dim not in array.coords:
        return [f"{dim}{i}" for i in range(array.sizes[dim])]
    return [label(kind, value) for value in array[dim].values.tolist()]


def _xarray_times(array: Any, time: str) -> tuple[np.ndarray | None, str | None]:
    """Times of a dim and their unit; None where it has no coordinate."""
    if time not in array.coords:
        return None, None
    times = array[time].values
    if times.dtype.kind == "m":
        return times / np.timedelta64(1, "s"), None
    if times.dtype.kind == "M":
        return times.astype("datetime64[ns]"), None
    if times.dtype.kind not in "iuf":
        raise TypeError(
            f"the coordinate {time!r} holds {times.dtype}: pass numbers, or datetime64; of another "
            "calendar array.convert_calendar('standard')"
        )
    return times.astype(float), array[time].attrs.get("units")


def _from_variables(data: Any, columns: Any, time: str | None, group: str | None) -> Table:
    """Series of a Dataset: its variables of numbers side by side."""
    import xarray as xr

    known = [str(name) for name in data.data_vars]
    if columns is not None and (unknown := [name for name in columns if name not in known]):
        raise UnknownNameError("variable", str(unknown[0]), known)
    kept = list(columns or [name for name in known if data[name].ndim])
    if not kept:
        raise ShapeError("the Dataset has no variable with a dim: pass a series over time")
    if len(kept) == 1:
        return from_xarray(data[kept[0]], None, time, group)
    if len(dims := {data[name].dims for name in kept}) > 1:
        raise ShapeError(
            f"the variables have different dims, {', '.join(map(str, sorted(dims, key=str)))}: "
            "pass the names of those to forecast as columns=[...], or one DataArray"
        )
    joined = xr.concat(
        [data[name].drop_attrs(deep=False) for name in kept],
        dim="column",
        coords="minimal",
        compat="override",
    ).assign_coords(column=kept)
    table = from_xarray(joined, None, time, group)
    units = {name: str(data[name].attrs.get("units", "1")) for name in kept}
    return Table(table.series, kept, "xarray", units, table.time_name, table.time_unit)
