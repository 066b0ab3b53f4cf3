"""Check arguments that belong to theory: lags, gates, leaks, gains, square matrices.

Plain numbers and arrays are checked by ``runtime.validation``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import array, is_real, number

# gain or standard deviation; beyond it nearly every unit is saturated to double precision
MAX_GAIN = 1e4


def vector(name: str, values: Any) -> np.ndarray:
    """One or several finite real numbers, as a vector in float64.

    >>> vector("load", 2).tolist()
    [2.0]
    """
    found = np.atleast_1d(array(name, values))
    if found.ndim > 1:
        raise ShapeError(f"{name} has shape {found.shape}, expected a number or a vector")
    return found


def extended_real(name: str, value: Any) -> float:
    """One real number; infinity is allowed, NaN is not.

    >>> extended_real("lyapunov", -np.inf)
    -inf
    """
    if not is_real(value):
        raise ValueError(f"{name} = {value!r:.60}: must be one real number")
    if np.isnan(value):
        raise NotFiniteError(f"{name} is NaN")
    return float(value)


def below_saturation(name: str, value: Any, most: float = MAX_GAIN) -> float:
    """A gain or standard deviation of at least 0, so small that not nearly every unit saturates."""
    value = number(name, value, least=0)
    if value > most:
        raise ValueError(
            f"{name} = {value:g}: nearly every unit saturates, pass a smaller "
            f"{name}, at most {most:g}"
        )
    return value


def gate_values(name: str, values: Any) -> np.ndarray:
    """Numbers strictly between 0 and 1, as a vector."""
    found = vector(name, values)
    if not ((found > 0) & (found < 1)).all():
        raise ValueError(f"{name} = {found.tolist()!s:.60}: must lie strictly between 0 and 1")
    return found


def leak_rate(leak: Any) -> float:
    """A leak in (0, 1]; 0 stands for the limit of continuous time.

    >>> leak_rate(1)
    1.0
    """
    return number("leak", leak, least=0, most=1)


def square_matrix(matrix: Any, name: str = "matrix") -> np.ndarray:
    """A finite matrix of shape (N, N), in float64."""
    found = array(name, matrix)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise ShapeError(f"{name} has shape {found.shape}, expected a square matrix (N, N)")
    return found
