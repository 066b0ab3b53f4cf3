"""Conditional exponents of a driven system: does it forget how it began, and follow what drives
it?"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import concat
from ...drive import drive_name
from ...errors import ShapeError, ShortRunWarning
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.memory import require_memory
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, Map, System, as_state, as_system, component_index
from ...typing import ArrayLike, Drive, Rng
from ..convergence import certainty
from .lyapunov_spectrum import TOO_SHORT, measured_spectrum
from .tangent_growth import how_many
from .tangent_orbit import TangentOrbit, rate_unit, start_orbit

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Pecora and Carroll (1990), Phys. Rev. Lett. 64, 821; Pecora and Carroll (1991), Phys. "
    "Rev. A 44, 2374"
)
ECHO_SOURCE = (
    "Jaeger (2001), GMD Report 148; Abarbanel, Rulkov and Sushchik (1996), Phys. Rev. E 53, 4528"
)
STEPS_PER_CHUNK = 512  # of replicas, kept at once
STEPS_PER_RESET = 64  # after which the response is set on its driver's orbit again
SAME_STATE_DISTANCE = 1e-10  # relative to the size of the states, at which replicas are one
SAME_GROUP_DISTANCE = 1e-6  # the same, at which they count as one group


@public
def conditional_exponents(
    system: System,
    x0: ArrayLike | None = None,
    *,
    responding: str | int | Sequence | None = None,
    drive: Drive = None,
    duration: float,
    transient: float | None = None,
    dt: float | None = None,
    exponents: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Conditional Lyapunov exponents: growth of differences between copies with the same driver.

    With ``responding``, some components of an autonomous system: the others drive, and the
    exponents are those of the block J_rr of the Jacobian along the orbit of the whole (Pecora and
    Carroll 1990). Without: those of a system with inputs under ``drive``, which is
    ``lyapunov_spectrum`` with that drive. All negative: the response synchronises with its driver,
    a network has the echo state property near this orbit. That a spectral radius is below 1 does
    not decide it, except for a linear network.

    Parameters
    ----------
    system : Map or Flow
        The system.
    x0 : array_like (n,), optional
        Start; by default ``system.initial(rng)``.
    responding : str, int or list of these, optional
        Components, by name or index, that respond to the others.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as in ``lyapunov_spectrum``.
    duration : float
        Time over which growth is averaged.
    transient : float, optional
        Time before that; by default a tenth of the duration, at least 100 steps.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map where none is given.
    exponents : int, optional
        How many; by default all of the response.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step or 1/time unit
            Conditional exponents, largest first.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            Standard error of the exponents.
        synchronises : (), 1
            Whether the largest is below 0 by three standard errors.
        converged : (), 1
            Whether the estimate has settled.

    Raises
    ------
    ValueError
        For a system without inputs and no ``responding``, or with both.
    NotFiniteError
        Where the orbit is lost, with the step.

    Warns
    -----
    ShortRunWarning
        Where the run has not settled.

    References
    ----------
    Pecora and Carroll (1990), Phys. Rev. Lett. 64, 821; Pecora and Carroll (1991), Phys. Rev. A 44,
    2374.

    Examples
    --------
    >>> import dynmem as dm
    >>> henon = dm.systems.get("henon")
    >>> found = dm.analysis.conditional_exponents(henon, responding=["y"], duration=50)
    >>> float(found.lyapunov[0])  # y' = b x does not depend on y
    -inf
    """
    system = as_system(system)
    if responding is None:
        if not system.inputs:
            raise ValueError(
                f"{type(system).__name__} takes no input: name the components that "
                "respond, responding=(...)"
            )
        run = {"duration": duration, "transient": transient, "exponents": exponents, "dt": dt}
        found = measured_spectrum(system, x0, drive, rng, **run)
        values, error = found.lyapunov.values, found.lyapunov_error.values
        converged, per, step = bool(found.converged), found.lyapunov.attrs["units"], None
        transient = json.loads(found.attrs["parameters"])["transient"]
    else:
        values, error, converged, per, step, transient = _subsystem(
            system, x0, responding, duration, transient, exponents, drive, dt, rng
        )
    if not converged:
        warnings.warn(TOO_SHORT, ShortRunWarning, stacklevel=3)
    shrinks = bool(values[0] < -3.0 * error[0])
    rows = {
        "lyapunov": ("exponent", values, per, "conditional Lyapunov exponent"),
        "lyapunov_error": ("exponent", error, per, "standard error of the exponent"),
        "synchronises": ((), shrinks, "1", "whether differences certainly shrink"),
        "converged": ((), converged, "1", "whether the estimate has settled"),
    }
    index = np.arange(1, len(values) + 1)
    options = {
        "duration": duration,
        "transient": transient,
        "drive": drive_name(drive),
        "dt": step,
        "responding": _listed(responding),
    }
    return dataset(
        rows,
        {"exponent": ("exponent", index, "1", "index of the exponent, largest first")},
        title=f"conditional exponents of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system) | options,
    )


