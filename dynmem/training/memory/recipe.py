"""How a network is trained: options that null trainings, predictions and measurements share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...runtime.validation import all_errors, integer
from ...tasks import Task
from ..fitting import as_tensors, per_sequence
from ..loop import Schedule, descend
from .sequence_module import Outputs


@dataclass(frozen=True)
class Recipe:
    """Steps and options of a training, checked; the defaults of the public functions are those of
    ``fit``."""

    steps: int
    batch: int
    learning_rate: float
    optimizer: str
    clip: float | None

    def __post_init__(self) -> None:
        with all_errors() as check:
            check(self._schedule)
            object.__setattr__(self, "batch", check(integer, "batch", self.batch))

    def _schedule(self, steps: int | None = None) -> Schedule:
        return Schedule(
            self.steps if steps is None else steps, self.learning_rate, self.optimizer, self.clip
        )

    def descend(
        self,
        module: torch.nn.Module,
        task: Task,
        rng: np.random.Generator,
        *,
        null: bool = False,
        steps: int | None = None,
    ) -> Iterator[tuple[float, float]]:
        """Train a module in place: yields loss and gradient norm after each step. ``null``: the
        targets belong to other sequences than the inputs."""
        steps = self.steps if steps is None else steps
        weight = next(module.parameters())
        part = "train" if task.apart else None

        def batches():
            for _ in range(steps):
                inputs, targets = task.arrays(self.batch, rng, part)
                if null:
                    _, targets = task.arrays(self.batch, rng, part)
                yield as_tensors(task, (inputs, targets), weight.dtype, weight.device)

        module.train()
        return descend(
            Outputs(module), batches(), per_sequence(task), self._schedule(steps), "of a training"
        )

    def attributes(self) -> dict[str, Any]:
        """As a Dataset stores it."""
        return {
            "budget": self.steps,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer,
            "clip": self.clip,
        }
