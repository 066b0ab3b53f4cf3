"""What a dataset requires of a model: the task of any dataset, by the goal that its attributes
name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import datasets, tasks
from ..datasets.splits import PARTS
from ..datasets.trials import EPOCHS
from ..errors import ShapeError, UnknownNameError, suggestion
from ..runtime.validation import all_errors, generator, integer, public
from ..tasks.registry import ALIASES
from ..tasks.task import Task
from ..typing import Rng
from .corpus_tasks import (
    SplitSamples,
    dataset_facts,
    next_token,
    require_variables,
    speaker_task,
)
from .forecaster import WARMUP_STEPS, Forecaster
from .orbit_data import inputs_and_increments, scales, stretches
from .sequence_task import OWN_DATA, sequences

if TYPE_CHECKING:
    from xarray import Dataset

# steps of a trial by default: the time between two samples serves the integration, not the memory
MAX_TRIAL_STEPS = 100
MAX_TRACE_STEPS = 64
WINDOW_STEPS = 50  # of a forecast, by default


@dataclass(frozen=True, eq=False)
class Forecasts(SplitSamples):
    """Windows of one orbit, the increment that follows at each step, and the scales by which a
    model becomes a ``Forecaster``."""

    scales: dict = field(default_factory=dict)
    stop_ratio = 0.0  # errors grow exponentially: a forecast is never good enough
    sighted = False  # the present state of an orbit needs no memory: what is asked is its motion
    floor_meaning = "squared error of the forecast that moves by the mean"

    @property
    def floor(self) -> float:
        """Loss of the forecast that moves by the mean, 1 in units of the standard increment."""
        return float(self.targets[:, self.recalled].var((0, 1)).mean())

    def trained(self, model: Any) -> Forecaster:
        """The model on its own output."""
        return Forecaster(model, **self.scales)


@public
def task_of(data: Any, /, **options: Any) -> Task:
    """The task that a dataset sets, by the goal among its attributes.

    The task has an input, a target with the steps at which it is scored, and the three sets. Goals,
    whose functions in this module have their options as keyword arguments:

    - forecast (orbits, ``solar_system``, ``dm.datasets.from_series``). Input: the state. Target:
      its next increment.
    - choice (``wong_wang_delay``). Input: both populations until the cue ends. Target: the winner,
      after the delay.
    - angle (``ring_attractor_delay``). Input: the drive of a ring until the cue ends. Target: the
      angle, after the delay.
    - recall (``hopfield_recall``). Input: a pattern of which a part is wrong. Target: the pattern,
      after a silence.
    - trace (``synapse_traces``). Input: a stream of memories. Target: what the synapses hold of
      them.
    - next_token (``text``, ``dm.datasets.from_text``, ``dm.datasets.from_tokens``).
    - speaker (``japanese_vowels``, ``telephone_prompts``). Input: speech, then silence. Target: the
      speaker.
    - targets (``dm.datasets.from_sequences``). Input and target as given, standardised.

    Parameters
    ----------
    data : xarray.Dataset, Task or str
        A Dataset of ``dm.datasets``, from memory or a file; a name of a task of ``dm.tasks``, with
        its options, or of a dataset as ``dm.datasets.load`` returns it without options. A task is
        returned as it is.
    **options
        Of the goal, or of the task that is named.

    Returns
    -------
    Task
        With the loss and the accuracy of the best answer without a memory (floor, chance; of a
        forecast those of the one that moves by the mean), the share of the floor that a loss must
        be below to be called learned (pass_ratio: 0.1; of text 0.9, of speech and own sequences
        0.5), and what the dataset states of its own floor (dataset_facts).

    Raises
    ------
    UnknownNameError
        For a name of neither.
    TypeError
        For an option that the goal does not take, and for what is no dataset.
    ShapeError
        For a dataset that lacks what its goal needs.

    References
    ----------
    Wong and Wang (2006), J. Neurosci. 26, 1314 (choice); Zhang (1996), J. Neurosci. 16, 2112
    (angle); Hopfield (1982), PNAS 79, 2554 (recall); Fusi, Drew and Abbott (2005), Neuron 45, 599
    (trace).

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("hopfield_recall", stored=3, units=40, trials=200)
    >>> task = dm.training.task_of(data)
    >>> task.inputs, task.outputs, task.steps, len(task.test[1])
    (40, 40, 11, 30)
    >>> trained, history = dm.fit(
    ...     "gru", task, units=16, steps=150, learning_rate=2e-2, batch=16
    ... )
    >>> int(history.learned), history.dataset_floor_meaning
    (1, 'share of wrong entries that is left in a large network of this load')
    """
    if isinstance(data, Task):
        if options:
            raise TypeError(
                f"{type(data).__name__} is a task already and takes no option "
                f"{', '.join(options)}: make it with them, by dm.tasks.get"
            )
        return data
    if isinstance(data, str):
        if data in tasks.names() or data in ALIASES:
            return tasks.get(data, **options)
        data = _loaded(data)
    if not hasattr(data, "data_vars"):
        raise TypeError(
            "expected a Dataset of dm.datasets, or the name of a task or of a "
            f"dataset, got {type(data).__name__}: {OWN_DATA}"
        )
    goal = data.attrs.get("goal")
    if goal not in GOALS:
        raise ShapeError(
            f"the dataset names the goal {goal!r} among its attributes, expected one "
            f"of {', '.join(GOALS)}: {OWN_DATA}"
        )
    known = list(inspect.signature(GOALS[goal]).parameters)[1:]
    if unknown := sorted(options.keys() - set(known)):
        meant = "".join(suggestion(option, known) for option in unknown)
        raise TypeError(
            f"the goal {goal} takes no option {', '.join(unknown)}{meant}: it takes "
            f"{', '.join(known) or 'none'}"
        )
    return GOALS[goal](data, **options)


def _loaded(name) -> Dataset:
    """The dataset of a name that is no task's."""
    try:
        return datasets.load(name)
    except UnknownNameError:
        if Path(name).suffix:
            raise ValueError(f"{name!r:.60} is the name of a file: {OWN_DATA}") from None
        known = {*tasks.names(), *datasets.names()}
        raise UnknownNameError("task or dataset", name, known, ALIASES) from None


