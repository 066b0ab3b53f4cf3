"""Points of a grid as one Dataset: the axes of the grid become its first dims."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .parameters import Plan

if TYPE_CHECKING:
    from xarray import Dataset

    from .question import Question

POINT = "point of the grid"  # a dim that no measure gives by chance


def check_point(dataset, axes: Sequence[str]) -> "Dataset":
    """The Dataset of one point without what the grid already says; an error where the two would
    clash."""
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


def not_finite(dataset: "Dataset") -> list[str]:
    """Variables that hold NaN or infinity."""
    import numpy as np

    return [
        str(name)
        for name, v in dataset.data_vars.items()
        if v.dtype.kind in "fc" and not np.isfinite(v.values).all()
    ]


def combine(
    plan: Plan, points: Mapping[int, "Dataset"], errors: Mapping[int, str], units: Mapping
) -> "Dataset":
    """One Dataset over the grid. A failed point is NaN (an empty string); where points differ in a
    coordinate, the union of it is taken.

    The variable ``status`` is ``done``, ``not finite: VARIABLES`` or ``failed: ERROR`` for each
    point.
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
    coords = {
        name: (name, values, _label(name, units.get(name, "1")))
        for name, values in plan.grid.items()
    }
    return combined.assign_coords(coords)


def _status(dataset: "Dataset") -> str:
    names = not_finite(dataset)
    return f"not finite: {', '.join(names)}" if names else "done"


def _label(name: str, entry) -> dict[str, str]:
    units, long_name = (entry, name.replace("_", " ")) if isinstance(entry, str) else entry
    return {"units": units, "long_name": long_name}


def _stack(points: Mapping[int, "Dataset"], plan: Plan, shape: tuple[int, ...]) -> "Dataset":
    import xarray as xr

    order = sorted(points)
    missing = len(order) < len(plan)
    # a missing truth value has no bit pattern: 1.0, 0.0 and NaN
    pieces = [_without_bits(points[i]) if missing else points[i] for i in order]
    try:
        stacked = xr.concat(
            pieces,
            POINT,
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
            stacked.assign_coords({POINT: order})
            .reindex({POINT: range(len(plan))}, fill_value=holes)
            .drop_vars(POINT)
        )
    return xr.Dataset(
        {
            name: _unfold(v.variable, tuple(plan.grid), shape)
            for name, v in stacked.data_vars.items()
        },
        {name: _unfold(v.variable, tuple(plan.grid), shape) for name, v in stacked.coords.items()},
        {key: stacked.attrs[key] for key in ("source",) if key in stacked.attrs},
    )


def _without_bits(dataset: "Dataset") -> "Dataset":
    return dataset.map(lambda v: v.astype(float) if v.dtype.kind == "b" else v, keep_attrs=True)


def _unfold(variable, axes: tuple[str, ...], shape: tuple[int, ...]):
    """The dim of the points as the axes of the grid."""
    import xarray as xr

    if POINT not in variable.dims:
        return variable
    rest = tuple(dim for dim in variable.dims if dim != POINT)
    ordered = variable.transpose(POINT, *rest)
    return xr.Variable(
        axes + rest, ordered.values.reshape(shape + ordered.shape[1:]), variable.attrs
    )


def describe(
    dataset: "Dataset", study: "Question", configuration: Mapping, finish: str
) -> "Dataset":
    """The combined Dataset with its title, source, seeds and provenance; it never tells the time,
    so that equal runs are equal bytes."""
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
