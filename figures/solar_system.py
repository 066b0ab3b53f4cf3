"""MEGNO of the outer Solar System within the errors of its starts, and its Lyapunov times."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

MAX_ENERGY_ERROR = 1e-4
# years, within the errors of today's initial conditions: Hayes (2007)
SHORTEST_LYAPUNOV_TIME = 5e6


def draw(results):
    """Figure of the study ``solar_system``."""
    years = float(results.time[-1])
    with house_style():
        figure, (left, right) = panels(
            2,
            title="Is the outer Solar System chaotic within the errors of what we know?",
            note=_note(years),
            width=4.8,
        )
        _growth(left, results)
        _times(right, results, years)
        return figure


def _note(years):
    return (
        "The Sun with Jupiter, Saturn, Uranus and Neptune; each line and dot is one start, drawn "
        "within the error of the study's setting. Left: mean "
        "MEGNO over time; 2 (dashes) is order, a straight rise is chaos. Right: Lyapunov times as "
        "all planets are made heavier at the same "
        f"positions and velocities. Triangles: no chaos seen in {years / 1e6:g} million years, so "
        "the Lyapunov time is longer than that or does not "
        "exist; dots just below them rest on a small rise of MEGNO, above 2.5. Grey: 5 million "
        "years to infinity, where starts within the errors "
        "of the real system lie (Hayes 2007): this run cannot see it, and one number for it does "
        "not exist. "
        "Heavier planets also stand on slightly other orbits, so that the rise need not be "
        "smooth. Crosses: close encounter, energy not kept to 1e-4."
    )


def _growth(axis, results):
    masses = results.mass.values
    shown = masses[np.unique(np.linspace(0, len(masses) - 1, min(4, len(masses))).astype(int))]
    for colour, mass in zip(CYCLE, shown, strict=False):
        lines = results.mean_megno.sel(mass=mass).transpose("time", "seed")
        axis.plot(results.time, lines, color=colour, lw=0.9, alpha=0.8)
        axis.plot([], [], color=colour, label=f"planets of {mass:g} times their mass")
    axis.axhline(2.0, color="#555555", ls="--", lw=0.9)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="time (years)",
        ylabel="mean MEGNO",
        title="order stays near 2",
    )
    axis.legend(loc="upper left")


def _times(axis, results, years):
    axis.axhspan(SHORTEST_LYAPUNOV_TIME, 1e9, color="#dddddd")
    for mass in results.mass.values:
        at = results.sel(mass=mass)
        rate, met = at.rate.values, at.energy_error.values > MAX_ENERGY_ERROR
        spread = mass * (1 + 0.03 * np.linspace(-1, 1, rate.size))
        for chosen, marker in (((rate > 0) & ~met, "o"), ((rate > 0) & met, "x")):
            axis.plot(spread[chosen], 1e6 / rate[chosen], marker, color=CYCLE[0], ms=4, alpha=0.8)
        axis.plot(
            spread[rate == 0],
            np.full((rate == 0).sum(), years),
            "^",
            color=CYCLE[1],
            ms=5,
            alpha=0.8,
        )
    for marker, colour, text in (
        ("o", CYCLE[0], "chaotic"),
        ("^", CYCLE[1], "no chaos seen: longer, or none"),
    ):
        axis.plot([], [], marker, color=colour, label=text)
    axis.text(
        results.mass.values[-1],
        SHORTEST_LYAPUNOV_TIME * 1.5,
        "the real system, Hayes (2007)",
        ha="right",
        fontsize=8.5,
        color="#555555",
    )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="masses of the planets over the real ones",
        ylabel="Lyapunov time (years)",
        title="heavier planets forget sooner",
        ylim=(None, 3e8),
    )
    ticks = [
        m
        for m in (1, 2, 3, 5, 10, 14)
        if results.mass.values.min() <= m <= results.mass.values.max()
    ]
    axis.set_xticks(ticks, [f"{m}" for m in ticks])
    axis.minorticks_off()
    axis.legend(loc="lower left")
