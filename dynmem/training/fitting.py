"""Fit a system to a task: clipped gradient descent, held-out evaluation, the best weights kept."""

import math
import os
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..errors import NotFiniteError, ShapeError
from ..labels import as_seed, dataset
from ..system import Map
from ..tasks import Task, whole
from . import checkpoint as checkpoints
from .array_task import Samples
from .forecast import Forecaster
from .options import as_model, generator, positive, refuse
from .trainable import Trainable

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
# sequences of a recorded test for each that is held out, where there are as many: it is looked at
# once
TESTED = 16
IN_A_ROW = 3  # evaluations far below the floor, one after another, after which training ends
# of outputs (batch, steps, outputs) and targets, each step: torch's own form of tasks.LOSSES
LOSSES = {
    "cross_entropy": lambda y, t: functional.cross_entropy(y.transpose(1, 2), t, reduction="none"),
    "binary_cross_entropy": lambda y, t: functional.binary_cross_entropy_with_logits(
        y, t, reduction="none"
    ).mean(-1),
    "mean_squared_error": lambda y, t: (y - t).square().mean(-1),
}


class Row(NamedTuple):
    """One evaluation."""

    step: int
    training_loss: float
    gradient_norm: float
    held_out_loss: float
    held_out_error: float
    accuracy: float


class Parts(NamedTuple):
    """What is trained on, as a function of a batch's size and a Generator, what chooses the best
    weights, and what judges them."""

    draw: object
    held: tuple
    test: tuple


