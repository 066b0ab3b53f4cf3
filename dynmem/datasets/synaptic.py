"""Memories of synapses as a dataset: traces that fade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.memory.recall import memory_trace
from ..labels import as_seed, dataset
from ..runtime.memory import require_memory
from ..runtime.validation import all_errors, generator, integer, number
from ..system import System
from ..systems import BennaFusi, CascadeSynapse, Impulses, LeakySynapse
from ..typing import Rng
from .entry import Entry
from .trials import LICENCE, REDUCE

if TYPE_CHECKING:
    from xarray import Dataset

LAW = (
    "w' = (1 - q) w + q u; cascade of levels b^k; C_k du_k/dt = g_(k-1) (u_(k-1) - u_k) + g_k "
    "(u_(k+1) - u_k)"
)
FLOOR_MEANING = "the variable theory: the exact trace"


def _variables(
    axis: np.ndarray, measured: list[Dataset], predicted: list[Dataset], kinds: Mapping[str, System]
) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Variables and coordinates of measured and exact traces."""
    dims = ("synapse", "lag")
    made = {
        name: (
            dims,
            np.stack([each[name].values for each in measured]),
            "1",
            measured[0][name].attrs["long_name"],
        )
        for name in ("trace", "trace_error", "signal_to_noise")
    }
    made["theory"] = (
        dims,
        np.stack([theory.trace.values for theory in predicted]),
        "1",
        "exact trace",
    )
    coords = {
        "synapse": ("synapse", list(kinds), "1", "kind of synapse"),
        "lag": ("lag", axis, "step", "memories stored since"),
    }
    return made, coords


def synapse_traces(
    *,
    lags: int = 100,
    synapses: int = 1000,
    repeats: int = 10,
    rate: float = 0.1,
    levels: int = 5,
    variables: int = 8,
    rng: Rng = 0,
) -> Dataset:
    """Traces of memories in synapses that store others: exponential, cascade, power-law forgetting.

    Parameters
    ----------
    lags : int
        The longest lag, in memories stored since.
    synapses : int
        Number of synapses, each with its own memories, at least 2.
    repeats : int
        Readings, a step apart.
    rate : float
        Rate of ``LeakySynapse``, in (0, 1).
    levels : int
        Levels of ``CascadeSynapse``.
    variables : int
        Variables of ``BennaFusi``.
    rng : int or Generator
        Seed of the memories.

    Returns
    -------
    xarray.Dataset
        trace : (synapse, lag), 1
            Overlap of the weights with the memory.
        trace_error : (synapse, lag), 1
            Its standard error.
        signal_to_noise : (synapse, lag), 1
            Trace over the deviation of the weights.
        theory : (synapse, lag), 1
            Exact trace, which no readout can exceed: the floor.

    Raises
    ------
    ValueError
        With a line for each option that is out of its bounds.

    References
    ----------
    Amit and Fusi (1994), Neural Comput. 6, 957; Fusi, Drew and Abbott (2005), Neuron 45, 599; Benna
    and Fusi (2016), Nature Neurosci. 19, 1697.

    Examples
    --------
    >>> data = synapse_traces(lags=20, synapses=500)
    >>> bool((abs(data.trace - data.theory) < 5 * data.trace_error).all())
    True
    """
    from ..theory import memory_trace as predicted_trace

    with all_errors() as check:
        lags = check(integer, "lags", lags)
        synapses = check(integer, "synapses", synapses, 2)
        repeats = check(integer, "repeats", repeats)
        levels = check(integer, "levels", levels)
        variables = check(integer, "variables", variables)
        check(number, "rate", rate, least=0, most=1)
        check(generator, rng)
    require_memory(
        8 * (synapses * (lags + repeats + levels + variables) + levels**2 + variables**2),
        f"traces of {synapses} synapses",
        REDUCE,
    )
    axis, seeds = np.arange(lags + 1), generator(rng).spawn(3)
    kinds = {
        "exponential": LeakySynapse(rate),
        "cascade": CascadeSynapse(levels),
        "benna_fusi": Impulses(BennaFusi(variables), dt=1.0),
    }
    measured = [
        memory_trace(system, lags=axis, synapses=synapses, repeats=repeats, rng=seed)
        for system, seed in zip(kinds.values(), seeds, strict=True)
    ]
    predicted = [predicted_trace(system, lags=axis) for system in kinds.values()]
    made, coords = _variables(axis, measured, predicted, kinds)
    source = "; ".join(system.source for system in (LeakySynapse, CascadeSynapse, BennaFusi))
    return dataset(
        made,
        coords,
        title="fading traces of memories in synapses",
        source=source,
        seed=as_seed(rng),
        licence=LICENCE,
        goal="trace",
        parameters={
            "synapses": synapses,
            "repeats": repeats,
            **kinds,
        },
        law=LAW,
        floor_meaning=FLOOR_MEANING,
        chance=0.0,
        chance_meaning="trace of a memory that was never stored",
    )


DATASETS = {"synapse_traces": Entry(synapse_traces, "trace", LICENCE, LAW, FLOOR_MEANING)}
