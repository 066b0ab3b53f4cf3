"""Poincaré sections of a flow: maxima of one component, or crossings of a plane, each refined to
the precision of the integrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import STATE_LOST
from ...orbits import FlowMap, not_finite, trajectory
from ...system import Flow

STEPS_PER_CHUNK = 2000  # whose states are kept at once
STEPS_PER_COMPILED_RUN = STEPS_PER_CHUNK**2  # of which the last state alone is kept
NEWTON_ITERATIONS = 6  # on the time of a crossing


@dataclass(frozen=True)
class PoincareSection:
    """Surface g(x) = 0 that orbits cross upwards: g is minus the velocity of a component (its
    maxima), or a component less a value."""

    flow: Flow
    component: int
    value: float | None = None  # None: maxima
    direction: int = 1
    u: np.ndarray | None = None

    def level(self, x):
        """g(x), shape (...)."""
        if self.value is None:
            return -np.asarray(self.flow.rule(x, self.u))[..., self.component]
        return self.direction * (x[..., self.component] - self.value)

    def level_rate(self, x):
        """Time derivative of g along the flow, shape (...)."""
        velocity = np.asarray(self.flow.rule(x, self.u))
        if self.value is None:
            return -push(self.flow, x, velocity[None], self.u)[1][0][..., self.component]
        return self.direction * velocity[..., self.component]

    def crossings(self, states, dt):
        """Points (m, n) at which an orbit of states (T, n), dt apart, crosses the section."""
        level = self.level(states)
        before = np.flatnonzero((level[:-1] < 0.0) & (level[1:] >= 0.0))
        if not len(before):
            return np.empty((0, states.shape[1]))
        share = level[before] / (level[before] - level[before + 1])
        step_of = FlowMap(_TimeScaledFlow(self.flow, self.u), 1.0, order=8)
        start, time = states[before], share * dt
        for _ in range(NEWTON_ITERATIONS):
            x = step_of.rule(start, time[:, None])
            rate = self.level_rate(x)
            step = np.divide(self.level(x), rate, out=np.zeros_like(time), where=rate != 0.0)
            time = np.clip(time - step, min(dt, 0.0), max(dt, 0.0))
        return step_of.rule(start, time[:, None])


class _TimeScaledFlow(Flow):
    """A flow multiplied by its input: a step of 1 integrates each state over a time of its own."""

    flow: Any = None
    held: np.ndarray | None = None
    inputs = 1
    size = property(lambda self: self.flow.size)
    states = property(lambda self: self.flow.states)
    events = property(lambda self: tuple(e.inside(self.flow, self.held) for e in self.flow.events))

    def rule(self, x, u):
        return u * self.flow.rule(x, self.held)


def last_samples(compiled, stepper, x, steps, section, u, samples):
    """The last ``samples`` samples (m, n) of an orbit of ``steps`` steps from x, and its end:
    states of a Map, crossings of the section for a Flow. Raises NotFiniteError where the orbit is
    lost."""
    kept = np.empty((0, len(x)))
    while steps > 0:
        count = min(STEPS_PER_CHUNK, steps)
        states = _states(compiled, stepper, x, count, 1, u)
        new = states[1:] if section is None else section.crossings(states, stepper.dt)
        kept, x, steps = np.concatenate([kept, new])[-samples:], states[-1], steps - count
    return kept, x


def advance(compiled, stepper, x, steps, u):
    """The state after ``steps`` steps."""
    while steps > 0:
        count = min(STEPS_PER_COMPILED_RUN if compiled else STEPS_PER_CHUNK, steps)
        x, steps = _states(compiled, stepper, x, count, count, u)[-1], steps - count
    return x


def _states(compiled, stepper, x, steps, every, u):
    """States every ``every`` steps, the first included, by the compiled step where there is one."""
    if not compiled:
        return trajectory(stepper, x, steps, u)[::every]
    result = compiled.run(
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
