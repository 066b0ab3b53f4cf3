"""Horizons while a network waits: what theory says, and what its Jacobians show."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from .. import theory
from ..analysis.gradients.gradient_norms import gradient_norms
from ..analysis.gradients.gradient_profile import gradient_profile
from ..analysis.gradients.memory_horizon import memory_horizon
from ..errors import ConvergenceError, NotFiniteError
from ..models import Network, Orthogonal, from_torch
from ..system import Map
from ..tasks import Task
from ..training.trainable import Trainable

DRAWN = 32  # sequences from which the waiting input is read
LEAST_SHARE = 1.0 / 3.0  # of the steps, in which an input must be seen to be that of waiting
MAX_STATES = 256  # the Jacobian of a larger state is not followed: the gradient of the input is
SAMPLES = 4  # runs, where the input varies
REASON_LETTERS = 120


class Horizon(NamedTuple):
    """A horizon in steps (infinite beyond the lags) and its error, ln of the gradient over the
    lags, and of what: "state" (the best remembered direction) or "input"."""

    lag: float
    error: float
    log_gradient: np.ndarray
    of: str


def no_horizon(lags: np.ndarray, of: str = "") -> Horizon:
    """What stands where there is no gradient: NaN."""
    return Horizon(math.nan, math.nan, np.full(len(lags), np.nan), of)


def lags_up_to(longest: int) -> np.ndarray:
    """About 40 lags from 0, geometrically spaced.

    >>> lags_up_to(8).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """
    spaced = np.geomspace(1, longest, min(40, 4 * longest))
    return np.concatenate(([0], np.unique(np.round(spaced).astype(int))))


def waiting_input(task: Task) -> np.ndarray | None:
    """The input (inputs,) of a task that says nothing, the same in every sequence and at a third of
    the steps or more; None where there is none.

    >>> import dynmem as dm
    >>> waiting_input(dm.tasks.get("copy", symbols=2)).tolist()
    [0.0, 0.0, 1.0, 0.0]
    >>> waiting_input(dm.tasks.get("adding")) is None
    True
    """
    inputs = task.encode(task.arrays(DRAWN, 0)[0])
    same = np.flatnonzero((inputs == inputs[:1]).all((0, 2)))
    counted = Counter(tuple(inputs[0, step].tolist()) for step in same)
    if not counted:
        return None
    values, count = counted.most_common(1)[0]
    return np.array(values) if count >= LEAST_SHARE * task.steps else None


def waiting_drive(task: Task) -> Any:
    """The input while a network waits, as a drive: held, or, where every step brings another one,
    the steps of the task's own sequences, one sequence after another."""
    held = waiting_input(task)
    if held is not None:
        return held

    def sequences(rng, steps):
        count = math.ceil(steps / task.steps)
        return task.encode(task.arrays(count, rng)[0]).reshape(-1, task.inputs)[:steps]

    return sequences


def as_map(module: Any, task: Task) -> Map | None:
    """The system of a module, or None where it has no known one."""
    if isinstance(module, Map):
        return module
    if isinstance(module, Trainable):
        return module.frozen()
    try:
        return from_torch(module, window=task.steps)
    except (TypeError, ValueError):
        return None


def predicted_time_scale(module: Any, task: Task, rng: int) -> tuple[float, str]:
    """-1/lambda_1 in steps while the network waits, by theory, or NaN and why there is none."""
    system = as_map(module, task)
    if system is None:
        return math.nan, f"{type(module).__name__} is a module whose equations are not known"
    drive = waiting_drive(task)
    try:
        cell, drive = _with_held_input(system, drive)
        found = theory.time_scale(theory.lyapunov_spectrum(cell, drive=drive, rng=rng))
    except (ValueError, ConvergenceError) as error:
        return math.nan, str(error).partition("\n")[0][:REASON_LETTERS]
    return float(found.time_scale), ""


def _with_held_input(system, drive):
    """The one layer of a system that has a memory, and its drive: what memoryless layers before it
    make of an input that is held, which moves its biases."""
    layers = list(system.layers if isinstance(system, Network) else (system,))
    if not callable(drive):
        while len(layers) > 1 and layers[0].size == 0:
            drive = layers.pop(0).output(np.zeros(0), drive)
    if len(layers) > 1:
        return system, drive
    cell: Any = layers[0]
    if callable(drive) or not {"b", "V"} <= {field.name for field in fields(cell)}:
        return cell, drive
    if isinstance(cell, Orthogonal) and cell.nonlinearity == "modrelu":
        return cell, None  # its b is a threshold; under a held input an isometry remains one
    field = cell.V @ drive
    if np.shape(field) != cell.b.shape:
        return cell, drive
    return replace(cell, b=cell.b + field), None


def measured_horizon(module: Any, task: Task, lags: np.ndarray, rng: int) -> Horizon:
    """The lag at which the gradient has fallen to 1/e while the network waits.

    Of a system of at most MAX_STATES states, the largest singular value of d state_T /
    d state_(T-lag): one direction that lasts is enough to remember; of any other model, and of a
    module whose equations are not known, d y_T / d u_(T-lag).
    """
    system, drive = as_map(module, task), waiting_drive(task)
    samples = SAMPLES if callable(drive) else 1
    followed = system if system is not None and 0 < system.size <= MAX_STATES else None
    of = "input" if followed is None else "state"
    given: dict[str, Any] = {"drive": drive, "lags": lags, "samples": samples, "rng": rng}
    try:
        if followed is not None:
            found = gradient_norms(followed, norm="spectral", **given)
        else:
            whole = module if system is None else system
            held = not callable(drive)
            given["drive"] = (lambda rng, steps: np.tile(drive, (steps, 1))) if held else drive
            found = gradient_profile(whole, **given)
        logs = found[f"log_{of}_gradient"].values
        horizon = memory_horizon(found, of=of)
    except (NotFiniteError, ValueError, FloatingPointError):
        return no_horizon(lags, of)
    return Horizon(float(horizon.horizon), float(horizon.horizon_error), logs, of)
