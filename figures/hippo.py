"""The past read back from the state of each HiPPO memory, and its error over the lag."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NAMES = {
    "legs": "LegS: exponential weight",
    "legt": "LegT: sliding window",
    "lagt": "LagT: Laguerre functions",
    "fourier": "Fourier: sliding window",
}
NOTE = (
    "Upper row: noise of frequencies up to {band:g} radians per theta, the original (grey), and "
    "read back from {order} coefficients (colour). Lower row: root mean square error over the "
    "signal's own, measured over the run (dots) and predicted from the transfer function of the "
    "memory (lines): they agree without a parameter. A window (LegT, Fourier) is read back well "
    "up to theta and holds nothing beyond; LegS resolves the recent past finely and the distant "
    "past coarsely, and forgets slowly; LagT, here with the time constant theta/N, delays low "
    "frequencies longer than high ones, and rings where the signal is new. Fourier assumes a "
    "periodic window, with the largest error at its two ends. Dots that stay above their line "
    "(LegT) are the hold of the input over a step, which the prediction leaves out."
)


def draw(results):
    """Figure of the study ``hippo``."""
    band = results.band.values[np.argmin(np.abs(np.log(results.band.values / 20)))]
    order = results.order.values[np.argmin(np.abs(results.order.values - 32))]
    at = results.sel(band=band).isel(seed=0)
    with house_style():
        figure, axes = panels(
            len(NAMES),
            2,
            title="What each HiPPO measure remembers",
            note=NOTE.format(band=band, order=order),
            width=3.3,
            height=2.8,
            sharex=True,
            sharey="row",
        )
        for column, (measure, title) in enumerate(NAMES.items()):
            if measure not in at.measure.values:
                continue
            past, error = axes[column], axes[column + len(NAMES)]
            here = at.sel(measure=measure, order=order)
            past.plot(here.lag, here.past, color="#bbbbbb", lw=2.5, label="as it was")
            past.plot(here.lag, here.read_back, color=CYCLE[0], lw=1.2, label="as read back")
            past.set(title=title, xlabel="how long ago (theta)", ylim=(-3.6, 3.6))
            _errors(error, at.sel(measure=measure))
        axes[0].set_ylabel("signal (its own rms)")
        axes[len(NAMES)].set_ylabel("rms error / rms of the signal")
        axes[0].legend(loc="upper right", ncol=2)
        axes[len(NAMES)].legend(title="coefficients N", loc="lower right", ncol=2)
        return figure


def _errors(axis, at):
    axis.axhline(1.0, color="#999999", lw=0.8)
    for colour, order in zip(
        CYCLE[::-1] if at.sizes["order"] > len(CYCLE) else CYCLE, at.order.values, strict=False
    ):
        here = at.sel(order=order)
        axis.semilogy(
            here.lag, np.maximum(here.predicted, 1e-9), color=colour, lw=1.2, label=f"{order}"
        )
        axis.semilogy(here.lag[::4], here.error[::4], "o", color=colour, ms=2.5)
    axis.set(xlabel="how long ago (theta)", ylim=(1e-6, 4.0))
