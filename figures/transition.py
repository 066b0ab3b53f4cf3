"""Spectrum of random tanh networks by gain and size, on the mean-field curve."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NOTE = (
    "Left: all exponents of random tanh networks with fixed weights, the largest size (lines), "
    "against their position in the spectrum, and the mean field of infinite networks (dashes). "
    "Middle: first exponent by size (dots: mean over seeds, bars: two standard errors) on the "
    "mean-field curve. At rest, below gain 1, a finite network follows the modulus of its own "
    "largest eigenvalue, which scatters about the gain; just above 1 its orbit may be a fixed "
    "point or a cycle, whose first exponent is 0 or below. The largest networks run for 150 steps "
    "only, and close to gain 1 they are still on their way to rest, so that they look slightly "
    "chaotic. Right: Kaplan-Yorke dimension and entropy rate per unit: chaos is extensive, both "
    "grow in proportion to the size."
)


def draw(results):
    """Figure of the study ``transition``."""
    with house_style():
        figure, (left, middle, right) = panels(
            3,
            title="The random network's whole spectrum, from order to chaos",
            note=NOTE,
            width=4.1,
        )
        _spectra(left, results.sel(units=results.units.max()))
        _first(middle, results)
        _attractor(right, results)
        return figure


def _spectra(axis, results):
    axis.axhline(0.0, color="#999999", lw=0.8)
    shown = [g for g in (0.9, 1.5, 3.0, 5.0) if g in results.gain.values]
    for colour, gain in zip(CYCLE, shown, strict=False):
        at = results.sel(gain=gain).mean("seed")
        axis.plot(at.place, at.spectrum, color=colour, label=f"g = {gain:g}")
        axis.plot(at.place, at.theory_spectrum, color="black", ls="--", lw=0.9)
    axis.plot([], [], color="black", ls="--", lw=0.9, label="mean field")
    axis.set(
        xlabel="place in the spectrum, i / N",
        ylabel="Lyapunov exponent (1/step)",
        title=f"all exponents, N = {int(results.units)}",
    )
    axis.legend(loc="lower left")


def _first(axis, results):
    import dynmem as dm

    gains = np.linspace(float(results.gain.min()), float(results.gain.max()), 100)
    axis.axhline(0.0, color="#999999", lw=0.8)
    axis.plot(
        gains,
        [dm.theory.tanh_spectrum(g).lyapunov.item() for g in gains],
        color="black",
        ls="--",
        lw=1.1,
        label="mean field",
    )
    for colour, units in zip(CYCLE, results.units.values, strict=False):
        at = results.sel(units=units)
        error = np.hypot(
            at.first_error.mean("seed"), at["first"].std("seed") / np.sqrt(at.sizes["seed"])
        )
        axis.errorbar(
            at.gain,
            at["first"].mean("seed"),
            2 * error,
            fmt="o",
            ms=4,
            lw=1,
            color=colour,
            label=f"N = {units}",
        )
    axis.set(
        xlabel="gain g of the weights",
        ylabel="first Lyapunov exponent (1/step)",
        title="order, then chaos",
    )
    axis.legend()


def _attractor(axis, results):
    for colour, units in zip(CYCLE, results.units.values, strict=False):
        at = results.sel(units=units).mean("seed")
        axis.plot(
            at.gain, at.dimension, "o", ms=4, color=colour, label=f"dimension / N, N = {units}"
        )
        axis.plot(at.gain, 10 * at.entropy, "x", ms=5, color=colour)
    at = results.isel(units=-1).mean("seed")
    axis.plot(at.gain, at.theory_dimension, color="black", ls="--", lw=1.1, label="mean field")
    axis.plot(
        at.gain, 10 * at.theory_entropy, color="black", ls=":", lw=1.1, label="mean field, entropy"
    )
    axis.plot([], [], "x", color="#555555", label="10 x entropy rate / N")
    axis.set(
        xlabel="gain g of the weights",
        ylabel="per unit",
        title="dimension and entropy are extensive",
    )
    axis.legend(fontsize=7.5)
