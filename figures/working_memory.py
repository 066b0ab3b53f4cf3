"""Memories of trained networks as attractors: fixed points, their number, and how they last."""

import numpy as np

from dynmem.plotting import COLOURS, house_style, panels

NAMES = {"tanh": "tanh", "gru": "GRU"}
TITLES = {"flip_flop": "flip-flop", "delayed_match": "delayed match"}
POINT_MARKERS = (
    ("o", "#386641", "stable"),
    ("D", "#b23a48", "one direction grows"),
    ("s", "#e09f3e", "two grow"),
    ("^", "#6d597a", "three or more"),
)
NOTE = (
    "Networks trained on two tasks of memory (upper row: flip-flop, the sign of the last pulse on "
    "each bit; lower: delayed match, which of 2^bits symbols was shown {silence} steps ago). "
    "Left: states that were visited (grey) and all fixed points found in silence, in their three "
    "leading principal components, in an oblique projection, one network each. Middle: stable "
    "fixed points (filled) and those with an unstable direction (open), each seed, against theory "
    "(lines): 2^bits memories and, for independent bistable bits, 3^bits - 2^bits ridges between "
    "them. Right: share of right answers after silences longer than those of training, which had "
    "{silence} steps or, in the flip-flop, ten on average; mean over seeds; pale where not all "
    "seeds learned the task, with a test loss and two standard errors below a tenth of that "
    "without memory ({learned} of {all} networks did). What must be held for an unknown time is "
    "held in a stable point, without limit; a fixed delay needs no attractor, and what is learned "
    "is a slow passage that is read in time. Stable points beyond theory's lie along directions "
    "that hardly decay, and some ridges between them were not found (the alternating sum of "
    "counts should be 1)."
)


def draw(results):
    """Figure of the study ``working_memory``."""
    with house_style():
        figure, axes = panels(
            3,
            results.sizes["task"],
            title="Are trained memories attractors, as many as theory names?",
            width=4.3,
            height=3.2,
            note=NOTE.format(
                silence=int(results.silence[0]),
                learned=int(results.learned.sum()),
                all=results.learned.size,
            ),
        )
        for row, task in enumerate(results.task.values):
            model = results.model.values[0 if task == "flip_flop" else -1]
            at = results.isel(bits=-1, seed=0).sel(task=task, model=model)
            _cloud(
                axes[3 * row],
                at,
                f"{TITLES[str(task)]} ({NAMES.get(str(model), model)}, "
                f"{int(at.bits)} bit{'s' if at.bits > 1 else ''})",
            )
            _counts(axes[3 * row + 1], results.sel(task=task), str(task))
            _recall(axes[3 * row + 2], results.sel(task=task), legend=row == 0)
        return figure


def _oblique(points):
    """Two coordinates of points (..., 3)."""
    return points[..., 0] + 0.45 * points[..., 2], points[..., 1] + 0.3 * points[..., 2]


def _cloud(axis, at, title):
    axis.plot(*_oblique(at.visited.values), ".", color="#bbbbbb", ms=3, zorder=1)
    for kind, (mark, colour, text) in enumerate(POINT_MARKERS):
        of_kind = at.point_growing.values == kind if kind < 3 else at.point_growing.values >= kind
        if of_kind.any():
            axis.plot(
                *_oblique(at.point_at.values[of_kind]),
                mark,
                color=colour,
                ms=6.5 if kind < 3 else 8.0,
                label=text,
                zorder=5 - kind,
                mec="white",
                mew=0.6,
            )
    low, high = np.array([[f(c) for c in _oblique(at.visited.values)] for f in (np.min, np.max)])
    room = 0.2 * (high - low)
    axis.set(
        xlabel="principal components 1 and 3",
        ylabel="principal components 2 and 3",
        title=title,
        xlim=(low[0] - room[0], high[0] + room[0]),
        ylim=(low[1] - room[1], high[1] + 2.2 * room[1]),
    )
    axis.legend(loc="upper left", ncols=2, handletextpad=0.2, columnspacing=0.8)


def _counts(axis, results, task):
    bits = results.bits.values
    axis.plot(
        bits,
        results.predicted_points.isel(growing=0, model=0, seed=0),
        "-",
        color="#555555",
        lw=1,
        label="theory, stable",
    )
    if task == "flip_flop":
        axis.plot(bits, 3.0**bits - 2.0**bits, "--", color="#555555", lw=1, label="theory, ridges")
    models = results.model.values
    for i, model in enumerate(models):
        for j, seed in enumerate(results.seed.values):
            at, aside = (
                results.sel(model=model, seed=seed),
                0.14 * (i - (len(models) - 1) / 2) + 0.05 * (j - (results.sizes["seed"] - 1) / 2),
            )
            colour, name = (
                COLOURS[str(model)],
                NAMES.get(str(model), str(model)) if j == 0 else None,
            )
            axis.plot(bits + aside, at.memories, "o", color=colour, ms=6, label=name)
            axis.plot(
                bits + aside, at.points[:, 1:].sum("growing"), "o", mfc="none", mec=colour, ms=6
            )
    axis.set_yscale("symlog", linthresh=1.0)
    ticks = [0, 1, 2, 4, 8, 16, 32]
    axis.set_yticks(ticks, ticks)
    axis.minorticks_off()
    axis.set(
        xlabel="bits to be held",
        ylabel="fixed points",
        title=f"{TITLES[task]}: fixed points in silence",
        xticks=bits,
        ylim=(-0.3, 250),
    )
    axis.legend(loc="upper left", ncols=2)


def _recall(axis, results, legend):
    styles = ("-", "--", ":", "-.")
    for model in results.model.values:
        for style, bits in zip(styles, results.bits.values, strict=False):
            at = results.sel(model=model, bits=bits)
            axis.plot(
                at.silence,
                at.recall.mean("seed"),
                style,
                marker="o",
                color=COLOURS[str(model)],
                alpha=1.0 if bool(at.learned.all()) else 0.35,
                label=f"{NAMES.get(str(model), model)}, {int(bits)} bit{'s' if bits > 1 else ''}",
            )
    axis.axhline(0.5, color="#999999", lw=1)
    axis.set(
        xscale="log",
        xlabel="silence (steps)",
        ylabel="share of right answers",
        title="memory beyond training",
        ylim=(-0.03, 1.05),
    )
    if legend:
        axis.legend(loc="lower left", ncols=2)
