"""Measured against published exponents, their differences, and the sum rule of each spectrum."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels
from dynmem.studies.chaos_registry import over_seeds, verdict

NOTE = (
    "Left: every published exponent against the measured one (bars: three standard errors, mostly "
    "smaller than the dot), on axes that are linear below 0.01. Middle: difference of published "
    "and measured exponents, in units of the tolerance of the source plus three standard errors "
    "of the measurement; beyond the line at 1 they disagree, and are red. Open dots: no published "
    "value was found, and the number comes from a second program that shares no code with this "
    "one. No dot: nothing is published at this size. Right: the sum of all exponents less its "
    "exact value, where divergence or determinant are constant (dots), and less the mean growth "
    "of volume along the orbit (crosses); nothing where not all exponents were measured. For "
    "flows what remains is the error of the integrator, for maps rounding."
)


def draw(results):
    """Figure of the study ``chaos_registry``."""
    mean = over_seeds(results)
    with house_style():
        height = max(3.4, 1.6 + 0.17 * mean.sizes["system"])
        figure, (left, middle, right) = panels(
            3,
            title="Do the chaotic systems that come with "
            "dynmem have the exponents that the "
            "literature "
            "gives them?",
            note=NOTE,
            width=4.4,
            height=height,
        )
        _exponents(left, mean)
        _distances(middle, mean)
        _sums(right, mean)
        return figure


def _exponents(axis, mean):
    known = np.isfinite(mean.published)
    for colour, sign, name in (
        (CYCLE[1], 1, "positive"),
        (CYCLE[6], 0, "zero"),
        (CYCLE[0], -1, "negative"),
    ):
        at = known & (np.sign(mean.published) == sign)
        if at.any():
            axis.errorbar(
                mean.published.values[at],
                mean.lyapunov.values[at],
                3 * mean.lyapunov_error.values[at],
                fmt="o",
                ms=4,
                lw=1,
                color=colour,
                label=f"{name} ({int(at.sum())})",
            )
    span = [float(mean.published.min()), float(mean.published.max())]
    axis.plot(np.linspace(*span, 2000), np.linspace(*span, 2000), color="#999999", lw=0.8, zorder=0)
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set_yscale("symlog", linthresh=0.01)
    axis.set(
        xlabel="published exponent (1/step or 1/time)",
        ylabel="measured exponent",
        title="measured against published",
    )
    axis.set_xticks([-10, -0.1, 0, 0.1, 1])
    axis.legend()


def _distances(axis, mean):
    away = abs(mean.lyapunov - mean.published) / (mean.tolerance + 3 * mean.lyapunov_error)
    for row, name in enumerate(mean.system.values):
        values = away.sel(system=name).values
        values = values[np.isfinite(values)]
        at = mean.sel(system=name)
        colour = CYCLE[2] if verdict(at).startswith("agrees") else CYCLE[1]
        axis.plot(
            np.maximum(values, 1e-3),
            np.full(len(values), row),
            "o",
            color=colour,
            mfc="white" if at.own else colour,
            ms=4.5,
        )
    axis.axvline(1.0, color="#999999", lw=0.8)
    axis.set(
        xscale="log", xlabel="|measured - published| / allowed", title="apart, of what is allowed"
    )
    _rows(axis, mean)


def _sums(axis, mean):
    rows = np.arange(mean.sizes["system"])
    axis.plot(
        np.maximum(abs(mean.total - mean.exact_total), 1e-16),
        rows,
        "o",
        color=CYCLE[0],
        ms=4.5,
        label="from the exact sum",
    )
    axis.plot(
        np.maximum(abs(mean.sum_residual), 1e-16),
        rows,
        "x",
        color=CYCLE[3],
        ms=5,
        label="from the growth of volume",
    )
    axis.set(xscale="log", xlabel="|sum of exponents - expected|", title="the sum rule")
    _rows(axis, mean)
    axis.legend(loc="upper right")


def _rows(axis, mean):
    axis.set_yticks(np.arange(mean.sizes["system"]), mean.system.values, fontsize=7.5)
    axis.set_ylim(mean.sizes["system"] - 0.5, -0.5)