def fit(
    model,
    task,
    *,
    steps,
    units=32,
    rng=0,
    batch=64,
    learning_rate=1e-3,
    optimizer="adam",
    clip=1.0,
    warmup=0,
    loss=None,
    checkpoint=None,
    evaluate_every=50,
    stop=True,
    held_out=256,
    progress=None,
    dtype="float32",
    fixed=(),
    train=(),
    threads=1,
):
    """Train a model on a task or a dataset; returns the trained system, at its best evaluation, and
    the history, a Dataset over ``step``.

    Each step draws ``batch`` sequences, and the gradient of their mean loss is clipped to the norm
    ``clip`` (None: not at all) after the backward pass. Every ``evaluate_every`` steps the loss is
    measured on the same ``held_out`` fresh sequences, which choose the best weights; these are
    judged by the test, other sequences that had no say in the training: as many of a task, up to 16
    times as many of a dataset's test.

    Parameters: model, a Map with the task's inputs and outputs, or a name of ``dm.models``, of
    ``units`` units; task, of ``dm.tasks``, a Dataset of ``dm.datasets``, the name of one or the
    other, or arrays (inputs, targets) as for ``Samples``; what a dataset asks of a model, and more
    options, are those of ``dm.training.task_of``, which a name or a Dataset goes through. A
    forecast comes back as a ``Forecaster``, which runs on its own output. Others: optimizer "adam",
    "adamw", "rmsprop" or "sgd"; warmup, steps over which the learning rate rises in a straight line
    to its value; loss, a function of outputs and targets that returns one loss a sequence, in place
    of the task's (then there is no floor and no verdict); checkpoint, a file for the best weights;
    stop, whether to end early, once the held-out loss has been below a fiftieth of the floor, or
    the share of it that is given, at three evaluations in a row (a forecast does not, unless a
    share is given); progress, a bar on stderr, None: where that is a terminal; fixed, train: see
    Trainable; threads of torch while it trains, on which the bits depend, None: as set.

    History: training_loss and gradient_norm (before clipping), means since the last evaluation;
    held_out_loss, its standard error held_out_error, accuracy; test_loss, test_error and
    test_accuracy of the best weights; attributes floor and chance, the loss and the accuracy
    without memory; learned, 1 where test_loss + 2 test_error < asked floor, else 0, and asked; of a
    dataset dataset_floor and dataset_chance, what it states of itself, with their meanings; steps,
    best_step, seed, threads.

    Raises NotFiniteError with the step where a loss or a gradient is lost, ShapeError where model
    and task do not fit, ValueError with every option that cannot be.

    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", delay=1, symbols=2, length=1)
    >>> model = dm.models.get("gru", units=16, inputs=task.inputs, outputs=task.outputs)
    >>> trained, history = fit(model, task, steps=200, learning_rate=1e-2)
    >>> history.learned, bool(history.held_out_loss[-1] < 0.1 * task.floor)
    (1, True)
    >>> forecaster, history = fit("gru", dm.datasets.load("henon", samples=2000), steps=200, learning_rate=1e-2)
    >>> forecaster.size, history.learned, history.asked
    (34, 1, 0.1)
    """
    _check(locals())
    *seeds, for_model = generator(rng).spawn(4)
    task = as_task(task, loss, model)
    model = as_model(model, task.inputs, task.outputs, units, for_model)
    _check_widths(model, task)
    trainable = Trainable(model, dtype, fixed=fixed, train=train)
    if not trainable.weights():
        raise ValueError(
            f"nothing to train: {type(model).__name__} has no float arrays that are "
            "not fixed; name numbers with train=(...)"
        )
    parts = _split(task, held_out, seeds[1:], trainable.dtype)
    measure = per_sequence(task, loss)
    batches = (as_tensors(task, parts.draw(batch, seeds[0]), trainable.dtype) for _ in range(steps))
    descent = OPTIMIZERS[optimizer](trainable.parameters(), lr=learning_rate)
    where = (
        f"of {steps} ({type(model).__name__}, {optimizer}, learning_rate={learning_rate}, "
        f"clip={clip})"
    )
    floor = float("nan") if callable(loss) else task.floor
    share = task.enough if stop is True else float(stop)
    rows, best, weights = [], None, None
    with torch_threads(threads):
        descending = _with_bar(
            descend(trainable, descent, batches, measure, clip, where, warmup), steps, progress
        )
        for row in _evaluations(
            descending,
            lambda: evaluate(trainable, parts.held, task, measure),
            evaluate_every,
            steps,
            where,
        ):
            rows.append(row)
            if best is None or row.held_out_loss < best.held_out_loss:
                best, weights = (
                    row,
                    {name: tensor.clone() for name, tensor in trainable.state_dict().items()},
                )
                if checkpoint is not None:
                    checkpoints.save(
                        task.trained(trainable.frozen()),
                        checkpoint,
                        step=row.step,
                        held_out_loss=row.held_out_loss,
                        seed=as_seed(rng),
                    )
            if len(rows) >= IN_A_ROW and all(
                r.held_out_loss + 2.0 * r.held_out_error < share * floor for r in rows[-IN_A_ROW:]
            ):
                break
        trainable.load_state_dict(weights)
        tested = evaluate(trainable, parts.test, task, measure)
    verdict = {
        "floor": floor,
        "asked": task.asked,
        "learned": int(not callable(loss) and task.learned(*tested[:2])),
    }
    settings = {
        "model": model,
        "batch": batch,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "clip": clip,
        "warmup": warmup,
        "held_out": held_out,
        "training_steps": steps,
        "evaluate_every": evaluate_every,
        "dtype": str(trainable.dtype),
        "fixed": fixed,
        "train": train,
        "loss": "given by the caller" if callable(loss) else task.loss,
    }
    return task.trained(trainable.frozen()), _history(
        rows, best, tested, task, settings, rng, verdict, threads
    )


def descend(trainable, descent, batches, measure, clip, where="", warmup=0):
    """Steps of gradient descent, one for each batch (u, targets): yields the loss and the norm of
    the gradient before clipping.

    Step s of the first ``warmup`` runs at s/warmup of the learning rate (Vaswani et al. 2017,
    section 5.3).

    Raises NotFiniteError, with the step, before weights that are not finite are made.
    """
    parameters, rates = (
        list(trainable.parameters()),
        [group["lr"] for group in descent.param_groups],
    )
    for step, (u, targets) in enumerate(batches, 1):
        descent.zero_grad()
        loss = measure(trainable(u), targets).mean()
        _finite(loss.item(), "loss", step, where)
        loss.backward()
        # after the backward pass: before it there is nothing to clip
        norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf if clip is None else clip).item()
        _finite(norm, "gradient", step, where)
        if step <= warmup:  # later the rate is the caller's, who may let it fall
            for group, rate in zip(descent.param_groups, rates, strict=True):
                group["lr"] = rate * step / warmup
        descent.step()
        yield loss.item(), norm