def forecast(data: Dataset, *, steps: int | None = None, every: int = 10) -> SplitSamples:
    """Predict the increment of the state, from windows of ``steps`` steps (by default 50, or as
    many as a shorter series has), beginning at each ``every``-th sample of a part; scored after the
    first 20 steps.

    Windows of validation and test begin so far apart that no step is scored twice, or their
    standard errors would be too small; none crosses from one series to another. In units of the
    standard increment: the loss of the forecast that moves by the mean is 1.
    """
    known = scales(data)
    parts = {name: stretches(data, name) for name in ("train", "validation", "test")}
    shortest = min(len(y) for part in parts.values() for y in part)
    with all_errors() as check:
        default = max(WARMUP_STEPS + 1, min(WINDOW_STEPS, shortest - 1))
        steps = check(integer, "steps", default if steps is None else steps, WARMUP_STEPS + 1)
        every = check(integer, "every", every)
    apart = max(every, steps - WARMUP_STEPS)
    training, validation, test = (
        _windows(part, known, steps, every if name == "train" else apart, name)
        for name, part in parts.items()
    )
    return Forecasts(
        training[0],
        training[1],
        loss="mean_squared_error",
        validation=validation,
        test=test,
        answer_from=WARMUP_STEPS,
        scales=known,
        **_facts(data),
    )


