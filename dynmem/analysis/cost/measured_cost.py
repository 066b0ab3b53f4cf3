"""Cost of a model on this machine: seconds forward and backward against length, slopes, and the
lengths at which one model becomes cheaper than another."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...errors import NotFiniteError
from ...labels import dataset
from ...runtime.torch_modules import first_tensor, gradients_on
from ...runtime.validation import choice, generator, integer, number, public
from ...system import Map, as_system, map_arrays
from ...typing import ArrayLike, Rng

if TYPE_CHECKING:
    from torch.nn import Module
    from xarray import Dataset

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
SOURCE = (
    "medians of passes taken in turn, so that other load slows all models alike; errors from "
    "the rounds"
)
QUARTILES_TO_MEDIAN_ERROR = 1.2533 / 1.349  # of normal numbers, times 1/sqrt(rounds)


@public
def measured_cost(
    models: Mapping[str, Map | Module],
    *,
    lengths: ArrayLike,
    batch: int = 4,
    rounds: int = 5,
    dtype: str = "float32",
    clock: str = "wall",
    limit: float | None = None,
    features: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Measure seconds of a pass forward, and forward and backward, against the sequence length.

    All models run in turn at each length, in every round, after one warm-up pass. The backward
    pass leads from the sum of squares of the outputs to every weight. The number of threads is that
    of torch.

    Parameters
    ----------
    models : dict of {str: Map or torch.nn.Module}
        Models by name; a module maps (batch, time, features) to the same.
    lengths : array_like of int
        At least two numbers of steps.
    batch : int
        Sequences in a batch.
    rounds : int
        Number of rounds, at least 2.
    dtype : {"float32", "float64"}
        Of weights and inputs.
    clock : {"wall", "processor"}
        "processor" counts the seconds of all cores, which other processes do not lengthen.
    limit : float, optional
        Seconds: a model whose pass took longer is not run at greater lengths.
    features : int, optional
        Of torch modules that have no ``input_size``.
    rng : int, Generator or None
        Of the inputs.

    Returns
    -------
    xarray.Dataset
        forward_seconds : (model, length), s
            Median over the rounds.
        forward_seconds_error : (model, length), s
            Standard error.
        training_seconds : (model, length), s
            Median, forward and backward; infinite beyond the limit.
        training_seconds_error : (model, length), s
            Standard error.
        measured : (model, length), 1
            Whether the model was run at that length.
        slope : (model,), 1
            Of ln training_seconds over ln length, over the upper half of its lengths.
        slope_error : (model,), 1
            Standard error.
        crossover : (model, versus), step
            Length from which ``versus`` trains faster than ``model``: 0 where it does at all
            lengths, infinite where it does not at the last.
        crossover_error : (model, versus), step
            Standard error.
        crossover_agreement : (model, versus), 1
            Part of the rounds that put the crossover at the same or a neighbouring length.

    Raises
    ------
    TypeError
        If the models are no dict, or one is a Flow.
    ValueError
        If there are fewer than two lengths, or a model has no input.
    NotFiniteError
        If outputs become infinite or NaN.

    References
    ----------
    Tay et al. (2021), ICLR, Long Range Arena, for time against sequence length.

    Examples
    --------
    >>> import dynmem as dm
    >>> cells = {name: dm.models.get(name, units=4, inputs=2) for name in ("tanh", "lstm")}
    >>> found = dm.analysis.measured_cost(cells, lengths=[8, 16], batch=1, rounds=2)
    >>> found.training_seconds.dims, bool((found.training_seconds > 0).all())
    (('model', 'length'), True)
    """
    if not isinstance(models, Mapping) or not models:
        raise TypeError(
            f"models must be a dict of models by name, at least one, got {models!r:.60}"
        )
    given = np.atleast_1d(np.asarray(lengths, dtype=object))
    steps = np.unique([integer("lengths", value) for value in given])
    if len(steps) < 2:
        raise ValueError(f"lengths = {steps.tolist()}: a slope needs at least two")
    choice("clock", clock, CLOCKS)
    choice("dtype", dtype, ("float32", "float64"))
    batch, rounds = integer("batch", batch), integer("rounds", rounds, 2)
    limit = None if limit is None else number("limit", limit, above=0)
    passes = {
        name: _passes(name, model, batch, dtype, features, rng) for name, model in models.items()
    }
    seconds = _measure(passes, steps, rounds, CLOCKS[clock], limit)
    settings = {"batch": batch, "rounds": rounds, "dtype": dtype, "clock": clock, "limit": limit}
    return cost_curves(seconds, steps, list(models), parameters=settings, seed=rng)


