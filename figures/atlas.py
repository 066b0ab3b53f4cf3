"""The memory atlas: gradients while a network waits, predictions, and the delays that are
learned."""

import numpy as np

from dynmem.outcomes.drawing import draw_rows
from dynmem.plotting import colour_of, house_style, name_of, panels

NOTE = (
    "Networks of 32 units read a symbol, wait, and must recall it; each has one colour. Left: the "
    "gradient over the lag while they wait, before training (1: nothing is lost; dashed: of the "
    "output by the input, where the state is too large). Middle, in one unit: bars, the delay "
    "that was predicted before any delay above 16 was trained, with its interval from 5 to 95 %, "
    "in the colour of the limit that binds (red: the training steps; blue: the cue is not visible "
    "in the gradient; green: a window; grey: none up to the longest delay); dots, the longest "
    "delay that was learned, and the edge to the next that failed; below them, what theory says "
    "of the untrained network (-1/lambda_1), and memory horizons before and after training. "
    "Arrows: at least, beyond the longest delay or lag that was tried. Right: held-out loss over "
    "that of the best guess without memory, median and range over seeds; below the dots a delay "
    "counts as learned."
)
LEAST = 1e-3  # loss over floor that is drawn


def draw(results):
    """Figure of the study ``atlas``."""
    with house_style():
        figure, (left, middle, right) = panels(
            3,
            title="How long does a sequence model remember, and could one have known?",
            note=NOTE,
            width=4.6,
            height=4.6,
        )
        for model in results.model.values:
            one, colour = results.sel(model=model), colour_of(model)
            logs = one.log_gradient.median("seed")
            dashes = "--" if one.horizon_of == "input" else "-"
            gradient = np.exp(np.clip(logs - logs[0], -30.0, 3.0))
            left.loglog(one.lag[1:], gradient[1:], dashes, color=colour)
            loss = np.maximum(one.loss_over_floor, LEAST)
            right.plot(one.delay, loss.median("seed"), "o-", color=colour)
            right.fill_between(
                one.delay, loss.min("seed"), loss.max("seed"), color=colour, alpha=0.12, lw=0
            )
        left.set(
            xlabel="lag (steps)",
            ylabel="gradient over the lag / that at lag 0",
            ylim=(1e-4, 20.0),
            title="before training, gradients fade",
        )
        draw_rows(middle, results)
        colours = {name_of(model): colour_of(model) for model in results.model.values}
        for tick in middle.get_yticklabels():
            tick.set(fontweight="bold", color=colours[tick.get_text()])
        middle.set_title("theory, prediction and outcome")
        right.set(
            xscale="log",
            yscale="log",
            xlabel="delay of the copy task (steps)",
            ylabel="held-out loss / memoryless floor",
            title="training succeeds, or not",
            ylim=(0.6 * LEAST, 1.6),
        )
        right.set_xticks(results.delay.values, [f"{d}" for d in results.delay.values])
        right.minorticks_off()
        right.axhline(1.0, color="#999999", lw=0.8)
        right.axhline(0.1, color="#999999", lw=0.8, ls=":")
        return figure
