"""What a noisy memory still tells: a readout of many trials, synaptic traces and their lifetimes,
retrieved patterns."""

import numpy as np

from ...errors import ConvergenceError, NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import not_finite, whole_steps
from ...runtime.threads import one_thread
from ...system import Map, as_state, as_system


def noisy_recall(
    system, x0=None, *, duration, trials=200, readout=None, period=None, drive=1.0, points=50, rng=0
):
    """Mean and variance of a readout over trials that start alike and hear different noise: what a
    memory in noise forgets, and how fast.

    diffusion = var(T)/(2 T) at the last time T, var(0) taken off. Twins:
    ``dm.theory.line_attractor``, ``ring_diffusion``, ``flip_flop``.

    system: a Map with inputs, such as ``Noisy(flow, dt)``; x0: start (n,), or one for each trial
    (trials, n); duration in its time unit; readout: function of states (trials, n) to numbers
    (trials,), or (trials, m), averaged over m (default: the mean over components); period: of a
    readout that is an angle, which is then followed round the circle; drive: standard deviation of
    the white noise. Returns mean_readout(time), variance(time), their errors mean_readout_error and
    variance_error (the latter for Gaussian readouts), diffusion, diffusion_error. Raises
    NotFiniteError with the step where a trial is lost.

    >>> from dynmem.systems.noise import Noisy
    >>> from dynmem.systems.attractors import LineAttractor
    >>> d = noisy_recall(Noisy(LineAttractor(), dt=1.0, diffusion=0.01), [1.0], duration=20, trials=400)
    >>> bool(abs(d.diffusion - 0.01) < 3 * d.diffusion_error)
    True
    """
    system = as_system(system, Map)
    if trials < 2 or not system.inputs:
        raise ValueError(
            f"trials = {trials}, inputs = {system.inputs}: noise needs at least two "
            "trials and a system with inputs"
        )
    seeds = np.random.default_rng(rng).spawn(2)
    x = as_state(system, system.initial(seeds[0]) if x0 is None else x0, "x0")
    x = np.array(np.broadcast_to(x, (trials, x.shape[-1])))
    marks = np.unique(
        np.linspace(0, whole_steps(duration, system.dt), points + 1).round().astype(int)
    )
    if len(marks) < 2:
        raise ValueError(f"duration = {duration} is less than one step of {system.dt}")
    values = _follow(
        system, x, marks, readout or (lambda states: states.mean(-1)), period, drive, seeds[1]
    )
    return _recall_report(
        system,
        values,
        marks * system.dt,
        {"duration": duration, "trials": trials, "drive": drive},
        rng,
    )


def _follow(system, x, marks, readout, period, drive, rng):
    """Readouts (times, trials, m) at the steps ``marks``, unwrapped at every step where they have a
    period."""
    value = _columns(readout(x), len(x))
    kept = [value]
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for step in range(1, marks[-1] + 1):
            x = system.rule(x, drive * rng.standard_normal((len(x), system.inputs)))
            if period is not None or step in marks:
                if not np.isfinite(x).all():
                    raise not_finite(system, step, marks[-1])
                new = _columns(readout(x), len(x))
                value = (
                    new
                    if period is None
                    else value + (new - value + 0.5 * period) % period - 0.5 * period
                )
            if step in marks:
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


def _recall_report(system, values, times, parameters, rng):
    trials, repeats = values.shape[1], values.shape[2]
    mean, spread = values.mean((1, 2)), values.var(1, ddof=1).mean(-1)
    samples = trials * repeats
    variance_error = spread * np.sqrt(2.0 / max(samples - repeats, 1))
    span = times[-1] - times[0]
    made = {
        "mean_readout": ("time", mean, "1", "mean of the readout"),
        "mean_readout_error": (
            "time",
            np.sqrt(spread / samples),
            "1",
            "standard error of the mean",
        ),
        "variance": ("time", spread, "1", "variance of the readout over trials"),
        "variance_error": ("time", variance_error, "1", "standard error of the variance"),
        "diffusion": (
            (),
            (spread[-1] - spread[0]) / (2 * span),
            "1/time unit",
            "half the growth of the variance per unit of time",
        ),
        "diffusion_error": (
            (),
            np.hypot(variance_error[-1], variance_error[0]) / (2 * span),
            "1/time unit",
            "standard error of the diffusion",
        ),
    }
    return dataset(
        made,
        {"time": ("time", times, "time unit", "time since the start")},
        title="recall in noise",
        seed=rng,
        source="mean and variance over trials",
        parameters=describe_system(system) | parameters,
    )