def _measure(passes, lengths, rounds, now, limit):
    """Seconds (round, model, length, forward or both), inf beyond the limit."""
    seconds = np.full((rounds, len(passes), len(lengths), 2), np.inf)
    within_limit = np.ones((len(passes), len(lengths)), bool)
    for j, length in enumerate(lengths):
        for turn in range(-1, rounds):  # the first is the warm-up
            for i, (prepare, forward, both) in enumerate(passes.values()):
                if not within_limit[i, j]:
                    continue
                u = prepare(int(length))
                found = [_timed(function, u, now) for function in (forward, both)]
                if turn >= 0:
                    seconds[turn, i, j] = found
        if limit is not None:
            within_limit[:, j + 1 :] &= (np.median(seconds[:, :, j, 1], axis=0) <= limit)[:, None]
    return seconds


def _timed(function, u, now):
    start = now()
    function(u)
    return now() - start


def _passes(name, model, batch, dtype, features, rng):
    """Functions that draw an input of a length, run forward, and run forward and backward."""
    import torch

    kind, noise = getattr(torch, dtype), generator(rng)
    if hasattr(model, "named_parameters"):
        module = copy.deepcopy(model).to(kind)
        width = features or getattr(model, "input_size", None)
        if width is None:
            raise ValueError(f"{name} has no input_size: pass features=, their number")
        weights, run = list(module.parameters()), lambda u: first_tensor(module(u))
    else:
        system = as_system(model, Map)
        if not system.inputs:
            raise ValueError(f"{name} takes no inputs: give it some")
        width, tensors = system.inputs, {}

        def leaf(array):
            if id(array) not in tensors:
                floating = array.dtype.kind == "f"
                tensors[id(array)] = torch.tensor(
                    array, dtype=kind if floating else None, requires_grad=floating
                )
            return tensors[id(array)]

        def run(u):
            copied = map_arrays(system, leaf)  # anew: cached properties belong to one pass
            return copied.run(u.new_zeros(len(u), system.size), u)[0]

        map_arrays(system, leaf)
        weights = [tensor for tensor in tensors.values() if tensor.requires_grad and tensor.numel()]

    def prepare(length):
        return torch.tensor(noise.standard_normal((batch, length, width)), dtype=kind)

    def forward(u):
        with torch.no_grad():
            return run(u)

    def both(u):
        with gradients_on():
            backward(run(u), u.shape[1])

    def backward(y, length):
        if not torch.isfinite(y).all():
            raise NotFiniteError(
                f"the outputs of {name} are not finite at length {length}: check its weights"
            )
        torch.autograd.grad(y.square().sum(), weights, allow_unused=True)

    return prepare, forward, both


