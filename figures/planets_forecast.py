"""Errors of forecasts of the real planets over the lead time, and the exponents learned."""

import numpy as np

from dynmem.plotting import COLOURS, house_style, panels

MODELS = {
    "delays": ("linear, on delays", "#2a6f97"),
    "esn": ("echo state", "#e09f3e"),
    "lstm": ("LSTM", COLOURS["lstm"]),
    "lru": ("LRU block", "#b23a48"),
}
LAW_STYLES = {
    "newton": ("Newton's law", "-", "D"),
    "relativity": ("with the Sun's relativity", ":", "d"),
    "kepler": ("Kepler's ellipse, fitted", "--", "_"),
}
FLOORS = ("mean", "still", "straight")
MIN_ERROR = 1e-8  # degrees that are shown
EPHEMERIS_NOTE = (
    "Each planet from its own positions alone, seen from the Sun (JPL DE421): trained on 1900 to "
    "1982, forecasts begin in 1997 and later. "
)
INTEGRATED_NOTE = (
    "NOT the real planets: their ephemeris is not installed (pip install 'dynmem[planets]'), and "
    "an orbit of Newton's law from 1994 on stands in. Each planet from its own positions alone, "
    "seen from the Sun. "
)
NOTE = (
    "Error: angle at the Sun, rms over starts, at most until the lead time; models: medians of "
    "seeds, bands and small dots all of them. Black: the law from position and velocity of the "
    "day, Newton's and with the relativity of the Sun (Newton fitted to the years of training "
    "would have smaller errors, some 20 arcseconds for Mercury; Earth is the centre of Earth and "
    "Moon, which the law treats as one body). Dashes: the ellipse of least squares over the years "
    "of training. Grey: the best of three floors, the mean position, no motion, and constant "
    "velocity. Exponents of the free-running models, of every inner planet and seed: the planets' "
    "own are 0 on this scale (2e-7 a year), and those of the linear model close to it; a network "
    "keeps an orbit as an attractor, one exponent 0 and the others below, or falls to rest, all "
    "of them below. Linear within 0.01 (dots), logarithmic beyond. Neptune comes to where it had "
    "not been in the years of training: the linear model extrapolates, the networks do not."
)


def draw(results):
    """Figure of the study ``planets_forecast``."""
    with house_style():
        real = bool((results.observed == 1).all())
        title = (
            "The planets" if real else "Integrated orbits, not the planets"
        ) + ", forecast from their positions alone"
        figure, axes = panels(
            2,
            2,
            title=title,
            note=(EPHEMERIS_NOTE if real else INTEGRATED_NOTE) + NOTE,
            width=5.2,
            height=3.6,
        )
        bodies = results.body.values.tolist()
        for axis, body in zip(
            axes, (bodies[0], "Saturn" if "Saturn" in bodies else bodies[-1]), strict=False
        ):
            _leads(axis, results.sel(body=body), body, real)
        _planets(axes[2], results)
        _exponents(axes[3], results)
        handles = {
            label: line
            for axis in axes
            for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        axes[1].legend(
            handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1.07, 0.5)
        )
        return figure


def _leads(axis, at, body, real):
    lead, known = at.lead.values, at.reference_error.isel(model=0, seed=0)
    _levels(axis)
    axis.plot(
        lead,
        known.sel(reference=list(FLOORS)).min("reference"),
        color="#aaaaaa",
        lw=5,
        alpha=0.6,
        label="best floor",
    )
    for name, (label, style, _) in LAW_STYLES.items():
        axis.plot(
            lead,
            np.maximum(known.sel(reference=name), MIN_ERROR / 3),
            style,
            color="#222222",
            lw=1.3,
            label=label,
        )
    for model in at.model.values:
        label, colour = MODELS[str(model)]
        error = at.error.sel(model=model)
        axis.fill_between(lead, error.min("seed"), error.max("seed"), color=colour, alpha=0.2, lw=0)
        axis.plot(lead, error.median("seed"), color=colour, label=label)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="lead time (years)",
        ylabel="error (degrees)",
        ylim=(MIN_ERROR, 300),
        xlim=(lead[0], lead[-1]),
        title=f"{body}{'' if real else ', integrated'}",
    )
    ticks = [t for t in (0.3, 1, 3, 10, 30) if lead[0] <= t <= 1.02 * lead[-1]]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()


def _levels(axis):
    for value, text in ((1.0, "1°"), (1 / 60, "1'"), (1 / 3600, '1"')):
        axis.axhline(value, color="#777777", lw=0.9, ls=(0, (1, 2)), zorder=0)
        axis.text(
            1.01,
            value,
            text,
            color="#555555",
            fontsize=9,
            va="center",
            transform=axis.get_yaxis_transform(),
        )


def _planets(axis, results):
    last = results.isel(lead=-1)
    known = last.reference_error.isel(model=0, seed=0)
    x = np.arange(results.sizes["body"])
    _levels(axis)
    axis.plot(
        x, known.sel(reference=list(FLOORS)).min("reference"), color="#aaaaaa", lw=5, alpha=0.6
    )
    for name, (_, _, marker) in LAW_STYLES.items():
        axis.plot(
            x,
            np.maximum(known.sel(reference=name), MIN_ERROR * 1.3),
            marker,
            color="#222222",
            ms=14 if marker == "_" else 4.5,
            mfc="none" if marker == "d" else None,
        )
    for i, model in enumerate(results.model.values):
        _, colour = MODELS[str(model)]
        error, place = (
            last.error.sel(model=model).transpose("seed", "body"),
            x + 0.16 * (i - (results.sizes["model"] - 1) / 2),
        )
        axis.plot(np.tile(place, (len(error), 1)), error, "o", color=colour, ms=2.5, alpha=0.6)
        axis.plot(place, error.median("seed"), "o", color=colour, ms=5.5)
    axis.set_xticks(x, results.body.values, fontsize=7.5)
    axis.set(
        yscale="log",
        ylabel="error (degrees)",
        xlabel="planet",
        ylim=(MIN_ERROR, 300),
        xlim=(-0.7, len(x) - 0.4),
        title=f"after {float(results.lead[-1]):.0f} years",
    )
    axis.grid(axis="x", visible=False)


def _exponents(axis, results):
    inner = [
        body for body in ("Mercury", "Venus", "Earth", "Mars") if body in results.body.values
    ] or list(results.body.values)
    axis.axhline(0.0, color="#222222", lw=1)
    for i, model in enumerate(results.model.values):
        _, colour = MODELS[str(model)]
        found = (
            results.lyapunov.sel(model=model, body=inner)
            .transpose("exponent", "body", "seed")
            .values.reshape(results.sizes["exponent"], -1)
        )
        spread = 0.17 * (i - (results.sizes["model"] - 1) / 2) + np.linspace(
            -0.05, 0.05, found.shape[1]
        )
        axis.plot(
            (np.arange(1, len(found) + 1)[:, None] + spread).ravel(),
            found.ravel(),
            "o",
            color=colour,
            ms=3.5,
            alpha=0.8,
        )
    axis.set_yscale("symlog", linthresh=0.01)
    for value in (-0.01, 0.01):
        axis.axhline(value, color="#777777", lw=0.8, ls=(0, (1, 3)), zorder=0)
    axis.set_xticks(
        range(1, results.sizes["exponent"] + 1),
        [f"$\\lambda_{k + 1}$" for k in range(results.sizes["exponent"])],
    )
    axis.set(
        xlabel="Lyapunov exponent of the learned orbit",
        ylabel="exponent (1/year)",
        title="neutral as the planet, or an attractor",
    )
