"""Files that are whole or absent, each with its checksum; a Dataset in one of them. Nothing here
can run code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import DamageError
from .platform import flush_folder

if TYPE_CHECKING:
    from xarray import Dataset

DISK_FULL_ERRORS = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class NoSpaceError(OSError):
    """The disk is full: nothing was damaged, and a run goes on where it was once there is space."""


def write(path: Path, data: bytes) -> None:
    """Write a file aside, flush it to the disk and rename it, so that a reader finds the whole file
    or none."""
    with aside(path) as file:
        file.write(data)


@contextmanager
def aside(path: Path, flush: bool = True) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` once it is whole. Its name is nobody else's; a
    link at ``path`` is replaced, not followed."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with open(part, "x+b") as file:
        try:
            yield file
            if flush:
                file.flush()
                os.fsync(file.fileno())
            file.close()
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    if flush:
        flush_folder(path.parent)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what a killed process left of ``aside``, for one file or for all of a folder."""
    for part in folder.glob(f".{name}.*.part"):
        if re.fullmatch(r"\.[0-9a-f]{8}\.part", part.name[-14:]) and not part.is_symlink():
            part.unlink(missing_ok=True)


@contextmanager
def space_watched() -> Iterator[None]:
    """Turn the system's words for a full disk into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL_ERRORS:
            raise NoSpaceError(
                "no space left; nothing was damaged; free space and run again"
            ) from error
        raise


def cache_base() -> Path:
    """The user's cache folder: XDG_CACHE_HOME, or ~/.cache. RuntimeError where there is no home.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification asks: a folder
    that somebody prepared must not become ours by standing in it.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return given if given.is_absolute() else Path("~/.cache").expanduser()


def checksum(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(record) -> str:
    """A record as JSON, the same text for equal records."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


def seal(record) -> bytes:
    """A record as one line of JSON behind its own checksum."""
    line = (canonical(record) + "\n").encode()
    return f"{checksum(line)} ".encode() + line


def unseal(data: bytes):
    """The record of ``seal``; ``DamageError`` when the line does not match its checksum."""
    digest, _, line = data.partition(b" ")
    if digest.decode("ascii", "replace") != checksum(line):
        raise DamageError("the record does not match its checksum")
    return json.loads(line)


# ---- one Dataset, one file -----------------------------------------------------------------------


def encode(dataset) -> bytes:
    """A Dataset as netCDF-4, made in memory: HDF5 crashes on a full disk, a plain write does not.
    Equal Datasets give equal bytes."""
    return bytes(dataset.drop_encoding().to_netcdf(engine="h5netcdf", encoding=plain(dataset)))


def plain(dataset) -> dict:
    """Encoding without fill values: each would be one more attribute that the Dataset did not
    have."""
    return {
        name: {"_FillValue": None} for name, v in dataset.variables.items() if v.dtype.kind in "fc"
    }


def decode(data: bytes):
    """The Dataset of ``encode``."""
    import xarray as xr

    with xr.open_dataset(BytesIO(data), engine="h5netcdf") as dataset:
        return dataset.load().drop_encoding()


def save(dataset: Dataset, path: str | os.PathLike) -> Path:
    """Write a Dataset to a netCDF-4 file with its checksum beside it.

    ``sha256sum --check PATH.sha256`` reads the checksum too.

    Parameters
    ----------
    dataset : xarray.Dataset
        Real numbers, truth values and strings.
    path : path
        File to write; one that exists is replaced, whole or not at all.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    OSError
        Where the file cannot be written.

    References
    ----------
    FIPS 180-4 (2015), Secure Hash Standard, for SHA-256.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(xr.Dataset({"a": ("x", [1.0, 2.0])}), Path(folder, "a.nc"))
    ...     load(path).a.values.tolist(), sorted(p.name for p in Path(folder).iterdir())
    ([1.0, 2.0], ['a.nc', 'a.nc.sha256'])
    """
    path, data = Path(path), encode(dataset)
    with replacement(path) as file:
        file.write(data)
    return path


@contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path``, with its checksum beside it.

    While one replaces the other both checksums stand there, so that at every moment the old file
    or the new one can be read.
    """
    beside = sidecar(path)
    lines = beside.read_bytes() if path.exists() and beside.is_file() else b""
    with aside(path) as file:
        yield file
        file.flush()
        with open(file.name, "rb") as whole:
            line = checksum_line(path.name, hashlib.file_digest(whole, "sha256").hexdigest())
        write(beside, line if lines in (b"", line) else lines + line)
    write(beside, line)


def load(path: str | os.PathLike) -> Dataset:
    """Dataset from a file of ``save``, compared with its checksum.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    xarray.Dataset
        Equal to the one that was saved; it is in memory, and the file is closed.

    Raises
    ------
    DamageError
        Unless the file matches its checksum.
    FileNotFoundError
        Where there is none.

    Examples
    --------
    >>> load("missing.nc")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] no such store: 'missing.nc'
    """
    return decode(verified(Path(path)))


def verified(path: Path) -> bytes:
    """Bytes of a file of ``save``, compared with its checksum."""
    stated = stated_checksum(path)
    data = path.read_bytes()
    _compare(path, stated, checksum(data))
    return data


def verify(path: Path) -> None:
    """The same comparison for a file of any size, of which no more than a piece is in memory at a
    time."""
    stated = stated_checksum(path)
    with open(path, "rb") as file:
        _compare(path, stated, hashlib.file_digest(file, "sha256").hexdigest())


def stated_checksum(path: Path) -> bytes:
    """What stands in the file beside a file; ``FileNotFoundError`` without the file,
    ``DamageError`` without a checksum."""
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such store", str(path))
    beside = sidecar(path)
    if not beside.exists():
        raise DamageError(
            f"{path} has no checksum {beside.name} beside it: it is not a finished store"
        )
    return beside.read_bytes()


def _compare(path: Path, stated: bytes, found: str) -> None:
    if checksum_line(path.name, found) not in stated.splitlines(keepends=True):
        raise DamageError(f"{path} does not match its checksum")


def sidecar(path: Path) -> Path:
    """File that holds the checksum of another."""
    return path.with_name(path.name + ".sha256")


def checksum_line(name: str, digest: str) -> bytes:
    """Line of a checksum file, as sha256sum writes it."""
    return f"{digest}  {name}\n".encode()
