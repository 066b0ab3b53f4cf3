"""Hopfield's memory in the limit of many units, by the replica-symmetric theory of Amit, Gutfreund
and Sompolinsky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import Chebyshev

from ...labels import dataset
from ...runtime.validation import number, public
from ...typing import ArrayLike
from .. import gaussian
from ..checks import vector

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. Lett. 55, 1530; (1987), Ann. Phys. 173, 30"
)
# below it the state is that of temperature 0 to 1e-6, and the integrals would cost more and more
MIN_TEMPERATURE = 1e-3


@public
def hopfield(load: ArrayLike, temperature: float = 0.0) -> Dataset:
    """Overlap of the retrieved state of a Hopfield network with its pattern.

    p = load N random patterns are stored, N to infinity:

        m = E[tanh((m + sqrt(a r) z)/T)],   q = E[tanh^2],   r = q/(1 - C)^2,   C = (1 - q)/T,

    z ~ N(0, 1); at T = 0 m = erf(m/sqrt(2 a r)). It is the branch of large m; above the capacity no
    such state exists, and m = 0. ``dm.analysis.retrieved_overlap`` measures it at one load.

    Parameters
    ----------
    load : float or array_like (loads,)
        Patterns per unit a, at least 0.
    temperature : float, default 0.0
        Temperature T of Glauber's dynamics, at least 0.

    Returns
    -------
    xarray.Dataset
        overlap : (load,), 1
            Overlap of the retrieved state with its pattern.
        retrieved : (load,), 1
            Whether a state near the pattern exists.
        interference : (load,), 1
            Mean squared overlap with the other patterns, over load: r; NaN where none is retrieved.
        capacity : (), 1
            Largest load at which patterns are retrieved.

    Raises
    ------
    ValueError
        For a load or a temperature below 0.

    References
    ----------
    Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. Lett. 55, 1530; (1987), Ann. Phys. 173, 30.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.hopfield([0.05, 0.137, 0.14])
    >>> found.overlap.values.round(4).tolist(), round(float(found.capacity), 7)
    ([1.0, 0.9754, 0.0], 0.1379056)
    """
    loads, T = vector("load", load), number("temperature", temperature, least=0)
    if not (loads >= 0).all():
        raise ValueError(f"load = {loads.tolist()!s:.60}: must be at least 0, patterns per unit")
    critical, ratio = _critical(T)
    found = [_retrieved(value, T, critical, ratio) for value in loads]
    overlap, interference = (np.array([f[i] for f in found]) for i in (0, 1))
    return dataset(
        {
            "overlap": ("load", overlap, "1", "overlap of the retrieved state with its pattern"),
            "retrieved": ("load", overlap > 0, "1", "whether a state near the pattern exists"),
            "interference": (
                "load",
                interference,
                "1",
                "mean squared overlap with the other patterns, over load",
            ),
            "capacity": ((), critical, "1", "largest load at which patterns are retrieved"),
        },
        {"load": ("load", loads, "1", "patterns per unit")},
        title="Hopfield network",
        source=SOURCE,
        parameters={"load": load, "temperature": T},
    )


@public
def hopfield_capacity(temperature: ArrayLike = 0.0) -> Dataset:
    """The line where retrieval ends: the largest load, and the overlap there, over the temperature.

    With the ratio k = m/sqrt(a r) given, M(x, x/k) = T x, M(x, y) = E[tanh(x + y z)], fixes
    x = m/T, and then the load; its maximum over k is the capacity. At T = 0
    load = (erf(y)/y - 2 exp(-y^2)/sqrt(pi))^2/2, k = sqrt(2) y. It falls to 0 at T = 1.

    Parameters
    ----------
    temperature : float or array_like (temperatures,), default 0.0
        Temperature of Glauber's dynamics, at least 0.

    Returns
    -------
    xarray.Dataset
        capacity : (temperature,), 1
            Largest load at which patterns are retrieved.
        overlap : (temperature,), 1
            Overlap of the retrieved state at capacity.

    Raises
    ------
    ValueError
        For a temperature below 0.

    References
    ----------
    Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. Lett. 55, 1530; (1987), Ann. Phys. 173, 30.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.hopfield_capacity(0.0)
    >>> found.capacity.values.round(7).tolist(), found.overlap.values.round(7).tolist()
    ([0.1379056], [0.9674171])
    """
    values = vector("temperature", temperature)
    pairs = [_critical(number("temperature", T, least=0)) for T in values.tolist()]
    overlap = [
        _state(ratio, T)[0] if capacity else 0.0
        for (capacity, ratio), T in zip(pairs, values, strict=True)
    ]
    return dataset(
        {
            "capacity": (
                "temperature",
                [p[0] for p in pairs],
                "1",
                "largest load at which patterns are retrieved",
            ),
            "overlap": ("temperature", overlap, "1", "overlap of the retrieved state at capacity"),
        },
        {"temperature": ("temperature", values, "1", "temperature of Glauber's dynamics")},
        title="capacity of the Hopfield network",
        source=SOURCE,
        parameters={"temperature": temperature},
    )


@public
def hopfield_first_step(overlap: ArrayLike, load: float) -> Dataset:
    """Overlap of a Hopfield network after one parallel update at temperature 0.

    From a state otherwise unrelated to the patterns it is erf(m/sqrt(2 a)), N to infinity.

    Parameters
    ----------
    overlap : float or array_like (overlaps,)
        Overlap m, in [-1, 1].
    load : float
        Patterns per unit a, at least 0.

    Returns
    -------
    xarray.Dataset
        next_overlap : (overlap,), 1
            Overlap after one update.

    Raises
    ------
    ValueError
        For a load below 0.

    References
    ----------
    Kinzel (1985), Z. Phys. B 60, 205.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.hopfield_first_step([0.2], 0.1).next_overlap.values.round(6).tolist()
    [0.472911]
    """
    from scipy.special import erf

    m, load = vector("overlap", overlap), number("load", load, least=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        after = np.where(load > 0, erf(m / np.sqrt(2 * load)), np.sign(m))
    return dataset(
        {"next_overlap": ("overlap", after, "1", "overlap after one update")},
        {"overlap": ("overlap", m, "1", "overlap")},
        title="first step of the Hopfield network",
        source="Kinzel (1985), Z. Phys. B 60, 205",
        parameters={"load": load},
    )


def _state(ratio: float, T: float) -> tuple[float, float, float]:
    """(overlap, load, interference) of the state whose m/sqrt(load r) is the ratio."""
    if T < MIN_TEMPERATURE:
        from scipy.special import erf

        y = ratio / np.sqrt(2.0)
        slope = 2.0 / np.sqrt(np.pi) * np.exp(-(y**2))
        m = float(erf(y))
        load = 0.5 * max(m / y - slope, 0.0) ** 2
        return m, load, (m / ratio) ** 2 / load if load else 1.0
    return _warm_state(ratio, T)


def _warm_state(ratio, T):
    from scipy.optimize import brentq

    x = brentq(lambda x: _means(x, x / ratio)[0] - T * x, 1e-9, 1.0 / T, xtol=1e-14, rtol=1e-14)
    m, rest = _means(x, x / ratio)
    susceptibility, sigma = rest / T, T * x / ratio
    r = (1.0 - rest) / (1.0 - susceptibility) ** 2
    return m, (sigma**2 / r if susceptibility < 1 else 0.0), r


def _means(x, sd):
    """E[tanh(x + sd z)] and E[1 - tanh^2]."""
    nodes, weights = gaussian.nodes(sd**2)
    return float(weights @ np.tanh(x + nodes)), float(weights @ gaussian.sech2(x + nodes))


def _critical(T: float) -> tuple[float, float]:
    """The largest load at a temperature and its ratio m/sqrt(a r); (0, inf) from T = 1 on."""
    if T >= 1:
        return 0.0, np.inf
    logs = np.linspace(np.log(20.0), np.log(0.3), 80)
    loads = [_load(s, T) for s in logs]
    # coming from light loads: the first maximum
    top = next((i for i in range(1, len(loads) - 1) if loads[i] > loads[i + 1]), len(loads) - 2)
    low, high = logs[top + 1], logs[top - 1]
    # the maximum is flat: the root of a polynomial's derivative places it
    for width in (0.1, 0.03):
        curve = Chebyshev.interpolate(
            lambda s: np.array([_load(v, T) for v in s]), 10, domain=[low, high]
        )
        roots = curve.deriv().roots()
        roots = roots[np.isreal(roots)].real
        at = roots[np.argmax(curve(np.clip(roots, low, high)))]
        low, high = at - width, at + width
    return _load(at, T), float(np.exp(at))


def _load(log_ratio, T):
    return _state(np.exp(log_ratio), T)[1]


def _retrieved(load, T, critical, ratio):
    """Overlap and interference of the retrieval state at a load; (0, nan) where there is none."""
    from scipy.optimize import brentq

    if load > critical or T >= 1:
        return 0.0, np.nan
    if load == 0:
        return _unloaded(T), 1.0
    high = np.log(ratio) + 1.0
    while _state(np.exp(high), T)[1] > load:
        high += 1.0
    s = brentq(lambda s: _state(np.exp(s), T)[1] - load, np.log(ratio), high, xtol=1e-13)
    m, _, r = _state(np.exp(s), T)
    return m, r


def _unloaded(T):
    """m = tanh(m/T), the root above 0."""
    from scipy.optimize import brentq

    return (
        1.0
        if T < 0.02
        else float(brentq(lambda m: np.tanh(m / T) - m, 0.5 * np.sqrt(max(1 - T, 1e-12)) * T, 1.0))
    )
