"""Names and attributes that a file would not give back unchanged, refused before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset

# by xarray, when it reads
DECODED = (
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "_Unsigned",
    "coordinates",
    "dtype",
    "calendar",
)


def refuse_lossy(dataset: Dataset, suffix: str) -> None:
    """Raise ValueError with a line for each name and attribute that a file with this ending would
    change, TypeError for what is no Dataset.

    >>> import xarray as xr
    >>> refuse_lossy(xr.Dataset(attrs={"a": True}), ".nc")
    Traceback (most recent call last):
    ...
    ValueError: the attribute a = True of the dataset: netCDF-4 holds text, numbers and lists
    """
    require_dataset(dataset)
    wrong = [
        f"the name {name!r}: pass text without '/'"
        for name in (*dataset.variables, *dataset.dims)
        if not isinstance(name, str) or "/" in name
    ]
    for owner, attrs in (
        ("the dataset", dataset.attrs),
        *((name, v.attrs) for name, v in dataset.variables.items()),
    ):
        for name, value in attrs.items():
            if not KEEPS[suffix](value):
                wrong.append(f"the attribute {name} = {value!r:.60} of {owner}: {FORMATS[suffix]}")
    for owner, v in dataset.variables.items():
        since = v.dtype.kind in "iuf" and " since " in str(v.attrs.get("units", ""))
        wrong += [
            f"the attribute {name} of {owner} defines how numbers are packed, and they "
            "would be read otherwise: give it another name"
            for name in v.attrs
            if name in DECODED or (name == "units" and since)
        ]
    if wrong:
        raise ValueError("\n".join(wrong))


def require_dataset(dataset: object) -> None:
    """Raise TypeError for what is no Dataset."""
    import xarray as xr

    if isinstance(dataset, xr.DataArray):
        raise TypeError("a DataArray is no Dataset: pass array.to_dataset(name=...)")
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"{dataset!r:.60} is no Dataset: pass what dm.datasets.load(name) "
            "returns, or another xarray.Dataset"
        )


def _in_netcdf(value: Any) -> bool:
    """Whether netCDF-4 gives an attribute back: a list of one comes back as its number."""
    if np.ndim(value) == 1 and len(value) == 1 and not isinstance(value, (str, bytes)):
        return False
    if isinstance(value, str):
        return "\0" not in value
    array = (
        np.asarray(value)
        if isinstance(value, (int, float, complex, np.number, list, tuple, np.ndarray))
        else np.empty(0, object)
    )
    return array.ndim <= 1 and array.dtype.kind in "iufcU" and not isinstance(value, bool)


def _in_zarr(value: Any) -> bool:
    """Whether JSON gives an attribute back."""
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_in_zarr, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_in_zarr, value))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biufU"
    return value is None or isinstance(value, (str, bool, int, float))


KEEPS = {".nc": _in_netcdf, ".zarr": _in_zarr}
FORMATS = {
    ".nc": "netCDF-4 holds text, numbers and lists",
    ".zarr": "Zarr holds what JSON does",
}
