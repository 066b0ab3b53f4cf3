"""From flows to maps and orbits: Runge-Kutta composition of the rule, and scipy's adaptive integrators for single trajectories."""

from dataclasses import dataclass, field

import numpy as np

from .errors import NotFiniteError, ShapeError
from .tangent import jacobian
from .system import Flow, Map, as_input, as_state, as_system


@dataclass(frozen=True, eq=False)
class FlowMap(Map):
    """The map x(t) -> x(t + dt) of a flow, by classical Runge-Kutta (order 4), the input held over the step.

    The rule composes the flow's own rule, so that Jacobians, exponents and gradients of the flow need no code of their own.
    ``substeps`` divides dt for accuracy; dt stays the time between two states.

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

    def __post_init__(self):
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
        h, f = self.dt / self.substeps, self.flow.rule
        for _ in range(self.substeps):
            k1 = f(x, u)
            k2 = f(x + 0.5 * h * k1, u)
            k3 = f(x + 0.5 * h * k2, u)
            k4 = f(x + h * k3, u)
            x = x + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
        return x

    def output(self, x, u):
        return self.flow.output(x, u)

    def initial(self, rng=0):
        return self.flow.initial(rng)




def as_map(system, dt=None, x0=None, u=None):
    """A Map of any system: maps stay, a flow becomes a FlowMap, with a step chosen by ``suggest_step`` where none is given."""
    system = as_system(system)
    if isinstance(system, Map):
        if dt is not None and dt != system.dt:
            raise ValueError(f"dt = {dt} was given for {type(system).__name__}, a Map whose step is {system.dt}: leave dt out")
        return system
    return FlowMap(system, dt or suggest_step(system, x0, u))


def suggest_step(flow, x0=None, u=None, *, tolerance=1e-6, largest=0.1, points=24):
    """A Runge-Kutta step for which exponents err by less than ``tolerance`` per unit of time.

    Along an orbit from x0 the tangent map of one step is compared with that of two half steps; the step is halved until the
    largest difference, relative to the tangent map and per unit of time, falls below the tolerance.

    Raises NotFiniteError where the orbit blows up whatever the step.
    """
    flow = as_system(flow, Flow)
    start = flow.initial() if x0 is None else as_state(flow, x0, "x0")
    start = start.reshape(-1, start.shape[-1])[0]
    held = None if u is None else np.asarray(as_input(flow, u)).reshape(-1, flow.inputs)[0]
    step, problem = largest, None
    while step > 1e-7 * largest:
        try:
            whole, halves = FlowMap(flow, step), FlowMap(flow, step, substeps=2)
            orbit = trajectory(halves, start, max(points, min(2000, int(20.0 / step))), held)
            some = orbit[:: max(1, len(orbit) // points)]
            coarse, fine = jacobian(whole, some, held), jacobian(halves, some, held)
            scale = np.linalg.norm(fine, axis=(-2, -1)) / np.sqrt(fine.shape[-1])
            if np.max(np.linalg.norm(coarse - fine, axis=(-2, -1)) / scale) / step / 15.0 < tolerance:
                return step
        except NotFiniteError as error:
            problem = error
        step /= 2
    raise problem or ValueError(f"no step down to {step:.1e} resolves {type(flow).__name__}: its rule may be discontinuous; pass dt")


def trajectory(system, x, steps, u=None):
    """States x_0 .. x_steps of a Map, shape (steps + 1, ..., n). u is None, one input held, or an array (steps, ..., inputs).

    Raises NotFiniteError with the step at which the state was lost.
    """
    varied = u is not None and np.ndim(u) > 1
    out = np.empty((steps + 1, *x.shape))
    out[0] = x
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
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

    A Flow is integrated by FlowMap with step dt, or, with ``rtol`` given, by scipy's DOP853 with that relative tolerance.

    >>> import dynmem as dm
    >>> orbit(dm.models.Linear(np.array([[0.5]])), [1.0], duration=3).x.values[:, 0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    from .labels import dataset, describe_system

    system = as_system(system)
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if rtol is not None and isinstance(system, Flow):
        times, states = _adaptive(system, x, duration, dt, rtol)
    else:
        step = as_map(system, dt, x)
        steps = whole_steps(duration, step.dt)
        inputs = None if drive is None else as_input(system, drive, "drive")
        if inputs is not None and len(inputs) < steps:
            raise ShapeError(f"drive has {len(inputs)} steps, the orbit needs {steps}")
        states = trajectory(step, x, steps, inputs)
        times = np.arange(steps + 1) * step.dt
    names = list(system.states) or [f"x{i}" for i in range(states.shape[-1])]
    dims = ("time", *(f"batch{i}" for i in range(states.ndim - 2)), "state")
    coords = {"time": ("time", times, "step" if isinstance(system, Map) else "time unit", "time"),
              "state": ("state", names, "1", "component of the state")}
    return dataset({"x": (dims, states, "1", "state")}, coords, title=f"orbit of {type(system).__name__}",
                   source=system.source, parameters=describe_system(system), seed=rng)


def whole_steps(duration, dt, name="duration"):
    """Number of steps of dt in a duration; an error where the duration is negative, not finite, or below one step."""
    if not np.isfinite(duration) or duration < 0:
        raise ValueError(f"{name} = {duration}: must be a finite time of at least 0")
    return int(round(duration / abs(dt)))


def _adaptive(flow, x, duration, dt, rtol, most=1_000_000):
    """scipy's DOP853 with a cap on evaluations and a check of every velocity: it neither hangs on NaN nor returns it."""
    from scipy.integrate import solve_ivp

    calls = 0

    def velocity(t, y):
        nonlocal calls
        calls += 1
        v = np.asarray(flow.rule(y, None))
        if calls > most or not np.isfinite(v).all():
            raise NotFiniteError(f"velocity not finite, or more than {most} evaluations, at t = {t:.6g} of {duration} "
                                 f"({flow}): the orbit blows up or is too stiff")
        return v

    times = np.linspace(0.0, duration, whole_steps(duration, dt or duration / 1000) + 1)
    solution = solve_ivp(velocity, (0.0, duration), x, method="DOP853", t_eval=times, rtol=rtol, atol=rtol * 1e-2)
    if not solution.success:
        raise NotFiniteError(f"integration of {flow} stopped at t = {solution.t[-1]:.6g}: {solution.message}")
    return times, solution.y.T