def evaluate(trainable, held, task, measure, at_once=256):
    """Mean loss a sequence, its standard error, and the accuracy, on held-out tensors (u,
    targets)."""
    found, right = [], 0.0
    with torch.no_grad():
        # in pieces: outputs of many classes are large
        for u, targets in zip(*(part.split(at_once) for part in held), strict=True):
            outputs = trainable(u)
            found.append(measure(outputs, targets))
            right += len(u) * task.accuracy(outputs.numpy(), targets.numpy())
    losses = torch.cat(found).double().numpy()
    error = losses.std(ddof=1) / math.sqrt(len(losses)) if len(losses) > 1 else 0.0
    return float(losses.mean()), float(error), right / len(losses)


def per_sequence(task, loss=None):
    """The loss of each sequence, (batch,), as a function of outputs (batch, steps, outputs) and
    targets: the mean over the scored steps."""
    if callable(loss):
        return lambda outputs, targets: _one_each(loss(outputs, targets), len(outputs))
    scored = np.flatnonzero(task.weights)
    weights = torch.as_tensor(task.weights[scored] / task.weights.sum())
    steps = slice(None) if len(scored) == task.steps else torch.as_tensor(scored)
    return lambda outputs, targets: (
        LOSSES[task.loss](outputs[:, steps], targets[:, steps]) @ weights.to(outputs.dtype)
    )


def _one_each(losses, count):
    if not isinstance(losses, torch.Tensor) or losses.shape != (count,):
        raise ShapeError(
            f"the loss returned {getattr(losses, 'shape', type(losses).__name__)}, "
            "expected one loss a sequence, shape "
            f"({count},): take the mean over steps and outputs, not over the batch"
        )
    return losses


def as_task(task, loss, model):
    """The task itself, or the task that a name, a Dataset or arrays (inputs, targets) make."""
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
        inputs, targets = task
        classes = np.ndim(targets) == 2
        return Samples(
            inputs,
            targets,
            None if callable(loss) else loss,
            getattr(model, "outputs", None) if classes else None,
        )
    raise TypeError(
        "task must be a dm.tasks.Task, a Dataset of dm.datasets, the name of one of "
        "them, or two arrays (inputs, targets), got "
        f"{type(task).__name__}"
    )


def as_tensors(task, arrays, dtype):
    """Inputs and targets as tensors: symbols one-hot, classes as whole numbers."""
    inputs, targets = arrays
    u = torch.as_tensor(task.encode(inputs, np.dtype(str(dtype).removeprefix("torch."))))
    return u, torch.as_tensor(targets).to(torch.int64 if task.loss == "cross_entropy" else dtype)


def _split(task, held_out, seeds, dtype):
    """``Parts`` of a task."""
    if isinstance(task, Samples):
        training, held, test = task.split(seeds[0])
        draw, rest = (
            training.arrays,
            (held.rows(slice(held_out)), test.rows(slice(TESTED * held_out))),
        )
    else:
        first, *names = ("train", "validation", "test") if task.apart else (None,) * 3
        draw, rest = (
            partial(task.arrays, part=first),
            [task.arrays(held_out, seed, name) for seed, name in zip(seeds, names, strict=True)],
        )
    return Parts(draw, *(as_tensors(task, arrays, dtype) for arrays in rest))


def _evaluations(descending, measured, every, steps, where):
    window = []
    for step, pair in enumerate(descending, 1):
        window.append(pair)
        if step % every == 0 or step == steps:
            held = measured()
            _finite(held[0], "held-out loss", step, where)
            yield Row(step, *np.mean(window, axis=0).tolist(), *held)
            window = []


def _finite(value, name, step, where):
    if not math.isfinite(value):
        raise NotFiniteError(
            f"{name} not finite at step {step} {where}: lower learning_rate or clip"
        )


