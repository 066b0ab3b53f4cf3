"""What a dataset asks of a model: from any dataset, by the goal that its attributes name, the task
that ``fit`` trains on."""

import inspect
from dataclasses import dataclass, field

import numpy as np

from .. import datasets, tasks
from ..datasets.splits import PARTS
from ..datasets.trials import EPOCHS
from ..errors import ShapeError, UnknownNameError
from ..tasks import Task, whole
from .corpus_tasks import SplitSamples, holding, next_token, own, speaker_task
from .forecast import WARMUP, Forecaster, inputs_and_increments, scales, values
from .options import generator, refuse

# most steps of a trial, unless said: the time between two samples serves the integration, not the
# memory
STEPS = 100


@dataclass(frozen=True, eq=False)
class Forecasts(SplitSamples):
    """Windows of one orbit, what a model should say at each step, and the scales by which it
    becomes a ``Forecaster``."""

    scales: dict = field(default_factory=dict)
    enough = 0.0  # errors grow exponentially: a forecast is never good enough

    def trained(self, model):
        """The model on its own output."""
        return Forecaster(model, **self.scales)


def task_of(data, /, **options):
    """The task that a dataset sets, by the goal among its attributes: what a model hears, what it
    should say and when, and the three parts.

    data: a Dataset of ``dm.datasets``, from memory or a file, or a name: of a task of ``dm.tasks``,
    with its options, else of a dataset as ``dm.datasets.load`` makes it without options. Goals,
    whose functions in this module name their options:

    - forecast (orbits, ``solar_system``): hears the state, says its next increment;
    - choice (``wong_wang_delay``): hears two populations until the cue ends, says after the delay
    which of them won;
    - angle (``ring_attractor_delay``): hears an angle, says it after the delay;
    - recall (``hopfield_recall``): hears a pattern of which a part is wrong, says the pattern after
    a silence;
    - trace (``synapse_traces``): hears a stream of memories, says what the synapses hold of them;
    - next_token (``text``); speaker (``japanese_vowels``, ``telephone_prompts``): hears speech and
    silence, says who spoke.

    The task carries the loss and the accuracy of the best answer that never changes (floor,
    chance), the share of the floor that a loss must be below to be called learned (asked: 0.1; of
    text 0.9, of speech 0.5), and what the dataset states of its own floor. Raises UnknownNameError,
    TypeError for an option that the goal does not take, ShapeError for a dataset that lacks what
    its goal needs.

    >>> import dynmem as dm
    >>> task = task_of(dm.datasets.load("hopfield_recall", stored=3, units=40, trials=200))
    >>> task.inputs, task.outputs, task.steps, len(task.test[1])
    (40, 40, 11, 30)
    >>> trained, history = dm.fit("gru", task, units=16, steps=150, learning_rate=2e-2, batch=16)
    >>> history.learned, history.dataset_floor_meaning
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
        if data in tasks.names():
            return tasks.get(data, **options)
        if data not in datasets.names():
            raise UnknownNameError("task or dataset", data, {*tasks.names(), *datasets.names()})
        data = datasets.load(data)
    if not hasattr(data, "data_vars"):
        raise TypeError(
            "expected a Dataset of dm.datasets, or the name of a task or of a "
            f"dataset, got {type(data).__name__}"
        )
    goal = data.attrs.get("goal")
    if goal not in GOALS:
        raise ShapeError(
            f"the dataset names the goal {goal!r} among its attributes, expected one "
            f"of {', '.join(GOALS)}: set "
            "data.attrs['goal'], or pass two arrays (inputs, targets) to dm.fit"
        )
    known = list(inspect.signature(GOALS[goal]).parameters)[1:]
    if unknown := sorted(options.keys() - set(known)):
        raise TypeError(
            f"the goal {goal} takes no option {', '.join(unknown)}: it takes "
            f"{', '.join(known) or 'none'}"
        )
    return GOALS[goal](data, **options)


def forecast(data, *, steps=50, every=10):
    """Windows of ``steps`` steps, beginning at each ``every``-th sample of a part: the increment of
    the state, scored after the first 20 steps.

    Those of validation and test begin so far apart that no step is scored twice, or their standard
    errors would be too small. In units of the standard increment: the loss of the forecast that
    moves by the mean is 1.
    """
    refuse(whole({"steps": steps, "every": every}, steps=WARMUP + 1, every=1))
    known = scales(data)
    apart = max(every, steps - WARMUP)
    parts = [
        _windows(values(data, name), known, steps, gap, name)
        for name, gap in (("train", every), ("validation", apart), ("test", apart))
    ]
    return Forecasts(
        *parts[0],
        loss="mean_squared_error",
        validation=parts[1],
        test=parts[2],
        due=WARMUP,
        scales=known,
        **_facts(data),
    )


def _windows(y, known, steps, every, name):
    if len(y) <= steps:
        raise ShapeError(
            f"the {name} part has {len(y)} samples, too few for windows of {steps} "
            "steps: load more samples, or pass fewer steps"
        )
    cut = (
        np.lib.stride_tricks.sliding_window_view(v, steps, axis=0)[::every]
        for v in inputs_and_increments(y, known)
    )
    return tuple(np.ascontiguousarray(np.moveaxis(windows, -1, 1)) for windows in cut)


def choice(data, *, every=None):
    """Which population wins? Hears the activity of both (standardised) until the cue ends, then
    nothing, and answers in the epoch "choice".

    ``every``: samples from one step to the next, by default so many that a trial has at most 100
    steps.
    """
    holding(data, ("activity", "epoch", "choice"), "dm.datasets.load('wong_wang_delay')")
    return _held(
        data,
        data.activity.values,
        np.repeat(data.choice.values[:, None], data.sizes["time"], axis=1),
        every,
        classes=2,
    )


def angle(data, *, every=None):
    """Which angle was cued? Hears what drives a ring of units (standardised) until the cue ends,
    and answers by (cos, sin) in the epoch "choice".

    ``every`` as of ``choice``.
    """
    holding(data, ("inputs", "epoch", "angle"), "dm.datasets.load('ring_attractor_delay')")
    told = np.stack((np.cos(data.angle.values), np.sin(data.angle.values)), axis=-1)
    return _held(
        data, data.inputs.values, np.repeat(told[:, None], data.sizes["time"], axis=1), every
    )


def _held(data, inputs, targets, every, classes=None):
    """Trials over time, of which every so-manyth sample is a step."""
    every = -(-data.sizes["time"] // STEPS) if every is None else every
    refuse(whole({"every": every}, every=1))
    epoch = data.epoch.values[::every]
    if missing := [name for name in ("cue", "choice") if EPOCHS[name] not in epoch]:
        raise ShapeError(
            f"every = {every}: no step is left of the epoch {', '.join(missing)}, "
            "pass a smaller number"
        )
    cued, due = (int(np.argmax(epoch == EPOCHS[name])) for name in ("cue", "choice"))
    heard = inputs[:, ::every][:, epoch <= EPOCHS["cue"]]
    known = heard[data.split.values == PARTS["train"]]
    u = np.zeros((len(inputs), len(epoch), inputs.shape[-1]))
    u[:, : heard.shape[1]] = (heard - known.mean()) / known.std()
    return _divided(data, u, targets[:, ::every], due=due, classes=classes, dependency=due - cued)


def recall(data, *, silence=None):
    """Which pattern was that? Hears a cue of which a part is wrong, at the first step, then
    silence, and says each entry at the last step.

    ``silence``: steps from the cue to the answer, by default as many as the Hopfield network takes.
    """
    holding(data, ("activity", "patterns", "cued"), "dm.datasets.load('hopfield_recall')")
    silence = data.sizes["step"] - 1 if silence is None else silence
    refuse(whole({"silence": silence}, silence=0))
    cues, answers = data.activity.values[:, 0], 0.5 * (1.0 + data.patterns.values[data.cued.values])
    u = np.zeros((len(cues), silence + 1, cues.shape[1]))
    u[:, 0] = cues
    return _divided(
        data,
        u,
        np.repeat(answers[:, None], silence + 1, axis=1),
        loss="binary_cross_entropy",
        due=-1,
        dependency=silence,
    )


def trace(data, *, steps=None, sequences=512, rng=0):
    """What do synapses hold of a stream of memories +1 and -1? y_t = sum_k r(k) u_(t-k), r the
    exact trace, scaled to unit variance over all lags.

    Of linear synapses that is the weight; of a cascade, whose weight is no linear function of what
    it heard, the best linear one. ``steps``: at most, and by default up to 64, the lags of the
    dataset; ``sequences`` to train on, a quarter as many for validation and for the test.
    """
    holding(data, ("theory",), "dm.datasets.load('synapse_traces')")
    steps = min(64, data.sizes["lag"]) if steps is None else steps
    refuse(whole({"steps": steps, "sequences": sequences}, steps=1, sequences=4))
    if steps > data.sizes["lag"]:
        raise ShapeError(
            f"steps = {steps}: the traces reach over {data.sizes['lag']} lags, pass "
            "at most as many, or load more"
        )
    known = data.theory.transpose("synapse", "lag").values
    known = known / np.sqrt(np.sum(np.square(known), axis=1, keepdims=True))
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))  # from memory to answer
    kernel = np.where(lag >= 0, known[:, np.maximum(lag, 0)], 0.0)
    u = generator(rng).choice((-1.0, 1.0), size=(sequences + 2 * (sequences // 4), steps))
    y = np.moveaxis(u @ np.swapaxes(kernel, -1, -2), 0, -1)
    marks = np.repeat(
        [PARTS[name] for name in ("train", "validation", "test")],
        [sequences, sequences // 4, sequences // 4],
    )
    return _divided(data, u[..., None], y, marks, loss="mean_squared_error", dependency=steps - 1)


def _divided(data, inputs, targets, marks=None, **facts):
    """A task of sequences and of marks that say to which part each belongs."""
    marks = data.split.values if marks is None else marks
    trained, watched, test = (
        (inputs[marks == PARTS[name]], targets[marks == PARTS[name]])
        for name in ("train", "validation", "test")
    )
    return SplitSamples(*trained, validation=watched, test=test, **_facts(data), **facts)


def _facts(data):
    return {
        "title": data.attrs.get("title", "dataset"),
        "source": data.attrs.get("source", "given by the caller"),
        "own": own(data),
    }


GOALS = {
    "forecast": forecast,
    "choice": choice,
    "angle": angle,
    "recall": recall,
    "trace": trace,
    "next_token": next_token,
    "speaker": speaker_task,
}
