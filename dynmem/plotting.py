"""Style of the figures: quiet axes, units on every label, one colour for each model, dashes for
theory."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import DataArray

COLOURS = {
    "linear": "#8c8c8c",
    "tanh": "#b23a48",
    "tanh_orthogonal": "#e5989b",
    "relu": "#e09f3e",
    "orthogonal": "#2a6f97",
    "lstm": "#386641",
    "lstm_chrono": "#7cb518",
    "gru": "#6d597a",
    "cornn": "#c77dff",
    "lmu": "#00798c",
    "lru": "#d1495b",
    "s4d": "#bc6c25",
    "selective": "#5f0f40",
    "mamba": "#f77f00",
    "tcn": "#577590",
    "attention": "#111111",
}
NAMES = {
    "tanh_orthogonal": "tanh, orthogonal start",
    "orthogonal": "orthogonal, modReLU",
    "lstm": "LSTM, forget bias 1",
    "lstm_chrono": "LSTM, chrono bias",
    "gru": "GRU",
    "cornn": "coRNN",
    "lmu": "LMU",
    "lru": "LRU",
    "s4d": "S4D",
    "mamba": "Mamba",
    "tcn": "TCN",
}
CYCLE = ["#2a6f97", "#b23a48", "#386641", "#e09f3e", "#6d597a", "#7cb518", "#8c8c8c"]
OTHER_COLOUR = "#333333"  # of a model that has none of its own
LETTERS_PER_INCH = 16  # of a note, at its font size
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.constrained_layout.use": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib settings of dynmem's figures, restored on leaving the context.

    Examples
    --------
    >>> import matplotlib
    >>> with house_style():
    ...     matplotlib.rcParams["axes.grid"]
    True
    """
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": cycler(color=CYCLE)}):
        yield


def panels(
    columns: int,
    rows: int = 1,
    *,
    width: float = 4.0,
    height: float = 3.4,
    title: str = "",
    note: str = "",
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of several panels, with a title above and a note below.

    Parameters
    ----------
    columns, rows : int
        Number of panels.
    width, height : float, optional
        Size of one panel in inches.
    title : str, optional
        Title of the figure.
    note : str, optional
        What the figure shows and what its lines mean.
    **options
        Further arguments of ``matplotlib.pyplot.subplots``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        The panels, row by row.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> figure, axes = panels(3, title="How long does a memory last?")
    >>> len(axes)
    3
    >>> matplotlib.pyplot.close(figure)
    """
    import matplotlib.pyplot as plt

    lines = textwrap.wrap(note, int(columns * width * LETTERS_PER_INCH), break_on_hyphens=False)
    size = (width * columns, height * rows + 0.35 + 0.17 * len(lines))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    if note:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color="#444444")
    return figure, list(axes.flat)


def colour_of(model: object) -> str:
    """Colour of a model of the studies, the same in every figure.

    Parameters
    ----------
    model : str
        Name of the model in the studies.

    Returns
    -------
    str
        Colour, as matplotlib reads it.

    Examples
    --------
    >>> colour_of("gru"), colour_of("mine")
    ('#6d597a', '#333333')
    """
    return COLOURS.get(str(model), OTHER_COLOUR)


def name_of(model: object) -> str:
    """Name of a model of the studies, for a legend.

    Parameters
    ----------
    model : str
        Name of the model in the studies.

    Returns
    -------
    str
        Name in words; the name itself where there is none.

    Examples
    --------
    >>> name_of("gru"), name_of("mine")
    ('GRU', 'mine')
    """
    return NAMES.get(str(model), str(model))


def label(variable: DataArray) -> str:
    """Axis label of a variable: its long name and its units.

    Parameters
    ----------
    variable : xarray.DataArray
        A variable with the attributes ``long_name`` and ``units``.

    Returns
    -------
    str
        The label.

    Examples
    --------
    >>> import xarray as xr
    >>> label(xr.DataArray(0.0, attrs={"long_name": "memory horizon", "units": "step"}))
    'memory horizon (steps)'
    """
    name = variable.attrs.get("long_name", variable.name or "")
    units = variable.attrs.get("units", "1")
    if units in ("1", ""):
        return name
    return f"{name} ({units if '/' in units or units.endswith('s') else units + 's'})"
