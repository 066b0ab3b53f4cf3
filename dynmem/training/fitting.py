"""Fit a system to a task: the best weights of a validation set, judged on a test set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..errors import ShapeError
from ..labels import as_seed
from ..runtime.devices import as_device
from ..runtime.torch_modules import unpacked
from ..runtime.validation import all_errors, generator, integer, is_real, public
from ..system import Map, System
from ..tasks import Task
from ..typing import ArrayLike, Rng
from .array_task import Samples
from .forecaster import Forecaster, as_model
from .history import history_dataset, report
from .keeping import Checkpoint, batch_digest, check_resume, check_writable, module_identity
from .loop import (
    Batch,
    Callback,
    Loss,
    Schedule,
    Stop,
    evaluate,
    torch_threads,
    train as run_training,
)
from .sequence_task import OWN_DATA, Marked, marked_loss, marked_task, needs_marks
from .trainable import Trainable, as_dtype

if TYPE_CHECKING:
    from xarray import Dataset

# test sequences for each of the validation set, where a dataset has as many: it is read once
TEST_RATIO = 16
# of outputs (batch, steps, outputs) and targets, each step: torch's own form of tasks' losses
LOSSES: dict[str, Loss] = {
    "cross_entropy": lambda y, t: functional.cross_entropy(y.transpose(1, 2), t, reduction="none"),
    "binary_cross_entropy": lambda y, t: functional.binary_cross_entropy_with_logits(
        y, t, reduction="none"
    ).mean(-1),
    "mean_squared_error": lambda y, t: (y - t).square().mean(-1),
}


class Parts(NamedTuple):
    """Training sampler, a function of a batch size and a Generator; validation set; test set."""

    draw: Callable[..., tuple[np.ndarray, np.ndarray]]
    validation: Batch
    test: Batch


@public
@torch.inference_mode(False)  # whatever the caller has switched off: a training needs gradients
@torch.enable_grad()
def fit(
    model: Map | str,
    task: Task | Dataset | str | tuple[ArrayLike, ArrayLike],
    *,
    steps: int,
    units: int = 32,
    rng: Rng = 0,
    device: Any = None,
    callback: Callback | None = None,
    batch: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    warmup: int = 0,
    loss: str | Loss | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    evaluate_every: int = 50,
    stop: bool | float = True,
    validation_size: int = 256,
    progress: bool | None = None,
    dtype: Any = "float32",
    fixed: str | Iterable[str] = (),
    train: str | Iterable[str] = (),
    threads: int | None = 1,
) -> tuple[Map, Dataset]:
    """Train a model on a task or a dataset.

    Each step draws ``batch`` sequences, and the gradient of their mean loss is clipped after the
    backward pass. At the start and every ``evaluate_every`` steps the loss is measured on the same
    validation set, which chooses the best weights; these are judged by the test set, other
    sequences that had no say in the training: as many of a task, up to 16 times as many of a
    dataset's test part. Ctrl-C ends the training with the best weights so far.

    Parameters
    ----------
    model : Map or str
        With the task's inputs and outputs, or a name of ``dm.models``.
    task : Task, xarray.Dataset, str or pair of array_like
        A task of ``dm.tasks``, a Dataset of ``dm.datasets``, the name of one or the other (by
        ``dm.training.task_of``, which takes their options), or arrays (inputs, targets) as for
        ``dm.training.Samples``; one target a sequence, or lists of arrays of unequal length, as for
        ``dm.datasets.from_sequences``.
    steps : int
        Training steps.
    units : int
        Units of a model that is named.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, and all sequences.
    device : str or torch.device, optional
        Device to train on; None: where the module is, the CPU.
    callback : callable, optional
        Called as ``callback(step, row)`` after each evaluation; ``row`` is a dict of the history's
        variables at this step. The training ends where it returns something true.
    batch : int
        Sequences of a step.
    learning_rate : float
        Of the optimizer.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}
        Optimizer of torch.
    clip : float or None
        Largest norm of the gradient; None: no clipping.
    warmup : int
        Steps over which the learning rate rises in a straight line to its value.
    loss : callable or str, optional
        A function of outputs and targets that returns one loss a sequence, in place of the task's
        (then there is no floor and no verdict); for arrays, the name of a loss.
    checkpoint : path, optional
        File for the best weights, for ``dm.training.load``, and for what it takes to go on. A file
        that is there is replaced by better weights alone, by their loss on the validation set.
    resume : bool
        Whether to go on from the checkpoint, where there is one, until ``steps`` in all: the bits
        are those of a training that was never interrupted, on the same device, with the same
        ``threads`` and versions. Everything but ``steps`` and ``stop`` has to be the same.
    evaluate_every : int
        Steps between evaluations.
    stop : bool or float
        Whether to end early, once validation_loss + 2 errors has been below a fiftieth of the
        floor, or the share of it that is given, at three evaluations in a row (a forecast does not,
        unless a share is given).
    validation_size : int
        Sequences of the validation set.
    progress : bool or None
        A bar on stderr; None: after two seconds, in a terminal or a notebook.
    dtype : torch.dtype or {"float32", "float64"}
        Precision.
    fixed, train : str or sequence of str
        Arrays that are not trained, numbers that are: see ``dm.Trainable``.
    threads : int or None
        Threads of torch while it trains, on which the bits depend; None: as set.

    Returns
    -------
    trained : Map
        The system with the weights of the best evaluation; a forecast is a ``Forecaster``, which
        runs on its own output.
    history : xarray.Dataset
        training_loss : (step,), nat or squared unit
            Mean since the last evaluation.
        gradient_norm : (step,), nat or squared unit
            Mean norm before clipping since the last evaluation.
        validation_loss : (step,), nat or squared unit
            Mean loss on the validation set.
        validation_loss_error : (step,), nat or squared unit
            Standard error of the validation loss.
        validation_accuracy : (step,), 1 [optional]
            Share of right answers; not of values, which are neither right nor wrong.
        test_loss : (), nat or squared unit
            Mean loss of the best weights on the test set.
        test_loss_error : (), nat or squared unit
            Standard error of the test loss.
        test_accuracy : (), 1 [optional]
            Share of right answers on the test set.
        learned : (), 1
            1 where test_loss + 2 test_loss_error < pass_ratio * floor, else 0.

        The attributes hold floor and chance, the loss and the accuracy without a memory, with
        floor_meaning; pass_ratio; of a dataset dataset_floor and dataset_chance, what it states of
        itself, with their meanings; steps, best_step (0: the start), start_loss, seed, threads;
        ended, one of steps, stop (``stop`` was reached), callback, interrupted (Ctrl-C);
        checkpoint, the file, or why it was not written.

    Raises
    ------
    NotFiniteError
        With the step where a loss or a gradient is lost; ``error.trained`` and ``error.history``
        are what ``fit`` would have returned of the best weights before.
    ShapeError
        Where model and task do not fit.
    ValueError
        With every option that cannot be.
    TypeError
        For what is no task, or no model.

    References
    ----------
    Kingma and Ba (2015), arXiv:1412.6980 (Adam); Pascanu, Mikolov and Bengio (2013), ICML, for
    clipping.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", delay=1, symbols=2, length=1)
    >>> model = dm.models.get("gru", units=16, inputs=task.inputs, outputs=task.outputs)
    >>> trained, history = dm.fit(model, task, steps=100, batch=32, learning_rate=2e-2)
    >>> int(history.learned), bool(history.validation_loss[-1] < 0.1 * task.floor)
    (1, True)
    >>> data = dm.datasets.load("henon", samples=2000)
    >>> forecaster, history = dm.fit(
    ...     "gru", data, steps=100, units=16, batch=16, learning_rate=2e-2
    ... )
    >>> forecaster.size, int(history.learned), history.pass_ratio
    (18, 1, 0.1)
    """
    given = _checked(dict(locals()))
    for_batches, for_validation, for_test, for_model = given["drawing"].spawn(4)
    task = as_task(task, loss, model)
    model = as_model(model, task.inputs, task.outputs, given["units"], for_model)
    module = as_module(model, task, given).to(given["device"])
    tensors = partial(as_tensors, task, dtype=module.dtype, device=module.device)
    parts = split(task, given["validation_size"], (for_validation, for_test), tensors)
    measure = per_sequence(task, loss)
    score = partial(evaluate, loss=measure, accuracy=task.accuracy)
    with torch_threads(given["threads"]):
        keeper = _keeper(module, task, given, parts.validation, score, for_batches)
        outcome = run_training(
            module,
            (tensors(parts.draw(given["batch"], for_batches)) for _ in repeat(None)),
            lambda: score(module, parts.validation),
            given["schedule"],
            Stop((task.stop_ratio if stop is True else float(stop)) * _floor(task, loss)),
            loss=measure,
            callback=callback,
            keeper=keeper,
            progress=progress,
            label=_label(model, given),
        )
        if outcome.error is not None and outcome.run.best is None:
            raise outcome.error
        test = score(module, parts.test)
    trained = task.trained(module.frozen())
    notes = keeper.notes(outcome.run) if keeper else {}
    history = _history(outcome, test, task, model, given, notes)
    report(outcome, trained, history, given["steps"])
    return trained, history


def as_task(task: Any, loss: str | Loss | None, model: Any) -> Task:
    """The task itself, or that of a name, a Dataset or arrays (inputs, targets)."""
    if isinstance(task, str) or hasattr(task, "data_vars"):
        from .dataset_tasks import task_of

        task = task_of(task)
    if isinstance(task, Task):
        if isinstance(loss, str):
            raise ValueError(
                f"loss = {loss!r}: the task brings its own loss, {task.loss}; a name "
                "is for arrays (inputs, targets)"
            )
        return task
    if isinstance(task, (tuple, list)) and len(task) == 2:
        inputs, targets = (unpacked(each) for each in task)
        if needs_marks(inputs, targets):
            return marked_task(inputs, targets, loss if isinstance(loss, str) else None)
        classes = np.ndim(targets) == 2
        return Samples(
            inputs,
            targets,
            None if callable(loss) else loss,
            getattr(model, "outputs", None) if classes else None,
        )
    raise TypeError(
        "task must be a dm.tasks.Task, a Dataset of dm.datasets, the name of one of "
        f"them, or two arrays (inputs, targets), got {type(task).__name__}: {OWN_DATA}"
    )


def as_module(model: Any, task: Task, given: dict[str, Any]) -> Trainable:
    """The model as a torch module, if it fits the task and has something to train."""
    _check_widths(model, task)
    module = Trainable(model, given["dtype"], fixed=given["fixed"], train=given["train"])
    if not module.weights():
        raise ValueError(
            f"nothing to train: {type(model).__name__} has no float arrays that are "
            "not fixed; name numbers with train=(...)"
        )
    return module


def as_tensors(
    task: Task,
    arrays: tuple[np.ndarray, np.ndarray],
    dtype: torch.dtype,
    device: torch.device | None = None,
) -> Batch:
    """Inputs and targets as tensors: symbols one-hot, classes as whole numbers."""
    inputs, targets = arrays
    u = torch.as_tensor(task.encode(inputs, np.dtype(str(dtype).removeprefix("torch."))))
    kind = torch.int64 if task.loss == "cross_entropy" else dtype
    return u.to(device), torch.as_tensor(targets).to(kind).to(device)


def per_sequence(task: Task, loss: str | Loss | None = None) -> Loss:
    """The loss of each sequence, (batch,), as a function of outputs (batch, steps, outputs) and
    targets: the mean over the scored steps."""
    if callable(loss):
        return lambda outputs, targets: _one_each(loss(outputs, targets), len(outputs))
    if isinstance(task, Marked):
        return marked_loss(task)
    scored = np.flatnonzero(task.weights)
    weights = torch.as_tensor(task.weights[scored] / task.weights.sum())
    index = torch.as_tensor(scored)

    def measure(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(scored) < task.steps:
            at = index.to(outputs.device)
            outputs, targets = outputs[:, at], targets[:, at]
        return LOSSES[task.loss](outputs, targets) @ weights.to(outputs)

    return measure


def _one_each(losses, count):
    if not isinstance(losses, torch.Tensor) or losses.shape != (count,):
        raise ShapeError(
            f"the loss returned {getattr(losses, 'shape', type(losses).__name__)}, "
            "expected one loss a sequence, shape "
            f"({count},): take the mean over steps and outputs, not over the batch"
        )
    return losses


def split(
    task: Task,
    validation_size: int,
    seeds: tuple[np.random.Generator, np.random.Generator],
    tensors: Callable[..., Batch],
) -> Parts:
    """Training sampler, validation set and test set of a task."""
    if isinstance(task, Marked):
        held_out = task.held_out((validation_size, TEST_RATIO * validation_size), seeds[0])
        return Parts(task.arrays, *map(tensors, held_out))
    if isinstance(task, Samples):
        training, validation, test = task.split(seeds[0])
        rows = (
            validation.rows(slice(validation_size)),
            test.rows(slice(TEST_RATIO * validation_size)),
        )
        return Parts(training.arrays, *map(tensors, rows))
    first, *names = ("train", "validation", "test") if task.apart else (None, None, None)
    arrays = (
        task.arrays(validation_size, seed, name) for seed, name in zip(seeds, names, strict=True)
    )
    return Parts(partial(task.arrays, part=first), *map(tensors, arrays))


def _keeper(module, task, given, validation, score, drawing) -> Checkpoint | None:
    """The checkpoint of a training, if it has one."""
    if given["checkpoint"] is None:
        return None
    names = ("batch", "learning_rate", "optimizer", "clip", "warmup", "evaluate_every")

    def standing(system: System) -> float:
        model = system.model if isinstance(system, Forecaster) else system
        if not isinstance(model, Map):
            raise TypeError(f"a {type(model).__name__} is not trained")
        _check_widths(model, task)
        return score(Trainable(model, module.dtype).to(module.device), validation).loss

    return Checkpoint(
        given["checkpoint"],
        module,
        system=task.trained,
        facts={"seed": as_seed(given["rng"])},
        identity={name: given[name] for name in names}
        | {"loss": "given by the caller" if callable(given["loss"]) else task.loss}
        | module_identity(module)
        | {"validation set": batch_digest(validation)},
        generators={"batches": drawing},
        standing=standing,
        resume=given["resume"],
    )


def _floor(task, loss):
    return float("nan") if callable(loss) else task.floor


def _label(model, given):
    return (
        f"of {given['steps']} ({type(model).__name__}, {given['optimizer']}, "
        f"learning_rate={given['learning_rate']}, clip={given['clip']})"
    )


def _history(outcome, test, task, model, given, notes) -> Dataset:
    """History of a training on a task, its settings and its verdict."""
    own_loss = callable(given["loss"])
    graded = task.chance is not None  # values in a user's own units have no tolerance
    names = ("batch", "learning_rate", "optimizer", "clip", "warmup", "validation_size")
    settings = {name: given[name] for name in (*names, "evaluate_every", "fixed", "train")}
    settings |= {
        "model": model,
        "training_steps": given["steps"],
        "dtype": str(given["dtype"]),
        "loss": "given by the caller" if own_loss else task.loss,
    }
    for name, value in task.parameters.items():
        settings[name if name == "task" else f"task_{name}"] = value
    return history_dataset(
        outcome,
        test,
        learned=not own_loss and task.learned(test.loss, test.error),
        unit="squared unit" if task.loss == "mean_squared_error" else "nat",
        graded=graded,
        title=f"training of {type(model).__name__} on the {task.title}",
        source=task.source,
        parameters=settings,
        seed=as_seed(given["rng"]),
        threads=given["threads"] or torch.get_num_threads(),
        floor=_floor(task, given["loss"]),
        **({} if own_loss else {"floor_meaning": task.floor_meaning}),
        pass_ratio=task.pass_ratio,
        **({"chance": task.chance} if graded else {}),
        **dict(getattr(task, "dataset_facts", ())),
        **notes,
    )


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """The options of ``fit``, checked, with the schedule and the Generator; one error for all that
    cannot be."""
    given = dict(options)
    with all_errors() as check:
        names = ("steps", "learning_rate", "optimizer", "clip", "warmup", "evaluate_every")
        given["schedule"] = check(Schedule, **{name: options[name] for name in names})
        for name in ("units", "batch", "validation_size"):
            given[name] = check(integer, name, options[name])
        if options["threads"] is not None:
            given["threads"] = check(integer, "threads", options["threads"])
        given["dtype"] = check(as_dtype, options["dtype"])
        given["device"] = check(as_device, options["device"])
        given["drawing"] = check(generator, options["rng"])
        check(_check_stop, options["stop"])
        check(check_writable, options["checkpoint"])
        check(check_resume, options["resume"], options["checkpoint"])
    return given | {"steps": given["schedule"].steps}


def _check_stop(stop):
    if not isinstance(stop, bool) and not (is_real(stop) and 0.0 <= stop < 1.0):
        raise ValueError(
            f"stop = {stop!r:.60}: must be True, False or a share of the floor from 0, below 1"
        )


def _check_widths(model, task):
    if isinstance(model, Forecaster):
        raise TypeError(
            "the training of a Forecaster goes on by dm.training.fit_forecaster(forecaster, "
            "dataset); dm.fit takes the model inside, forecaster.model"
        )
    if not isinstance(model, Map):
        return  # Trainable raises the error
    outputs = getattr(model, "outputs", None) or model.size
    if model.inputs != task.inputs:
        raise ShapeError(
            f"{type(model).__name__} takes {model.inputs} inputs, the task gives "
            f"{task.inputs}: make it with "
            f"dm.models.get(..., inputs={task.inputs})"
        )
    if outputs != task.outputs:
        raise ShapeError(
            f"{type(model).__name__} gives {outputs} outputs, the task requires "
            f"{task.outputs}: make it with "
            f"dm.models.get(..., outputs={task.outputs})"
        )
