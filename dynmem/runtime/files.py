"""Files that are whole or absent, each with its checksum; a Dataset in one of them. Nothing here
can run code."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from ..errors import DamageError

DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}


class NoSpaceError(OSError):
    """The disk is full."""


def write(path: Path, data: bytes) -> None:
    """Write a file aside, flush it to the disk and rename it, so that a reader finds the whole file
    or none."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        flush_folder(path.parent)
    except BaseException:  # Ctrl-C too leaves no part behind
        part.unlink(missing_ok=True)
        raise


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


def flush_folder(folder: Path) -> None:
    """A rename outlives a power cut only once its folder has reached the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def save(dataset, path) -> Path:
    """Write a Dataset to a netCDF-4 file with its checksum beside it (``sha256sum --check
    PATH.sha256`` reads it too)."""
    path, data = Path(path), encode(dataset)
    beside = sidecar(path)
    # a kill between the two files must leave no checksum rather than a wrong one
    beside.unlink(missing_ok=True)
    write(path, data)
    write(beside, checksum_line(path.name, checksum(data)))
    return path


def load(path):
    """Dataset from a file of ``save``; ``DamageError`` unless it matches its checksum,
    ``FileNotFoundError`` when there is none."""
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
    if stated != checksum_line(path.name, found):
        raise DamageError(f"{path} does not match its checksum")


def sidecar(path: Path) -> Path:
    """File that holds the checksum of another."""
    return path.with_name(path.name + ".sha256")


def checksum_line(name: str, digest: str) -> bytes:
    """Line of a checksum file, as sha256sum writes it."""
    return f"{digest}  {name}\n".encode()
