"""Check arguments: each function returns the value in the type that was asked for, or raises an
error that names it."""

import numpy as np


def whole(name, value, least):
    """value as an int of at least ``least``."""
    if (
        not _is_number(value)
        or isinstance(value, bool)
        or not np.isfinite(value)
        or int(value) != value
        or value < least
    ):
        raise ValueError(f"{name} = {value!r:.60}: must be a whole number of at least {least}")
    return int(value)


def real(name, value):
    """value as a float, if it is one real number."""
    if not _is_number(value):
        raise ValueError(f"{name} = {value!r:.60}: must be one real number")
    return float(value)


def _is_number(value):
    return (
        not isinstance(value, (list, tuple))
        and np.ndim(value) == 0
        and np.asarray(value).dtype.kind in "biuf"
    )
