"""A line attractor in noise: how fast a held value is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...runtime.validation import number, public
from ...system import System
from ...systems.attractors import LineAttractor
from ...typing import ArrayLike
from ..results import lyapunov_report
from .noise import recall_report, split_noise, time_vector

if TYPE_CHECKING:
    from xarray import Dataset


@public
def line_attractor(system: System, *, time: ArrayLike, start: float = 1.0) -> Dataset:
    """Mean rate of a line attractor in noise: an Ornstein-Uhlenbeck process.

        k = (1 - w)/tau,   mean(t) = start exp(-k t),
        variance(t) = D/N (1 - exp(-2 k t))/k,   2 D t/N at w = 1 (diffusion):

    more neurons, longer memory. The twin of ``dm.analysis.noisy_recall``.

    Parameters
    ----------
    system : LineAttractor or Noisy
        N neurons with feedback w and time constant tau; in noise ``Noisy(flow, dt, diffusion)``, of
        which the step does not count.
    time : float or array_like (times,)
        Times of at least 0.
    start : float, default 1.0
        Mean rate at t = 0.

    Returns
    -------
    xarray.Dataset
        mean_readout : (time,), 1
            Mean over trials of the mean rate.
        variance : (time,), 1
            Its variance over trials.
        diffusion : (), 1/time unit
            Half the growth of the variance per unit of time, at the last time.
        memory_time : (), time unit
            1/k, in which the mean rate falls to 1/e; infinite at w = 1.
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents, largest first.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For times below 0 or numbers that are not finite.

    References
    ----------
    Seung (1996), PNAS 93, 13339; Burak and Fiete (2012), PNAS 109, 17645, for the 1/N.

    Examples
    --------
    >>> import dynmem as dm
    >>> line = dm.systems.Noisy(dm.systems.LineAttractor(feedback=0.9), diffusion=0.01)
    >>> found = dm.theory.line_attractor(line, time=[0.0, 10.0])
    >>> found.mean_readout.values.round(6).tolist(), round(float(found.memory_time), 9)
    ([1.0, 0.367879], 10.0)
    """
    line, D = split_noise(system, LineAttractor)
    times, start = time_vector(time), number("start", start)
    k = (1.0 - number("feedback", line.feedback)) / line.time_constant
    with np.errstate(over="ignore"):
        variance = (
            2.0 * D * times / line.units
            if k == 0
            else D / line.units * -np.expm1(-2.0 * k * times) / k
        )
        mean = start * np.exp(-k * times)
    exponents = [-k] + [-1.0 / line.time_constant] * (line.units - 1)
    given: dict = {
        "title": "line attractor in noise",
        "source": LineAttractor.source,
        "parameters": line.parameters | {"diffusion": D, "start": start},
    }
    memory = 1.0 / k if k > 0 else np.inf
    text = "time in which the mean rate falls to 1/e"
    recall = recall_report(
        times, mean, variance, memory_time=((), memory, "time unit", text), **given
    )
    spectrum = lyapunov_report(exponents, per="1/time unit", **given)
    return recall.merge(spectrum[["lyapunov"]], combine_attrs="override")