def _windows(part, known, steps, every, name) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the windows of each of the orbits of a part."""
    shortest = min(map(len, part))
    if shortest <= steps:
        raise ShapeError(
            f"the {name} part has {shortest} samples, too few for windows of {steps} "
            "steps: load more samples, or pass fewer steps"
        )
    cut = [
        [
            np.moveaxis(np.lib.stride_tricks.sliding_window_view(v, steps, axis=0)[::every], -1, 1)
            for v in inputs_and_increments(y, known)
        ]
        for y in part
    ]
    inputs, targets = (np.concatenate(windows) for windows in zip(*cut, strict=True))
    return inputs, targets


def choice(data: Dataset, *, every: int | None = None) -> SplitSamples:
    """Which population wins? Input: the activity of both (standardised) until the cue ends. Target:
    the winner, in the epoch "choice".

    ``every``: samples from one step to the next, by default so many that a trial has at most 100
    steps.
    """
    require_variables(data, ("activity", "epoch", "choice"), "dm.datasets.load('wong_wang_delay')")
    targets = np.repeat(data.choice.values[:, None], data.sizes["time"], axis=1)
    return _trials(data, data.activity.values, targets, every, classes=2)


def angle(data: Dataset, *, every: int | None = None) -> SplitSamples:
    """Which angle was cued? Input: the drive of a ring of units (standardised) until the cue ends.
    Target: (cos, sin), in the epoch "choice".

    ``every`` as of ``choice``.
    """
    require_variables(
        data, ("inputs", "epoch", "angle"), "dm.datasets.load('ring_attractor_delay')"
    )
    cued = np.stack((np.cos(data.angle.values), np.sin(data.angle.values)), axis=-1)
    targets = np.repeat(cued[:, None], data.sizes["time"], axis=1)
    return _trials(data, data.inputs.values, targets, every)


def _trials(data, inputs, targets, every, classes=None):
    """Trials over time, of which every ``every``-th sample is a step."""
    default = -(-data.sizes["time"] // MAX_TRIAL_STEPS)
    every = default if every is None else integer("every", every)
    epoch = data.epoch.values[::every]
    if missing := [name for name in ("cue", "choice") if EPOCHS[name] not in epoch]:
        raise ShapeError(
            f"every = {every}: no step is left of the epoch {', '.join(missing)}, "
            "pass a smaller number"
        )
    cued, answer = (int(np.argmax(epoch == EPOCHS[name])) for name in ("cue", "choice"))
    cue = inputs[:, ::every][:, epoch <= EPOCHS["cue"]]
    training = cue[data.split.values == PARTS["train"]]
    u = np.zeros((len(inputs), len(epoch), inputs.shape[-1]))
    u[:, : cue.shape[1]] = (cue - training.mean()) / training.std()
    return _split_samples(
        data,
        u,
        targets[:, ::every],
        answer_from=answer,
        classes=classes,
        dependency=answer - cued,
    )


def recall(data: Dataset, *, silence: int | None = None) -> SplitSamples:
    """Which pattern was cued? Input: a pattern of which a part is wrong, at the first step, then
    silence. Target: each entry of the pattern, at the last step.

    ``silence``: steps from the cue to the answer, by default as many as the Hopfield network takes.
    """
    require_variables(data, ("activity", "patterns", "cued"), "dm.datasets.load('hopfield_recall')")
    default = data.sizes["step"] - 1
    silence = default if silence is None else integer("silence", silence, 0)
    cues = data.activity.values[:, 0]
    answers = 0.5 * (1.0 + data.patterns.values[data.cued.values])
    u = np.zeros((len(cues), silence + 1, cues.shape[1]))
    u[:, 0] = cues
    return _split_samples(
        data,
        u,
        np.repeat(answers[:, None], silence + 1, axis=1),
        loss="binary_cross_entropy",
        answer_from=-1,
        dependency=silence,
    )


def trace(
    data: Dataset, *, steps: int | None = None, sequences: int = 512, rng: Rng = 0
) -> SplitSamples:
    """What do synapses hold of a stream of memories? Input: u = +1 or -1. Target: y_t =
    sum_k r(k) u_(t-k), r the exact trace, scaled to unit variance over all lags.

    Of linear synapses that is the weight; of a cascade, whose weight is no linear function of its
    input, the best linear one. ``steps``: at most, and by default up to 64, the lags of the
    dataset; ``sequences`` to train on, a quarter as many for validation and for the test.
    """
    require_variables(data, ("theory",), "dm.datasets.load('synapse_traces')")
    lags = data.sizes["lag"]
    with all_errors() as check:
        steps = min(MAX_TRACE_STEPS, lags) if steps is None else check(integer, "steps", steps)
        sequences = check(integer, "sequences", sequences, 4)
        drawing = check(generator, rng)
    if steps > lags:
        raise ShapeError(
            f"steps = {steps}: the traces reach over {lags} lags, pass "
            "at most as many, or load more"
        )
    known = data.theory.transpose("synapse", "lag").values
    known = known / np.sqrt(np.sum(np.square(known), axis=1, keepdims=True))
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))  # from memory to answer
    kernel = np.where(lag >= 0, known[:, np.maximum(lag, 0)], 0.0)
    u = drawing.choice((-1.0, 1.0), size=(sequences + 2 * (sequences // 4), steps))
    y = np.moveaxis(u @ np.swapaxes(kernel, -1, -2), 0, -1)
    marks = np.repeat(
        [PARTS[name] for name in ("train", "validation", "test")],
        [sequences, sequences // 4, sequences // 4],
    )
    return _split_samples(
        data, u[..., None], y, marks, loss="mean_squared_error", dependency=steps - 1
    )


def _split_samples(data, inputs, targets, marks=None, **facts):
    """A task of sequences, and of marks that state the part of each."""
    marks = data.split.values if marks is None else marks
    training, validation, test = (
        (inputs[marks == PARTS[name]], targets[marks == PARTS[name]])
        for name in ("train", "validation", "test")
    )
    return SplitSamples(*training, validation=validation, test=test, **_facts(data), **facts)


def _facts(data) -> dict[str, Any]:
    return {
        "title": data.attrs.get("title", "dataset"),
        "source": data.attrs.get("source", "given by the caller"),
        "dataset_facts": dataset_facts(data),
    }


GOALS: dict[str, Callable[..., Task]] = {
    "forecast": forecast,
    "choice": choice,
    "angle": angle,
    "recall": recall,
    "trace": trace,
    "next_token": next_token,
    "speaker": speaker_task,
    "targets": sequences,
}
