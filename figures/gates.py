"""Learnable delay of six recurrent networks against the time scale predicted beforehand."""

import numpy as np

from dynmem.plotting import colour_of, house_style, name_of, panels

NOTE = (
    "Left: share of seeds that learned the copy task (test loss below a tenth of the "
    "memoryless floor) at each delay; lines are set apart a little where they coincide. Right: "
    "the longest learnable delay of each seed against the time scale -1/lambda_1 of the "
    "untrained network, measured while it waits (filled) and by theory (open); the line marks "
    "delay = time scale, arrows an infinite one. A time scale as long as the delay is there before "
    "training in the networks on the line or right of it; those above it had to lengthen theirs "
    "in training, which the initialisation alone does not decide: the store holds the trained "
    "exponent (exponent_after) next to each loss."
)
MAX_TIME_SCALE = 1000.0


def draw(results):
    """Figure of the study ``gates``."""
    with house_style():
        figure, (left, right) = panels(
            2,
            title="Which networks learn to remember, and does theory say so beforehand?",
            note=NOTE,
            width=4.8,
        )
        for i, model in enumerate(results.model.values):
            at, colour = results.sel(model=model), colour_of(model)
            left.plot(
                at.delay,
                at.learned.mean("seed") + 0.012 * (2.5 - i),
                "o-",
                color=colour,
                label=name_of(model),
                alpha=0.85,
            )
            longest = at.isel(delay=-1)
            reach = np.maximum(at.learnable_delay.values, 2.0)
            _points(right, longest.predicted_time_scale.values, reach, colour, "white")
            _points(right, longest.measured_time_scale.values, reach, colour, colour)
        left.set(
            xscale="log",
            xlabel="delay (steps)",
            ylabel="share of seeds that learned",
            title="training, by delay",
            ylim=(-0.05, 1.05),
        )
        left.set_xticks(results.delay.values, [f"{d}" for d in results.delay.values])
        left.minorticks_off()
        left.legend(loc="center right")
        line = np.array([1.0, MAX_TIME_SCALE])
        right.plot(line, line, color="#999999", lw=0.9)
        right.set(
            xscale="log",
            yscale="log",
            xlabel="time scale -1/lambda_1 before training (steps)",
            ylabel="longest learnable delay (steps)",
            title="theory before, training after",
            xlim=(1, 1500),
            ylim=(1.6, 400),
        )
        return figure


def _points(axis, time_scales, reach, colour, face):
    for i, (x, y) in enumerate(zip(time_scales, reach, strict=True)):
        far = not np.isfinite(x) or x > MAX_TIME_SCALE
        axis.plot(
            MAX_TIME_SCALE if far else x,
            y * 1.06 ** (i - 1),
            ">" if far else "o",
            mfc=face,
            mec=colour,
            ms=6.5,
        )
