"""Orbits: of maps, of flows by Runge-Kutta steps, and by scipy's adaptive integrators for single
trajectories."""

from numbers import Real

import numpy as np

from .autodiff.jacobian import jacobian
from .compiler.program import STATE_LOST, program
from .errors import ConvergenceError, NotFiniteError, ShapeError
from .integrate.runge_kutta import FlowMap
from .system import Flow, Map, as_input, as_state, as_system, check_batch, check_rule

FINEST = 100 * np.finfo(float).eps  # relative error that scipy's integrators can keep
SAMPLE = 16  # flows of an ensemble that a step is tried on first
ROUGH = 0.02  # error of a step allowed to a rule with corners


def as_map(system, dt=None, x0=None, u=None, duration=0.0):
    """A Map of any system: maps stay, a flow becomes a FlowMap, of order 4 with the step dt, or of
    order 8 with one that ``suggest_step`` chooses (by machine code, where the duration is long
    enough for it)."""
    system = as_system(system)
    if isinstance(system, Map):
        if dt is not None and dt != system.dt:
            raise ValueError(
                f"dt = {dt} was given for {type(system).__name__}, a Map whose step "
                f"is {system.dt}: leave dt out"
            )
        return system
    return (
        FlowMap(system, dt)
        if dt is not None
        else FlowMap(system, suggest_step(system, x0, u, duration=duration), order=8)
    )


