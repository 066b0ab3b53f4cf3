"""Datasets on disk, netCDF-4 or Zarr: whole or absent, with a checksum, block by block where they
are larger than memory. Nothing read from disk runs code."""

from __future__ import annotations

import builtins
import errno
import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..runtime import files
from ..runtime.platform import flush_folder, free_disk
from ..runtime.validation import public
from . import zarr_store
from .attributes import refuse_lossy
from .entry import Entry
from .registry import check_options, entry, load, request, resolve
from .zarr_store import indexed

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["write"]

SUFFIXES = (".nc", ".zarr")
MAX_BYTES_IN_MEMORY = 200_000_000  # up to which a file is made in memory
FREE_SPACE_FACTOR = 1.05  # space that a file takes, over that of its numbers
SAMPLES_PER_CHUNK = 16_384  # of a file that is written in blocks: what is read at least


@public
def save(dataset: Dataset, path: str | PathLike) -> Path:
    """Write a Dataset to a file without loss, its checksum next to it.

    The file is written aside and renamed: a run that is killed leaves the whole file or the one
    that was there. ``sha256sum --check PATH.sha256`` verifies it too. An existing file is replaced,
    a folder only where it is one of Zarr.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dataset.
    path : path
        Ends in .nc (netCDF-4) or .zarr (Zarr, with the extra ``zarr``).

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    ValueError
        For another ending, and for names and attributes that the file would not give back as they
        are.
    TypeError
        For what is no Dataset.
    NoSpaceError
        Where the disk is full.
    FileExistsError
        For a folder that is not one of Zarr.
    ImportError
        Without zarr.

    Examples
    --------
    >>> import tempfile
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=100)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = dm.datasets.save(data, f"{folder}/henon.nc")
    ...     with dm.datasets.open(path) as again:
    ...         again.identical(data)
    True
    """
    path = _path(path)
    refuse_lossy(dataset, path.suffix)
    if path.suffix == ".nc" and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    with files.space_watched():
        if path.suffix == ".nc" and dataset.nbytes < MAX_BYTES_IN_MEMORY:
            return files.save(dataset, path)
        return save_blocks([dataset], path)