def memory_trace(system, *, lags, synapses=10_000, stored=None, repeats=10, binary=False, rng=0):
    """Trace of a memory in synapses that go on storing others: the mean of weight times the entry,
    +-1, of the memory ``lag`` ago.

    All synapses hear independent random memories, one a step; after ``stored`` of them (default
    five times the largest lag) the trace is read, ``repeats`` times in a row, a step apart. Twins:
    ``dm.theory.memory_trace``.

    system: a Map with one input and one output, the weight, such as ``Impulses(BennaFusi())``,
    started at the origin, or at ``balanced()``; binary: single stochastic synapses instead, of a
    system that has ``jump`` and ``weight``; lags: whole numbers of memories. Returns trace(lag),
    trace_error(lag), signal_to_noise(lag) of one synapse, noise (standard deviation of the
    weights).

    >>> from dynmem.systems.synapses import LeakySynapse
    >>> d = memory_trace(LeakySynapse(0.1), lags=[0, 10], rng=1)
    >>> bool((abs(d.trace - [0.1, 0.1 * 0.9**10]) < 4 * d.trace_error).all())
    True
    """
    system = as_system(system, Map)
    lags = np.atleast_1d(np.asarray(lags))
    if lags.dtype.kind not in "iu" or (lags < 0).any() or not lags.size:
        raise ValueError(
            f"lags = {lags.tolist()!s:.60}: pass whole numbers of memories, at least 0"
        )
    if system.inputs != 1 or system.outputs != 1:
        raise ShapeError(
            f"{type(system).__name__} has {system.inputs} inputs and "
            f"{system.outputs} outputs: a synapse has one of each"
        )
    stored = 5 * int(lags.max()) + 1 if stored is None else stored
    if stored <= lags.max():
        raise ValueError(
            f"stored = {stored}: a memory of lag {lags.max()} needs at least "
            f"{lags.max() + 1} memories stored"
        )
    generator = np.random.default_rng(rng)
    events, weights = _store(system, synapses, stored, repeats, int(lags.max()), binary, generator)
    products = np.array(
        [[weights[r] * events[r + int(lags.max()) - lag] for lag in lags] for r in range(repeats)]
    )
    noise = float(np.sqrt(np.mean([w.var() for w in weights])))
    trace, error = products.mean((0, 2)), products.std((0, 2)) / np.sqrt(repeats * synapses)
    made = {
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
        made,
        {"lag": ("lag", lags, "step", "memories stored since")},
        title=f"trace of a memory in {type(system).__name__}",
        source="Fusi, Drew and Abbott (2005), Neuron 45, 599, for the ideal observer",
        seed=rng,
        parameters=describe_system(system)
        | {"synapses": synapses, "stored": stored, "repeats": repeats, "binary": binary},
    )


def _store(system, synapses, stored, repeats, oldest, binary, rng):
    """The events of the last steps, oldest + repeats of them, and the weights after each of the
    last ``repeats``."""
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


def memory_lifetime(trace, synapses, *, threshold=1.0):
    """How long N synapses keep a memory: the lag at which sqrt(N) times the signal-to-noise ratio
    of one falls to the threshold.

    trace: a Dataset with signal_to_noise(lag), of ``memory_trace`` or of its twins in
    ``dm.theory``; synapses: N, a number or a vector. Between lags ln(ratio) is interpolated over
    ln(1 + lag). Returns lifetime(synapses), 0 where the ratio is too small from the start and
    infinite where it is not yet down at the last lag; slope(synapses) = d ln lifetime/d ln N, by
    differences. Source: Fusi, Drew and Abbott (2005); Benna and Fusi (2016).

    >>> import dynmem as dm
    >>> synapse = dm.systems.LeakySynapse(0.1)
    >>> trace = dm.theory.memory_trace(synapse, lags=range(200), binary=True)
    >>> made = memory_lifetime(trace, [1e4, 1e6])
    >>> made.lifetime.values.round(1).tolist()
    [21.9, 43.7]
    """
    sizes = np.atleast_1d(np.asarray(synapses, dtype=float))
    if not (np.isfinite(sizes) & (sizes >= 1)).all():
        raise ValueError(f"synapses = {sizes.tolist()!s:.60}: pass numbers of at least 1")
    if "signal_to_noise" not in trace:
        raise ValueError(
            f"the Dataset holds no signal_to_noise: it has {', '.join(map(str, trace.data_vars))}"
        )
    trace = trace.sortby("lag")
    x, ratio = np.log1p(trace.lag.values), trace.signal_to_noise.values
    lifetimes = np.array([_last(x, ratio * np.sqrt(n) / threshold) for n in sizes])
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (
            np.gradient(np.log(lifetimes), np.log(sizes)) if len(sizes) > 1 else np.full(1, np.nan)
        )
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


