"""Memories of neural circuits as datasets: delay-period activity, and recall from a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..orbits import trajectory
from ..runtime.memory import require_memory
from ..runtime.validation import all_errors, generator, integer, number
from ..systems import Hopfield, Noisy, RingAttractor, WongWang
from ..systems.equations import stated_equation
from ..typing import Rng
from .entry import Entry
from .splits import check_shares
from .trials import EPOCHS, LICENCE, REDUCE, epochs, label_epochs, label_trials, noisy_trials

if TYPE_CHECKING:
    from xarray import Dataset

# nA to each population at a coherence of 0: 30 Hz times 5.2e-4 nA/Hz (Wong and Wang 2006)
STIMULUS = 0.0156
WONG_WANG_FLOOR = "share of trials in which the circuit itself chooses wrongly"
RING_FLOOR = "root mean square error in rad after the delay, by the bump's diffusion"
HOPFIELD_FLOOR = "share of wrong entries that is left in a large network of this load"


def _check_epochs(check: Callable, **options: float) -> None:
    """Check lengths of epochs, diffusion and the time between two samples."""
    for name, value in options.items():
        if name == "dt":
            check(number, name, value, above=0)
        else:
            check(number, name, value, least=0)


def _decision_variables(
    activity: np.ndarray,
    currents: np.ndarray,
    epoch: np.ndarray,
    chosen: np.ndarray,
    cued: np.ndarray,
) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Variables and coordinates of delayed decisions."""
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
    return variables, coords


def wong_wang_delay(
    *,
    trials: int = 200,
    coherence: float = 0.05,
    fixation: float = 0.2,
    cue: float = 1.0,
    delay: float = 2.0,
    choice: float = 0.2,
    diffusion: float = 1e-3,
    dt: float = 0.01,
    train: float = 0.7,
    validation: float = 0.15,
    rng: Rng = 0,
) -> Dataset:
    """Delayed decisions of ``WongWang``: a cue, a delay in noise, and the choice of a population.

    In the cue the currents are 0.0156 (1 +- coherence) nA, the larger one to the population that is
    cued, drawn trial by trial; then nothing. All trials start at rest.

    Parameters
    ----------
    trials : int
        Number of trials, at least 10.
    coherence : float
        Contrast of the cue, in [0, 1].
    fixation, cue, delay, choice : float
        Lengths of the epochs, in s.
    diffusion : float
        Diffusion of each gate, in 1/s (``Noisy``).
    dt : float
        Time between two samples, in s.
    train, validation : float
        Shares of the trials; the rest is the test.
    rng : int or Generator
        Seed of cues and noise.

    Returns
    -------
    xarray.Dataset
        activity : (trial, time, population), 1
            Share of open NMDA gates.
        inputs : (trial, time, population), nA
            Stimulus.
        choice : (trial), 1
            Population with the larger gate at the end.
        correct : (trial), 1
            1 where the choice is the population that was cued.

        Coordinates: cued(trial), epoch(time), split(trial). The attribute floor is the share of
        wrong choices.

    Raises
    ------
    ValueError
        With a line for each option that is out of its bounds.

    References
    ----------
    Wong and Wang (2006), J. Neurosci. 26, 1314.

    Examples
    --------
    >>> data = wong_wang_delay(trials=40, coherence=0.5)
    >>> bool(data.correct.mean() > 0.9)
    True
    """
    with all_errors() as check:
        trials = check(integer, "trials", trials, 10)
        check(number, "coherence", coherence, least=0, most=1)
        _check_epochs(
            check,
            fixation=fixation,
            cue=cue,
            delay=delay,
            choice=choice,
            diffusion=diffusion,
            dt=dt,
        )
        check(check_shares, train, validation)
        check(generator, rng)
    time, epoch = epochs(dt, 2 * trials, fixation=fixation, cue=cue, delay=delay, choice=choice)
    drawing, disturbing = generator(rng).spawn(2)
    cued = drawing.integers(2, size=trials)
    signs = np.where(np.arange(2) == cued[:, None], 1.0, -1.0)
    currents = STIMULUS * (1.0 + coherence * signs)
    network = WongWang()
    activity = noisy_trials(
        network, np.full((trials, 2), 0.1027), currents, epoch, dt, diffusion, disturbing
    )
    chosen = activity[:, -1].argmax(-1)
    variables, coords = _decision_variables(activity, currents, epoch, chosen, cued)
    wrong = float(np.mean(chosen != cued))
    facts = {
        "goal": "choice",
        "floor": wrong,
        "floor_meaning": WONG_WANG_FLOOR,
        "chance": 0.5,
        "chance_meaning": "share of wrong choices of a guess",
        "law": stated_equation(type(network)),
    }
    return label_epochs(
        variables,
        coords,
        time,
        epoch,
        "s",
        system=network,
        title="delayed decisions",
        rng=rng,
        trials=trials,
        train=train,
        validation=validation,
        facts=facts,
        parameters={"coherence": coherence, "diffusion": diffusion},
    )


