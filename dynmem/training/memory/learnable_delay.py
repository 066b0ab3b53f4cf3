"""Learnable delay: the longest delay that a training bridges within a budget of steps."""

from __future__ import annotations

import hashlib
import json
import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import dataset
from ...runtime import files
from ...runtime.progress import progress_bar
from ...runtime.validation import all_errors, integer, number, public
from ...typing import ArrayLike
from ..loop import torch_threads
from .memory_signal import _whole_numbers
from .recipe import Recipe
from .sequence_module import name_of, sequence_module, task_at
from .short_fit import STATES, Outcome, short_fit

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "measured by training; states after the two plateaus of the copy task"
LADDER = (4, 8, 16, 32, 64, 128, 256)


@public
def learnable_delay(
    model: Any,
    task: Any,
    *,
    delays: ArrayLike = LADDER,
    seeds: int | ArrayLike = 3,
    budget: int = 600,
    units: int = 32,
    batch: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    evaluate_every: int = 20,
    resolution: float = 1.2,
    store: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> Dataset:
    """Measure the longest delay that a model learns to bridge within a budget of training steps.

    Each seed trains the model anew at every delay of the ladder, since what is learnable need not
    be monotone: a network may fail at 16 and learn 32. Then the edge, between the longest delay
    that was learned and the next one, is bisected (in logarithms) until its two sides differ by
    less than ``resolution``. A training ends when held-out sequences are below a tenth of the floor
    (``task.learned``), or with the budget.

    Parameters
    ----------
    model : str, Map, torch.nn.Module or callable
        As for ``dm.memory_signal``. A name, or a function (task, rng), is drawn anew for each seed;
        of a system or a module the seed changes the training sequences alone.
    task : Task, str, xarray.Dataset or callable
        As for ``dm.memory_signal``.
    delays : array_like of int
        The ladder, in steps.
    seeds : int or array_like of int
        Number of seeds, from 0, or the seeds.
    budget : int
        Training steps.
    units : int
        Units of a model that is named.
    batch, learning_rate, optimizer, clip
        As for ``dm.fit``.
    evaluate_every : int
        Steps between evaluations.
    resolution : float above 1
        Ratio of the two sides of the last edge.
    store : path, optional
        A JSON file that is written after each training; a run that was interrupted goes on from it.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.

    Returns
    -------
    xarray.Dataset
        learnable_delay : (), step
            Geometric mean of ``longest_learned`` over the seeds; 0 where a seed learned none.
        learnable_delay_error : (), step
            Its standard error, from the scatter over seeds; NaN for one seed.
        longest_learned : (seed,), step
            The longest delay that was learned, 0 for none.
        next_failed : (seed,), step
            The shortest delay beyond it that was tried and not learned; infinite where the ladder
            ends with a delay that was learned, so that ``longest_learned`` is a lower bound.
        all_shorter : (seed,), step
            The longest delay of which all shorter ones that were tried were learned too.
        share_learned : (seed,), 1
            Share of the ladder that was learned.
        state : (seed, delay), 1
            -1 not tried, 0 nothing, 1 a part (which symbols, not their order), 2 learned.
        steps_needed : (seed, delay), step
            Training steps until it was learned, to within ``evaluate_every``; NaN where it was not.
        loss_over_floor : (seed, delay), 1
            Least held-out loss over the floor without memory.
        diverged : (seed, delay), 1
            1 where outputs, a loss or a gradient became infinite or NaN.

    Raises
    ------
    ShapeError
        Where model and task do not fit.
    ValueError
        For options out of range, and a store of another measurement.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    >>> found = dm.learnable_delay(
    ...     "gru", task, delays=[1, 2], seeds=1, units=8, learning_rate=1e-2, budget=300
    ... )
    >>> found.state.values.tolist(), float(found.learnable_delay), float(found.next_failed[0])
    ([[2, 2]], 2.0, inf)
    """
    with all_errors() as check:
        ladder = check(_whole_numbers, "delays", delays, 0)
        wanted = range(integer("seeds", seeds)) if np.ndim(seeds) == 0 else seeds
        wanted = check(_whole_numbers, "seeds", wanted, 0)
        recipe = check(Recipe, budget, batch, learning_rate, optimizer, clip)
        every = check(integer, "evaluate_every", evaluate_every)
        units = check(integer, "units", units)
        resolution = check(number, "resolution", resolution, above=1)
    given = {"units": units, "evaluate_every": every, **recipe.attributes()}
    rows = _Rows(store, model, task_at(task, ladder[0]), given, wanted[0])

    def outcome(seed, delay):
        if (seed, delay) not in rows.found:
            at, rng = task_at(task, delay), np.random.default_rng((seed, delay))
            build = partial(sequence_module, model, units=units, rng=seed, dtype="float32")
            rows.add(seed, delay, short_fit(build, at, recipe, rng, every))
        return rows.found[seed, delay]

    with torch_threads(1):
        pairs = [(seed, delay) for delay in ladder for seed in wanted]
        for seed, delay in progress_bar(pairs, progress=progress, unit="fit"):
            outcome(seed, delay)
        for seed in progress_bar(wanted, progress=progress, unit="edge"):
            tried = {delay: outcome(seed, delay) for delay in ladder}
            while (middle := _between(tried, resolution)) is not None:
                tried[middle] = outcome(seed, middle)
    table = {key: row for key, row in rows.found.items() if key[0] in wanted}
    return _as_dataset(model, task_at(task, ladder[0]), table, ladder, wanted, given, resolution)


def edge(tried: dict[int, Outcome]) -> tuple[int, float]:
    """The longest delay that was learned (0 for none), and the next one, which was not (infinite
    for none)."""
    longest = max((delay for delay, one in tried.items() if one.learned), default=0)
    return longest, min((delay for delay in tried if delay > longest), default=math.inf)


def _between(tried, resolution):
    """The delay that halves the edge in logarithms, or None where it is sharp enough, or open."""
    low, high = edge(tried)
    if not low or not math.isfinite(high) or high <= resolution * low:
        return None
    middle = round(math.sqrt(low * high))
    return middle if low < middle < high else None


class _Rows:
    """Outcomes by (seed, delay), written to a file after each of them."""

    def __init__(self, store, model, task, given, seed):
        self.path, self.found = None if store is None else Path(store), {}
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise ValueError(f"store = {str(store)!r}: there is no folder {self.path.parent}")
        weights = sequence_module(model, task, given["units"], seed, "float32").state_dict()
        bits = b"".join(value.cpu().numpy().tobytes() for value in weights.values())
        options = {k: v for k, v in task.parameters.items() if k != task.delay_option}
        self.recipe = {
            "model": name_of(model),
            "weights": hashlib.sha256(bits).hexdigest(),
            **{
                k: v if isinstance(v, (int, float)) or v is None else str(v)
                for k, v in {**options, **given}.items()
            },
        }
        if self.path.exists():
            self._read()

    def _read(self):
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            recipe, rows = stored["recipe"], stored["rows"]
            found = {
                (s, d): Outcome(state, steps or math.nan, loss, bool(lost))
                for s, d, state, steps, loss, lost in rows
            }
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path} is no store of learnable_delay ({error}): pass another file"
            ) from None
        if recipe != self.recipe:
            differ = sorted(
                k for k in {*recipe, *self.recipe} if recipe.get(k) != self.recipe.get(k)
            )
            raise ValueError(
                f"{self.path} holds another measurement, which differs in {', '.join(differ)}: "
                "pass another file"
            )
        self.found = found

    def add(self, seed, delay, outcome):
        self.found[seed, delay] = outcome
        if self.path is None:
            return
        rows = [
            [s, d, one.state, one.steps if one.learned else None, one.loss, int(one.diverged)]
            for (s, d), one in sorted(self.found.items())
        ]
        files.write(self.path, json.dumps({"recipe": self.recipe, "rows": rows}).encode())


