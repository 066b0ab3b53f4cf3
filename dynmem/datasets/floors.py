"""Least errors that need no memory: regressions of what comes next on what is there now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tasks.losses import LOSS_NAMES
from ..tasks.memoryless import Rows, best_without_memory

SQUARED_COLUMNS = 12  # up to which products of two columns are features too
MAX_ROWS = 20_000  # that a regression reads, evenly spread
RIDGE = 1e-9  # penalty on standardised features, for columns that depend on each other

FORECAST_FLOOR = (
    "root mean square error of the next value, in standard deviations of each column, by the "
    "better of persistence and a quadratic regression on the present value, on the test part"
)


def present_features(u: np.ndarray) -> np.ndarray:
    """1, the columns of u (rows, k), and products of two where they are few."""
    ones = np.ones((len(u), 1))
    if u.shape[1] > SQUARED_COLUMNS:
        return np.concatenate((ones, u), axis=1)
    first, second = np.triu_indices(u.shape[1])
    return np.concatenate((ones, u, u[:, first] * u[:, second]), axis=1)


def _thinned(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every n-th row, at most ``MAX_ROWS`` of them."""
    stride = -(-len(arrays[0]) // MAX_ROWS)
    return tuple(array[::stride] for array in arrays)


def least_squares(u: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The quadratic regression of y (rows, outputs) on u (rows, k), as a function of u."""
    u, y = _thinned(u, y)
    H = present_features(u)
    size = np.maximum(np.abs(H).max(0), 1e-300)
    H = H / size
    W = np.linalg.solve(H.T @ H + RIDGE * len(H) * np.diag(np.arange(H.shape[1]) > 0), H.T @ y)
    return lambda now: present_features(now) / size @ W


def forecast_floor(
    trained: Sequence[np.ndarray], held_out: Sequence[np.ndarray], scale: np.ndarray
) -> dict[str, Any]:
    """Attributes of a series: the error of the next value without a memory, learned on stretches
    (time, k) and measured on others, in units of ``scale``."""
    middle = np.concatenate(trained).mean(0)
    now, then = (
        [np.concatenate([(y[cut] - middle) / scale for y in stretches]) for cut in CUTS]
        for stretches in (trained, held_out)
    )
    regression = least_squares(now[0], now[1] - now[0])
    errors = [then[1] - then[0], then[1] - then[0] - regression(then[0])]
    return {
        "floor": min(float(np.sqrt(np.mean(np.square(error)))) for error in errors),
        "floor_meaning": FORECAST_FLOOR,
        "chance": 1.0,
        "chance_meaning": "error of the forecast that is always the mean, in the same unit",
    }


CUTS = (slice(None, -1), slice(1, None))  # what is there now, and what comes next


def sequence_floor(found: Any, statistics: dict[str, np.ndarray], split: np.ndarray) -> dict:
    """Attributes of labelled sequences: loss and chance without a memory, learned on the training
    part and measured on the others.

    ``found``: inputs, targets and scored, as of ``from_sequences``.
    """
    classes = found.targets.dtype.kind in "iu"
    loss = "cross_entropy" if classes else "mean_squared_error"
    folds = [_rows(found, statistics, split == 0), _rows(found, statistics, split > 0)]
    outputs = int(found.targets.max()) + 1 if classes else found.targets.shape[-1]
    best = best_without_memory([(folds[0], folds[1])], loss, outputs)
    facts: dict[str, Any] = {
        "floor": best.loss,
        "floor_meaning": f"{LOSS_NAMES[loss]} without a memory, by {best.answer}"
        + ("" if classes else ", standardised"),
    }
    if classes:
        facts |= {
            "chance": best.accuracy,
            "chance_meaning": "largest share of right answers without a memory",
        }
    return facts


def _rows(found: Any, statistics: dict[str, np.ndarray], part: np.ndarray) -> Rows:
    """Present inputs, steps and targets where they are scored in a part."""
    u, y, scored = found.inputs[part], found.targets[part], found.scored[part]
    if y.dtype.kind == "f":
        y = (y - statistics["target_mean"]) / statistics["target_scale"]
    if u.ndim == 3:
        u = (u - statistics["input_mean"]) / statistics["input_scale"]
    each = y.ndim == 3 or (y.dtype.kind in "iu" and y.ndim == 2)
    return Rows(u[scored], np.nonzero(scored)[1], y[scored] if each else y)
