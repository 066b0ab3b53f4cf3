"""Gradients of linear networks over the lag, and exponents of random networks over the gain."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

CURVE_POINTS = 120  # gains at which the mean field is drawn
NOTE = (
    "Left: root mean square gradient of linear networks with Gaussian weights rescaled to "
    "spectral radius rho (lines: measured, and equal to theory for these matrices to rounding), "
    "against the law rho^lag (dashes). At first every direction counts, and their mean square "
    "grows a little below rho; later the few directions nearest to rho remain, and the slope is "
    "ln rho. Right: first Lyapunov exponent of random tanh networks, measured (dots: mean over "
    "seeds, bars: two standard errors) and as the slope of the gradient over the lag (crosses), "
    "on the mean-field curve of infinite networks (lines). Near gain 1 the finite network lies "
    "off the curve: its spectral radius scatters by about 1/sqrt(N) about the gain."
)


def draw(results):
    """Figure of the study ``vanishing``."""
    with house_style():
        figure, (left, right) = panels(
            2,
            title="How fast do gradients vanish or explode in a plain recurrent network?",
            note=NOTE,
            width=4.6,
        )
        _profiles(left, results)
        _exponents(right, results)
        return figure


def _profiles(axis, results):
    seed = results.seed.values[0]
    shown = [g for g in results.gain.values if 0.85 <= g <= 1.15]
    for colour, gain in zip(CYCLE, shown, strict=False):
        at = results.sel(gain=gain, seed=seed)
        axis.plot(at.lag, at.linear_gradient / np.log(10), color=colour, label=f"rho = {gain:g}")
        axis.plot(at.lag, at.linear_gradient_power / np.log(10), color=colour, ls="--", lw=1.1)
    axis.set(
        xlabel="lag (steps)",
        ylabel="log10 of the gradient d x(T) / d x(T - lag)",
        title="linear network: an echo to the power of the lag",
    )
    axis.plot([], [], color="#555555", ls="--", lw=1.1, label="rho^lag")
    axis.legend()


def _exponents(axis, results):
    import dynmem as dm

    gains = np.linspace(float(results.gain.min()), float(results.gain.max()), CURVE_POINTS)
    axis.axhline(0.0, color="#999999", lw=0.8)
    for colour, drive in zip((CYCLE[1], CYCLE[0]), results.drive.values, strict=False):
        at = results.sel(drive=drive)
        mean, seeds = at.lyapunov.mean("seed"), at.sizes["seed"]
        error = np.hypot(at.lyapunov_error.mean("seed"), at.lyapunov.std("seed") / np.sqrt(seeds))
        name = f"driven by noise of sd {drive:g}" if drive else "at rest"
        axis.plot(
            gains,
            [dm.theory.tanh_spectrum(g, 0.0, drive).lyapunov.item() for g in gains],
            color=colour,
            label=f"mean field, {name}",
        )
        axis.errorbar(
            at.gain, mean, 2 * error, fmt="o", color=colour, ms=4, lw=1, label=f"measured, {name}"
        )
        axis.plot(at.gain, at.slope.mean("seed"), "x", color=colour, ms=6)
    axis.plot([], [], "x", color="#555555", label="slope of the gradient")
    axis.set(
        xlabel="gain g of the weights",
        ylabel="first Lyapunov exponent (1/step)",
        title="tanh network: order, then chaos",
    )
    axis.legend()
