"""Conditional exponents of a driven system: does it forget how it began, and follow what drives
it?"""

import warnings
from dataclasses import dataclass

import numpy as np

from ...arrays import concat
from ...errors import ShapeError, ShortRunWarning
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.threads import one_thread
from ...runtime.validation import integer, number
from ...system import Flow, Map, System, as_state, as_system, component_index
from ..convergence import certainty
from .lyapunov_spectrum import TOO_SHORT, measured_spectrum
from .tangent_growth import how_many
from .tangent_orbit import TangentOrbit, default_transient, drive_name, start

SOURCE = (
    "Pecora and Carroll (1990), Phys. Rev. Lett. 64, 821; Pecora and Carroll (1991), Phys. "
    "Rev. A 44, 2374"
)
ECHO = "Jaeger (2001), GMD Report 148; Abarbanel, Rulkov and Sushchik (1996), Phys. Rev. E 53, 4528"
CHUNK = 512  # steps of replicas in one go
SYNC = 64  # steps after which the response is set on its driver's orbit again
FLOOR = 1e-10  # distance, relative to the size of the states, at which replicas count as one


def conditional_exponents(
    system,
    x0=None,
    *,
    responding=None,
    duration,
    transient=None,
    exponents=None,
    drive=None,
    dt=None,
    rng=0,
):
    """Conditional Lyapunov exponents: the growth of differences between copies of a system that
    hear the same driver.

    With ``responding``, some components (names or indices) of an autonomous system: the others
    drive, and the exponents are those of the block J_rr of the Jacobian along the orbit of the
    whole (Pecora and Carroll 1990). Without: those of a system with inputs under ``drive``, which
    is ``lyapunov_spectrum`` with that drive. All negative: the response synchronises with its
    driver, a network has the echo state property near this orbit. That a spectral radius is below 1
    does not decide it, except for a linear network.

    Returns a Dataset: ``lyapunov(exponent)``, ``lyapunov_error(exponent)``, ``synchronises`` (the
    largest is below 0 by three standard errors), ``converged``, without which there is a
    ShortRunWarning.

    >>> import dynmem as dm
    >>> found = conditional_exponents(dm.systems.get("henon"), responding=["y"], duration=50)
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
        found = measured_spectrum(
            system,
            x0,
            drive,
            rng,
            duration=duration,
            transient=transient,
            exponents=exponents,
            dt=dt,
        )
        values, error, converged = (
            found.lyapunov.values,
            found.lyapunov_error.values,
            bool(found.converged),
        )
        per, step = found.lyapunov.attrs["units"], None
    else:
        values, error, converged, per, step = _subsystem(
            system, x0, responding, duration, transient, exponents, drive, dt, rng
        )
    if not converged:
        warnings.warn(TOO_SHORT, ShortRunWarning, stacklevel=2)
    settled = bool(values[0] < -3.0 * error[0])
    label = {
        "lyapunov": ("exponent", values, per, "conditional Lyapunov exponent"),
        "lyapunov_error": ("exponent", error, per, "standard error of the exponent"),
        "synchronises": ((), settled, "1", "whether differences certainly shrink"),
        "converged": ((), converged, "1", "whether the estimate has settled"),
    }
    coords = {
        "exponent": (
            "exponent",
            np.arange(1, len(values) + 1),
            "1",
            "index of the exponent, largest first",
        )
    }
    options = {
        "duration": duration,
        "transient": transient,
        "drive": drive_name(drive),
        "dt": step,
        "responding": None if responding is None else [str(c) for c in responding],
    }
    return dataset(
        label,
        coords,
        title=f"conditional exponents of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system) | options,
    )


def _subsystem(system, x0, responding, duration, transient, exponents, drive, dt, rng):
    """Exponents of a subsystem, their errors, whether they have settled, their unit, and the
    step."""
    if system.inputs or drive is not None:
        raise ValueError(
            f"responding is for a system that runs free, {type(system).__name__} has "
            "inputs: leave responding out"
        )
    transient = default_transient(duration, transient)
    with one_thread():
        run, (skip, steps) = start(
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
    per = "1/step" if not isinstance(system, Flow) and run.stepper.dt == 1 else "1/time unit"
    return values[order], error[order], bool(settled.all()), per, run.stepper.dt


def _growths(run, n, chosen, steps):
    """Growth (steps, k), the response held to the orbit of the whole, where differences are
    taken."""
    parts = []
    for done in range(0, steps, SYNC):
        for _, _, factors in run.go(min(SYNC, steps - done)):
            with np.errstate(divide="ignore"):
                parts.append(np.log(np.diagonal(factors, axis1=1, axis2=2)))
        run.x = np.concatenate([run.x[:n], run.x[chosen]])
        run.frame = np.concatenate([np.zeros((len(run.frame), n)), run.frame[:, n:]], axis=1)
    return np.concatenate(parts) if parts else np.empty((0, len(run.frame)))


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
    """The whole and, behind it, a copy of the components chosen that hears the others: as a Map."""
    from dataclasses import replace

    if isinstance(getattr(stepper, "flow", None), Flow):
        return replace(stepper, flow=ResponseFlow(stepper.flow, tuple(chosen)))
    return ResponseMap(stepper, tuple(chosen))


class _Response:
    """Rule of a whole x and a copy r of some of its components: (f(x), f(x with r in their place)
    at these components)."""

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


@dataclass(frozen=True, eq=False)
class ResponseFlow(_Response, Flow):
    """A flow and a copy of some of its components that the others drive."""

    whole: System = None
    chosen: tuple = ()


@dataclass(frozen=True, eq=False)
class ResponseMap(_Response, Map):
    """A map and a copy of some of its components that the others drive."""

    whole: System = None
    chosen: tuple = ()
    dt = property(lambda self: self.whole.dt)


def echo_state(
    system,
    x0=None,
    *,
    responding=None,
    duration,
    transient=0.0,
    replicas=8,
    spread=1.0,
    drive=None,
    dt=None,
    rng=0,
):
    """Replica test of the echo state property: copies that start apart and hear the same driver
    come together, or do not.

    For a system with inputs the copies share the ``drive``; for an autonomous one with
    ``responding`` components they share the driving components, as an auxiliary system does
    (Abarbanel et al. 1996: generalised synchronisation). Unlike the conditional exponents this sees
    differences of any size: a network with several states under one input has negative exponents in
    each and fails here.

    Parameters: ``transient`` for the first copy alone, after which the other ``replicas`` - 1 start
    at its state plus normal noise of ``spread`` times 1 + |x| per component; x0 of shape (replicas,
    n) sets them all.

    Returns a Dataset: ``distance(time)``, the largest between any copy and the first; ``rate``, the
    slope of its logarithm on the way from a tenth of its start to 1e-9 of it, to hold against the
    first conditional exponent (NaN where it does not shrink so far); ``echo_state``: every copy
    came within 1e-10 of the first, relative to its size; ``groups``, states that the copies end in.

    >>> import dynmem as dm
    >>> network = dm.models.Tanh.random(4, 1, gain=0.8, rng=0)
    >>> bool(echo_state(network, duration=200, drive=1.0).echo_state)
    True
    """
    system = as_system(system)
    if not system.inputs and responding is None:
        raise ValueError(
            f"{type(system).__name__} takes no input: name the components that "
            "respond, responding=(...)"
        )
    rng_noise = np.random.default_rng(rng).spawn(4)[3]
    one = None if x0 is None else np.asarray(x0, float)
    several = one is not None and one.ndim == 2
    if several and len(one) < 2:
        raise ShapeError(
            f"x0 has shape {one.shape}: pass one start of shape (n,), or at least "
            "two copies of shape (replicas, n)"
        )
    with one_thread():
        run, (skip, steps) = start(
            system,
            one[0] if several else x0,
            drive,
            rng,
            exponents=1,
            dt=dt,
            times={"transient": transient, "duration": duration},
        )
        run.skip(0 if several else skip)
        if steps < 1:
            raise ValueError(f"duration = {duration} is less than one step of {run.stepper.dt}")
        x = (
            as_state(system, one, "x0")
            if several
            else _replicas(run.x, replicas, spread, rng_noise)
        )
        stepper, part = run.stepper, slice(None)
        if responding is not None:
            chosen = _components(system, responding, x.shape[-1])
            stepper, part = _response(stepper, chosen), slice(x.shape[-1], None)
            x = np.concatenate([np.broadcast_to(x[:1], x.shape), x[:, chosen]], axis=1)
        distance, end, scale = _distances(stepper, x, steps, run.drive, run.step, part)
    times = np.arange(steps + 1) * abs(run.stepper.dt)
    rate = _rate(times, distance)
    same = np.linalg.norm(end - end[:1], axis=1) <= FLOOR * scale
    per = "step" if isinstance(system, Map) and stepper.dt == 1 else "time unit"
    label = {
        "distance": ("time", distance, "1", "largest distance of a copy from the first"),
        "rate": ((), rate, f"1/{per}", "slope of the logarithm of the distance"),
        "echo_state": ((), bool(same.all()), "1", "whether all copies came together"),
        "groups": ((), _groups(end, 1e-6 * scale), "1", "groups that the copies end in"),
    }
    parameters = describe_system(system) | {
        "duration": duration,
        "transient": transient,
        "replicas": len(x),
        "spread": spread,
        "drive": drive_name(drive),
        "dt": stepper.dt,
        "responding": None if responding is None else [str(c) for c in responding],
    }
    return dataset(
        label,
        {"time": ("time", times, per, "time")},
        title=f"replicas of {type(system).__name__} under one driver",
        source=ECHO,
        parameters=parameters,
        seed=rng,
    )


def _replicas(x, count, spread, rng):
    count = integer("replicas", count, 2)
    if not 0 < number("spread", spread) < np.inf:
        raise ValueError(
            f"spread = {spread}: must be a positive number, or the copies do not start apart"
        )
    others = x + spread * (1.0 + np.abs(x)) * rng.standard_normal((count - 1, len(x)))
    return np.concatenate([x[None], others])


def _distances(stepper, x, steps, drive, first, part):
    """Largest distance from the first copy at each step, the states at the end, and their size."""
    found = [_apart(x[None], part)]
    for done in range(0, steps, CHUNK):
        count = min(CHUNK, steps - done)
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
