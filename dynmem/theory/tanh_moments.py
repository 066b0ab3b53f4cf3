"""Moments of the stationary state of a random tanh network: variance and susceptibility."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..runtime.validation import number, public
from . import gaussian
from .checks import below_saturation


@public
def tanh_variance(gain: float, bias_sd: float = 0.0, input_sd: float = 0.0) -> float:
    """Variance q of a unit's input in the stationary state of a random tanh network.

        q = gain^2 E[tanh(sqrt(q) z)^2] + bias_sd^2 + input_sd^2,   z ~ N(0, 1),

    the stable root. Undriven and without bias it is 0 up to gain 1, the onset of chaos, and the
    positive root above.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N).
    bias_sd : float, default 0.0
        Standard deviation of the biases.
    input_sd : float, default 0.0
        Standard deviation of the input of a unit.

    Returns
    -------
    float
        q.

    Raises
    ------
    ValueError
        Where a number is negative or not finite, or so large that every unit saturates.

    References
    ----------
    Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259; Poole et al. (2016), NeurIPS
    29, eq. 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.tanh_variance(0.9), round(dm.theory.tanh_variance(3.0), 6)
    (0.0, 6.305391)
    """
    gain, constant = below_saturation("gain", gain), constant_variance(bias_sd, input_sd)
    if constant == 0 and gain <= 1:
        return 0.0
    # E tanh^2 >= q - 2 q^2 puts the undriven root above (1 - 1/g^2)/2
    low = constant if constant else 0.25 * (1 - gain**-2)
    return positive_root(
        lambda q: gain**2 * gaussian.mean(lambda x: np.tanh(x) ** 2, q) + constant - q,
        low,
        gain**2 + constant,
    )


@public
def tanh_susceptibility(gain: float, variance: float) -> float:
    """Mean squared growth of a small difference per step, chi = gain^2 E[sech(sqrt(q) z)^4].

    lambda_1 = 1/2 ln chi.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N).
    variance : float
        Variance q of a unit's input, see ``tanh_variance``.

    Returns
    -------
    float
        chi.

    Raises
    ------
    ValueError
        Where a number is negative or not finite, or the gain so large that every unit saturates.

    References
    ----------
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), ICLR, eq. 5.

    Examples
    --------
    >>> import dynmem as dm
    >>> chi = dm.theory.tanh_susceptibility(3.0, dm.theory.tanh_variance(3.0))
    >>> round(0.5 * float(np.log(chi)), 8)
    0.31024932
    """
    return below_saturation("gain", gain) ** 2 * mean_sech4(number("variance", variance, least=0))


def constant_variance(bias_sd: float, input_sd: float) -> float:
    """Variance of a unit's input that does not come from the recurrent weights."""
    return below_saturation("bias_sd", bias_sd) ** 2 + below_saturation("input_sd", input_sd) ** 2


def mean_sech4(q: float) -> float:
    """E[sech(sqrt(q) z)^4]."""
    return gaussian.mean(lambda x: gaussian.sech2(x) ** 2, q)


def positive_root(function: Callable, low: float, high: float) -> float:
    """Root of a function that changes sign between two positive numbers, to a relative 1e-14."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-300, rtol=1e-14, maxiter=500))
