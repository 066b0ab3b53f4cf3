"""Naming the speaker after a silence: accuracy against the silence, and against the gradient."""

import numpy as np

from dynmem.plotting import COLOURS, house_style, name_of, panels

MODEL_COLOURS = {"lru": "#e09f3e", "s4d": "#2a6f97"}
NAMES = {"lru": "LRU, ring 0.9 to 0.999", "s4d": "S4D", "tanh": "tanh"}
NOTE = (
    "Nine Japanese men; 270 utterances of 7 to 29 frames for training, of which 36 form the "
    "validation set, and 370 for the test; the answer is due after a number of silent frames of "
    "6.4 ms. Left: accuracy (lines: mean over seeds, dots: seeds) after the same training for "
    "all; dashed: always naming the most frequent speaker. Filled dots have learned: their test "
    "loss lies, with two standard errors, below half of that of guessing, {learned} of {all}; "
    "open ones have not. Right: the same dots over ln |d x_T / d x_(T-silence)| (largest singular "
    "value, network at rest) of the untrained network. Where next to nothing of a gradient "
    "crosses the silence, less than about e^-15, nothing is learned. It is necessary, not "
    "sufficient: the largest singular value is that of the slowest mode, and an LRU whose few "
    "slowest modes cross a long silence names fewer speakers than S4D, which has many."
)
NO_DATA_TEXT = "no speech: the package aeon is not installed\n(pip install 'dynmem[speech]')"


def draw(results):
    """Figure of the study ``speech``."""
    note = NOTE.format(learned=int(results.learned.sum()), all=results.learned.size)
    with house_style():
        figure, (left, right) = panels(
            2, title="Who spoke? The answer after a silence", note=note, width=5.0
        )
        silence = results.silence.values.astype(float)
        for model in results.model.values.tolist():
            at, colour = (
                results.sel(model=model),
                MODEL_COLOURS.get(model, COLOURS.get(model, "#333333")),
            )
            left.plot(
                silence,
                at.accuracy.mean("seed"),
                color=colour,
                label=NAMES.get(model, name_of(model)),
            )
            far = at.sel(silence=at.silence > 0)
            _dots(left, at.accuracy, at.silence, at.learned, colour)
            _dots(right, far.accuracy, far.log_gradient, far.learned, colour)
        if np.isnan(results.accuracy).all():
            left.text(
                0.5, 0.5, NO_DATA_TEXT, ha="center", transform=left.transAxes, color="#b23a48"
            )
        else:
            for axis in (left, right):
                axis.axhline(float(results.chance.max()), ls="--", lw=1, color="#777777")
        left.set_xscale("symlog", linthresh=10, linscale=0.6)
        left.set_xlim(-0.8, 1.15 * max(silence.max(), 1.0))
        left.set_xticks(silence, [f"{s:g}" for s in silence])
        left.set(
            xlabel="silence (frames)",
            ylabel="speakers named rightly in the test",
            ylim=(0, 1.02),
            title="over the silence",
        )
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=8)
        right.set_xscale("symlog", linthresh=1)
        right.set_xlim(right=0.5)
        right.set(
            xlabel="ln of the gradient over the silence, untrained",
            ylabel="speakers named rightly in the test",
            ylim=(0, 1.02),
            title="over the gradient at the start",
        )
        return figure


def _dots(axis, values, at, learned, colour):
    """One dot a network, filled where it has learned."""
    at = at.broadcast_like(values).values
    for which, face in ((learned.values == 1, colour), (learned.values != 1, "white")):
        axis.plot(at[which], values.values[which], "o", color=colour, mfc=face, ms=4)
