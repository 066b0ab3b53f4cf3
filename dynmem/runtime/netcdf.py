"""A Dataset as one netCDF-4 file, written block by block.

HDF5 crashes where a disk is full while it writes. Here it lays out an empty file in memory, only a
few kilobytes, and the numbers are written into their places as plain bytes: a full disk is an
OSError, and no more than a block is in memory at a time. Equal Datasets give equal bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from xarray import Dataset, Variable

BLOCK_BYTES = 32 * 2**20
PAGE_BYTES = 4096
# Attributes by which readers change the numbers or the coordinates of a file.
RESERVED = {
    *("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype"),
    *("coordinates", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "complex_part"),
    *("_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict"),
}
NUMBERS, TEXT = "biufc", "UT"


@dataclass(frozen=True)
class Spec:
    """A variable before it is written: text and scalars come with their ``values``."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, Any]
    values: Any = None


@dataclass(frozen=True)
class Slab:
    """Where the numbers of a variable lie in the file."""

    offset: int
    dtype: np.dtype

    def write(self, file: BinaryIO, start: int, values: Any) -> None:
        """Write an array from element ``start`` on, in C order."""
        import numpy as np

        file.seek(self.offset + start * self.dtype.itemsize)
        file.write(np.ascontiguousarray(values, self.dtype).data.cast("B"))


class _Layout(io.RawIOBase):
    """The file as HDF5 sees it: pages that were written are kept, all others are zero."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.size = self.position = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def truncate(self, size: int | None = None) -> int:
        self.size = self.position if size is None else size
        return self.size

    def _pieces(self, length: int) -> Iterator[tuple[int, int, int]]:
        """Page, start within it, and length, of each piece from the position on."""
        while length > 0:
            page, start = divmod(self.position, PAGE_BYTES)
            piece = min(length, PAGE_BYTES - start)
            yield page, start, piece
            self.position += piece
            length -= piece

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        for page, start, piece in self._pieces(len(view)):
            data = self.pages.get(page)
            view[done : done + piece] = data[start : start + piece] if data else bytes(piece)
            done += piece
        return done

    def write(self, data: Any) -> int:
        view, done = memoryview(data).cast("B"), 0
        for page, start, piece in self._pieces(len(view)):
            kept = self.pages.setdefault(page, bytearray(PAGE_BYTES))
            kept[start : start + piece] = view[done : done + piece]
            done += piece
        self.size = max(self.size, self.position)
        return done

    def copy_to(self, file: BinaryIO) -> None:
        file.truncate(self.size)
        for page, data in sorted(self.pages.items()):
            file.seek(page * PAGE_BYTES)
            file.write(data[: self.size - page * PAGE_BYTES])


def create(file: BinaryIO, variables: Mapping[str, Spec], attrs: Mapping[str, Any]) -> dict:
    """Write an empty netCDF-4 file; the ``Slab`` of each variable that came without values."""
    import h5netcdf
    import h5py

    layout = _Layout()
    slabs = {}
    with h5netcdf.File(layout, "w") as root:
        for spec in variables.values():
            for dim, size in zip(spec.dims, spec.shape, strict=True):
                if dim not in root.dimensions:
                    root.dimensions[dim] = size
        for name, spec in variables.items():
            if spec.values is not None or 0 in spec.shape:
                made = _with_values(root, name, spec)
            else:
                early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
                made = root.create_variable(name, spec.dims, spec.dtype, dcpl=early)
                slabs[name] = Slab(made._h5ds.id.get_offset(), spec.dtype)
            for key, value in spec.attrs.items():
                made.attrs[key] = value
        for key, value in attrs.items():
            root.attrs[key] = value
    layout.copy_to(file)
    return slabs


def _with_values(root: Any, name: str, spec: Spec) -> Any:
    import h5py
    import numpy as np

    if spec.dtype.kind not in TEXT:
        values = np.zeros(spec.shape, spec.dtype) if spec.values is None else spec.values
        return root.create_variable(name, spec.dims, spec.dtype, data=values)
    made = root.create_variable(name, spec.dims, h5py.string_dtype())
    if 0 not in spec.shape:
        made[...] = np.asarray(spec.values, object)
    return made


def write(file: BinaryIO, dataset: Dataset) -> None:
    """Write a Dataset to an empty file, also one that is read from another file as it goes."""
    specs: dict[str, Spec] = {}
    for key, variable in dataset.variables.items():
        dtype = np_dtype("U") if variable.dtype.kind == "O" else variable.dtype
        values = variable.values if dtype.kind in TEXT or not variable.ndim else None
        dims = tuple(map(str, variable.dims))
        specs |= stored(str(key), Spec(dims, variable.shape, dtype, variable.attrs, values))
    slabs = create(file, specs, attributes(dataset))
    for key, variable in dataset.variables.items():
        if {str(key), f"{key}_real"} & slabs.keys():
            for start, block in _blocks(variable):
                for part, piece in parts(str(key), block).items():
                    slabs[part].write(file, start, piece)


def attributes(dataset: Dataset) -> dict[str, Any]:
    """Attributes of the file: those of the Dataset, and which variables are coordinates."""
    extra = " ".join(sorted(str(name) for name in dataset.coords if name not in dataset.dims))
    return {**dataset.attrs, **({"coordinates": extra} if extra else {})}


def stored(name: str, spec: Spec) -> dict[str, Spec]:
    """A variable as netCDF has it: complex numbers in two parts, truth values as bytes."""
    if spec.dtype.kind == "b":
        values = None if spec.values is None else spec.values.astype("i1")
        attrs = {**spec.attrs, "dtype": "bool"}
        return {name: replace(spec, dtype=np_dtype("i1"), attrs=attrs, values=values)}
    if spec.dtype.kind != "c":
        return {name: spec}
    pieces = {} if spec.values is None else parts(name, spec.values)
    half = np_dtype(f"f{spec.dtype.itemsize // 2}")
    return {
        f"{name}_{part}": replace(
            spec,
            dtype=half,
            attrs={**spec.attrs, "complex_part": f"{part} {name}"},
            values=pieces.get(f"{name}_{part}"),
        )
        for part in ("real", "imag")
    }


def parts(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Values of a variable as ``stored`` names them."""
    if values.dtype.kind == "c":
        return {f"{name}_real": values.real, f"{name}_imag": values.imag}
    return {name: values.astype("i1") if values.dtype.kind == "b" else values}


