"""Orbits: of maps, of flows by Runge-Kutta steps, and by scipy's adaptive integrators for single
trajectories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .autodiff.jacobian import jacobian
from .clock import ClockedFlow
from .compiler.program import STATE_LOST, TOO_MANY_PARTS, program
from .drive import example_input, held_drive, in_time
from .errors import ConvergenceError, NotFiniteError
from .integrate.discontinuity import jumps
from .integrate.energy import conserved_energy, drift, warn_of_drift
from .integrate.runge_kutta import FINEST_RTOL, MAX_PARTS, FlowMap
from .runtime.memory import require_memory, require_time
from .runtime.validation import generator, is_real, public
from .system import Flow, Map, System, as_input, as_state, as_system, check_batch, check_rule, inner
from .typing import ArrayLike, Rng

if TYPE_CHECKING:
    from xarray import Dataset

MOST_STEPS = 100_000_000  # of an orbit, all of which it returns
FEWEST_STEPS = 100  # of the orbit of a flow, where no dt is given
SAMPLES_OF_ADAPTIVE_ORBIT = 1000  # where rtol is given, and no dt between them
DEFAULT_RTOL = 1e-7  # error of a step of order 8, relative to the state, at which it is divided
LONGEST_STEP = 0.1  # units of time, tried first where the eigenvalues of a flow are of order 1
NORMAL_RATES = (0.3, 20.0)  # 1/time unit: spectral radii of a Jacobian that leave that step
STEPS_OF_A_RUN = (1e6, 500.0)  # at most and at least, of the longest step
SHARE_OF_LONGEST_STEP = 1e-7  # of it, below which no step is tried
STEPS_BETWEEN_JUMPS = 1000.0  # of the run of a flow whose velocity is constant between them
MAX_TANGENT_ERROR = 5e-6  # per ten longest steps, a unit of time of most systems
MAX_CORNER_ERROR = 0.02  # the same, of a rule with corners
MAX_EIGENVALUE_STATES = 256  # states up to which the rate of a flow is that of its eigenvalues
ENSEMBLE_SAMPLE = 16  # flows of an ensemble that a step is tried on first
PROBES = 24  # states of an orbit at which a step is tried


def as_map(
    system: System,
    dt: float | None = None,
    x0: ArrayLike | None = None,
    drive: ArrayLike | None = None,
    duration: float = 0.0,
    spacing: float | None = None,
) -> Map:
    """A Map of any system: a Map is returned as it is, a Flow becomes a FlowMap.

    The FlowMap is of order 4 with steps of one size dt, or of order 8 with the step of
    ``suggest_step``, divided where its error is above 1e-7 of the state
    (compiled, where the duration is long enough to pay for the compilation). With ``spacing``, the
    time between two samples of its input, it makes so many steps of that size or less from one
    sample to the next.
    """
    if isinstance(system, Map):
        if dt is not None and dt != system.dt:
            raise ValueError(
                f"dt = {dt} was given for {type(system).__name__}, a Map whose step "
                f"is {system.dt}: leave dt out"
            )
        return system
    flow: Any = system
    if spacing is not None:
        return _between_samples(flow, dt, x0, drive, duration, spacing)
    if dt is not None:
        return FlowMap(flow, dt)
    step = suggest_step(flow, x0, drive=drive, duration=duration)
    return FlowMap(flow, step, order=8, rtol=DEFAULT_RTOL)


def _between_samples(flow, dt, x, rows, duration, spacing):
    """Map from one sample of the input to the next, of a flow that interpolates them."""
    if dt is not None:
        substeps = round(spacing / dt)
        if substeps < 1 or abs(substeps * dt - spacing) > 1e-6 * spacing:
            raise ValueError(
                f"dt = {dt}: the samples of drive are {spacing:g} apart, pass that or a part of it"
            )
        return FlowMap(flow, spacing, substeps=substeps)
    inside: Any = ClockedFlow(flow.inside) if flow.inside.timed else flow.inside
    x = x if flow.inside.timed else x[..., :-1]
    values = rows[:, -flow.inside.inputs :]
    step = min(
        suggest_step(inside, x, drive=value, duration=duration)
        for value in (values[0], values[np.linalg.norm(values, axis=1).argmax()])
    )
    substeps = int(np.ceil(spacing / step - 1e-9))
    return FlowMap(flow, spacing, substeps=substeps, order=8, rtol=DEFAULT_RTOL)


def suggest_step(
    flow: Flow | Sequence[Flow],
    x0: ArrayLike | None = None,
    *,
    drive: ArrayLike | None = None,
    tolerance: float = MAX_TANGENT_ERROR,
    duration: float = 0.0,
    workers: int = 1,
) -> float:
    """Step of the Runge-Kutta scheme of order 8 for which exponents err by less than ``tolerance``.

    Along an orbit from x0 the tangent map of one step is compared with that of two half steps; the
    step is halved until their mean difference, relative to the tangent map and per unit of time,
    falls below the tolerance. Where it falls slowly, the rule has corners (a piecewise linear
    resistor, a rectified rate): no scheme is of high order across one, and an error of 0.02 is
    accepted, whose sign changes from crossing to crossing; pass a shorter dt to be surer.

    Parameters
    ----------
    flow : Flow or list of Flow
        A list of flows of one kind gets the step that all of them need.
    x0 : array_like (n,), optional
        Start of the orbit; by default ``flow.initial()``.
    drive : array_like (inputs,) or (steps, inputs), optional
        Input, of which the first is held; zero by default.
    tolerance : float, optional
        Error of the tangent map, 1/time unit.
    duration : float, optional
        Time that will be integrated with this step: a long one pays for compilation.
    workers : int, optional
        Threads.

    Returns
    -------
    float
        The step, in the system's unit of time.

    Raises
    ------
    NotFiniteError
        Where the orbit diverges whatever the step.
    ValueError
        Where no step meets the tolerance.

    Examples
    --------
    >>> import dynmem as dm
    >>> suggest_step(dm.systems.get("lorenz63"))
    0.05
    """
    flows = [as_system(f, Flow) for f in (flow if isinstance(flow, (list, tuple)) else [flow])]
    held = None
    if flows[0].inputs:
        held = np.zeros(flows[0].inputs)
        if drive is not None:
            held = as_input(flows[0], drive, "drive").reshape(-1, flows[0].inputs)[0]
    trial = _StepTrial(flows, np.stack([_start(f, x0) for f in flows]), held, duration, workers)
    trial.check_start()
    if jumps(flows[0], trial.starts.shape[1]):
        return trial.between_jumps
    return _halved(trial, tolerance)


def _halved(trial, tolerance):
    """The longest of the steps 0.1, 0.05 ... whose error is below the tolerance; of a flow that is
    a thousand times slower, 102.4, 51.2 ..."""
    longest = trial.longest
    step, problem, before = longest, None, np.inf
    while step > SHARE_OF_LONGEST_STEP * longest:
        try:
            error = trial.error_of_some(step)  # what is too long for some is too long for all
            if error < (
                MAX_CORNER_ERROR if _falls_slowly(error, before, step / longest) else tolerance
            ):
                total = trial.error(step) if trial.sampled else error
                # that of the sample may fall slowly where that of all does not, at rounding for one
                if total < tolerance or (
                    total < MAX_CORNER_ERROR
                    and _falls_slowly(
                        total, trial.error(2 * step) if trial.sampled else before, step / longest
                    )
                ):
                    return step
        except NotFiniteError as lost:
            error, problem = np.inf, lost
        step, before = step / 2, error
    raise problem or ValueError(
        f"no step down to {step:.1e} resolves {type(trial.flows[0]).__name__}: "
        "its rule may be discontinuous; pass dt"
    )


def _falls_slowly(error, before, share):
    """Whether the rule has corners: a smooth one gains 2^order with each halving of the step, a
    ``share`` of the longest."""
    return error > before / 8 and share < 1 / 8


@dataclass(frozen=True)
class _StepTrial:
    """Flows of one kind with their starts (m, n), on which steps are tried."""

    flows: list
    starts: np.ndarray
    u: np.ndarray | None
    duration: float
    workers: int
    order: int = 8

    @property
    def sampled(self):
        """Whether a sample of the flows is tried first."""
        return len(self.flows) > ENSEMBLE_SAMPLE

    @cached_property
    def longest(self):
        """The step that is tried first, 0.1 times a power of 2: 2 over the largest eigenvalue at
        the start, of any of the flows, so that the unit of time does not matter."""
        rate = max(self._rate(flow, x) for flow, x in zip(self.flows, self.starts, strict=True))
        slow, fast = NORMAL_RATES
        if rate == 0.0 or not np.isfinite(rate) or slow <= rate <= fast:
            return LONGEST_STEP
        share = np.ceil(np.log2(2.0 / (rate * LONGEST_STEP)))
        if self.duration > 0.0:  # neither the whole run at once nor a million steps
            least, most = np.log2(self.duration / np.array(STEPS_OF_A_RUN) / LONGEST_STEP)
            share = min(share, max(0.0, most)) if share > 0.0 else max(share, min(0.0, least))
        return LONGEST_STEP * 2.0 ** np.floor(share)

    @cached_property
    def between_jumps(self):
        """Step of flows that jump, which is cut as its error and the jumps require: ten of the
        longest, of what does not turn between two jumps a thousandth of the run."""
        if any(self._rate(flow, x) for flow, x in zip(self.flows, self.starts, strict=True)):
            return min(10.0 * self.longest, self.duration or np.inf)
        return self.duration / STEPS_BETWEEN_JUMPS if self.duration else 10.0 * self.longest

    def _rate(self, flow, x):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                J = jacobian(flow, x, self.u)
            except NotFiniteError:
                return 0.0
        if len(x) > MAX_EIGENVALUE_STATES:
            return np.linalg.norm(J) / np.sqrt(len(x))
        return np.abs(np.linalg.eigvals(J)).max(initial=0.0)

    @cached_property
    def compiled(self):
        """The compiled step, or None where numpy is faster."""
        first = FlowMap(self.flows[0], self.longest, order=self.order)
        return program(first, self.starts.shape[1], self.duration / self.longest)

    @cached_property
    def parameters(self):
        """Parameters of the flows as the compiled step takes them."""
        return self.compiled.parameters(self.flows) if self.compiled else None

    def check_start(self):
        """Refuse flows whose velocity is not finite at the start, or wrong for a batch."""
        for flow, x in zip(self.flows, self.starts, strict=True):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                if not np.isfinite(flow.rule(x, self.u)).all():
                    raise NotFiniteError(
                        f"the velocity of {flow} is not finite at the start: start "
                        "elsewhere, or change the parameters"
                    )
        check_batch(self.flows[0], self.starts[:1], self.u)

    def error_of_some(self, step):
        """The error for up to 16 of the flows."""
        return self.error(step, slice(None, None, -(-len(self.flows) // ENSEMBLE_SAMPLE)))

    def error(self, step, part=slice(None)):
        """Mean relative difference, per unit of time, between the tangent maps of one step and of
        two half steps, of the worst of the flows; or a hundredth of the largest, if that is
        more."""
        flows, starts = self.flows[part], self.starts[part]
        values = None if self.parameters is None else self.parameters[part]
        whole, halves = (
            [FlowMap(f, step, substeps=count, order=self.order) for f in flows] for count in (1, 2)
        )
        found = np.inf
        for x in self._probes(halves, starts, values):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                coarse, fine = (self._tangents(maps, x, values) for maps in (whole, halves))
                difference = np.linalg.norm(coarse - fine, axis=(-2, -1))
                error = difference / np.linalg.norm(fine, axis=(-2, -1)) * np.sqrt(x.shape[-1])
            found = (
                np.maximum(error.mean(axis=1), 0.01 * error.max(axis=1)).max()
                * (10 * self.longest / step)
                / (1 - 0.5**self.order)
            )
            if found > 1e3 * MAX_CORNER_ERROR:  # the start alone shows most steps that are too long
                break
        return found

    def _probes(self, halves, starts, values):
        """The start, and then states of an orbit of 200 longest steps: (m, points, n)."""
        yield starts[:, None]
        points = PROBES
        if self.compiled:  # points cost little, and many members have enough of them together
            points *= max(1, max(2, min(8, 48 // starts.shape[1])) // len(halves))
        steps = max(
            points, min(2000 if self.compiled else 500, int(200.0 * self.longest / halves[0].dt))
        )
        every = max(1, steps // points)
        if not self.compiled:
            yield np.stack(
                [
                    trajectory(f, x, steps, self.u)[::every]
                    for f, x in zip(halves, starts, strict=True)
                ]
            )
            return
        result = self.compiled.run(
            halves,
            starts.copy(),
            np.zeros((len(starts), 0, starts.shape[1])),
            steps,
            inputs=self.u,
            every=every,
            keep=("states",),
            parameters=values,
            workers=self.workers,
        )
        _raise_if_lost(result, halves, steps)
        yield result.states

    def _tangents(self, maps, x, values):
        """Transposed tangent maps of one step, (m, points, n, n)."""
        if not self.compiled:
            return np.stack(
                [
                    np.swapaxes(jacobian(f, states, self.u), -1, -2)
                    for f, states in zip(maps, x, strict=True)
                ]
            )
        count, n = x.shape[1:]
        frames = np.tile(np.eye(n), (len(x) * count, 1, 1))
        result = self.compiled.run(
            maps,
            x.reshape(-1, n).copy(),
            frames,
            1,
            inputs=self.u,
            keep=("factors",),
            parameters=values.repeat(count, axis=0),
            workers=self.workers,
        )
        if result.status.any():
            raise NotFiniteError(
                f"the tangent map of {type(maps[0].flow).__name__} ({_named(maps[0])}) over a step "
                f"of {maps[0].dt:g} is not finite, or cannot be inverted"
            )
        return (result.factors[:, 0] @ frames).reshape(*x.shape, n)


def _start(flow, x0):
    start = flow.initial() if x0 is None else as_state(flow, x0, "x0")
    return start.reshape(-1, start.shape[-1])[0]


def _raise_if_lost(result, systems, steps):
    """Raise NotFiniteError for the first orbit that a compiled run has lost."""
    for i in np.flatnonzero(result.status[:, 0])[:1]:
        status, step = result.status[i]
        if status == TOO_MANY_PARTS:
            raise too_many_parts(systems[i], int(step), steps)
        if status == STATE_LOST:
            raise not_finite(systems[i], int(step), steps)


def trajectory(system: Map, x: np.ndarray, steps: int, u: Any = None) -> np.ndarray:
    """States x_0 .. x_steps of a Map, shape (steps + 1, ..., n). u is None, one input held, or an
    array (steps, ..., inputs).

    Raises NotFiniteError with the step at which the state was lost.
    """
    varied = u is not None and np.ndim(u) > 1
    if x.ndim > 1 and steps:
        check_batch(system, x, u)
    elif steps:
        check_rule(system, x, u[0] if varied else u)
    # the states, and once more as a compiled run returns them
    _require_orbit(system, 2 * 8 * (steps + 1) * x.size, steps)
    compiled = (
        None if np.ndim(u) > 2 else program(system, x.shape[-1], steps * (1 + x[..., 0].size // 64))
    )
    if compiled:
        return _compiled_trajectory(compiled, system, x, steps, u)
    out = np.empty((steps + 1, *x.shape))
    out[0] = x
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for t in range(steps):
            out[t + 1] = x = system.rule(x, u[t] if varied else u)
            if t % 64 == 63 or t == steps - 1:
                _check(system, out, max(1, t - 63), t + 2, steps)
    return out


def _require_orbit(system: System, needed: int, steps: int) -> None:
    require_memory(
        needed,
        f"an orbit of {type(inner(system)).__name__} over {steps:.6g} steps",
        "pass a shorter duration, or fewer lags",
    )


def _compiled_trajectory(compiled, system, x, steps, u):
    """The same by the compiled step, batches as members."""
    if system.inputs and u is None:
        u = np.zeros(system.inputs)
    starts = np.array(x.reshape(-1, x.shape[-1]), dtype=float)
    out = np.empty((steps + 1, *starts.shape))
    out[0] = starts
    result = compiled.run(
        system,
        starts,
        np.zeros((*starts.shape[:1], 0, starts.shape[1])),
        steps,
        inputs=u,
        every=1,
        keep=("states",),
    )
    _raise_if_lost(result, [system] * len(starts), steps)
    out[1:] = np.swapaxes(result.states, 0, 1)
    return out.reshape(steps + 1, *x.shape)


def _check(system, states, start, stop, steps):
    bad = ~np.isfinite(states[start:stop]).all(axis=tuple(range(1, states.ndim)))
    if bad.any():
        raise not_finite(system, start + int(bad.argmax()), steps)


def _named(system):
    """Numbers by which a system is told from others of its class, or the class."""
    own = inner(system)
    numbers = [f"{k}={v:.6g}" for k, v in own.parameters.items() if isinstance(v, (int, float))]
    return ", ".join(numbers) or type(own).__name__


def not_finite(system: System, step: int, steps: int) -> NotFiniteError:
    """The error for a state that was lost, with the step and the parameters."""
    return NotFiniteError(
        f"state not finite at step {step} of {steps} "
        f"({_named(system)}): start elsewhere, take a "
        "smaller step, or change the parameters"
    )


def too_many_parts(system: Any, step: int, steps: int) -> ConvergenceError:
    """The error for a step that would have to be cut into too many parts."""
    return ConvergenceError(
        f"step {step} of {steps} of {type(inner(system)).__name__} needs more than {MAX_PARTS} "
        f"parts for a relative error of {system.rtol:g}: the flow is stiff or discontinuous, or "
        "falls into a singularity there; a larger rtol, or dt for steps of one size"
    )


@public
def orbit(
    system: System,
    x0: ArrayLike | None = None,
    *,
    duration: float,
    drive: ArrayLike | None = None,
    dt: float | None = None,
    rtol: float | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Orbit of a system: states x(t) from x0 over a duration.

    x_t = rule(x_(t-1), u_t) for a Map. A Flow is integrated by Dormand and Prince's scheme of order
    8: each step is divided until its error, relative to |x| + |h dx/dt|, is below ``rtol``, by
    default 1e-7; with ``dt`` and no ``rtol`` by classical steps of order 4 of that size. Where the
    velocity jumps (``sign``, ``where``, ``%``, ``floor``) or ``dm.event`` resets the state, the
    crossing is located to rounding and the step cut there.

    Parameters
    ----------
    system : Map or Flow
        The system.
    x0 : array_like (..., n), optional
        Start; leading axes are batch. By default ``system.initial(rng)``.
    duration : float
        Time, in the system's unit (steps, for most maps).
    drive : float, array_like (inputs,) or (steps, inputs), DataArray or callable, optional
        Input, zero by default: a number is the standard deviation of white noise (of a step of a
        map, of a unit of time of a flow); one input that is held; one row a step, of ``dt`` for a
        Flow; a function of time (of the step, for a Map), such as ``lambda t: dm.sin(t)``; samples
        with times, a DataArray or ``dm.signal``; or a function (rng, steps) -> array.
    dt : float, optional
        Step of a Flow, with ``rtol`` the time between two states that are returned; by default
        ``suggest_step`` chooses it. Negative: backwards in time.
    rtol : float, optional
        Relative error of a step of a Flow; without ``dt`` 1000 states are returned.
    rng : int or Generator, optional
        Seed of the start and of the noise.

    Returns
    -------
    xarray.Dataset
        x : (time, state), 1
            States, the start included; with batch axes (time, batch0, ..., state).

        Where the system conserves an energy, the attribute ``energy_error`` is its largest change
        relative to its parts; above 1e-4 a DriftWarning says so.

    Raises
    ------
    NotFiniteError
        Where the state is lost, with the step or the time.
    ConvergenceError
        Where the adaptive integrator needs too many steps.
    JumpError
        Where a flow whose velocity or state jumps slides along a surface, grazes it, or crosses it
        ever faster.
    ShapeError
        For a drive that is too short, or a state of another size.

    References
    ----------
    Hairer, Norsett and Wanner (1993), Solving Ordinary Differential Equations I, section II.5.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.orbit(dm.models.Linear(np.array([[0.5]])), [1.0], duration=3).x.values[:, 0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    system = as_system(system, timed=True)
    whole_steps(duration, 1.0)
    if rtol is not None and isinstance(system, Map):
        raise ValueError(
            f"rtol = {rtol!r} for {type(system).__name__}, a Map, which takes its own steps: leave "
            "rtol out"
        )
    x = system.initial(generator(rng)) if x0 is None else as_state(system, x0, "x0")
    run = in_time(system, x, drive, dt)
    if isinstance(system, Flow):
        u = np.zeros(run.system.inputs) if run.system.inputs else None
        check_rule(run.system, run.x.reshape(-1, run.x.shape[-1])[0], u)
    times, states = _stepped(run, duration, dt, rtol, rng)
    found = _labelled(system, run.start + times, states[..., : x.shape[-1]], rng)
    energy = conserved_energy(system) if run.drive is None and run.clock == 0 else None
    if energy is not None:
        changed = drift(energy, x, found.x.values)
        found.attrs["energy_error"] = float(changed.max(initial=0.0))
        warn_of_drift(system, changed)
    return found


def _tolerance(rtol):
    if not is_real(rtol) or not FINEST_RTOL <= rtol < 1.0:
        raise ValueError(
            f"rtol = {rtol!r}: must be from {FINEST_RTOL:.1e} to 1, the relative error of a step"
        )
    return float(rtol)


def _stepped(run, duration, dt, rtol, rng):
    """Times and states of a run in equal steps; the last of a flow is shorter where they do not
    divide the duration."""
    if rtol is not None and run.spacing is None:
        dt = dt or duration / SAMPLES_OF_ADAPTIVE_ORBIT or 1.0
        step = FlowMap(run.system, dt, order=8, rtol=_tolerance(rtol))
    else:
        held = example_input(run.system, run.drive)
        step = as_map(run.system, dt, run.x, held, duration, run.spacing)
    steps, rest = steps_in(step, duration), 0.0
    if isinstance(run.system, Flow):
        share = float(duration) / abs(step.dt)
        if dt is None and run.spacing is None and share > 0.0:
            steps = max(FEWEST_STEPS, int(np.ceil(share - 1e-9)))
            if steps > MOST_STEPS:
                raise ConvergenceError(
                    f"{type(inner(run.system)).__name__} needs steps of {step.dt:.1e}, {steps:.1e} "
                    f"in all: it is stiff or falls into a singularity; pass dt, rtol or a shorter "
                    "duration"
                )
            step = replace(step, dt=float(duration) / steps)
        else:
            steps = int(share + 1e-9)
            rest = (share - steps) * step.dt if share - steps > 1e-9 else 0.0
    inputs, count = held_drive(run.system, run.drive), steps + (rest != 0.0)
    if inputs is None and run.drive is not None and count:
        noise = np.random.default_rng(rng).spawn(2)[1]
        inputs = run.inputs(step, count, noise).array()
    varied = inputs is not None and inputs.ndim > 1
    states = trajectory(step, run.x, steps, inputs[:steps] if varied else inputs)
    times = np.arange(steps + 1) * step.dt
    if rest:
        last = inputs[-1:] if varied else inputs
        end = trajectory(replace(step, dt=rest), states[-1], 1, last)[1:]
        states = np.concatenate([states, end])
        times = np.append(times, np.copysign(duration, step.dt))
    return times, states


def _labelled(system, times, states, rng):
    from .labels import dataset, describe_system

    names = list(system.states) or [f"x{i}" for i in range(states.shape[-1])]
    dims = ("time", *(f"batch{i}" for i in range(states.ndim - 2)), "state")
    unit = "step" if isinstance(system, Map) and system.dt == 1 else "time unit"
    return dataset(
        {"x": (dims, states, "1", "state")},
        {
            "time": ("time", times, unit, "time"),
            "state": ("state", names, "1", "component of the state"),
        },
        title=f"orbit of {type(system).__name__}",
        source=system.source,
        parameters=describe_system(system),
        seed=rng,
    )


def whole_steps(duration: Any, dt: float, name: str = "duration") -> int:
    """Number of steps of dt in a duration; an error where the duration is negative, not finite, or
    below one step."""
    if not is_real(duration) or not np.isfinite(duration) or duration < 0:
        raise ValueError(f"{name} = {duration!r}: must be a finite time of at least 0")
    require_time(duration / abs(dt), f"{name} = {duration!r}", f"pass a shorter {name}")
    return round(float(duration) / abs(dt))


def steps_in(stepper: Map, duration: Any, name: str = "duration") -> int:
    """Number of steps of a map in a duration: a whole number, where the unit of time is a step."""
    steps = whole_steps(duration, stepper.dt, name)
    if stepper.dt == 1 and stepper.flow is None and abs(duration - steps) > 1e-9 * max(1, steps):
        low = math.floor(duration)
        raise ValueError(
            f"{name} = {duration!r} is no whole number of steps, and {type(stepper).__name__} is a "
            f"Map: pass {low} or {low + 1}"
            if low
            else f"{name} = {duration!r} is less than one step of {stepper.dt:g}"
        )
    return steps
