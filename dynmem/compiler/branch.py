"""One branch of a flow that jumps as machine code, its decisions being inputs: what
``integrate.jumps`` does between two crossings, for small rules."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from ..autodiff.branches import BranchFlow, on_branch
from ..errors import SlowWarning
from ..integrate.runge_kutta import FlowMap
from .program import program

SAMPLES = 16  # of a step, between which a distance is looked at


class BranchProgram:
    """Steps of a flow on one branch, with error control."""

    def __init__(self, flow, n, rtol):
        u = np.zeros(flow.inputs) if flow.inputs else None
        record = on_branch(flow, np.zeros(n) + 0.5, u)[1]
        self.branch, self.rtol = BranchFlow(flow, tuple(map(np.shape, record.modes))), rtol
        self.code = program(self.stepper(1.0), n)
        self.parameters = self.code.parameters([self.stepper(1.0)]) if self.code else None
        self.together = _serves_many(flow, n, u, record)

    def stepper(self, length):
        return FlowMap(self.branch, length, order=8, rtol=self.rtol)

    def run(self, x, u, modes, length, frame, steps, keep):
        """The end and what is recorded of so many steps from x; None where the orbit is lost."""
        inputs = np.concatenate([np.zeros(0) if u is None else u, *map(np.ravel, modes)])
        x = np.array(x, float)[None]
        found = self.code.run(
            self.stepper(length / steps),
            x,
            frame,
            steps,
            inputs=inputs if len(inputs) else None,
            every=1,
            keep=keep,
            parameters=self.parameters,
        )
        return None if found.status.any() else (x[0], found)

    def states(self, x, u, modes, length, steps=SAMPLES):
        """States (steps + 1, n) at equal times, None where the orbit is lost."""
        done = self.run(x, u, modes, length, np.zeros((1, 0, len(x))), steps, ("states",))
        return None if done is None else np.concatenate([x[None], done[1].states[0]])

    def jacobian(self, x, u, modes, length):
        """Transposed tangent map (n, n), None where a direction is lost."""
        frame = np.eye(len(x))[None].copy()
        done = self.run(x, u, modes, length, frame, 1, ("factors",))
        return None if done is None else done[1].factors[0, 0] @ frame[0]


def _serves_many(flow, n, u, record):
    """Whether the decisions of several states are found at once."""
    x = np.stack([np.linspace(0.2, 0.9, n), np.linspace(0.4, 0.7, n), np.linspace(0.8, 0.1, n)])
    many = u if u is None else np.broadcast_to(u, (3, len(u)))
    try:
        together = on_branch(flow, x, many, record.modes)
        for i in range(3):
            velocity, alone = on_branch(flow, x[i], u, record.modes)
            assert np.allclose(together[0][i], velocity, equal_nan=True)
            for a, b in zip(together[1].arguments, alone.arguments, strict=True):
                assert np.allclose(a[i] if np.ndim(a) > np.ndim(b) else a, b, equal_nan=True)
    except (AssertionError, TypeError, ValueError, IndexError):
        return False
    return True


@lru_cache(maxsize=32)
def branch_program(flow: Any, n: int, rtol: float) -> BranchProgram | None:
    """The program of the branches of a flow, None where numpy is faster or the rule has no
    program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWarning)  # its decisions are followed all the same
        made = BranchProgram(flow, n, rtol)
    return made if made.code else None
