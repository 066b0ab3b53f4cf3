"""Pre-Norm, Post-Norm, DeepNorm and no norm over depth: stream, gradients, spectrum, training."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

PLACEMENT_STYLES = {
    "pre": (CYCLE[0], "Pre-Norm"),
    "post": (CYCLE[1], "Post-Norm"),
    "deepnorm": (CYCLE[2], "DeepNorm"),
    "none": (CYCLE[6], "no norm"),
}
NOTE = (
    "Above, dots: random Transformers (causal attention with scores of zero, ReLU layers), mean "
    "over seeds; lines: mean field of infinite width, without fitted parameters. Without a norm "
    "stream and gradient grow by a factor for each block and leave the frames. Under Pre-Norm the "
    "stream grows linearly, so that the gradient of the last block falls as layers^(-1/2); "
    "Post-Norm holds the stream at one and that gradient flat; DeepNorm holds the stream too, and "
    "its small branches let the gradient fall as layers^(-1/2). The first exponent is 1/2 ln 3 a "
    "block without a norm and 0 under Post-Norm; under Pre-Norm all go to 0 as ln(layers)/layers, "
    "which is a power law in depth. Below: small Transformers on a copy task, Adam at one rate, "
    "the same initialisations; geometric means over the seeds whose loss stayed finite: at 16 "
    "blocks Post-Norm needs the warm-up, and without a norm nothing is learned. Right: gradient "
    "of the task's loss at each block of the deepest that were trained, before (dots) and after "
    "training with warm-up (dashes)."
)


def draw(results):
    """Figure of the study ``norms``."""
    with house_style():
        figure, axes = panels(
            3,
            2,
            title="Where should the norm stand in a deep residual network?",
            note=NOTE,
            width=4.3,
            height=3.5,
        )
        _stream(axes[0], results)
        _last_gradient(axes[1], results)
        _spectrum(axes[2], results)
        _training(axes[3], results, 0)
        _training(axes[4], results, 1)
        _by_block(axes[5], results)
        return figure


def _stream(axis, results):
    deepest = results.isel(layers=-1).mean("seed")
    for placement, (colour, name) in PLACEMENT_STYLES.items():
        at = deepest.sel(placement=placement)
        axis.plot(at.block, at.predicted_variance, color=colour, label=name)
        axis.plot(at.block[::2], at.variance[::2], "o", color=colour, ms=3.5)
    ticks = 2 ** np.arange(int(np.log2(deepest.sizes["block"])) + 1)
    axis.set(
        xscale="log",
        yscale="log",
        ylim=(0.3, 1e4),
        xticks=ticks,
        xticklabels=ticks,
        xlabel="block",
        ylabel="variance of the stream, a component",
        title=f"stream of {int(deepest.layers)} blocks",
    )
    axis.minorticks_off()
    axis.legend(loc="upper left")


def _last_gradient(axis, results):
    layers = results.layers.values
    for placement, (colour, name) in PLACEMENT_STYLES.items():
        at = results.sel(placement=placement)
        for variable, style in (
            ("predicted_feedforward_gradient", "-"),
            ("feedforward_gradient", "o"),
        ):
            values = [
                np.sqrt(float((at[variable].sel(layers=n, block=n) ** 2).mean("seed")))
                for n in layers
            ]
            axis.plot(
                layers, values, style, color=colour, ms=4.5, label=name if style == "-" else None
            )
    axis.set(
        xscale="log",
        yscale="log",
        ylim=(0.3, 300),
        xticks=layers,
        xticklabels=layers,
        xlabel="residual blocks in the stack",
        ylabel="|d loss / d W2| at the last block",
        title="gradient at the last block",
    )
    axis.minorticks_off()


def _spectrum(axis, results):
    deepest = results.isel(layers=-1)
    width = 4 * deepest.sizes["exponent"] / 3
    axis.axhline(0.0, color="#999999", lw=0.8)
    for placement, (colour, _) in PLACEMENT_STYLES.items():
        at = deepest.sel(placement=placement)
        kappa = (at.exponent - 0.5) / width
        axis.plot(kappa, at.predicted_lyapunov.mean("seed"), color=colour)
        axis.plot(kappa[::6], at.lyapunov.mean("seed")[::6], "o", color=colour, ms=3.5)
    axis.set(
        xlabel="kappa, share of the directions that grow faster",
        ylabel="Lyapunov exponent over depth (1/block)",
        title=f"depth as time, {int(deepest.layers)} blocks",
    )


def _training(axis, results, which):
    shown = results.loss.dropna("layers", how="all").isel(layers=which)
    for placement, (colour, _) in PLACEMENT_STYLES.items():
        for warmup, style in zip(shown.warmup_steps.values, ("--", "-"), strict=True):
            at = shown.sel(placement=placement, warmup_steps=warmup)
            axis.plot(at.step, np.exp(np.log(at).mean("seed")), style, color=colour)
    for warmup, style in zip(shown.warmup_steps.values, ("--", "-"), strict=True):
        axis.plot(
            [],
            [],
            style,
            color="#555555",
            label=f"warm-up of {warmup} steps" if warmup else "without warm-up",
        )
    axis.axhline(1.0, color="#999999", lw=0.8)
    axis.set(
        yscale="log",
        xlabel="training step",
        ylabel="held-out loss over the floor",
        title=f"copy task, {int(shown.layers)} blocks",
    )
    if which == 0:
        axis.legend(loc="lower left")


def _by_block(axis, results):
    shown = results.task_gradient.dropna("layers", how="all").isel(layers=-1, warmup_steps=-1)
    for placement, (colour, _) in PLACEMENT_STYLES.items():
        for stage, style in (("start", "-"), ("trained", "--")):
            at = np.sqrt((shown.sel(placement=placement, stage=stage) ** 2).mean("seed"))
            axis.plot(
                shown.block, at, style, color=colour, marker="o" if stage == "start" else None, ms=3
            )
    axis.set(
        yscale="log",
        xlabel="block",
        ylabel="|d loss / d W2| of the task",
        title=f"each layer's share, {int(shown.layers)} blocks",
        xticks=np.unique(np.linspace(1, int(shown.layers), 6).astype(int)),
    )
