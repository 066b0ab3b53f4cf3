"""The house style: quiet axes, units on every label, one colour a model, dashes for theory."""

from contextlib import contextmanager

COLOURS = {
    "linear": "#8c8c8c",
    "tanh": "#b23a48",
    "tanh_orthogonal": "#e5989b",
    "relu": "#e09f3e",
    "orthogonal": "#2a6f97",
    "lstm": "#386641",
    "lstm_chrono": "#7cb518",
    "gru": "#6d597a",
}
NAMES = {
    "tanh_orthogonal": "tanh, orthogonal start",
    "orthogonal": "orthogonal, modReLU",
    "lstm": "LSTM, forget bias 1",
    "lstm_chrono": "LSTM, chrono bias",
    "gru": "GRU",
}
CYCLE = ["#2a6f97", "#b23a48", "#386641", "#e09f3e", "#6d597a", "#7cb518", "#8c8c8c"]
STYLE = {
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
def house_style():
    """Matplotlib settings for the figures of the house, put back on leaving."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": cycler(color=CYCLE)}):
        yield


def panels(columns, rows=1, *, width=4.0, height=3.4, title="", note="", **options):
    """Figure and axes (a flat list) with a title above and a note below, which says what is seen
    and what the lines mean."""
    import textwrap

    import matplotlib.pyplot as plt

    lines = textwrap.wrap(note, int(columns * width * 16), break_on_hyphens=False)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows + 0.35 + 0.17 * len(lines)),
        squeeze=False,
        **options,
    )
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    if note:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color="#444444")
    return figure, list(axes.flat)


def colour_of(model) -> str:
    """Colour of a model of the studies, the same in every figure."""
    return COLOURS.get(str(model), "#333333")


def name_of(model) -> str:
    """Name of a model of the studies as a legend has it.

    >>> name_of("gru"), name_of("mine")
    ('GRU', 'mine')
    """
    return NAMES.get(str(model), str(model))


def label(variable) -> str:
    """Axis label of a variable: its long name and its units.

    >>> import xarray as xr
    >>> label(xr.DataArray(0.0, attrs={"long_name": "memory horizon", "units": "step"}))
    'memory horizon (steps)'
    """
    name, units = (
        variable.attrs.get("long_name", variable.name or ""),
        variable.attrs.get("units", "1"),
    )
    return (
        name
        if units in ("1", "")
        else f"{name} ({units if '/' in units or units.endswith('s') else units + 's'})"
    )
