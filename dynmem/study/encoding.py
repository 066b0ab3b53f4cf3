"""One point as bytes: a header of one line, sealed with its checksum, and the numbers behind it.

Plain bytes, since encoding a point as netCDF-4 through xarray is slow. Nothing here can run code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..runtime.files import checksum, seal, unseal
from ..runtime.netcdf import TEXT

if TYPE_CHECKING:
    import numpy as np
    from xarray import Dataset


def encode_point(dataset: Dataset, not_finite: list[str]) -> tuple[dict, bytes]:
    """Header and data of a Dataset; coordinates and text come first in the data."""
    import numpy as np

    rows: list[dict[str, Any]] = []
    parts, position, head = [], 0, 0
    first = sorted(dataset.variables.items(), key=lambda item: not _is_small(dataset, *item))
    for name, variable in first:
        values = variable.values
        if values.dtype.kind in TEXT + "O":
            data, dtype = json.dumps(values.ravel().tolist()).encode(), "text"
        else:
            values = np.asarray(values, values.dtype.newbyteorder("<"))
            data, dtype = values.tobytes(), values.dtype.str
        rows.append(
            {
                "name": str(name),
                "dims": list(variable.dims),
                "shape": list(values.shape),
                "dtype": dtype,
                "attrs": {key: _plain(value) for key, value in variable.attrs.items()},
                "coordinate": name in dataset.coords,
                "start": position,
                "size": len(data),
            }
        )
        parts.append(data)
        position += len(data)
        head = position if _is_small(dataset, name, variable) else head
    order = {str(name): place for place, name in enumerate(dataset.variables)}
    data = b"".join(parts)
    header = {
        "variables": sorted(rows, key=lambda row: order[row["name"]]),
        "attrs": {key: _plain(value) for key, value in dataset.attrs.items()},
        "not_finite": not_finite,
        "sha256": checksum(data),
        "small": head,
    }
    return header, data


def _is_small(dataset: Dataset, name: Any, variable: Any) -> bool:
    """Whether a variable is read while the grid is laid out: a coordinate, or text."""
    return name in dataset.coords or variable.dtype.kind in TEXT + "O"


def _plain(value: Any) -> Any:
    """An attribute as JSON; a numpy number or array with its type."""
    if hasattr(value, "dtype"):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return list(value) if isinstance(value, tuple) else value


def attribute(value: Any) -> Any:
    """An attribute as it was, from JSON."""
    import numpy as np

    if isinstance(value, dict):
        made = np.array(value["values"], value["dtype"])
        return made if made.ndim else made[()]
    return value


@dataclass(frozen=True)
class PointFile:
    """A point on disk. Its header has been compared with its checksum, its data is when read."""

    path: Path
    header: Mapping[str, Any]
    start: int  # of the data
    small: bytes  # coordinates and text, not compared with the checksum yet

    @classmethod
    def open(cls, path: Path) -> PointFile:
        """Read the header. Raises DamageError, FileNotFoundError."""
        with open(path, "rb") as file:
            line = file.readline()
            try:
                header = unseal(line)
            except ValueError as error:
                raise DamageError(str(error)) from None
            return cls(path, header, len(line), file.read(header.get("small", 0)))

    @cached_property
    def rows(self) -> dict[str, dict]:
        """Description of each variable, by name."""
        return {row["name"]: row for row in self.header["variables"]}

    def data(self) -> bytes:
        """The numbers. Raises DamageError where they do not match their checksum."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            data = file.read()
        if checksum(data) != self.header["sha256"]:
            raise DamageError(f"{self.path.name} does not match its checksum")
        return data

    def values(self, name: str, data: bytes) -> np.ndarray:
        """Values of one variable, from ``data``, or from ``small`` for a coordinate or text."""
        import numpy as np

        row = self.rows[name]
        part = data[row["start"] : row["start"] + row["size"]]
        try:
            if row["dtype"] == "text":
                return np.array(json.loads(part), str).reshape(row["shape"])
            return np.frombuffer(part, row["dtype"], math.prod(row["shape"])).reshape(row["shape"])
        except ValueError:
            raise DamageError(f"{self.path.name} does not match its checksum") from None

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        """Attributes of a variable, or of the Dataset."""
        attrs = self.header["attrs"] if name is None else self.rows[name]["attrs"]
        return {key: attribute(value) for key, value in attrs.items()}

    def dataset(self) -> Dataset:
        """The whole point."""
        import xarray as xr

        data = self.data()
        made = {
            name: xr.Variable(row["dims"], self.values(name, data), self.attributes(name))
            for name, row in self.rows.items()
        }
        coordinates = {name for name, row in self.rows.items() if row["coordinate"]}
        return xr.Dataset(
            {name: v for name, v in made.items() if name not in coordinates},
            {name: v for name, v in made.items() if name in coordinates},
            self.attributes(),
        )


def file_bytes(header: Mapping[str, Any], data: bytes) -> bytes:
    """The file of a point."""
    return seal(header) + data