def _last(x, ratio):
    """exp(x) - 1 where the ratio first falls below 1."""
    below = np.flatnonzero(ratio < 1.0)
    if not below.size:
        return np.inf
    j = below[0]
    if j == 0:
        return 0.0
    low, high = np.log(ratio[j - 1]), np.log(np.maximum(ratio[j], 1e-300))
    return float(np.expm1(x[j - 1] + (x[j] - x[j - 1]) * low / (low - high)))


def retrieved_overlap(network, *, probes=None, start_overlap=1.0, sweeps=100, burn=20, rng=0):
    """Overlap with its pattern of the state that a Hopfield network comes to, its units updated one
    by one in random order.

    At temperature 0 the energy falls with every change, so that each probe comes to rest; above,
    the heat bath runs for ``burn`` sweeps and then for as many as ``sweeps`` - burn, over which the
    overlap is averaged. Twin: ``dm.theory.hopfield``.

    network: a ``Hopfield``; probes: number of patterns tried, each from a state of
    ``start_overlap`` with it (default: all, up to 20). Returns overlap(probe), mean_overlap,
    mean_overlap_error, load. Raises ConvergenceError where a probe is not at rest after ``sweeps``.

    >>> from dynmem.systems.attractors import Hopfield
    >>> retrieved_overlap(Hopfield.random(200, 3), start_overlap=0.7).overlap.values.tolist()
    [1.0, 1.0, 1.0]
    """
    generator, patterns = np.random.default_rng(rng), network.patterns
    probes = min(20, len(patterns)) if probes is None else probes
    if not 1 <= probes <= len(patterns) or not -1 <= start_overlap <= 1:
        raise ValueError(
            f"probes = {probes}, start_overlap = {start_overlap}: 1 to "
            f"{len(patterns)} patterns, and overlaps in [-1, 1]"
        )
    own = patterns[:probes].T.copy()  # (N, probes)
    turned = generator.permuted(np.tile(np.arange(len(own))[:, None], probes), axis=0) < round(
        0.5 * (1 - start_overlap) * len(own)
    )
    states = np.where(turned, -own, own)
    overlaps = _sweeps(network.weights, states, own, network.temperature, sweeps, burn, generator)
    made = {
        "overlap": ("probe", overlaps, "1", "overlap of the retrieved state with its pattern"),
        "mean_overlap": ((), overlaps.mean(), "1", "mean overlap"),
        "mean_overlap_error": (
            (),
            overlaps.std(ddof=1) / np.sqrt(probes) if probes > 1 else np.nan,
            "1",
            "standard error of the mean",
        ),
        "load": ((), len(patterns) / len(own), "1", "patterns per unit"),
    }
    parameters = describe_system(network) | {"start_overlap": start_overlap, "sweeps": sweeps}
    return dataset(
        made,
        {"probe": ("probe", np.arange(probes), "1", "index of the pattern")},
        title="retrieval in a Hopfield network",
        source="Hopfield (1982), PNAS 79, 2554",
        parameters=parameters,
        seed=rng,
    )


def _sweeps(weights, states, own, temperature, sweeps, burn, rng):
    """Final overlaps (probes,) at temperature 0, means over the sweeps after ``burn`` above it."""
    fields, total = weights @ states, np.zeros(states.shape[1])
    for sweep in range(sweeps):
        changed = False
        noise = (
            0.5 * temperature * rng.logistic(size=states.shape)
            if temperature
            else np.zeros(states.shape)
        )
        for i in rng.permutation(len(states)):
            h = fields[i] + noise[i]
            flips = np.flatnonzero(h * states[i] < 0)
            if flips.size:
                changed = True
                states[i, flips] *= -1.0
                fields[:, flips] += weights[i][:, None] * (2.0 * states[i, flips])
        if not temperature and not changed:
            return (own * states).mean(0)
        total += (own * states).mean(0) * (sweep >= burn)
    if not temperature:
        raise ConvergenceError(f"a probe is not at rest after {sweeps} sweeps: pass more")
    return total / (sweeps - burn)
