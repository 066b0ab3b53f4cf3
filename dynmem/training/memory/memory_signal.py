"""Memory signal: what the gradient says of the cue, against the noise of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...analysis.gradients.signal_parts import signal_report
from ...labels import as_seed
from ...runtime.progress import progress_bar
from ...runtime.validation import all_errors, integer, public
from ...typing import ArrayLike, Rng
from ..loop import torch_threads
from .recipe import Recipe
from .sequence_module import delay_of, in_double, name_of, seed_of, sequence_module, task_at
from .signal_noise import Signal, measure

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "covariance of target and gradient against the variance of a batch; McCandlish et al. (2018), "
    "arXiv:1812.06162, for the noise scale"
)


@public
def memory_signal(
    model: Any,
    task: Any,
    *,
    delays: ArrayLike | None = None,
    null_steps: ArrayLike = 0,
    null_delay: int | None = None,
    null_runs: int = 1,
    units: int = 32,
    batch: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    sequences: int = 512,
    probes: int = 16,
    rng: Rng = 0,
    progress: bool | None = None,
) -> Dataset:
    """Measure how much of the gradient speaks of the cue, against the noise of a batch.

    For a part m of the targets (a mode, see below) and the outputs y(p) of weights p,

        s = -c Cov(m, dy/dp),    SNR^2 = sum over tensors of |s|^2 / mean sigma^2,

    where c t is the part of the loss's derivative that depends on the target t (c = 1 for cross
    entropies, 2/outputs for squared errors), summed over the recalled steps with their weights,
    and sigma^2 is the variance of the gradient of a batch, averaged inside each tensor: free of
    scales, as Adam is. At SNR^2 = 1 one batch shows that there is something to remember. s is
    exactly 0 where the answer cannot depend on the cue, beyond a receptive field or a window.

    Parameters
    ----------
    model : str, Map, torch.nn.Module or callable
        A name of ``dm.models``; a system; a module from (batch, time, inputs) to (batch, time,
        outputs), which is copied; or a function (task, rng) that returns one of them, where the
        model depends on the delay.
    task : Task, str, xarray.Dataset, pair of array_like or callable
        As for ``dm.fit``, or a function of the delay that returns a task.
    delays : int or array_like of int, optional
        Delays in steps, set by ``task.with_delay``; None: the task as it is.
    null_steps : int or array_like of int
        Steps of a null training (``dm.training.null_fit``) after which the signal is measured; 0:
        the untrained network.
    null_delay : int, optional
        Delay of the null training; None: each delay has its own.
    null_runs : int
        Null trainings, with other sequences, that are averaged.
    units : int
        Units of a model that is named.
    batch : int
        Sequences of a batch, whose noise is meant.
    learning_rate, optimizer, clip
        Of the null training, as for ``dm.fit``.
    sequences : int
        Sequences of a sample, where the task does not list its sequences.
    probes : int
        Directions in which the noise is measured, where it does; as many as there are sequences
        are exact.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, sequences and directions.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.

    Returns
    -------
    xarray.Dataset
        signal : (delay, mode, null_step), nat or squared unit
            Norm of s over all weights.
        noise : (delay, null_step), nat or squared unit
            Root of the summed variance of the gradient of a batch.
        snr_squared : (delay, mode, null_step), 1
            SNR^2 of a batch. From a sample it is an unbiased estimate, which may be negative. Over
            several null trainings it is the geometric mean, since single ones scatter by decades;
            of estimates that are not all above 0, the mean.
        snr_squared_error : (delay, mode, null_step), 1
            Its standard error: of the sample, of the directions, of rounding, of the null runs.

        The attribute ``exact`` is 1 where all sums are over every sequence.

    Raises
    ------
    ShapeError
        Where model and task do not fit.
    NotFiniteError
        Where outputs, a loss or a gradient are not finite.
    TypeError
        For what is no model or no task, or a task without a delay.

    Notes
    -----
    A task names its modes in ``Task.modes``. Copy has "which" (what permutations of the symbols
    leave) and "order" (what they change); adding has the "first" and "second" value; most others
    have one. ``Task.sequences`` lists the sequences of a task that has few; elsewhere the square
    of the signal is taken between independent parts of a sample. Gradients are in float64, with
    dropout off.

    References
    ----------
    McCandlish, Kaplan, Amodei et al. (2018), arXiv:1812.06162, for the noise scale of gradients.
    Pascanu, Mikolov and Bengio (2013), ICML, for gradients that fade below it.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    >>> found = dm.memory_signal("tanh", task, delays=[2, 4, 8], units=8)
    >>> dict(found.snr_squared.sizes), found.exact
    ({'delay': 3, 'mode': 1, 'null_step': 1}, 1)
    >>> tcn = dm.models.get("tcn", units=8, inputs=task.inputs, outputs=task.outputs, kernel=2)
    >>> dm.memory_signal(tcn, task, delays=[1, 30]).signal.values[:, 0, 0] > 0
    array([ True, False])
    """
    steps = _whole_numbers("null_steps", null_steps, 0)
    wanted = None if delays is None else _whole_numbers("delays", delays, 0)
    with all_errors() as check:
        recipe = check(Recipe, max(1, *steps), batch, learning_rate, optimizer, clip)
        counts = {
            name: check(integer, name, value)
            for name, value in (
                ("null_runs", null_runs),
                ("units", units),
                ("sequences", sequences),
                ("probes", probes),
            )
        }
    tasks = [task_at(task, None)] if wanted is None else [task_at(task, int(d)) for d in wanted]
    runs = counts["null_runs"] if max(steps) else 1
    with torch_threads(1):
        found = list(
            progress_bar(
                _signals(model, task, tasks, steps, runs, null_delay, recipe, counts, rng),
                total=len(tasks) * len(steps) * runs,
                progress=progress,
                unit="signal",
            )
        )
    table = np.array(found, dtype=object).reshape(runs, len(tasks), len(steps), len(Signal._fields))
    return _as_dataset(model, tasks, steps, table, recipe, counts, rng)


def _signals(model, given, tasks, steps, runs, null_delay, recipe, counts, rng) -> Iterator[Signal]:
    """Signals over run, delay and null step: every one with random numbers of its own, the same
    weights for all runs and delays."""
    seed = seed_of(rng)
    common = None if null_delay is None else task_at(given, null_delay)
    for run in range(runs):
        shared = (
            None if common is None else _trained(model, common, steps, run, recipe, counts, seed)
        )
        for place, task in enumerate(tasks):
            own = shared or _trained(model, task, steps, run, recipe, counts, seed)
            for module in own:
                yield measure(
                    in_double(module),
                    task,
                    batch=recipe.batch,
                    sequences=counts["sequences"],
                    probes=counts["probes"],
                    rng=np.random.default_rng((seed, 1, run, place)),
                )


def _trained(model, task, steps, run, recipe, counts, seed) -> list:
    """Modules after these steps of a null training on a task."""
    import copy

    module = sequence_module(
        model, task, counts["units"], seed, "float32" if max(steps) else "float64"
    )
    if not max(steps):
        return [module]
    untrained = sequence_module(model, task, counts["units"], seed, "float64")
    found = {0: untrained}
    descent = recipe.descend(module, task, np.random.default_rng((seed, 0, run)), null=True)
    for step, _ in enumerate(descent, 1):
        if step in steps:
            found[step] = copy.deepcopy(module)
    return [found[step] for step in steps]


def _as_dataset(model, tasks, steps, table, recipe, counts, rng) -> Dataset:
    modes = table[0, 0, 0, 0]
    signal, noise, ratio, error = (
        np.array(table[..., i].tolist(), float) for i in range(1, len(Signal._fields))
    )
    ratio, error = _over_runs(ratio, error)
    exact = tasks[0].sequences() is not None
    parameters = {k: v for k, v in tasks[0].parameters.items() if k != tasks[0].delay_option}
    return signal_report(
        tasks,
        [delay_of(task) for task in tasks],
        modes,
        steps,
        {
            "signal": signal.mean(0),
            "noise": noise.mean(0),
            "snr_squared": ratio,
            "snr_squared_error": error,
        },
        title=f"memory signal of {name_of(model)} on the {tasks[0].title}",
        source=SOURCE,
        parameters={"model": name_of(model), **parameters, **counts, **recipe.attributes()},
        seed=as_seed(rng),
        exact=int(exact and counts["probes"] >= len(tasks[0].sequences()[2]) - 1),
    )


def _over_runs(ratio, error):
    """Mean over runs, of logarithms where every value is above 0, and its standard error."""
    runs = len(ratio)
    within = np.sqrt((error**2).mean(0) / runs)
    if runs == 1:
        return ratio[0], within
    above = (ratio > 0).all(0)
    logs = np.log(np.where(above, ratio, 1.0))
    mean = np.where(above, np.exp(logs.mean(0)), ratio.mean(0))
    scatter = np.where(above, mean * logs.std(0, ddof=1), ratio.std(0, ddof=1)) / np.sqrt(runs)
    return mean, np.hypot(within, scatter)


def _whole_numbers(name: str, values: ArrayLike, least: int) -> tuple[int, ...]:
    """Whole numbers, each once, sorted."""
    found = [integer(name, value, least) for value in np.ravel(values)]
    if not found:
        raise ValueError(f"{name} is empty: pass at least one whole number")
    return tuple(sorted(set(found)))
