"""Synaptic memories: how the trace of one memory fades under those that follow.

A memory is a vector of +-1, one for each synapse; trace(lag) is the mean over synapses of weight
times the entry of the memory that came ``lag`` memories ago; noise the standard deviation of a
weight; sqrt(N) trace/noise the signal-to-noise ratio of N synapses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...analysis.gradients.window import lag_vector
from ...labels import dataset
from ...runtime.validation import integer, public
from ...system import System
from ...systems.noise import Impulses
from ...systems.synapses import BennaFusi, CascadeSynapse, LeakySynapse
from ...typing import ArrayLike
from ..results import lyapunov_report

if TYPE_CHECKING:
    from xarray import Dataset


@public
def memory_trace(
    system: System, *, lags: ArrayLike, stored: int | None = None, binary: bool = False
) -> Dataset:
    """Trace of a memory in synapses that go on storing others.

    The twin of ``dm.analysis.memory_trace``. Exponential forgetting of a ``LeakySynapse``:
    trace(lag) = q (1 - q)^lag, noise^2 = q/(2 - q), or 1 for binary synapses, which have the same
    trace. The cascade, ``CascadeSynapse``: trace(lag) = rho D M^lag w, M the mean of the transition
    matrices of the two events, D half their difference, rho = 1/(2 n) the stationary occupancy,
    w = +-1 the weight of a state; noise 1. The chain, ``Impulses(BennaFusi(), dt)``:
    trace(lag) = exp(A lag dt)_11 = sum_k v_k^2 exp(-mu_k lag dt) by its symmetric form
    C^(1/2) A C^(-1/2), which falls as lag^(-1/2) between 1/mu_1 and 1/mu_m; noise^2 is the sum of
    trace^2 over the memories stored.

    Parameters
    ----------
    system : LeakySynapse, CascadeSynapse or Impulses
        The synapses, one memory a step; Impulses of a BennaFusi.
    lags : int or array_like of int
        Memories stored since, one or several.
    stored : int, optional
        Memories stored so far, by default without end; it counts in a chain alone, the others
        being stationary.
    binary : bool, default False
        Whether the synapses of a LeakySynapse are binary; those of a cascade always are.

    Returns
    -------
    xarray.Dataset
        trace : (lag,), 1
            Mean of weight times entry of the memory that came lag memories ago.
        signal_to_noise : (lag,), 1
            Signal-to-noise ratio of one synapse: times sqrt(N) for N.
        noise : (), 1
            Standard deviation of a weight.
        lyapunov : (exponent,), 1/step or 1/time unit
            Lyapunov exponents of the synapse, largest first.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    Amit and Fusi (1994), Neural Comput. 6, 957; Fusi, Drew and Abbott (2005), Neuron 45, 599; Benna
    and Fusi (2016), Nature Neurosci. 19, 1697.

    Examples
    --------
    >>> import dynmem as dm
    >>> synapse = dm.systems.LeakySynapse(rate=0.1)
    >>> dm.theory.memory_trace(synapse, lags=[0, 10]).trace.values.round(6).tolist()
    [0.1, 0.034868]
    >>> chain = dm.systems.Impulses(dm.systems.BennaFusi(), dt=1.0)
    >>> dm.theory.memory_trace(chain, lags=[100, 1000]).trace.values.round(6).tolist()
    [0.133431, 0.042498]
    """
    found = lag_vector(lags)
    if stored is not None:
        stored = integer("stored", stored)
    parameters = {"lags": found, "stored": stored, "binary": bool(binary)}
    if isinstance(system, LeakySynapse):
        return _leaky(system, found, binary, parameters | system.parameters)
    if isinstance(system, CascadeSynapse):
        return _cascade(system, found, parameters | system.parameters)
    if isinstance(system, Impulses) and isinstance(system.flow, BennaFusi):
        described = parameters | system.flow.parameters | {"dt": system.dt}
        return _chain(system.flow, system.dt, found, stored, described)
    raise TypeError(
        "the trace is known of a LeakySynapse, a CascadeSynapse or Impulses(BennaFusi()), got "
        f"{type(system).__name__}: measure it with dm.analysis.memory_trace"
    )


def _leaky(synapse: LeakySynapse, lags: np.ndarray, binary: bool, parameters: dict) -> Dataset:
    q = synapse.rate
    trace = q * np.exp(lags * np.log1p(-q))
    noise = 1.0 if binary else np.sqrt(q / (2.0 - q))
    given: dict = {"title": "exponential forgetting", "parameters": parameters}
    return _report(lags, trace, noise, [np.log1p(-q)], source=LeakySynapse.source, **given)


def _cascade(synapse: Any, lags: np.ndarray, parameters: dict) -> Dataset:
    plus, minus = synapse.transitions()
    step, moved = 0.5 * (plus + minus), 0.5 * synapse.balanced() @ (plus - minus)
    weight = synapse.weight(np.arange(synapse.size))
    trace, at = np.empty(lags.size), 0
    for index in np.argsort(lags):
        moved = moved @ np.linalg.matrix_power(step, int(lags[index] - at))
        trace[index], at = moved @ weight, lags[index]
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(np.linalg.eigvals(step)))
    given: dict = {"title": "cascade of metaplastic states", "parameters": parameters}
    return _report(lags, trace, 1.0, exponents, source=CascadeSynapse.source, **given)


def _chain(
    chain: BennaFusi, dt: float, lags: np.ndarray, stored: int | None, parameters: dict
) -> Dataset:
    rates, weights = chain_modes(chain)
    trace = np.exp(-np.multiply.outer(lags * dt, rates)) @ weights
    pair = -(rates[:, None] + rates) * dt
    sums = 1.0 / -np.expm1(pair)
    if stored is not None:
        sums = np.expm1(stored * pair) / np.expm1(pair)
    noise = np.sqrt(weights @ sums @ weights)
    given: dict = {"title": "power-law forgetting", "parameters": parameters, "per": "1/time unit"}
    return _report(lags, trace, noise, -rates, source=BennaFusi.source, **given)


def chain_modes(chain: BennaFusi) -> tuple[np.ndarray, np.ndarray]:
    """Rates mu_k and weights v_k^2, of sum 1, of the modes of a chain in its first variable."""
    c, g = chain.capacity, chain.conductance
    before = np.concatenate(([0.0], g[:-1]))
    coupling = g[:-1] / np.sqrt(c[:-1] * c[1:])
    matrix = np.diag((before + g) / c) - np.diag(coupling, 1) - np.diag(coupling, -1)
    rates, vectors = np.linalg.eigh(matrix)
    # the trace of A^-1 bounds 1/mu_1: eigh may lose its sign in long chains
    smallest = 1.0 / (np.cumsum(c) / g).sum()
    return np.maximum(rates, smallest), vectors[0] ** 2


def _report(
    lags: np.ndarray,
    trace: np.ndarray,
    noise: float,
    exponents: ArrayLike,
    *,
    title: str,
    source: str,
    parameters: dict,
    per: str = "1/step",
) -> Dataset:
    given: dict = {"title": title, "source": source, "parameters": parameters}
    trace_text = "mean of weight times entry of the memory that came lag memories ago"
    ratio_text = "signal-to-noise ratio of one synapse: times sqrt(N) for N"
    traces = dataset(
        {
            "trace": ("lag", trace, "1", trace_text),
            "signal_to_noise": ("lag", trace / noise, "1", ratio_text),
            "noise": ((), float(noise), "1", "standard deviation of a weight"),
        },
        {"lag": ("lag", lags, "step", "memories stored since")},
        **given,
    )
    spectrum = lyapunov_report(exponents, per=per, **given)
    return traces.merge(spectrum[["lyapunov"]], combine_attrs="override")
