"""From flows to maps and orbits: Runge-Kutta composition of the rule, and scipy's adaptive integrators for single trajectories."""

from dataclasses import dataclass, field
from functools import cache
from numbers import Real

import numpy as np

from .errors import ConvergenceError, NotFiniteError, ShapeError
from .system import Flow, Map, as_input, as_state, as_system, check_rule
from .tangent import jacobian


@dataclass(frozen=True, eq=False)
class FlowMap(Map):
    """The map x(t) -> x(t + dt) of a flow by Runge-Kutta steps, the input held over the step.

    The rule composes the flow's own rule, so that Jacobians, exponents and gradients of the flow need no code of their own.
    ``order`` is 4 (the classical scheme) or 8 (Dormand and Prince's 8(5,3), with scipy's coefficients); ``substeps`` divides dt for
    accuracy, dt stays the time between two states.

    >>> class Decay(Flow):
    ...     states = ("x",)
    ...     def rule(self, x, u):
    ...         return -0.9 * x
    >>> error = FlowMap(Decay(), dt=0.1).rule(np.array([1.0]), None)[0] - np.exp(-0.09)
    >>> bool(abs(error) < 1e-7)
    True
    """

    flow: Flow = None
    dt: float = field(default=0.01)
    substeps: int = 1
    order: int = 4

    def __post_init__(self):
        if self.order not in (4, 8):
            raise ValueError(f"order = {self.order}: must be 4 or 8")
        as_system(self.flow, Flow)
        if not (np.isfinite(self.dt) and self.dt != 0):
            raise ValueError(f"dt = {self.dt}: a step must be finite and not 0")
        if self.substeps < 1 or self.substeps != int(self.substeps):
            raise ValueError(f"substeps = {self.substeps}: must be a whole number of at least 1")

    states = property(lambda self: self.flow.states)
    inputs = property(lambda self: self.flow.inputs)
    size = property(lambda self: self.flow.size)
    source = property(lambda self: self.flow.source)

    def rule(self, x, u):
        A, B = tableau(self.order)
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            slopes = []
            for row in A:
                slopes.append(self.flow.rule(_moved(x, h, row, slopes), u))
            x = _moved(x, h, B, slopes)
        return x

    def output(self, x, u):
        return self.flow.output(x, u)

    def initial(self, rng=0):
        return self.flow.initial(rng)




def _moved(x, h, weights, slopes):
    """x + h sum_i w_i k_i, zero weights skipped."""
    step = None
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            step = h * weight * slope if step is None else step + h * weight * slope
    return x if step is None else x + step


@cache
def tableau(order):
    """Runge-Kutta weights of each stage, and of the step: classical (Kutta 1901), or Dormand and Prince's order 8 as scipy holds it."""
    if order == 4:
        return ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    from scipy.integrate import DOP853

    stages = tuple(tuple(map(float, row[:i])) for i, row in enumerate(DOP853.A[: DOP853.n_stages]))
    return stages, tuple(map(float, DOP853.B))


def as_map(system, dt=None, x0=None, u=None):
    """A Map of any system: maps stay, a flow becomes a FlowMap, of order 4 with the step dt, or of order 8 with one that
    ``suggest_step`` chooses."""
    system = as_system(system)
    if isinstance(system, Map):
        if dt is not None and dt != system.dt:
            raise ValueError(f"dt = {dt} was given for {type(system).__name__}, a Map whose step is {system.dt}: leave dt out")
        return system
    return FlowMap(system, dt) if dt is not None else FlowMap(system, suggest_step(system, x0, u), order=8)


