"""Visible delays: up to which the gradient shows the cue, at once or along a null training."""

from __future__ import annotations

import math
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from ...errors import NotFiniteError
from ...tasks import Task
from ...typing import ArrayLike
from .recipe import Recipe
from .sequence_module import in_double, sequence_module, task_at
from .signal_noise import measure

VISIBLE_AT_ONCE = 1.0  # SNR^2 of one batch, of any mode, in the untrained network
VISIBLE_IN_TIME = 10.0  # SNR^2 summed over the steps of a null training
NULL_SHARES = (0.025, 0.08, 0.2)  # of the budget: when SNR^2 is measured along a null training
PROBES, SAMPLE = 3, 512  # directions of the noise; sequences where a task does not list them


class Visible(NamedTuple):
    """SNR^2 over delays: in one batch of the untrained network, and summed over a null training,
    with the standard deviation of its logarithm between runs; the longest delay with any signal."""

    delays: np.ndarray
    untrained: np.ndarray
    modes: tuple[str, ...]
    summed: dict[int, float]
    scatter: float
    hard: float


class Signals:
    """SNR^2 of one model at any delay, each measured once."""

    def __init__(
        self, model: Any, task: Any, units: int, recipe: Recipe, runs: int, seed: int
    ) -> None:
        self.model, self.task, self.units = model, task, units
        self.recipe, self.runs, self.seed = recipe, runs, seed
        self.null_steps = sorted({max(1, round(share * recipe.steps)) for share in NULL_SHARES})
        self.null_delay = 1
        self.modes: tuple[str, ...] = ()
        self.scatter = 0.0
        self.untrained = cache(self._untrained)
        self.summed = cache(self._summed)

    def _module(self, delay: int) -> tuple[Any, Task]:
        """The network as its training begins, in float32: what overflows there is not trained."""
        at = task_at(self.task, delay)
        return sequence_module(self.model, at, self.units, self.seed, "float32"), at

    def _ratio(self, module: Any, at: Task, delay: int) -> np.ndarray:
        """SNR^2 (modes,); of a sample the most that it does not exclude."""
        found = measure(
            in_double(module),
            at,
            batch=self.recipe.batch,
            sequences=SAMPLE,
            probes=PROBES,
            rng=np.random.default_rng((self.seed, 1, delay)),
        )
        self.modes = found.modes
        return found.ratio + 2.0 * found.error * (at.sequences() is None)

    def _untrained(self, delay: int) -> np.ndarray:
        """SNR^2 (modes,) of the untrained network; 0 where its outputs or gradients are not finite,
        since no training can begin there."""
        try:
            return self._ratio(*self._module(delay), delay)
        except NotFiniteError:
            return np.zeros(1)

    @cached_property
    def _null_runs(self) -> list[list[dict]]:
        """Weights along each null training, fewer where it diverges."""
        found: list[list[dict]] = []
        for run in range(self.runs):
            module, at = self._module(self.null_delay)
            data = np.random.default_rng((self.seed, 2, run))
            found.append([])
            try:
                descent = self.recipe.descend(
                    module, at, data, null=True, steps=self.null_steps[-1]
                )
                for step, _ in enumerate(descent, 1):
                    if step in self.null_steps:
                        state = module.state_dict()
                        found[-1].append({name: value.clone() for name, value in state.items()})
            except NotFiniteError:
                continue  # what was reached counts, and nothing is seen afterwards
        return found

    def _summed(self, delay: int) -> float:
        """SNR^2 of the best mode summed over the steps of a null training, geometric mean over
        runs."""
        start = self.untrained(delay).max()
        if start <= 0:
            return 0.0
        logs = []
        for run in self._null_runs:
            module, at = self._module(delay)
            values = [start, *np.zeros(len(self.null_steps))]
            for place, state in enumerate(run, 1):
                module.load_state_dict(_fitting(state, module))
                values[place] = max(0.0, float(self._ratio(module, at, delay).max()))
            total = _sum_over_steps(self.null_steps, values, self.recipe.steps)
            logs.append(math.log(max(total, 1e-300)))
        if self.runs > 1:
            self.scatter = max(self.scatter, float(np.std(logs, ddof=1)))
        return math.exp(np.mean(logs))


def visible(signals: Signals, rungs: tuple[int, ...], longest: int) -> Visible:
    """SNR^2 of the untrained network at every delay, and its sum along null trainings, at the
    longest delay of the ladder, where bisection asks for it."""
    signals.null_delay = rungs[-1]
    delays = _grid(rungs[0], longest)
    hard = _hard_limit(delays, lambda delay: signals.untrained(delay).max() > 0)
    delays = sorted({*delays, *([int(hard)] if 0 < hard < math.inf else [])})
    best = np.array([signals.untrained(delay).max() for delay in delays])
    summed: dict[int, float] = {}

    def shown(place):
        summed[delays[place]] = signals.summed(delays[place])
        return summed[delays[place]] >= VISIBLE_IN_TIME

    # below V nothing has to be known; the longest first: where it is visible nothing else is asked
    low, high = int(np.flatnonzero(best >= VISIBLE_AT_ONCE).max(initial=-1)), len(delays)
    while high - low > 1:
        place = high - 1 if high == len(delays) else (low + high) // 2
        low, high = (place, high) if shown(place) else (low, place)
    if 0 <= low < len(delays) - 1:
        shown(low)  # N may lie between V and the next delay
    untrained = np.zeros((len(delays), len(signals.modes)))
    for row, delay in zip(untrained, delays, strict=True):
        row[:] = signals.untrained(delay)
    return Visible(np.array(delays), untrained, signals.modes, summed, signals.scatter, hard)


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