def _subsystem(system, x0, responding, duration, transient, exponents, drive, dt, rng):
    """Exponents of a subsystem, their errors, whether they have settled, their unit, the step and
    the transient."""
    if system.inputs or drive is not None:
        raise ValueError(
            f"responding is for a system that runs free, {type(system).__name__} has "
            "inputs: leave responding out"
        )
    with one_thread():
        run, (skip, steps), times = start_orbit(
            system,
            x0,
            None,
            rng,
            exponents=None,
            dt=dt,
            times={"transient": transient, "duration": duration},
        )
        chosen = _components(system, responding, len(run.x))
        k = how_many(exponents, len(chosen), "the number of components that respond")
        if steps < 1:
            raise ValueError(f"duration = {duration} is less than one step of {run.stepper.dt}")
        n, response = len(run.x), _response(run.stepper, chosen)
        # only the response differs
        frame = np.concatenate(
            [np.zeros((k, n)), np.linalg.qr(run.frame[:, : len(chosen)].T)[0].T[:k]], axis=1
        )
        copy = TangentOrbit(
            response,
            response,
            np.concatenate([run.x, run.x[chosen]]),
            frame,
            run.drive,
            skip + steps,
        )
        _growths(copy, n, chosen, skip)
        growths = _growths(copy, n, chosen, steps)
    values = growths.mean(axis=0) / abs(run.stepper.dt)
    error, settled = certainty(np.full(steps, abs(run.stepper.dt)), growths)
    order = np.argsort(-values, kind="stable")
    per, _ = rate_unit(system, run.stepper.dt)
    settled, dt = bool(settled.all()), run.stepper.dt
    return values[order], error[order], settled, per, dt, times["transient"]


def _growths(run, n, chosen, steps):
    """Growth (steps, k); the response is reset to the orbit of the whole every 64 steps."""
    parts = []
    for done in range(0, steps, STEPS_PER_RESET):
        for _, _, factors in run.advance_blocks(min(STEPS_PER_RESET, steps - done)):
            with np.errstate(divide="ignore"):
                parts.append(np.log(np.diagonal(factors, axis1=1, axis2=2)))
        run.x = np.concatenate([run.x[:n], run.x[chosen]])
        run.frame = np.concatenate([np.zeros((len(run.frame), n)), run.frame[:, n:]], axis=1)
    return np.concatenate(parts) if parts else np.empty((0, len(run.frame)))


def _listed(responding):
    """Names of the components, as a Dataset records them."""
    if responding is None:
        return None
    several = [responding] if isinstance(responding, (str, int)) else responding
    return ", ".join(map(str, several))


def _components(system, responding, n):
    chosen = [
        component_index(system, c, n)
        for c in ([responding] if isinstance(responding, (str, int)) else responding)
    ]
    if (
        not chosen
        or len(set(chosen)) < len(chosen)
        or not all(0 <= c < n for c in chosen)
        or len(chosen) == n
    ):
        raise ValueError(
            f"responding = {responding}: name some components of "
            f"{', '.join(system.states) or n}, not all, each once"
        )
    return chosen


def _response(stepper, chosen):
    """The whole and, behind it, a copy of the components chosen that the others drive: as a Map."""
    if isinstance(stepper.flow, Flow):
        return replace(stepper, flow=ResponseFlow(stepper.flow, tuple(chosen)))
    return ResponseMap(stepper, tuple(chosen))


