"""Stores: what a study measured, on disk, each file whole or absent and each with its checksum.

``NAME.points/`` holds ``configuration.json``, and each point in a file of its own: ``KEY.point``
where it was measured, ``KEY.failed`` with its error. The key is a checksum of the parameters and of
the code that was reached, so that a grid may grow in any direction and find its points again.
``NAME.nc`` holds the points of the last grid in one Dataset, ``NAME.nc.sha256`` its checksum, and
``.NAME.lock`` who runs the study.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BusyError, DamageError
from ..runtime.files import (
    aside,
    checksum_line,
    replacement,
    seal,
    sidecar,
    stated_checksum,
    sweep,
    unseal,
    verify,
    write,
)
from ..runtime.locks import is_locked, locked
from ..runtime.netcdf import decoded, problems, write as write_netcdf
from .encoding import PointFile

if TYPE_CHECKING:
    from xarray import Dataset

# a store may be copied to Windows, where these are no files, whatever follows after a dot
DEVICES = {
    *("con", "prn", "aux", "nul"),
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}
NAME_PATTERN = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
LOCK_ATTEMPTS, LOCK_PAUSE = 20, 0.01  # reads of who holds a lock, and seconds between them
FLUSH_SECONDS = 0.1  # a flush costs some milliseconds: to measure a quicker point again costs less
MEMORY_BYTES = 2**28  # a larger combined Dataset is read from its file as it is used


class ChangedError(ValueError):
    """The store was made with other settings or other code."""


class BadNameError(ValueError):
    """A name that could lead out of its folder."""


def check_name(name: str) -> str:
    """The name, where it is that of a visible file in its folder.

    >>> check_name("..")
    Traceback (most recent call last):
    ...
    dynmem.study.store.BadNameError: '..' is not a name: letters, digits, . _ -
    """
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise BadNameError(f"{name!r} is not a name: letters, digits, . _ -")
    if name.partition(".")[0].lower() in DEVICES:
        raise BadNameError(f"{name!r} is a device of Windows, in every folder: take another name")
    return name


@dataclass(frozen=True)
class Store:
    """The files of one study in one folder.

    Parameters
    ----------
    name : str
        Name of the study.
    folder : path
        Folder of the store.

    Raises
    ------
    BadNameError
        The name could lead out of the folder.

    Examples
    --------
    >>> Store("vanishing", "results").file.as_posix()
    'results/vanishing.nc'
    """

    name: str
    folder: Path

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def points(self) -> Path:
        """Folder of the single points."""
        return self.folder / f"{self.name}.points"

    @property
    def file(self) -> Path:
        """File of the combined Dataset."""
        return self.folder / f"{self.name}.nc"

    @property
    def configuration_file(self) -> Path:
        """File of what the numbers depend on: grid, settings, code, versions."""
        return self.points / "configuration.json"

    @property
    def lock_file(self) -> Path:
        """File that says who runs the study, and how far it is."""
        return self.folder / f".{self.name}.lock"

    # ---- who runs it

    @contextmanager
    def lock(self) -> Iterator[Note]:
        """Hold the store exclusively; BusyError names the process that holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.lock_file) as descriptor:
                note = Note(descriptor, _read(descriptor))
                note.write(process=os.getpid(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
                try:
                    yield note
                finally:
                    note.clear()
        except BlockingIOError:
            raise BusyError(f"study {self.name} is being run by {self._holder()}") from None

    def _holder(self) -> str:
        """Process that holds the lock. It is written just after the lock is taken: wait for it."""
        for _ in range(LOCK_ATTEMPTS):
            if facts := self.note():
                return f"process {facts['process']} since {facts['since']}"
            time.sleep(LOCK_PAUSE)
        return "another process"

    def note(self) -> dict[str, Any]:
        """What the run that holds the store, or died while it did, last said of itself."""
        try:
            return _facts(self.lock_file.read_bytes())
        except OSError:
            return {}

    def is_held(self) -> bool:
        """Whether a process runs the study now."""
        return is_locked(self.lock_file)

    # ---- configuration

    def configuration(self) -> dict | None:
        """What the points were measured with; None where there are none yet."""
        try:
            return unseal(self.configuration_file.read_bytes())
        except FileNotFoundError:
            return None
        except (DamageError, ValueError):
            raise DamageError(
                f"store {self.name}: its configuration does not match its checksum: {self.advice()}"
            ) from None

    def save_configuration(self, configuration: Mapping) -> None:
        """Write the configuration, where it differs from the one that is there."""
        data = seal(configuration)
        if not self.configuration_file.exists() or self.configuration_file.read_bytes() != data:
            write(self.configuration_file, data)

    def advice(self) -> str:
        """The command that mends the store."""
        where = "" if self.folder == Path("results") else f" --output {self.folder}"
        return f"run dynmem repair {self.name}{where}"

    # ---- points

    def tidy(self) -> None:
        """Remove what a killed run left half written, and the checksum of a file that it had
        replaced."""
        if self.points.is_dir():
            sweep(self.points)
        beside = sidecar(self.file)
        for name in (self.file.name, beside.name):
            sweep(self.folder, name)
        if beside.is_file() and beside.read_bytes().count(b"\n") > 1 and self.file.is_file():
            with open(self.file, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            line = checksum_line(self.file.name, digest)
            if line in beside.read_bytes().splitlines(keepends=True):
                write(beside, line)

    def keys(self) -> tuple[set[str], set[str]]:
        """Keys of the points that were measured, and of those that failed."""
        done: set[str] = set()
        failed: set[str] = set()
        kinds = {".point": done, ".failed": failed}
        if self.points.is_dir():
            for entry in os.scandir(self.points):
                key, dot, kind = entry.name.partition(".")
                if dot + kind in kinds:
                    kinds[dot + kind].add(key)
        return done, failed

    def count(self) -> int:
        """Number of points on disk, with those that failed."""
        return sum(map(len, self.keys()))

    def save_point(self, key: str, data: bytes, failed: bool, seconds: float = 1.0) -> None:
        """Write the file of a point."""
        path = self.points / f"{key}.{'failed' if failed else 'point'}"
        with aside(path, flush=seconds > FLUSH_SECONDS) as file:
            file.write(data)

    def point(self, key: str) -> PointFile:
        """A measured point. Raises DamageError."""
        return self._open(self.points / f"{key}.point")

    def failure(self, key: str) -> Mapping[str, Any]:
        """What is known of a failed point: its parameters and its error."""
        return self._open(self.points / f"{key}.failed").header

    def _open(self, path: Path) -> PointFile:
        try:
            found = PointFile.open(path)
        except (DamageError, FileNotFoundError):
            raise DamageError(f"{path.name} does not match its checksum") from None
        if found.header.get("key") != path.stem:
            raise DamageError(f"{path.name} is that of another point")
        return found

    def forget(self, key: str) -> None:
        """Remove a point."""
        for kind in ("point", "failed"):
            (self.points / f"{key}.{kind}").unlink(missing_ok=True)

    # ---- the store as a whole

    def load(self) -> Dataset:
        """The combined Dataset. Raises FileNotFoundError, and DamageError with how to repair it."""
        try:
            return load(self.file)
        except DamageError as error:
            raise DamageError(f"store {self.name}: {error}: {self.advice()}") from None

    def is_combined(self) -> bool:
        """Whether the combined Dataset is there, or something else under its name."""
        return self.file.exists() and not (self.points.exists() and not sidecar(self.file).exists())

    def damaged(self) -> list[str]:
        """Files of points that do not match their checksums."""
        found = []
        for key in sorted(set.union(*self.keys())):
            for path in (self.points / f"{key}.point", self.points / f"{key}.failed"):
                try:
                    if path.exists():
                        self._open(path).data()
                except DamageError:
                    found.append(path.name)
        return found

    def repair(self) -> list[str]:
        """Remove what does not match its checksum, so that the next run makes it again; returns
        what was removed."""
        removed = self.damaged()
        for name in removed:
            (self.points / name).unlink()
        try:
            self.configuration()
        except DamageError:
            # a point is known by its key, which holds its configuration
            self.configuration_file.unlink()
            removed.append(self.configuration_file.name)
        try:
            verify(self.file)
        except (DamageError, FileNotFoundError):
            sidecar(self.file).unlink(missing_ok=True)
            if self.file.exists():
                # kept under another name: without its checksum it cannot be distinguished from a
                # file of somebody else
                os.rename(self.file, _free(self.file.with_name(self.file.name + ".damaged")))
                removed.append(self.file.name)
        return removed

    def exists(self) -> bool:
        """Whether the folder holds anything of this study."""
        return self.points.exists() or self.file.exists()

    def set_aside(self) -> Path | None:
        """Move all files to ``NAME.old-1`` (or the next free number), overwriting nothing; returns
        that folder."""
        if not self.exists():
            return None
        number = 1
        while os.path.lexists(folder := self.folder / f"{self.name}.old-{number}"):
            number += 1
        folder.mkdir()
        for path in (sidecar(self.file), self.file, self.points):
            if path.exists():
                os.rename(path, folder / path.name)
        return folder


def _free(path: Path) -> Path:
    """The path, or with the next number behind it one that is not taken."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def load(path: str | Path) -> Dataset:
    """Dataset from the file of a store, where it matches its checksum; what is larger than 256 MB
    stays on the disk until it is used.

    Raises FileNotFoundError, DamageError.
    """
    import xarray as xr

    path = Path(path)
    stated_checksum(path)
    verify(path)
    dataset = xr.open_dataset(path, engine="h5netcdf", decode_times=False, cache=False)
    if path.stat().st_size <= MEMORY_BYTES:
        with dataset:
            dataset = dataset.load()
    return decoded(dataset).drop_encoding()


def save(dataset: Dataset, path: str | Path) -> Path:
    """Write a Dataset to a netCDF-4 file with its checksum beside it (``sha256sum --check
    PATH.sha256`` reads it too)."""
    if wrong := problems(dataset):
        raise TypeError(f"the Dataset cannot be stored: {'; '.join(wrong)}")
    with replacement(path := Path(path)) as file:
        write_netcdf(file, dataset)
    return path


# ---- the note in the lock file -------------------------------------------------------------------


@dataclass
class Note:
    """What a run says of itself in the lock file; ``before`` is what one that died has left."""

    descriptor: int
    before: dict[str, Any]

    def __post_init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def write(self, **facts: Any) -> None:
        """Add facts."""
        self.facts |= facts
        data = json.dumps(self.facts).encode()
        os.ftruncate(self.descriptor, len(data))
        _write_at_start(self.descriptor, data)

    def clear(self) -> None:
        """Say nothing: the run has ended in order."""
        os.ftruncate(self.descriptor, 0)


def _write_at_start(descriptor: int, data: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, data)


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _facts(os.read(descriptor, 2**16))


def _facts(data: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(data)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) and {"process", "since"} <= facts.keys() else {}
