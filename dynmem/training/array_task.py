"""A user's own arrays as a task, with the least loss without a memory, measured, as its floor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import tensors
from ..datasets.overlap import apart, places
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import public
from ..tasks.losses import LOSS_NAMES, LOSSES
from ..tasks.memoryless import Memoryless, Rows, best_without_memory, rows_of
from ..tasks.task import FEW_SEQUENCES, Task, uniform
from ..typing import Rng

__all__ = ["Samples"]

VALIDATION_SHARE = 0.1  # of a user's sequences, and as much again for the test set
PART_ENDS = (1.0 - 2.0 * VALIDATION_SHARE, 1.0 - VALIDATION_SHARE)
ENOUGH_ROWS, FOLDS = 4000, 5  # that judge answers without a memory, and parts that they come from


@public
@dataclass(frozen=True, eq=False)
class Samples(Task):
    """Your own sequences as a task, with the least loss without a memory as its floor.

    Whole-number targets of shape (count, steps) are classes (``loss`` "cross_entropy"), targets
    (count, steps, outputs) are values ("mean_squared_error") or, where given so, bits
    ("binary_cross_entropy").

    The floor is measured, on sequences that were held out: the loss of the best of several answers
    that know the step and the present input and remember none, from the best constant to
    regressions that are not linear. Sequences that are windows of one series and overlap are found
    by their inputs, and never share a step between training, validation and test.

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
    ('mean_squared_error', 9, 1, 0.28)
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

    @cached_property
    def memoryless(self) -> Memoryless:
        """Least loss without a memory, the share of right answers, and the answer that reaches
        it."""
        return best_without_memory(self._folds(), str(self.loss), self.outputs)

    def _folds(self) -> list[tuple[Rows, Rows]]:
        """Rows to fit answers on and to judge them by: all sequences judge once, or enough."""
        if self._places is not None:
            first, *others = self.split(0)
            return [(first.rows_scored(), together(*others))]
        count, found, judged = len(self.targets), [], 0
        if count == 1:
            return [(self.rows_scored(), self.rows_scored())]
        order = np.random.default_rng(0).permutation(count)
        for fold in range(min(FOLDS, count)):
            asked = order[fold::FOLDS]
            training, held_out = (
                self.part(*self.rows(index)) for index in (np.setdiff1d(order, asked), asked)
            )
            found.append((training.rows_scored(), held_out.rows_scored()))
            judged += len(found[-1][1].steps)
            if judged >= ENOUGH_ROWS:
                break
        return found

    def rows_scored(self) -> Rows:
        """Present input, step and answer of each scored step."""
        steps = np.zeros(self.steps, bool)
        steps[self.recalled] = True
        return rows_of(self.inputs_array, self.targets, steps)

    @property
    def floor(self) -> float:
        """Least mean loss of an answer that knows the step and the present input and remembers
        none, over the scored steps."""
        return self.memoryless.loss

    @property
    def chance(self) -> float | None:
        """Largest share of right answers without a memory; None for values, which are not right or
        wrong."""
        return None if self.loss == "mean_squared_error" else self.memoryless.accuracy

    @property
    def floor_meaning(self) -> str:
        """What the floor is the loss of."""
        return f"{LOSS_NAMES[str(self.loss)]} without a memory, by {self.memoryless.answer}"

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
        """Training, validation and test set without a common step: a tenth each for the last two,
        at least one sequence, drawn at random; of windows that overlap in their order."""
        count = len(self.targets)
        if count < 3:
            raise ShapeError(
                f"{count} sequences cannot be trained on, validated and tested: cut "
                "them into windows, (count, steps, inputs)"
            )
        rng = np.random.default_rng(rng)
        if self._places is None:
            order, cut = rng.permutation(count), max(1, round(VALIDATION_SHARE * count))
            indices = [np.sort(i) for i in (order[2 * cut :], order[:cut], order[cut : 2 * cut])]
        else:
            series, place = self._places
            indices = list(apart(series, place, self.steps, PART_ENDS, rng))
        if not all(map(len, indices)):
            raise ShapeError(
                f"the {count} sequences are windows that overlap, so that no three parts without "
                "a common step are left: cut windows that lie side by side, or shorter ones, or "
                "pass sets of your own, dm.training.SplitSamples"
            )
        training, validation, test = (self.part(*self.rows(index)) for index in indices)
        return training, validation, test

    @cached_property
    def _places(self):
        return places(self.inputs_array)

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


def together(*parts: Samples) -> Rows:
    """The scored rows of several sets."""
    rows = [part.rows_scored() for part in parts]
    return Rows(*(np.concatenate(each) for each in zip(*rows, strict=True)))
