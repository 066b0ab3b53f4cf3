"""A user's own series as a Dataset to forecast: from arrays, pandas, xarray, CSV and netCDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..labels import dataset
from ..runtime.validation import all_errors, choice, integer, number, public
from .floors import forecast_floor
from .splits import MEANINGS, PARTS, check_shares, in_time, whole_groups
from .table_sources import read_table
from .tables import Table, check_values, label
from .time_steps import time_step

if TYPE_CHECKING:
    from xarray import Dataset

LEAST_SAMPLES = 23  # of a part: a forecast reads 20 steps and is scored on those that follow
LEAST_SERIES_TO_DIVIDE = 3  # whole: one for each part
SPLITS = ("time", "series")
ROUNDING = 1e-9  # share of its size below which a change of a column is rounding
MAX_GAP_SHARE = 0.05  # of a series, that a gap takes by default


@public
def from_series(
    data: Any,
    *,
    dt: float | None = None,
    units: str | Mapping[str, str] | None = None,
    time_units: str | None = None,
    columns: str | Sequence[str] | None = None,
    time: str | None = None,
    group: str | None = None,
    split: str | None = None,
    train: float = 0.7,
    validation: float = 0.15,
    gap: int | None = None,
    title: str = "",
    source: str = "given by the caller",
) -> Dataset:
    """Your own series as a Dataset to forecast, like the orbits of ``load``.

    Parameters
    ----------
    data : array_like, pandas.DataFrame, xarray.DataArray or path
        Numbers (time,) or (time, columns); a list of such arrays, or an array (series, time,
        columns), for several series; a pandas Series or DataFrame; a DataArray or Dataset with a
        dim of time; the path of a CSV or netCDF file.
    dt : float, optional
        Time between two samples; None: by the times of the data, else 1.
    units : str or dict, optional
        Unit of all columns, or of each by name; None: those that the data state, else "1".
    time_units : str, optional
        Unit of time; None: by the times of the data, else "step".
    columns : str or sequence of str, optional
        Names of the columns to forecast; None: all but those of the times and the groups.
    time : str, optional
        Column, or dim, of the times; None: one called time, t, date, datetime or timestamp, or an
        index of dates.
    group : str, optional
        Column, or dim, that tells several series apart.
    split : {"time", "series"}, optional
        Whether each series is divided in time or whole series are held out; None: whole ones from
        three on.
    train, validation : float
        Shares of the samples, or of the series; the rest is the test.
    gap : int, optional
        Samples between the parts, which belong to none; None: the lag at which the autocorrelation
        falls to 1/e, at most a twentieth of the series.
    title, source : str
        Phrase for titles, and reference.

    Returns
    -------
    xarray.Dataset
        x : (time, state), units
            The columns as they came, one series after another.
        mean : (state), units
            Mean of the training part, by which a forecast is standardised.
        scale : (state), units
            Standard deviation of the training part.

        Coordinates: split(time), the part of each sample, and, of several series,
        series_index(time) and their names, series. The attributes hold goal ("forecast"),
        sampling_step, characteristic_time (at which the autocorrelation falls to 1/e), and floor,
        the error of the next value that the present one leaves (better of persistence and a
        quadratic regression). No window crosses the border of a part or of a series.

    Raises
    ------
    ValueError
        For times that are uneven, repeated or in disorder, constant columns and series that are
        too short, with what to do.
    NotFiniteError
        For missing values, with what fills them.
    TypeError
        For columns of text.
    DamageError
        For a file that cannot be read.

    References
    ----------
    Hyndman and Athanasopoulos (2021), Forecasting, sec. 5.2, for persistence as what to beat.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = np.sin(np.arange(1000.0)) + 0.1 * np.random.default_rng(0).standard_normal(1000)
    >>> data = dm.datasets.from_series(x, dt=0.1, units="mV", time_units="s")
    >>> data.x.dims, data.attrs["sampling_step"], round(data.attrs["floor"], 1)
    (('time', 'state'), 0.1, 0.8)
    >>> forecaster, history = dm.fit("gru", data, units=8, steps=60, learning_rate=1e-2)
    >>> bool(history.test_loss < 0.1)  # of the mean square of an increment
    True
    """
    with all_errors() as check:
        if dt is not None:
            dt = check(number, "dt", dt, above=0)
        if gap is not None:
            gap = check(integer, "gap", gap, 0)
        if split is not None:
            check(choice, "split", split, SPLITS)
        check(check_shares, train, validation)
    table = read_table(data, columns, time, group)
    check_values(table)
    step, unit = _step(table, dt, time_units)
    marks = _marks(table, split, train, validation, gap)
    trained = _stretches(table, marks, "train")
    if columns is None:
        _refuse_clocks(table)
    _check_parts(table, marks, trained)
    apart = np.concatenate(trained)
    mean, scale = apart.mean(0), apart.std(0)
    return _labelled(
        table,
        step,
        unit,
        marks,
        _units(table, units),
        mean,
        scale,
        title=title or table.title or "series given by the caller",
        source=source,
        goal="forecast",
        sampling_step=step,
        characteristic_time=step * max(1, max(map(_memory, trained))),
        law="not known",
        licence="of whoever gave it",
        **forecast_floor(trained, _stretches(table, marks, "test"), scale),
    )


def _step(table: Table, dt: float | None, time_units: str | None) -> tuple[float, str]:
    """Time between two samples, the same in all series, and its unit."""
    found = [time_step(series, table) for series in table.series]
    steps = np.array([step for step, _ in found])
    if np.ptp(steps) > 1e-3 * steps.min() or len({unit for _, unit in found}) > 1:
        raise ValueError(
            f"the series have different steps, from {steps.min():g} to {steps.max():g}: resample "
            "them to one"
        )
    step, unit = found[0]
    timed = table.series[0].time is not None
    if dt is not None and timed and time_units in (None, unit) and abs(dt - step) > 0.01 * step:
        given = f"{step:g} {unit}" if unit else f"{step:g}"
        raise ValueError(
            f"dt = {dt:g}, and the times in {table.time_name!r} are {given} apart: pass one of the "
            "two, or another unit as time_units"
        )
    named = "time unit" if dt is not None or timed else "step"
    return (step if dt is None else dt), label("unit", time_units or unit or named)


def _units(table: Table, units: str | Mapping[str, str] | None) -> list[str]:
    """Unit of each column."""
    if isinstance(units, Mapping):
        if unknown := [str(name) for name in units if name not in table.columns]:
            raise ValueError(
                f"units names {', '.join(unknown)}, the columns are {', '.join(table.columns)}"
            )
        return [
            label("unit", units.get(name, table.units.get(name, "1"))) for name in table.columns
        ]
    return [label("unit", units or table.units.get(name, "1")) for name in table.columns]


def _marks(
    table: Table, split: str | None, train: float, validation: float, gap: int | None
) -> list[np.ndarray]:
    """Part of each sample of each series."""
    count = len(table.series)
    if split == "series" and count < LEAST_SERIES_TO_DIVIDE:
        raise ValueError(
            f"{count} series cannot be trained on, validated and tested: pass more, or split='time'"
        )
    lengths = [len(series.values) for series in table.series]
    if split == "time" or (split is None and count < LEAST_SERIES_TO_DIVIDE):
        return [
            in_time(
                length,
                train=train,
                validation=validation,
                gap=_gap(series.values, train) if gap is None else gap,
            )
            for length, series in zip(lengths, table.series, strict=True)
        ]
    parts = whole_groups(np.arange(count), train=train, validation=validation, rng=0)
    return [np.full(length, part, np.int8) for length, part in zip(lengths, parts, strict=True)]


def _gap(values: np.ndarray, train: float) -> int:
    """Samples after which the training part has mostly forgotten itself, a small share at most."""
    trained = values[: max(2, round(train * len(values)))]
    return min(_memory(trained), int(MAX_GAP_SHARE * len(values)))


def _memory(values: np.ndarray) -> int:
    """Longest lag of a column at which its autocorrelation falls to 1/e."""
    from ..analysis.series.embedding import decorrelation_lag

    return max(decorrelation_lag(column) for column in values.T)


def _stretches(table: Table, marks: list[np.ndarray], part: str) -> list[np.ndarray]:
    """Samples of a part, series by series."""
    found = [
        series.values[mark == PARTS[part]] for series, mark in zip(table.series, marks, strict=True)
    ]
    return [values for values in found if len(values)]


def _check_parts(table: Table, marks: list[np.ndarray], trained: list[np.ndarray]) -> None:
    """Refuse parts that are too short to forecast in, and columns that do not move."""
    for part in ("train", "validation", "test"):
        shortest = min((len(values) for values in _stretches(table, marks, part)), default=0)
        if shortest < LEAST_SAMPLES:
            lengths = ", ".join(str(len(series.values)) for series in table.series[:6])
            raise ShapeError(
                f"series of {lengths} samples leave {shortest} for the {part} part, and a forecast "
                f"needs at least {LEAST_SAMPLES} (it reads 20 before it is scored): pass longer "
                "series, other shares train and validation, or a smaller gap"
            )
    apart = np.concatenate(trained)
    still = ~(apart.std(0) > ROUNDING * np.abs(apart).max(0))
    if still.any():
        names = ", ".join(np.array(table.columns)[still][:6])
        raise ValueError(
            f"{names}: constant over the training part, so that there is nothing to forecast: "
            "leave it out, columns=[...]"
        )


def _refuse_clocks(table: Table) -> None:
    """Refuse columns that count up evenly where no column was named: they are times or row numbers,
    not values to forecast."""
    for i, name in enumerate(table.columns):
        moved = [np.diff(series.values[:, i]) for series in table.series]
        if all(np.ptp(each) <= ROUNDING * np.abs(each).max() and each[0] > 0 for each in moved):
            raise ValueError(
                f"the column {name!r} counts up evenly, as times or row numbers do: pass its name "
                "as time=, or the names of those to forecast as columns=[...]"
            )


def _labelled(
    table: Table,
    step: float,
    time_unit: str,
    marks: list[np.ndarray],
    units: list[str],
    mean: np.ndarray,
    scale: np.ndarray,
    **facts: Any,
) -> Dataset:
    """Dataset of the series, one after another."""
    lengths = [len(series.values) for series in table.series]
    same = units[0] if len(set(units)) == 1 else "unit of the column"
    rows = {
        "x": (("time", "state"), np.concatenate([s.values for s in table.series]), "value"),
        "mean": ("state", mean, "mean of the training part"),
        "scale": ("state", scale, "standard deviation of the training part"),
    }
    coords = {
        "time": (
            "time",
            np.concatenate([np.arange(length) * step for length in lengths]),
            time_unit,
            "time since the first sample of the series",
        ),
        "state": ("state", table.columns, "1", "column"),
        "split": ("time", np.concatenate(marks), "1", "part that the sample belongs to"),
    }
    if same != units[0]:
        coords["unit"] = ("state", units, "1", "unit of the column")
    if len(lengths) > 1:
        names = [series.name or str(i) for i, series in enumerate(table.series)]
        index = np.repeat(np.arange(len(lengths)), lengths)
        coords |= {
            "series": ("series", names, "1", "name of the series"),
            "series_index": ("time", index, "1", "series that the sample belongs to"),
        }
    made = dataset(
        {name: (dims, values, same, text) for name, (dims, values, text) in rows.items()},
        coords,
        parameters={
            "samples": sum(lengths),
            "series": len(lengths),
            "columns": ", ".join(table.columns),
        },
        size=f"{sum(lengths)} samples in {len(lengths)} series of {len(units)} columns",
        **facts,
    )
    made.split.attrs |= MEANINGS
    times = table.series[0].time
    if times is not None and times.dtype.kind == "M":
        made.attrs["start"] = str(times[0].astype("datetime64[us]"))
    return made
