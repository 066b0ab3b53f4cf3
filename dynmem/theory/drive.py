"""Read the drive of a predicted system: its root mean square, or the input of every step.

Every theory function reads ``drive`` here: None is zero; a number is the standard deviation of
white noise; an array (steps, inputs) is the input itself, one of shape (inputs,) is held; a
function (rng, steps) returns an array. Mean field theory, which assumes white noise, uses the root
mean square: that of the array, or of 1000 steps drawn from the function.
"""

from __future__ import annotations

import numpy as np

from ..drive import drive_values, held_drive, read_drive
from ..errors import ShapeError
from ..runtime.validation import generator, is_real, number
from ..system import System
from ..typing import Drive, Rng

DRAWN_STEPS = 1000  # steps of a function of which the root mean square is taken


def drive_rms(system: System, drive: Drive, rng: Rng = 0) -> float:
    """Root mean square of the input, over steps and inputs.

    >>> import dynmem as dm
    >>> cell = dm.models.get("tanh", units=3, inputs=2)
    >>> drive_rms(cell, None), drive_rms(cell, 0.5), drive_rms(cell, np.full((4, 2), 3.0))
    (0.0, 0.5, 3.0)
    """
    if drive is None:
        return 0.0
    if is_real(drive):
        return number("drive", drive, least=0)
    values = drive_array(system, drive, None, rng)
    return float(np.sqrt(np.mean(values**2)))


def drive_array(system: System, drive: Drive, steps: int | None, rng: Rng = 0) -> np.ndarray:
    """The input of each step, (steps, inputs): of a number noise, of None zero.

    An array is returned whole, of at least ``steps`` rows; None asks for one at least, and for 1000
    of a function.
    """
    if drive is None:
        return np.zeros((steps or 0, system.inputs))
    if is_real(drive) or callable(drive):
        count = steps or (DRAWN_STEPS if callable(drive) else 0)
        return read_drive(system, drive, count, generator(rng)).array()
    if (held := held_drive(system, drive)) is not None:
        return np.tile(held, (steps or 1, 1))
    values = drive_values(system, drive)
    if values.ndim != 2 or len(values) < max(steps or 1, 1):
        raise ShapeError(
            f"drive has shape {values.shape}, expected at least ({steps or 1}, {system.inputs})"
        )
    return values
