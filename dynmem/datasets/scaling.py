"""Standardise by the training part of a Dataset, and turn predictions back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..runtime.validation import public
from ..typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

UNSCORED = -100  # class of a step without one, the default ignore_index of torch


def answers(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Standardised inputs (count, steps, inputs), or symbols, and targets (count, steps[, outputs])
    of a Dataset of ``from_sequences``: -100, or NaN, where a step is not scored."""
    u, y = data.inputs.values, data.targets.values
    scored = data.scored.values.astype(bool)
    if u.ndim == 3:
        inside = np.arange(u.shape[1]) < data.length.values[:, None]
        u = np.where(inside[..., None], scaled(data, u, "inputs"), 0.0)
    if "step" not in data.targets.dims:
        y = np.repeat(y[:, None], u.shape[1], axis=1)
    if y.ndim == 2:
        return u, np.where(scored, y, UNSCORED)
    return u, np.where(scored[..., None], scaled(data, y, "targets"), np.nan)


STATISTICS = {
    "x": ("mean", "scale"),
    "inputs": ("input_mean", "input_scale"),
    "targets": ("target_mean", "target_scale"),
}


@public
def scaled(data: Dataset, values: ArrayLike, name: str = "x") -> np.ndarray:
    """Values in the units of a Dataset, standardised by its training part, as a model reads them.

    Parameters
    ----------
    data : xarray.Dataset
        Of ``from_series`` or ``from_sequences``.
    values : array_like (..., columns)
        In the units of the variable.
    name : {"x", "inputs", "targets"}
        Variable that they belong to.

    Returns
    -------
    numpy.ndarray
        (values - mean)/scale.

    Raises
    ------
    ValueError
        For a variable without a mean and a scale.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = np.random.default_rng(0).normal(5.0, 2.0, 400)
    >>> data = dm.datasets.from_series(x)
    >>> z = dm.datasets.scaled(data, data.x)
    >>> bool(np.allclose(dm.datasets.unscaled(data, z), data.x)), bool(abs(z.mean()) < 0.1)
    (True, True)
    """
    mean, scale = _scales(data, name)
    return (np.asarray(values, float) - mean) / scale


@public
def unscaled(data: Dataset, values: ArrayLike, name: str = "targets") -> np.ndarray:
    """Standardised values, such as the outputs of a model, in the units of a Dataset.

    Parameters
    ----------
    data : xarray.Dataset
        Of ``from_series`` or ``from_sequences``.
    values : array_like (..., columns)
        Standardised.
    name : {"x", "inputs", "targets"}
        Variable that they belong to; "x" where there are no targets.

    Returns
    -------
    numpy.ndarray
        mean + scale values.

    Raises
    ------
    ValueError
        For a variable without a mean and a scale.

    Examples
    --------
    >>> import dynmem as dm
    >>> rng = np.random.default_rng(0)
    >>> u = rng.normal(size=(60, 5, 1))
    >>> data = dm.datasets.from_sequences(u, 100.0 + u.sum(1), target_units="mV")
    >>> float(dm.datasets.unscaled(data, np.zeros(1))[0]) == float(data.target_mean[0])
    True
    """
    mean, scale = _scales(data, "x" if name == "targets" and "x" in data else name)
    return mean + scale * np.asarray(values, float)


def _scales(data: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    names = STATISTICS.get(name, ()) if isinstance(name, str) else ()
    if not names or any(each not in data for each in names):
        held = [key for key, pair in STATISTICS.items() if all(each in data for each in pair)]
        raise ValueError(
            f"{name!r:.40} has no mean and scale in this dataset: those that have are "
            f"{', '.join(held) or 'none (classes and symbols are not standardised)'}"
        )
    return data[names[0]].values, data[names[1]].values
