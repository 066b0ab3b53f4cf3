"""What the formulas of this folder may be asked for, and what an asker is told otherwise."""

import numpy as np

from ..errors import NotFiniteError, ShapeError


def not_negative(name, value):
    """The number itself if it is finite and at least 0.

    >>> not_negative("gain", 2)
    2.0
    """
    value = float(value)
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} = {value}: pass a finite number of at least 0")
    return value


def positive(name, value):
    """The number itself if it is finite and above 0."""
    value = float(value)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value}: pass a finite number above 0")
    return value


def finite(name, value):
    """The number itself if it is finite."""
    value = float(value)
    if not np.isfinite(value):
        raise NotFiniteError(f"{name} = {value}: pass a finite number")
    return value


def fraction(name, values):
    """Numbers strictly between 0 and 1, as an array."""
    values = np.asarray(values, float)
    if not ((values > 0) & (values < 1)).all():
        raise ValueError(f"{name} = {values.tolist()}: a gate lies strictly between 0 and 1")
    return values


def leak_rate(leak):
    """A leak in (0, 1]; 0 stands for the limit of continuous time."""
    leak = float(leak)
    if not 0 <= leak <= 1:
        raise ValueError(f"leak = {leak}: pass a number in (0, 1], or 0 for the limit of continuous time")
    return leak


def count(name, value):
    """A whole number of at least 1."""
    if value != int(value) or value < 1:
        raise ValueError(f"{name} = {value}: pass a whole number of at least 1")
    return int(value)


def lag_axis(lags):
    """Lags as a vector of integers, in steps, none negative."""
    lags = np.atleast_1d(np.asarray(lags))
    if lags.ndim != 1 or lags.size == 0 or (lags != lags.astype(int)).any() or (lags < 0).any():
        raise ValueError(f"lags = {lags.tolist()}: pass whole numbers of steps, at least 0")
    return lags.astype(int)


def square_matrix(matrix):
    """A finite matrix of shape (N, N), in float64."""
    matrix = np.asarray(matrix, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ShapeError(f"the matrix has shape {matrix.shape}: the recurrent weights of N units are square, pass shape (N, N)")
    if not np.isfinite(matrix).all():
        raise NotFiniteError("the matrix holds NaN or infinity: no spectrum is defined")
    return matrix
