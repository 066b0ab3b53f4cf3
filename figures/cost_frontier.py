"""Which architecture remembers longest, what each costs, and where each is the cheapest."""

import numpy as np

from dynmem.plotting import house_style, panels

MODEL_STYLES = {  # colour, marker, name
    "lstm": ("#386641", "o", "LSTM"),
    "attention": ("#b23a48", "s", "attention"),
    "tcn": ("#e09f3e", "^", "TCN"),
    "s4d": ("#2a6f97", "v", "S4D"),
    "lru": ("#6d597a", "D", "LRU"),
    "selective": ("#8c8c8c", "P", "selective"),
}
NOTE = (
    "Stacks of {budget:,} parameters (within {within:.0%}), trained alike: {steps} steps of "
    "{batch} sequences, {seeds} seeds. Memory is 1 - loss/floor: 0 is the best guess, exactly, 1 "
    "a perfect answer; on the plateau at 5/8 the two symbols are known, not their order. (a) "
    "lines: mean over seeds, dots: each seed. (b) forward and backward, one sequence; dashes: "
    "predicted operations of the mixers, all divided by one rate, that of attention at its "
    "longest; each stack is built for the length (window, depth of the TCN). (c, d) memory "
    "against seconds: steps times the measured cost of one. (e) the model that recalls most after "
    "a number of seconds, if above 0.1; it keeps its place until another is ahead by 0.02. (f) "
    "one layer, one sequence: above its line a model trains faster than attention, where the line "
    "lies on the lower edge at every length; the dashes are 2 d, from where an LSTM does fewer "
    "operations. All seconds are processor time on one core, measured while no training ran."
)


def look(name):
    """Colour, marker and name of a model."""
    return MODEL_STYLES.get(str(name), ("#333333", "x", str(name)))


def draw(results):
    """Figure of the study ``cost_frontier``."""
    import json

    parameters = json.loads(results.attrs["parameters"])
    results = results.sortby("delay")
    within = float(abs(results.parameters / parameters["budget"] - 1).max())
    note = NOTE.format(
        budget=parameters["budget"],
        within=within,
        steps=parameters["steps"],
        batch=parameters["batch"],
        seeds=results.sizes["seed"],
    )
    with house_style():
        figure, axes = panels(
            3,
            2,
            title="Who remembers longest for what it costs: one stack, six mixers",
            note=note,
            width=4.4,
            height=3.5,
        )
        _memory(axes[0], results)
        _seconds(axes[1], results)
        delays = results.delay.values
        for axis, delay, letter in (
            (axes[2], delays[max(0, len(delays) - 2)], "c"),
            (axes[3], delays[-1], "d"),
        ):
            _frontier(axis, results.sel(delay=delay), f"({letter}) frontier at delay {delay}")
        _winners(axes[4], results)
        _widths(axes[5], results)
        return figure


def _memory(axis, results):
    last = results.recalled.isel(step=-1)
    for i, name in enumerate(results.model.values):
        colour, marker, text = look(name)
        at = last.sel(model=name)
        x = results.delay * 1.03 ** (i - 2.5)  # side by side, for the eye
        axis.plot(x, at.mean("seed"), color=colour, marker=marker, label=text)
        for seed in range(results.sizes["seed"]):
            axis.plot(x, at.isel(seed=seed), ".", color=colour, ms=3)
    axis.axhline(0, color="#555555", lw=0.8, ls="--")
    axis.axhline(5 / 8, color="#999999", lw=0.8, ls=":")
    axis.set(
        xscale="log",
        xlabel="delay (steps)",
        ylabel="recalled, 1 - loss/floor",
        ylim=(-0.05, 1.05),
        title="(a) equal steps of training",
    )
    axis.set_xticks(results.delay.values, [str(d) for d in results.delay.values])
    axis.minorticks_off()
    axis.legend(loc="lower left", ncols=2)


