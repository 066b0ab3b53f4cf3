"""The memory atlas: gradients while a network waits, theory, and the delays that are learned."""

import numpy as np

from dynmem.plotting import colour_of, house_style, name_of, panels

NOTE = (
    "Networks of 64 units read two symbols, wait, and must recall both. Left: the largest "
    "gradient from the state after the symbols to the state a number of steps later, before "
    "training (1: nothing is lost). Middle: memory horizon, the lag at which it has fallen to "
    "1/e. Theory gives the time scale -1/lambda_1 of its last slope (diamonds); the measured one "
    "(circles) lies a little higher, since gradients that are not normal hold up at first; "
    "filled: after training at the longest delay; arrows: beyond 1000 steps. Right: "
    "test loss after training over that of the best guess without memory (1); below the dots "
    "the delay counts as learned."
)
MAX_HORIZON = 1500.0


def draw(results):
    """Figure of the study ``atlas``."""
    at = results.isel(seed=0)
    with house_style():
        figure, (left, middle, right) = panels(
            3, title="How long does a recurrent network remember?", note=NOTE, width=4.1, height=3.7
        )
        for model in at.model.values:
            one, colour = at.sel(model=model), colour_of(model)
            left.loglog(
                one.lag[1:],
                np.exp(np.maximum(one.gradient.isel(delay=-1)[1:], -30.0)),
                color=colour,
            )
            right.plot(one.delay, np.maximum(one.loss_over_floor, 1e-3), "o-", color=colour)
        left.set(
            xlabel="lag (steps)",
            ylabel="|d x(lag) / d x(0)|",
            ylim=(1e-4, 5.0),
            title="before training, gradients fade",
        )
        _horizons(middle, at)
        right.set(
            xscale="log",
            yscale="log",
            xlabel="delay of the copy task (steps)",
            ylabel="test loss / memoryless floor",
            title="training succeeds, or not",
            ylim=(8e-4, 1.6),
        )
        right.set_xticks(at.delay.values, [f"{d}" for d in at.delay.values])
        right.minorticks_off()
        right.axhline(1.0, color="#999999", lw=0.8)
        right.axhline(0.1, color="#999999", lw=0.8, ls=":")
        return figure


def _horizons(axis, at):
    models = list(at.model.values)[::-1]
    for row, model in enumerate(models):
        one, colour = at.sel(model=model).isel(delay=-1), colour_of(model)
        for name, marker, face, lift in (
            ("predicted_time_scale", "D", "white", 0.16),
            ("measured_horizon", "o", "white", 0.0),
            ("trained_horizon", "o", colour, -0.16),
        ):
            value = float(one[name])
            axis.plot(
                min(value, MAX_HORIZON),
                row + lift,
                marker=marker if value < MAX_HORIZON else ">",
                mfc=face,
                mec=colour,
                color=colour,
                ms=6.5,
            )
    for marker, face, text in (
        ("D", "white", "theory, untrained"),
        ("o", "white", "measured, untrained"),
        ("o", "#555555", "measured, trained"),
    ):
        axis.plot([], [], marker, mfc=face, mec="#555555", label=text)
    axis.set(
        xscale="log",
        xlabel="time scale, memory horizon (steps)",
        title="what theory says of it",
        ylim=(-1.9, len(models) - 0.5),
        xlim=(0.8, 2200),
    )
    axis.set_yticks(range(len(models)), [name_of(m) for m in models], fontweight="bold")
    for tick, model in zip(axis.get_yticklabels(), models, strict=True):
        tick.set_color(colour_of(model))
    axis.legend(loc="lower right", ncols=1)
