"""Means over Gaussian variables, by the trapezoidal rule: for analytic integrands it converges
exponentially.

Source: Trefethen and Weideman (2014), SIAM Review 56, section 3. tanh has poles at +-i pi/2, so a
step of 0.25 leaves exp(-39).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev

MAX_DEVIATION = 8.5  # standard deviations: the Gaussian has fallen to 2e-16
MAX_VARIANCE = 1e8  # beyond it nearly every unit is saturated to double precision


def nodes(variance: float, step: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the mean over N(0, variance), for integrands without poles within pi/2
    of the real axis.

    >>> x, w = nodes(4.0)
    >>> round(float(w @ x**2), 12)
    4.0
    """
    if not 0 <= variance <= MAX_VARIANCE:
        raise ValueError(
            f"a unit's input has variance {variance:.3g}, above {MAX_VARIANCE:.0e}: pass "
            "a smaller gain, bias or input"
        )
    sd = np.sqrt(variance)
    if sd == 0:
        return np.zeros(1), np.ones(1)
    half = int(np.ceil(MAX_DEVIATION * sd / min(step, 0.5 * sd)))
    x = np.linspace(-MAX_DEVIATION * sd, MAX_DEVIATION * sd, 2 * half + 1)
    weights = np.exp(-0.5 * (x / sd) ** 2)
    return x, weights / weights.sum()


def mean(function: Callable, variance: float) -> float:
    """E[f(x)], x ~ N(0, variance).

    >>> round(mean(lambda x: np.cos(x), 1.0), 12) == round(float(np.exp(-0.5)), 12)
    True
    """
    x, weights = nodes(variance)
    return float(weights @ function(x))


def sech2(x: Any) -> Any:
    """1/cosh(x)^2, without loss where tanh has saturated and without overflow."""
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


def log_sech2(x: Any) -> Any:
    """ln(1/cosh(x)^2), finite for every x up to 1e307."""
    x = np.abs(x)
    with np.errstate(over="ignore"):  # beyond 1e308 it is -inf
        return 2.0 * (np.log(2.0) - x - np.log1p(np.exp(-2.0 * x)))


def pair_mean(function: Callable, variance: float, correlation: float) -> float:
    """E[f(x) f(y)] of jointly Gaussian x, y of equal variance and a correlation in [0, 1].

    Both share a part: x = s + p, y = s + p', so that the mean is E_s[(E_p f(s + p))^2].

    >>> round(pair_mean(lambda x: x, 4.0, 0.25), 12)
    1.0
    """
    shared, shared_weights = nodes(variance * correlation, 0.3)
    private, private_weights = nodes(variance * (1.0 - correlation), 0.3)
    return float(shared_weights @ (function(shared[:, None] + private) @ private_weights) ** 2)


def pair_mean_curve(function: Callable, variance: float, degree: int = 40) -> Chebyshev:
    """E[f(x) f(y)] as a polynomial in the angle arcsin(correlation), in which it is smooth up to
    correlation 1."""
    return Chebyshev.interpolate(
        lambda angles: np.array(
            [pair_mean(function, variance, c) for c in np.sin(np.atleast_1d(angles))]
        ),
        degree,
        domain=[0.0, np.pi / 2],
    )
