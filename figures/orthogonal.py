"""Orthogonal networks under noise: an isometry keeps gradients, a tanh network loses them."""

import numpy as np

from dynmem.plotting import COLOURS, CYCLE, house_style, panels

NOTE = (
    "Left: root mean square gradient over the lag for noise of standard deviation s at each unit: "
    "linear and modReLU networks (grey, on top of one another) stay at 1, tanh networks fall; "
    "dashes: mean field. Without noise (s = 0) tanh is measured near its rest, where it is an "
    "isometry too. Middle: first Lyapunov exponent over s, measured (dots, mean over seeds) and "
    "mean field (line). Right: test loss of the copy task after training, one dot a seed; "
    "'free' starts orthogonal and is trained without the constraint."
)
LABELS = {"linear": "linear", "tanh": "tanh", "modrelu": "modReLU", "tanh_free": "tanh, free"}


def draw(results):
    """Figure of the study ``orthogonal``."""
    with house_style():
        title = "Why does an orthogonal start alone not save a tanh network?"
        figure, (left, middle, right) = panels(3, title=title, note=NOTE, width=4.0)
        _profiles(left, results)
        _exponents(middle, results)
        _training(right, results)
        return figure


def _profiles(axis, results):
    at = results.mean("seed")
    axis.plot(
        at.lag,
        at.gradient.sel(network="linear").isel(drive=-1) / np.log(10),
        color=COLOURS["linear"],
        lw=3,
        label="linear",
    )
    if "modrelu" in at.network:
        axis.plot(
            at.lag,
            at.gradient.sel(network="modrelu").isel(drive=-1) / np.log(10),
            color=COLOURS["orthogonal"],
            lw=1,
            label="modReLU",
        )
    for colour, drive in zip(CYCLE[1:], [d for d in at.drive.values if d > 0], strict=False):
        one = at.sel(network="tanh", drive=drive)
        axis.plot(
            at.lag,
            one.gradient / np.log(10),
            color=colour,
            lw=3,
            alpha=0.55,
            label=f"tanh, s = {drive:g}",
        )
        axis.plot(at.lag, one.predicted_gradient / np.log(10), "--", color="black", lw=0.9)
    axis.plot([], [], "--", color="black", lw=0.9, label="mean field")
    axis.set(
        xlabel="lag (steps)", ylabel="log10 |d x(T) / d x(T - lag)|", title="gradients over the lag"
    )
    axis.legend(loc="lower left")


def _exponents(axis, results):
    import dynmem as dm

    drives = np.linspace(0.0, float(results.drive.max()), 80)
    axis.plot(
        drives,
        [dm.theory.orthogonal_tanh_spectrum(s).lyapunov.item() for s in drives],
        color=COLOURS["tanh"],
        label="mean field, tanh",
    )
    for kind, marker in (("linear", "s"), ("modrelu", "x"), ("tanh", "o")):
        if kind in results.network.values:
            colour = {
                "linear": COLOURS["linear"],
                "modrelu": COLOURS["orthogonal"],
                "tanh": COLOURS["tanh"],
            }[kind]
            axis.plot(
                results.drive,
                results.lyapunov.sel(network=kind).mean("seed"),
                marker,
                color=colour,
                label=f"measured, {LABELS[kind]}",
            )
    axis.set(
        xlabel="standard deviation s of the noise",
        ylabel="first Lyapunov exponent (1/step)",
        title="saturation costs memory",
    )
    axis.legend()


def _training(axis, results):
    for i, kind in enumerate(results.network.values):
        losses = np.maximum(results.loss_over_floor.sel(network=kind), 1e-3)
        axis.semilogy(
            i + 0.12 * (np.arange(losses.size) - 0.5 * (losses.size - 1)),
            losses,
            "o",
            color=CYCLE[i % len(CYCLE)],
        )
    axis.axhline(1.0, color="#999999", lw=0.8)
    axis.axhline(0.1, color="#999999", lw=0.8, ls=":")
    axis.set_xticks(range(results.sizes["network"]), [LABELS[k] for k in results.network.values])
    axis.set(
        ylabel="test loss / memoryless floor",
        title="copy task after training",
        ylim=(6e-4, 10.0),
    )