class _Response:
    """Rule of a whole x and a copy r of some of its components: f(x), and these components of f at
    x with r in their place."""

    inputs = 0
    size = property(
        lambda self: None if self.whole.size is None else self.whole.size + len(self.chosen)
    )
    states = property(
        lambda self: (
            (*self.whole.states, *(f"{self.whole.states[c]}'" for c in self.chosen))
            if self.whole.states
            else ()
        )
    )

    def rule(self, x, u):
        n = x.shape[-1] - len(self.chosen)
        place = {c: n + i for i, c in enumerate(self.chosen)}
        mixed = concat([x[..., place.get(i, i) : place.get(i, i) + 1] for i in range(n)])
        answer = self.whole.rule(mixed, u)
        return concat(
            [self.whole.rule(x[..., :n], u), *(answer[..., c : c + 1] for c in self.chosen)]
        )


class ResponseFlow(_Response, Flow):
    """A flow and a copy of some of its components that the others drive."""

    whole: Any = None
    chosen: tuple = ()


class ResponseMap(_Response, Map):
    """A map and a copy of some of its components that the others drive."""

    whole: Any = None
    chosen: tuple = ()
    dt = property(lambda self: self.whole.dt)


@public
def echo_state(
    system: System,
    x0: ArrayLike | None = None,
    *,
    responding: str | int | Sequence | None = None,
    drive: Drive = None,
    duration: float,
    transient: float | None = None,
    dt: float | None = None,
    replicas: int = 8,
    spread: float = 1.0,
    rng: Rng = 0,
) -> Dataset:
    """Replica test of the echo state property: whether copies with the same driver come together.

    For a system with inputs the copies share the ``drive``; for an autonomous one with
    ``responding`` components they share the driving components, as an auxiliary system does
    (Abarbanel et al. 1996: generalised synchronisation). Unlike the conditional exponents this sees
    differences of any size: a network with several states under one input has negative exponents in
    each and fails here.

    Parameters
    ----------
    system : Map or Flow
        The system.
    x0 : array_like (n,) or (replicas, n), optional
        Start of the first copy, or of all; by default ``system.initial(rng)``.
    responding : str, int or list of these, optional
        Components, by name or index, that respond to the others.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as in ``lyapunov_spectrum``.
    duration : float
        Time over which the copies are followed.
    transient : float, optional
        Time before that, for the first copy alone, after which the others start near its state; by
        default a tenth of the duration, at least 100 steps. It is left out where x0 holds all
        copies.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map where none is given.
    replicas : int, optional
        How many copies.
    spread : float, optional
        Standard deviation of their starts from the first copy, in units of 1 + |x| per component.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        distance : (time,), 1
            Largest distance between any copy and the first.
        rate : (), 1/step or 1/time unit
            Slope of its logarithm from a tenth of its start to 1e-9 of it, to compare with the
            first conditional exponent; NaN where it does not shrink so far.
        echo_state : (), 1
            Whether every copy came within 1e-10 of the first, relative to its size.
        groups : (), 1
            States that the copies end in.

    Raises
    ------
    ValueError
        For a system without inputs and no ``responding``.
    ShapeError
        For a single copy in x0.
    NotFiniteError
        Where an orbit is lost, with the step.

    References
    ----------
    Jaeger (2001), GMD Report 148; Abarbanel, Rulkov and Sushchik (1996), Phys. Rev. E 53, 4528.

    Examples
    --------
    >>> import dynmem as dm
    >>> network = dm.models.Tanh.random(4, 1, gain=0.8, rng=0)
    >>> bool(dm.analysis.echo_state(network, duration=200, drive=1.0).echo_state)
    True
    """
    system = as_system(system)
    if not system.inputs and responding is None:
        raise ValueError(
            f"{type(system).__name__} takes no input: name the components that "
            "respond, responding=(...)"
        )
    rng_noise = generator(rng).spawn(4)[3]
    starts, several = _starts(x0)
    times = {"transient": 0.0 if several else transient, "duration": duration}
    with one_thread():
        run, (skip, steps), times = start_orbit(
            system, starts[0] if several else x0, drive, rng, exponents=1, dt=dt, times=times
        )
        run.advance(0 if several else skip)
        if steps < 1:
            raise ValueError(f"duration = {duration} is less than one step of {run.stepper.dt}")
        x = (
            as_state(system, starts, "x0")
            if several
            else _replicas(run.x, replicas, spread, rng_noise)
        )
        stepper, part = run.stepper, slice(None)
        if responding is not None:
            chosen = _components(system, responding, x.shape[-1])
            stepper, part = _response(stepper, chosen), slice(x.shape[-1], None)
            x = np.concatenate([np.broadcast_to(x[:1], x.shape), x[:, chosen]], axis=1)
        distance, end, scale = _distances(stepper, x, steps, run.drive, run.step, part)
    parameters = describe_system(system) | {
        **times,
        "replicas": len(x),
        "spread": spread,
        "drive": drive_name(drive),
        "dt": stepper.dt,
        "responding": _listed(responding),
    }
    clock = np.arange(steps + 1) * abs(run.stepper.dt)
    _, per = rate_unit(system, stepper.dt)
    return dataset(
        _echo_rows(clock, per, distance, end, scale),
        {"time": ("time", clock, per, "time")},
        title=f"replicas of {type(system).__name__} under one driver",
        source=ECHO_SOURCE,
        parameters=parameters,
        seed=rng,
    )


