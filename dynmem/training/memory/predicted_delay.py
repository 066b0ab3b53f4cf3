"""Predicted delay: what a training will learn to bridge, from short trainings and the signal.

Derivation. A training learns a delay if two things hold: the gradient shows the cue, and the steps
suffice.

*Visible.* Adam divides each step by the size of the noise, so that a step moves the weights along
the memory signal s by about (rate) s/sigma. While the loss is on its plateau the network changes as
in a null training, in which targets do not belong to the inputs; what is collected of the cue is
then sum over steps of SNR^2(step). If one batch shows the cue to the untrained network, SNR^2 = 1
in any mode, it is visible at once: V is the longest such delay. Else the plateau must show it: N is
the longest delay at which the sum along the null training reaches 10. The visible limit is
max(V, N). Assumed: the plateau is a null training; modes are collected apart; the sum, not the
order of steps, counts; beyond the last null step that was measured SNR^2 stays what it was; the
null training at the longest delay of the ladder stands for that at any delay, since its inputs are
almost all waiting.

*Trainable.* Steps to learn grow as a power of the delay, n = a d^b, as far as the ladder shows it;
E is the delay with n = budget. Assumed: the power law goes on (where the steps are flat at short
delays and bend later, E is too long), and a run scatters about it by the factor that is stated.

*Prediction*: min(E, max(V, N)), not above a hard limit (a window, a receptive field: the signal is
exactly 0 beyond), and not below a delay of the ladder that was learned.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import as_seed, dataset
from ...runtime.progress import progress_bar
from ...runtime.validation import all_errors, integer, public
from ...tasks import Task
from ...typing import ArrayLike, Rng
from ..loop import torch_threads
from .learnable_delay import edge
from .memory_signal import _whole_numbers
from .recipe import Recipe
from .sequence_module import name_of, seed_of, sequence_module, task_at
from .short_fit import STATES, Outcome, short_fit
from .visible_delay import VISIBLE_AT_ONCE, VISIBLE_IN_TIME, Signals, crossing, visible

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "min(E, max(V, N)): signal and noise of the gradient, and the steps of short trainings"
RUN_SCATTER = 0.3  # standard deviation of ln(steps to learn) between runs of one model and delay
DRAWS, TAIL = 400, 0.05  # of the interval
FLATTEST = 0.05  # exponents b below it are those of steps that do not grow
LIMITS = ("hard", "visible", "trainable", "none up to the longest delay")


@public
def predicted_delay(
    model: Any,
    task: Any,
    *,
    budget: int = 600,
    units: int = 32,
    batch: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    ladder: ArrayLike = (4, 8, 16),
    longest: int = 256,
    evaluate_every: int = 20,
    null_runs: int = 2,
    rng: Rng = 0,
    progress: bool | None = None,
) -> Dataset:
    """Predict the longest delay that a model will learn to bridge, before training at that delay.

        min(E, max(V, N))

    V: the longest delay at which one batch shows the cue to the untrained network (SNR^2 = 1 of any
    mode, see ``dm.memory_signal``). N: the longest at which SNR^2, summed over the steps of a null
    training, reaches 10. E: where the power law through the training steps needed at the delays of
    the ladder reaches the budget. No delay longer than the ladder's is trained. The derivation,
    with what it assumes, opens the module's docstring.

    Parameters
    ----------
    model : str, Map, torch.nn.Module or callable
        As for ``dm.memory_signal``.
    task : Task, str, xarray.Dataset or callable
        As for ``dm.memory_signal``.
    budget : int
        Training steps that there will be.
    units : int
        Units of a model that is named.
    batch, learning_rate, optimizer, clip
        Of the training, as for ``dm.fit``.
    ladder : array_like of int
        Delays at which the model is trained.
    longest : int
        Longest delay that is looked at.
    evaluate_every : int
        Steps between evaluations.
    null_runs : int
        Null trainings that are averaged, in logarithms.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, all sequences and the interval.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.

    Returns
    -------
    xarray.Dataset
        predicted_delay : (), step
            The prediction, at most ``longest``.
        predicted_delay_lower : (), step
            Lower end of the interval, 5 %.
        predicted_delay_upper : (), step
            Upper end of the interval, 95 %; at most ``longest``.
        at_least : (), 1
            1 where no limit binds up to ``longest``, so that the prediction is a lower bound.
        visible_delay : (), step
            max(V, N), infinite where both exceed ``longest``, 0 below the shortest delay.
        untrained_visible_delay : (), step
            V.
        null_visible_delay : (), step
            N; 0 where it is well below V, and where V exceeds ``longest``.
        trainable_delay : (), step
            E, as the power law gives it.
        hard_limit : (), step
            The longest delay at which the signal is not exactly 0 and the gradient finite, infinite
            where that is so up to ``longest``.
        snr_squared : (delay, mode), 1
            SNR^2 in one batch of the untrained network.
        steps_needed : (rung,), step
            Training steps needed at each delay of the ladder, NaN where it was not learned.
        state : (rung,), 1
            0 nothing, 1 a part (which symbols, not their order), 2 learned.

        The attribute ``limit`` names the one that binds: "visible", "trainable", "hard" or "none up
        to the longest delay".

    Raises
    ------
    ShapeError
        Where model and task do not fit.
    ValueError
        For options out of range.

    Notes
    -----
    The interval holds the scatter of single runs about the power law (0.3 in the logarithm of the
    steps) and that between null trainings, not the error of the assumptions. Where a sample cannot
    resolve whether the signal is visible, the visible limit does not bind.

    References
    ----------
    Kingma and Ba (2015), arXiv:1412.6980, for the scale that Adam divides by. Pascanu, Mikolov and
    Bengio (2013), ICML, for the gradient that fades.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    >>> found = dm.predicted_delay(
    ...     "attention", task, ladder=[2, 4], longest=64, budget=80, learning_rate=1e-2, units=8
    ... )
    >>> float(found.hard_limit), found.limit
    (30.0, 'hard')
    """
    with all_errors() as check:
        rungs = check(_whole_numbers, "ladder", ladder, 0)
        recipe = check(Recipe, budget, batch, learning_rate, optimizer, clip)
        longest = check(integer, "longest", longest, 1)
        every = check(integer, "evaluate_every", evaluate_every)
        runs, units = check(integer, "null_runs", null_runs), check(integer, "units", units)
    if rungs[-1] >= longest:
        raise ValueError(f"longest = {longest}: must be above the ladder, {rungs[-1]}")
    seed = seed_of(rng)
    with torch_threads(1):
        stages = progress_bar(range(len(rungs) + 1), progress=progress, unit="stage")
        tried: dict[int, Outcome] = {}
        for stage in stages:
            if stage < len(rungs):
                at = task_at(task, rungs[stage])
                build = partial(sequence_module, model, units=units, rng=seed, dtype="float32")
                data = np.random.default_rng((seed, 0, rungs[stage]))
                tried[rungs[stage]] = short_fit(build, at, recipe, data, every)
            else:
                seen = visible(Signals(model, task, units, recipe, runs, seed), rungs, longest)
    prediction = _predict(seen, tried, recipe.steps, longest, np.random.default_rng((seed, 3)))
    return _as_dataset(model, task_at(task, rungs[0]), prediction, seen, tried, recipe, units, rng)


def trainable_delay(tried: dict[int, float], failed: list[int], budget: float) -> float:
    """The delay at which the power law through steps (by delay) reaches the budget; between the
    longest that was learned and the shortest longer one that failed, where there is one.

    >>> trainable_delay({4: 100, 8: 200, 16: 400}, [], 800.0)
    32.0
    >>> trainable_delay({4: 100}, [8, 16], 800.0) == math.sqrt(32)
    True
    """
    low = max(tried, default=0)
    high = min((delay for delay in failed if delay > low), default=math.inf)
    if not tried:
        return high / math.sqrt(2.0)
    if math.isfinite(high):
        return math.sqrt(low * high)
    if len(tried) == 1:  # steps in proportion to the delay
        return low * max(1.0, budget / tried[low])
    x, y = np.log(list(tried)), np.log(list(tried.values()))
    slope, height = np.polyfit(x, y, 1)
    if slope < FLATTEST:
        return math.inf
    with np.errstate(over="ignore"):
        return float(max(low, np.round(np.exp((math.log(budget) - height) / slope), 9)))


def _limits(seen, tried, budget, factors=None, shift=0.0):
    """V, N and E; in another run, with the steps of each rung times a factor, those above the
    budget are not learned, and ln of the sums along null trainings is shifted."""
    at_once = crossing(seen.delays, seen.untrained.max(1), VISIBLE_AT_ONCE)
    known = sorted(seen.summed)
    sums = [seen.summed[delay] * math.exp(shift) for delay in known]
    in_time = crossing(known, sums, VISIBLE_IN_TIME)
    factors = np.ones(len(tried)) if factors is None else factors
    steps = {d: one.steps * f for (d, one), f in zip(tried.items(), factors, strict=True)}
    learned = {d: n for d, n in steps.items() if n <= budget}  # NaN is not
    return at_once, in_time, trainable_delay(learned, sorted({*steps} - {*learned}), budget)


def _predict(seen, tried, budget, longest, rng) -> dict[str, Any]:
    """Limits, prediction, interval, and which limit binds."""

    def joined(at_once, in_time, trainable):
        return min(trainable, max(at_once, in_time), seen.hard, longest)

    def another_run():
        factors = np.exp(RUN_SCATTER * rng.standard_normal(len(tried)))
        return joined(*_limits(seen, tried, budget, factors, seen.scatter * rng.standard_normal()))

    at_once, in_time, trainable = limits = _limits(seen, tried, budget)
    seen_to, (low, high) = max(at_once, in_time), edge(tried)
    lower, upper = np.quantile([another_run() for _ in range(DRAWS)], [TAIL, 1.0 - TAIL])
    if math.isfinite(high):  # the edge lies within the ladder
        lower, upper = min(lower, low), max(upper, high)
    bounds = dict(zip(LIMITS, (seen.hard, seen_to, trainable, longest), strict=True))
    limit = min(bounds, key=lambda name: bounds[name])
    return {
        "predicted_delay": max(low, joined(*limits)),
        "predicted_delay_lower": lower,
        "predicted_delay_upper": upper,
        "at_least": int(limit == LIMITS[-1]),
        "visible_delay": seen_to,
        "untrained_visible_delay": at_once,
        "null_visible_delay": in_time,
        "trainable_delay": trainable,
        "hard_limit": seen.hard,
        "limit": limit,
    }


def _as_dataset(model, task: Task, prediction, seen, tried, recipe, units, rng) -> Dataset:
    texts = {
        "predicted_delay": "predicted learnable delay",
        "predicted_delay_lower": "lower end of the interval, 5 %",
        "predicted_delay_upper": "upper end of the interval, 95 %",
        "at_least": "1 where the prediction is a lower bound",
        "visible_delay": "longest delay that is visible, max(V, N)",
        "untrained_visible_delay": "V: one batch shows the cue",
        "null_visible_delay": "N: a null training shows the cue",
        "trainable_delay": "E: the steps reach the budget",
        "hard_limit": "longest delay with any signal",
    }
    variables: dict[str, tuple] = {
        name: ((), prediction[name], "1" if name == "at_least" else "step", text)
        for name, text in texts.items()
    }
    variables |= {
        "snr_squared": (("delay", "mode"), seen.untrained, "1", "SNR^2 of a batch, untrained"),
        "steps_needed": ("rung", [one.steps for one in tried.values()], "step", "steps needed"),
        "state": ("rung", [one.state for one in tried.values()], "1", ", ".join(STATES)),
    }
    return dataset(
        variables,
        {
            "delay": ("delay", seen.delays, "step", "delay of the task"),
            "mode": ("mode", list(seen.modes), "1", "part of the answer"),
            "rung": ("rung", list(tried), "step", "delay of the ladder"),
        },
        title=f"predicted delay of {name_of(model)} on the {task.title}",
        source=SOURCE,
        parameters={
            "model": name_of(model),
            **{k: v for k, v in task.parameters.items() if k != task.delay_option},
            "units": units,
            **recipe.attributes(),
        },
        seed=as_seed(rng),
        limit=prediction["limit"],
    )