def _as_dataset(model, task, table, ladder, seeds, given, resolution) -> Dataset:
    delays = sorted({delay for _, delay in table})
    shape = (len(seeds), len(delays))
    state, lost = np.full(shape, -1), np.zeros(shape, int)
    steps, loss = np.full(shape, np.nan), np.full(shape, np.nan)
    for (seed, delay), one in table.items():
        at = seeds.index(seed), delays.index(delay)
        state[at], steps[at], loss[at], lost[at] = one.state, one.steps, one.loss, one.diverged
    each = [{d: one for (s, d), one in table.items() if s == seed} for seed in seeds]
    longest, following = np.array([edge(tried) for tried in each], float).T
    shorter = [all_shorter(tried) for tried in each]
    share = [np.mean([tried[delay].learned for delay in ladder]) for tried in each]
    mean, error = geometric_mean(longest)
    text = "longest delay learned"
    rows = ("seed", "delay")
    return dataset(
        {
            "learnable_delay": ((), mean, "step", f"{text}, geometric mean over seeds"),
            "learnable_delay_error": ((), error, "step", "standard error of the learnable delay"),
            "longest_learned": ("seed", longest, "step", text),
            "next_failed": ("seed", following, "step", "shortest longer delay that failed"),
            "all_shorter": ("seed", shorter, "step", f"{text} with all shorter ones"),
            "share_learned": ("seed", share, "1", "share of the ladder that was learned"),
            "state": (rows, state, "1", "-1 not tried, 0 nothing, 1 a part, 2 learned"),
            "steps_needed": (rows, steps, "step", "training steps until it was learned"),
            "loss_over_floor": (rows, loss, "1", "least held-out loss over the floor"),
            "diverged": (rows, lost, "1", "1 where training diverged"),
        },
        {
            "seed": ("seed", list(seeds), "1", "seed"),
            "delay": ("delay", delays, "step", "delay of the task"),
        },
        title=f"learnable delay of {name_of(model)} on the {task.title}",
        source=SOURCE,
        parameters={
            "model": name_of(model),
            **{k: v for k, v in task.parameters.items() if k != task.delay_option},
            **given,
            "ladder": list(ladder),
            "resolution": resolution,
        },
        states=", ".join(STATES),
        bound=int(np.isinf(following).any()),
    )


def all_shorter(tried: dict[int, Outcome]) -> int:
    """The longest delay of which all shorter ones were learned too, 0 for none."""
    found = 0
    for delay in sorted(tried):
        if not tried[delay].learned:
            break
        found = delay
    return found


def geometric_mean(values: np.ndarray) -> tuple[float, float]:
    """Geometric mean and its standard error (NaN for one value); 0 and NaN where a value is 0."""
    if not (values > 0).all():
        return 0.0, math.nan
    logs = np.log(values / values[0])  # equal values give themselves
    mean = float(values[0] * np.exp(logs.mean()))
    if len(logs) == 1:
        return mean, math.nan
    return mean, float(mean * logs.std(ddof=1) / math.sqrt(len(logs)))
