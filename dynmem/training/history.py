"""The history of a training as a Dataset over ``step``, with its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..labels import dataset
from .loop import Row, Score

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
    rows: Sequence[Row], test: Score, *, learned: bool, unit: str, graded: bool, **attributes: Any
) -> Dataset:
    """Dataset of the rows of a training, the score on the test set and the verdict.

    ``graded``: whether answers can be right or wrong, otherwise there is no accuracy.
    """
    columns = {name: [row.variables()[name] for row in rows] for name in rows[0].variables()}
    values: dict[str, Any] = {name: (("step",), column) for name, column in columns.items()}
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
    coords = {"step": (("step",), [row.step for row in rows], "step", "training step")}
    return dataset(variables, coords, steps=rows[-1].step, **attributes)
