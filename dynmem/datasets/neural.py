"""Memories of neurons and synapses as datasets: delay-period activity, recall from a part, traces
that fade."""

import numpy as np

from ..analysis.memory.recall import memory_trace
from ..arrays import tensors
from ..errors import NotFiniteError
from ..labels import as_seed, dataset, describe_system
from ..orbits import trajectory, whole_steps
from ..runtime.memory import require_memory
from ..systems import (
    BennaFusi,
    CascadeSynapse,
    Hopfield,
    Impulses,
    LeakySynapse,
    Noisy,
    RingAttractor,
    WongWang,
)
from .checks import refuse
from .splits import MEANINGS, in_time

EPOCHS = {"fixation": 0, "cue": 1, "delay": 2, "choice": 3}
AXIS = {"flag_values": list(EPOCHS.values()), "flag_meanings": " ".join(EPOCHS)}
LICENCE = "none needed: computed"
TIMES = dict.fromkeys(("fixation", "cue", "delay", "choice", "diffusion"), (0, np.inf))
FEWER = "pass fewer, or shorter, ones"
# nA to each population at a coherence of 0: 30 Hz times 5.2e-4 nA/Hz (Wong and Wang 2006)
STIMULUS = 0.0156


def wong_wang_delay(
    *,
    trials=200,
    coherence=0.05,
    fixation=0.2,
    cue=1.0,
    delay=2.0,
    choice=0.2,
    diffusion=1e-3,
    dt=0.01,
    train=0.7,
    validation=0.15,
    rng=0,
):
    """Two populations hear a cue for one of them, hold it through a delay in noise, and choose:
    delayed decisions of ``systems.WongWang``.

    In the cue the currents are 0.0156 (1 +- coherence) nA, the larger one to the population that is
    cued, drawn trial by trial; then nothing. All trials start at rest. Times in s; diffusion D of
    each gate in 1/s (``Noisy``); dt between two samples.

    Returns activity(trial, time, population), the share of open gates; inputs(trial, time,
    population) in nA; cued(trial), choice(trial) (the larger gate at the end) and correct(trial);
    epoch(time); split(trial). floor: share of wrong choices. Source: Wong and Wang (2006), J.
    Neurosci. 26, 1314.

    >>> d = wong_wang_delay(trials=40, coherence=0.5)
    >>> bool(d.correct.mean() > 0.9)
    True
    """
    refuse(locals(), wholes={"trials": 10}, reals={"coherence": (0, 1)} | TIMES, positive=["dt"])
    time, epoch = _epochs(dt, 2 * trials, fixation=fixation, cue=cue, delay=delay, choice=choice)
    drawing, disturbing = np.random.default_rng(rng).spawn(2)
    cued = drawing.integers(2, size=trials)
    signs = np.where(np.arange(2) == cued[:, None], 1.0, -1.0)
    currents = STIMULUS * (1.0 + coherence * signs)
    network = WongWang()
    activity = _noisy_trials(
        network, np.full((trials, 2), 0.1027), currents, epoch, dt, diffusion, disturbing
    )
    chosen = activity[:, -1].argmax(-1)
    variables = {
        "activity": (("trial", "time", "population"), activity, "1", "share of open NMDA gates"),
        "inputs": (
            ("trial", "time", "population"),
            np.where((epoch == EPOCHS["cue"])[:, None], currents[:, None], 0.0),
            "nA",
            "stimulus",
        ),
        "choice": ("trial", chosen, "1", "population with the larger gate at the end"),
        "correct": (
            "trial",
            (chosen == cued).astype(np.int8),
            "1",
            "1 where the choice is the population that was cued",
        ),
    }
    coords = {
        "population": ("population", [1, 2], "1", "population"),
        "cued": ("trial", cued, "1", "index of the population that was cued"),
    }
    wrong = float(np.mean(chosen != cued))
    facts = {
        "goal": "choice",
        "floor": wrong,
        "floor_meaning": "share of trials in which the circuit itself chooses wrongly",
        "chance": 0.5,
        "chance_meaning": "share of wrong choices of a guess",
        "law": network.__doc__.split("\n\n")[1].strip(),
    }
    return _labelled(
        variables,
        coords,
        time,
        epoch,
        "s",
        network,
        "delayed decisions",
        rng,
        trials,
        train,
        validation,
        facts,
        coherence=coherence,
        diffusion=diffusion,
    )


