"""Datasets on disk, netCDF-4 or Zarr: whole or absent, each with its checksum, larger than memory
where they must be. Nothing here runs code."""

import builtins
import errno
import hashlib
import os
import shutil
import warnings
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from ..errors import DamageError
from ..runtime import files
from . import zarr_store
from .attributes import refuse_lossy
from .registry import called, load, maker, options
from .zarr_store import indexed

SUFFIXES = (".nc", ".zarr")
LARGEST = 200_000_000  # bytes up to which a file is made in memory
SPARE = 1.05  # room that a file needs beside its numbers
PIECE = 16_384  # samples in a piece of a file that is written in blocks: what is read at least


def save(dataset, path) -> Path:
    """Write a Dataset without loss to ``path``, which ends in .nc (netCDF-4) or .zarr (Zarr, with
    the extra ``zarr``), its checksum beside it.

    The file is written aside and renamed: a run that is killed leaves the whole file or the one
    that was there. ``sha256sum --check PATH.sha256`` verifies it too. A file that is there is
    replaced, a folder only where it is one of Zarr. Raises ValueError for another ending, and for
    names and attributes that the file would not give back as they are, TypeError for what is no
    Dataset, NoSpaceError where the disk is full, FileExistsError for another folder, ImportError
    without zarr.

    >>> import tempfile
    >>> d = load("henon", samples=100)
    >>> with tempfile.TemporaryDirectory() as folder, open(save(d, f"{folder}/henon.nc")) as again:
    ...     again.identical(d)
    True
    """
    path = _path(path)
    refuse_lossy(dataset, path.suffix)
    if path.suffix == ".nc" and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    with files.space_watched():
        if path.suffix == ".nc" and dataset.nbytes < LARGEST:
            return files.save(dataset, path)
        return save_blocks([dataset], path)


def save_blocks(blocks: Iterable, path, dim="time", size=0) -> Path:
    """The same for Datasets that follow each other along ``dim``, one in memory at a time;
    ``size``: bytes of all of them, where known."""
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
        files.flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    files.write(files.sidecar(path), files.checksum_line(path.name, digest))
    return path


def _refuse_full(path, size):
    """Refuse a file that the disk has no room for, before HDF5, which crashes on a full one."""
    free = shutil.disk_usage(path.parent).free
    if free < SPARE * size:
        raise files.NoSpaceError(
            f"{size / 1e9:.3g} GB are to be written to {path.parent}, {free / 1e9:.3g} GB are free"
        )


def _append_all(part, first, blocks, dim):
    """All blocks in one netCDF-4 file that grows along ``dim``."""
    import h5netcdf

    encoding = files.plain(first)
    for name, v in first.variables.items():
        if dim in v.dims:
            encoding.setdefault(name, {})["chunksizes"] = tuple(
                min(PIECE, n) if d == dim else n for d, n in zip(v.dims, v.shape, strict=True)
            )
    grows = {"unlimited_dims": [dim]} if dim in first.dims else {}
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


def open(path):
    """A Dataset of ``save``, compared with its checksum, its numbers left on disk until they are
    asked for: select, then ``.load()``.

    A dim of more than a million labels has no index, which would be in memory: select by ``isel``.
    Use it in a ``with`` statement, or close it. Raises FileNotFoundError, DamageError where the
    file does not match its checksum, was cut short, or is not one of ours, ValueError for another
    ending, ImportError without zarr.
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
        _refuse_other_files(path)
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


def _refuse_other_files(path):
    """Refuse a file whose numbers stand in other files: HDF5 would read those, whatever they
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


def write(name, path, **given) -> Path:
    """Make a dataset and write it to a file, an orbit block by block, so that it may be larger than
    memory."""
    path, made = _path(path), maker(name)
    if not hasattr(made, "plan"):
        return save(load(name, **given), path)
    if unknown := sorted(set(given) - set(options(name))):
        raise TypeError(
            f"{name} takes no option {', '.join(unknown)}: it takes {', '.join(options(name))}"
        )
    plan = made.plan(**given)
    if plan.nbytes < LARGEST:
        return save(load(name, **given), path)
    with files.space_watched():
        return save_blocks(plan.datasets(called(name, given)), path, size=plan.nbytes)


def _path(path) -> Path:
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path} ends in {path.suffix or 'nothing'}: a dataset is written to .nc "
            "(netCDF-4) or .zarr (Zarr)"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    return path


# ---- the cache -----------------------------------------------------------------------------------
