"""Two-time mean field of the leaky tanh network: with memory in each unit, the correlation over
time decides the first exponent.

x' = (1-d) x + d tanh(W x + V u + b). The correlation C(t) of a state and
Delta(t) = g^2 C(t) + bias variance (+ input variance at t = 0) of its input solve, with a = 1 - d
and T(t) = E[tanh tanh] at correlation Delta(t)/Delta(0),

    (1 + a^2) C(t) - a [C(t+1) + C(t-1)] = d^2 T(t).

The correlation of a small difference grows as mu^(2 t) psi(lag), and mu is the largest root of

    a mu [psi(t+1) + psi(t-1)] + d^2 g^2 E[tanh' tanh'](t) psi(t) = (mu^2 + a^2) psi(t),

lambda_1 = ln(mu)/d. d -> 0 gives Delta'' = Delta - g^2 T and the Schroedinger equation
-psi'' - g^2 E[tanh' tanh'] psi = -(1 + lambda_1)^2 psi. Source: Sompolinsky, Crisanti and Sommers
(1988), eqs. 8-14; in discrete time derived here along the same lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

from ..errors import ConvergenceError
from . import gaussian
from .checks import below_saturation
from .tanh_moments import tanh_susceptibility, tanh_variance

MAX_LAGS = 200_000
MAX_LEAKY_GAIN = 100.0  # the grids of two-time means grow as its square, here to half a minute


def leaky_exponent(gain: float, bias_sd: float, input_sd: float, leak: float) -> dict[str, Any]:
    """First exponent per unit of time, a number, and the variance of a unit's input, an entry of a
    report.

    >>> round(leaky_exponent(2.0, 0.0, 0.0, 0.0)["lyapunov"], 6)
    0.112458
    """
    gain = below_saturation("gain", gain, MAX_LEAKY_GAIN)
    static = tanh_variance(gain, bias_sd)
    rest = tanh_susceptibility(gain, static)
    if leak == 0 and (input_sd or bias_sd):
        raise ValueError(
            "leak = 0, continuous time, is solved without input and bias: expected a "
            "small leak, such as 0.05"
        )
    if not input_sd and rest <= 1:  # a stable fixed point: the largest eigenvalue of 1 - d + d D W
        growth = 1 - leak + leak * np.sqrt(rest)
        exponent = np.sqrt(rest) - 1 if leak == 0 else np.log(growth) / leak if growth else -np.inf
        return _entries(exponent, static)
    return _entries(*(_continuous(gain) if leak == 0 else _discrete(gain, bias_sd, input_sd, leak)))


def _entries(exponent, variance):
    return {
        "lyapunov": float(exponent),
        "field_variance": ((), float(variance), "1", "variance of a unit's input"),
    }


def _discrete(gain, bias_sd, input_sd, leak):
    """Exponent and variance at 0 < d < 1: shoot for the correlation that decays, then the largest
    mu."""
    correlation, variance = _autocorrelation(gain, bias_sd**2, input_sd**2, leak)
    fields = gain**2 * correlation + bias_sd**2
    ratio = np.clip(fields / variance, 0.0, 1.0)
    ratio[0] = 1.0
    slope = gaussian.pair_mean_curve(gaussian.sech2, variance)(np.arcsin(ratio))
    # room for psi, which reaches further than C
    slope = np.concatenate((slope, np.full(2 * slope.size + 50, slope[-1])))
    potential, a = leak**2 * gain**2 * slope, 1 - leak

    def excess(mu):
        return _top_eigenvalue(a * mu, potential) - mu**2 - a**2

    mu = brentq(excess, a, a + leak * gain * np.sqrt(slope[0]) * (1 + 1e-9) + 1e-12, xtol=1e-13)
    return np.log(mu) / leak, variance


def _top_eigenvalue(coupling, diagonal):
    """Largest eigenvalue of coupling (S + S^T) + diagonal on sequences over the lags ..., -1, 0, 1,
    ... that are even in the lag."""
    main = diagonal.copy()
    main[-1] += coupling  # beyond the last lag psi no longer changes
    side = np.full(main.size - 1, coupling)
    side[0] *= np.sqrt(2)  # the even sector, made symmetric
    last = main.size - 1
    return eigh_tridiagonal(main, side, select="i", select_range=(last, last), eigvals_only=True)[0]


def _autocorrelation(gain, bias, drive, leak):
    """Correlation C(0), C(1), ... until it has settled, and the variance of a unit's input."""
    low, high, found = 0.0, _static(gain, bias, drive), None
    for _ in range(60):
        start = 0.5 * (low + high)
        curve, crossed = _shoot(start, gain, bias, drive, leak)
        low, high = (start, high) if crossed else (low, start)
        if found is None or len(curve) >= len(found[0]):
            found = curve, gain**2 * start + bias + drive
        if high - low <= 1e-15 * high:
            break
    return found


