"""Accuracy against the distance of the supporting fact, one curve an architecture."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NAMES = {"gru": "GRU", "lstm": "LSTM", "lru": "LRU, 2 layers", "selective": "selective (Mamba), 2 layers", "attention": "attention, 2 layers"}
TITLES = {1: "one fact: where is Mary?", 2: "two facts: where is the milk?"}
NOTE = (
    "Share of right answers on stories that share none with training, against how many sentences back the place was named: mean over seeds "
    "({} here), dots single seeds. Who has read the question alone is right in one of four (dashes). All have the same width and were trained by "
    "one recipe, for the same number of steps at most, on stories of all distances. A curve at 1 has learned the rule, whatever the distance; a "
    "flat one below it has learned it at no distance, in as many steps."
)


def draw(results):
    """Figure of the study ``questions``."""
    with house_style():
        count = results.sizes["facts"]
        figure, axes = panels(count, title="From how far back a trained network answers", note=NOTE.format(results.sizes["seed"]),
                              width=4.8 if count > 1 else 6.5, sharey=True)
        for axis, facts in zip(axes, results.facts.values, strict=True):
            at = results.sel(facts=facts)
            for i, model in enumerate(results.model.values):
                accuracy, colour = at.accuracy.sel(model=model), CYCLE[i % len(CYCLE)]
                # curves that lie on one another: each thinner than the one below it
                axis.plot(results.distance, accuracy.mean("seed"), "-", lw=max(8.0 - 1.7 * i, 1.0), color=colour,
                          label=NAMES.get(str(model), str(model)))
                for seed in results.seed.values:
                    axis.plot(results.distance, accuracy.sel(seed=seed), "o", color=colour, ms=max(8.0 - 1.3 * i, 2.0), alpha=0.6)
            axis.axhline(float(at.chance.mean()), color="#555555", ls="--", lw=1)
            axis.annotate("question alone", (results.distance[-1], float(at.chance.mean())), (0, 3), textcoords="offset points", ha="right",
                          fontsize=8.5, color="#555555")
            axis.set(xlabel="distance of the sentence that answers (sentences)", ylabel="share of right answers", title=TITLES[int(facts)],
                     ylim=(0.0, 1.03), xticks=np.unique(np.linspace(1, int(results.distance[-1]), 8).round().astype(int)))
        axes[-1].legend(loc="center right", bbox_to_anchor=(1.0, 0.72))
        return figure
