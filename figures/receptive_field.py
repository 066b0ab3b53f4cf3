"""What a temporal convolutional network can see, what it looks at, and what it can learn."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NOTE = (
    "Top left: receptive field of L blocks of two convolutions of k taps; lines: 1 + 2(k-1) sum "
    "of the dilations, dots: exact support of the derivatives. Top right: effective field, the "
    "width of a box with the spread of the squared gradient over lags (lines: sum of independent "
    "steps; dots: measured, each seed). Undilated layers widen it like the square root of their "
    "number; with torch's uniform initialisation, which the published code uses too, the residual "
    "connections keep it near the newest input. Bottom left: share of each lag, before and after "
    "training to copy symbols that came 22 steps ago. Bottom right: the copy task from the "
    "initialisation of He et al., 300 steps (below 1e-9: drawn there): nothing is learned from a "
    "field that does not reach the symbols. Nor by six undilated layers of k = 3, whose field of "
    "25 steps does: at initialisation 3e-6 of the squared gradient (theory) reaches lag 22, "
    "against 2e-4 for three layers of k = 5."
)
INIT_COLOURS = {"he": CYCLE[0], "uniform": CYCLE[1]}


def draw(results):
    """Figure of the study ``receptive_field``."""
    with house_style():
        figure, (fields, effective, shares, losses) = panels(
            2,
            2,
            title="How far back a convolutional network sees, and how far it looks",
            note=NOTE,
            width=4.8,
        )
        _fields(fields, results)
        kernel = results.kernel.values[len(results.kernel) // 2]
        _effective(effective, results.sel(kernel=kernel))
        _shares(shares, _fitting(results.isel(base=-1).sel(kernel=kernel)))
        _losses(losses, results)
        return figure


def _style(results, base):
    return "-" if base == results.base.values[-1] else "--"


def _fitting(results):
    """The deepest networks whose whole field is drawn."""
    whole = results.formula.max("seed") <= results.sizes["lag"]
    return results.isel(layers=int(np.flatnonzero(whole)[-1]) if whole.any() else 0)


def _fields(axis, results):
    for base in results.base.values:
        for colour, kernel in zip(CYCLE[2:], results.kernel.values, strict=False):
            at = results.sel(base=base, kernel=kernel).mean("seed")
            axis.semilogy(
                at.layers,
                at.formula,
                _style(results, base),
                color=colour,
                label=f"k = {kernel}, base {base}",
            )
            axis.semilogy(at.layers, at.support, "o", color=colour, ms=4.5)
    axis.set(
        xlabel="layers L",
        ylabel="receptive field (steps)",
        title="what it sees",
        xticks=results.layers.values,
    )
    axis.legend(ncols=results.sizes["base"], loc="upper left")
    axis.set_ylim(top=8 * float(results.formula.max()))


def _effective(axis, results):
    for base in results.base.values:
        for init, colour in INIT_COLOURS.items():
            at = results.sel(base=base)
            axis.semilogy(
                at.layers,
                at[f"theory_{init}"].mean("seed"),
                _style(results, base),
                color=colour,
                label=f"start {init!r}, base {base}",
            )
            for seed in at.seed.values:
                axis.semilogy(
                    at.layers,
                    at[f"measured_{init}"].sel(seed=seed),
                    "o" if base == results.base.values[-1] else "s",
                    color=colour,
                    ms=3.5,
                    mfc=colour if base == results.base.values[-1] else "white",
                    alpha=0.8,
                )
    axis.set(
        xlabel="layers L",
        ylabel="effective field (steps)",
        title=f"what it looks at before training, k = {int(results.kernel)}",
        xticks=results.layers.values,
    )
    axis.set_ylim(top=5 * float(results.theory_he.max()))
    axis.legend(loc="upper left", ncols=2)


def _shares(axis, results):
    dependency = float(results.dependency.mean())
    trained = results.share_trained.mean("seed")
    axis.bar(
        trained.lag,
        trained,
        width=0.9,
        color=CYCLE[3],
        alpha=0.75,
        label="trained on the copy task",
    )
    axis.plot(
        results.lag,
        results.share_start.mean("seed"),
        "o",
        color=CYCLE[0],
        ms=3,
        label="start, measured",
    )
    axis.plot(
        results.lag,
        results.share_theory.mean("seed"),
        color=CYCLE[0],
        lw=1.2,
        label="start, theory",
    )
    axis.set(
        xlabel="lag (steps)",
        ylabel="share of the squared gradient",
        yscale="log",
        ylim=(1e-4, 20.0),
        title=f"where it looks, k = {int(results.kernel)}, L = {int(results.layers)}, base "
        f"{int(results.base)}",
    )
    axis.axvline(dependency, color="#555555", lw=0.9, ls=":", zorder=0)
    axis.annotate(
        f"symbols, {dependency:.0f} steps ago",
        (dependency, 9.0),
        textcoords="offset points",
        xytext=(-4, 0),
        ha="right",
        fontsize=8.5,
        color="#555555",
    )
    axis.legend(loc="upper right")


def _losses(axis, results):
    needed = float(results.dependency.mean()) + 1
    for base in results.base.values:
        for colour, kernel in zip(CYCLE[2:], results.kernel.values, strict=False):
            at = results.sel(base=base, kernel=kernel)
            last = base == results.base.values[-1]
            axis.loglog(
                at.formula.values.ravel(),
                np.maximum(at.loss_over_floor.values.ravel(), 1e-9),
                "o" if last else "s",
                color=colour,
                ms=5,
                mfc=colour if last else "white",
                label=f"k = {kernel}, base {base}",
            )
    axis.axvline(needed, color="#555555", lw=0.9, ls=":", zorder=0)
    axis.axhline(1.0, color="#999999", lw=0.8, zorder=0)
    axis.set(
        xlabel="receptive field (steps)",
        ylabel="test loss / memoryless floor",
        title="what it can learn",
        ylim=(3e-10, 5.0),
    )
    axis.annotate(
        f"field needed, {needed:.0f} steps",
        (needed, 4e-10),
        textcoords="offset points",
        xytext=(-4, 2),
        ha="right",
        fontsize=8.5,
        color="#555555",
    )
    axis.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12), ncols=1)
