"""Predictions against outcomes: every model, task and budget of the study ``race``."""

import numpy as np

from dynmem.outcomes.drawing import LIMIT_COLOURS, draw_scatter
from dynmem.plotting import OTHER_COLOUR, house_style, panels

NOTE = (
    "Above: the delay that was predicted before any longer one was trained, and the longest that "
    "was learned; grey: within a factor of 1.5; bars: the interval of the prediction, and the "
    "edge with its standard error over seeds; triangles: at least. The colour is the limit that "
    "binds. Below: training steps until a delay was learned, over the SNR^2 of the weakest mode "
    "in one batch of the untrained network, every model, delay and seed; crosses: not learned."
)


def draw(results):
    """Figure of the study ``race``."""
    tasks, budget = results.task.values, results.budget.values[-1]
    with house_style():
        figure, axes = panels(
            len(tasks),
            2,
            title="What a network will learn to remember, predicted and seen",
            note=NOTE,
            width=4.6,
            height=4.0,
        )
        for place, task in enumerate(tasks):
            one = results.sel(task=task, budget=budget)
            axis = axes[place]
            draw_scatter(axis, one)
            axis.set_title(f"{task}: {axis.get_title(loc='left').partition(': ')[2]}")
            _steps(axes[len(tasks) + place], one, int(budget))
        return figure


def _steps(axis, one, budget):
    """Steps to learn over SNR^2 of the untrained network."""
    for model in one.model.values:
        at = one.sel(model=model).transpose("seed", "delay", ...)
        colour = LIMIT_COLOURS.get(str(at.limit.values), OTHER_COLOUR)
        ratio = np.clip(at.snr_squared.values, 1e-12, 1e8)
        steps = at.steps_needed.values
        axis.plot(ratio.ravel(), steps.ravel(), "o", color=colour, ms=3, alpha=0.7)
        failed = np.isfinite(ratio) & np.isnan(steps)
        axis.plot(ratio[failed], np.full(failed.sum(), 1.15 * budget), "x", color=colour, ms=3)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="SNR$^2$ of the weakest mode, untrained",
        ylabel="training steps until learned",
    )
