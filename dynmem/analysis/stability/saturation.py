"""States where a rule stands still to rounding without a fixed point: saturated gates."""

from __future__ import annotations

import numpy as np

from ...system import Flow
from .newton import Equation, in_batches

SAMPLED_STATES = 256  # whose Jacobians give the size of each of its rows
REST = 1e-10  # of a row: where g is rounding, nothing tells a zero from states 1e-4 away
NEIGHBOUR_DISTANCE = 1e-2  # relative to 1 + |x|: farther than a zero of high order stays flat
BISECTIONS = 60
JUMP = 1e-6  # of the size of a row, above which a component starts at once


def fades(equation: Equation, x: np.ndarray, states: np.ndarray) -> np.ndarray:
    """At which of the points x (m, n) a component of g is 0 to rounding because it fades, (m,).

    Its row of the Jacobian vanishes there, and on one side at least, but not at all of the states
    (k, n); and on the way to the one of these where it is largest it grows from next to nothing. A
    component that starts at once, as behind the kink of a relu, or that nothing moves at any state,
    as in a perfect integrator, has a true continuum of zeros.
    """
    sample = states[:: -(-len(states) // SAMPLED_STATES)]
    sizes = np.nan_to_num(_row_sizes(equation, sample), posinf=0.0)
    # of a map, x is taken from f(x): of a component that stands still this is 1 - 1
    size = _typical(sizes) if isinstance(equation.system, Flow) else np.ones(x.shape[1])
    least = REST * size
    found = np.zeros(len(x), bool)
    still = (_row_sizes(equation, x) <= least) & (sizes > least).any(axis=0)
    draws = np.random.default_rng(0)
    step = NEIGHBOUR_DISTANCE * draws.uniform(0.5, 1.0, x.shape[1])
    step *= draws.choice((-1.0, 1.0), x.shape[1])
    for i in np.flatnonzero(still.any(axis=0)):

        def rests(at, i=i):
            return _row_sizes(equation, at)[:, i] <= least[i]

        near = step * (1.0 + np.abs(x))
        flat = np.flatnonzero(still[:, i] & (rests(x + near) | rests(x - near)))
        if len(flat):
            begins = _first_motion(rests, x[flat], sample[sizes[:, i].argmax()])
            found[flat] |= _row_sizes(equation, begins)[:, i] < JUMP * size[i]
    return found


def _typical(sizes):
    """Medians (n,) of what is above 0 in each column."""
    return np.array([np.median(each[each > 0.0]) if each.any() else 0.0 for each in sizes.T])


def _first_motion(rests, x, moving):
    """States on the way from x (m, n), which rest, to one that moves, at which they set in."""
    low, high = np.zeros((len(x), 1)), np.ones((len(x), 1))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        still = rests(x + middle * (moving - x))[:, None]
        low, high = np.where(still, middle, low), np.where(still, high, middle)
    return x + high * (moving - x)


def _row_sizes(equation, x):
    """Norms (m, n) of the rows of the Jacobian of g."""
    return in_batches(x, lambda part: (np.linalg.norm(equation.linear(part)[1], axis=2),))[0]