def _angle_variables(
    network: RingAttractor,
    activity: np.ndarray,
    cues: np.ndarray,
    epoch: np.ndarray,
    angle: np.ndarray,
) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Variables and coordinates of angles that are held."""
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
            "decoded angle at the end less the angle that was cued",
        ),
    }
    coords = {
        "unit": ("unit", network.angles, "rad", "angle that the unit prefers"),
        "angle": ("trial", angle, "rad", "angle that was cued"),
    }
    return variables, coords


def ring_attractor_delay(
    *,
    trials: int = 200,
    units: int = 64,
    fixation: float = 1.0,
    cue: float = 10.0,
    delay: float = 20.0,
    choice: float = 1.0,
    strength: float = 1.0,
    diffusion: float = 1e-3,
    dt: float = 0.1,
    train: float = 0.7,
    validation: float = 0.15,
    rng: Rng = 0,
) -> Dataset:
    """Angles held by ``RingAttractor``: a cue, and the place of its bump after a delay in noise.

    In the cue unit i has the input strength cos(theta_i - angle), the angle drawn trial by trial;
    each trial starts with a bump at another angle.

    Parameters
    ----------
    trials : int
        Number of trials, at least 10.
    units : int
        Number of neurons.
    fixation, cue, delay, choice : float
        Lengths of the epochs, in time constants.
    strength : float
        Strength of the cue, in units of the rate.
    diffusion : float
        Diffusion of each rate, per time constant (``Noisy``).
    dt : float
        Time between two samples, in time constants.
    train, validation : float
        Shares of the trials; the rest is the test.
    rng : int or Generator
        Seed of angles and noise.

    Returns
    -------
    xarray.Dataset
        activity : (trial, time, unit), 1
            Firing rate.
        inputs : (trial, time, unit), 1
            Input current.
        decoded : (trial, time), rad
            Angle of the population vector.
        error : (trial), rad
            Decoded angle at the end less the angle that was cued.

        Coordinates: angle(trial) in rad, epoch(time), split(trial). The attribute floor is the root
        mean square error of a bump that diffuses through the delay (``theory.ring_diffusion``).

    Raises
    ------
    ValueError
        With a line for each option that is out of its bounds.

    References
    ----------
    Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844; Burak and Fiete (2012), PNAS 109,
    17645.

    Examples
    --------
    >>> data = ring_attractor_delay(trials=20, diffusion=1e-6)
    >>> bool(abs(data.error).max() < 0.1)
    True
    """
    with all_errors() as check:
        trials = check(integer, "trials", trials, 10)
        units = check(integer, "units", units)
        check(number, "strength", strength)
        _check_epochs(
            check,
            fixation=fixation,
            cue=cue,
            delay=delay,
            choice=choice,
            diffusion=diffusion,
            dt=dt,
        )
        check(check_shares, train, validation)
        check(generator, rng)
    from ..theory import ring_diffusion

    time, epoch = epochs(dt, trials * units, fixation=fixation, cue=cue, delay=delay, choice=choice)
    drawing, disturbing = generator(rng).spawn(2)
    network = RingAttractor(units=units)
    angle, before = drawing.uniform(-np.pi, np.pi, (2, trials))
    cues = strength * np.cos(network.angles - angle[:, None])
    activity = noisy_trials(network, network.bump(before), cues, epoch, dt, diffusion, disturbing)
    variables, coords = _angle_variables(network, activity, cues, epoch, angle)
    drift = ring_diffusion(Noisy(network, diffusion=diffusion), time=delay + choice)
    facts = {
        "floor": float(np.sqrt(drift.variance[0])),
        "floor_meaning": RING_FLOOR,
        "chance": float(np.pi / np.sqrt(3.0)),
        "chance_meaning": "root mean square error of a guess",
        "goal": "angle",
        "law": stated_equation(type(network)),
    }
    return label_epochs(
        variables,
        coords,
        time,
        epoch,
        "time constant",
        system=network,
        title="an angle held by a ring of neurons",
        rng=rng,
        trials=trials,
        train=train,
        validation=validation,
        facts=facts,
        parameters={"strength": strength, "diffusion": diffusion},
    )


def _recall_variables(
    network: Hopfield, states: np.ndarray, cued: np.ndarray
) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Variables and coordinates of recall, from states (trials, steps + 1, units)."""
    target = network.patterns[cued]
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
            np.mean(states * target[:, None], axis=-1),
            "1",
            "overlap with the pattern that was cued",
        ),
    }
    coords = {
        "step": ("step", np.arange(states.shape[1]), "step", "updates since the cue"),
        "unit": ("unit", np.arange(network.size), "1", "unit"),
        "cued": ("trial", cued, "1", "index of the pattern that was cued"),
    }
    return variables, coords