def _static(gain, bias, drive):
    """Mean square of the state that does not change: no solution that decays starts above it."""
    q = tanh_variance(gain, np.sqrt(bias), np.sqrt(drive))
    return gaussian.mean(lambda x: np.tanh(x) ** 2, q)


def _shoot(start, gain, bias, drive, leak):
    """Correlation from C(0) = start, and whether it fell below its limit (the start was too small)
    or turned up (too large)."""
    variance, a = gain**2 * start + bias + drive, 1 - leak
    curve = gaussian.pair_mean_curve(np.tanh, variance)
    mean_tanh = lambda c: float(curve(np.arcsin(min((gain**2 * c + bias) / variance, 1.0))))  # noqa: E731
    limit = 0.0
    for _ in range(500 if bias else 0):
        limit = mean_tanh(limit)
    values = [start, ((1 + a * a) * start - leak**2 * float(curve(np.pi / 2))) / (2 * a)]
    while len(values) < MAX_LAGS:
        if values[-1] <= limit:
            return np.array(values[:-1]), True
        if values[-1] >= values[-2]:
            return np.array(values[:-1]), False
        values.append(((1 + a * a) * values[-1] - leak**2 * mean_tanh(values[-1])) / a - values[-2])
    raise ConvergenceError(
        f"the correlation has not decayed after {MAX_LAGS} steps: the gain "
        f"{gain} is too close to the onset of chaos"
    )


def _continuous(gain):
    """Exponent and variance at d = 0, from the motion of Delta with zero energy and the ground
    state on top of it."""
    variance = brentq(lambda q: _energy(gain, q), 1e-6 * (1 - gain**-2), gain**2, xtol=1e-14)
    slope = gaussian.pair_mean_curve(gaussian.sech2, variance)
    angle, length = _decay(gain, variance)
    energies = []
    for points in (4000, 8000):  # second order in the step: the two together are fourth order
        step = length / points
        potential = gain**2 * slope(angle(step * np.arange(points)))
        energies.append(_top_eigenvalue(step**-2, potential - 2 * step**-2))
    return np.sqrt((4 * energies[1] - energies[0]) / 3) - 1, variance


def _energy(gain, variance):
    """Energy of the motion of Delta between its start Delta(0) = variance and rest at 0: zero for
    the solution that decays."""
    x, weights = gaussian.nodes(variance)
    log_cosh = -0.5 * gaussian.log_sech2(x)
    average = weights @ log_cosh
    return -0.5 * variance**2 + gain**2 * (weights @ (log_cosh - average) ** 2)


def _decay(gain, variance):
    """Angle arcsin(Delta(t)/Delta(0)) as a function of t, and the time over which it has decayed.

    Zero energy gives Delta' = -sqrt(P), P = Delta^2 - 2 g^2 int_0^Delta T; in the angle the
    equation is regular at both ends.
    """
    from numpy.polynomial import Chebyshev
    from scipy.integrate import solve_ivp

    mean_tanh = gaussian.pair_mean_curve(np.tanh, variance)
    work = Chebyshev.interpolate(
        lambda x: mean_tanh(x) * np.cos(x) * variance, 44, domain=mean_tanh.domain
    ).integ(lbnd=0.0)
    rate = Chebyshev.interpolate(
        lambda x: (
            ((np.sin(x) * variance) ** 2 - 2 * gain**2 * work(x))
            / (np.sin(x) * np.cos(x) * variance) ** 2
        ),
        30,
        domain=mean_tanh.domain,
    )
    slowest = np.sqrt(max(rate(0.0), 1e-12))
    length = 30.0 / slowest + 20.0
    motion = solve_ivp(
        lambda t, x: -np.sin(x) * np.sqrt(np.maximum(rate(x), 0.0)),
        (0, length),
        [np.pi / 2],
        rtol=1e-10,
        atol=1e-12,
        dense_output=True,
    )
    return lambda t: np.clip(motion.sol(t)[0], 0.0, np.pi / 2), length
