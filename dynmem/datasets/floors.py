"""Least errors that need no memory: regressions of what comes next on what is there now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SQUARED_COLUMNS = 12  # up to which products of two columns are features too
MAX_ROWS = 20_000  # that a regression reads, evenly spread
RIDGE = 1e-9  # penalty on standardised features, for columns that depend on each other
LOGIT_PENALTY = 1e-3  # nats: keeps classes that a line separates from infinite logits

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


def softmax_regression(
    u: np.ndarray, classes: np.ndarray, count: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Logits of classes (rows,) by the regression on u (rows, k), as a function of u."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    u, classes = _thinned(u, classes)
    H = present_features(u)
    target = np.eye(count)[classes]

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = flat.reshape(H.shape[1], count)
        logits = H @ W
        loss = -np.sum(target * log_softmax(logits, axis=1)) / len(H)
        slope = H.T @ (softmax(logits, axis=1) - target) / len(H)
        return loss + 0.5 * LOGIT_PENALTY * np.sum(W**2), (slope + LOGIT_PENALTY * W).ravel()

    found = minimize(cost, np.zeros(H.shape[1] * count), jac=True, method="L-BFGS-B").x
    W = found.reshape(H.shape[1], count)
    return lambda now: present_features(now) @ W


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


MAX_LOGITS = 4000  # weights of a regression of classes, before products, that take a second
BETTER = "the best constant, at each step, and a quadratic regression on the present input and step"
VALUE_FLOOR = f"mean squared error, standardised, on the test part, of the better of {BETTER}"
CLASS_FLOOR = f"cross entropy in nats on the test part of the better of {BETTER}"


def sequence_floor(found: Any, statistics: dict[str, np.ndarray], split: np.ndarray) -> dict:
    """Attributes of labelled sequences: loss and chance without a memory, learned on the training
    part and measured on the test part.

    ``found``: inputs, targets, scored and lengths, as of ``from_sequences``.
    """
    classes = found.targets.dtype.kind in "iu"
    (u, y, step), (u_test, y_test, step_test) = (
        _rows(found, statistics, split == part) for part in (0, 2)
    )
    if not classes:
        constant = _by_step(y, step, found.scored.shape[1])
        answers = [np.broadcast_to(y.mean(0), y_test.shape), constant[step_test]]
        answers.append(least_squares(u, y)(u_test))
        return {
            "floor": min(float(np.mean(np.square(y_test - answer))) for answer in answers),
            "floor_meaning": VALUE_FLOOR,
        }
    count = int(found.targets.max()) + 1
    one_hot = np.eye(count)[y]
    shares = (one_hot.sum(0) + 1.0) / (len(y) + count)
    at_step = _by_step(one_hot, step, found.scored.shape[1], prior=shares)
    logits = [np.broadcast_to(np.log(shares), (len(y_test), count)), np.log(at_step[step_test])]
    if count * u.shape[1] <= MAX_LOGITS:
        logits.append(softmax_regression(u, y, count)(u_test))
    return {
        "floor": min(_mean_surprise(each, y_test) for each in logits),
        "floor_meaning": CLASS_FLOOR,
        "chance": float(np.mean(y_test == shares.argmax())),
        "chance_meaning": "share of right answers of the class most frequent in training",
    }


def _mean_surprise(logits: np.ndarray, classes: np.ndarray) -> float:
    chosen = np.take_along_axis(logits, classes[:, None], axis=1)[:, 0]
    return float((np.logaddexp.reduce(logits, axis=1) - chosen).mean())


def _by_step(
    y: np.ndarray, step: np.ndarray, steps: int, prior: np.ndarray | None = None
) -> np.ndarray:
    """Mean of y (rows, outputs) at each step, (steps, outputs), as if ``PRIOR_ROWS`` more had the
    mean of all."""
    prior = y.mean(0) if prior is None else prior
    total = np.zeros((steps, y.shape[1]))
    np.add.at(total, step, y)
    counts = np.bincount(step, minlength=steps)[:, None]
    return (total + PRIOR_ROWS * prior) / (counts + PRIOR_ROWS)


PRIOR_ROWS = 2.0


def _rows(
    found: Any, statistics: dict[str, np.ndarray], part: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Present inputs, one-hot where they are symbols, with the step; targets; and steps, where
    they are scored in a part."""
    u, y, scored = found.inputs[part], found.targets[part], found.scored[part]
    step = np.nonzero(scored)[1]
    if u.ndim == 2:
        now = np.eye(int(found.inputs.max()) + 1)[u[scored]]
    else:
        now = (u[scored] - statistics["input_mean"]) / statistics["input_scale"]
    if scored.shape[1] > 1:
        now = np.concatenate((now, 2.0 * step[:, None] / (scored.shape[1] - 1) - 1.0), axis=1)
    if y.dtype.kind == "f":
        y = (y - statistics["target_mean"]) / statistics["target_scale"]
    each = y.ndim == 3 or (found.targets.dtype.kind in "iu" and y.ndim == 2)
    return now, y[scored] if each else y, step
