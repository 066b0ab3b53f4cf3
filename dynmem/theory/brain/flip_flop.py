"""Bistable units: fixed points, and how long noise lets them keep their bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...runtime.validation import number, public
from ...system import System
from ...systems.attractors import FlipFlop
from ...typing import ArrayLike
from ..results import lyapunov_report
from .noise import recall_report, split_noise, time_vector

if TYPE_CHECKING:
    from xarray import Dataset


@public
def flip_flop(system: System, *, time: ArrayLike) -> Dataset:
    """A bistable unit: its fixed points and exponents, and how long it keeps its bit in noise.

    Potential U(x) = (x^2/2 - ln cosh(g x)/g)/tau. Mean time from the state m to the ridge at 0:

        T = 1/D int_0^m dy exp(U(y)/D) int_y^inf dz exp(-U(z)/D),

    about pi exp((U(0) - U(m))/D)/sqrt(U''(m) abs(U''(0))) (Kramers). Half of those at the ridge
    cross, so bits flip at the rate 1/(2 T), and mean(t) = E[sign x(t) sign x(0)] = exp(-t/T). The
    twin of ``dm.analysis.noisy_recall`` with that readout.

    Parameters
    ----------
    system : FlipFlop or Noisy
        Units of gain g > 1; in noise ``Noisy(flow, dt, diffusion)``, of which the step does not
        count. Without noise nothing is forgotten.
    time : float or array_like (times,)
        Times of at least 0.

    Returns
    -------
    xarray.Dataset
        mean_readout : (time,), 1
            Mean over trials of sign x(t) sign x(0).
        variance : (time,), 1
            Its variance over trials, 1 - mean^2.
        diffusion : (), 1/time unit
            Half the growth of the variance per unit of time, at the last time.
        barrier : (), 1/time unit
            Height of the potential's ridge over the stable state.
        escape_time : (), time unit
            T, infinite without noise.
        kramers_time : (), time unit
            The same by Kramers' formula.
        fixed_point : (point,), 1
            -m, 0, m.
        eigenvalue : (point,), 1/time unit
            Eigenvalue of the fixed point.
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents, one a bit.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For a gain up to 1, where a unit has one stable state and keeps no bit.

    References
    ----------
    Kramers (1940), Physica 7, 284; Risken (1989), The Fokker-Planck Equation, section 5.10.

    Examples
    --------
    >>> import dynmem as dm
    >>> unit = dm.systems.Noisy(dm.systems.FlipFlop(gain=2.0), diffusion=0.02)
    >>> found = dm.theory.flip_flop(unit, time=[0.0])
    >>> found.fixed_point.values.round(4).tolist(), round(float(found.barrier), 4)
    ([-0.9575, 0.0, 0.9575], 0.1633)
    """
    unit, D = split_noise(system, FlipFlop)
    times, gain = time_vector(time), number("gain", unit.gain)
    if gain <= 1:
        raise ValueError(
            f"gain = {gain}: must be above 1, or a unit has one stable state and keeps no bit"
        )
    m = bistable_state(gain)
    stable = gain * (1 - m * m) - 1
    slopes = np.array([stable, gain - 1, stable]) / unit.time_constant
    barrier = -_potential(unit, m)
    escape = kramers = np.inf
    if D:
        escape = _escape_time(unit, m, D)
        kramers = np.pi / np.sqrt(-slopes[0] * slopes[1]) * np.exp(barrier / D)
    mean = np.exp(-times / escape)
    given: dict = {
        "title": "flip-flop in noise",
        "source": "Kramers (1940), Physica 7, 284",
        "parameters": unit.parameters | {"diffusion": D},
    }
    ridge = "height of the potential's ridge over the stable state"
    report = recall_report(
        times,
        mean,
        1.0 - mean**2,
        barrier=((), barrier, "1/time unit", ridge),
        escape_time=((), escape, "time unit", "mean time from a stable state to the ridge"),
        kramers_time=((), kramers, "time unit", "the same by Kramers' formula"),
        fixed_point=("point", [-m, 0.0, m], "1", "fixed point"),
        eigenvalue=("point", slopes, "1/time unit", "eigenvalue of the fixed point"),
        **given,
    )
    spectrum = lyapunov_report(np.full(unit.bits, slopes[0]), per="1/time unit", **given)
    return report.merge(spectrum[["lyapunov"]], combine_attrs="override")


def bistable_state(gain: float) -> float:
    """The root above 0 of m = tanh(gain m), gain > 1.

    >>> round(bistable_state(2.0), 6)
    0.957504
    """
    from scipy.optimize import brentq

    low = 0.5 * np.sqrt(3 * (gain - 1) / gain**3)
    return float(brentq(lambda m: np.tanh(gain * m) - m, low, 1.0, xtol=1e-15, rtol=1e-15))


def _potential(unit: Any, x: Any) -> Any:
    """U(x), 0 at the ridge."""
    z = np.abs(unit.gain * x)
    return (
        0.5 * x * x - (z + np.log1p(np.exp(-2 * z)) - np.log(2.0)) / unit.gain
    ) / unit.time_constant


def _escape_time(unit: Any, m: float, D: float, points: int = 4001) -> float:
    """Mean first passage from m to 0, by Simpson's rule from 0 to m and from m to where the density
    has fallen by exp(-45), each on a grid of its own: near gain 1, m is a small part of the way."""
    from scipy.integrate import cumulative_simpson, simpson
    from scipy.optimize import brentq

    def depth(x: float) -> float:
        return (_potential(unit, x) - _potential(unit, m)) / D - 45.0

    reach = 2 * m
    while depth(reach) < 0:
        reach *= 2.0
    x, beyond = np.linspace(0.0, m, points), np.linspace(m, brentq(depth, m, reach), 4 * points)
    lowest = _potential(unit, m) / D
    u, density = _potential(unit, x) / D - lowest, np.exp(lowest - _potential(unit, beyond) / D)
    inside = cumulative_simpson(np.exp(-u), x=x, initial=0.0)
    outer = np.exp(u) * (inside[-1] - inside + simpson(density, x=beyond))
    return float(simpson(outer, x=x) / D)
