"""Bistable circuits: competing populations, and one neuron with a self-connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.jacobian import jacobian
from ...labels import complex_parts, dataset
from ...runtime.validation import number, public
from ...system import System, as_system
from ...systems.neural import CTRNN, WongWang
from ...typing import ArrayLike
from ..checks import vector

if TYPE_CHECKING:
    from xarray import Dataset

GRID_POINTS = 20_001  # values of S1 at which the crossings are sought


@public
def wong_wang(system: System) -> Dataset:
    """Every fixed point of Wong and Wang's network, with its eigenvalues: rest, memories, saddles.

    The first equation gives S2 as a function of S1 (H is monotone); its crossings with the second
    are found on a grid of 20001 values of S1, then polished by Newton's method on the rule. Two
    crossings closer than that are missed. The twin of ``dm.fixed_points``.

    Parameters
    ----------
    system : WongWang
        The network, with both currents u = 0 (a stimulus to both is part of ``background``).

    Returns
    -------
    xarray.Dataset
        x : (point, state), 1
            Fixed point: share of open NMDA gates.
        eigenvalue_real : (point, mode), 1/time unit
            Real part of the eigenvalue, the fastest growing first; time in s.
        eigenvalue_imag : (point, mode), 1/time unit
            Imaginary part.
        stable : (point,), 1
            Whether every mode shrinks.
        rate : (point, state), 1/s
            Firing rate.
        memories : (), 1
            Number of stable states.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For a cross coupling of 0: the populations do not compete.

    References
    ----------
    Wong and Wang (2006), J. Neurosci. 26, 1314.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.wong_wang(dm.systems.WongWang())
    >>> found.x.values[found.stable.values].round(4).tolist()
    [[0.0319, 0.567], [0.1027, 0.1027], [0.567, 0.0319]]
    """
    network: Any = as_system(system, WongWang)
    for name, value in network.parameters.items():
        number(name, value)
    if network.cross_coupling == 0:
        raise ValueError("cross_coupling = 0: the populations do not compete, expected another")
    s = np.linspace(0.0, 1.0, GRID_POINTS + 2)[1:-1]
    current = _current_of(network, s / (network.gamma * network.tau * (1 - s)))
    other = (network.self_coupling * s + network.background - current) / network.cross_coupling
    valid = np.abs(other - 0.5) < 0.75
    miss = network.rule(np.stack((s, np.where(valid, other, 0.0)), -1), None)[:, 1]
    starts = np.flatnonzero((miss[:-1] * miss[1:] <= 0) & valid[:-1] & valid[1:])
    points = np.array([_newton(network, np.array([s[i], other[i]])) for i in starts])
    values = np.array(
        [np.sort_complex(np.linalg.eigvals(jacobian(network, p)))[::-1] for p in points]
    )
    own, cross = network.self_coupling, -network.cross_coupling
    currents = points @ np.array([[own, cross], [cross, own]])
    rates = network.rate(currents + network.background)
    stable = (values.real < 0).all(-1)
    variables = {
        "x": (("point", "state"), points, "1", "fixed point"),
        **complex_parts("eigenvalue", ("point", "mode"), values, "1/time unit", "rate"),
        "stable": ("point", stable, "1", "whether every mode shrinks"),
        "rate": (("point", "state"), rates, "1/s", "firing rate"),
        "memories": ((), int(stable.sum()), "1", "number of stable states"),
    }
    coords = {
        "point": ("point", np.arange(len(points)), "1", "fixed point"),
        "state": ("state", list(WongWang.states), "1", "component of the state"),
        "mode": ("mode", np.arange(2), "1", "index of the mode, fastest growing first"),
    }
    return dataset(
        variables,
        coords,
        title="fixed points of Wong and Wang's network",
        source=WongWang.source,
        parameters=network.parameters,
    )


def _current_of(network: Any, rates: np.ndarray) -> np.ndarray:
    """The input current at which H takes these rates, by bisection in d (a x - b): H rises with
    it."""
    target = rates * network.d
    low, high = np.full_like(target, -700.0), np.maximum(target, 1.0) + 1.0
    with np.errstate(over="ignore"):
        for _ in range(80):
            middle = 0.5 * (low + high)
            value = np.where(
                middle == 0, 1.0, middle / -np.expm1(-np.where(middle == 0, 1.0, middle))
            )
            low, high = (
                np.where(value < target, middle, low),
                np.where(value < target, high, middle),
            )
    return (0.5 * (low + high) / network.d + network.b) / network.a


def _newton(system: Any, x: np.ndarray, steps: int = 50) -> np.ndarray:
    for _ in range(steps):
        change = np.linalg.solve(jacobian(system, x), system.rule(x, None))
        x = x - change
        if np.abs(change).max() < 1e-14:
            break
    return x


@public
def ctrnn_bistability(weight: ArrayLike, bias: float = 0.0) -> Dataset:
    """Inputs between which one neuron with a self-connection has two stable states.

    The folds of tau y' = -y + w sigma(y + theta) + I:

        I = +-2 ln((sqrt w + sqrt(w - 4))/2) - (w +- sqrt(w (w - 4)))/2 - theta.

    Parameters
    ----------
    weight : float or array_like (weights,)
        Weight w > 4 of the self-connection.
    bias : float, default 0.0
        Bias theta.

    Returns
    -------
    xarray.Dataset
        input_low : (weight,), 1
            Input below which only the low state is left.
        input_high : (weight,), 1
            Input above which only the high state is left.
        width : (weight,), 1
            Range of inputs with two stable states.

    Raises
    ------
    ValueError
        Where w <= 4: such a neuron has one state.

    References
    ----------
    Beer (1995), Adaptive Behavior 3, 469.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.ctrnn_bistability([4.0001, 6.0]).width.values.round(4).tolist()
    [0.0, 0.8302]
    """
    w, bias = vector("weight", weight), number("bias", bias)
    if not (w > 4).all():
        raise ValueError(f"weight = {w.tolist()!s:.60}: must be above 4 for two stable states")
    root, log = np.sqrt(w * (w - 4)), 2 * np.log((np.sqrt(w) + np.sqrt(w - 4)) / 2)
    low, high = log - (w + root) / 2 - bias, -log - (w - root) / 2 - bias
    return dataset(
        {
            "input_low": ("weight", low, "1", "input below which only the low state is left"),
            "input_high": ("weight", high, "1", "input above which only the high state is left"),
            "width": ("weight", high - low, "1", "range of inputs with two stable states"),
        },
        {"weight": ("weight", w, "1", "weight of the self-connection")},
        title="bistability of one neuron",
        source=CTRNN.source,
        parameters={"weight": weight, "bias": bias},
    )
