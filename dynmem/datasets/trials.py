"""What datasets of independent trials share: epochs, noisy circuits, labels and parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import tensors
from ..errors import NotFiniteError
from ..labels import as_seed, dataset, describe_system
from ..orbits import whole_steps
from ..runtime.memory import require_memory
from ..system import Flow, System
from ..systems import Noisy
from ..typing import Rng
from .splits import MEANINGS, in_time

if TYPE_CHECKING:
    from xarray import Dataset

EPOCHS = {"fixation": 0, "cue": 1, "delay": 2, "choice": 3}
EPOCH_FLAGS = {"flag_values": list(EPOCHS.values()), "flag_meanings": " ".join(EPOCHS)}
LICENCE = "none needed: computed"
REDUCE = "pass fewer, or shorter, ones"


def epochs(dt: float, numbers: int, **lengths: float) -> tuple[np.ndarray, np.ndarray]:
    """Time of each sample of ``numbers`` numbers, and the epoch that it belongs to; the first
    sample is the start."""
    duration = sum(lengths.values())
    require_memory(
        32 * numbers * duration / dt,
        f"trials of {duration:g} units of time, {numbers} numbers every {dt:g},",
        REDUCE,
    )
    steps = {name: whole_steps(length, dt, name) for name, length in lengths.items()}
    if short := [name for name in ("cue", "delay", "choice") if steps[name] < 1]:
        raise ValueError(
            f"{', '.join(f'{name} = {lengths[name]}' for name in short)}: shorter "
            f"than one step of {dt}"
        )
    epoch = np.repeat([EPOCHS[name] for name in steps], list(steps.values())).astype(np.int8)
    return np.arange(len(epoch)) * dt, epoch


def noisy_trials(
    circuit: Flow,
    x: np.ndarray,
    cues: np.ndarray,
    epoch: np.ndarray,
    dt: float,
    diffusion: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """States (trials, time, n) of trials from the states x, with a cue each in the cue's epoch, and
    with noise."""
    parts = [x[None]]
    for mark in EPOCHS.values():
        steps = int(np.sum(epoch == mark))
        if steps:
            held = cues if mark == EPOCHS["cue"] else None
            noisy = Noisy(circuit, dt=dt, diffusion=diffusion, held=held)
            noise = rng.standard_normal((steps, *x.shape))
            parts.append(_driven_states(noisy, parts[-1][-1], noise))
    return np.moveaxis(np.concatenate(parts)[:-1], 0, 1)


def _driven_states(system: Noisy, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """States (steps, trials, n) after each step of the noise. ``trajectory`` requires a rule that
    takes any batch; here each trial has its own cue."""
    states = []
    with np.errstate(over="ignore", invalid="ignore"):  # raised below
        for now in noise:
            x = system.rule(x, now)
            states.append(x)
    if not np.isfinite(x).all():
        raise NotFiniteError(
            f"a trial of {type(system.flow).__name__} is lost: take a smaller dt, or less diffusion"
        )
    return np.stack(states)


def label_epochs(
    variables: dict[str, tuple],
    coords: dict[str, tuple],
    time: np.ndarray,
    epoch: np.ndarray,
    time_unit: str,
    **trials: Any,
) -> Dataset:
    """Dataset of trials over time, their epochs marked; other arguments as of ``label_trials``."""
    coords = coords | {
        "time": ("time", time, time_unit, "time since the start of the trial"),
        "epoch": ("time", epoch, "1", "part of the trial"),
    }
    made = label_trials(variables, coords, **trials)
    made.epoch.attrs |= EPOCH_FLAGS
    return made


def label_trials(
    variables: dict[str, tuple],
    coords: dict[str, tuple],
    *,
    system: System,
    title: str,
    rng: Rng,
    trials: int,
    train: float,
    validation: float,
    facts: dict[str, Any],
    parameters: dict[str, Any],
) -> Dataset:
    """Dataset of independent trials, divided into parts."""
    coords = coords | {
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
