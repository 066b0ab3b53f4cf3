"""Synaptic memories on paper: how the trace of one memory fades under those that follow, and how
long N synapses keep it.

A memory is a vector of +-1, one for each synapse; trace(lag) is the mean over synapses of weight
times the entry of the memory that came ``lag`` memories ago; noise the standard deviation of a
weight; sqrt(N) trace/noise the signal-to-noise ratio of N synapses.
"""

import numpy as np

from ..labels import dataset
from ..systems.synapses import BennaFusi, CascadeSynapse, LeakySynapse
from .checks import count, lag_axis, positive
from .results import lyapunov_report


def leaky_synapse(lags, *, rate=0.1, binary=False):
    """Exponential forgetting: trace(lag) = q (1 - q)^lag.

    noise^2 = q/(2 - q) for graded weights in the stationary state, 1 for binary ones, which have
    the same trace. lags: memories since; rate q in (0, 1). Returns trace(lag), signal_to_noise(lag)
    of one synapse, noise, lyapunov(exponent) = ln(1 - q). Source: Amit and Fusi (1994), Neural
    Comput. 6, 957.

    >>> leaky_synapse([0, 10], rate=0.1).trace.values.round(6).tolist()
    [0.1, 0.034868]
    """
    lags, q = lag_axis(lags), LeakySynapse(float(rate)).rate
    trace = q * np.exp(lags * np.log1p(-q))
    return _report(
        lags,
        trace,
        1.0 if binary else np.sqrt(q / (2.0 - q)),
        [np.log1p(-q)],
        "exponential forgetting",
        LeakySynapse.source,
        {"rate": q, "binary": bool(binary)},
    )


def cascade_synapse(lags, *, levels=10, base=0.5):
    """Cascade of binary synapses: trace(lag) = rho D M^lag w, M the mean of the two events'
    transition matrices, D half their difference.

    rho = 1/(2 n) is the stationary occupancy, w = +-1 the weight of a state; exact. noise = 1, that
    of binary weights. lags: memories since; levels n, base b. Returns trace(lag),
    signal_to_noise(lag), noise, lyapunov(exponent) = ln |eigenvalues of M|. Source: Fusi, Drew and
    Abbott (2005), Neuron 45, 599.

    >>> cascade_synapse([0], levels=3).trace.values.round(6).tolist()
    [0.666667]
    """
    lags, synapse = lag_axis(lags), CascadeSynapse(levels, base)
    plus, minus = synapse.transitions()
    step, moved = 0.5 * (plus + minus), 0.5 * synapse.balanced() @ (plus - minus)
    weight = synapse.weight(np.arange(synapse.size))
    trace, at = np.empty(lags.size), 0
    for index in np.argsort(lags):
        moved = moved @ np.linalg.matrix_power(step, int(lags[index] - at))
        trace[index], at = moved @ weight, lags[index]
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(np.linalg.eigvals(step)))
    return _report(
        lags,
        trace,
        1.0,
        exponents,
        "cascade of metaplastic states",
        CascadeSynapse.source,
        {"levels": levels, "base": base},
    )


def benna_fusi(lags, *, variables=12, base=2.0, coupling=0.25, dt=1.0, stored=None):
    """Power-law forgetting by a chain: trace(lag) = [exp(A lag dt)]_11, sum_k v_k^2 exp(-mu_k lag
    dt) by the chain's symmetric form.

    C^(1/2) A C^(-1/2) is symmetric, so that the eigenvalues -mu_k are real; between 1/mu_1 and
    1/mu_m the sum falls as lag^(-1/2). noise^2 = sum of trace^2 over the ``stored`` memories so far
    (None: endlessly many). lags: memories since, one every dt; other arguments as for
    ``BennaFusi``. Returns trace(lag), signal_to_noise(lag), noise, lyapunov(exponent) = -mu_k per
    unit time. Source: Benna and Fusi (2016), Nature Neurosci. 19, 1697.

    >>> benna_fusi([100, 1000]).trace.values.round(6).tolist()
    [0.133431, 0.042498]
    """
    lags, dt, chain = lag_axis(lags), positive("dt", dt), BennaFusi(variables, base, coupling)
    rates, weights = chain_modes(chain)
    trace = np.exp(-np.multiply.outer(lags * dt, rates)) @ weights
    pair = -(rates[:, None] + rates) * dt
    sums = (
        1.0 / -np.expm1(pair)
        if stored is None
        else np.expm1(count("stored", stored) * pair) / np.expm1(pair)
    )
    noise = np.sqrt(weights @ sums @ weights)
    parameters = {
        "variables": variables,
        "base": base,
        "coupling": coupling,
        "dt": dt,
        "stored": stored,
    }
    return _report(
        lags,
        trace,
        noise,
        -rates,
        "power-law forgetting",
        BennaFusi.source,
        parameters,
        "1/time unit",
    )


def chain_modes(chain):
    """Rates mu_k and weights v_k^2 of the modes of a chain as its first variable sees them; the
    weights add up to 1."""
    c, g = chain.capacity, chain.conductance
    before = np.concatenate(([0.0], g[:-1]))
    matrix = (
        np.diag((before + g) / c)
        - np.diag(g[:-1] / np.sqrt(c[:-1] * c[1:]), 1)
        - np.diag(g[:-1] / np.sqrt(c[:-1] * c[1:]), -1)
    )
    rates, vectors = np.linalg.eigh(matrix)
    # the trace of A^-1 bounds 1/mu_1: eigh may lose its sign in long chains
    smallest = 1.0 / (np.cumsum(c) / g).sum()
    return np.maximum(rates, smallest), vectors[0] ** 2


def _report(lags, trace, noise, exponents, title, source, parameters, per="1/step"):
    report = lyapunov_report(exponents, title=title, source=source, parameters=parameters, per=per)
    made = dataset(
        {
            "trace": (
                "lag",
                trace,
                "1",
                "mean of weight times entry of the memory that came lag memories ago",
            ),
            "signal_to_noise": (
                "lag",
                trace / noise,
                "1",
                "signal-to-noise ratio of one synapse: times sqrt(N) for N",
            ),
            "noise": ((), float(noise), "1", "standard deviation of a weight"),
        },
        {"lag": ("lag", lags, "step", "memories stored since")},
        title=title,
        source=source,
        parameters=parameters,
    )
    return made.merge(report[["lyapunov"]], combine_attrs="override")