def cost_curves(seconds, lengths, names, *, parameters=None, seed=None):
    """Medians, slopes and crossovers of seconds (rounds, models, lengths, 2), forward and both
    ways; inf where nothing was measured."""
    seconds, lengths = np.asarray(seconds, float), np.asarray(lengths, float)
    median = np.median(seconds, axis=0)
    finite = np.where(np.isfinite(seconds), seconds, 0.0)
    quartiles = np.quantile(finite, (0.25, 0.75), axis=0)
    error = QUARTILES_TO_MEDIAN_ERROR * (quartiles[1] - quartiles[0]) / np.sqrt(len(seconds))
    training = seconds[..., 1]
    slope = [_slope(lengths, curve) for curve in median[..., 1]]
    by_round = np.array([[_slope(lengths, curve) for curve in turn] for turn in training])
    slope_error = by_round.std(axis=0, ddof=1) / np.sqrt(len(by_round))
    crossing, crossing_error, agreement = _crossovers(training, median[..., 1], lengths)
    curve, pair = ("model", "length"), ("model", "versus")
    of_median = "standard error of the median"
    variables = {
        "forward_seconds": (curve, median[..., 0], "s", "median seconds of a pass forward"),
        "forward_seconds_error": (curve, error[..., 0], "s", of_median),
        "training_seconds": (
            curve,
            median[..., 1],
            "s",
            "median seconds of a pass forward and backward",
        ),
        "training_seconds_error": (curve, error[..., 1], "s", of_median),
        "measured": (
            curve,
            np.isfinite(median[..., 1]),
            "1",
            "whether the model was run at that length",
        ),
        "slope": ("model", slope, "1", "slope of ln seconds over ln length, forward and backward"),
        "slope_error": ("model", slope_error, "1", "standard error of the slope"),
        "crossover": (pair, crossing, "step", "length from which the other model trains faster"),
        "crossover_error": (pair, crossing_error, "step", "standard error of the crossover"),
        "crossover_agreement": (
            pair,
            agreement,
            "1",
            "part of the rounds that put the crossover at the same or a neighbouring length",
        ),
    }
    coords = {
        "model": ("model", names, "1", "model"),
        "versus": ("versus", names, "1", "the other model"),
        "length": ("length", lengths.astype(int), "step", "length of the sequence"),
    }
    return dataset(
        variables,
        coords,
        title="measured cost against length",
        source=SOURCE,
        parameters=parameters,
        seed=seed,
    )


def _slope(lengths, seconds):
    """Slope of the logarithms over the upper half of the lengths that were measured, at least two;
    inf where there are fewer."""
    x, y = np.log(lengths[np.isfinite(seconds)]), np.log(seconds[np.isfinite(seconds)])
    if len(x) < 2:
        return np.inf
    upper = slice(min(len(x) // 2, len(x) - 2), None)
    return float(np.polyfit(x[upper], y[upper], 1)[0])


def _crossovers(rounds, median, lengths):
    """Crossovers (model, versus) of the medians, their errors, and the part of the rounds that
    agree."""
    shape = (len(median), len(median))
    found, error, agreement = np.full(shape, np.inf), np.zeros(shape), np.ones(shape)
    for i, j in np.argwhere(~np.eye(len(median), dtype=bool)):
        found[i, j] = crossover(lengths, median[i], median[j])
        each = np.array([crossover(lengths, turn[i], turn[j]) for turn in rounds])
        places = np.searchsorted(lengths, np.append(each, found[i, j]))
        agreement[i, j] = (abs(places[:-1] - places[-1]) <= 1).mean()
        inside = each[np.isfinite(each) & (each > 0)]
        if 0 < found[i, j] < np.inf:
            many = len(inside) > 1
            error[i, j] = inside.std(ddof=1) / np.sqrt(len(inside)) if many else np.inf
    return found, error, agreement


def crossover(lengths, first, second):
    """The length from which the second curve is below the first: 0 where it is everywhere, inf
    where it is not at the end; a curve that is inf is above every other.

    >>> lengths = np.array([1.0, 4.0, 16.0])
    >>> round(crossover(lengths, lengths**2, 2 * lengths), 9)
    2.0
    """
    measured = np.isfinite(first) | np.isfinite(second)
    lengths, first, second = lengths[measured], first[measured], second[measured]
    below = second < first
    if not below.size or not below[-1]:
        return np.inf
    if below.all():
        return 0.0
    i = int(np.flatnonzero(~below)[-1])
    if not np.isfinite([first[i + 1], second[i + 1]]).all():
        return float(lengths[i + 1])
    before, after = (np.log(second[k]) - np.log(first[k]) for k in (i, i + 1))
    return float(np.exp(np.interp(0.0, [-before, -after], np.log(lengths[i : i + 2]))))