def save_blocks(
    blocks: Iterable[Dataset], path: str | PathLike, dim: str = "time", size: int = 0
) -> Path:
    """Write Datasets that follow each other along ``dim`` as ``save`` does, one in memory at a
    time; ``size``: bytes of all of them, where known."""
    path, blocks = _path(path), iter(blocks)
    _refuse_full(path, size)
    first = next(blocks)
    _refuse_full(path, first.nbytes)
    if path.suffix == ".zarr":
        return zarr_store.save(chain([first], blocks), path, dim)
    part = path.with_name(path.name + ".part")
    try:
        _append_all(part, first, blocks, dim)
        with builtins.open(part, "rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        files.sidecar(path).unlink(missing_ok=True)
        os.replace(part, path)
        flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    files.write(files.sidecar(path), files.checksum_line(path.name, digest))
    return path


def _refuse_full(path: Path, size: int) -> None:
    """Refuse a file that does not fit on the disk, before HDF5, which crashes on a full one."""
    free = free_disk(path.parent)
    if free < FREE_SPACE_FACTOR * size:
        raise files.NoSpaceError(
            f"{size / 1e9:.3g} GB are to be written to {path.parent}, {free / 1e9:.3g} GB are free"
        )


def _append_all(part: Path, first: Dataset, blocks: Iterator[Dataset], dim: str) -> None:
    """All blocks in one netCDF-4 file that grows along ``dim``."""
    import h5netcdf

    encoding = files.plain(first)
    for name, v in first.variables.items():
        if dim in v.dims:
            encoding.setdefault(name, {})["chunksizes"] = tuple(
                min(SAMPLES_PER_CHUNK, n) if d == dim else n
                for d, n in zip(v.dims, v.shape, strict=True)
            )
    grows: dict[str, Any] = {"unlimited_dims": [dim]} if dim in first.dims else {}
    first.drop_encoding().to_netcdf(part, engine="h5netcdf", encoding=encoding, **grows)
    with h5netcdf.File(part, "a") as file:
        for block in blocks:
            start = file.dimensions[dim].size
            file.resize_dimension(dim, start + block.sizes[dim])
            for name, v in block.variables.items():
                if dim in v.dims:
                    file.variables[name][
                        tuple(slice(start, None) if d == dim else slice(None) for d in v.dims)
                    ] = v.values


@public
def open(path: str | PathLike) -> Dataset:
    """Open a file of ``save``, verified by its checksum; its numbers stay on disk until used.

    Select, then ``.load()``. A dim of more than a million labels has no index, which would be in
    memory: select by ``isel``. Use it in a ``with`` statement, or close it.

    Parameters
    ----------
    path : path
        File that ends in .nc or .zarr.

    Returns
    -------
    xarray.Dataset
        NAME : (dims), units
            Each variable of the Dataset that was saved.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    DamageError
        Where it does not match its checksum, was cut short, or is not one of ours.
    ValueError
        For another ending.
    ImportError
        Without zarr.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.datasets.open("orbit.csv")
    Traceback (most recent call last):
    ...
    ValueError: orbit.csv ends in .csv: a dataset is written to .nc (netCDF-4) or .zarr (Zarr)
    """
    import xarray as xr

    path = _path(path)
    if path.suffix == ".zarr":
        return zarr_store.open(path)
    try:
        files.verify(path)
    except DamageError as error:
        raise DamageError(
            f"{error}: make it again (dynmem data), or copy it again with its "
            "checksum; a file from elsewhere opens by "
            "xarray.open_dataset"
        ) from None
    try:
        refuse_external(path)
        with warnings.catch_warnings():
            # HDF5 without the dims of netCDF
            warnings.filterwarnings("error", message=".*phony_dims")
            return indexed(
                xr.open_dataset(path, engine="h5netcdf", cache=False, create_default_indexes=False)
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, UserWarning) as error:
        raise DamageError(
            f"{path} matches its checksum, but is no netCDF-4 file of ours: one "
            "from elsewhere opens by xarray.open_dataset"
        ) from error


def refuse_external(path: Path) -> None:
    """Refuse a file whose numbers are in other files: HDF5 would read those, whatever they
    hold."""
    import h5py

    with h5py.File(path, "r") as file:
        for name in file:
            own = isinstance(file.get(name, getlink=True), h5py.HardLink)
            if not own or (
                isinstance(file[name], h5py.Dataset)
                and (file[name].external or file[name].is_virtual)
            ):
                raise DamageError(f"{name} in {path} is read from another file")


def write(name: str, path: str | PathLike, /, **given: Any) -> Path:
    """Make a dataset and write it to a file, an orbit block by block where it exceeds memory.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.
    path : path
        Ends in .nc (netCDF-4) or .zarr (Zarr).
    **given
        Options as of ``load``.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.
    TypeError
        For an option that the dataset does not take.
    ValueError
        For another ending, or a value that is out of its bounds.
    NoSpaceError
        Where the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> import dynmem as dm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = dm.datasets.write("henon", f"{folder}/henon.nc", samples=100)
    ...     with dm.datasets.open(path) as data:
    ...         data.sizes["time"]
    100
    """
    path, name = _path(path), resolve(name)
    made = entry(name)
    if isinstance(made, Entry):
        return save(load(name, **given), path)
    check_options(name, given)
    plan = made.plan(**given)
    if plan.nbytes < MAX_BYTES_IN_MEMORY:
        return save(load(name, **given), path)
    with files.space_watched():
        return save_blocks(made.blocks(plan, request(name, given)), path, size=plan.nbytes)


def _path(path: str | PathLike) -> Path:
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path} ends in {path.suffix or 'nothing'}: a dataset is written to .nc "
            "(netCDF-4) or .zarr (Zarr)"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    return path
