"""A user's own arrays as a task, with the loss of the best constant answer as its floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import tensors
from ..errors import NotFiniteError, ShapeError
from ..tasks.losses import LOSSES
from ..tasks.task import FEW_SEQUENCES, Task, uniform
from ..typing import Rng

__all__ = ["Samples"]

VALIDATION_SHARE = 0.1  # of a user's sequences, and as much again for the test set


@dataclass(frozen=True, eq=False)
class Samples(Task):
    """Your own sequences as a task, with the loss of the best constant answer as its floor.

    Whole-number targets of shape (count, steps) are classes (``loss`` "cross_entropy"), targets
    (count, steps, outputs) are values ("mean_squared_error") or, where given so, bits
    ("binary_cross_entropy").

    Parameters
    ----------
    inputs_array : array_like (count, steps, inputs) or (count, steps)
        Vectors, or symbols as whole numbers.
    targets : array_like (count, steps) or (count, steps, outputs)
        Classes, or values.
    loss : str, optional
        "cross_entropy", "binary_cross_entropy" or "mean_squared_error"; None: by the targets.
    classes : int, optional
        Number of classes, where not all occur.

    Raises
    ------
    ShapeError
        Where shapes do not fit.
    NotFiniteError
        For NaN or infinity.
    ValueError
        For a loss that the targets do not have.

    References
    ----------
    Cover and Thomas (2006), Elements of Information Theory, for the entropy as the floor.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = np.sin(np.arange(40.0)).reshape(4, 10, 1)
    >>> task = dm.training.Samples(x[:, :-1], x[:, 1:])
    >>> task.loss, task.steps, task.outputs, round(task.floor, 3)
    ('mean_squared_error', 9, 1, 0.491)
    """

    inputs_array: np.ndarray
    targets: np.ndarray
    loss: str | None = None  # type: ignore[assignment]
    classes: int | None = None

    name = "samples"
    title = "sequences given by the caller"
    source = "given by the caller"
    law = "not known"
    licence = "of whoever gave them"
    choices = {"loss": tuple(LOSSES)}
    scored = "all"
    recalled = slice(None)
    dependency = None  # the law behind the sequences is not known

    def __post_init__(self) -> None:
        u, y = _numbers("inputs", self.inputs_array), _numbers("targets", self.targets)
        symbols = y.ndim == 2 and y.dtype.kind in "iu"
        loss = self.loss or ("cross_entropy" if symbols else "mean_squared_error")
        for name, value in (("inputs_array", u), ("targets", y), ("loss", loss)):
            object.__setattr__(self, name, value)
        super().__post_init__()

    def check_options(self) -> None:
        """Refuse inputs and targets that do not fit each other or the loss."""
        u, y = self.inputs_array, self.targets
        if u.shape[:2] != y.shape[:2] or not y.size:
            raise ShapeError(
                f"inputs {u.shape} and targets {y.shape} do not fit: both need the same "
                "(count, steps, ...), none of them 0"
            )
        if u.ndim != 3 and not (u.ndim == 2 and u.dtype.kind in "iu"):
            raise ShapeError(
                f"inputs have shape {u.shape}: expected (count, steps, inputs), or whole "
                "numbers (count, steps)"
            )
        self._check_targets(y)

    def _check_targets(self, y):
        classes = self.loss == "cross_entropy"
        if y.ndim != 3 - classes or (classes and (y.dtype.kind not in "iu" or y.min() < 0)):
            shape = (
                "whole numbers (count, steps), from 0"
                if classes
                else "numbers (count, steps, outputs)"
            )
            raise ShapeError(
                f"targets have shape {y.shape} and dtype {y.dtype}: {self.loss} needs {shape}"
            )
        if classes and self.classes is not None and self.classes <= y.max():
            raise ValueError(
                f"class {y.max()} occurs among the targets, which needs {y.max() + 1} outputs, "
                f"not {self.classes}"
            )
        if self.loss == "binary_cross_entropy" and not np.isin(y, (0, 1)).all():
            raise ValueError("targets of binary_cross_entropy must be 0 or 1")

    @property
    def inputs(self) -> int:
        """Input width."""
        return (
            self.inputs_array.shape[2]
            if self.inputs_array.ndim == 3
            else int(self.inputs_array.max()) + 1
        )

    @property
    def outputs(self) -> int:
        """Output width."""
        return (
            self.targets.shape[2]
            if self.targets.ndim == 3
            else self.classes or int(self.targets.max()) + 1
        )

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.targets.shape[1]

    @property
    def parameters(self) -> dict:
        """What a store records: the shapes, not the numbers."""
        return {
            "task": self.name,
            "count": len(self.targets),
            "steps": self.steps,
            "loss": self.loss,
        }

    @property
    def floor(self) -> float:
        """Mean loss of the best answer that never changes: the entropy of the classes, or the
        variance of the values, of the scored steps."""
        scored = self.targets[:, self.recalled]
        if self.loss == "mean_squared_error":
            return float(scored.var((0, 1)).mean())
        if self.loss == "binary_cross_entropy":
            shares = scored.mean((0, 1))
            return float(np.mean(_surprise(shares) + _surprise(1.0 - shares)))
        return float(np.sum(_surprise(np.bincount(scored.ravel()) / scored.size)))

    @property
    def chance(self) -> float | None:
        """Fraction of right answers of that predictor; None for values, which are not right or
        wrong."""
        scored = self.targets[:, self.recalled]
        if self.loss == "mean_squared_error":
            return None
        if self.loss == "binary_cross_entropy":
            return float(np.mean(np.abs(scored.mean((0, 1)) - 0.5) + 0.5))
        return float(np.bincount(scored.ravel()).max() / scored.size)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """``count`` of the sequences, each equally likely each time."""
        return self.rows(rng.integers(len(self.targets), size=count))

    def sequences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """All of the sequences, where they are few."""
        count = len(self.targets)
        return (*self.rows(slice(None)), uniform(count)) if count <= FEW_SEQUENCES else None

    def rows(self, index: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The sequences of these indices."""
        return self.inputs_array[index], self.targets[index]

    def split(self, rng: Rng) -> tuple[Samples, Samples, Samples]:
        """Disjoint training, validation and test set, drawn at random: a tenth each for the last
        two, at least one sequence."""
        count = len(self.targets)
        if count < 3:
            raise ShapeError(
                f"{count} sequences cannot be trained on, validated and tested: cut "
                "them into windows, (count, steps, inputs)"
            )
        order, cut = (
            np.random.default_rng(rng).permutation(count),
            max(1, round(VALIDATION_SHARE * count)),
        )
        training, validation, test = (
            self.part(*self.rows(np.sort(index)))
            for index in (order[2 * cut :], order[:cut], order[cut : 2 * cut])
        )
        return training, validation, test

    def part(self, inputs: np.ndarray, targets: np.ndarray) -> Samples:
        """Other sequences of the same kind."""
        return Samples(inputs, targets, self.loss, self.outputs if self.targets.ndim == 2 else None)


def _numbers(name, array):
    array = np.asarray(array) if np.asarray(array).dtype.kind in "iu" else tensors(array)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise NotFiniteError(
            f"{name} must be finite real numbers: leave out or fill what is missing"
        )
    return array


def _surprise(p):
    return -p * np.log(np.where(p > 0, p, 1.0))
