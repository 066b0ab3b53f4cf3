"""Series of a pandas DataFrame."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError, UnknownNameError
from .tables import TIME_NAMES, Series, Table, is_number, label

if TYPE_CHECKING:
    from pandas import DataFrame

UNNAMED_INDEX = "Unnamed: 0"  # as pandas calls the index that its to_csv has written


def from_frame(data: Any, columns: Any, time: str | None, group: str | None) -> Table:
    """Series of a DataFrame: numeric columns, in the order of the rows."""
    import pandas as pd

    frame = data.to_frame(_given_name(data)) if data.ndim == 1 else data
    if isinstance(frame.index, pd.MultiIndex):
        raise ShapeError(
            "the DataFrame has an index of several levels: pass frame.reset_index(), and the name "
            "of the level that tells series apart as group="
        )
    names = [label("column", name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two columns are called {', '.join(twice)}: rename one of them")
    frame = frame.set_axis(names, axis=1)
    time_name = _time_column(frame, time, columns, group)
    for name in (group, *(columns or ())):
        if name is not None and name not in names:
            raise UnknownNameError("column", str(name), names)
    kept = list(columns or [name for name in names if name not in (time_name, group)])
    if not kept or not len(frame):
        raise ShapeError(
            f"the table has {len(frame)} rows and {len(kept)} columns of values: pass at least one "
            "column, and a row for each sample"
        )
    values = np.stack([_column(frame[name]) for name in kept], axis=1)
    times = _times(frame, time_name)
    found = _grouped(frame, group, values, times)
    return Table(found, kept, "pandas", {}, time_name or "time")


def _given_name(series: Any) -> str:
    return "x" if series.name is None else str(series.name)


def _time_column(frame: DataFrame, time: Any, columns: Any, group: Any) -> str | None:
    """Name of the column that holds times: the one that is named, else one of a usual name."""
    names = list(frame.columns)
    if time is not None:
        if time not in names and time != frame.index.name:
            raise UnknownNameError("column", str(time), names)
        return time
    taken = {*(columns or ()), group}
    usual = [name for name in names if name.strip().lower() in TIME_NAMES and name not in taken]
    if names[:1] == [UNNAMED_INDEX] and not taken & {UNNAMED_INDEX}:
        usual.append(UNNAMED_INDEX)
    if usual:
        return str(usual[0])
    dated = [name for name in names if frame[name].dtype.kind == "M" and name not in taken]
    return str(dated[0]) if dated else None


def _times(frame: DataFrame, name: str | None) -> np.ndarray | None:
    """Times of the rows, numbers or datetime64; None where the table has none."""
    import pandas as pd

    if name is not None and name in frame.columns:
        found = frame[name]
        if found.dtype.kind in "biufM":
            return _plain_times(pd.Index(found))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a guess at the format
                return _plain_times(pd.DatetimeIndex(pd.to_datetime(found, utc=True)))
        except (ValueError, TypeError, OverflowError, UserWarning) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"the column {name!r} is no time ({reason:.100}): pass the name of another one as "
                "time=, or convert it, pandas.to_datetime(frame[name], format=...)"
            ) from None
    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        return _plain_times(index)
    numeric = index.dtype.kind in "iuf" and not isinstance(index, pd.RangeIndex)
    return _plain_times(index) if numeric and index.name is not None else None


def _plain_times(index: Any) -> np.ndarray:
    """Times as floats, or as datetime64 in UTC; durations in seconds."""
    if getattr(index, "tz", None) is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    values = index.to_numpy()
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "s")
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]")
    return values.astype(float)


def _column(column: Any) -> np.ndarray:
    """Numbers of one column, NaN where one is missing."""
    if column.dtype.kind in "biuf":
        return column.to_numpy(float, na_value=np.nan)
    text = column.dropna().astype(str)
    odd = text[[not is_number(value) for value in text]]
    shown = f", such as {odd.iloc[0]!r:.40} in row {odd.index[0]}" if len(odd) else ""
    comma = ", for decimal commas pandas.read_csv(path, decimal=',')" if "," in shown[11:] else ""
    raise TypeError(
        f"the column {column.name!r} holds {column.dtype}{shown}: pass the names of the columns of "
        "numbers as columns=[...], time= for that of the times, group= for one that tells series "
        f"apart, or convert it, pandas.to_numeric(column){comma}"
    )


def _grouped(
    frame: DataFrame, group: str | None, values: np.ndarray, times: np.ndarray | None
) -> list[Series]:
    """One series, or one for each value of the column ``group``."""
    if group is None:
        return [Series(values, times)]
    if frame[group].isna().any():
        raise ValueError(
            f"the column {group!r} is empty in {int(frame[group].isna().sum())} rows: drop those, "
            f"frame.dropna(subset=[{group!r}])"
        )
    codes = frame.groupby(group, sort=True, observed=True).indices
    return [
        Series(values[rows], None if times is None else times[rows], label("series", name))
        for name, rows in codes.items()
    ]
