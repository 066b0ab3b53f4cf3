"""Shared by the studies that set predictions beside outcomes: models by name, tasks, one point.

Rates of Adam, chosen once by hand (none is tuned to a delay): 1e-2 for gated cells and oscillators,
1e-3 for a ReLU network that starts at the identity, 3e-3 for all others.
"""

import numpy as np

import dynmem as dm
from dynmem.outcomes.entrants import Entrant, Named
from dynmem.outcomes.points import UNITS, measure_entrant, merged
from dynmem.outcomes.verdicts import judged

GATED, PLAIN, IDENTITY = 1e-2, 3e-3, 1e-3
# name in the studies: name in dm.models, options, learning rate
MODELS = {
    "tanh": ("tanh", {"init": "uniform"}, PLAIN),
    "tanh, gain 1.5": ("tanh", {"gain": 1.5}, PLAIN),
    "tanh, orthogonal start": ("tanh", {"init": "orthogonal"}, PLAIN),
    "relu, identity start": ("relu", {}, IDENTITY),
    "orthogonal": ("orthogonal", {"nonlinearity": "modrelu"}, PLAIN),
    "lstm": ("lstm", {"init": "uniform", "forget_bias": 1.0}, GATED),
    "lstm, chrono 80": ("lstm", {"init": "uniform", "chrono": 80.0}, GATED),
    "lstm, chrono 320": ("lstm", {"init": "uniform", "chrono": 320.0}, GATED),
    "gru": ("gru", {"init": "uniform"}, GATED),
    "gru, update bias 2": ("gru", {"init": "uniform", "update_bias": 2.0}, GATED),
    "cornn": ("cornn", {}, GATED),
    "lmu": ("lmu", {}, PLAIN),
    "lmu, theta 20": ("lmu", {"theta": 20.0}, PLAIN),
    "lru": ("lru", {}, PLAIN),
    "lru, ring 0.9 to 0.99": ("lru", {"r_min": 0.9, "r_max": 0.99}, PLAIN),
    "s5": ("s5", {}, PLAIN),
    "s4d": ("s4d", {}, PLAIN),
    "s4": ("s4", {}, PLAIN),
    "selective": ("selective", {}, PLAIN),
    "mamba": ("mamba", {}, PLAIN),
    "linear attention": ("linear_attention", {}, PLAIN),
    "tcn": ("tcn", {"layers": 4, "init": "he"}, PLAIN),
    "tcn, 6 layers": ("tcn", {"layers": 6, "init": "he"}, PLAIN),
    "attention": ("attention", {"window": 48, "heads": 2}, PLAIN),
    "attention, window 192": ("attention", {"window": 192, "heads": 2}, PLAIN),
}
TASKS = {
    "copy 1": ("copy", {"symbols": 4, "length": 1, "scored": "recalled"}),
    "copy 2": ("copy", {"symbols": 4, "length": 2, "scored": "recalled"}),
    "adding": ("adding", {}),
    "recall": ("associative_recall", {}),
}
RACE_UNITS = {**UNITS, "task": ("1", "task"), "budget": ("step", "training steps")}
LIMITS = {
    "seed": (0, None),
    "units": (2, 1024),
    "delays": (1, 10_000),
    "budget": (1, 1_000_000),
    "batch": (1, 4096),
    "evaluate_every": (1, 1_000_000),
    "resolution": (1.01, 16.0),
}
SETTINGS = {
    "units": 32,
    "batch": 32,
    "optimizer": "adam",
    "clip": 1.0,
    "evaluate_every": 20,
}
QUICK = {"units": 8, "batch": 16, "delays": [2, 4], "resolution": 2.0, "seed": [0]}


def task_of(name):
    """A task of these studies."""
    kind, options = TASKS[name]
    return dm.tasks.get(kind, **options)


def point(stage, model, seed, task, units, **settings):
    """Prediction or measurement of one model and seed."""
    name, options, rate = MODELS[model]
    entrant = Entrant(Named(name, units, options), rate)
    return measure_entrant(stage, entrant, task_of(task), seed=seed, **settings)


def judge(results, task):
    """The points of one task with their verdicts."""
    return judged(merged(results), task_of(task).with_delay(int(results.delay[-1])))


def rows(results):
    """Table: a row for each model, then how well each predictor does."""
    columns = ["time_scale", "horizon", "trained_horizon", "predicted_delay", "learnable_delay"]
    order = np.argsort(-results.learnable_delay.values, kind="stable")
    scores = ["rank_correlation", "share_within", "compared"]
    return "\n".join(
        [
            dm.table(results.isel(model=order), columns=[*columns, "limit", "verdict"]),
            "",
            dm.table(results, rows="predictor", columns=scores),
        ]
    )
