"""Labelled sequences of unequal lengths as a task: what is not scored is marked among the
targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import from_sequences
from ..datasets.scaling import UNSCORED, answers
from ..datasets.splits import PARTS
from ..errors import ShapeError
from ..tasks.losses import LOSSES, RIGHT
from ..tasks.task import Task
from ..typing import ArrayLike, Rng
from .corpus_tasks import dataset_facts, require_variables

if TYPE_CHECKING:
    from xarray import Dataset

Arrays = tuple[np.ndarray, np.ndarray]
OWN_DATA = (
    "your own series (array, DataFrame, CSV, netCDF) becomes a Dataset by dm.datasets.from_series, "
    "labelled sequences by dm.datasets.from_sequences, a text by dm.datasets.from_text; a saved "
    "Dataset opens by dm.datasets.open"
)


@dataclass(frozen=True, eq=False)
class Marked(Task):
    """Sequences whose targets are marked where they are not scored: -100 among classes, NaN among
    values. The loss is the mean over the scored steps of each sequence, then over sequences.

    ``parts`` holds (inputs, targets) of the training, validation and test sequences, ``outputs``
    the width of the answer, ``floor`` and ``chance`` what is reached without a memory.
    """

    parts: tuple[Arrays, Arrays, Arrays]
    outputs: int  # type: ignore[misc]
    floor: float  # type: ignore[misc]
    inputs: int  # type: ignore[misc]
    chance: float | None = None  # type: ignore[misc]
    title: str = "sequences given by the caller"  # type: ignore[misc]
    source: str = "given by the caller"  # type: ignore[misc]
    floor_meaning: str = "loss without a memory"
    dependency: int | None = None  # type: ignore[misc]
    dataset_facts: tuple = ()

    name = "sequences"
    law = "not known"
    licence = "of whoever gave them"
    scored = "all"
    recalled = slice(None)
    marked = True
    pass_ratio = 0.5  # recorded answers hold noise that no memory explains

    @property
    def loss(self) -> str:  # type: ignore[override]
        """Cross entropy of classes, squared error of values."""
        return "cross_entropy" if self.parts[0][1].ndim == 2 else "mean_squared_error"

    @property
    def steps(self) -> int:
        """Length of the longest sequence."""
        return self.parts[0][1].shape[1]

    @property
    def weights(self) -> np.ndarray:
        """1 where a sequence of the training part is scored, 0 elsewhere."""
        return self.scored_steps(self.parts[0][1]).any(axis=0).astype(float)

    @property
    def parameters(self) -> dict:
        """What a store records: the shapes, not the numbers."""
        counts = {
            name: len(part[1])
            for name, part in zip(("count", "validation", "test"), self.parts, strict=True)
        }
        facts = {"task": self.name, "steps": self.steps, "loss": self.loss, "title": self.title}
        return facts | counts | {"dependency": self.dependency}

    def scored_steps(self, targets: np.ndarray) -> np.ndarray:
        """Where targets are scored, (..., steps)."""
        if self.loss == "cross_entropy":
            return targets != UNSCORED
        return ~np.isnan(targets).any(axis=-1)

    def draw(self, count: int, rng: np.random.Generator) -> Arrays:
        """``count`` of the training sequences, each equally likely each time."""
        inputs, targets = self.parts[0]
        index = rng.integers(len(targets), size=count)
        return inputs[index], targets[index]

    def held_out(self, sizes: tuple[int, int], rng: Rng) -> tuple[Arrays, Arrays]:
        """At most so many sequences of the validation and the test part, in random order."""
        rng = np.random.default_rng(rng)
        (u, y), (u_test, y_test) = self.parts[1:]
        first, second = (
            rng.permutation(len(targets))[:size]
            for targets, size in zip((y, y_test), sizes, strict=True)
        )
        return (u[first], y[first]), (u_test[second], y_test[second])

    def mean_loss(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean over the scored steps of each sequence, then over sequences."""
        outputs, answers = self._checked_answers(outputs, targets)
        scored = self.scored_steps(answers)
        with np.errstate(invalid="ignore"):  # a diverged network has a loss of NaN
            each = LOSSES[self.loss](outputs, self._filled(answers))
        return float(np.mean(np.where(scored, each, 0.0).sum(-1) / scored.sum(-1)))

    def accuracy(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Share of right answers at the scored steps of each sequence, then the mean over
        sequences."""
        outputs, answers = self._checked_answers(outputs, targets)
        scored = self.scored_steps(answers)
        right = RIGHT[self.loss](outputs, self._filled(answers))
        if self.loss == "cross_entropy":
            right = right & ~np.isnan(outputs).any(-1)
        else:
            right = (right & ~np.isnan(outputs)).mean(-1)
        return float(np.mean(np.where(scored, right, 0.0).sum(-1) / scored.sum(-1)))

    def _filled(self, targets):
        """Targets with the marks replaced by a class or a value that can be computed with."""
        if self.loss == "cross_entropy":
            return np.maximum(targets, 0)
        return np.nan_to_num(targets, nan=0.0)

    def _checked_answers(self, outputs, targets):
        outputs, targets = np.asarray(outputs, dtype=np.float64), np.asarray(targets)
        classes = self.loss == "cross_entropy"
        own = outputs.shape[:-1] if classes else outputs.shape
        if outputs.shape[-2:] != (self.steps, self.outputs) or targets.shape != own:
            raise ShapeError(
                f"outputs have shape {outputs.shape} and targets {targets.shape}: expected (..., "
                f"{self.steps}, {self.outputs}), and targets as arrays() returns them"
            )
        return outputs, targets


def sequences(data: Dataset) -> Marked:
    """Predict the targets of labelled sequences, standardised by the training part: a class or
    values at the last step of each sequence, or at each of its steps."""
    require_variables(
        data, ("inputs", "targets", "scored", "length", "split"), "dm.datasets.from_sequences(...)"
    )
    inputs, targets = answers(data)
    marks = data.split.values

    def part(name: str) -> Arrays:
        return inputs[marks == PARTS[name]], targets[marks == PARTS[name]]

    classes = targets.ndim == 2
    width = int(data.attrs["classes"]) if classes else targets.shape[2]
    return Marked(
        (part("train"), part("validation"), part("test")),
        outputs=width,
        floor=float(data.attrs["floor"]),
        chance=float(data.attrs["chance"]) if classes else None,
        inputs=inputs.shape[2] if inputs.ndim == 3 else int(data.attrs["symbols"]),
        title=data.attrs.get("title", "dataset"),
        source=data.attrs.get("source", "given by the caller"),
        floor_meaning=str(data.attrs.get("floor_meaning", "loss without a memory")),
        dependency=None if "step" in data.targets.dims else inputs.shape[1] - 1,
        dataset_facts=dataset_facts(data),
    )


def marked_loss(task: Marked) -> Callable[[Any, Any], Any]:
    """The loss of each sequence, (batch,), as a function of torch tensors: the mean over its scored
    steps."""
    from torch.nn import functional

    def classes(outputs: Any, targets: Any) -> Any:
        found = functional.cross_entropy(
            outputs.transpose(1, 2), targets, reduction="none", ignore_index=UNSCORED
        )
        return found.sum(1) / (targets != UNSCORED).sum(1)

    def values(outputs: Any, targets: Any) -> Any:
        scored = ~targets.isnan().any(-1)
        # before the square: a gradient of 0 times NaN is NaN
        error = (outputs - targets.nan_to_num(0.0)).square().mean(-1)
        return error.where(scored, error.new_zeros(())).sum(1) / scored.sum(1)

    return classes if task.loss == "cross_entropy" else values


def marked_task(inputs: Any, targets: Any, loss: str | None = None) -> Marked:
    """The task of a user's arrays, with one answer a sequence or sequences of unequal length."""
    task = sequences(from_sequences(inputs, targets))
    if loss not in (None, task.loss):
        raise ValueError(
            f"loss = {loss!r:.40}: targets of this kind have the loss {task.loss}; whole numbers "
            "are classes, floats values; a loss of your own is a function of outputs and targets"
        )
    return task


def needs_marks(inputs: Any, targets: Any) -> bool:
    """Whether a user's arrays have one answer a sequence, classes that stand for none, or sequences
    of unequal length."""
    if any(isinstance(given, (list, tuple)) and _ragged(given) for given in (inputs, targets)):
        return True
    shape, steps = np.shape(targets), np.shape(inputs)[:2]
    if len(shape) != 2:
        return len(shape) == 1
    found = np.asarray(targets)
    return (
        found.min(initial=0) < 0
        if found.dtype.kind in "iu"
        else steps[1:] > (1,) and shape != steps
    )


def _ragged(rows: Any) -> bool:
    return len({np.shape(row)[:1] for row in rows}) > 1
