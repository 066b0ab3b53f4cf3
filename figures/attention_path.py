"""Gradient against distance, dilution with length, and the two paths through attention."""

import numpy as np

from dynmem.plotting import CYCLE, colour_of, house_style, name_of, panels

NOTE = (
    "Random networks under white noise; root mean squares over seeds and noise, dashes for "
    "theory. Left: gradient of the last output by the input lag steps before. Recurrence and "
    "gates lose it exponentially, at the first exponent of the mean field (the level of the "
    "LSTM's line is taken from lag 10). A dilated convolution reaches as far as its receptive "
    "field, and ends there. Attention reaches every input in one step and is flat. Recurrence "
    "with attention first falls like the recurrence, then stays; the earliest inputs weigh more, "
    "since they were attended to when there were few. Middle: the first input of a sequence over "
    "its length. Attention pays 1/length (dilution), and the hybrid keeps a power law. Right: the "
    "path through the values and the one through the scores, times the number of slots. Without "
    "sharpness the scores carry nothing, at sharpness 1 both carry the same; theory ends where a "
    "few slots begin to hold the weight (spread sqrt(ln(t) / 2))."
)
MIN_GRADIENT = 1e-12  # gradients below it are not drawn
MODEL_COLOURS = {"attention": CYCLE[0], "hybrid": CYCLE[3], "tcn": CYCLE[4]}


def draw(results):
    """Figure of the study ``attention_path``."""
    with house_style():
        title = (
            "How a gradient falls with distance: recurrence, gates, convolution, attention, "
            "and recurrence with attention"
        )
        figure, axes = panels(3, title=title, note=NOTE, width=4.3, height=3.7)
        _lines(axes[0], results, "lag", "gradient", "predicted")
        axes[0].set(
            yscale="log",
            xlabel="lag (steps)",
            ylabel="gradient |d y(T) / d u(T - lag)|",
            title="over the lag",
            ylim=(MIN_GRADIENT, 4.0),
        )
        _lines(axes[1], results, "length", "first_gradient", "predicted_first", "o")
        axes[1].set(
            xscale="log",
            yscale="log",
            xlabel="length T of the sequence (steps)",
            ylabel="gradient |d y(T) / d u(1)|",
            title="of the first input, over the length",
            ylim=(MIN_GRADIENT, 4.0),
        )
        ticks = results.length.values[::2]
        axes[1].set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes[1].minorticks_off()
        axes[0].legend(loc=(0.6, 0.38))
        _sharpness(axes[2], results)
        return figure


def _lines(axis, results, over, measured, predicted, marker=""):
    for model in results.model.values:
        at = results.sel(model=model)
        found, theory = (np.sqrt((at[name] ** 2).mean("seed")) for name in (measured, predicted))
        drawn = {"color": MODEL_COLOURS.get(str(model), colour_of(model))}
        axis.plot(
            at[over],
            found.where(found > MIN_GRADIENT),
            marker=marker,
            ls="" if marker else "-",
            label=name_of(model),
            lw=1.3,
            **drawn,
        )
        axis.plot(at[over], theory.where(theory > MIN_GRADIENT), ls="--", lw=1.1, **drawn)


def _sharpness(axis, results):
    if "attention" not in results.model.values:
        return
    at = results.sel(model="attention")
    for colour, name, label in (
        (CYCLE[0], "direct", "through the values"),
        (CYCLE[1], "score", "through the scores"),
    ):
        axis.plot(
            at.sharpness, np.sqrt((at[name] ** 2).mean("seed")), "o", color=colour, label=label
        )
        axis.plot(at.sharpness, at[f"predicted_{name}"].mean("seed"), "--", color=colour, lw=1.1)
    axis.set(
        xlabel="sharpness s (scores have spread s squared)",
        ylabel="gradient times number of slots",
        ylim=(0, None),
        title="two paths through attention",
    )
    axis.legend(loc="upper left")
