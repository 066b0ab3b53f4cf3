"""Valid times, learned exponents, and gradients that grow at lambda_1, one colour a model."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NAMES = {
    "esn": "echo state",
    "gru": "GRU",
    "lstm": "LSTM",
    "lru": "LRU, 2 layers",
    "s4d": "S4D, 2 layers",
}
NOTE = (
    "Networks trained on one orbit of a chaotic system (Lorenz-63 unless stated otherwise), then "
    "left to run on their own output. Left: Lyapunov times until the error of the forecast first "
    "exceeds 0.4, mean over starts and seeds, dots single seeds; line: {asked:g} times the "
    "{floor:.2f} of the forecast that never moves, above which, with two standard errors, a "
    "network has learned, as {learned} of {all} have; filled, trained with teacher forcing at "
    "every step; pale, trained further with teacher forcing once in the doubling time of errors "
    "(the echo-state readout is a ridge regression and has no second stage). Middle: the first "
    "three Lyapunov exponents of each network as a dynamical system of its own, lines the true "
    "ones; the vertical axis is linear within 1 and logarithmic beyond. The third is the rate at "
    "which an orbit returns to the attractor, which data on the attractor hardly contain; a "
    "network whose own memory fades more slowly shows that rate in its place. Right: the largest "
    "gradient d y(t+lag)/d y(t) along each network's own orbit, over its value at lag 1; dashes: "
    "the system itself; grey: slope lambda_1. The second stage is also more training; there is no "
    "control with teacher forcing at every step for as long."
)


def draw(results):
    """Figure of the study ``chaos_forecast``."""
    note = NOTE.format(
        asked=float(results.asked.max()),
        floor=float(results.floor.mean()),
        learned=int(results.learned.sum()),
        all=int(results.learned.count()),
    )
    with house_style():
        figure, (times, spectrum, growth) = panels(
            3,
            title="Chaos, learned: how far the forecast reaches, and what was learned",
            width=4.3,
            note=note,
        )
        models = results.model.values
        colours = {model: CYCLE[i % len(CYCLE)] for i, model in enumerate(models)}
        _times(times, results, colours)
        _spectrum(spectrum, results, colours)
        _growth(growth, results, colours)
        return figure


def _times(axis, results, colours):
    for i, (model, colour) in enumerate(colours.items()):
        stages = results.sel(model=model).dropna("stage", how="all", subset=["valid_time"])
        for j, stage in enumerate(stages.stage.values):
            found, at = (
                stages.valid_time.sel(stage=stage),
                i + 0.4 * (j - (stages.sizes["stage"] - 1) / 2),
            )
            axis.bar(
                at, found.mean("seed"), 0.36, color=colour, alpha=1.0 if j == 0 else 0.35, zorder=2
            )
            axis.plot(np.full(found.size, at), found, "o", color="#222222", ms=3, zorder=3)
    axis.axhline(
        float((results.asked * results.floor).mean()), color="#777777", ls="--", lw=1, zorder=4
    )
    axis.set_xticks(
        range(len(colours)),
        [NAMES.get(str(model), str(model)).replace(", ", "\n") for model in colours],
    )
    axis.set(ylabel="valid time (Lyapunov times)", title="forecast")
    axis.grid(axis="x", visible=False)


def _spectrum(axis, results, colours):
    first = results.isel(stage=0)
    true = first.true_lyapunov.isel(model=0, seed=0).values
    for value in true:
        axis.axhline(value, color="#555555", ls="--", lw=1)
    for i, (model, colour) in enumerate(colours.items()):
        for seed in first.seed.values:
            axis.plot(
                np.arange(len(true)) + 1 + 0.12 * (i - (len(colours) - 1) / 2),
                first.lyapunov.sel(model=model, seed=seed),
                "o",
                color=colour,
                ms=5.5,
                alpha=0.75,
                label=NAMES.get(str(model), str(model)) if seed == first.seed.values[0] else None,
            )
    axis.set_yscale("symlog", linthresh=1.0)
    axis.set_xticks(range(1, len(true) + 1), [f"$\\lambda_{i + 1}$" for i in range(len(true))])
    axis.set(ylabel="exponent (1/time unit)", title="exponents that were learned")
    axis.set_xlabel("Lyapunov exponent")
    axis.legend(loc="lower left", bbox_to_anchor=(0.0, 0.07))


def _growth(axis, results, colours):
    first = results.isel(stage=0)
    lag = first.lag.values
    start = int(np.argmin(abs(lag - 1.0)))
    for model, colour in colours.items():
        logs = first.log_gradient.sel(model=model).mean("seed")
        axis.plot(
            lag[start:],
            np.exp(logs - logs[start])[start:],
            color=colour,
            label=NAMES.get(str(model), str(model)),
        )
    true = first.true_log_gradient.isel(model=0, seed=0)
    axis.plot(lag[start:], np.exp(true - true[start])[start:], "k--", lw=1.2)
    axis.plot(
        lag[start:], np.exp(lag - lag[start])[start:], color="#aaaaaa", lw=5, alpha=0.5, zorder=0
    )
    axis.set(
        yscale="log",
        xlabel="lag (Lyapunov times)",
        ylabel="gradient over that at lag 1",
        title="gradients must explode",
    )
