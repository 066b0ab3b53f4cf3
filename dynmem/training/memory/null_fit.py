"""Training in which no memory can be learned: targets that do not belong to the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import as_seed, dataset
from ...runtime.progress import progress_bar
from ...runtime.validation import generator, public
from ...typing import Rng
from ..loop import torch_threads
from ..trainable import Trainable
from .recipe import Recipe
from .sequence_module import name_of, sequence_module, task_at

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "the plateau of a training without its signal; dynmem"


@public
def null_fit(
    model: Any,
    task: Any,
    *,
    steps: int,
    units: int = 32,
    batch: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    clip: float | None = 1.0,
    callback: Callable[[int, Any], object] | None = None,
    rng: Rng = 0,
    progress: bool | None = None,
) -> tuple[Any, Dataset]:
    """Train a model with targets that are drawn apart from the inputs.

    The recipe is that of ``dm.fit``, with the same law of inputs and the same law of targets, but
    each batch takes its targets from other sequences: there is nothing to remember. What such a
    training does to a network is what the plateau before the first learning does to it, by noise
    and by the means of the targets alone. The network after the last step is returned, not the
    best one.

    Parameters
    ----------
    model : str, Map, torch.nn.Module or callable
        A name of ``dm.models``; a system; a module from (batch, time, inputs) to (batch, time,
        outputs), which is copied; or a function (task, rng) that returns one of them.
    task : Task, str, xarray.Dataset or pair of array_like
        As for ``dm.fit``.
    steps : int
        Training steps.
    units : int
        Units of a model that is named.
    batch, learning_rate, optimizer, clip
        As for ``dm.fit``.
    callback : callable, optional
        Called as ``callback(step, module)`` before the first step, with step 0, and after each;
        the torch module is the one that is trained.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, and all sequences.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.

    Returns
    -------
    trained : Map or torch.nn.Module
        The system after the last step, or the module, as a copy, where one was given.
    history : xarray.Dataset
        training_loss : (step,), nat or squared unit
            Mean loss of each batch.
        gradient_norm : (step,), nat or squared unit
            Norm of the gradient before clipping.

    Raises
    ------
    ShapeError
        Where model and task do not fit.
    NotFiniteError
        With the step where a loss or a gradient is lost.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", delay=2, symbols=2, length=1, scored="recalled")
    >>> trained, history = dm.training.null_fit("gru", task, steps=40, units=8)
    >>> bool(history.training_loss[-10:].mean() > 0.9 * task.floor)  # nothing was learned
    True
    """
    recipe = Recipe(steps, batch, learning_rate, optimizer, clip)
    task = task_at(task, None)
    for_model, for_batches = generator(rng).spawn(2)
    module = sequence_module(model, task, units, for_model, "float32")
    rows = []
    if callback is not None:
        callback(0, module)
    with torch_threads(1):
        descent = recipe.descend(module, task, for_batches, null=True)
        for step, row in enumerate(progress_bar(descent, progress=progress, total=recipe.steps), 1):
            rows.append(row)
            if callback is not None:
                callback(step, module)
    losses, norms = np.array(rows).T
    unit = "squared unit" if task.loss == "mean_squared_error" else "nat"
    history = dataset(
        {
            "training_loss": ("step", losses, unit, "mean loss of the batch"),
            "gradient_norm": ("step", norms, unit, "norm of the gradient before clipping"),
        },
        {"step": ("step", np.arange(1, len(rows) + 1), "step", "training step")},
        title=f"null training of {name_of(model)} on the {task.title}",
        source=SOURCE,
        parameters={"model": name_of(model), **task.parameters, **recipe.attributes()},
        seed=as_seed(rng),
        floor=task.floor,
    )
    return module.frozen() if isinstance(module, Trainable) else module, history
