"""States that orbits visit, what they can reach from there, and starts of a search among them."""

from __future__ import annotations

import numpy as np

from ...errors import NotFiniteError, ShapeError
from ...orbits import as_map
from ...runtime.validation import integer
from ...system import Flow, as_state, check_batch

SMALL_STATE_SIZE = 10  # states up to which a start is cheap
STARTS_SMALL, STARTS_LARGE = 1000, 200  # starts for systems up to that size, and beyond
MAX_BOX_FACTOR = 100.0  # by which the box around orbits is widened at most
ORBITS, STEPS = 8, 300  # that are run, and their length
MAX_SIZE = 1e8  # of a component, beyond which an orbit has escaped
BOX_STATES, BOX_ROUNDS = 256, 60  # drawn in each of the rounds in which the reachable box grows
MAX_BOX_GROWTH = 1e3  # of its width, beyond which a component is not bounded
BOX_MARGIN = 1.5  # the reachable box is found by sampling, which misses its corners
JITTER = 0.05  # of the spread of the points, added to starts between them
NEIGHBOURS = 8  # of a point, among which starts between two points are drawn
MAX_POINTS_BETWEEN = 1000  # more are a continuum, and starts between them find more of it


def visited_states(system, x0, u, rng):
    """States (m, n): those given; of the orbit from one given; or of orbits of ``system.initial``,
    half of them with white noise as input, where they stay finite."""
    if x0 is not None:
        x = as_state(system, x0, "x0")
        if not x.size:
            raise ShapeError(f"x0 has shape {x.shape}: pass one state (n,) or several (m, n)")
        if x.ndim > 1:
            return x.reshape(-1, x.shape[-1])
        return _orbits(system, x[None], u, 0, rng)
    x = np.array([system.initial(seed) for seed in rng.spawn(ORBITS)])
    return _orbits(system, x, u, ORBITS // 2 if system.inputs else 0, rng)


def _orbits(system, x, u, noisy, rng):
    """States of orbits from x (k, n), of which the last ``noisy`` have noise added to their
    input."""
    check_batch(system, x, u)
    try:
        stepper = as_map(system, None, x[0], u)
    except NotFiniteError:
        return x
    size = 1.0 / np.sqrt(stepper.dt) if isinstance(system, Flow) else 1.0
    noise = np.zeros((len(x), system.inputs))
    states, now = [x], u
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            if noisy:
                noise[-noisy:] = size * rng.standard_normal((noisy, system.inputs))
                now = u + noise
            states.append(np.asarray(stepper.rule(states[-1], now)))
    joined = np.concatenate(states)
    return joined[(np.abs(joined) < MAX_SIZE).all(axis=1)]


def reachable_box(system, states, u, modulus, rng):
    """Box (low, high) around the states that steps from it do not leave, widened by half.

    It grows to hold the images of states drawn in it, half of them at its corners. Bounded
    activations end that: with tanh at 1, with the gates of a GRU where its states are no larger
    than 1. Components that keep growing, and those on a circle, are not bounded.
    """
    low, high = states.min(axis=0), states.max(axis=0)
    free = np.zeros(len(low), bool) if modulus is None else np.isfinite(modulus)
    try:
        stepper = as_map(system, None, states[0], u)
    except NotFiniteError:
        return np.full(len(low), -np.inf), np.full(len(low), np.inf)
    largest = MAX_BOX_GROWTH * np.maximum(high - low, 1.0)
    for _ in range(BOX_ROUNDS):
        share = rng.uniform(size=(BOX_STATES, len(low)))
        share[::2] = share[::2].round()
        with np.errstate(all="ignore"):
            image = np.asarray(stepper.rule(low + share * (high - low), u))
        free |= ~np.isfinite(image).all(axis=0)
        below, above = (
            np.where(free, side, pick(side, found))
            for side, pick, found in (
                (low, np.minimum, image.min(axis=0)),
                (high, np.maximum, image.max(axis=0)),
            )
        )
        grown = (above - below) - (high - low) > 0.01 * (above - below)
        low, high = below, above
        free |= high - low > largest
        if not grown.any():
            break
    low, high = np.where(free, 0.0, low), np.where(free, 0.0, high)
    middle, half = 0.5 * (low + high), 0.5 * BOX_MARGIN * np.maximum(high - low, 1e-6)
    return np.where(free, -np.inf, middle - half), np.where(free, np.inf, middle + half)


def first_starts(system, states, starts, given, rng):
    """Starts of the first round: the states, or so many of them where they are given; otherwise
    half of them from the states, half in the box around them, widened by random factors."""
    if given:
        if starts is None:
            return states
        return _resampled(states, integer("starts", starts, 1), rng)
    low, high = around(states)
    share = -(-count_starts(starts, low) // 4)
    wide = np.exp(rng.uniform(0.0, np.log(MAX_BOX_FACTOR), (share, 1)))
    cloud = 0.5 * (low + high) + 0.5 * wide * (high - low) * rng.uniform(
        -1.0, 1.0, (share, len(low))
    )
    return np.concatenate([cloud, states[rng.integers(len(states), size=share)]])


def _resampled(states, count, rng):
    """So many of the states, and where these are fewer, more near them."""
    order = rng.permutation(len(states))[:count]
    more = states[rng.integers(len(states), size=count - len(order))]
    spread = JITTER * states.std(axis=0) * rng.standard_normal(more.shape)
    return np.concatenate([states[order], more + spread])


def starts_around(points, states, count, rng):
    """Starts in the box around points, made twice as wide."""
    low, high = around(np.concatenate([points, states]) if len(points) < 2 else points)
    return rng.uniform(1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low, (count, len(low)))


def starts_between(points, count, rng):
    """Starts at random mean values of points: of two neighbours in every second one, else of any
    two to four. What parts the basins of two points lies between them."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(points).query(points, k=min(len(points), 1 + NEIGHBOURS))[1]
    weights = np.zeros((count, len(points)))
    for i, row in enumerate(weights):
        at = rng.integers(len(points), size=2 if i % 2 else int(rng.integers(2, 5)))
        if i % 2:
            at[1] = rng.choice(nearest[at[0], 1:])
        np.add.at(row, at, rng.dirichlet(np.full(len(at), 2.0)))
    jitter = JITTER * points.std(axis=0) * rng.standard_normal((count, points.shape[1]))
    return weights @ points + jitter


def starts_in_box(system, starts, box, u, period, rng):
    """Starts drawn from a box given, for cycles half of them iterated over a period."""
    low, high = _box(system, box)
    inside = rng.uniform(low, high, (count_starts(starts, low), len(low)))
    return (inside if period == 1 else _iterated(system, inside, low, high, u, period)), low, high


def count_starts(starts, low):
    """The number of starts, by default one that the size allows."""
    if starts is not None:
        return integer("starts", starts, 1)
    return STARTS_SMALL if len(low) <= SMALL_STATE_SIZE else STARTS_LARGE


def _iterated(system, x, low, high, u, period):
    """Every second start iterated over a period, where that stays in the box: cycles crowd where
    orbits do."""
    moved = x[::2]
    with np.errstate(all="ignore"):
        for _ in range(period):
            moved = np.asarray(system.rule(moved, u))
        stays = ((moved >= low) & (moved <= high)).all(axis=1, keepdims=True)
    return np.concatenate([x[1::2], np.where(stays, moved, x[::2])])


def _box(system, box):
    try:
        low, high = (np.atleast_1d(np.asarray(side, float)) for side in box)
    except (TypeError, ValueError):
        raise ShapeError(
            f"box = {box!r:.60}: pass (low, high), finite numbers or arrays, low below high"
        ) from None
    n = system.size or max(len(low), len(high))
    if (
        len(low) not in (1, n)
        or len(high) not in (1, n)
        or not (np.isfinite(low) & np.isfinite(high) & (low < high)).all()
    ):
        raise ShapeError(
            f"box = {box}: pass (low, high), finite numbers or arrays of {n} "
            "components, low below high"
        )
    return np.broadcast_to(low, (n,)), np.broadcast_to(high, (n,))


def around(states):
    """The box around the states; of size 1 where they do not move."""
    low, high = states.min(axis=0), states.max(axis=0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    half = np.where(half > 1e-8 * (1.0 + np.abs(middle)), half, 1.0)
    return middle - half, middle + half


def distance_to(states, points):
    """Distance of each point (m, n) from the nearest of the states."""
    from scipy.spatial import cKDTree

    return cKDTree(states).query(points)[0] if len(points) else np.empty(0)
