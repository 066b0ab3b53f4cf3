"""Whether the velocity of a flow jumps, found by looking at its decisions."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..autodiff.branches import BranchFlow, on_branch

LINES = 6  # through the states along which the surfaces of decisions are looked for
FARTHEST, NEAREST = 1e4, 1e-2  # points of a line from its middle
ZOOMS, POINTS = 12, 33
JUMP = 1e-7  # relative difference of the velocities on both sides of a surface
ELEMENTS = 2  # of the argument of one decision that are looked at

_KNOWN: WeakKeyDictionary[Any, dict[int, bool]] = WeakKeyDictionary()


def jumps(flow: Any, n: int) -> bool:
    """Whether a flow of n states declares events, or its velocity jumps somewhere.

    A decision of its rule (``sign``, ``where``, ``%``, ``floor``, a comparison) is followed along
    random lines to where it changes: velocities that meet there make no jump, as those of a phase
    modulo its period. A decision that changes nowhere on these lines counts as a jump.
    """
    if type(flow) is BranchFlow:
        return False
    known = _KNOWN.setdefault(flow, {})
    if n not in known:
        known[n] = bool(flow.events) or _velocity_jumps(flow, n)
    return known[n]


def _velocity_jumps(flow, n):
    rng = np.random.default_rng(0)
    u = rng.standard_normal(flow.inputs) if flow.inputs else None
    x = rng.standard_normal(n)
    with np.errstate(all="ignore"):
        try:
            record = on_branch(flow, x, u)[1]
        except Exception:  # what a user's rule does with arrays that are not numpy's
            return False
        for i in np.flatnonzero(record.may_jump):
            size = np.size(record.arguments[i])
            for j in sorted({0, size // ELEMENTS}) if size else ():
                if _decision_jumps(flow, rng, x, u, int(i), j):
                    return True
    return False


def _decision_jumps(flow, rng, x, u, i, j):
    """Whether the velocity jumps where element j of decision i changes."""
    apart = np.geomspace(NEAREST, FARTHEST, 2 * POINTS)
    met = False
    for _ in range(LINES):
        middle, way = rng.standard_normal((2, len(x)))
        share = np.concatenate([-apart[::-1], apart])
        for _ in range(ZOOMS):
            found = _along(flow, middle + share[:, None] * way, u, i, j)
            if found is None:
                return True  # its rule serves one state alone
            velocities, argument, mode = found
            edge = np.flatnonzero(mode[:-1] != mode[1:])
            k = int(edge[0]) if len(edge) else int(np.argmin(abs(argument)))
            low, high = share[max(k - (not len(edge)), 0)], share[min(k + 1, len(share) - 1)]
            if len(edge) and high - low <= 1e-13 * abs(high):
                break
            share = np.linspace(low, high, POINTS)
        if len(edge) and np.isfinite(velocities[k : k + 2]).all():
            met = True
            before, beyond = velocities[k], velocities[k + 1]
            if abs(beyond - before).max() > JUMP * (abs(beyond) + abs(before)).max():
                return True
    return not met


def _along(flow, states, u, i, j):
    """Velocities, arguments and modes of a decision at states (m, n); None where the rule does not
    take them together."""
    try:
        velocities, record = on_branch(flow, states, u)
        m = len(states)
        argument = np.broadcast_to(record.arguments[i], record.modes[i].shape)
        if len(argument) != m:
            return velocities, np.ones(m), np.ones(m)
        return (
            np.asarray(velocities, float),
            argument.reshape(m, -1)[:, j],
            record.modes[i].reshape(m, -1)[:, j],
        )
    except (TypeError, ValueError, IndexError):
        return None
