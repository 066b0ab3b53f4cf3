"""A race: for each model the delay that it is predicted to learn, and the one that it does."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.progress import in_notebook
from ..runtime.validation import all_errors, integer, number, public
from ..study import Study, failures
from ..tasks import Task
from ..training.memory.learnable_delay import LADDER
from ..training.memory.memory_signal import _whole_numbers
from ..training.memory.recipe import Recipe
from ..training.memory.sequence_module import task_at
from ..typing import ArrayLike
from .entrants import Entrant, Named, entrants
from .points import SOURCE, STAGES, UNITS, measure_entrant, merged
from .verdicts import judged

if TYPE_CHECKING:
    from xarray import Dataset


def settings_of(
    delays: ArrayLike,
    budget: int,
    batch: int,
    optimizer: str,
    clip: float | None,
    evaluate_every: int,
    resolution: float,
) -> dict[str, Any]:
    """Options that all points of a race share, checked, as the settings of a study."""
    with all_errors() as check:
        ladder = check(_whole_numbers, "delays", delays, 0)
        recipe = check(Recipe, budget, batch, 1.0, optimizer, clip)
        every = check(integer, "evaluate_every", evaluate_every)
        resolution = check(number, "resolution", resolution, above=1)
    if len(ladder) < 2:
        raise ValueError(
            f"delays = {list(ladder)}: pass two or more, the longest of which is predicted"
        )
    return {
        "delays": list(ladder),
        "budget": recipe.steps,
        "batch": recipe.batch,
        "optimizer": optimizer,
        "clip": clip,
        "evaluate_every": every,
        "resolution": resolution,
    }


@dataclass(frozen=True)
class Contest:
    """What a study measures: the points of a race between models of the user."""

    task: Any
    units: int
    learning_rate: float
    own: Mapping[str, Entrant]

    def __call__(self, stage: str, model: str, seed: int, **settings: Any) -> Dataset:
        usual = Entrant(Named(model, self.units), self.learning_rate)
        entrant = self.own.get(model, usual)
        return measure_entrant(stage, entrant, self.task, seed=seed, **settings)


@public
def race(
    models: Any,
    task: Any = "copy",
    *,
    delays: ArrayLike = LADDER,
    seeds: int | ArrayLike = 3,
    budget: int = 600,
    units: int = 32,
    matched: str | None = None,
    batch: int = 64,
    learning_rate: float | Mapping[str, float] = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    evaluate_every: int = 20,
    resolution: float = 1.2,
    store: str | Path | None = None,
    workers: int | None = 1,
    progress: bool | None = None,
) -> Dataset:
    """Predict for each model the longest delay that it will learn, measure it, and judge.

    For every model and seed first the prediction, then the truth; a store holds all predictions
    before any delay beyond the ladder of a prediction (the three shortest delays) is trained.
    Beside them stand the time scale that theory gives the untrained network while it waits, and
    the memory horizon of its Jacobians before and after training. ``print(dm.table(result))``
    shows a row for each model, ``dm.outcomes.picture(result)`` draws them.

    Parameters
    ----------
    models : str, pair, Map, torch.nn.Module, callable, or a list or dict of these
        A name of ``dm.models``; a pair (name, options of ``dm.models.get``); a system or a module
        as for ``dm.memory_signal``; a function (task, rng) that returns one of them. The keys of a
        dict are the labels.
    task : Task, str or callable
        A task of ``dm.tasks``, or a function of the delay that returns one. "copy" is that of one
        symbol among four, scored where it is recalled.
    delays : array_like of int
        The ladder, in steps.
    seeds : int or array_like of int
        Number of seeds, from 0, or the seeds.
    budget : int
        Training steps.
    units : int
        Units of a model that is named.
    matched : {None, "parameters", "state", "operations"}
        What models that are named have in common with the first one that is not, or else with the
        first of all, at the longest delay: they get the width for it. None: ``units`` for all.
    batch : int
        Sequences of a training step.
    learning_rate : float or dict of str to float
        For all models, or for each by its label.
    optimizer, clip
        As for ``dm.fit``.
    evaluate_every : int
        Steps between evaluations.
    resolution : float above 1
        Ratio of the two sides of the last edge, as for ``dm.learnable_delay``.
    store : path, optional
        Folder that keeps each prediction and each measurement, from which a race that was stopped
        goes on.
    workers : int or None
        Number of processes; None: one a core.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.

    Returns
    -------
    xarray.Dataset
        predicted_delay : (model,), step
            Geometric mean over seeds of ``dm.predicted_delay``; half the shortest delay stands for
            none.
        predicted_delay_lower : (model,), step
            Lower end of the interval, 5 %.
        predicted_delay_upper : (model,), step
            Upper end, 95 %; infinite where nothing binds up to the longest delay.
        limit : (model,), 1
            The limit that binds in most seeds: "visible", "trainable", "hard" or "none ...".
        time_scale : (model,), step
            -1/lambda_1 of the untrained network while it waits, by theory, median over seeds; NaN
            where there is none (``no_theory`` says why).
        horizon : (model,), step
            Memory horizon of the untrained network, median over seeds; infinite beyond twice the
            longest delay.
        trained_horizon : (model,), step
            The same once trained at the longest delay that it learned.
        learnable_delay : (model,), step
            Geometric mean over seeds of the longest delay that was learned; half the shortest one
            stands for none.
        learnable_delay_lower : (model,), step
            That mean less one standard error over seeds.
        learnable_delay_upper : (model,), step
            Mean of the next longer delay that failed, and one standard error more; infinite where
            the ladder ended.
        in_order : (model,), 1
            Of the other models that learned clearly more or less, the share that were predicted to.
        verdict : (model,), 1
            "holds": the intervals of prediction and outcome meet; "holds in order": they do not,
            and ``in_order`` is 3/4 or more; "fails"; "undefined" where a run failed.
        rank_correlation : (predictor,), 1
            Spearman's, over models: of the prediction, the untrained horizon, the time scale.
        rank_correlation_lower : (predictor,), 1
            Lower end of its interval, 2.5 %, by a bootstrap over models.
        rank_correlation_upper : (predictor,), 1
            Upper end, 97.5 %.
        share_within : (predictor,), 1
            Share of models within a factor of 1.5.
        share_within_lower, share_within_upper : (predictor,), 1
            Its interval.
        compared : (predictor,), 1
            Models that the predictor has a number for.
        units, parameters, state_size : (model,), 1
            Size of each model; NaN where it cannot be counted.

        Besides, for each seed, what ``dm.predicted_delay``, ``dm.learnable_delay`` and the
        gradients gave (``seed_predicted_delay``, ``longest_learned``, ``state``, ``log_gradient``
        ...), the times at which they were made, and ``status``.

    Raises
    ------
    ShapeError
        Where a model does not fit the task.
    ValueError
        For options out of range, and where every run failed.
    ChangedError
        Where the store holds another race.

    References
    ----------
    ``dm.predicted_delay`` and ``dm.learnable_delay``.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    >>> options = {"units": 8, "learning_rate": 1e-2, "budget": 60, "batch": 16}
    >>> found = dm.race(["tanh", "gru"], task, delays=[1, 2], seeds=1, **options)
    >>> found.verdict.dims, set(found.verdict.values) <= {"holds", "holds in order", "fails"}
    (('model',), True)
    """
    settings = settings_of(delays, budget, batch, optimizer, clip, evaluate_every, resolution)
    wanted = range(integer("seeds", seeds)) if np.ndim(seeds) == 0 else seeds
    wanted = list(_whole_numbers("seeds", wanted, 0))
    task, units = _task(task), integer("units", units)
    longest = task_at(task, settings["delays"][-1])
    found = entrants(models, longest, units=units, learning_rate=learning_rate, matched=matched)
    for delay in settings["delays"]:
        task_at(task, delay)  # refuses delays that the task cannot have
    rate = 1e-3 if isinstance(learning_rate, Mapping) else float(learning_rate)
    own = {k: e for k, e in found.items() if e != Entrant(Named(k, units), rate)}
    study = Study(
        name="race",
        question="Does each model learn to remember as long as was predicted?",
        grid={"stage": list(STAGES), "model": list(found), "seed": wanted},
        settings=settings,
        units=UNITS,
        measure=Contest(task, units, rate, own),
        source=SOURCE,
    )
    shown = in_notebook() or sys.stderr.isatty() if progress is None else progress
    with ExitStack() as stack:
        if store is None:
            store = stack.enter_context(tempfile.TemporaryDirectory(prefix="dynmem-race-"))
        results = study.run(output=store, workers=workers, progress=shown).load()
    failed = failures(results)
    if len(failed) == results.status.size:
        raise ValueError(f"every run failed: {failed[0]['error']}")
    return judged(merged(results), longest)


def _task(task: Any) -> Any:
    """The task itself; "copy" is that of one symbol among four, scored where it is recalled."""
    from .. import tasks

    if isinstance(task, str) and task == "copy":
        return tasks.get("copy", symbols=4, length=1, scored="recalled")
    if isinstance(task, (Task, str)) or callable(task):
        return task
    raise TypeError(f"{type(task).__name__} is no task: pass a task of dm.tasks, or a function")