def _starts(x0):
    """The starts given, and whether they are those of several copies."""
    starts = np.empty(0) if x0 is None else np.asarray(x0, float)
    if starts.ndim == 2 and len(starts) < 2:
        raise ShapeError(
            f"x0 has shape {starts.shape}: pass one start of shape (n,), or at least "
            "two copies of shape (replicas, n)"
        )
    return starts, starts.ndim == 2


def _echo_rows(clock, per, distance, end, scale):
    """Variables of ``echo_state``: from the distance of the copies over time, and where they
    end."""
    same = np.linalg.norm(end - end[:1], axis=1) <= SAME_STATE_DISTANCE * scale
    rate = _rate(clock, distance)
    return {
        "distance": ("time", distance, "1", "largest distance of a copy from the first"),
        "rate": ((), rate, f"1/{per}", "slope of the logarithm of the distance"),
        "echo_state": ((), bool(same.all()), "1", "whether all copies came together"),
        "groups": (
            (),
            _groups(end, SAME_GROUP_DISTANCE * scale),
            "1",
            "groups that the copies end in",
        ),
    }


def _replicas(x, count, spread, rng):
    count, spread = integer("replicas", count, 2), number("spread", spread, above=0)
    require_memory(
        3 * 8 * count * len(x) * STEPS_PER_CHUNK, f"replicas = {count}", "pass fewer of them"
    )
    others = x + spread * (1.0 + np.abs(x)) * rng.standard_normal((count - 1, len(x)))
    return np.concatenate([x[None], others])


def _distances(stepper, x, steps, drive, first, part):
    """Largest distance from the first copy at each step, the states at the end, and their size."""
    found = [_apart(x[None], part)]
    for done in range(0, steps, STEPS_PER_CHUNK):
        count = min(STEPS_PER_CHUNK, steps - done)
        states = trajectory(stepper, x, count, drive.block(first + done, count))
        x = states[-1]
        found.append(_apart(states[1:], part))
    return np.concatenate(found), x[:, part], 1.0 + np.linalg.norm(x[0, part])


def _apart(states, part):
    return np.linalg.norm(states[:, 1:, part] - states[:, :1, part], axis=-1).max(axis=1)


def _rate(times, distance):
    """Slope of ln distance while it falls from a tenth of its start to 1e-9 of it; NaN where it
    does not."""
    low = np.flatnonzero(distance <= 1e-9 * distance[0])
    stop = low[0] if len(low) else 0
    begin = int(np.argmax(distance <= 0.1 * distance[0])) if stop else 0
    if stop - begin < 3:
        return np.nan
    with np.errstate(divide="ignore"):
        logs = np.log(distance[begin:stop])
    return float(np.polyfit(times[begin:stop], logs, 1)[0])


def _groups(end, near):
    left, count = end, 0
    while len(left):
        left, count = left[np.linalg.norm(left - left[0], axis=1) > near], count + 1
    return count
