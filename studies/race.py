"""Which models learn to remember as long as was predicted before they were trained?

25 models, 3 seeds, copying one symbol (how long) and two (how long, and in which order), adding and
associative recall. For each model and seed the prediction comes first, by ``dm.predicted_delay``
from trainings at delays 4, 8 and 16; every point is stored with its time and checksum, all
predictions before the first measurement. Then every rung of the ladder is trained, and the last
edge bisected to a ratio of 1.2. Beside the prediction stand the older ones, the horizon of the
untrained network and theory's time scale.

The parts run apart, on one store: ``dynmem run race --set task='copy 1'``, then ``--set
task='copy 1','copy 2'`` adds a task and keeps the first; ``--set budget=300,600 --set
model=tanh,lstm,gru,lru,lmu,mamba,tcn,attention`` a second budget.
"""

import xarray as xr

from dynmem.outcomes.points import SOURCE
from dynmem.study import Study

from ._race import (
    LIMITS,
    MODELS,
    QUICK,
    RACE_UNITS,
    SETTINGS,
    TASKS,
    judge,
    point,
    rows,
)


def measure(stage, task, budget, model, seed, **settings):
    """One task, budget, model and seed: what is predicted, or what becomes of it."""
    return point(stage, model, seed, task, budget=budget, **settings)


def finish(results):
    """Prediction and outcome in a row for each model, for each task and budget."""
    found = [
        xr.concat(
            [judge(results.sel(task=task, budget=budget), str(task)) for budget in results.budget],
            results.budget,
        )
        for task in results.task.values
    ]
    return xr.concat(found, results.task, combine_attrs="drop_conflicts")


def summary(results):
    """Tables: one for each task and budget."""
    return "\n\n".join(
        f"{task}, {budget} steps\n{rows(results.sel(task=task, budget=budget))}"
        for task in results.task.values
        for budget in results.budget.values
    )


STUDY = Study(
    name="race",
    question="Which models learn to remember as long as was predicted before they were trained?",
    grid={
        "stage": ["predicted", "measured"],
        "task": list(TASKS),
        "budget": [600],
        "model": list(MODELS),
        "seed": [0, 1, 2],
    },
    settings={**SETTINGS, "delays": [4, 8, 16, 32, 64, 128, 256], "resolution": 1.2},
    quick={
        **QUICK,
        "task": ["copy 1", "copy 2"],
        "budget": [40],
        "model": ["tanh", "lstm", "tcn"],
    },
    units=RACE_UNITS,
    limits={**LIMITS, "model": list(MODELS), "task": list(TASKS)},
    source=SOURCE,
    measure=measure,
    finish=finish,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
