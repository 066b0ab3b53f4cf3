"""Memory in noise: readouts over trials, traces in synapses and their lifetimes, and retrieval."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ConvergenceError, NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import not_finite, steps_in
from ...runtime.memory import require_memory, require_time
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Map, as_state, as_system
from ...typing import ArrayLike, Rng

if TYPE_CHECKING:
    from xarray import Dataset

    from ...systems.attractors import Hopfield


@public
def noisy_recall(
    system: Map,
    x0: ArrayLike | None = None,
    *,
    duration: float,
    drive: float = 1.0,
    trials: int = 200,
    readout: Callable[[np.ndarray], ArrayLike] | None = None,
    period: float | None = None,
    points: int = 50,
    rng: Rng = 0,
) -> Dataset:
    """Measure the mean and variance of a readout over trials with one start and different noise.

    The diffusion is the growth of the variance over the run,

        D = (var(T) - var(0)) / (2 T).

    Theory: ``dm.theory.line_attractor``, ``ring_diffusion``, ``flip_flop``.

    Parameters
    ----------
    system : Map
        With inputs, such as ``Noisy(flow, dt)``.
    x0 : array_like (n,) or (trials, n), optional
        Start, or one for each trial.
    duration : float
        In the system's unit of time.
    drive : float
        Standard deviation of the white noise.
    trials : int
        At least 2.
    readout : callable, optional
        Function of states (trials, n) that returns (trials,), or (trials, m), averaged over m. By
        default the mean over components.
    period : float, optional
        Period of a readout that is an angle; it is then unwrapped at every step.
    points : int
        Number of times at which the readout is stored.
    rng : int, Generator or None
        Of the noise, and of the start where none is given.

    Returns
    -------
    xarray.Dataset
        mean_readout : (time,), 1
            Mean of the readout.
        mean_readout_error : (time,), 1
            Standard error.
        variance : (time,), 1
            Variance over trials.
        variance_error : (time,), 1
            Standard error, for Gaussian readouts.
        diffusion : (), 1/time unit
            D.
        diffusion_error : (), 1/time unit
            Standard error.

    Raises
    ------
    ValueError
        If there are fewer than two trials, no input, or less than one step.
    NotFiniteError
        If a state becomes infinite or NaN; the message gives the step.

    References
    ----------
    Burak and Fiete (2012), PNAS 109, 17645, for the diffusion of a memory in noise.

    Examples
    --------
    >>> import dynmem as dm
    >>> from dynmem.systems.noise import Noisy
    >>> from dynmem.systems.attractors import LineAttractor
    >>> line = Noisy(LineAttractor(), dt=1.0, diffusion=0.01)
    >>> found = dm.analysis.noisy_recall(line, [1.0], duration=20, trials=400)
    >>> bool(abs(found.diffusion - 0.01) < 3 * found.diffusion_error)
    True
    """
    system = as_system(system, Map)
    trials = integer("trials", trials, 2)
    if not system.inputs:
        raise ValueError(f"{type(system).__name__} takes no inputs: trials would be equal")
    drive = number("drive", drive, least=0)
    seeds = generator(rng).spawn(2)
    x = as_state(system, system.initial(seeds[0]) if x0 is None else x0, "x0")
    require_memory(4 * 8 * trials * x.shape[-1], f"trials = {trials}", "pass fewer")
    x = np.array(np.broadcast_to(x, (trials, x.shape[-1])))
    last = steps_in(system, duration)
    points = integer("points", points)
    require_time(trials * last, f"trials = {trials} over {last} steps", "pass fewer")
    require_memory(
        8 * trials * (points + 1 + 3 * system.inputs), f"trials = {trials}", "pass fewer"
    )
    marks = np.unique(np.linspace(0, last, points + 1).round().astype(int))
    if len(marks) < 2:
        raise ValueError(f"duration = {duration} is less than one step of {system.dt}")
    readout = readout or (lambda states: states.mean(-1))
    values = _readouts(system, x, marks, readout, period, drive, seeds[1])
    return dataset(
        _recall_variables(values, marks * system.dt),
        {"time": ("time", marks * system.dt, "time unit", "time since the start")},
        title="recall in noise",
        source="mean and variance over trials",
        parameters=describe_system(system)
        | {"duration": duration, "trials": trials, "drive": drive},
        seed=rng,
    )


def _readouts(system, x, marks, readout, period, drive, rng):
    """Readouts (times, trials, m) at the steps ``marks``, unwrapped at every step where they have a
    period."""
    value = _columns(readout(x), len(x))
    kept, wanted = [value], set(marks.tolist())
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for step in range(1, marks[-1] + 1):
            x = system.rule(x, drive * rng.standard_normal((len(x), system.inputs)))
            if period is None and step not in wanted:
                continue
            if not np.isfinite(x).all():
                raise not_finite(system, step, marks[-1])
            new = _columns(readout(x), len(x))
            if period is not None:
                new = value + (new - value + 0.5 * period) % period - 0.5 * period
            value = new
            if step in wanted:
                kept.append(value)
    return np.array(kept)


def _columns(values, trials):
    values = np.asarray(values, dtype=float)
    if values.ndim not in (1, 2) or len(values) != trials:
        raise ShapeError(
            f"readout returned shape {values.shape} for {trials} trials: pass a "
            "function of (trials, n) to (trials,) or (trials, m)"
        )
    return values.reshape(trials, -1)


def _recall_variables(values, times):
    trials, repeats = values.shape[1], values.shape[2]
    mean, variance = values.mean((1, 2)), values.var(1, ddof=1).mean(-1)
    samples = trials * repeats
    mean_error = np.sqrt(variance / samples)
    variance_error = variance * np.sqrt(2.0 / max(samples - repeats, 1))
    span = times[-1] - times[0]
    diffusion = (variance[-1] - variance[0]) / (2 * span)
    diffusion_error = np.hypot(variance_error[-1], variance_error[0]) / (2 * span)
    per_time = "1/time unit"
    return {
        "mean_readout": ("time", mean, "1", "mean of the readout"),
        "mean_readout_error": ("time", mean_error, "1", "standard error of the mean"),
        "variance": ("time", variance, "1", "variance of the readout over trials"),
        "variance_error": ("time", variance_error, "1", "standard error of the variance"),
        "diffusion": ((), diffusion, per_time, "half the growth of the variance per unit of time"),
        "diffusion_error": ((), diffusion_error, per_time, "standard error of the diffusion"),
    }


@public
def memory_trace(
    system: Map,
    *,
    lags: ArrayLike,
    synapses: int = 10_000,
    stored: int | None = None,
    repeats: int = 10,
    binary: bool = False,
    rng: Rng = 0,
) -> Dataset:
    """Measure the trace of a memory in synapses that store further memories.

    Each step all synapses store an independent random memory of entries +-1. The trace is

        trace(lag) = mean over synapses of weight * entry of the memory ``lag`` ago,

    read ``repeats`` times, a step apart, after ``stored`` memories. Theory:
    ``dm.theory.memory_trace``.

    Parameters
    ----------
    system : Map
        With one input and one output, the weight, such as ``Impulses(BennaFusi())``; started at the
        origin, or at ``balanced()``.
    lags : array_like of int
        Lags wanted, in memories.
    synapses : int
        Number of synapses.
    stored : int, optional
        Memories stored before the first reading; by default five times the largest lag, plus one.
    repeats : int
        Number of readings.
    binary : bool
        Whether to simulate single stochastic synapses, of a system that has ``jump`` and
        ``weight``.
    rng : int, Generator or None
        Of the memories.

    Returns
    -------
    xarray.Dataset
        trace : (lag,), 1
            Mean of weight times entry.
        trace_error : (lag,), 1
            Standard error.
        signal_to_noise : (lag,), 1
            Trace over noise, of one synapse: times sqrt(N) for N.
        noise : (), 1
            Standard deviation of the weights.

    Raises
    ------
    ValueError
        If a lag is no whole number, or more than the memories stored.
    ShapeError
        If the system has not one input and one output.
    NotFiniteError
        If a weight becomes infinite or NaN.

    References
    ----------
    Fusi, Drew and Abbott (2005), Neuron 45, 599, for the ideal observer.

    Examples
    --------
    >>> import dynmem as dm
    >>> from dynmem.systems.synapses import LeakySynapse
    >>> found = dm.analysis.memory_trace(LeakySynapse(0.1), lags=[0, 10], rng=1)
    >>> bool((abs(found.trace - [0.1, 0.1 * 0.9**10]) < 4 * found.trace_error).all())
    True
    """
    system = as_system(system, Map)
    given = np.atleast_1d(np.asarray(lags))
    if given.dtype.kind not in "iu" or given.ndim != 1 or (given < 0).any() or not given.size:
        raise ValueError(
            f"lags = {given.tolist()!s:.60}: must be whole numbers of memories, at least 0"
        )
    if system.inputs != 1 or system.outputs != 1:
        raise ShapeError(
            f"{type(system).__name__} has {system.inputs} inputs and "
            f"{system.outputs} outputs: a synapse has one of each"
        )
    synapses, repeats = integer("synapses", synapses), integer("repeats", repeats)
    longest = int(given.max())
    stored = 5 * longest + 1 if stored is None else integer("stored", stored)
    if stored <= longest:
        raise ValueError(
            f"stored = {stored}: a memory of lag {longest} needs at least {longest + 1} memories "
            "stored"
        )
    require_time(synapses * stored, f"{stored} memories of {synapses} synapses", "pass fewer")
    require_memory(
        8 * synapses * (2 * (repeats + longest) + repeats * (given.size + 1) + 2 * system.size),
        f"{repeats} repeats of {given.size} lags over {synapses} synapses",
        "pass fewer",
    )
    events, weights = _store(system, synapses, stored, repeats, longest, binary, generator(rng))
    products = np.array(
        [[weights[r] * events[r + longest - lag] for lag in given] for r in range(repeats)]
    )
    noise = float(np.sqrt(np.mean([w.var() for w in weights])))
    trace, error = products.mean((0, 2)), products.std((0, 2)) / np.sqrt(repeats * synapses)
    variables = {
        "trace": (
            "lag",
            trace,
            "1",
            "mean of weight times entry of the memory that came lag memories ago",
        ),
        "trace_error": ("lag", error, "1", "standard error of the trace"),
        "signal_to_noise": (
            "lag",
            trace / noise,
            "1",
            "signal-to-noise ratio of one synapse: times sqrt(N) for N",
        ),
        "noise": ((), noise, "1", "standard deviation of a weight"),
    }
    return dataset(
        variables,
        {"lag": ("lag", given, "step", "memories stored since")},
        title=f"trace of a memory in {type(system).__name__}",
        source="Fusi, Drew and Abbott (2005), Neuron 45, 599, for the ideal observer",
        parameters=describe_system(system)
        | {"synapses": synapses, "stored": stored, "repeats": repeats, "binary": binary},
        seed=rng,
    )


def _store(system, synapses, stored, repeats, oldest, binary, rng):
    """The memories of the last oldest + repeats steps, and the weights after each of the last
    ``repeats``."""
    x = rng.integers(0, 2 * system.levels, synapses) if binary else _blank(system, synapses)
    events, weights = [], []
    with one_thread():
        for step in range(stored + repeats - 1):
            u = rng.choice([-1.0, 1.0], size=synapses)
            x = system.jump(x, u, rng) if binary else system.rule(x, u[:, None])
            if step >= stored - 1 - oldest:
                events.append(u.astype(np.int8))
            if step >= stored - 1:
                weights.append(system.weight(x) if binary else system.output(x, u[:, None])[:, 0])
    if not np.isfinite(weights).all():
        raise NotFiniteError(
            f"weights of {type(system).__name__} became infinite or NaN while "
            f"they stored {stored} memories"
        )
    return events, weights


def _blank(system, synapses):
    start = (
        system.balanced()
        if system.balanced is not None
        else np.zeros(np.shape(system.initial())[-1])
    )
    return np.tile(start, (synapses, 1))


@public
def memory_lifetime(trace: Dataset, synapses: ArrayLike, *, threshold: float = 1.0) -> Dataset:
    """Lag at which the signal-to-noise ratio of N synapses falls to a threshold.

    The ratio of N synapses is sqrt(N) times that of one. Between lags ln(ratio) is interpolated
    over ln(1 + lag).

    Parameters
    ----------
    trace : xarray.Dataset
        With signal_to_noise(lag), of ``memory_trace`` or of its theory.
    synapses : float or array_like
        N, one or several.
    threshold : float
        Ratio at which a memory counts as lost.

    Returns
    -------
    xarray.Dataset
        lifetime : (synapses,), step
            Lag; 0 where the ratio is below the threshold from the start, infinite where it is
            still above at the last lag.
        slope : (synapses,), 1
            d ln lifetime / d ln N, by differences.

    Raises
    ------
    ValueError
        If N is below 1, or if the Dataset has no signal_to_noise.

    References
    ----------
    Fusi, Drew and Abbott (2005), Neuron 45, 599. Benna and Fusi (2016), Nat. Neurosci. 19, 1697.

    Examples
    --------
    >>> import dynmem as dm
    >>> from dynmem.systems.synapses import LeakySynapse
    >>> trace = dm.theory.memory_trace(LeakySynapse(0.1), lags=range(200), binary=True)
    >>> dm.analysis.memory_lifetime(trace, [1e4, 1e6]).lifetime.values.round(1).tolist()
    [21.9, 43.7]
    """
    sizes = np.atleast_1d(np.asarray(synapses, dtype=float))
    if not (np.isfinite(sizes) & (sizes >= 1)).all():
        raise ValueError(f"synapses = {sizes.tolist()!s:.60}: must be numbers of at least 1")
    threshold = number("threshold", threshold, above=0)
    if "signal_to_noise" not in trace:
        raise ValueError(
            f"the Dataset has no signal_to_noise: it has {', '.join(map(str, trace.data_vars))}"
        )
    trace = trace.sortby("lag")
    x, ratio = np.log1p(trace.lag.values), trace.signal_to_noise.values
    lifetimes = np.array([_last_lag(x, ratio * np.sqrt(n) / threshold) for n in sizes])
    slope = np.full(1, np.nan)
    if len(sizes) > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.gradient(np.log(lifetimes), np.log(sizes))
    return dataset(
        {
            "lifetime": ("synapses", lifetimes, "step", "memories after which one is lost"),
            "slope": ("synapses", slope, "1", "growth of ln lifetime with ln N"),
        },
        {"synapses": ("synapses", sizes, "1", "number of synapses")},
        title=f"lifetime: {trace.attrs.get('title', '')}",
        source="Fusi, Drew and Abbott (2005); Benna and Fusi (2016)",
        parameters={"threshold": threshold},
    )


def _last_lag(x, ratio):
    """exp(x) - 1 where the ratio first falls below 1."""
    below = np.flatnonzero(ratio < 1.0)
    if not below.size:
        return np.inf
    j = below[0]
    if j == 0:
        return 0.0
    low, high = np.log(ratio[j - 1]), np.log(np.maximum(ratio[j], 1e-300))
    return float(np.expm1(x[j - 1] + (x[j] - x[j - 1]) * low / (low - high)))


@public
def retrieved_overlap(
    system: Hopfield,
    *,
    probes: int | None = None,
    start_overlap: float = 1.0,
    sweeps: int = 100,
    burn_in: int = 20,
    rng: Rng = 0,
) -> Dataset:
    """Measure the overlap of the state that a Hopfield network retrieves with its pattern.

    The units are updated one by one in random order. At temperature 0 the energy falls with every
    change, and each probe runs until no unit changes. Above, the heat bath runs for ``sweeps``
    sweeps, and the overlap is averaged over those after ``burn_in``. Theory:
    ``dm.theory.hopfield``.

    Parameters
    ----------
    system : Hopfield
        The network.
    probes : int, optional
        Number of patterns tried; by default all, up to 20.
    start_overlap : float
        Overlap of the start with the pattern, from -1 to 1.
    sweeps : int
        Sweeps over all units, at most at temperature 0.
    burn_in : int
        Sweeps before the average, above temperature 0.
    rng : int, Generator or None
        Of the starts, the order and the heat bath.

    Returns
    -------
    xarray.Dataset
        overlap : (probe,), 1
            Overlap of the retrieved state with its pattern.
        mean_overlap : (), 1
            Its mean.
        mean_overlap_error : (), 1
            Standard error; NaN for one probe.
        load : (), 1
            Patterns per unit.

    Raises
    ------
    ValueError
        If there are more probes than patterns, or an overlap beyond [-1, 1].
    ConvergenceError
        If a probe still changes after ``sweeps`` at temperature 0.

    References
    ----------
    Hopfield (1982), PNAS 79, 2554.

    Examples
    --------
    >>> import dynmem as dm
    >>> from dynmem.systems.attractors import Hopfield
    >>> net = Hopfield.random(200, 3)
    >>> dm.analysis.retrieved_overlap(net, start_overlap=0.7).overlap.values.tolist()
    [1.0, 1.0, 1.0]
    """
    draws, patterns = generator(rng), system.patterns
    probes = min(20, len(patterns)) if probes is None else probes
    probes = integer("probes", probes, 1, len(patterns))
    start_overlap = number("start_overlap", start_overlap, least=-1, most=1)
    sweeps, burn_in = integer("sweeps", sweeps), integer("burn_in", burn_in, 0)
    targets = patterns[:probes].T.copy()  # (N, probes)
    order = draws.permuted(np.tile(np.arange(len(targets))[:, None], probes), axis=0)
    flipped = order < round(0.5 * (1 - start_overlap) * len(targets))
    states = np.where(flipped, -targets, targets)
    overlaps = _sweep(system.weights, states, targets, system.temperature, sweeps, burn_in, draws)
    error = overlaps.std(ddof=1) / np.sqrt(probes) if probes > 1 else np.nan
    variables = {
        "overlap": ("probe", overlaps, "1", "overlap of the retrieved state with its pattern"),
        "mean_overlap": ((), overlaps.mean(), "1", "mean overlap"),
        "mean_overlap_error": ((), error, "1", "standard error of the mean"),
        "load": ((), len(patterns) / len(targets), "1", "patterns per unit"),
    }
    return dataset(
        variables,
        {"probe": ("probe", np.arange(probes), "1", "index of the pattern")},
        title="retrieval in a Hopfield network",
        source="Hopfield (1982), PNAS 79, 2554",
        parameters=describe_system(system) | {"start_overlap": start_overlap, "sweeps": sweeps},
        seed=rng,
    )


def _sweep(weights, states, targets, temperature, sweeps, burn_in, rng):
    """Final overlaps (probes,) at temperature 0, means over the sweeps after ``burn_in`` above."""
    if temperature and burn_in >= sweeps:
        raise ValueError(f"burn_in = {burn_in}: must be less than sweeps = {sweeps}")
    fields, total = weights @ states, np.zeros(states.shape[1])
    for sweep in range(sweeps):
        changed, noise = False, np.zeros(states.shape)
        if temperature:
            noise = 0.5 * temperature * rng.logistic(size=states.shape)
        for i in rng.permutation(len(states)):
            h = fields[i] + noise[i]
            flips = np.flatnonzero(h * states[i] < 0)
            if flips.size:
                changed = True
                states[i, flips] *= -1.0
                fields[:, flips] += weights[i][:, None] * (2.0 * states[i, flips])
        if not temperature and not changed:
            return (targets * states).mean(0)
        total += (targets * states).mean(0) * (sweep >= burn_in)
    if not temperature:
        raise ConvergenceError(f"a probe still changes after sweeps = {sweeps}: pass more")
    return total / (sweeps - burn_in)