def _seconds(axis, results):
    attention = (
        results.sel(model="attention") if "attention" in results.model else results.isel(model=0)
    )
    measured = np.flatnonzero(np.isfinite(attention.training_seconds.values))[-1]
    rate = float(attention.training_seconds[measured] / attention.operations[measured])
    for name in results.model.values:
        colour, marker, _ = look(name)
        at = results.sel(model=name)
        axis.plot(results.length, at.training_seconds, color=colour, marker=marker)
        axis.plot(results.length, rate * at.operations, "--", color=colour, lw=0.9)
        if name != "attention" and "attention" in results.model:
            crossing = float(results.crossover.sel(model="attention", versus=name))
            if 0 < crossing < np.inf:
                height = np.exp(
                    np.interp(np.log(crossing), np.log(results.length), np.log(at.training_seconds))
                )
                axis.plot(crossing, height, "o", ms=10, mfc="none", mec=colour, mew=1.4)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="length of the sequence (steps)",
        ylabel="seconds forward and backward",
        title="(b) cost; rings: cheaper than attention",
        ylim=(float(results.training_seconds.min()) / 4, None),
    )


def _frontier(axis, results, title):
    for name in results.model.values:
        colour, marker, _ = look(name)
        at = results.sel(model=name)
        axis.plot(
            results.step[1:] * at.step_seconds,
            at.recalled.mean("seed")[1:],
            color=colour,
            marker=marker,
            ms=3.5,
            markevery=2,
        )
    axis.axhline(0, color="#555555", lw=0.8, ls="--")
    axis.axhline(5 / 8, color="#999999", lw=0.8, ls=":")
    axis.set(
        xscale="log",
        xlabel="seconds of training on one core",
        ylabel="recalled, 1 - loss/floor",
        ylim=(-0.05, 1.05),
        title=title,
    )


def leaders(reached, lead=0.02):
    """The model ahead at each of the rising budgets, from what was reached (model, budget): one
    that leads stays until another is ahead by ``lead``.

    >>> leaders(np.array([[0.5, 0.99, 1.0], [0.1, 1.0, 1.0]])).tolist()
    [0, 0, 0]
    """
    found = [int(reached[:, 0].argmax())]
    for now in reached.T[1:]:
        found.append(int(now.argmax()) if now.max() > now[found[-1]] + lead else found[-1])
    return np.array(found)


def _winners(axis, results):
    from matplotlib.colors import ListedColormap

    budgets = np.geomspace(
        float(results.step[1] * results.step_seconds.min()),
        float(results.step[-1] * results.step_seconds.max()),
        80,
    )
    best = np.full((len(budgets), results.sizes["delay"]), np.nan)
    for j, delay in enumerate(results.delay.values):
        at = results.sel(delay=delay)
        spent = [
            (results.step * at.step_seconds.sel(model=name)).values for name in results.model.values
        ]
        recalled = at.recalled.mean("seed").transpose("model", "step").values
        reached = np.array(
            [
                row[np.searchsorted(seconds, budgets, side="right") - 1]
                for row, seconds in zip(recalled, spent, strict=True)
            ]
        )
        best[:, j] = np.where(reached.max(0) > 0.1, leaders(reached), np.nan)
    colours = ListedColormap([look(name)[0] for name in results.model.values])
    axis.pcolormesh(
        np.arange(results.sizes["delay"]),
        budgets,
        best,
        cmap=colours,
        vmin=-0.5,
        vmax=results.sizes["model"] - 0.5,
        shading="nearest",
        rasterized=True,
    )
    axis.set(
        yscale="log",
        xlabel="delay (steps)",
        ylabel="seconds of training on one core",
        title="(e) who recalls most",
    )
    axis.set_xticks(np.arange(results.sizes["delay"]), [str(d) for d in results.delay.values])
    axis.grid(False)


def _widths(axis, results):
    low, high = float(results.length[0]), float(results.length[-1])
    for name in results.mixer.values:
        colour, marker, text = look(name)
        crossing = results.attention_crossover.sel(mixer=name)
        axis.plot(
            results.units,
            crossing.clip(low, None).where(np.isfinite(crossing)),
            color=colour,
            marker=marker,
            label=text,
        )
    axis.plot(
        results.units,
        results.operations_crossover,
        "--",
        color=look("lstm")[0],
        lw=1,
        label="LSTM, operations",
    )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="units of the layer",
        ylabel="length (steps)",
        title="(f) faster than attention above",
        ylim=(min(low, float(results.operations_crossover.min())) * 0.8, high),
    )
    axis.set_xticks(results.units.values, [str(w) for w in results.units.values])
    axis.minorticks_off()
    axis.legend(loc="upper left")
