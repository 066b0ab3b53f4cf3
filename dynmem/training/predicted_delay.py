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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..labels import as_seed, dataset
from ..runtime.validation import all_errors, integer, public
from ..tasks import Task
from ..typing import ArrayLike, Rng
from .learnable_delay import edge
from .loop import torch_threads
from .memory_signal import _whole_numbers
from .recipe import Recipe, bar
from .sequence_module import in_double, name_of, seed_of, sequence_module, task_at
from .short_fit import STATES, Outcome, short_fit
from .signal_noise import measure

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "min(E, max(V, N)): signal and noise of the gradient, and the steps of short trainings"
VISIBLE_AT_ONCE = 1.0  # SNR^2 of one batch, of any mode, in the untrained network
VISIBLE_IN_TIME = 10.0  # SNR^2 summed over the steps of a null training
NULL_SHARES = (0.025, 0.08, 0.2)  # of the budget: when SNR^2 is measured along a null training
PROBES, SAMPLE = 3, 512  # directions of the noise; sequences where a task does not list them
RUN_SCATTER = 0.3  # standard deviation of ln(steps to learn) between runs of one model and delay
DRAWS, TAIL = 400, 0.05  # of the interval
FLATTEST = 0.05  # exponents b below it are those of steps that do not grow
LIMITS = ("hard", "visible", "trainable", "none up to the longest delay")


class Visible(NamedTuple):
    """SNR^2 over delays: in one batch of the untrained network, and summed over a null training,
    with the standard deviation of its logarithm between runs; the longest delay with any signal."""

    delays: np.ndarray
    untrained: np.ndarray
    modes: tuple[str, ...]
    summed: dict[int, float]
    scatter: float
    hard: float


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
            The longest delay at which the signal is not exactly 0, infinite where there is none up
            to ``longest``.
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
        stages = bar(range(len(rungs) + 1), len(rungs) + 1, progress, "stage")
        tried: dict[int, Outcome] = {}
        for stage in stages:
            if stage < len(rungs):
                at = task_at(task, rungs[stage])
                module = sequence_module(model, at, units, seed, "float32")
                data = np.random.default_rng((seed, 0, rungs[stage]))
                tried[rungs[stage]] = short_fit(module, at, recipe, data, every)
            else:
                seen = _visible(model, task, rungs, longest, units, recipe, runs, seed)
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


def crossing(delays: ArrayLike, ratios: ArrayLike, threshold: float) -> float:
    """The longest delay at which a ratio is at least the threshold: 0 where none is, infinite where
    the last one above 0 is; between two delays ln ratio is a straight line.

    >>> crossing([4, 8, 16], [100.0, 10.0, 0.1], 1.0), crossing([4, 8], [0.1, 0.0], 1.0)
    (12.0, 0.0)
    """
    delays, ratios = np.asarray(delays, float), np.asarray(ratios, float)
    above = np.flatnonzero(ratios >= threshold)
    if not len(above):
        return 0.0
    last = above[-1]
    if last == len(delays) - 1 or ratios[last + 1] <= 0:
        return math.inf
    (d, e), (f, g) = delays[last : last + 2], ratios[last : last + 2]
    return float(d + (e - d) * math.log(f / threshold) / math.log(f / g))


def _visible(model, task, rungs, longest, units, recipe, runs, seed) -> Visible:
    """SNR^2 of the untrained network at every delay, and its sum along null trainings at those that
    bisection asks for."""

    def module_at(delay: int, dtype: str = "float64") -> tuple[Any, Task]:
        at = task_at(task, delay)
        return sequence_module(model, at, units, seed, dtype), at

    def ratio(module: Any, at: Task, delay: int) -> tuple[Any, np.ndarray]:
        data = np.random.default_rng((seed, 1, delay))
        one = measure(
            in_double(module), at, batch=recipe.batch, sequences=SAMPLE, probes=PROBES, rng=data
        )
        # a sample: what cannot be excluded
        return one, one.ratio + 2.0 * one.error * (at.sequences() is None)

    delays = _grid(rungs[0], longest)
    first = {delay: ratio(*module_at(delay), delay) for delay in delays}
    modes = first[delays[0]][0].modes

    def shows(delay):
        first[delay] = first.get(delay) or ratio(*module_at(delay), delay)
        return first[delay][1].max() > 0

    hard = _hard_limit(delays, shows)
    delays = sorted({*delays, *([int(hard)] if 0 < hard < math.inf else [])})
    untrained = np.array([first[delay][1] for delay in delays])
    steps = sorted({max(1, round(share * recipe.steps)) for share in NULL_SHARES})
    weights = (
        []
        if _last_visible(untrained) == len(delays) - 1
        else _null_weights(module_at, rungs[-1], steps, recipe, runs, seed)
    )
    summed: dict[int, float] = {}
    scatters: list[float] = []

    def summed_at(place):
        delay = delays[place]
        if untrained[place].max() <= 0:
            summed[delay] = 0.0
            return 0.0
        logs = []
        for run in weights:
            module, at = module_at(delay, "float32")
            values = [untrained[place].max()]
            for state in run:
                module.load_state_dict(_fitting(state, module))
                values.append(max(0.0, float(ratio(module, at, delay)[1].max())))
            logs.append(math.log(max(_sum_over_steps(steps, values, recipe.steps), 1e-300)))
        scatters.append(np.std(logs, ddof=1) if runs > 1 else 0.0)
        summed[delay] = math.exp(np.mean(logs))
        return summed[delay]

    # below V nothing has to be known; the longest first: where it is visible nothing else is asked
    low, high = _last_visible(untrained), len(delays)
    while high - low > 1:
        place = high - 1 if high == len(delays) else (low + high) // 2
        low, high = (place, high) if summed_at(place) >= VISIBLE_IN_TIME else (low, place)
    if 0 <= low < len(delays) - 1 and delays[low] not in summed:
        summed_at(low)  # N may lie between V and the next delay
    return Visible(
        np.array(delays), untrained, modes, summed, float(np.max(scatters, initial=0.0)), hard
    )