def ring_attractor_delay(
    *,
    trials=200,
    units=64,
    fixation=1.0,
    cue=10.0,
    delay=20.0,
    choice=1.0,
    strength=1.0,
    diffusion=1e-3,
    dt=0.1,
    train=0.7,
    validation=0.15,
    rng=0,
):
    """A ring of neurons hears an angle, holds it as the place of a bump through a delay in noise,
    and tells it: ``systems.RingAttractor``.

    In the cue unit i hears strength cos(theta_i - angle), the angle drawn trial by trial; each
    trial starts with a bump elsewhere. Times in time constants; diffusion D of each rate
    (``Noisy``).

    Returns activity(trial, time, unit), inputs(trial, time, unit), angle(trial), decoded(trial,
    time), error(trial), all angles in radians; epoch(time); split(trial). floor: root mean square
    error of a bump that diffuses through the delay (``theory.ring_diffusion``). Source: Ben-Yishai,
    Bar-Or and Sompolinsky (1995), PNAS 92, 3844; Burak and Fiete (2012), PNAS 109, 17645.

    >>> d = ring_attractor_delay(trials=20, diffusion=1e-6)
    >>> bool(abs(d.error).max() < 0.1)
    True
    """
    refuse(
        locals(),
        wholes={"trials": 10, "units": 1},
        reals={"strength": (-np.inf, np.inf)} | TIMES,
        positive=["dt"],
    )
    from ..theory import ring_diffusion

    time, epoch = _epochs(
        dt, trials * units, fixation=fixation, cue=cue, delay=delay, choice=choice
    )
    drawing, disturbing = np.random.default_rng(rng).spawn(2)
    network = RingAttractor(units=units)
    angle, before = drawing.uniform(-np.pi, np.pi, (2, trials))
    cues = strength * np.cos(network.angles - angle[:, None])
    activity = _noisy_trials(network, network.bump(before), cues, epoch, dt, diffusion, disturbing)
    decoded = network.phase(activity)
    variables = {
        "activity": (("trial", "time", "unit"), activity, "1", "firing rate"),
        "inputs": (
            ("trial", "time", "unit"),
            np.where((epoch == EPOCHS["cue"])[:, None], cues[:, None], 0.0),
            "1",
            "input current",
        ),
        "decoded": (("trial", "time"), decoded, "rad", "angle of the population vector"),
        "error": (
            "trial",
            np.angle(np.exp(1j * (decoded[:, -1] - angle))),
            "rad",
            "angle told at the end less the angle that was cued",
        ),
    }
    coords = {
        "unit": ("unit", network.angles, "rad", "angle that the unit prefers"),
        "angle": ("trial", angle, "rad", "angle that was cued"),
    }
    drift = ring_diffusion(Noisy(network, diffusion=diffusion), time=delay + choice)
    facts = {
        "floor": float(np.sqrt(drift.variance[0])),
        "floor_meaning": "root mean square error in rad after the delay, by the bump's diffusion",
        "chance": float(np.pi / np.sqrt(3.0)),
        "chance_meaning": "root mean square error of a guess",
        "goal": "angle",
        "law": network.__doc__.split("\n\n")[1].strip(),
    }
    return _labelled(
        variables,
        coords,
        time,
        epoch,
        "time constant",
        network,
        "an angle held by a ring of neurons",
        rng,
        trials,
        train,
        validation,
        facts,
        strength=strength,
        diffusion=diffusion,
    )


