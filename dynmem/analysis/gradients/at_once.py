"""Gradients of a last output with respect to every input in one reverse pass, for models that run a
whole sequence at once."""

from __future__ import annotations

import numpy as np

from ...autodiff.dual import Dual
from ...autodiff.jacobian import linearise_rule
from ...autodiff.tangents import Reverse, count_steps
from ...system import Map

SMALLEST_SIZE = 1e-200  # of a gradient without rescaling: far above underflow
TRIAL_STEPS = 3  # lengths of the sequences on which the operations of a run are counted: 3 and 6


def runs_at_once(system: Map, x: np.ndarray) -> bool:
    """Whether ``run`` needs no more operations for more steps; a recurrence does."""
    counts = []
    for steps in (TRIAL_STEPS, 2 * TRIAL_STEPS):
        u = np.zeros((1, steps, system.inputs))
        try:
            y = system.run(x[None], Dual(u, Reverse(u.shape)))[0]
        except (TypeError, AttributeError, NotImplementedError):  # a run that takes no dual numbers
            return False
        counts.append(count_steps(y.tangent) if isinstance(y, Dual) else 0)
    return counts[0] == counts[1]


def pull_back_at_once(
    system: Map, x: np.ndarray, inputs: np.ndarray, window: int, rows: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Logs of the squared gradients (samples, lags), and whether they end within the window, at the
    last lag given, for one start x (n,), inputs (steps, samples, inputs) and cotangents (k,
    outputs).

    Raises FloatingPointError where they may have left the range of a float within the window.
    """
    u = np.moveaxis(inputs, 0, 1)
    x = np.tile(x, (len(u), 1))
    if u.shape[1] > window:
        x = system.run(x, u[:, :-window])[1]
    n, shape = x.shape[-1], (len(u), window, system.inputs)

    def last_output(p):
        return system.run(p[..., :n], p[..., n:].reshape(shape))[0][..., -1, :]

    joined = np.concatenate([x, u[:, -window:].reshape(len(u), -1)], axis=-1)
    _, back = linearise_rule(last_output, joined)
    # one cotangent at a time, which fits the cache
    each = [back(np.broadcast_to(row, (1, len(u), len(row)))) for row in rows]
    pulled = np.concatenate(each)
    by_input = pulled[..., n:].reshape(len(rows), *shape)[:, :, ::-1]
    size = np.abs(pulled[pulled != 0.0])
    if not np.isfinite(size).all() or (size.size and size.min() < SMALLEST_SIZE):
        raise FloatingPointError
    with np.errstate(divide="ignore"):
        logs = np.log(np.square(by_input).sum(axis=(0, 3)))
    ended = not pulled[..., :n].any()
    reached = np.flatnonzero(np.isfinite(logs).any(axis=0))
    return logs[:, : reached.max(initial=0) + 1] if ended else logs, ended
