"""The tangent loop, compiled: what ``tangent_growth.Tangents`` does for large systems, for small
ones and whole ensembles of them."""

from __future__ import annotations

import numpy as np

from ...compiler.program import COLLAPSED, STATE_LOST, TANGENT_LOST, TOO_MANY_PARTS
from ...errors import NotFiniteError
from ...orbits import not_finite, too_many_parts
from ...system import inner
from ..convergence import certainty, within
from .tangent_growth import CHECKED_SHARE, GROWTH_RECORDS, Growth

# inputs for all of them must fit in memory, and Ctrl-C waits for the end
MAX_STEPS_PER_RUN = 1 << 22


def compiled_growth(compiled, systems, x, frame, drive, skip, steps, tolerance=None, workers=1):
    """Growth of a frame (k, n) along the orbits of Maps of one equation from states x (m, n), over
    ``steps`` after ``skip``.

    None where a direction has collapsed, whose exponent is -inf: that is for ``Tangents``. One
    system gives arrays without a leading axis. Raises NotFiniteError where an orbit is lost.
    """
    members, (k, n) = len(systems), frame.shape
    complete = k == n - inner(systems[0]).clock
    system = systems if members > 1 else systems[0]
    frames, clock = np.tile(frame, (members, 1, 1)), np.tile(np.array([1, 0, 0]), (members, 1))
    start, parts, values = 0, [], compiled.parameters(systems)
    for count, every in _stretches(skip, steps, tolerance, k):
        measuring = start >= skip
        result = compiled.run(
            system,
            x,
            frames,
            count,
            inputs=drive.block(start, count),
            every=every,
            clock=clock,
            parameters=values,
            workers=workers,
            check_every=round(1 / CHECKED_SHARE) if measuring and complete else 0,
        )
        if not _uncollapsed(result, systems, start, skip + steps):
            return None
        start, clock[:, 1] = start + count, np.maximum(clock[:, 1] - count, 0)
        if measuring:
            parts.append(
                (np.full(count // every, every * abs(systems[0].dt)), result.growths, result.sums)
            )
            if (
                tolerance is not None
                and sum(len(p[0]) for p in parts) >= 64
                and within(tolerance, *certainty(*_joined(parts)[:2]))
            ):
                break
    durations, growths, sums = _joined(parts)
    return _growth(
        durations,
        growths if members > 1 else growths[0],
        sums if members > 1 else sums[0],
        int(clock[0, 0]),
    )


def _stretches(skip, steps, tolerance, k, points=32):
    """Compiled runs as (steps, steps of a block): the transient, then all at once, or part by part
    where a tolerance may end it."""
    for done in range(0, skip, MAX_STEPS_PER_RUN):
        yield min(MAX_STEPS_PER_RUN, skip - done), min(MAX_STEPS_PER_RUN, skip - done)
    # a QR ends each block: fewer for large frames
    every = max(1, steps // max(64, min(GROWTH_RECORDS, 8 * GROWTH_RECORDS // k)))
    whole = max(
        1,
        min(
            steps // every if tolerance is None else steps // every // points,
            MAX_STEPS_PER_RUN // every,
        ),
    )
    done = 0
    while steps - done >= whole * every:
        yield whole * every, every
        done += whole * every
    if steps > done:
        yield steps - done, steps - done


def _uncollapsed(result, systems, start, total):
    """False where a direction collapsed; NotFiniteError where a state or a tangent was lost."""
    bad = np.flatnonzero(result.status[:, 0])
    if not len(bad):
        return True
    for i in bad:
        status, step = result.status[i]
        if status == STATE_LOST:
            raise not_finite(systems[i], int(start + step), total)
        if status == TOO_MANY_PARTS:
            raise too_many_parts(systems[i], int(start + step), total)
        if status == TANGENT_LOST:
            raise NotFiniteError(
                f"Jacobian not finite at step {start + step} of {total} "
                f"({systems[i]}): the rule has no derivative there, or "
                "overflows"
            )
    assert (result.status[bad, 0] == COLLAPSED).all()
    return False


def _joined(parts):
    if len(parts) == 1:
        return parts[0]
    durations, growths, sums = zip(*parts, strict=True)
    return np.concatenate(durations), np.concatenate(growths, axis=1), sum(sums)


def _growth(durations, growths, sums, interval, points=200):
    total = np.cumsum(durations)
    edges = np.unique(np.linspace(0, len(total), min(points, len(total)) + 1).astype(int))
    shown = edges[1:] - 1
    running = np.cumsum(np.add.reduceat(growths, edges[:-1], axis=-2), axis=-2) / total[shown, None]
    lost = np.zeros(growths.shape[:-2] + growths.shape[-1:], bool)
    return Growth(
        durations, growths, total[shown], running, lost, sums[..., 0], sums[..., 1], interval
    )