def hopfield_recall(
    *,
    units: int = 200,
    stored: int = 10,
    trials: int = 100,
    cue_overlap: float = 0.6,
    steps: int = 10,
    temperature: float = 0.0,
    train: float = 0.7,
    validation: float = 0.15,
    rng: Rng = 0,
) -> Dataset:
    """Recall in a ``Hopfield`` network: patterns completed from cues that are partly wrong.

    Each trial starts from one of the stored random patterns with the share (1 - cue_overlap)/2 of
    its entries reversed; all units are updated at once. At a temperature above 0 the updates are
    those of the heat bath.

    Parameters
    ----------
    units : int
        Number of units, at least 2.
    stored : int
        Number of stored patterns.
    trials : int
        Number of trials, at least 10.
    cue_overlap : float
        Overlap of the cue with its pattern, in [-1, 1].
    steps : int
        Updates after the cue.
    temperature : float
        Temperature of the heat bath, at least 0.
    train, validation : float
        Shares of the trials; the rest is the test.
    rng : int or Generator
        Seed of patterns, cues and noise.

    Returns
    -------
    xarray.Dataset
        activity : (trial, step, unit), 1
            +1 or -1, the first step being the cue.
        patterns : (pattern, unit), 1
            Stored patterns.
        overlap : (trial, step), 1
            Overlap with the pattern that was cued.

        Coordinates: cued(trial), split(trial). The attribute floor is the share of wrong entries
        (1 - m)/2 of a large network in its retrieved state (``theory.hopfield``).

    Raises
    ------
    ValueError
        With a line for each option that is out of its bounds.

    References
    ----------
    Hopfield (1982), PNAS 79, 2554; Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. Lett. 55,
    1530.

    Examples
    --------
    >>> float(hopfield_recall(stored=5, trials=20).overlap[:, -1].min())
    1.0
    """
    from ..theory import hopfield

    with all_errors() as check:
        units = check(integer, "units", units, 2)
        stored = check(integer, "stored", stored)
        trials = check(integer, "trials", trials, 10)
        steps = check(integer, "steps", steps)
        check(number, "cue_overlap", cue_overlap, least=-1, most=1)
        check(number, "temperature", temperature, least=0)
        check(check_shares, train, validation)
        check(generator, rng)
    require_memory(
        8 * units * (units + stored + 2 * (steps + 1) * trials),
        f"{trials} trials of {units} units over {steps} steps",
        REDUCE,
    )
    making, drawing, disturbing = generator(rng).spawn(3)
    network = Hopfield.random(units, stored, making, temperature=temperature)
    cued = drawing.integers(stored, size=trials)
    target = network.patterns[cued]
    wrong = drawing.permuted(np.tile(np.arange(units), (trials, 1)), axis=1) < round(
        0.5 * (1.0 - cue_overlap) * units
    )
    heat = disturbing.logistic(size=(steps, trials, units)) if temperature else None
    states = np.moveaxis(trajectory(network, np.where(wrong, -target, target), steps, heat), 0, 1)
    m = float(hopfield([stored / units], temperature).overlap[0])
    variables, coords = _recall_variables(network, states, cued)
    facts = {
        "floor": 0.5 * (1.0 - m),
        "floor_meaning": HOPFIELD_FLOOR,
        "chance": 0.5,
        "chance_meaning": "share of wrong entries of a guess",
        "goal": "recall",
        "law": stated_equation(Hopfield),
    }
    return label_trials(
        variables,
        coords,
        system=network,
        title="recall in a Hopfield network",
        rng=rng,
        trials=trials,
        train=train,
        validation=validation,
        facts=facts,
        parameters={"cue_overlap": cue_overlap},
    )


DATASETS = {
    "wong_wang_delay": Entry(
        wong_wang_delay, "choice", LICENCE, stated_equation(WongWang), WONG_WANG_FLOOR
    ),
    "ring_attractor_delay": Entry(
        ring_attractor_delay, "angle", LICENCE, stated_equation(RingAttractor), RING_FLOOR
    ),
    "hopfield_recall": Entry(
        hopfield_recall, "recall", LICENCE, stated_equation(Hopfield), HOPFIELD_FLOOR
    ),
}
