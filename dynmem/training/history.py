"""The history of a training as a Dataset over ``step``, with its verdict."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotFiniteError
from ..labels import dataset
from .loop import Outcome, Row, Score

if TYPE_CHECKING:
    from xarray import Dataset

SINCE = "since the last evaluation"
TEXTS = {
    "training_loss": f"mean training loss {SINCE}",
    "gradient_norm": f"mean norm of the gradient before clipping, {SINCE}",
    "validation_loss": "mean loss on the validation set",
    "validation_loss_error": "standard error of the validation loss",
    "validation_accuracy": "share of right answers among those that need memory, validation set",
    "test_loss": "mean loss of the trained weights on the test set",
    "test_loss_error": "standard error of the test loss",
    "test_accuracy": "share of right answers among those that need memory, test set",
    "learned": "1 where test_loss + 2 test_loss_error < pass_ratio * floor, else 0",
}


def history_dataset(
    outcome: Outcome,
    test: Score,
    *,
    learned: bool,
    unit: str,
    graded: bool,
    validated: bool = True,
    **attributes: Any,
) -> Dataset:
    """Dataset of a training, the score on the test set and the verdict.

    ``graded``: whether answers can be right or wrong, otherwise there is no accuracy.
    ``validated``: whether each row holds an evaluation.
    """
    run = outcome.run
    nothing = Score(math.nan, math.nan, math.nan) if validated else None
    names = Row(0, math.nan, math.nan, nothing).variables()
    columns = {name: [row.variables()[name] for row in run.rows] for name in names}
    values: dict[str, Any] = {
        name: (("step",), np.array(column, float)) for name, column in columns.items()
    }
    values |= {
        "test_loss": ((), test.loss),
        "test_loss_error": ((), test.error),
        "test_accuracy": ((), test.accuracy),
        "learned": ((), int(learned)),
    }
    if not graded:
        values = {name: value for name, value in values.items() if "accuracy" not in name}
    variables = {
        name: (
            *value,
            "1" if name == "learned" or name.endswith("accuracy") else unit,
            TEXTS[name],
        )
        for name, value in values.items()
    }
    steps = np.array([row.step for row in run.rows], int)
    coords = {"step": (("step",), steps, "step", "training step")}
    attributes |= {"ended": outcome.ended}
    if run.best is not None:
        attributes["best_step"] = run.best.step
    if run.start is not None:
        attributes["start_loss"] = run.start.loss
    return dataset(variables, coords, steps=run.step, **attributes)


def report(outcome: Outcome, trained: Any, history: Dataset, steps: int) -> None:
    """Say that a training was interrupted; raise the error by which it was lost, with the best
    weights before."""
    best = outcome.run.best
    if outcome.ended == "interrupted":
        warnings.warn(
            f"the training was interrupted after step {outcome.run.step} of {steps}: what it "
            f"returns are the weights of step {best.step if best else 0}, the best so far",
            UserWarning,
            stacklevel=4,
        )
    if outcome.error is not None:
        words = str(outcome.error)
        if best is not None and best.step:
            words += (
                f". The best weights before, of step {best.step}, are error.trained, with "
                "error.history"
            )
        error = NotFiniteError(words)
        error.trained, error.history = trained, history
        raise error from outcome.error
