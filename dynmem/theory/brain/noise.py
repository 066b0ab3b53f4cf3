"""A system in noise, and the Dataset of what a readout of many trials shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import dataset
from ...system import System, as_system
from ...systems.noise import Noisy
from ...typing import ArrayLike
from ..checks import vector

if TYPE_CHECKING:
    from xarray import Dataset


def split_noise(system: System, kind: type) -> tuple[Any, float]:
    """The flow of this kind, and the diffusion of each state: 0 for a flow without noise."""
    if isinstance(system, Noisy) and isinstance(system.flow, kind):
        if system.held is not None and np.any(system.held):
            raise ValueError("held = ...: theory is known for an input of 0, leave held out")
        return system.flow, float(system.diffusion)
    if isinstance(system, Noisy):
        system = system.flow
    return as_system(system, kind), 0.0


def time_vector(time: ArrayLike) -> np.ndarray:
    """Times of at least 0, as a vector."""
    found = vector("time", time)
    if not (found.size and (found >= 0).all()):
        raise ValueError(f"time = {found.tolist()!s:.60}: must be at least 0")
    return found


def recall_report(
    time: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    title: str,
    source: str,
    parameters: dict,
    **variables: tuple,
) -> Dataset:
    """Dataset over time of a readout of many trials: mean, variance, and the diffusion constant
    var(T)/(2 T) at the last time."""
    last = int(np.argmax(time))
    diffusion = variance[last] / (2.0 * time[last]) if time[last] > 0 else np.nan
    text = "half the growth of the variance per unit of time"
    predicted = {
        "mean_readout": ("time", mean, "1", "mean of the readout"),
        "variance": ("time", variance, "1", "variance of the readout over trials"),
        "diffusion": ((), float(diffusion), "1/time unit", text),
    }
    return dataset(
        predicted | variables,
        {"time": ("time", time, "time unit", "time since the start")},
        title=title,
        source=source,
        parameters=parameters,
    )
