"""Orbits as data for forecasts: values of a part, scales, and units of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.splits import part
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import is_real, public
from ..typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

ROUNDING = 1e-9  # share of its size below which a change is rounding


def inputs_and_increments(y: ArrayLike, known: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs z (..., T-1, k) of values y (..., T, k) under known scales, and the increments that
    follow them, in units of the gain."""
    z = (np.asarray(y, float) - known["mean"]) / known["scale"]
    return z[..., :-1, :], (z[..., 1:, :] - z[..., :-1, :]) / known["gain"]


def scales(data: Dataset) -> dict[str, Any]:
    """Mean, scale and gain of each component in the training part of an orbit, and the time of a
    step: what a ``Forecaster`` takes besides a model.

    The gain of a component that moves evenly, such as a phase, is its increment. Raises ValueError
    where one is constant, NotFiniteError where one is missing.
    """
    parts = stretches(data, "train")
    y = np.concatenate(parts)
    if not np.isfinite(y).all():
        raise NotFiniteError(
            "the training part of the orbit holds NaN or infinity: leave out or "
            "fill what is missing"
        )
    spread = y.std(0)
    if (still := ~(spread > ROUNDING * np.abs(y).max(0))).any():
        names = [str(name) for name in as_orbit(data).state.values[still]]
        raise ValueError(
            f"{', '.join(names[:6])}{' ...' if names[6:] else ''} of the training "
            "part is constant, so that there is nothing to "
            "forecast: leave it out, data.sel(state=[...]), or load another orbit"
        )
    moved = np.concatenate([np.diff((each - y.mean(0)) / spread, axis=0) for each in parts])
    usual, varied = np.sqrt(np.mean(np.square(moved), axis=0)), moved.std(0)
    return {
        "mean": y.mean(0),
        "scale": spread,
        "gain": np.where(varied > ROUNDING * usual, varied, usual),
        "dt": float(data.attrs["sampling_step"]),
    }


def values(data: Dataset, name: str) -> np.ndarray:
    """The orbit (samples, components) of one part of a dataset. Raises ShapeError for several."""
    found = stretches(data, name)
    if len(found) > 1:
        raise ShapeError(
            f"the {name} part holds {len(found)} series, and this takes one: choose it, "
            "data.isel(time=data.series_index == 0), of a dataset with split='time'"
        )
    return found[0]


def stretches(data: Dataset, name: str) -> list[np.ndarray]:
    """Orbits (samples, components) of one part of a dataset, one for each series in it."""
    found = part(as_orbit(data), name)
    x = found.x.values
    if "series_index" not in found.coords:
        return [x]
    return np.split(x, np.flatnonzero(np.diff(found.series_index.values)) + 1)


def as_orbit(data: Dataset) -> Dataset:
    """A dataset with x(time, state): itself, or positions and velocities (time, body, axis) side by
    side. Raises ShapeError for any other."""
    if hasattr(data, "data_vars") and "sampling_step" in data.attrs:
        if "x" in data and data.x.dims == ("time", "state"):
            return data
        if {"position", "velocity"} <= set(
            data.data_vars
        ) and data.position.dims == data.velocity.dims == ("time", "body", "axis"):
            both = np.concatenate(
                [
                    data[name].values.reshape(data.sizes["time"], -1)
                    for name in ("position", "velocity")
                ],
                axis=1,
            )
            names = [
                f"{what}{axis} of {body}"
                for what in ("", "d")
                for body in data.body.values
                for axis in data.axis.values
            ]
            return data.assign(x=(("time", "state"), both)).assign_coords(state=names)
    raise ShapeError(
        "a forecast needs x(time, state) with its sampling_step: make a Dataset of your own series "
        "(dm.datasets.from_series), or load an orbit (dm.datasets.load), of one parameter "
        f"(data.isel(parameter=0) of several), got {_what(data)}"
    )


def _what(data):
    return (
        f"a Dataset of {', '.join(map(str, data.data_vars)) or 'nothing'}"
        if hasattr(data, "data_vars")
        else type(data).__name__
    )


def time_unit(data: Dataset) -> float:
    """The Lyapunov time of a dataset, else its own time: the unit of valid times."""
    for name in ("lyapunov_time", "characteristic_time"):
        unit: Any = data.attrs.get(name)
        if is_real(unit) and np.isfinite(unit) and unit > 0:
            return float(unit)
    raise ValueError(
        "the dataset has neither a lyapunov_time nor a characteristic_time, the unit of "
        "valid times: set "
        "data.attrs['characteristic_time'], a number in the unit of sampling_step"
    )


@public
def forcing_interval(data: Dataset) -> int:
    """Steps between two corrections of a forecast in training: ln 2/lambda_1, when errors double.

    Parameters
    ----------
    data : xarray.Dataset
        An orbit x(time, state) with its sampling_step and lyapunov_time.

    Returns
    -------
    int
        Steps, at least 1.

    Raises
    ------
    ValueError
        For a dataset without a Lyapunov time.
    ShapeError
        For what is not an orbit.

    References
    ----------
    Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.training.forcing_interval(dm.datasets.load("lorenz63", samples=1000))
    35
    """
    as_orbit(data)
    if "lyapunov_time" not in data.attrs:
        raise ValueError(
            "the dataset has no Lyapunov time, so that errors do not double: pass "
            "forcing, a number of steps"
        )
    steps = np.log(2.0) * data.attrs["lyapunov_time"] / data.attrs["sampling_step"]
    return max(1, round(float(steps)))