@contextmanager
def torch_threads(count):
    """Hold torch to ``count`` threads, then give back what there was; None leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _with_bar(iterable, steps, progress):
    from tqdm import tqdm

    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(iterable, total=steps, disable=not shown, unit="step", leave=False, file=sys.stderr)


def _history(rows, best, tested, task, settings, rng, verdict, threads):
    unit = {"mean_squared_error": "squared unit"}.get(task.loss, "nat")
    labels = {
        "training_loss": (unit, "mean training loss since the last evaluation"),
        "held_out_loss": (unit, "mean loss on held-out sequences"),
        "held_out_error": (unit, "standard error of the held-out loss"),
        "accuracy": ("1", "fraction of right answers among those that need memory, held out"),
        "gradient_norm": (
            unit,
            "mean norm of the gradient before clipping, since the last evaluation",
        ),
    }
    variables = {
        name: (("step",), [getattr(row, name) for row in rows], *label)
        for name, label in labels.items()
    }
    words = (
        "mean loss of the best weights on the test",
        "standard error of the test loss",
        "fraction of right answers in the test",
    )
    variables |= {
        name: ((), value, u, text)
        for name, value, u, text in zip(
            ("test_loss", "test_error", "test_accuracy"),
            tested,
            (unit, unit, "1"),
            words,
            strict=True,
        )
    }
    if task.chance is None:  # values in a user's own units have no tolerance that makes them right
        del variables["accuracy"], variables["test_accuracy"]
    else:
        verdict |= {"chance": task.chance}
    coords = {"step": (("step",), [row.step for row in rows], "step", "training step")}
    parameters = settings | {
        ("" if name == "task" else "task_") + name: value for name, value in task.parameters.items()
    }
    return dataset(
        variables,
        coords,
        title=f"training of {type(settings['model']).__name__} on the {task.title}",
        source=task.source,
        parameters=parameters,
        seed=rng,
        steps=rows[-1].step,
        best_step=best.step,
        threads=threads or torch.get_num_threads(),
        **verdict,
        **dict(getattr(task, "own", ())),
    )


def _check(options):
    """Every option that cannot be, in one error."""
    counts = (
        "steps",
        "units",
        "batch",
        "evaluate_every",
        "held_out",
        *(("threads",) if options["threads"] is not None else ()),
    )
    problems = list(whole(options, **dict.fromkeys(counts, 1), warmup=0))
    problems += positive(options, "learning_rate")
    if options["clip"] is not None:
        problems += (f"{problem}, or None for no clipping" for problem in positive(options, "clip"))
    if not isinstance(options["stop"], bool) and (
        list(positive(options, "stop", least=0)) or options["stop"] >= 1
    ):
        problems.append(
            f"stop = {options['stop']!r}: must be True, False or a share of the floor below 1"
        )
    if options["optimizer"] not in OPTIMIZERS:
        problems.append(
            f"optimizer = {options['optimizer']!r}: choose one of {', '.join(OPTIMIZERS)}"
        )
    if options["checkpoint"] is not None:
        problems += _unwritable(options["checkpoint"])
    refuse(problems)


def _unwritable(checkpoint):
    """Why a checkpoint cannot be written, found out before the training that would be lost."""
    if not isinstance(checkpoint, (str, os.PathLike)) or not str(checkpoint):
        yield (
            f"checkpoint = {checkpoint!r:.60}: must be the path of a file, or None for no "
            "checkpoint"
        )
        return
    path = Path(checkpoint)
    if path.is_dir():
        yield f"checkpoint = {str(path)!r}: is a folder, pass a file inside it"
    elif not path.parent.is_dir():
        yield f"checkpoint = {str(path)!r}: there is no folder {path.parent}, make it first"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield (
            f"checkpoint = {str(path)!r}: the folder {path.parent} cannot be written to, choose "
            "another"
        )


def _check_widths(model, task):
    if isinstance(model, Forecaster):
        raise TypeError(
            "a Forecaster is taught on by dm.training.fit_forecaster(forecaster, dataset); "
            "dm.fit takes the model inside, forecaster.model"
        )
    if not isinstance(model, Map):
        return  # Trainable says what to do
    outputs = getattr(model, "outputs", None) or model.size
    if model.inputs != task.inputs:
        raise ShapeError(
            f"{type(model).__name__} takes {model.inputs} inputs, the task gives "
            f"{task.inputs}: make it with "
            f"dm.models.get(..., inputs={task.inputs})"
        )
    if outputs != task.outputs:
        raise ShapeError(
            f"{type(model).__name__} gives {outputs} outputs, the task asks "
            f"{task.outputs}: make it with "
            f"dm.models.get(..., outputs={task.outputs})"
        )
