"""Moments of the stationary state of a random tanh network: variance and susceptibility."""

import numpy as np

from . import gaussian
from .checks import not_negative, spread


def tanh_variance(gain, bias_sd=0.0, input_sd=0.0) -> float:
    """Variance q of a unit's input in the stationary state, the stable root of

    q = gain^2 E[tanh(sqrt(q) z)^2] + bias_sd^2 + input_sd^2,  z ~ N(0, 1).

    Undriven and without bias it is 0 up to gain 1, the onset of chaos, and the positive root above.
    Raises ValueError where a number is negative or not finite, or the gain so large that every unit
    saturates. Source: Sompolinsky, Crisanti and Sommers (1988); Poole et al. (2016), eq. 3.

    >>> tanh_variance(0.9), round(tanh_variance(3.0), 6)
    (0.0, 6.305391)
    """
    gain, constant = spread("gain", gain), _constant(bias_sd, input_sd)
    if constant == 0 and gain <= 1:
        return 0.0
    # E tanh^2 >= q - 2 q^2 puts the undriven root above (1 - 1/g^2)/2
    low = constant if constant else 0.25 * (1 - gain**-2)
    return _root(
        lambda q: gain**2 * gaussian.mean(lambda x: np.tanh(x) ** 2, q) + constant - q,
        low,
        gain**2 + constant,
    )


def tanh_susceptibility(gain, variance) -> float:
    """Mean squared growth of a small difference per step, chi = gain^2 E[sech(sqrt(q) z)^4];
    lambda_1 = 1/2 ln chi.

    Source: Schoenholz et al. (2017), eq. 5.

    >>> round(0.5 * float(np.log(tanh_susceptibility(3.0, tanh_variance(3.0)))), 8)
    0.31024932
    """
    return spread("gain", gain) ** 2 * _sech4(not_negative("variance", variance))


def _constant(bias_sd, input_sd):
    """The part of a unit's input variance that the gain does not make."""
    return spread("bias_sd", bias_sd) ** 2 + spread("input_sd", input_sd) ** 2


def _sech4(q):
    return gaussian.mean(lambda x: gaussian.sech2(x) ** 2, q)


def _root(function, low, high):
    """Root of a function that changes sign between two positive numbers, to a relative 1e-14."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-300, rtol=1e-14, maxiter=500))
