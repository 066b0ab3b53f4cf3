"""Combine the points of a grid into one Dataset, whose first dims are the axes of the grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .parameters import Plan
from .question import Question, unit_and_name

if TYPE_CHECKING:
    from xarray import Dataset, Variable

POINT_DIM = "point of the grid"  # a name that no measure uses by chance


def check_point(dataset: Any, axes: Sequence[str]) -> Dataset:
    """The Dataset of one point without the coordinates of the grid; an error where names clash or
    values cannot be stored."""
    import xarray as xr

    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"measure returned a {type(dataset).__name__}: it must return an xarray.Dataset"
        )
    clash = [
        name for name in (*axes, "status") if name in dataset.dims or name in dataset.data_vars
    ]
    if clash:
        raise ValueError(
            f"measure returned {', '.join(clash)}, which the grid adds: leave it out "
            "or give it another name"
        )
    strange = [
        name for name, variable in dataset.variables.items() if variable.dtype.kind not in "biufcUT"
    ]
    if strange:
        raise TypeError(
            f"measure returned {', '.join(map(str, strange))} with other values than "
            "numbers or strings"
        )
    return dataset.drop_vars([name for name in axes if name in dataset.coords])


def not_finite(dataset: Dataset) -> list[str]:
    """Names of the variables that hold NaN or infinity."""
    import numpy as np

    return [
        str(name)
        for name, v in dataset.data_vars.items()
        if v.dtype.kind in "fc" and not np.isfinite(v.values).all()
    ]


def combine(
    plan: Plan, points: Mapping[int, Dataset], errors: Mapping[int, str], units: Mapping
) -> Dataset:
    """One Dataset over the grid. A failed point is NaN (an empty string); where points differ in a
    coordinate, its union is taken.

    The variable ``status`` of each point is ``done``, ``not finite: VARIABLES`` or
    ``failed: ERROR``.
    """
    import numpy as np
    import xarray as xr

    shape = tuple(len(values) for values in plan.grid.values())
    status = [
        "failed: " + errors[i] if i in errors else _status(points[i]) for i in range(len(plan))
    ]
    combined = _stack(points, plan, shape) if points else xr.Dataset()
    combined["status"] = (
        tuple(plan.grid),
        np.array(status).reshape(shape),
        {"units": "1", "long_name": "what became of the point"},
    )
    labels = {name: unit_and_name(name, units.get(name, "1")) for name in plan.grid}
    return combined.assign_coords(
        {
            name: (name, values, dict(zip(("units", "long_name"), labels[name], strict=True)))
            for name, values in plan.grid.items()
        }
    )


def _status(dataset: Dataset) -> str:
    names = not_finite(dataset)
    return f"not finite: {', '.join(names)}" if names else "done"


def _stack(points: Mapping[int, Dataset], plan: Plan, shape: tuple[int, ...]) -> Dataset:
    import xarray as xr

    order = sorted(points)
    missing = len(order) < len(plan)
    # a missing bool has no value of its own: 1.0, 0.0 and NaN
    pieces = [_bools_as_floats(points[i]) if missing else points[i] for i in order]
    try:
        stacked = xr.concat(
            pieces,
            POINT_DIM,
            data_vars="all",
            coords="different",
            compat="equals",
            join="outer",
            combine_attrs="drop_conflicts",
        )
    except xr.AlignmentError as error:
        raise ValueError(
            f"the points do not fit together ({error}): give a dim whose length "
            "differs a coordinate, by which it is aligned"
        ) from error
    if missing:
        text = {name: "" for name, v in stacked.variables.items() if v.dtype.kind in "UTO"}
        holes = {name: text.get(name, float("nan")) for name in stacked.variables}
        stacked = (
            stacked.assign_coords({POINT_DIM: order})
            .reindex({POINT_DIM: range(len(plan))}, fill_value=holes)
            .drop_vars(POINT_DIM)
        )
    return xr.Dataset(
        {
            name: _unfold(v.variable, tuple(plan.grid), shape)
            for name, v in stacked.data_vars.items()
        },
        {name: _unfold(v.variable, tuple(plan.grid), shape) for name, v in stacked.coords.items()},
        {key: stacked.attrs[key] for key in ("source",) if key in stacked.attrs},
    )


def _bools_as_floats(dataset: Dataset) -> Dataset:
    return dataset.map(lambda v: v.astype(float) if v.dtype.kind == "b" else v, keep_attrs=True)


def _unfold(variable: Variable, axes: tuple[str, ...], shape: tuple[int, ...]) -> Variable:
    """Replace the dim of the points by the axes of the grid."""
    import xarray as xr

    if POINT_DIM not in variable.dims:
        return variable
    rest = tuple(dim for dim in variable.dims if dim != POINT_DIM)
    ordered = variable.transpose(POINT_DIM, *rest)
    return xr.Variable(
        axes + rest, ordered.values.reshape(shape + ordered.shape[1:]), variable.attrs
    )


def add_provenance(
    dataset: Dataset, study: Question, configuration: Mapping, finish: str
) -> Dataset:
    """The combined Dataset with its title, source, seeds and provenance; no date, so that equal
    runs give equal bytes."""
    parameters = {**configuration["grid"], **configuration["settings"]}
    seeds = parameters.get("seed", [])
    attributes = {
        "title": f"{study.name}: {study.question}",
        "question": study.question,
        "source": study.source or dataset.attrs.get("source", "this study"),
        "parameters": json.dumps(parameters, sort_keys=True),
        "seed": json.dumps(seeds if isinstance(seeds, list) else [seeds]),
        "threads": 1,
        "dynmem_version": configuration["versions"]["dynmem"],
        "versions": json.dumps(configuration["versions"]),
        "configuration": json.dumps(
            {**configuration, "code": {**configuration["code"], "finish": finish}}
        ),
    }
    return dataset.assign_attrs(
        {
            **{key: value for key, value in dataset.attrs.items() if key not in attributes},
            **attributes,
        }
    )
