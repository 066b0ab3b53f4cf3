"""Combine the points of a grid into one Dataset, whose first dims are the axes of the grid, point
by point: the points are never in memory together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from ..runtime import netcdf
from ..runtime.netcdf import Slab, Spec
from .encoding import PointFile, attribute
from .parameters import Plan, unit_and_name

if TYPE_CHECKING:
    import numpy as np

FILL_ROWS = 2**20  # bytes of NaN that are written at a time


@dataclass
class Survey:
    """What the points of a grid hold, before their numbers are read.

    What most points agree on is the form of the Dataset: the dims, units and kind of each variable,
    and the length of each dim that has no coordinate. A point that differs is marked, and is NaN.

    Parameters
    ----------
    plan : Plan
        The grid.
    """

    plan: Plan
    forms: dict[tuple, int] = field(default_factory=dict)  # form of a point: its number
    of_point: dict[int, int] = field(default_factory=dict)  # point: number of its form
    not_finite: dict[int, list[str]] = field(default_factory=dict)
    # attributes of the Dataset (None) and of each variable on which the points of a form agree
    attrs: dict[int, dict[str | None, dict[str, Any]]] = field(default_factory=dict)
    # coordinates and text: their different values, and which of them a point has
    distinct: dict[str, dict[bytes, np.ndarray]] = field(default_factory=dict)
    held: dict[str, dict[int, bytes]] = field(default_factory=dict)
    marks: dict[bytes, bytes] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)

    def add(self, index: int, point: PointFile) -> None:
        """Take a point into account."""
        form = tuple(_form(row) for row in point.header["variables"])
        number = self.of_point[index] = self.forms.setdefault(form, len(self.forms))
        attrs = self.attrs.setdefault(number, {})
        if names := point.header["not_finite"]:
            self.not_finite[index] = names
        _merge(attrs, None, point.header["attrs"])
        for name, row in point.rows.items():
            _merge(attrs, name, row["attrs"])
            self.types.setdefault(name, set()).add(row["dtype"])
            if row["coordinate"] or row["dtype"] == "text":
                part = point.small[row["start"] : row["start"] + row["size"]]
                mark = part + repr((row["dtype"], row["shape"])).encode()
                known = self.distinct.setdefault(name, {})
                if mark not in known:
                    known[mark] = point.values(name, point.small)
                mark = self.marks.setdefault(mark, mark)  # equal ones once in memory
                self.held.setdefault(name, {})[index] = mark

    def agreed(self, name: str | None, forms: Iterable[int]) -> dict[str, Any]:
        """Attributes of a variable, or of the Dataset, on which points of these forms agree."""
        merged: dict[str | None, dict[str, Any]] = {}
        for form in forms:
            if name in self.attrs[form]:
                _merge(merged, name, self.attrs[form][name])
        found = merged.get(name, {})
        return {key: attribute(value) for key, value in found.items() if value is not None}


def _merge(merged: dict, name: str | None, attrs: Mapping[str, Any]) -> None:
    """Add attributes to those that are known; one that differs becomes None."""
    known = merged.setdefault(name, dict(attrs))
    if known != attrs:
        for key, value in attrs.items():
            if known.setdefault(key, value) != value:
                known[key] = None


def _form(row: Mapping[str, Any]) -> tuple:
    kind = "text" if row["dtype"] == "text" else "number"
    signature = (kind, tuple(row["dims"]), str(row["attrs"].get("units")), row["coordinate"])
    return (row["name"], signature, tuple(row["shape"]))


class Layout:
    """The combined Dataset: which points fit, the shape of each variable, and where it is written.

    Parameters
    ----------
    survey : Survey
        All points that were measured.
    errors : mapping of int to str
        Errors of those that failed.
    units : mapping
        Units and long names of the axes.
    """

    def __init__(self, survey: Survey, errors: Mapping[int, str], units: Mapping) -> None:
        self.survey, self.plan, self.axes = survey, survey.plan, tuple(survey.plan.grid)
        self.errors = dict(errors)
        self._find_form()
        reasons = [self._misfit(form) for form in survey.forms]
        for index, form in survey.of_point.items():
            if reasons[form]:
                self.errors[index] = f"does not fit: {reasons[form]}"
        self.fitting = [i for i in sorted(survey.of_point) if i not in self.errors]
        self.labels: dict[str, np.ndarray] = {}
        self.places: dict[tuple[str, bytes], Any] = {}
        for dim in [name for name in self.signatures if self._is_index(name)]:
            self._join(dim)
        self.fitting = [i for i in self.fitting if i not in self.errors]
        self.forms = sorted({survey.of_point[index] for index in self.fitting})
        self.specs = self._specs(units)

    # ---- the form on which most points agree

    def _find_form(self) -> None:
        counts = Counter(self.survey.of_point.values())
        votes: dict[str, Counter] = {}
        sizes: dict[str, Counter] = {}
        for form, number in self.survey.forms.items():
            for name, signature, shape in form:
                votes.setdefault(name, Counter())[signature] += counts[number]
                for dim, size in zip(signature[1], shape, strict=True):
                    sizes.setdefault(dim, Counter())[size] += counts[number]
        self.signatures = {name: found.most_common(1)[0][0] for name, found in votes.items()}
        self.sizes = {dim: found.most_common(1)[0][0] for dim, found in sizes.items()}

    def _is_index(self, name: str) -> bool:
        _, dims, _, coordinate = self.signatures[name]
        return coordinate and dims == (name,)

    def _misfit(self, form: Sequence) -> str:
        """Why points of this form do not fit; empty where they do."""
        present = {name for name, _, _ in form}
        for name, signature, shape in form:
            usual = self.signatures[name]
            for what, one, most in zip(
                ("values of kind", "dims", "units", "coordinate"), signature, usual, strict=True
            ):
                if one != most:
                    return f"{name} has {what} {one}, where most points have {most}"
            for dim, size in zip(signature[1], shape, strict=True):
                index = dim in self.signatures and self._is_index(dim)
                if index and dim not in present:
                    return f"dim {dim} has no coordinate, where most points have one"
                if not index and size != self.sizes[dim]:
                    return (
                        f"dim {dim} has {size} entries, where most points have {self.sizes[dim]}: "
                        "give it a coordinate, by which points are aligned"
                    )
        return ""

    def _join(self, dim: str) -> None:
        """Labels of a dim: those of all points, sorted where they differ."""
        import numpy as np

        held, distinct = self.survey.held[dim], self.survey.distinct[dim]
        marks = dict.fromkeys(held[index] for index in self.fitting if index in held)
        if len(marks) > 1:
            twice = {mark for mark in marks if len(np.unique(distinct[mark])) < len(distinct[mark])}
            for index in self.fitting:
                if held.get(index) in twice:
                    self.errors[index] = f"does not fit: coordinate {dim} holds a value twice"
            marks = {mark: None for mark in marks if mark not in twice}
        labels = [distinct[mark] for mark in marks]
        if not labels:
            return
        joined = labels[0] if len(labels) == 1 else np.unique(np.concatenate(labels))
        self.labels[dim] = joined
        for mark, values in zip(marks, labels, strict=True):
            same = len(values) == len(joined) and (values == joined).all()
            self.places[dim, mark] = None if same else np.searchsorted(joined, values)

    # ---- variables of the combined Dataset

    def _specs(self, units: Mapping) -> dict[str, Spec]:
        import numpy as np

        specs = {}
        for axis, values in self.plan.grid.items():
            unit, long_name = unit_and_name(axis, units.get(axis, "1"))
            attrs = {"units": unit, "long_name": long_name}
            array = np.array(values)
            specs[axis] = Spec((axis,), array.shape, array.dtype, attrs, array)
        self.coordinates = [*self.axes]
        for name, (kind, dims, _, coordinate) in self.signatures.items():
            if not any(index in self.survey.held.get(name, {}) for index in self.fitting) and (
                kind == "text" or coordinate
            ):
                continue  # of points that do not fit
            if coordinate:
                self.coordinates.append(name)
            attrs = self.survey.agreed(name, self.forms)
            if name in self.labels:
                labels = self.labels[name]
                specs[name] = Spec(dims, labels.shape, labels.dtype, attrs, labels)
            elif kind == "text" or coordinate:
                specs[name] = self._in_memory(name, dims, kind, coordinate, attrs)
            elif self.fitting:
                shape = self.plan.shape + self._shape(dims)
                specs[name] = Spec(self.axes + dims, shape, self._dtype(name, dims), attrs)
        status = np.array([self._status(i) for i in range(len(self.plan))], object)
        attrs = {"units": "1", "long_name": "what became of the point"}
        shape = self.plan.shape
        specs["status"] = Spec(self.axes, shape, np.dtype(str), attrs, status.reshape(shape))
        return specs

    def _shape(self, dims: Iterable[str]) -> tuple[int, ...]:
        return tuple(
            len(self.labels[dim]) if dim in self.labels else self.sizes[dim] for dim in dims
        )

    def _status(self, index: int) -> str:
        if index in self.errors:
            return f"failed: {self.errors[index]}"
        names = self.survey.not_finite.get(index)
        return f"not finite: {', '.join(names)}" if names else "done"

    def _aligned(self, dims: Iterable[str]) -> bool:
        """Whether every point has all labels of these dims."""
        return not any(place is not None for (dim, _), place in self.places.items() if dim in dims)

    def _dtype(self, name: str, dims: Sequence[str]) -> np.dtype:
        """Type of a variable; where numbers are missing one that has NaN."""
        import numpy as np

        dtype = np.result_type(*(np.dtype(text) for text in self.survey.types[name] - {"text"}))
        lacking = {
            number
            for form, number in self.survey.forms.items()
            if name not in {row[0] for row in form}
        }
        missing = len(self.fitting) < len(self.plan) or any(
            self.survey.of_point[index] in lacking for index in self.fitting
        )
        if dtype.kind in "biu" and (missing or not self._aligned(dims)):
            return np.dtype(float)
        return dtype

    def _in_memory(
        self, name: str, dims: tuple[str, ...], kind: str, coordinate: bool, attrs: Mapping
    ) -> Spec:
        """Text, or a coordinate that is no label of its dim: without the axes where all points
        agree."""
        import numpy as np

        held, distinct = self.survey.held[name], self.survey.distinct[name]
        marks = {held.get(index, b"") for index in self.fitting}
        if coordinate and len(marks) == 1 and b"" not in marks and self._aligned(dims):
            values = distinct[marks.pop()]
            return Spec(dims, values.shape, values.dtype, attrs, values)
        inner = self._shape(dims)
        dtype = np.dtype(object) if kind == "text" else self._dtype(name, dims)
        array = np.full((len(self.plan), *inner), "" if kind == "text" else np.nan, dtype)
        for index in self.fitting:
            if index in held:
                array[(index, *self._where(index, dims))] = distinct[held[index]]
        array = array.reshape(self.plan.shape + inner)
        final = np.dtype(str) if kind == "text" else dtype
        return Spec(self.axes + dims, array.shape, final, attrs, array)

    def _where(self, index: int, dims: Sequence[str]) -> tuple:
        """Where the values of a point lie among all labels; an Ellipsis for everywhere."""
        import numpy as np

        places = [
            self.places.get((dim, self.survey.held.get(dim, {}).get(index, b""))) for dim in dims
        ]
        if all(place is None for place in places):
            return (...,)
        full = zip(places, self._shape(dims), strict=True)
        return np.ix_(*(np.arange(size) if place is None else place for place, size in full))

    # ---- the file

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in self.specs.values())

    def write(self, file: BinaryIO, attrs: Mapping[str, Any], points: Any) -> None:
        """Write the netCDF-4 file; ``points(index)`` opens the file of a point."""
        extra = " ".join(sorted({*self.coordinates} - {*self.axes, *self.labels}))
        attrs = {**attrs, **({"coordinates": extra} if extra else {})}
        specs = {
            part: spec
            for name, whole in self.specs.items()
            for part, spec in netcdf.stored(name, whole).items()
        }
        slabs = netcdf.create(file, specs, attrs)
        targets = {
            name: spec
            for name, spec in self.specs.items()
            if spec.values is None and 0 not in spec.shape
        }
        for name, spec in targets.items():
            if len(self.fitting) < len(self.plan):
                _fill(file, slabs, name, spec)
        for index in self.fitting:
            point = points(index)
            data = point.data()
            for name, spec in targets.items():
                self._write_point(file, slabs, name, spec, index, point, data)

    def _write_point(
        self,
        file: BinaryIO,
        slabs: Mapping[str, Slab],
        name: str,
        spec: Spec,
        index: int,
        point: PointFile,
        data: bytes,
    ) -> None:
        import numpy as np

        inner = spec.shape[len(self.axes) :]
        dims = spec.dims[len(self.axes) :]
        where = self._where(index, dims)
        values = point.values(name, data) if name in point.rows else None
        if values is None or where[0] is not ...:
            array = np.full(inner, np.nan, spec.dtype)
            if values is not None:
                array[where] = values
            values = array
        for part, piece in netcdf.parts(name, values.astype(spec.dtype, copy=False)).items():
            slabs[part].write(file, index * math.prod(inner), piece)


def _fill(file: BinaryIO, slabs: Mapping[str, Slab], name: str, spec: Spec) -> None:
    """Fill a variable with NaN."""
    import numpy as np

    rows = FILL_ROWS // spec.dtype.itemsize
    total = math.prod(spec.shape)
    for start in range(0, total, rows):
        block = np.full(min(rows, total - start), np.nan, spec.dtype)
        for part, piece in netcdf.parts(name, block).items():
            slabs[part].write(file, start, piece)
