"""Bifurcation diagrams, the doubling of periods, chaos over two biases and in a random network."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels
from dynmem.studies.bifurcation import ACCUMULATION_POINTS, CASES, FEIGENBAUM

ORDER, CHAOS = CYCLE[0], CYCLE[1]
NOTE = (
    "Top: states on the attractor over one parameter, from one start each (for Lorenz the maxima "
    "of z); red where the measured largest exponent is above zero by two standard errors, blue "
    "elsewhere: order returns in windows inside chaos. At the dashed line, rho = 24.74, the fixed "
    "points of Lorenz lose their stability (Hopf bifurcation); a chaotic attractor exists next to "
    "them from 24.06 on. Bottom left: distance of the parameters of successive period doublings "
    "from their limit (published for the logistic map, extrapolated for the others): all fall by "
    "Feigenbaum's factor 4.669 (dashes). Bottom middle: one random tanh network whose weights are "
    "multiplied by a gain. At rest the exponent is ln(gain rho) exactly (dashes), up to gain rho "
    "= 1; a finite network then runs on closed curves, exponent 0, before it approaches the mean "
    "field of infinitely many units (line). Bottom right: exponent of the two neurons over both "
    "biases; dots: the cut shown above."
)
TITLES = {
    "logistic": "logistic map",
    "lorenz63": "Lorenz flow",
    "neurons": "two neurons with inhibition",
}
AXES = {
    "logistic": ("growth parameter r", "state x"),
    "lorenz63": ("Rayleigh parameter rho", "maxima of z"),
    "neurons": ("bias of the first neuron", "activation of the first neuron"),
}


def draw(results):
    """Figure of the study ``bifurcation``."""
    with house_style():
        figure, axes = panels(
            3, 2, title="Where does order end and chaos begin?", note=NOTE, width=4.5, height=3.3
        )
        present = [str(s) for s in results.system.values]
        for axis, system in zip(axes[:3], TITLES, strict=True):
            if system in present:
                _diagram(axis, results.sel(system=system), system)
            axis.set(xlabel=AXES[system][0], ylabel=AXES[system][1], title=TITLES[system])
        _doublings(axes[3], results, [s for s in ("logistic", "henon", "neurons") if s in present])
        _network(axes[4], results, present)
        _biases(figure, axes[5], results, present)
        return figure


def _diagram(axis, at, system):
    """Dots, coloured by the exponent at their parameter."""
    place = at.dropna("place", subset=["parameter"])
    chaotic = place.lyapunov.values > 2 * np.nan_to_num(place.lyapunov_error.values) + 1e-3 * (
        system == "lorenz63"
    )
    kept = np.isfinite(at.dot_parameter.values)
    x, y = at.dot_parameter.values[kept], at.dot_state.values[kept]
    near = (
        np.abs(place.parameter.values[:, None] - x).argmin(axis=0)
        if len(x) < 20_000
        else np.searchsorted(place.parameter.values, x - 1e-9)
    )
    near = np.minimum(near, len(chaotic) - 1)
    size = 0.25 if len(x) > 20_000 else 0.8
    for chaos, colour, name in ((False, ORDER, "order"), (True, CHAOS, "chaos")):
        chosen = chaotic[near] == chaos
        axis.scatter(x[chosen], y[chosen], s=size, color=colour, lw=0, rasterized=True)
        axis.plot([], [], "o", color=colour, ms=4, label=name)
    if system == "lorenz63":
        axis.axvline(470 / 19, color="#555555", ls="--", lw=1)
    axis.set_axisbelow(True)
    axis.legend(
        loc={"logistic": "lower left", "lorenz63": "lower right"}.get(system, "center right"),
        markerscale=1.2,
    )


def _doublings(axis, results, systems):
    names = {"logistic": "logistic map", "henon": "Henon map", "neurons": "two neurons"}
    longest = 2
    for colour, system in zip(CYCLE, systems, strict=False):
        at = results.sel(system=system)
        values = at.doubling_value.values[np.isfinite(at.doubling_value.values)]
        distance = np.abs(ACCUMULATION_POINTS.get(system, float(at.accumulation)) - values)
        longest = max(longest, len(values))
        axis.semilogy(
            np.arange(1, len(values) + 1),
            distance / distance[0],
            "o",
            color=colour,
            label=names[system],
        )
    k = np.arange(1, longest + 1)
    axis.semilogy(
        k, FEIGENBAUM ** (1.0 - k), color="#555555", ls="--", lw=1.1, label="4.6692^-(k - 1)"
    )
    axis.set(
        xlabel="doubling k",
        ylabel="distance from the limit / first",
        title="periods double at one universal pace",
    )
    axis.set_xticks(k)
    axis.legend()


def _biases(figure, axis, results, present):
    axis.set(
        xlabel="bias of the first neuron",
        ylabel="bias of the second neuron",
        title="largest exponent over both biases",
    )
    if "neurons" not in present:
        return
    at = (
        results.sel(system="neurons")
        .map_exponent.dropna("bias", how="all")
        .dropna("other_bias", how="all")
    )
    colours = {
        "cmap": "RdBu_r",
        "vmin": -0.5,
        "vmax": 0.5,
        "rasterized": True,
        "shading": "nearest",
    }
    shown = axis.pcolormesh(at.bias, at.other_bias, at.values.T.clip(-0.5, 0.5), **colours)
    axis.axhline(3.0, color="#333333", lw=0.8, ls=":")
    axis.grid(False)
    figure.colorbar(shown, ax=axis, label="exponent (1/step)", extend="both")


def _network(axis, results, present):
    import dynmem as dm

    axis.set(
        xlabel="gain", ylabel="largest exponent (1/step)", title="random tanh network: one onset"
    )
    if "network" not in present:
        return
    at = results.sel(system="network").dropna("place", subset=["parameter"])
    low, high = CASES["network"][1]
    radius, gains = float(at.spectral_radius), np.linspace(low, high, 60)
    axis.axhline(0.0, color="#999999", lw=0.8)
    rest = gains[gains * radius <= 1.0]
    axis.plot(
        gains,
        [dm.theory.tanh_spectrum(g, 0.0, 0.0).lyapunov.item() for g in gains],
        color=CYCLE[3],
        label="mean field",
    )
    axis.plot(rest, np.log(rest * radius), color="#333333", ls="--", label="ln(gain rho) at rest")
    axis.errorbar(
        at.parameter,
        at.lyapunov,
        2 * at.lyapunov_error,
        fmt="o",
        color=CYCLE[0],
        ms=3.5,
        lw=1,
        label="measured, two standard errors",
    )
    axis.legend()