def suggest_step(
    flow,
    x0=None,
    u=None,
    *,
    tolerance=5e-6,
    largest=0.1,
    order=8,
    points=24,
    duration=0.0,
    workers=1,
):
    """A Runge-Kutta step for which exponents err by less than ``tolerance`` per unit of time.

    Along an orbit from x0 the tangent map of one step is compared with that of two half steps; the
    step is halved until their mean difference, relative to the tangent map and per unit of time,
    falls below the tolerance. Where it falls slowly, the rule has corners (a piecewise linear
    resistor, a rectified rate): no scheme is of high order across one, and 0.02 has to do, whose
    sign changes from crossing to crossing; pass a shorter dt to be surer. A list of flows of one
    kind gets the step that all of them need.

    Raises NotFiniteError where the orbit blows up whatever the step.
    """
    flows = [as_system(f, Flow) for f in (flow if isinstance(flow, list) else [flow])]
    start = np.stack([_start(f, x0) for f in flows])
    held = (
        None
        if not flows[0].inputs
        else np.zeros(flows[0].inputs)
        if u is None
        else as_input(flows[0], u).reshape(-1, flows[0].inputs)[0]
    )
    for f, x in zip(flows, start, strict=True):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if not np.isfinite(f.rule(x, held)).all():
                raise NotFiniteError(
                    f"the velocity of {f} is not finite at the start: start "
                    "elsewhere, or tame the parameters"
                )
    check_batch(flows[0], start[:1], held)
    made = program(FlowMap(flows[0], largest, order=order), start.shape[1], duration / largest)
    values = made.parameters(flows) if made else None
    step, problem, before = largest, None, np.inf
    many = len(flows) > SAMPLE
    some, everyone = slice(None, None, -(-len(flows) // SAMPLE)), slice(None)

    def error_of(part, step):
        numbers = None if values is None else values[part]
        return _step_error(
            flows[part], step, order, start[part], held, points, made, numbers, workers
        )

    # a smooth rule gains 2^order with each halving, one with corners 2 or so
    def falls_slowly(error, before):
        return error > before / 8 and step < largest / 8

    while step > 1e-7 * largest:
        try:
            error = error_of(some, step)  # what is too long for some is too long for all
            if error < (ROUGH if falls_slowly(error, before) else tolerance):
                total = error_of(everyone, step) if many else error
                # that of the sample may fall slowly where that of all does not, at rounding for one
                if total < tolerance or (
                    total < ROUGH
                    and falls_slowly(total, error_of(everyone, 2 * step) if many else before)
                ):
                    return step
        except NotFiniteError as lost:
            error, problem = np.inf, lost
        step, before = step / 2, error
    raise problem or ValueError(
        f"no step down to {step:.1e} resolves {type(flows[0]).__name__}: "
        "its rule may be discontinuous; pass dt"
    )


def _step_error(flows, step, order, start, held, points, made, values, workers):
    """Mean relative difference, per unit of time, between the tangent maps of one step and of two
    half steps, of the worst of the flows; or a hundredth of the largest, where that is more."""
    whole, halves = (
        [FlowMap(f, step, substeps=count, order=order) for f in flows] for count in (1, 2)
    )
    found = np.inf
    if made:  # points cost little, and many members have enough of them together
        points *= max(1, max(2, min(8, 48 // start.shape[1])) // len(flows))
    for x in _probes(made, halves, start, held, points, values, workers):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            coarse, fine = (
                _tangents(made, systems, x, held, values, workers) for systems in (whole, halves)
            )
            error = (
                np.linalg.norm(coarse - fine, axis=(-2, -1))
                / np.linalg.norm(fine, axis=(-2, -1))
                * np.sqrt(x.shape[-1])
            )
        found = (
            np.maximum(error.mean(axis=1), 0.01 * error.max(axis=1)).max() / step / (1 - 0.5**order)
        )
        if found > 1e3 * ROUGH:  # the start alone tells most steps that are too long
            break
    return found


def _start(flow, x0):
    start = flow.initial() if x0 is None else as_state(flow, x0, "x0")
    return start.reshape(-1, start.shape[-1])[0]


def _probes(made, halves, start, held, points, values, workers):
    """The start, and then ``points`` states of an orbit of 20 units of time: (m, points, n)."""
    yield start[:, None]
    steps = max(points, min(2000 if made else 500, int(20.0 / halves[0].dt)))
    every = max(1, steps // points)
    if made:
        course = made.run(
            halves,
            start.copy(),
            np.zeros((len(start), 0, start.shape[1])),
            steps,
            inputs=held,
            every=every,
            keep=("states",),
            parameters=values,
            workers=workers,
        )
        _complain(course, halves, steps)
        yield course.states
    else:
        yield np.stack(
            [trajectory(f, x, steps, held)[::every] for f, x in zip(halves, start, strict=True)]
        )


def _complain(course, systems, steps):
    """Raise what a run of machine code has met."""
    for i in np.flatnonzero(course.status[:, 0] == STATE_LOST)[:1]:
        raise not_finite(systems[i], int(course.status[i, 1]), steps)


def _tangents(made, systems, x, u, values, workers):
    """Transposed tangent maps of one step, (m, points, n, n)."""
    if not made:
        return np.stack(
            [
                np.swapaxes(jacobian(f, states, u), -1, -2)
                for f, states in zip(systems, x, strict=True)
            ]
        )
    count, n = x.shape[1:]
    frames = np.tile(np.eye(n), (len(x) * count, 1, 1))
    states = x.reshape(-1, n).copy()
    course = made.run(
        systems,
        states,
        frames,
        1,
        inputs=u,
        keep=("factors",),
        parameters=values.repeat(count, axis=0),
        workers=workers,
    )
    if course.status.any():
        raise NotFiniteError(
            f"the tangent map of {type(systems[0].flow).__name__} over a step of "
            f"{systems[0].dt:g} is not finite, or cannot be "
            "inverted"
        )
    return (course.factors[:, 0] @ frames).reshape(*x.shape, n)


def trajectory(system, x, steps, u=None):
    """States x_0 .. x_steps of a Map, shape (steps + 1, ..., n). u is None, one input held, or an
    array (steps, ..., inputs).

    Raises NotFiniteError with the step at which the state was lost.
    """
    varied = u is not None and np.ndim(u) > 1
    if x.ndim > 1 and steps:
        check_batch(system, x, u)
    made = (
        None if np.ndim(u) > 2 else program(system, x.shape[-1], steps * (1 + x[..., 0].size // 64))
    )
    if made:
        return _by_machine(made, system, x, steps, u)
    out = np.empty((steps + 1, *x.shape))
    out[0] = x
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if steps:
            check_rule(system, np.shape(system.rule(x, u[0] if varied else u)), x)
        for t in range(steps):
            out[t + 1] = x = system.rule(x, u[t] if varied else u)
            if t % 64 == 63 or t == steps - 1:
                _check(system, out, max(1, t - 63), t + 2, steps)
    return out


def _by_machine(made, system, x, steps, u):
    """The same by machine code, batches as members."""
    if system.inputs and u is None:
        u = np.zeros(system.inputs)
    starts = np.array(x.reshape(-1, x.shape[-1]), dtype=float)
    out = np.empty((steps + 1, *starts.shape))
    out[0] = starts
    course = made.run(
        system,
        starts,
        np.zeros((*starts.shape[:1], 0, starts.shape[1])),
        steps,
        inputs=u,
        every=1,
        keep=("states",),
    )
    _complain(course, [system] * len(starts), steps)
    out[1:] = np.swapaxes(course.states, 0, 1)
    return out.reshape(steps + 1, *x.shape)


def _check(system, states, start, stop, steps):
    bad = ~np.isfinite(states[start:stop]).all(axis=tuple(range(1, states.ndim)))
    if bad.any():
        raise not_finite(system, start + int(bad.argmax()), steps)


def not_finite(system, step, steps):
    """The error for a state that was lost, with the step and the parameters."""
    inner = system.flow if isinstance(system, FlowMap) else system
    shown = ", ".join(
        f"{k}={v:.6g}" for k, v in inner.parameters.items() if isinstance(v, (int, float))
    )
    return NotFiniteError(
        f"state not finite at step {step} of {steps} "
        f"({shown or type(inner).__name__}): start elsewhere, take a "
        "smaller step, or tame the parameters"
    )


def orbit(system, x0=None, *, duration, dt=None, drive=None, rng=0, rtol=None):
    """Orbit as a Dataset: state(time, state) from x0, for a Map (duration in its time unit) or a
    Flow.

    A Flow is integrated by FlowMap with step dt, or, with ``rtol`` given, by scipy's DOP853 with
    that relative tolerance. ``drive`` is an array (steps, inputs), or one input (inputs,) that is
    held; without it a driven system is taken at zero input.

    Raises NotFiniteError, with the step or the time, where the state is lost.

    >>> import dynmem as dm
    >>> orbit(dm.models.Linear(np.array([[0.5]])), [1.0], duration=3).x.values[:, 0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    from .labels import dataset, describe_system

    system = as_system(system)
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    inputs = (
        np.zeros(system.inputs)
        if drive is None and system.inputs
        else as_input(system, drive, "drive")
    )
    if rtol is not None and isinstance(system, Flow):
        times, states = _adaptive(system, x, duration, dt, rtol, inputs)
    else:
        step = as_map(system, dt, x, inputs, duration)
        steps = whole_steps(duration, step.dt)
        if inputs is not None and inputs.ndim > 1 and len(inputs) < steps:
            raise ShapeError(f"drive has {len(inputs)} steps, the orbit needs {steps}")
        states = trajectory(step, x, steps, inputs)
        times = np.arange(steps + 1) * step.dt
    names = list(system.states) or [f"x{i}" for i in range(states.shape[-1])]
    dims = ("time", *(f"batch{i}" for i in range(states.ndim - 2)), "state")
    unit = "step" if isinstance(system, Map) and system.dt == 1 else "time unit"
    coords = {
        "time": ("time", times, unit, "time"),
        "state": ("state", names, "1", "component of the state"),
    }
    return dataset(
        {"x": (dims, states, "1", "state")},
        coords,
        title=f"orbit of {type(system).__name__}",
        source=system.source,
        parameters=describe_system(system),
        seed=rng,
    )


def whole_steps(duration, dt, name="duration"):
    """Number of steps of dt in a duration; an error where the duration is negative, not finite, or
    below one step."""
    if not isinstance(duration, Real) or not np.isfinite(duration) or duration < 0:
        raise ValueError(f"{name} = {duration!r}: must be a finite time of at least 0")
    return round(duration / abs(dt))


def _adaptive(flow, x, duration, dt, rtol, u=None, most=1_000_000):
    """scipy's DOP853 with a cap on evaluations and a check of every velocity: it neither hangs on
    NaN nor returns it."""
    from scipy.integrate import solve_ivp

    if not isinstance(rtol, Real) or not FINEST <= rtol < 1.0:
        raise ValueError(
            f"rtol = {rtol!r}: must be from {FINEST:.1e} to 1, the relative error of a step"
        )
    whole_steps(duration, 1.0)
    if x.ndim != 1 or (u is not None and u.ndim != 1):
        raise ShapeError(
            "rtol takes one state of shape (n,) and one input that is held: leave "
            "rtol out for a batch or a varying drive"
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        check_rule(flow, np.shape(flow.rule(x, u)), x)
    calls = 0

    def velocity(t, y):
        nonlocal calls
        calls += 1
        v = np.asarray(flow.rule(y, u))
        if calls > most:
            raise ConvergenceError(
                f"more than {most} evaluations by t = {t:.6g} of {duration} "
                f"({flow}): the orbit is too stiff for rtol"
            )
        if not np.isfinite(v).all():
            raise NotFiniteError(
                f"velocity not finite at t = {t:.6g} of {duration} ({flow}): the orbit blows up"
            )
        return v

    spacing = abs(dt or duration / 1000 or 1.0)
    times = np.arange(whole_steps(duration, spacing) + 1) * spacing
    times = (-1.0 if dt is not None and dt < 0 else 1.0) * times[
        times <= duration * (1 + 1e-12)
    ].clip(max=duration)
    if len(times) == 1:
        return times, x[None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solution = solve_ivp(
            velocity,
            (0.0, times[-1]),
            x,
            method="DOP853",
            t_eval=times,
            rtol=rtol,
            atol=rtol * 1e-2,
        )
    if not solution.success:
        reached = times[max(len(solution.t) - 1, 0)]
        raise NotFiniteError(
            f"integration of {flow} stopped between t = {reached:.6g} and "
            f"{duration}: {solution.message}"
        )
    return times, solution.y.T
