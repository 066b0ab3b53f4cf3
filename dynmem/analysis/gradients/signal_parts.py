"""What the memory signal and its theory share: which part of a loss's derivative holds the target,
which steps count, and how signal and noise of many tensors make one SNR^2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import dataset
from ...tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xarray import Dataset

SLOPES = {"cross_entropy": 1.0, "binary_cross_entropy": 1.0, "mean_squared_error": 2.0}
EPS = np.finfo(float).eps
ROUNDING = 1e-12  # of the largest standard deviation of a tensor: what cancels leaves 1e-16


def slope(task: Task) -> float:
    """The c in the derivative a(y) - c t of a loss in the outputs y, for targets t."""
    return SLOPES[task.loss] / (1 if task.loss == "cross_entropy" else task.outputs)


def recalled_weights(task: Task) -> np.ndarray:
    """Weights (steps,) of the recalled steps in the mean loss, 0 elsewhere."""
    mask = np.zeros(task.steps)
    mask[task.recalled] = 1.0
    return mask * task.weights / task.weights.sum()


def centred(part: np.ndarray, p: np.ndarray) -> np.ndarray:
    """A part of the answer (count, ...) less its mean over sequences of probabilities p."""
    return part - np.tensordot(p, part, 1)


def snr_squared(signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """SNR^2 (modes,) of squares of the signal (modes, tensors) over variances (tensors,), each the
    mean of its tensor, summed over the tensors that move.

    A tensor does not move where its variance is rounding, as of the bias of the keys of attention,
    on which a softmax does not depend.
    """
    moves = noise > ROUNDING**2 * noise.max()
    return (signal[:, moves] / noise[moves]).sum(-1)


def rounding_error(ratio: np.ndarray, batch: int, size: int) -> np.ndarray:
    """Error of SNR^2 by rounding: a mean over sequences is exact to eps of the gradients, ``size``
    numbers, that cancel in it; 0 where the signal is."""
    least = batch * size * EPS**2 * (ratio != 0)
    return 2.0 * np.sqrt(least * np.abs(ratio)) + least


def signal_report(
    tasks: Sequence[Task],
    delays: Sequence[int],
    modes: Sequence[str],
    null_steps: Sequence[int],
    values: Mapping[str, np.ndarray],
    **attributes: Any,
) -> Dataset:
    """Dataset over (delay, mode, null_step) of ``signal``, ``snr_squared`` and its error, each of
    shape (delays, null_steps, modes), and of ``noise`` (delays, null_steps)."""
    unit = "squared unit" if tasks[0].loss == "mean_squared_error" else "nat"
    dims = ("delay", "null_step", "mode")
    texts = {
        "signal": (dims, unit, "norm of the memory signal over all weights"),
        "noise": (dims[:2], unit, "standard deviation of the gradient of a batch"),
        "snr_squared": (dims, "1", "SNR^2 of the memory signal in a batch"),
        "snr_squared_error": (dims, "1", "standard error of SNR^2"),
    }
    found = dataset(
        {name: (at, values[name], units, text) for name, (at, units, text) in texts.items()},
        {
            "delay": ("delay", list(delays), "step", "delay of the task"),
            "mode": ("mode", list(modes), "1", "part of the answer"),
            "null_step": ("null_step", list(null_steps), "step", "steps of the null training"),
        },
        **attributes,
    )
    return found.transpose("delay", "mode", "null_step")
