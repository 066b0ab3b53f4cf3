"""Lags, start and input of a run of which gradients are taken, read once for every function."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...clock import has_times
from ...drive import default_transient, drive_values, read_drive
from ...errors import ShapeError
from ...runtime.memory import require_memory, require_time
from ...runtime.validation import integer, is_real
from ...system import System, as_state
from ...typing import Drive

MAX_LAG = 2**53  # beyond it floats skip whole numbers


def lag_vector(lags: Any) -> np.ndarray:
    """One or several lags as a vector of integers, in the order given.

    >>> lag_vector(3).tolist(), lag_vector([5, 0]).tolist()
    ([3], [5, 0])
    """
    found = np.atleast_1d(np.asarray(lags))
    if (
        found.dtype.kind not in "iuf"
        or found.ndim != 1
        or not found.size
        or not ((found >= 0) & (found <= MAX_LAG)).all()
        or (found % 1 != 0).any()
    ):
        raise ValueError(f"lags = {lags!r:.60}: must be whole numbers of steps of at least 0")
    return found.astype(int)


def lag_axis(lags: Any) -> np.ndarray:
    """The lags of a result: 0 .. N for one number N, or those of a list, in ascending order.

    >>> lag_axis(3).tolist(), lag_axis([5, 0, 5]).tolist()
    ([0, 1, 2, 3], [0, 5])
    """
    found = lag_vector(lags)
    require_memory(
        64 * (int(found[0]) if np.ndim(lags) == 0 else found.size),
        f"lags = {lags!r:.60}",
        "pass fewer",
    )
    return np.arange(found[0] + 1) if np.ndim(lags) == 0 else np.unique(found)


def read_transient(transient: Any, longest: int, system: Any = None, drive: Any = None) -> int:
    """Steps before the window of the longest lag; of a drive that is an array of rows, all that
    come before."""
    if transient is None:
        transient = round(default_transient(longest, 1.0))
        if isinstance(system, System) and is_recorded(drive):
            values = drive_values(system, drive)
            if values.ndim == 2:
                transient = max(0, len(values) - longest - 1)
    transient = integer("transient", transient, 0)
    require_time(transient, f"transient = {transient}", "pass a shorter one")
    return transient


def require_samples(samples: int, steps: int, lags: int) -> None:
    """Refuse more samples than can be run, or than fit into memory."""
    require_time(samples * steps, f"samples = {samples} of {steps} steps", "pass fewer")
    # two gradients a lag, and as many numbers again while they are averaged
    require_memory(32 * samples * lags, f"samples = {samples} of {lags} lags", "pass fewer")


def is_recorded(drive: Drive) -> bool:
    """Whether a drive is an array with one row a step."""
    return not (drive is None or is_real(drive) or callable(drive) or has_times(drive))


def read_start(system: System, x0: Any, rng: np.random.Generator) -> np.ndarray:
    """One start, of shape (n,)."""
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    return x


def read_window(
    system: System, x0: Any, drive: Drive, transient: int, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Start (n,) and inputs u_1 .. u_T of ``transient`` + ``longest`` + 1 steps; None for a system
    without inputs."""
    inputs = read_drive(system, drive, transient + longest + 1, rng, lags=longest).array()
    return read_start(system, x0, rng), inputs


def read_inputs(system: System, drive: Drive, steps: int, rng: np.random.Generator) -> Any:
    """Inputs of at least so many steps: all rows of an array, else exactly that many."""
    count = steps
    if is_recorded(drive) and np.ndim(drive) != 1:  # type: ignore[arg-type]
        count = max(steps, len(drive_values(system, drive)))
    return read_drive(system, drive, count, rng, lags=steps - 1).array()
