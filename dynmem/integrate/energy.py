"""The energy of a system that conserves one, as a check of its orbits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.jacobian import linearise_rule
from ..errors import DriftWarning
from ..system import System, inner

LARGEST_DRIFT = 1e-4  # of the energy, a thousand times the default tolerance, that is not reported
# error of a step of a flow whose energy is a constant of the motion: two planets that meet closely
# keep theirs to 1e-10 over 1000 orbits; below, rounding of the distance at the deepest encounters
# (whose energy is off by 1e-7) asks for steps without end
CONSERVING_RTOL = 1e-11


def conserved_energy(system: System) -> Callable | None:
    """Energy (..., n) to (...) of a system, or of the flow inside a map, None where it has none or
    does not conserve it."""
    flow = inner(system)
    return flow.energy if flow.energy is not None and flow.conserves_energy else None


def energy_scale(energy: Callable, x: np.ndarray) -> np.ndarray:
    """Size of the parts of an energy at states (m, n): |E| + sum_i |x_i dE/dx_i|, since E itself
    may be 0."""
    value, back = linearise_rule(energy, x)
    return np.abs(value) + np.abs(back(np.ones((1, *np.shape(value))))[0] * x).sum(axis=-1)


def drift(energy: Callable, x: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Largest change of the energy of states (time, ..., n) from that of x (..., n), relative to
    the size of its parts there."""
    flat = x.reshape(-1, x.shape[-1])
    scale = energy_scale(energy, flat).reshape(x.shape[:-1])
    change = np.abs(energy(states) - energy(x)).max(axis=0)
    return change / np.where(scale > 0.0, scale, 1.0)


def warn_of_drift(system: Any, changed: np.ndarray) -> None:
    """A DriftWarning where an energy has changed by more than 1e-4."""
    worst = float(np.nanmax(changed, initial=0.0))
    if worst > LARGEST_DRIFT:
        warnings.warn(
            f"the energy of {type(inner(system)).__name__} should be constant and changed by "
            f"{worst:.1e} of its parts: the steps are too long for this orbit; pass the flow "
            "itself without dt, whose steps are controlled, a smaller rtol, or a shorter dt",
            DriftWarning,
            stacklevel=4,
        )