def hopfield_recall(
    *,
    units=200,
    stored=10,
    trials=100,
    cue_overlap=0.6,
    steps=10,
    temperature=0.0,
    train=0.7,
    validation=0.15,
    rng=0,
):
    """A Hopfield network completes patterns from cues of which a part is wrong: all units at once,
    ``systems.Hopfield``.

    Each trial starts from one of the stored random patterns with the share (1 - cue_overlap)/2 of
    its entries reversed. At a temperature above 0 the updates are those of the heat bath.

    Returns activity(trial, step, unit), +1 or -1, the first step being the cue; patterns(pattern,
    unit); overlap(trial, step) with the pattern cued(trial); split(trial). floor: 1 - m of a large
    network in its retrieved state (``theory.hopfield``), as the share of wrong entries (1 - m)/2;
    chance 1/2. Source: Hopfield (1982), PNAS 79, 2554; Amit, Gutfreund and Sompolinsky (1985).

    >>> float(hopfield_recall(stored=5, trials=20).overlap[:, -1].min())
    1.0
    """
    from ..theory import hopfield

    refuse(
        locals(),
        wholes={"units": 2, "stored": 1, "trials": 10, "steps": 1},
        reals={"cue_overlap": (-1, 1), "temperature": (0, np.inf)},
    )
    require_memory(
        8 * units * (units + stored + 2 * (steps + 1) * trials),
        f"{trials} trials of {units} units over {steps} steps",
        FEWER,
    )
    making, drawing, disturbing = np.random.default_rng(rng).spawn(3)
    network = Hopfield.random(units, stored, making, temperature=temperature)
    cued = drawing.integers(stored, size=trials)
    own = network.patterns[cued]
    wrong = drawing.permuted(np.tile(np.arange(units), (trials, 1)), axis=1) < round(
        0.5 * (1.0 - cue_overlap) * units
    )
    heat = disturbing.logistic(size=(steps, trials, units)) if temperature else None
    states = np.moveaxis(trajectory(network, np.where(wrong, -own, own), steps, heat), 0, 1)
    m = float(hopfield([stored / units], temperature).overlap[0])
    variables = {
        "activity": (
            ("trial", "step", "unit"),
            states.astype(np.int8),
            "1",
            "state of the unit, +1 or -1",
        ),
        "patterns": (("pattern", "unit"), network.patterns.astype(np.int8), "1", "stored pattern"),
        "overlap": (
            ("trial", "step"),
            np.mean(states * own[:, None], axis=-1),
            "1",
            "overlap with the pattern that was cued",
        ),
    }
    coords = {
        "step": ("step", np.arange(steps + 1), "step", "updates since the cue"),
        "unit": ("unit", np.arange(units), "1", "unit"),
        "cued": ("trial", cued, "1", "index of the pattern that was cued"),
    }
    facts = {
        "floor": 0.5 * (1.0 - m),
        "floor_meaning": "share of wrong entries that is left in a large network of this load",
        "chance": 0.5,
        "chance_meaning": "share of wrong entries of a guess",
        "goal": "recall",
        "law": "x_i' = sign(h_i + T u_i/2), h = W x, W_ij = 1/N sum_mu xi_i xi_j, W_ii = 0",
    }
    return _with_parts(
        variables,
        coords,
        network,
        "recall in a Hopfield network",
        rng,
        trials,
        train,
        validation,
        facts,
        cue_overlap=cue_overlap,
    )


def synapse_traces(*, lags=100, synapses=1000, repeats=10, rate=0.1, levels=5, variables=8, rng=0):
    """Traces of memories in synapses that go on storing others: exponential, cascade and power-law
    forgetting, side by side with theory.

    lags: the longest, in memories stored since; synapses, each hearing its own memories; rate of
    ``LeakySynapse``, levels of ``CascadeSynapse``, variables of ``BennaFusi``; repeats: readings a
    step apart.

    Returns over synapse (exponential, cascade, benna_fusi) and lag: trace, trace_error,
    signal_to_noise, and theory, the exact trace, which is the floor: what no readout can exceed.
    Source: Amit and Fusi (1994); Fusi, Drew and Abbott (2005); Benna and Fusi (2016).

    >>> d = synapse_traces(lags=20, synapses=500)
    >>> bool((abs(d.trace - d.theory) < 5 * d.trace_error).all())
    True
    """
    from ..theory import memory_trace as predicted_trace

    refuse(
        locals(),
        wholes={"lags": 1, "synapses": 2, "repeats": 1, "levels": 1, "variables": 1},
        reals={"rate": (0, 1)},
    )
    require_memory(
        8 * (synapses * (lags + repeats + levels + variables) + levels**2 + variables**2),
        f"traces of {synapses} synapses",
        FEWER,
    )
    axis, seeds = np.arange(lags + 1), np.random.default_rng(rng).spawn(3)
    kinds = {
        "exponential": LeakySynapse(rate),
        "cascade": CascadeSynapse(levels),
        "benna_fusi": Impulses(BennaFusi(variables), dt=1.0),
    }
    measured = [
        memory_trace(system, lags=axis, synapses=synapses, repeats=repeats, rng=seed)
        for system, seed in zip(kinds.values(), seeds, strict=True)
    ]
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
        np.stack([predicted_trace(system, lags=axis).trace.values for system in kinds.values()]),
        "1",
        "exact trace",
    )
    coords = {
        "synapse": ("synapse", list(kinds), "1", "kind of synapse"),
        "lag": ("lag", axis, "step", "memories stored since"),
    }
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
        law="w' = (1 - q) w + q u; cascade of levels b^k; C_k du_k/dt = g_(k-1) "
        "(u_(k-1) - u_k) + g_k (u_(k+1) - u_k)",
        floor_meaning="the variable theory: the exact trace",
        chance=0.0,
        chance_meaning="trace of a memory that was never stored",
    )


