"""What the formulas of this folder may be asked for, and what an asker is told otherwise."""

import numpy as np

from ..errors import NotFiniteError, ShapeError

# gain or standard deviation; beyond it nearly every unit is saturated to double precision
SATURATED = 1e4
LATEST = 2**53  # lag; beyond it floats skip whole numbers


def number(name, value):
    """One real number, as a float.

    >>> number("drive", np.float32(0.5))
    0.5
    """
    try:
        if (
            np.ndim(value) == 0
            and not isinstance(value, (str, bytes))
            and not np.iscomplexobj(value)
        ):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{_told(name, value)}: pass one real number")


def numbers(name, values):
    """Real numbers, as an array in float64."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        what = (
            f"{name} of shape {array.shape} holds {array.dtype}"
            if array.ndim
            else _told(name, values)
        )
        raise ValueError(f"{what}: pass real numbers")
    return array.astype(float)


def vector(name, values):
    """Real numbers, one or a list of them, as a vector in float64."""
    array = numbers(name, values)
    if array.ndim > 1:
        raise ValueError(f"{_told(name, values)}: pass a number or a vector")
    return np.atleast_1d(array)


def _told(name, value):
    """What came, in a few words: the shape of an array, the value of anything else."""
    shape = getattr(value, "shape", ())
    return f"{name} has shape {tuple(shape)}" if shape else f"{name} = {value!r:.60}"


def not_negative(name, value):
    """The number itself if it is finite and at least 0.

    >>> not_negative("gain", 2)
    2.0
    """
    value = number(name, value)
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} = {value}: pass a finite number of at least 0")
    return value


def spread(name, value, most=SATURATED):
    """A gain or a standard deviation: at least 0, and so small that not nearly every unit
    saturates."""
    value = not_negative(name, value)
    if value > most:
        raise ValueError(
            f"{name} = {value:g}: nearly every unit saturates, pass a smaller "
            f"{name}, at most {most:g}"
        )
    return value


def positive(name, value):
    """The number itself if it is finite and above 0."""
    value = number(name, value)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value}: pass a finite number above 0")
    return value


def finite(name, value):
    """The number itself if it is finite."""
    value = number(name, value)
    if not np.isfinite(value):
        raise NotFiniteError(f"{name} = {value}: pass a finite number")
    return value


def fraction(name, values):
    """Numbers strictly between 0 and 1, as a vector."""
    values = vector(name, values)
    if not ((values > 0) & (values < 1)).all():
        raise ValueError(f"{name} = {values.tolist()}: a gate lies strictly between 0 and 1")
    return values


def leak_rate(leak):
    """A leak in (0, 1]; 0 stands for the limit of continuous time."""
    leak = number("leak", leak)
    if not 0 <= leak <= 1:
        raise ValueError(
            f"leak = {leak}: pass a number in (0, 1], or 0 for the limit of continuous time"
        )
    return leak


def count(name, value):
    """A whole number of at least 1."""
    value = number(name, value)
    if not (np.isfinite(value) and value >= 1 and value == int(value)):
        raise ValueError(f"{name} = {value:g}: pass a whole number of at least 1")
    return int(value)


def lag_axis(lags):
    """Lags as a vector of integers, in steps, none negative."""
    found = vector("lags", lags)
    if not (found.size and np.all((found >= 0) & (found <= LATEST)) and np.all(found % 1 == 0)):
        raise ValueError(f"lags = {found.tolist()!s:.60}: pass whole numbers of steps, at least 0")
    return found.astype(int)


def square_matrix(matrix):
    """A finite matrix of shape (N, N), in float64."""
    matrix = numbers("the matrix", matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ShapeError(
            f"the matrix has shape {matrix.shape}: the recurrent weights of N units "
            "are square, pass shape (N, N)"
        )
    if not np.isfinite(matrix).all():
        raise NotFiniteError("the matrix holds NaN or infinity: no spectrum is defined")
    return matrix
