"""Losses of a task, and what counts as a right answer."""

from __future__ import annotations

import numpy as np

from ..arrays import softplus

# Hochreiter and Schmidhuber (1997) count an error of 0.04 as right, for half the sum
TOLERANCE = 0.08


def _cross_entropy(outputs, targets):
    logits = np.broadcast_to(outputs, (*targets.shape, outputs.shape[-1]))
    picked = np.take_along_axis(logits, targets[..., None].astype(np.intp), axis=-1)[..., 0]
    return np.logaddexp.reduce(outputs, axis=-1) - picked


LOSS_NAMES = {
    "cross_entropy": "cross entropy in nats",
    "binary_cross_entropy": "binary cross entropy in nats a bit",
    "mean_squared_error": "squared error",
}
LOSSES = {  # of outputs and targets, each step
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda outputs, targets: np.mean(
        softplus(outputs) - targets * outputs, axis=-1
    ),
    "mean_squared_error": lambda outputs, targets: np.mean((outputs - targets) ** 2, axis=-1),
}
RIGHT = {
    "cross_entropy": lambda outputs, targets: outputs.argmax(-1) == targets,
    "binary_cross_entropy": lambda outputs, targets: (outputs > 0) == (targets > 0),
    "mean_squared_error": lambda outputs, targets: np.abs(outputs - targets) < TOLERANCE,
}
