"""What a model costs on this machine: seconds forward and backward against length, slopes, and
where one model becomes cheaper than another."""

import copy
import time

import numpy as np

from ...errors import NotFiniteError
from ...labels import dataset
from ...runtime.validation import integer
from ...system import Map, as_system, map_arrays

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
SOURCE = (
    "medians of passes taken in turn, so that a busy machine slows all alike; errors from "
    "the rounds"
)


def measured_cost(
    models,
    *,
    lengths,
    batch=4,
    rounds=5,
    dtype="float32",
    clock="wall",
    limit=None,
    features=None,
    rng=0,
):
    """Seconds of a pass forward, and of one forward and backward, against the length of the
    sequence, with slopes and crossovers.

    All models run in turn at each length, in every round, after one pass to warm up. The backward
    pass leads from the sum of squares of the outputs to every weight. Threads are as torch has
    them.

    Parameters: models, a dict of Maps or torch modules (batch, time, features) by name; lengths, at
    least two numbers of steps; batch; rounds; dtype; clock, "wall", or "processor" for the seconds
    of all cores, which other processes do not lengthen; limit, seconds: a model whose pass took
    longer is not tried at greater lengths; features of torch modules, if they do not say
    ``input_size``.

    Returns a Dataset over ``model``, ``versus`` and ``length``: forward_seconds, training_seconds
    (forward and backward), each with ``_error`` (of the median); measured (False beyond the limit,
    where seconds are inf); slope(model) of ln training_seconds over ln length, over the upper half
    of its lengths, with slope_error; crossover(model, versus), the length from which on ``versus``
    trains faster than ``model``: 0 where it does at all lengths, inf where it does not at the last;
    crossover_error, and crossover_agreement, the part of the rounds that put it between the same or
    neighbouring lengths.

    >>> import dynmem as dm
    >>> cells = {name: dm.models.get(name, units=4, inputs=2) for name in ("tanh", "lstm")}
    >>> found = measured_cost(cells, lengths=[8, 16], batch=1, rounds=2)
    >>> found.training_seconds.dims, bool((found.training_seconds > 0).all())
    (('model', 'length'), True)
    """
    if not isinstance(models, dict) or not models:
        raise TypeError(
            f"models must be a dict of models by name, at least one, got {models!r:.60}"
        )
    lengths = np.unique(
        [integer("lengths", value, 1) for value in np.atleast_1d(np.asarray(lengths, dtype=object))]
    )
    if len(lengths) < 2:
        raise ValueError(f"lengths = {lengths.tolist()}: a slope needs at least two")
    if clock not in CLOCKS or dtype not in ("float32", "float64"):
        raise ValueError(
            f"clock is wall or processor, dtype float32 or float64, got {clock!r} and {dtype!r}"
        )
    batch, rounds = integer("batch", batch, 1), integer("rounds", rounds, 2)
    passes = {
        name: _passes(name, model, batch, dtype, features, rng) for name, model in models.items()
    }
    # round, model, length, forward or both
    seconds = np.full((rounds, len(models), len(lengths), 2), np.inf)
    tried = np.ones((len(models), len(lengths)), bool)
    for j, length in enumerate(lengths):
        for turn in range(-1, rounds):  # the first warms up
            for i, (prepare, forward, both) in enumerate(passes.values()):
                if not tried[i, j]:
                    continue
                u = prepare(int(length))
                found = [_timed(function, u, CLOCKS[clock]) for function in (forward, both)]
                if turn >= 0:
                    seconds[turn, i, j] = found
        if limit is not None:
            tried[:, j + 1 :] &= (np.median(seconds[:, :, j, 1], axis=0) <= limit)[:, None]
    told = {"batch": batch, "rounds": rounds, "dtype": dtype, "clock": clock, "limit": limit}
    return cost_curves(seconds, lengths, list(models), parameters=told, seed=rng)


def _timed(function, u, now):
    start = now()
    function(u)
    return now() - start


