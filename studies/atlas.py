"""How long does a sequence model remember, and could one have known?

The memory atlas: theory, measurement, prediction and training, next to each other, for one model of
each kind.

For each: (a) theory of its memory at initialisation, the time scale -1/lambda_1 while it waits; (b)
the memory horizon of its Jacobians, before training and after; (c) the delay that it is predicted
to learn within the budget, before any delay above 16 is trained; (d) the delay of the copy task
that it does learn, over seeds. The TCN and attention end where their receptive field and their
window do.
"""

from dynmem.outcomes.points import SOURCE
from dynmem.study import Study

from ._race import LIMITS, MODELS, QUICK, RACE_UNITS, SETTINGS, judge, point, rows

TASK = "copy 1"
SHOWN = ["tanh", "orthogonal", "lstm", "gru", "cornn", "lru", "lmu", "mamba", "tcn", "attention"]


def measure(stage, model, seed, **settings):
    """One model and seed: what is predicted of it, or what becomes of it."""
    return point(stage, model, seed, TASK, **settings)


def finish(results):
    """Prediction and outcome in a row for each model."""
    return judge(results, TASK)


STUDY = Study(
    name="atlas",
    question="How long does a sequence model remember, and could one have known?",
    grid={"stage": ["predicted", "measured"], "model": SHOWN, "seed": [0, 1]},
    settings={**SETTINGS, "delays": [4, 8, 16, 32, 64, 128], "budget": 300, "resolution": 1.5},
    quick={**QUICK, "model": ["tanh", "lstm", "tcn"], "budget": 60},
    units={name: RACE_UNITS[name] for name in ("stage", "model", "seed")},
    limits={**LIMITS, "model": list(MODELS)},
    source=SOURCE,
    measure=measure,
    finish=finish,
    summary=rows,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