def _null_weights(module_at, delay, steps, recipe, runs, seed) -> list[list[dict]]:
    """Weights after these steps of each null training."""
    found = []
    for run in range(runs):
        module, at = module_at(delay, "float32")
        data = np.random.default_rng((seed, 2, run))
        descent = recipe.descend(module, at, data, null=True, steps=steps[-1])
        found.append(
            [
                {name: value.clone() for name, value in module.state_dict().items()}
                for step, _ in enumerate(descent, 1)
                if step in steps
            ]
        )
    return found


def _last_visible(untrained):
    """Place of the longest delay that one batch shows, -1 for none."""
    return int(np.flatnonzero(untrained.max(1) >= VISIBLE_AT_ONCE).max(initial=-1))


def _fitting(state, module):
    """Weights of another delay, but for those whose shape depends on it."""
    own = module.state_dict()
    return {
        name: state[name] if name in state and state[name].shape == value.shape else value
        for name, value in own.items()
    }


def _sum_over_steps(steps, values, budget):
    """Sum of SNR^2 over all steps of the budget, by the trapezoidal rule from step 0; the last
    value stays."""
    return float(np.trapezoid([*values, values[-1]], [0, *steps, max(budget, steps[-1])]))


def _grid(shortest, longest):
    """Delays from the shortest by factors of 2 to the longest."""
    found = [max(1, shortest)]
    while 2 * found[-1] < longest:
        found.append(2 * found[-1])
    return [*found, longest]


def _hard_limit(delays, shows):
    """The longest delay at which there is any signal, by bisection of whole numbers; infinite where
    the longest delay shows some, 0 where the shortest does not."""
    some = [place for place, delay in enumerate(delays) if shows(delay)]
    if not some:
        return 0.0
    if some[-1] == len(delays) - 1:
        return math.inf
    low, high = delays[some[-1]], delays[some[-1] + 1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if shows(middle) else (low, middle)
    return float(low)


def _limits(seen, tried, budget, steps_factors=None, shift=0.0):
    """V, N and E, with the steps of the ladder multiplied and ln of the sums shifted."""
    best = seen.untrained.max(1)
    at_once = crossing(seen.delays, best, VISIBLE_AT_ONCE)
    known = sorted(seen.summed)
    sums = [seen.summed[delay] * math.exp(shift) for delay in known]
    in_time = crossing(known, sums, VISIBLE_IN_TIME)
    learned = {delay: one.steps for delay, one in tried.items() if one.learned}
    factors = np.ones(len(learned)) if steps_factors is None else steps_factors
    steps = {d: n * f for (d, n), f in zip(learned.items(), factors, strict=True)}
    failed = [delay for delay, one in tried.items() if not one.learned]
    return at_once, in_time, trainable_delay(steps, failed, budget)


def _predict(seen, tried, budget, longest, rng) -> dict[str, Any]:
    """Limits, prediction, interval, and which limit binds."""
    reached = edge(tried)[0]

    def joined(at_once, in_time, trainable):
        capped = min(trainable, max(at_once, in_time), seen.hard, longest)
        return max(reached, capped)

    at_once, in_time, trainable = limits = _limits(seen, tried, budget)
    visible, count = max(at_once, in_time), sum(one.learned for one in tried.values())
    draws = [
        joined(
            *_limits(
                seen,
                tried,
                budget,
                np.exp(RUN_SCATTER * rng.standard_normal(count)),
                seen.scatter * rng.standard_normal(),
            )
        )
        for _ in range(DRAWS)
    ]
    lower, upper = np.quantile(draws, [TAIL, 1.0 - TAIL])
    low, high = edge(tried)
    if math.isfinite(high):  # the edge lies within the ladder
        lower, upper = min(lower, low), max(upper, high)
    bounds = dict(zip(LIMITS, (seen.hard, visible, trainable, longest), strict=True))
    limit = min(bounds, key=lambda name: bounds[name])
    return {
        "predicted_delay": joined(*limits),
        "predicted_delay_lower": lower,
        "predicted_delay_upper": upper,
        "at_least": int(limit == LIMITS[-1]),
        "visible_delay": visible,
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