def _passes(name, model, batch, dtype, features, rng):
    """Functions that make an input of a length, run forward, and run forward and backward."""
    import torch

    kind, noise = getattr(torch, dtype), np.random.default_rng(rng)
    if hasattr(model, "named_parameters"):
        module = copy.deepcopy(model).to(kind)
        width = features or getattr(model, "input_size", None)
        if width is None:
            raise ValueError(f"{name} does not say how many features it takes: pass features=")
        weights, run = list(module.parameters()), lambda u: _first(module(u))
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
            twin = map_arrays(system, leaf)  # made anew: what it caches belongs to one pass
            return twin.run(u.new_zeros(len(u), system.size), u)[0]

        map_arrays(system, leaf)
        weights = [tensor for tensor in tensors.values() if tensor.requires_grad and tensor.numel()]

    def prepare(length):
        return torch.tensor(noise.standard_normal((batch, length, width)), dtype=kind)

    def forward(u):
        with torch.no_grad():
            return run(u)

    def both(u):
        y = run(u)
        if not torch.isfinite(y).all():
            raise NotFiniteError(
                f"the outputs of {name} are not finite at length {u.shape[1]}: check its weights"
            )
        torch.autograd.grad(y.square().sum(), weights, allow_unused=True)

    return prepare, forward, both


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def cost_curves(seconds, lengths, names, *, parameters=None, seed=None):
    """Medians, slopes and crossovers of seconds (rounds, models, lengths, 2), forward and both
    ways; inf where nothing was measured."""
    seconds, lengths = np.asarray(seconds, float), np.asarray(lengths, float)
    middle = np.median(seconds, axis=0)
    with np.errstate(invalid="ignore"):
        quartiles = np.quantile(np.where(np.isfinite(seconds), seconds, 0.0), (0.25, 0.75), axis=0)
    # of a median of normal numbers, from the quartiles
    error = 1.2533 / 1.349 * (quartiles[1] - quartiles[0]) / np.sqrt(len(seconds))
    training = seconds[..., 1]
    slopes = np.array([[_slope(lengths, curve) for curve in turn] for turn in training])
    crossing, crossing_error, agreement = _crossovers(training, middle[..., 1], lengths)
    per_model, pair = ("model", "length"), ("model", "versus")
    variables = {
        "forward_seconds": (per_model, middle[..., 0], "s", "median seconds of a pass forward"),
        "forward_seconds_error": (per_model, error[..., 0], "s", "standard error of the median"),
        "training_seconds": (
            per_model,
            middle[..., 1],
            "s",
            "median seconds of a pass forward and backward",
        ),
        "training_seconds_error": (per_model, error[..., 1], "s", "standard error of the median"),
        "measured": (
            per_model,
            np.isfinite(middle[..., 1]),
            "1",
            "whether the model was tried at that length",
        ),
        "slope": (
            "model",
            [_slope(lengths, curve) for curve in middle[..., 1]],
            "1",
            "slope of ln seconds over ln length, forward and backward",
        ),
        "slope_error": (
            "model",
            slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes)),
            "1",
            "standard error of the slope",
        ),
        "crossover": (pair, crossing, "step", "length from which on the other model trains faster"),
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


def _crossovers(rounds, middle, lengths):
    """Crossovers (model, versus) of the medians, their errors, and the part of the rounds that
    agree."""
    models = len(middle)
    found, error, agreement = (
        np.full((models, models), np.inf),
        np.zeros((models, models)),
        np.ones((models, models)),
    )
    for i in range(models):
        for j in range(models):
            if i == j:
                continue
            found[i, j] = crossover(lengths, middle[i], middle[j])
            each = np.array([crossover(lengths, turn[i], turn[j]) for turn in rounds])
            places = np.searchsorted(lengths, np.append(each, found[i, j]))
            agreement[i, j] = (abs(places[:-1] - places[-1]) <= 1).mean()
            finite = each[np.isfinite(each) & (each > 0)]
            if 0 < found[i, j] < np.inf:
                error[i, j] = (
                    finite.std(ddof=1) / np.sqrt(len(finite)) if len(finite) > 1 else np.inf
                )
    return found, error, agreement


def crossover(lengths, first, second):
    """The length from which on the second curve lies below the first: 0 where it does everywhere,
    inf where it does not at the end; a curve that is inf lies above every other.

    >>> round(crossover(np.array([1.0, 4.0, 16.0]), np.array([1.0, 16.0, 256.0]), np.array([2.0, 8.0, 32.0])), 9)
    2.0
    """
    seen = np.isfinite(first) | np.isfinite(second)
    lengths, first, second = lengths[seen], first[seen], second[seen]
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
