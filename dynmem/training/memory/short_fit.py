"""One training as the measurements of memory need it: is the task learned, at which step, and if
not, how much of it?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from ...errors import NotFiniteError
from ...tasks import Task
from ..array_task import Samples
from ..fitting import as_tensors, per_sequence
from ..loop import SEQUENCES_PER_PASS
from .recipe import Recipe
from .sequence_module import outputs_of

STATES = ("nothing", "part", "learned")  # by their number
HELD_OUT = 256  # sequences of an evaluation, where a task does not list its sequences


class Outcome(NamedTuple):
    """State (see STATES), steps until it was learned (NaN), least loss over the floor, and whether
    a loss or gradient was lost."""

    state: int
    steps: float
    loss: float
    diverged: bool = False

    @property
    def learned(self) -> bool:
        """Whether the loss came below a tenth of the floor."""
        return self.state == STATES.index("learned")


def short_fit(
    build: Callable[[Task], torch.nn.Module],
    task: Task,
    recipe: Recipe,
    rng: np.random.Generator,
    evaluate_every: int,
) -> Outcome:
    """Train a module until held-out sequences show that the task is learned, or to the end of the
    budget.

    A training that diverges, or begins with outputs that are not finite, has learned nothing, if it
    had not before: that is its outcome, with ``diverged`` set.
    """
    try:
        module = build(task)
    except NotFiniteError:
        return Outcome(STATES.index("nothing"), math.nan, math.inf, diverged=True)
    for_batches, for_validation = rng.spawn(2)
    training, judges = _apart(task, for_validation)
    held_out = HeldOut(module, task, *judges)
    least, step = held_out.loss()[0], 0
    try:
        for step, _ in enumerate(recipe.descend(module, training, for_batches), 1):
            if step % evaluate_every and step != recipe.steps:
                continue
            loss, error = held_out.loss()
            least = min(least, loss) if math.isfinite(loss) else least
            if math.isfinite(loss) and task.learned(loss, error):
                return Outcome(STATES.index("learned"), step, loss / task.floor)
    except NotFiniteError:
        return Outcome(state_of(task, least), math.nan, least / task.floor, diverged=True)
    return Outcome(state_of(task, least), math.nan, least / task.floor)


def _apart(task, rng):
    """The task that trains, and what judges: inputs, targets and, where they are all that there
    are, their probabilities."""
    if isinstance(task, Samples):  # a user's own sequences: a law of which some are kept
        training, validation, _ = task.split(rng)
        return training, validation.rows(slice(HELD_OUT))
    law = task.sequences()
    if law is not None:
        return task, law
    return task, task.arrays(HELD_OUT, rng, "validation" if task.apart else None)


def state_of(task: Task, loss: float) -> int:
    """The state of a network with this loss that has not learned the task: a part of it is known
    where the loss is nearer to one of the task's plateaus than to the floor.

    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=4, length=2, scored="recalled")
    >>> [STATES[state_of(task, share * task.floor)] for share in (1.0, 0.72, 0.4)]
    ['nothing', 'nothing', 'part']
    """
    plateaus = task.plateaus().values()
    known = any(loss < 0.5 * (task.floor + plateau) for plateau in plateaus)
    return STATES.index("part" if known else "nothing")


class HeldOut:
    """Sequences that judge: all there are, each with its probability, or a sample."""

    def __init__(self, module, task, inputs, targets, p=None):
        weight = next(module.parameters())
        self.module, self.p = module, p
        self.u, self.t = as_tensors(task, (inputs, targets), weight.dtype, weight.device)
        self.measure = per_sequence(task)

    def loss(self) -> tuple[float, float]:
        """Mean loss and its standard error, 0 where it is over all sequences; dropout is off."""
        self.module.eval()
        with torch.no_grad():
            losses = torch.cat(
                [
                    self.measure(outputs_of(self.module, u), t)
                    for u, t in zip(
                        self.u.split(SEQUENCES_PER_PASS),
                        self.t.split(SEQUENCES_PER_PASS),
                        strict=True,
                    )
                ]
            )
        self.module.train()
        values = losses.double().cpu().numpy()
        if self.p is not None:
            return float(self.p @ values), 0.0
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
