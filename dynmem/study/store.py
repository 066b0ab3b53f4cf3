"""Stores: what a study measured, on disk, each file whole or absent and each with its checksum.

``NAME.points/`` holds ``configuration.json``, and for each finished point ``000017.nc`` with its
record ``000017.json``, written last. ``NAME.nc`` holds all points in one Dataset,
``NAME.nc.sha256`` its checksum.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import BusyError, DamageError
from ..runtime.files import canonical, checksum, decode, load, seal, sidecar, unseal, write

if TYPE_CHECKING:
    from xarray import Dataset

NAME_PATTERN = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
LOCK_ATTEMPTS, LOCK_PAUSE = 20, 0.01  # reads of who holds a lock, and seconds between them


class ChangedError(ValueError):
    """The store was made with another grid, configuration or code."""


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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store exclusively; BusyError names the process that holds it. The lock of a
        process that ended is released by the system."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f".{self.name}.lock", "a+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(f"study {self.name} is being run by {_holder(file)}") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
            try:
                yield
            finally:
                file.truncate(0)

    def finished(self, configuration: Mapping, finish: str) -> Dataset | None:
        """The combined Dataset where this configuration made it; None where there is none, or where
        it must be combined (again) from its points."""
        if not self.file.exists() or (self.points.exists() and not sidecar(self.file).exists()):
            return None
        dataset = self.load()
        stored = json.loads(dataset.attrs["configuration"])
        now = {**configuration, "code": {**configuration["code"], "finish": finish}}
        if self.points.exists():
            return (
                dataset
                if canonical(stored) == canonical({**now, "versions": stored["versions"]})
                else None
            )
        self._refuse_changes({**stored, "versions": now["versions"]}, now)
        return dataset

    def load(self) -> Dataset:
        """The combined Dataset. Raises FileNotFoundError, and DamageError with how to repair it."""
        try:
            return load(self.file)
        except DamageError as error:
            raise DamageError(f"store {self.name}: {error}: {self._advice()}") from None

    def open(self, configuration: Mapping) -> dict[int, dict]:
        """Prepare the store for this configuration; returns the records of its finished points,
        each compared with its checksum."""
        self.points.mkdir(parents=True, exist_ok=True)
        for part in self.points.glob("*.part"):
            part.unlink()
        if self.configuration_file.exists():
            self._refuse_changes(self._read_configuration(), configuration)
        records = self.records()
        mark = checksum(canonical(configuration).encode())
        if any(record["configuration"] != mark for record in records.values()):
            raise ChangedError(
                f"store {self.name} holds points of another configuration: use "
                "another --output, or --fresh"
            )
        if not self.configuration_file.exists():
            write(self.configuration_file, seal(configuration))
        return records

    def _read_configuration(self) -> dict:
        try:
            return unseal(self.configuration_file.read_bytes())
        except DamageError:
            raise DamageError(
                f"store {self.name}: its configuration does not match its checksum: "
                f"{self._advice()}"
            ) from None

    def _refuse_changes(self, stored: Mapping, now: Mapping) -> None:
        found = changes(stored, now)
        if found:
            raise ChangedError(
                f"{'; '.join(found)}: use another --output, or --fresh to start "
                f"anew (store {self.name} in {self.folder})"
            )

    def _advice(self) -> str:
        where = "" if self.folder == Path("results") else f" --output {self.folder}"
        return f"run dynmem repair {self.name}{where}"

    # -- points

    def records(self) -> dict[int, dict]:
        """Records of all finished points. DamageError names the points that do not match their
        checksums."""
        records, damaged = self._read_records()
        if damaged:
            raise DamageError(f"store {self.name}: {_mismatch(damaged)}: {self._advice()}")
        return records

    def _read_records(self) -> tuple[dict[int, dict], list[int]]:
        records, damaged = {}, []
        for path in sorted(self.points.glob("*.json")):
            if re.fullmatch(r"\d{6,}", path.stem):
                try:
                    records[int(path.stem)] = self._record(int(path.stem))
                except DamageError:
                    damaged.append(int(path.stem))
        return records, damaged

    def _record(self, index: int) -> dict:
        record = unseal(self._path(index, "json").read_bytes())
        if record["point"] != index:
            raise DamageError(f"the record of point {index} is that of point {record['point']}")
        if record["sha256"] is not None:
            self._payload(index, record)
        return record

    def _payload(self, index: int, record: Mapping) -> bytes:
        path = self._path(index, "nc")
        data = path.read_bytes() if path.exists() else b""
        if checksum(data) != record["sha256"]:
            raise DamageError(f"store {self.name}: {_mismatch([index])}: {self._advice()}")
        return data

    def save_point(
        self, index: int, payload: bytes | None, configuration: Mapping, **more: Any
    ) -> dict:
        """Write a point: its netCDF bytes first, its record last, which holds ``more`` too. A
        failed point has no bytes (None)."""
        digest = None if payload is None else checksum(payload)
        record = {
            "point": index,
            "sha256": digest,
            "configuration": checksum(canonical(configuration).encode()),
            **more,
        }
        if payload is not None:
            write(self._path(index, "nc"), payload)
        write(self._path(index, "json"), seal(record))
        return record

    def read_point(self, index: int, record: Mapping) -> Dataset:
        """Dataset of a finished point."""
        return decode(self._payload(index, record))

    def forget(self, index: int) -> None:
        """Remove a point, its record first, so that a kill leaves no record without data."""
        self._path(index, "json").unlink(missing_ok=True)
        self._path(index, "nc").unlink(missing_ok=True)

    def count(self) -> int:
        """Number of points with a record."""
        return sum(1 for path in self.points.glob("*.json") if path.stem.isdigit())

    def _path(self, index: int, kind: str) -> Path:
        return self.points / f"{index:06d}.{kind}"

    # -- the store as a whole

    def repair(self) -> list[str]:
        """Remove what does not match its checksum, so that the next run makes it again; returns
        what was removed."""
        removed = []
        for index in self._read_records()[1] if self.points.exists() else ():
            self.forget(index)
            removed.append(f"point {index}")
        if self.configuration_file.exists():
            try:
                self._read_configuration()
            except DamageError:
                # each record holds the checksum of its configuration, so that the next run still
                # recognises its own points
                self.configuration_file.unlink()
                removed.append(self.configuration_file.name)
        try:
            load(self.file)
        except (DamageError, FileNotFoundError):
            sidecar(self.file).unlink(missing_ok=True)
            if self.file.exists():
                # kept under another name: without its checksum it cannot be distinguished from a
                # file of somebody else
                self.file.replace(self.file.with_name(self.file.name + ".damaged"))
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
        while (aside := self.folder / f"{self.name}.old-{number}").exists():
            number += 1
        aside.mkdir()
        for path in (sidecar(self.file), self.file, self.points):
            if path.exists():
                os.rename(path, aside / path.name)
        return aside


def _mismatch(points: list[int]) -> str:
    if len(points) == 1:
        return f"point {points[0]} does not match its checksum"
    return f"points {', '.join(map(str, points))} do not match their checksums"


def _holder(file: IO[bytes]) -> str:
    """Process that holds the lock. It is written just after the lock is taken: wait for it."""
    for _ in range(LOCK_ATTEMPTS):
        file.seek(0)
        if text := file.read():
            return text.decode(errors="replace")
        time.sleep(LOCK_PAUSE)
    return "another process"


def changes(stored: Mapping, now: Mapping) -> list[str]:
    """Differences between two configurations, as messages.

    >>> same = {"axes": ["gain"], "settings": {}, "code": {}, "versions": {}}
    >>> changes({**same, "grid": {"gain": [1.0]}}, {**same, "grid": {"gain": [1.1]}})
    ['gain was 1.0 in the store, 1.1 now']
    """
    before, after = _flat(stored), _flat(now)
    differ = [
        name
        for name in {**before, **after}
        if canonical(before.get(name)) != canonical(after.get(name))
    ]
    return [
        f"{name} was {_show(before.get(name))} in the store, {_show(after.get(name))} now"
        for name in differ
    ]


def _flat(configuration: Mapping) -> dict:
    code = {f"the code of {name}": digest[:12] for name, digest in configuration["code"].items()}
    order = {"the order of the axes": configuration["axes"]}
    return {
        **configuration["grid"],
        **configuration["settings"],
        **order,
        **code,
        **configuration["versions"],
    }


def _show(value: Any) -> str:
    if value is None:
        return "absent"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
