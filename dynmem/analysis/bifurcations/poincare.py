"""Sections of a flow: its maxima in one component, or its crossings of a plane, each refined to the
precision of the integrator."""

from dataclasses import dataclass

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import STATE_LOST
from ...orbits import FlowMap, not_finite, trajectory
from ...system import Flow

CHUNK = 2000  # steps between two looks
ROUNDS = 6  # of Newton's method on the time of a crossing


@dataclass(frozen=True)
class Section:
    """Where height(x) rises through 0: the fall of a component's velocity (a maximum), or a
    component that passes a value."""

    flow: Flow
    component: int
    value: float | None = None  # None: maxima
    direction: int = 1
    u: np.ndarray | None = None

    def height(self, x):
        """The function that rises through 0, shape (...)."""
        if self.value is None:
            return -np.asarray(self.flow.rule(x, self.u))[..., self.component]
        return self.direction * (x[..., self.component] - self.value)

    def rate(self, x):
        """Its time derivative along the flow."""
        velocity = np.asarray(self.flow.rule(x, self.u))
        if self.value is None:
            return -push(self.flow, x, velocity[None], self.u)[1][0][..., self.component]
        return self.direction * velocity[..., self.component]

    def crossings(self, states, dt):
        """Points (m, n) at which an orbit of states (T, n), dt apart, goes through the section."""
        height = self.height(states)
        before = np.flatnonzero((height[:-1] < 0.0) & (height[1:] >= 0.0))
        if not len(before):
            return np.empty((0, states.shape[1]))
        share = height[before] / (height[before] - height[before + 1])
        clock = FlowMap(_Clocked(self.flow, self.u), 1.0, order=8)
        start, time = states[before], share * dt
        for _ in range(ROUNDS):
            x = clock.rule(start, time[:, None])
            rate = self.rate(x)
            step = np.divide(self.height(x), rate, out=np.zeros_like(time), where=rate != 0.0)
            time = np.clip(time - step, 0.0, dt) if dt > 0 else np.clip(time - step, dt, 0.0)
        return clock.rule(start, time[:, None])


@dataclass(frozen=True, eq=False)
class _Clocked(Flow):
    """The flow at a speed of its own for each state: a step of 1 carries it on by the input."""

    flow: Flow = None
    held: np.ndarray | None = None
    inputs = 1
    size = property(lambda self: self.flow.size)
    states = property(lambda self: self.flow.states)

    def rule(self, x, u):
        return u * self.flow.rule(x, self.held)


def sampled(made, stepper, x, steps, section, u, most):
    """The last ``most`` samples (m, n) of an orbit of ``steps`` steps from x, and its end: states
    of a Map, crossings of the section for a Flow. Raises NotFiniteError where the orbit is lost."""
    kept = np.empty((0, len(x)))
    while steps > 0:
        count = min(CHUNK, steps)
        states = states_of(made, stepper, x, count, 1, u)
        new = states[1:] if section is None else section.crossings(states, stepper.dt)
        kept, x, steps = np.concatenate([kept, new])[-most:], states[-1], steps - count
    return kept, x


def settled(made, stepper, x, steps, u):
    """The state ``steps`` steps on."""
    while steps > 0:
        count = min(CHUNK * CHUNK if made else CHUNK, steps)
        x, steps = states_of(made, stepper, x, count, count, u)[-1], steps - count
    return x


def states_of(made, stepper, x, steps, every, u):
    """States every ``every`` steps, the first included, by the machine code ``made`` where there is
    one."""
    if not made:
        return trajectory(stepper, x, steps, u)[::every]
    result = made.run(
        stepper,
        x[None].copy(),
        np.zeros((1, 0, len(x))),
        steps,
        inputs=u,
        every=every,
        keep=("states",),
    )
    if result.status[0, 0] == STATE_LOST:
        raise not_finite(stepper, int(result.status[0, 1]), steps)
    return np.concatenate([x[None], result.states[0]])