def suggest_step(flow, x0=None, u=None, *, tolerance=1e-7, largest=0.1, order=8, points=24):
    """A Runge-Kutta step for which exponents err by less than ``tolerance`` per unit of time.

    Along an orbit from x0 the tangent map of one step is compared with that of two half steps; the step is halved until the
    largest difference, relative to the tangent map and per unit of time, falls below the tolerance.

    Raises NotFiniteError where the orbit blows up whatever the step.
    """
    flow = as_system(flow, Flow)
    start = flow.initial() if x0 is None else as_state(flow, x0, "x0")
    start = start.reshape(-1, start.shape[-1])[0]
    held = None if not flow.inputs else np.zeros(flow.inputs) if u is None else as_input(flow, u).reshape(-1, flow.inputs)[0]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        velocity = flow.rule(start, held)
    if not np.isfinite(velocity).all():
        raise NotFiniteError(f"the velocity of {type(flow).__name__} is not finite at the start: start elsewhere")
    step, problem = largest, None
    while step > 1e-7 * largest:
        try:
            whole, halves = FlowMap(flow, step, order=order), FlowMap(flow, step, substeps=2, order=order)
            if _resolves(whole, halves, start, held, tolerance):  # the start alone tells most steps that are too long
                orbit = trajectory(halves, start, max(points, min(2000, int(20.0 / step))), held)
                if _resolves(whole, halves, orbit[:: max(1, len(orbit) // points)], held, tolerance):
                    return step
        except NotFiniteError as error:
            problem = error
        step /= 2
    raise problem or ValueError(f"no step down to {step:.1e} resolves {type(flow).__name__}: its rule may be discontinuous; pass dt")


def _resolves(whole, halves, x, u, tolerance):
    """Whether one step and two half steps have the same tangent map at the states x, to the tolerance per unit of time."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        coarse, fine = jacobian(whole, x, u), jacobian(halves, x, u)
        error = np.linalg.norm(coarse - fine, axis=(-2, -1)) / np.linalg.norm(fine, axis=(-2, -1)) * np.sqrt(x.shape[-1])
        return bool(np.max(error) / whole.dt < tolerance * (1 - 0.5**whole.order))


def trajectory(system, x, steps, u=None):
    """States x_0 .. x_steps of a Map, shape (steps + 1, ..., n). u is None, one input held, or an array (steps, ..., inputs).

    Raises NotFiniteError with the step at which the state was lost.
    """
    varied = u is not None and np.ndim(u) > 1
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


def _check(system, states, start, stop, steps):
    bad = ~np.isfinite(states[start:stop]).all(axis=tuple(range(1, states.ndim)))
    if bad.any():
        raise not_finite(system, start + int(bad.argmax()), steps)


def not_finite(system, step, steps):
    """The error for a state that was lost, with the step and the parameters."""
    inner = system.flow if isinstance(system, FlowMap) else system
    shown = ", ".join(f"{k}={v:.6g}" for k, v in inner.parameters.items() if isinstance(v, (int, float)))
    return NotFiniteError(f"state not finite at step {step} of {steps} ({shown or type(inner).__name__}): start elsewhere, take a "
                          "smaller step, or tame the parameters")


def orbit(system, x0=None, *, duration, dt=None, drive=None, rng=0, rtol=None):
    """Orbit as a Dataset: state(time, state) from x0, for a Map (duration in its time unit) or a Flow.

    A Flow is integrated by FlowMap with step dt, or, with ``rtol`` given, by scipy's DOP853 with that relative tolerance. ``drive`` is an
    array (steps, inputs), or one input (inputs,) that is held; without it a driven system is taken at zero input.

    Raises NotFiniteError, with the step or the time, where the state is lost.

    >>> import dynmem as dm
    >>> orbit(dm.models.Linear(np.array([[0.5]])), [1.0], duration=3).x.values[:, 0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    from .labels import dataset, describe_system

    system = as_system(system)
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    inputs = np.zeros(system.inputs) if drive is None and system.inputs else as_input(system, drive, "drive")
    if rtol is not None and isinstance(system, Flow):
        times, states = _adaptive(system, x, duration, dt, rtol, inputs)
    else:
        step = as_map(system, dt, x, inputs)
        steps = whole_steps(duration, step.dt)
        if inputs is not None and inputs.ndim > 1 and len(inputs) < steps:
            raise ShapeError(f"drive has {len(inputs)} steps, the orbit needs {steps}")
        states = trajectory(step, x, steps, inputs)
        times = np.arange(steps + 1) * step.dt
    names = list(system.states) or [f"x{i}" for i in range(states.shape[-1])]
    dims = ("time", *(f"batch{i}" for i in range(states.ndim - 2)), "state")
    unit = "step" if isinstance(system, Map) and system.dt == 1 else "time unit"
    coords = {"time": ("time", times, unit, "time"),
              "state": ("state", names, "1", "component of the state")}
    return dataset({"x": (dims, states, "1", "state")}, coords, title=f"orbit of {type(system).__name__}",
                   source=system.source, parameters=describe_system(system), seed=rng)


def whole_steps(duration, dt, name="duration"):
    """Number of steps of dt in a duration; an error where the duration is negative, not finite, or below one step."""
    if not isinstance(duration, Real) or not np.isfinite(duration) or duration < 0:
        raise ValueError(f"{name} = {duration!r}: must be a finite time of at least 0")
    return round(duration / abs(dt))


def _adaptive(flow, x, duration, dt, rtol, u=None, most=1_000_000):
    """scipy's DOP853 with a cap on evaluations and a check of every velocity: it neither hangs on NaN nor returns it."""
    from scipy.integrate import solve_ivp

    if x.ndim != 1 or (u is not None and u.ndim != 1):
        raise ShapeError("rtol takes one state of shape (n,) and one input that is held: leave rtol out for a batch or a varying drive")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        check_rule(flow, np.shape(flow.rule(x, u)), x)
    calls = 0

    def velocity(t, y):
        nonlocal calls
        calls += 1
        v = np.asarray(flow.rule(y, u))
        if calls > most:
            raise ConvergenceError(f"more than {most} evaluations by t = {t:.6g} of {duration} ({flow}): the orbit is too stiff for rtol")
        if not np.isfinite(v).all():
            raise NotFiniteError(f"velocity not finite at t = {t:.6g} of {duration} ({flow}): the orbit blows up")
        return v

    spacing = dt or duration / 1000 or 1.0
    times = np.arange(whole_steps(duration, spacing) + 1) * abs(spacing)
    times = times[times <= duration * (1 + 1e-12)].clip(max=duration)
    if len(times) == 1:
        return times, x[None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solution = solve_ivp(velocity, (0.0, duration), x, method="DOP853", t_eval=times, rtol=rtol, atol=rtol * 1e-2)
    if not solution.success:
        reached = times[max(len(solution.t) - 1, 0)]
        raise NotFiniteError(f"integration of {flow} stopped between t = {reached:.6g} and {duration}: {solution.message}")
    return times, solution.y.T
