"""How fast a system lives: its Lyapunov time, known or measured, and the speed at which its
components turn."""

import warnings
from dataclasses import dataclass

import numpy as np

from .. import systems
from ..analysis import lyapunov_spectrum
from ..autodiff.jacobian import jacobian
from ..errors import ShortRunWarning
from ..orbits import as_map, trajectory
from ..system import Map

PILOT = 4000  # steps of the orbit that is looked at
TURNS = 4000.0  # radians of the fastest component over which exponents are measured
ITERATIONS = 20_000  # the same of a map
LARGE = 64  # states beyond which a tenth of that has to do
MOST = 8  # exponents that are measured
SURE = 3.0  # standard errors by which an exponent must exceed 0
# powers of the duration that tangents of a regular orbit stay below: shear alone makes a measured
# exponent of ln(T)/T
POLYNOMIAL = 4.0


@dataclass(frozen=True, eq=False)
class Clock:
    """exponents and their errors, largest first, and their source; speed (rad a unit of time) of
    the ``fastest`` component; ``unit``: the Lyapunov time where the system is chaotic, else the
    turn 2 pi/speed; infinite where it rests."""

    exponents: np.ndarray
    errors: np.ndarray
    source: str
    chaotic: bool
    speed: float
    fastest: str
    conservative: bool

    @property
    def unit(self):
        if self.chaotic:
            return 1.0 / self.exponents[0]
        return 2.0 * np.pi / self.speed if self.speed > 0 else np.inf


def clock(name, system, *, published=True, rng=0):
    """The ``Clock`` of a registered system: with the known exponents where it stands at its own
    parameters, else measured ones."""
    step = as_map(system, duration=1e4)  # long enough for machine code
    states = trajectory(step, system.initial(rng), PILOT)
    # a body on an ellipse exchanges energy with one that is not of the system (Sitnikov)
    conservative = (
        hasattr(system, "energy") and not getattr(system, "eccentricity", 0.0)
    ) or getattr(system, "exponent_sum", None) == 0.0
    states = states if conservative else states[PILOT // 2 :]
    speed, fastest = _pace(system, states)
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
        chaotic = (
            exponents[0] * duration > POLYNOMIAL * np.log(TURNS) and exponents[0] > SURE * errors[0]
        )
    return Clock(exponents, errors, source, bool(chaotic), speed, fastest, conservative)


def _pace(system, states):
    """The largest ratio of root mean square velocity to standard deviation, with the name of its
    component."""
    if isinstance(system, Map):
        return 0.0, ""
    spread = states.std(axis=0)
    velocity = np.sqrt(
        np.mean(
            np.square(system.rule(states, np.zeros(system.inputs) if system.inputs else None)),
            axis=0,
        )
    )
    moving = spread > 1e-6 * (np.abs(states).max() + 1e-300)
    speeds = np.where(moving, velocity / np.where(moving, spread, 1.0), 0.0)
    at = int(np.argmax(speeds))
    return float(speeds[at]), str(
        (list(system.states) or [f"x{i}" for i in range(len(speeds))])[at]
    )


def _measured(system, x, speed, rng):
    """Leading exponents, standard errors, how they were found and over what time. A system at rest
    is looked at through its Jacobian there."""
    count = min(MOST, len(x))
    if isinstance(system, Map):
        duration = ITERATIONS * system.dt
    elif speed > 0:
        duration = TURNS / speed if len(x) <= LARGE else 0.1 * TURNS / speed
    else:
        rates = np.sort(np.linalg.eigvals(jacobian(system, x)).real)[::-1][:count]
        return rates, np.zeros(count), "eigenvalues of the Jacobian at the state of rest", 0.0
    # who loads a dataset cannot lengthen this run: the source says what came of it
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ShortRunWarning)
        found = lyapunov_spectrum(
            system, x, duration=duration, transient=0.1 * duration, exponents=count, rng=rng
        )
    source = (
        f"measured over {duration:.4g} units of time "
        f"(dm.lyapunov_spectrum){', not settled' if told else ''}"
    )
    return found.lyapunov.values, found.lyapunov_error.values, source, duration
