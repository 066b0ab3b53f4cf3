"""States that orbits visit, what they can reach from there, and starts of a search among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import ConvergenceError, NotFiniteError, ShapeError
from ...integrate.runge_kutta import FlowMap
from ...orbits import as_map, trajectory
from ...runtime.memory import require_memory
from ...runtime.validation import integer
from ...system import Flow, as_state, check_batch
from .newton import Equation, jacobian_size, stands_still
from .saturation import fades

SMALL_STATE_SIZE = 10  # states up to which a start is cheap
STARTS_SMALL, STARTS_LARGE = 1000, 200  # starts for systems up to that size, and beyond
MAX_BOX_FACTOR = 100.0  # by which the box around orbits is widened at most
ORBITS, STEPS = 8, 300  # that are run, and their length
MAX_SIZE = 1e8  # of a component, beyond which an orbit has escaped
BOX_STATES, BOX_ROUNDS = 256, 200  # drawn in each of the rounds in which the reachable box grows
MIN_BOX_GROWTH = 1e-3  # of its width in a round, below which it has settled
MAX_BOX_GROWTH = 1e3  # of its width, beyond which a component is not bounded
BOX_MARGIN = 1.5  # the reachable box is found by sampling, which misses its corners
EULER_SHARE, EULER_TRIALS = (
    0.3,
    32,
)  # of the shortest time in which a flow changes, at so many states
JITTER = 0.05  # of the spread of the points, added to starts between them
SHARES_BETWEEN = 0.3, 0.7  # of the way from one point to another, where a start lies
MAX_POINTS_BETWEEN = 300  # more are a continuum, and starts between them find more of it


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
    except (NotFiniteError, ValueError):  # it escapes, or is too stiff for explicit steps
        return x
    size = 1.0 / np.sqrt(stepper.dt) if isinstance(system, Flow) else 1.0
    inputs = np.zeros((STEPS, len(x), system.inputs)) + (0.0 if u is None else u)
    if noisy:
        inputs[:, -noisy:] += size * rng.standard_normal((STEPS, noisy, system.inputs))
    joined = np.concatenate([x, *_run(stepper, x, u, inputs, noisy)])
    kept = joined[(np.abs(joined) < MAX_SIZE).all(axis=1)]
    if not len(kept):
        raise NotFiniteError(
            f"every state that {type(system).__name__} visits is beyond {MAX_SIZE:.0e}, and counts "
            "as escaped: start elsewhere, or measure the states in larger units"
        )
    return kept


def _run(stepper, x, u, inputs, noisy):
    """States, in arrays (m, n), of the orbits, of which the last ``noisy`` read inputs of their
    own. Those of a flow, whose steps are long, run in machine code where none is lost."""
    if isinstance(stepper, FlowMap):
        still = len(x) - noisy
        try:
            return [
                trajectory(stepper, x[:still], STEPS, u)[1:].reshape(-1, x.shape[1]),
                *(trajectory(stepper, x[i], STEPS, inputs[:, i])[1:] for i in range(still, len(x))),
            ]
        except (NotFiniteError, ConvergenceError):
            pass
    states = []
    with np.errstate(all="ignore"):
        for t in range(STEPS):
            states.append(x := np.asarray(stepper.rule(x, inputs[t] if noisy else u)))
    return states


@dataclass
class Reach:
    """What orbits reach from visited states (m, n) in the terms of an Equation, as a box.

    It grows from that of the states to hold the images of states drawn in it, half of them at its
    corners; of a flow, after an Euler step short against its Jacobian. Bounded activations end
    that: with tanh at 1, with the gates of a GRU where its states are no larger than 1. Components
    that keep growing, and those on a circle, are not bounded.
    """

    equation: Equation
    states: np.ndarray
    rng: np.random.Generator

    @cached_property
    def scale(self):
        """Size of the Jacobian of g at the states."""
        return jacobian_size(self.equation, self.states)

    @cached_property
    def box(self):
        """Its sides (low, high), widened by half."""
        low, high = self.states.min(axis=0), self.states.max(axis=0)
        circle = self.equation.modulus
        free = np.zeros(len(low), bool) if circle is None else np.isfinite(circle)
        largest = MAX_BOX_GROWTH * np.maximum(high - low, 1.0)
        for _ in range(BOX_ROUNDS):
            share = self.rng.uniform(size=(BOX_STATES, len(low)))
            share[::2] = share[::2].round()
            with np.errstate(all="ignore"):
                image = self._image(low + share * (high - low))
            free |= ~np.isfinite(image).all(axis=0)
            below = np.where(free, low, np.minimum(low, image.min(axis=0)))
            above = np.where(free, high, np.maximum(high, image.max(axis=0)))
            grown = (above - below) - (high - low) > MIN_BOX_GROWTH * (above - below)
            low, high = below, above
            free |= high - low > largest
            if not grown.any():
                break
        return _widened(low, high, free)

    def left_by(self, x):
        """Which of the points x (m, n) lie outside."""
        free = np.zeros(x.shape[1], bool)
        low, high = _widened(self.states.min(axis=0), self.states.max(axis=0), free)
        outside = ((x < low) | (x > high)).any(axis=1)
        if outside.any():  # what orbits visit is within what they reach
            low, high = self.box
            outside &= ((x < low) | (x > high)).any(axis=1)
        return outside

    def saturated(self, x):
        """Which of the points x (m, n) stand still to rounding alone: they lie outside, and have
        nothing that pins a zero of g, or are where a component of it fades."""
        found = self.left_by(x)
        inside = ~found
        if found.any():
            found[found] = stands_still(self.equation, x[found], self.scale)
        if inside.any():
            found[inside] = fades(self.equation, x[inside], self.states)
        return found

    def _image(self, x):
        if not isinstance(self.equation.system, Flow):
            return np.asarray(self.equation.image(x, 1))
        fastest = max(
            jacobian_size(self.equation, at, np.max) for at in (x[:EULER_TRIALS], self.states)
        )
        return x + EULER_SHARE / max(fastest, 1e-300) * self.equation.residual(x)


@dataclass
class Box(Reach):
    """A box given from which starts are drawn, in place of what orbits reach."""

    low: np.ndarray
    high: np.ndarray

    @cached_property
    def box(self):
        return self.low, self.high


def _widened(low, high, free):
    low, high = np.where(free, 0.0, low), np.where(free, 0.0, high)
    middle, half = 0.5 * (low + high), 0.5 * BOX_MARGIN * np.maximum(high - low, 1e-6)
    return np.where(free, -np.inf, middle - half), np.where(free, np.inf, middle + half)


def first_starts(system, states, starts, given, rng):
    """Starts of the first round: the states, or so many of them where they are given; otherwise
    half of them from the states, half in the box around them, widened by random factors."""
    if given:
        if starts is None:
            return states
        return resampled(states, read_starts(starts, states.shape[1]), rng)
    low, high = around(states)
    share = -(-count_starts(starts, low) // 4)
    wide = np.exp(rng.uniform(0.0, np.log(MAX_BOX_FACTOR), (share, 1)))
    cloud = 0.5 * (low + high) + 0.5 * wide * (high - low) * rng.uniform(
        -1.0, 1.0, (share, len(low))
    )
    return np.concatenate([cloud, states[rng.integers(len(states), size=share)]])


def read_starts(starts, n):
    """The number of starts, where their states and Jacobians fit into memory."""
    count = integer("starts", starts, 1)
    # a Jacobian and its factors, and the states of a step of Newton's method
    require_memory(8 * count * (3 * n * n + 8 * n), f"starts = {count}", "pass fewer")
    return count


def resampled(states, count, rng):
    """So many of the states, and where these are fewer, more near them."""
    order = rng.permutation(len(states))[:count]
    more = states[rng.integers(len(states), size=count - len(order))]
    spread = JITTER * states.std(axis=0) * rng.standard_normal(more.shape)
    return np.concatenate([states[order], more + spread])


def starts_around(points, states, count, rng):
    """Starts in the box around points, made twice as wide."""
    low, high = around(np.concatenate([points, states]) if len(points) < 2 else points)
    return rng.uniform(1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low, (count, len(low)))


def starts_between(points, count, tried, rng):
    """A start between each of so many pairs of points that have not been tried, the nearest first:
    what parts the basins of two points lies between them. They are marked in ``tried``."""
    from scipy.spatial.distance import pdist

    first, second = np.triu_indices(len(points), 1)
    far = pdist(points)
    new = np.array([pair not in tried for pair in zip(first, second, strict=True)])
    order = np.argsort(np.where(new, far, np.inf), kind="stable")[: min(count, int(new.sum()))]
    first, second = first[order], second[order]
    tried.update(zip(first, second, strict=True))
    share = rng.uniform(*SHARES_BETWEEN, (len(order), 1))
    jitter = JITTER * far[order, None] * rng.standard_normal((len(order), points.shape[1]))
    return (
        points[first] + share * (points[second] - points[first]) + jitter / points.shape[1] ** 0.5
    )


def starts_in_box(system, starts, box, u, period, rng):
    """Starts drawn from a box given, for cycles half of them iterated over a period."""
    low, high = _box(system, box)
    inside = rng.uniform(low, high, (count_starts(starts, low), len(low)))
    return (inside if period == 1 else _iterated(system, inside, low, high, u, period)), low, high


def count_starts(starts, low):
    """The number of starts, by default one that the size allows."""
    if starts is not None:
        return read_starts(starts, len(low))
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
