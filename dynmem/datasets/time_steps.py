"""Time between the samples of a series, where it is the same throughout."""

from __future__ import annotations

import numpy as np

from ..errors import NotFiniteError
from .tables import Series, Table

MAX_UNEVENNESS = 0.05  # share of a step by which rounding may move a time
UNITS = {"day": 86_400.0, "hour": 3600.0, "minute": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
RESAMPLE = {  # how to come to even steps
    "pandas": "frame.set_index(time).resample('{step}').mean().interpolate()",
    "xarray": "array.interp({time}=even_times)",
    "numpy": "numpy.interp(even_times, t, x)",
}


def time_step(series: Series, table: Table) -> tuple[float, str | None]:
    """Time between two samples and its unit (None: not known), for times that are evenly spaced.
    Raises ValueError with what makes them so."""
    times = series.time
    if times is None or len(times) < 2:
        return 1.0, None
    of = f" of series {series.name}" if len(table.series) > 1 else ""
    where = f"the times{of} in {table.time_name!r}"
    dated = times.dtype.kind == "M"
    if np.isnat(times).any() if dated else not np.isfinite(times).all():
        raise NotFiniteError(f"{where} have gaps: drop those rows, or pass dt and no times")
    moved = np.diff(times) / np.timedelta64(1, "s") if dated else np.diff(times)
    if (moved < 0).any():
        raise ValueError(
            f"{where} go back at sample {int((moved < 0).argmax()) + 1}: sort them, "
            f"{'frame.sort_values(time)' if table.origin == 'pandas' else 'array.sortby(time)'}, "
            "or pass group=, the column that tells several series apart"
        )
    if (moved == 0).any():
        again = int((moved == 0).argmax()) + 1
        drop = (
            "frame.drop_duplicates(time)"
            if table.origin == "pandas"
            else f"array.drop_duplicates({table.time_name!r})"
        )
        raise ValueError(
            f"{where} repeat at sample {again}: keep one of each, {drop}, or pass group=, the "
            "column that tells several series apart"
        )
    step = float(moved.mean())
    if dated and (months := _months(times)) is not None:
        return months, "month"
    drift = np.abs(np.concatenate(([0.0], np.cumsum(moved))) - step * np.arange(len(times)))
    if drift.max() <= MAX_UNEVENNESS * step:
        return _in_unit(step) if dated else (step, table.time_unit)
    origin = table.origin if dated or table.origin == "xarray" else "numpy"
    even = RESAMPLE[origin].format(time=table.time_name, step=f"{np.median(moved):.6g}s")
    raise ValueError(
        f"{where} are not evenly spaced: steps from {moved.min():.6g} to {moved.max():.6g}"
        f"{' s' if dated else ''}; resample, {even}, or, where only their order counts, leave the "
        "times out and pass dt; where they are no times, name the values, columns=[...]"
    )


def _in_unit(seconds: float) -> tuple[float, str]:
    """A step in the largest unit of which it is a whole number, else in seconds."""
    for unit, length in UNITS.items():
        if seconds >= 0.999 * length:
            share = seconds / length
            if abs(share - round(share)) < 1e-6:
                return float(round(share)), unit
    return seconds, "s"


def _months(times: np.ndarray) -> float | None:
    """Months in a step, for dates at the same day of months (or at their ends); None for others."""
    if len(times) < 3:
        return None
    months = times.astype("datetime64[M]")
    moved = np.diff(months).astype(int)
    since = (times - months) / np.timedelta64(1, "D")
    ends = ((months + 1).astype("datetime64[ns]") - times) / np.timedelta64(1, "D")
    same = np.ptp(since) < 1e-9 or np.ptp(ends) < 1e-9
    return float(moved[0]) if same and moved[0] > 0 and np.ptp(moved) == 0 else None
