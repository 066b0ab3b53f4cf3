"""Lags, start and input of a run of which gradients are taken, read once for every function."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drive import default_transient, drive_values, read_drive
from ...errors import ShapeError
from ...runtime.validation import integer, is_real
from ...system import System, as_state
from ...typing import Drive


def read_lags(lags: Any) -> np.ndarray:
    """The lags of a result: 0 .. N for one number N, or those of a list, in ascending order.

    >>> read_lags(3).tolist(), read_lags([5, 0, 5]).tolist()
    ([0, 1, 2, 3], [0, 5])
    """
    values = np.atleast_1d(np.asarray(lags))
    if (
        values.dtype.kind not in "iuf"
        or values.ndim != 1
        or not values.size
        or not (values >= 0).all()
        or (values % 1 != 0).any()
    ):
        raise ValueError(f"lags = {lags!r:.60}: must be whole numbers of steps of at least 0")
    return np.arange(int(values[0]) + 1) if np.ndim(lags) == 0 else np.unique(values.astype(int))


def read_transient(transient: Any, longest: int) -> int:
    """Steps before the window of the longest lag."""
    if transient is None:
        transient = round(default_transient(longest, 1.0))
    return integer("transient", transient, 0)


def read_start(system: System, x0: Any, rng: np.random.Generator) -> np.ndarray:
    """One start, of shape (n,)."""
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    return x


def read_window(
    system: System, x0: Any, drive: Drive, transient: int, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Start (n,) and inputs u_1 .. u_T of ``transient`` + ``longest`` + 1 steps, or of the last
    steps of an array; None for a system without inputs."""
    inputs = read_drive(system, drive, transient + longest + 1, rng, least=longest + 1).array()
    return read_start(system, x0, rng), inputs


def read_inputs(system: System, drive: Drive, steps: int, rng: np.random.Generator) -> Any:
    """Inputs of at least so many steps: all rows of an array, else exactly that many."""
    count = steps
    if not (drive is None or is_real(drive) or callable(drive)):
        count = max(steps, len(drive_values(system, drive)))
    return read_drive(system, drive, count, rng, least=steps).array()
