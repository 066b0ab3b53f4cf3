"""Time scales of a system: its Lyapunov time, known or measured, and the speed at which its
components turn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .. import systems
from ..analysis import lyapunov_spectrum
from ..autodiff.jacobian import jacobian
from ..errors import ShortRunWarning
from ..orbits import as_map, trajectory
from ..system import Flow, Map, System
from ..typing import Rng

PILOT_STEPS = 4000  # steps of the orbit from which speeds are read
RADIANS_MEASURED = 4000.0  # angle of the fastest component over which exponents are measured
ITERATIONS_MEASURED = 20_000  # the same of a map
MAX_FULL_STATES = 64  # states above which a tenth of that has to do
MAX_EXPONENTS = 8  # exponents that are measured
SIGNIFICANCE = 3.0  # standard errors by which an exponent must exceed 0
# powers of the duration below which tangents of a regular orbit stay: shear alone makes a measured
# exponent of ln(T)/T
MAX_POLYNOMIAL_ORDER = 4.0


@dataclass(frozen=True, eq=False)
class Timescale:
    """Time scale of a system.

    ``exponents`` with their ``errors``, largest first, and their ``source``; ``speed`` in rad per
    unit of time of the ``fastest`` component; ``conservative``: whether orbits have no transient.
    """

    exponents: np.ndarray
    errors: np.ndarray
    source: str
    chaotic: bool
    speed: float
    fastest: str
    conservative: bool

    @property
    def unit(self) -> float:
        """Lyapunov time of a chaotic system, else the turn 2 pi/speed; infinite at rest."""
        if self.chaotic:
            return 1.0 / self.exponents[0]
        return 2.0 * np.pi / self.speed if self.speed > 0 else np.inf


def timescale(name: str, system: Map | Flow, *, published: bool = True, rng: Rng = 0) -> Timescale:
    """The ``Timescale`` of a registered system: with the known exponents where it has its default
    parameters (``published``), else with measured ones."""
    step = as_map(system, duration=1e4)  # long enough to be compiled
    states = trajectory(step, system.initial(rng), PILOT_STEPS)
    conservative = is_conservative(system)
    states = states if conservative else states[PILOT_STEPS // 2 :]
    speed, fastest = _fastest(system, states)
    known = systems.known_exponents(name) if published else None
    if known is not None:
        exponents, errors, source = (
            np.array(known.exponents),
            np.array(known.tolerances),
            known.source,
        )
        chaotic = exponents[0] > errors[0] and exponents[0] > 0
    else:
        exponents, errors, source, duration = _measured(system, states[-1], speed, rng)
        threshold = MAX_POLYNOMIAL_ORDER * np.log(RADIANS_MEASURED)
        chaotic = exponents[0] * duration > threshold and exponents[0] > SIGNIFICANCE * errors[0]
    return Timescale(exponents, errors, source, bool(chaotic), speed, fastest, conservative)


def is_conservative(system: System) -> bool:
    """Whether a system conserves its energy, or the volume of its state space."""
    energy = getattr(system, "energy", None)
    conserved = energy is not None and getattr(system, "conserves_energy", True)
    return bool(conserved or getattr(system, "exponent_sum", None) == 0.0)


def _fastest(system: System, states: np.ndarray) -> tuple[float, str]:
    """The largest ratio of root mean square velocity to standard deviation, with the name of its
    component."""
    if isinstance(system, Map):
        return 0.0, ""
    deviation = states.std(axis=0)
    velocity = np.sqrt(
        np.mean(
            np.square(system.rule(states, np.zeros(system.inputs) if system.inputs else None)),
            axis=0,
        )
    )
    moving = deviation > 1e-6 * (np.abs(states).max() + 1e-300)
    speeds = np.where(moving, velocity / np.where(moving, deviation, 1.0), 0.0)
    at = int(np.argmax(speeds))
    return float(speeds[at]), str(
        (list(system.states) or [f"x{i}" for i in range(len(speeds))])[at]
    )


def _measured(
    system: Map | Flow, x: np.ndarray, speed: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray, str, float]:
    """Leading exponents, standard errors, how they were found and over what time: of a system at
    rest the eigenvalues of its Jacobian there."""
    count = min(MAX_EXPONENTS, len(x))
    if isinstance(system, Map):
        duration = ITERATIONS_MEASURED * system.dt
    elif speed > 0:
        share = 1.0 if len(x) <= MAX_FULL_STATES else 0.1
        duration = share * RADIANS_MEASURED / speed
    else:
        rates = np.sort(np.linalg.eigvals(jacobian(system, x)).real)[::-1][:count]
        return rates, np.zeros(count), "eigenvalues of the Jacobian at the state of rest", 0.0
    # nobody who loads a dataset can lengthen this run: the source says whether it has settled
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", ShortRunWarning)
        found = lyapunov_spectrum(
            system, x, duration=duration, transient=0.1 * duration, exponents=count, rng=rng
        )
    source = (
        f"measured over {duration:.4g} units of time "
        f"(dm.lyapunov_spectrum){', not settled' if raised else ''}"
    )
    return found.lyapunov.values, found.lyapunov_error.values, source, duration
