"""Accuracy against the distance of the supporting fact, one curve for each architecture."""

import json

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NAMES = {
    "gru": "GRU",
    "lstm": "LSTM",
    "lru": "LRU, 2 layers, twice the steps",
    "selective": "selective scan alone, 2 layers",
    "mamba": "Mamba's block, 2 layers",
    "attention": "attention, 2 layers",
}
SEED_MARKERS = "osD^vP"
TITLES = {1: "one fact: where is Mary?", 2: "two facts: where is the milk?"}
NOTE = (
    "Share of right answers on stories that share none with training, against how many sentences "
    "back the place was named: a line is one seed ({} of each), shifted so that marks do not "
    "overlap. A filled mark has learned: loss and two standard errors below a tenth of the loss "
    "of the best guess from the question alone (dashes); an open one has not. Dots: a predictor "
    "that counts how often the story names each place. All were trained on stories of all "
    "distances at once, for at most {:,} steps, the LRU, which needs a lower rate, for twice as "
    "many. The selective scan alone reads one token at a time and hardly gets beyond counting; "
    "Mamba's block puts a convolution over four tokens before the same scan, and a gate behind "
    "it. No model learned two facts at every distance in that time."
)


def draw(results):
    """Figure of the study ``questions``."""
    with house_style():
        count, steps = results.sizes["facts"], json.loads(results.attrs["parameters"])["steps"]
        figure, axes = panels(
            count,
            title="From how far back a trained network answers",
            note=NOTE.format(results.sizes["seed"], steps),
            width=5.2 if count > 1 else 6.5,
            sharey=True,
        )
        for axis, facts in zip(axes, results.facts.values, strict=True):
            _panel(axis, results.sel(facts=facts))
            axis.set(
                title=TITLES[int(facts)], xlabel="distance of the sentence that answers (sentences)"
            )
        axes[0].set_ylabel("share of right answers")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
        return figure


def _panel(axis, at):
    """Curves of one number of facts, seeds as marks beside one another."""
    models, near = at.model.values, at.distance.values
    for i, model in enumerate(models):
        accuracy, colour, mark = (
            at.accuracy.sel(model=model),
            CYCLE[i % len(CYCLE)],
            SEED_MARKERS[i % len(SEED_MARKERS)],
        )
        x = near + 0.09 * (i - (len(models) - 1) / 2)
        for seed in at.seed.values:
            learned, one = (
                at.learned.sel(model=model, seed=seed).values > 0,
                accuracy.sel(seed=seed).values,
            )
            axis.plot(x, one, "-", lw=1.2, color=colour)
            axis.plot(x[~learned], one[~learned], mark, color=colour, mfc="white", ms=5)
            axis.plot(x[learned], one[learned], mark, color=colour, ms=5)
        axis.plot(
            [], [], "-", marker=mark, ms=5, color=colour, label=NAMES.get(str(model), str(model))
        )
    axis.plot(
        near,
        at.counted.mean(("model", "seed")),
        ":",
        color="#222222",
        lw=1.8,
        label="counting the places",
    )
    axis.plot(
        near,
        np.full(len(near), float(at.chance.mean())),
        "--",
        color="#555555",
        lw=1,
        label="question alone",
    )
    axis.set(
        ylim=(0.0, 1.05), xticks=np.unique(np.linspace(1, int(near[-1]), 8).round().astype(int))
    )
