"""Samples of an orbit: states of a map, crossings of a section of a flow."""

from __future__ import annotations

import numpy as np

from ...compiler.program import STATE_LOST
from ...orbits import not_finite, trajectory
from ...sections.passage import Passage
from ...sections.surface import crossings

STEPS_PER_CHUNK = 2000  # whose states are kept at once
STEPS_PER_COMPILED_RUN = STEPS_PER_CHUNK**2  # of which the last state alone is kept


def last_samples(compiled, stepper, x, steps, section, u, samples):
    """The last ``samples`` samples (m, n) of an orbit of ``steps`` steps from x, and its end:
    states of a Map, crossings of the section for a Flow. Raises NotFiniteError where the orbit is
    lost."""
    kept, passage = np.empty((0, len(x))), None if section is None else Passage(stepper.flow)
    while steps > 0:
        count = min(STEPS_PER_CHUNK, steps)
        states = _states(compiled, stepper, x, count, 1, u)
        new = states[1:] if passage is None else crossings(section, passage, states, u, stepper.dt)
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