def np_dtype(text: str) -> np.dtype:
    """A type of numpy, which is imported only here."""
    import numpy as np

    return np.dtype(text)


def _blocks(variable: Variable) -> Iterator[tuple[int, Any]]:
    """Start and values of blocks along the first dim."""
    if not variable.ndim:
        yield 0, variable.values
        return
    row = math.prod(variable.shape[1:])
    rows = max(1, BLOCK_BYTES // max(1, row * variable.dtype.itemsize))
    for start in range(0, variable.shape[0], rows):
        yield start * row, variable[start : start + rows].values


def decoded(dataset: Dataset) -> Dataset:
    """The Dataset of ``write`` as it was, from what xarray reads."""
    halves: dict[Hashable, dict[str, Hashable]] = {}
    for name, variable in dataset.variables.items():
        if words := variable.attrs.get("complex_part"):
            part, _, whole = words.partition(" ")
            halves.setdefault(whole, {})[part] = name
    for whole, names in halves.items():
        real, imag = dataset[names["real"]], dataset[names["imag"]]
        value = real.variable.copy(data=real.values + 1j * imag.values)
        value.attrs = {k: v for k, v in value.attrs.items() if k != "complex_part"}
        coordinate = names["real"] in dataset.coords
        dataset = dataset.drop_vars(list(names.values()))
        add = dataset.assign_coords if coordinate else dataset.assign
        dataset = add({whole: value})
    return dataset


def problems(dataset: Dataset) -> list[str]:
    """Why a Dataset cannot be written and read back without loss; nothing where it can."""
    found = []
    for name, variable in dataset.variables.items():
        kind = variable.dtype.kind
        text = kind == "O" and all(isinstance(value, str) for value in variable.values.ravel())
        if kind not in NUMBERS + TEXT and not text:
            found.append(f"{name} holds other values than numbers or strings")
        elif variable.dtype.str[1:] in ("f2", "f16", "c32", "c4"):
            found.append(f"{name} is {variable.dtype}, which netCDF has not: use float64")
        if kind == "c" and {f"{name}_real", f"{name}_imag"} & set(map(str, dataset.variables)):
            found.append(f"{name} is complex and would be stored as {name}_real, which exists")
        found += _bad_name(name, name in dataset.coords and name not in dataset.dims)
        found += [words for dim in variable.dims for words in _bad_name(dim, False)]
        if " since " in str(variable.attrs.get("units", "")):
            found.append(
                f"{name} has units {variable.attrs['units']!r}, which readers turn into dates: "
                "give it another unit"
            )
        found += _bad_attributes(str(name), variable.attrs)
    return list(dict.fromkeys(found + _bad_attributes("the Dataset", dataset.attrs)))


def _bad_name(name: Hashable, coordinate: bool) -> list[str]:
    if not isinstance(name, str) or not name or "/" in name or "\0" in name:
        return [f"{name!r} is no name of a variable or dim: use a string without '/'"]
    if coordinate and " " in name:
        return [f"the coordinate {name!r} must have no space in its name"]
    return []


def _bad_attributes(owner: str, attrs: Mapping) -> list[str]:
    found = []
    for key, value in attrs.items():
        if key in RESERVED:
            found.append(
                f"{owner} has an attribute {key}, by which readers change it: leave it out"
            )
        elif not isinstance(key, str) or not _storable(value):
            found.append(
                f"the attribute {key!r} of {owner} is a {type(value).__name__}: it must be a "
                "string, a number, or a list of these"
            )
    return found


def _storable(value: Any) -> bool:
    import numpy as np

    if isinstance(value, str):
        return "\0" not in value and _encodable(value)
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, (float, np.number)):
        return not isinstance(value, np.complexfloating)
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iuf" and value.size > 1
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        return (
            bool(kinds) and (kinds <= {int, float} or kinds == {str}) and all(map(_storable, value))
        )
    return False


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
