"""A picture of a race: predictions against outcomes, and for each model what it remembers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plotting import OTHER_COLOUR, house_style, name_of, panels
from ..runtime.validation import public
from .verdicts import FACTOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset

LIMIT_COLOURS = {
    "visible": "#2a6f97",
    "trainable": "#b23a48",
    "hard": "#386641",
    "none up to the longest delay": "#8c8c8c",
}
NOTE = (
    "Left: the delay that was predicted before any longer one was trained, and the longest that "
    f"was learned, geometric means over seeds; grey: within a factor of {FACTOR}; bars: the "
    "interval of the prediction, and the edge with its standard error over seeds; triangles: at "
    "least. The colour is the limit that binds: the cue is not visible in the gradient, the "
    "steps do not suffice, or no signal at all arrives (a window). Right: the same in a row for "
    "each model, with the memory horizon, the lag at which the gradient has fallen to 1/e while "
    "the network waits, before and after training, and the time scale -1/lambda_1 that theory "
    "gives before it."
)


@public
def picture(result: Dataset) -> Figure:
    """Draw a race: prediction against outcome, and a row for each model.

    Parameters
    ----------
    result : xarray.Dataset
        A result of ``dm.race``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For a Dataset that is no race.

    Examples
    --------
    >>> import dynmem as dm
    >>> import xarray as xr
    >>> dm.outcomes.picture(xr.Dataset())
    Traceback (most recent call last):
    ...
    ValueError: the Dataset has no predicted_delay: pass a result of dm.race
    """
    for name in ("predicted_delay", "learnable_delay", "horizon"):
        if name not in result:
            raise ValueError(f"the Dataset has no {name}: pass a result of dm.race")
    height = max(3.8, 0.27 * result.model.size + 1.6)
    with house_style():
        title = str(result.attrs.get("title", "predicted and learnable delays"))
        figure, (left, right) = panels(
            2, title=title[:1].upper() + title[1:], note=NOTE, width=5.4, height=height
        )
        draw_scatter(left, result)
        draw_rows(right, result)
        return figure


def draw_scatter(axis: Axes, result: Dataset) -> None:
    """Learned against predicted delays, with their intervals and the band of FACTOR."""
    shortest, longest = float(result.delay[0]), float(result.delay[-1])
    ends = 0.4 * shortest, 2.0 * longest
    axis.fill_between(
        ends, np.divide(ends, FACTOR), np.multiply(ends, FACTOR), color="#eeeeee", lw=0
    )
    axis.plot(ends, ends, color="#999999", lw=0.8)
    written: Counter = Counter()  # labels at one place stand below each other
    for model in result.model.values:
        one = result.sel(model=model)
        x, y = (float(one[name]) for name in ("predicted_delay", "learnable_delay"))
        if np.isnan(x) or np.isnan(y):
            continue
        colour = LIMIT_COLOURS.get(str(one.limit.values), OTHER_COLOUR)
        low, high = _interval(one, "predicted_delay", ends)
        axis.plot((low, high), (y, y), color=colour, lw=0.9, alpha=0.6)
        low, high = _interval(one, "learnable_delay", ends)
        axis.plot((x, x), (low, high), color=colour, lw=0.9, alpha=0.6)
        marker = "^" if np.isinf(one.learnable_delay_upper) else "o"
        axis.plot(x, y, marker, color=colour, ms=6)
        place = round(4 * np.log2(x)), round(4 * np.log2(y))
        below = (5, 3 - 9 * written[place])
        written[place] += 1
        axis.annotate(
            name_of(model), (x, y), below, textcoords="offset points", fontsize=7.5, color=colour
        )
    for limit, colour in LIMIT_COLOURS.items():
        if limit in result.limit.values:
            axis.plot([], [], "o", color=colour, label=limit)
    correlation = result.sel(predictor="predicted delay")
    value, low, high = (
        float(correlation[f"rank_correlation{end}"]) for end in ("", "_lower", "_upper")
    )
    title = "predicted and learned"
    if not np.isnan(value):
        title += f": rank correlation {value:.2f} [{low:.2f}, {high:.2f}]"
    axis.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=ends,
        xlabel="predicted delay (steps)",
        ylabel="longest delay learned (steps)",
        title=title,
    )
    _delay_ticks(axis, result, "xy")
    axis.legend(loc="lower right", title="limit that binds", title_fontsize=8)


def draw_rows(axis: Axes, result: Dataset) -> None:
    """A row for each model: prediction, outcome, horizons, theory."""
    shortest, longest = float(result.delay[0]), float(result.delay[-1])
    order = np.argsort(np.nan_to_num(result.learnable_delay.values), kind="stable")
    ends = 0.4, 3.0 * longest
    for row, place in enumerate(order):
        one = result.isel(model=int(place))
        colour = LIMIT_COLOURS.get(str(one.limit.values), OTHER_COLOUR)
        low, high = _interval(one, "predicted_delay", ends)
        axis.barh(row, high - low, left=low, height=0.62, color=colour, alpha=0.16, lw=0)
        _mark(axis, one.predicted_delay, row, "|", colour, longest, ms=13, mew=2)
        low, high = _interval(one, "learnable_delay", ends)
        axis.plot((low, high), (row, row), color="#222222", lw=1.4)
        at_least = np.isinf(one.learnable_delay_upper) and one.learnable_delay >= longest
        _mark(axis, one.learnable_delay, row, ">" if at_least else "o", "#222222", longest, ms=6.5)
        for name, marker, face in (
            ("time_scale", "D", "white"),
            ("horizon", "s", "white"),
            ("trained_horizon", "s", "#e09f3e"),
        ):
            _mark(axis, one[name], row - 0.27, marker, "#e09f3e", 2 * longest, ms=4.5, mfc=face)
    for marker, colour, face, text in (
        ("|", "#555555", "#555555", "predicted, 5 to 95 %"),
        ("o", "#222222", "#222222", "learned"),
        ("D", "#e09f3e", "white", "theory, untrained"),
        ("s", "#e09f3e", "white", "horizon, untrained"),
        ("s", "#e09f3e", "#e09f3e", "horizon, trained"),
    ):
        axis.plot([], [], marker, color=colour, mfc=face, label=text)
    axis.set(
        xscale="log",
        xlim=ends,
        ylim=(-0.7, len(order) + 1.3),
        xlabel="delay, lag (steps)",
        title="what each model remembers",
    )
    axis.set_yticks(range(len(order)), [name_of(model) for model in result.model.values[order]])
    axis.axvspan(ends[0], shortest, color="#f4f4f4", lw=0, zorder=0)
    axis.legend(loc="upper left", ncols=3, fontsize=7.5, columnspacing=1.0, handletextpad=0.3)


def _interval(one, name, ends):
    """An interval that can be drawn: within the axis."""
    low, high = float(one[f"{name}_lower"]), float(one[f"{name}_upper"])
    return np.clip(low, *ends), np.clip(high, *ends)


def _mark(axis, value, row, marker, colour, most, **options: Any):
    """A number as a mark; beyond the most that was looked at, an arrow there."""
    value = float(value)
    if np.isnan(value):
        return
    beyond = np.isinf(value)
    if beyond:
        options["ms"] = min(options["ms"], 6.0)
    axis.plot(min(value, most), row, ">" if beyond else marker, color=colour, **options)


def _delay_ticks(axis, result, which):
    delays = result.delay.values
    shown = delays if len(delays) <= 8 else delays[:: len(delays) // 8 + 1]
    for name in which:
        getattr(axis, f"set_{name}ticks")(shown, [f"{d}" for d in shown])
    axis.minorticks_off()
