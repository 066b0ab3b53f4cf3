"""Kaplan-Yorke dimension of Lyapunov exponents."""

from __future__ import annotations

import numpy as np

from ...errors import ShapeError
from ...runtime.validation import public
from ...typing import ArrayLike

ERRORS_FROM_ZERO = 3.0  # within which an exponent counts as 0
ROUNDING = 1e-12  # of the largest exponent, within which one counts as 0


@public
def kaplan_yorke(
    values: ArrayLike, complete: bool = True, *, error: ArrayLike | None = None
) -> float:
    """Kaplan-Yorke dimension of exponents in falling order, at most their number.

    j + (lambda_1 + ... + lambda_j) / |lambda_(j+1)|, j the largest number whose sum is not
    negative. The leading exponents that lie within three errors of 0, or within rounding, count as
    0: of a limit cycle, whose 0 is measured as -0.001, the dimension is 1.

    Parameters
    ----------
    values : array_like (exponents,)
        Lyapunov exponents, largest first.
    complete : bool, optional
        Whether these are all exponents of the system.
    error : array_like (exponents,), optional
        Standard errors of the exponents; 0 by default.

    Returns
    -------
    float
        The dimension, 1; NaN where the spectrum is incomplete and its sum has not yet turned
        negative.

    Raises
    ------
    ShapeError
        Where the exponents are not one row, or the errors have another shape.

    References
    ----------
    Kaplan and Yorke (1979), Lect. Notes Math. 730, 204; Frederickson et al. (1983), J. Differ.
    Equ. 49, 185.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(dm.analysis.kaplan_yorke([0.9056, 0.0, -14.5723]), 4)
    2.0621
    >>> dm.analysis.kaplan_yorke([-0.001, -2.0], error=[0.001, 0.001])
    1.0
    """
    values = np.asarray(values, float)
    error = np.zeros(values.shape) if error is None else np.asarray(error, float)
    if values.ndim != 1 or not values.size or error.shape != values.shape:
        raise ShapeError(
            f"values has shape {values.shape} and error {error.shape}: expected (exponents,) twice"
        )
    return dimension(values, error, complete)[0]


def dimension(
    values: np.ndarray, error: np.ndarray, complete: bool
) -> tuple[float, np.ndarray, float]:
    """The dimension, its derivative by each exponent (k,), and how much it moved because exponents
    counted as 0."""
    size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    near = np.where(np.isfinite(error), ERRORS_FROM_ZERO * error, 0.0)
    is_zero = np.abs(values) <= np.maximum(near, ROUNDING * size)
    leading = np.logical_and.accumulate(is_zero)
    counted = np.where(leading, 0.0, values)
    sums, weights = np.cumsum(counted), np.zeros(len(values))
    if counted[0] < 0:
        return 0.0, weights, 0.0
    if sums[-1] >= 0:
        return float(len(values)) if complete else np.nan, weights, 0.0
    j = int(np.argmax(sums < 0))
    if not np.isfinite(values[j]):
        return float(j), weights, 0.0
    share = sums[j - 1] / abs(values[j])
    weights[:j], weights[j] = 1.0 / abs(values[j]), share / abs(values[j])
    # what counts as 0 is known to be 0, or is as uncertain as its distance from there
    dropped = abs(values[:j][leading[:j]].sum()) / abs(values[j])
    weights[leading] = 0.0
    return float(j + share), weights, float(dropped)
