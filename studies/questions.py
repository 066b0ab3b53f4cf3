"""From how far back can a trained network answer a question?

Stories of persons, places and objects are read token by token; the place that answers lies a chosen
number of sentences back. One fact: "where is Mary?"; two facts: "where is the milk?", which joins
who took it with where that person went. Each architecture, as residual blocks with norms before and
the same width, is trained alike on stories whose distance varies, and tested at each distance on
stories that share none with training. The best guess without the story is one of the places, at a
loss of ln places.

All networks first reach the level of counting: to know how often a story names each place, but not
who went there, is right in 0.48 of the stories of one fact, at 1.11 nat (``counting``). The next
step is to bind a person and a place that stand two tokens apart, and there a selective scan stays:
it takes its step, B and C from one token at a time. Runs with one fact that show why, test loss
in nat by seed: the scan alone 1.11 after 6,000 steps at a rate of 3e-3, 1.12 after 2,000 at 1e-2;
with the gate of Mamba's block but no convolution (kernel 1) 1.10 after 4,000 and 1.09 after 2,500;
with a convolution over 4 tokens (of all channels) but no gate 0.02 after 600 and 0.06 after 800;
Mamba's block 0.00 after 600. It is no limit of what the scan can represent: with initial steps from
0.1 to 2 (published: 0.001 to 0.1) the loss began to fall after 2,800.

The LRU learns slowly, and only at a low rate: at 5e-3 it had not begun after 2,000 steps, at 2e-3
it fell below a tenth of the floor after 6,800. There moduli from 0.5 to 0.95 were ahead of the
whole disc (0.61 against 0.82 after 3,000), long memories of small phase (0.8 to 0.99, below 0.3)
behind (1.13). Hence that ring and twice the steps. Overwriting is not what stops it: half trained,
it was right more often about persons who had gone somewhere before (0.68 at two journeys, 0.62 at
one).
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study
from dynmem.tasks.questions import PLACES

LEARNING_RATES = {"attention": 3e-3, "lru": 2e-3}  # all others 5e-3
STEP_FACTORS = {"lru": 2}  # times as many steps as the others
# a linear recurrence and attention need two to bind words
LAYERS = {"gru": 1, "lstm": 1, "lru": 2, "selective": 2, "mamba": 2, "attention": 2}


def build(name, task, units, rng):
    """A model of the study at initialisation."""
    options = {
        "attention": {"heads": 4, "window": task.steps, "positions": "rotary"},
        "lru": {"r_min": 0.5, "r_max": 0.95},
    }.get(name, {})
    return dm.models.get(
        name,
        units=units,
        inputs=task.inputs,
        outputs=task.outputs,
        layers=LAYERS[name],
        placement="pre",
        feedforward=2 * units,
        rng=rng,
        **options,
    )


def stories(facts, sentences, distance=None):
    """Stories of three persons, four places and two objects."""
    return dm.tasks.get(
        "questions",
        facts=facts,
        sentences=sentences,
        distance=distance,
        persons=3,
        places=4,
        objects=2,
    )


def measure(model, facts, seed, units, sentences, steps, tested):
    """One architecture: accuracy and loss against the distance of the sentence that answers."""
    task = stories(facts, sentences)
    trained, history = dm.fit(
        build(model, task, units, seed),
        task,
        steps=STEP_FACTORS.get(model, 1) * steps,
        rng=seed,
        learning_rate=LEARNING_RATES.get(model, 5e-3),
        batch=32,
        validation_size=512,
        evaluate_every=100,
        stop=0.05,
        progress=False,
    )
    distances = np.arange(1, sentences + 1)
    found = np.array(
        [_test(trained, stories(facts, sentences, int(d)), tested, seed) for d in distances]
    )
    labels = (
        ("accuracy", "1", "share of right answers"),
        ("loss", "nat", "cross entropy of the answer"),
        ("loss_error", "nat", "standard error of the loss"),
        ("counted", "1", "share right of who counts the places of a story"),
        ("counted_loss", "nat", "cross entropy of who counts the places of a story"),
    )
    variables = {
        name: ("distance", found[:, i], {"units": units_, "long_name": text})
        for i, (name, units_, text) in enumerate(labels)
    }
    learned = [task.learned(loss, error) for _, loss, error, *_ in found]
    return xr.Dataset(
        {
            **variables,
            "learned": (
                "distance",
                np.array(learned, int),
                {"units": "1", "long_name": "loss and two errors below a tenth of the floor"},
            ),
            "held_out": (
                (),
                history.test_loss.item(),
                {"units": "nat", "long_name": "test loss over all distances"},
            ),
            "trained": (
                (),
                int(history.step[-1]),
                {"units": "step", "long_name": "training steps, ended early where all is learned"},
            ),
            "floor": (
                (),
                task.floor,
                {"units": "nat", "long_name": "loss of who has read the question alone"},
            ),
            "chance": (
                (),
                task.chance,
                {"units": "1", "long_name": "accuracy of who has read the question alone"},
            ),
        },
        {
            "distance": (
                "distance",
                distances,
                {"units": "sentence", "long_name": "distance of the sentence that answers"},
            )
        },
    )


def _test(model, task, count, rng):
    """Accuracy, loss and its standard error on the stories of the part "test", and accuracy and
    loss of counting on them."""
    inputs, targets = task.arrays(count, rng, part="test")
    outputs, _ = model.run(np.zeros((count, model.size)), task.encode(inputs))
    losses = np.array(
        [
            task.mean_loss(one[None], target[None])
            for one, target in zip(outputs, targets, strict=True)
        ]
    )
    return (
        task.accuracy(outputs, targets),
        losses.mean(),
        losses.std(ddof=1) / np.sqrt(count),
        *counting(task, inputs, targets),
    )


def counting(task, inputs, targets):
    """Accuracy and loss of a predictor that knows the share in which a story names each place, and
    not who went there."""
    first = task.vocabulary.index(PLACES[0])
    named = (inputs[:, :, None] == first + np.arange(task.places)).sum(1)
    right = named[np.arange(len(named)), targets[:, -1]]
    most = named == named.max(1, keepdims=True)
    return float(((right == named.max(1)) / most.sum(1)).mean()), float(
        -np.log(right / named.sum(1)).mean()
    )


def summary(results):
    """Table of accuracies by distance, mean over seeds, and at how many distances every seed has
    learned."""
    near = results.distance.values
    rows = [
        f"{'facts':>5} {'model':<10}" + "".join(f"{d:7d}" for d in near) + "   learned   "
        "accuracy by "
        "distance in "
        "sentences"
    ]
    for facts in results.facts.values:
        for model in results.model.values:
            at = results.sel(facts=facts, model=model)
            accuracy = "".join(f"{value:7.3f}" for value in at.accuracy.mean("seed").values)
            rows.append(
                f"{facts:5d} {model:<10}{accuracy}   {int(at.learned.all('seed').sum())} "
                f"of {len(near)}"
            )
        counted = results.counted.sel(facts=facts).mean(("model", "seed"))
        rows.append(
            f"{facts:5d} {'counting':<10}" + "".join(f"{value:7.3f}" for value in counted.values)
        )
        rows.append(
            f"{facts:5d} {'chance':<10}"
            + len(near) * f"{float(results.chance.sel(facts=facts).mean()):7.3f}"
        )
    return "\n".join(rows)


STUDY = Study(
    name="questions",
    question="From how far back can a trained network answer a question?",
    grid={"model": list(LAYERS), "facts": [1, 2], "seed": [0, 1]},
    settings={"units": 32, "sentences": 6, "steps": 4000, "tested": 400},
    quick={
        "model": ["gru", "mamba"],
        "facts": [1],
        "seed": [0],
        "units": 8,
        "sentences": 6,
        "steps": 20,
        "tested": 20,
    },
    units={
        "model": ("1", "model"),
        "facts": ("1", "facts that the answer needs"),
        "seed": ("1", "seed"),
    },
    limits={
        "facts": (1, 2),
        "seed": (0, None),
        "units": (4, 1024),
        "sentences": (5, 100),
        "steps": (1, 1_000_000),
        "tested": (2, 100_000),
    },
    source="in the manner of Weston et al. (2015), arXiv:1502.05698",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