# ---- what trials share ---------------------------------------------------------------------------


def _epochs(dt, numbers, **lengths):
    """Time of each sample, of so many numbers, and the epoch that it belongs to; the first sample
    is the start."""
    duration = sum(lengths.values())
    require_memory(
        32 * numbers * duration / dt,
        f"trials of {duration:g} units of time, {numbers} numbers every {dt:g},",
        FEWER,
    )
    steps = {name: whole_steps(length, dt, name) for name, length in lengths.items()}
    if short := [name for name in ("cue", "delay", "choice") if steps[name] < 1]:
        raise ValueError(
            f"{', '.join(f'{name} = {lengths[name]}' for name in short)}: shorter "
            f"than one step of {dt}"
        )
    epoch = np.repeat([EPOCHS[name] for name in steps], list(steps.values())).astype(np.int8)
    return np.arange(len(epoch)) * dt, epoch


def _noisy_trials(network, x, cues, epoch, dt, diffusion, rng):
    """States (trials, time, n) of trials that hear their cues while it is time, and noise."""
    parts = [x[None]]
    for own in EPOCHS.values():
        steps = int(np.sum(epoch == own))
        if steps:
            held = cues if own == EPOCHS["cue"] else None
            noise = rng.standard_normal((steps, *x.shape))
            parts.append(
                _followed(
                    Noisy(network, dt=dt, diffusion=diffusion, held=held), parts[-1][-1], noise
                )
            )
    return np.moveaxis(np.concatenate(parts)[:-1], 0, 1)


def _followed(system, x, noise):
    """States after each step of the noise, (steps, trials, n); ``trajectory`` asks for a rule that
    serves any batch, and here each trial hears a cue of its own."""
    states = []
    with np.errstate(over="ignore", invalid="ignore"):  # said below
        for now in noise:
            x = system.rule(x, now)
            states.append(x)
    if not np.isfinite(x).all():
        raise NotFiniteError(
            f"a trial of {type(system.flow).__name__} is lost: take a smaller dt, or less diffusion"
        )
    return np.stack(states)


def _labelled(
    variables,
    coords,
    time,
    epoch,
    unit,
    system,
    title,
    rng,
    trials,
    train,
    validation,
    facts,
    **parameters,
):
    """Dataset of trials over time, their epochs marked."""
    coords |= {
        "time": ("time", time, unit, "time since the start of the trial"),
        "epoch": ("time", epoch, "1", "part of the trial"),
    }
    made = _with_parts(
        variables, coords, system, title, rng, trials, train, validation, facts, **parameters
    )
    made.epoch.attrs |= AXIS
    return made


def _with_parts(
    variables, coords, system, title, rng, trials, train, validation, facts, **parameters
):
    """Dataset of independent trials, divided into parts."""
    coords |= {
        "trial": ("trial", np.arange(trials), "1", "trial"),
        "split": (
            "trial",
            in_time(trials, train=train, validation=validation),
            "1",
            "part that the trial belongs to",
        ),
    }
    variables = {
        name: (dims, values if np.asarray(values).dtype.kind in "iu" else tensors(values), *words)
        for name, (dims, values, *words) in variables.items()
    }
    made = dataset(
        variables,
        coords,
        title=title,
        source=system.source,
        parameters=describe_system(system) | parameters,
        seed=as_seed(rng),
        licence=LICENCE,
        **facts,
    )
    made.split.attrs |= MEANINGS
    return made


DATASETS = {
    "wong_wang_delay": wong_wang_delay,
    "ring_attractor_delay": ring_attractor_delay,
    "hopfield_recall": hopfield_recall,
    "synapse_traces": synapse_traces,
}
