"""A user's own arrays as a task, with the loss of the best constant answer as its floor."""

from dataclasses import dataclass

import numpy as np

from ..arrays import tensors
from ..errors import NotFiniteError, ShapeError
from ..tasks import LOSSES, Task

# share of a user's sequences that chooses the best weights, and as much again that judges them
HELD_OUT = 0.1


@dataclass(frozen=True, eq=False)
class Samples(Task):
    """Sequences that were measured rather than drawn: inputs (count, steps, width) or symbols
    (count, steps), and targets.

    Whole numbers of shape (count, steps) are classes (``loss`` "cross_entropy"), numbers of shape
    (count, steps, outputs) are values ("mean_squared_error") or, where said so, bits
    ("binary_cross_entropy"). ``classes`` is the number of classes where not all occur. The floor is
    the loss of the best answer that never changes. Raises ShapeError and NotFiniteError.

    >>> x = np.sin(np.arange(40.0)).reshape(4, 10, 1)
    >>> data = Samples(x[:, :-1], x[:, 1:])
    >>> data.loss, data.steps, data.outputs, round(data.floor, 3)
    ('mean_squared_error', 9, 1, 0.491)
    """

    inputs_array: np.ndarray
    targets: np.ndarray
    loss: str | None = None
    classes: int | None = None

    name = "samples"
    title = "sequences given by the caller"
    source = "given by the caller"
    law, licence = "not known", "of whoever gave them"
    scored = "all"
    recalled = slice(None)
    dependency = None  # the law behind the sequences is not known

    def __post_init__(self):
        u, y = _numbers("inputs", self.inputs_array), _numbers("targets", self.targets)
        symbols = y.ndim == 2 and y.dtype.kind in "iu"
        loss = self.loss or ("cross_entropy" if symbols else "mean_squared_error")
        for name, value in (("inputs_array", u), ("targets", y), ("loss", loss)):
            object.__setattr__(self, name, value)
        super().__post_init__()

    def problems(self):
        """Sentences, one for each option that cannot be."""
        u, y = self.inputs_array, self.targets
        if self.loss not in LOSSES:
            yield f"loss = {self.loss!r}: choose one of {', '.join(LOSSES)}"
        if u.shape[:2] != y.shape[:2] or not y.size:
            yield (
                f"inputs {u.shape} and targets {y.shape} do not fit: both need the same (count, "
                "steps, ...), none of them 0"
            )
        if u.ndim != 3 and not (u.ndim == 2 and u.dtype.kind in "iu"):
            yield (
                f"inputs have shape {u.shape}: expected (count, steps, inputs), or whole "
                "numbers (count, steps)"
            )
        classes = self.loss == "cross_entropy"
        if y.ndim != 3 - classes or (classes and (y.dtype.kind not in "iu" or y.min() < 0)):
            yield f"targets have shape {y.shape} and dtype {y.dtype}: {self.loss} needs " + (
                "whole numbers (count, steps), from 0"
                if classes
                else "numbers (count, steps, outputs)"
            )
        elif classes and self.classes is not None and self.classes <= y.max():
            yield (
                f"class {y.max()} occurs among the targets, which needs {y.max() + 1} outputs, "
                f"not {self.classes}"
            )
        elif self.loss == "binary_cross_entropy" and not np.isin(y, (0, 1)).all():
            yield "targets of binary_cross_entropy must be 0 or 1"

    @property
    def inputs(self):
        """Input width."""
        return (
            self.inputs_array.shape[2]
            if self.inputs_array.ndim == 3
            else int(self.inputs_array.max()) + 1
        )

    @property
    def outputs(self):
        """Output width."""
        return (
            self.targets.shape[2]
            if self.targets.ndim == 3
            else self.classes or int(self.targets.max()) + 1
        )

    @property
    def steps(self):
        """Length of a sequence."""
        return self.targets.shape[1]

    @property
    def parameters(self):
        """What a store records: the shapes, not the numbers."""
        return {
            "task": self.name,
            "count": len(self.targets),
            "steps": self.steps,
            "loss": self.loss,
        }

    @property
    def floor(self):
        """Mean loss of the best answer that never changes: the entropy of the classes, or the
        variance of the values, of the scored steps."""
        asked = self.targets[:, self.recalled]
        if self.loss == "mean_squared_error":
            return float(asked.var((0, 1)).mean())
        if self.loss == "binary_cross_entropy":
            shares = asked.mean((0, 1))
            return float(np.mean(_surprise(shares) + _surprise(1.0 - shares)))
        return float(np.sum(_surprise(np.bincount(asked.ravel()) / asked.size)))

    @property
    def chance(self):
        """Fraction of right answers of that predictor; None for values, which are not right or
        wrong."""
        asked = self.targets[:, self.recalled]
        if self.loss == "mean_squared_error":
            return None
        if self.loss == "binary_cross_entropy":
            return float(np.mean(np.abs(asked.mean((0, 1)) - 0.5) + 0.5))
        return float(np.bincount(asked.ravel()).max() / asked.size)

    def draw(self, count, rng):
        """``count`` of the sequences, each equally likely each time."""
        return self.rows(rng.integers(len(self.targets), size=count))

    def rows(self, index):
        """The sequences with these numbers."""
        return self.inputs_array[index], self.targets[index]

    def split(self, rng):
        """Three disjoint parts, drawn at random: to train on, to choose the best weights by, and to
        judge them (a tenth each, at least one)."""
        count = len(self.targets)
        if count < 3:
            raise ShapeError(
                f"{count} sequences cannot be trained on, validated and tested: cut "
                "them into windows, (count, steps, inputs)"
            )
        order, cut = np.random.default_rng(rng).permutation(count), max(1, round(HELD_OUT * count))
        return tuple(
            self.part(*self.rows(np.sort(index)))
            for index in (order[2 * cut :], order[:cut], order[cut : 2 * cut])
        )

    def part(self, inputs, targets):
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
