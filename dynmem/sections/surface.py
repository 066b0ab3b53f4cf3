"""Surfaces in the space of states, and the points at which orbits cross them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autodiff.jacobian import push
from ..errors import ShapeError
from ..runtime.validation import choice, number
from ..system import Flow, component_index
from .passage import Passage

MAX_TRIALS = 80  # of the time of a crossing; halving alone needs 53
MAX_HALVINGS = 20  # of a step, below which a start has not left the surface
NEAR = 1e-8  # of a step, by which Newton's method moves in the end: its square is rounding


@dataclass(frozen=True, eq=False)
class Plane:
    """Points with normal . x = offset, or that modulo ``modulus``; crossed in the ``direction`` in
    which normal . x grows (1) or falls (-1), or in both (0)."""

    normal: np.ndarray
    offset: float = 0.0
    direction: int = 1
    modulus: float | None = None

    def level(self, x: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Distance g (...) that grows through 0 where an orbit crosses."""
        return (self.direction or 1) * (x @ self.normal - self.offset)

    def rate(self, x: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Time derivative of g."""
        return (self.direction or 1) * (velocity @ self.normal)


@dataclass(frozen=True, eq=False)
class Maxima:
    """Points at which a component of a flow is largest: minus its velocity grows through 0."""

    flow: Flow
    component: int
    u: np.ndarray | None = None
    direction = 1
    modulus = None

    def level(self, x: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Minus the velocity of the component."""
        return -velocity[..., self.component]

    def rate(self, x: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Minus its acceleration."""
        return -push(self.flow, x, velocity[None], self.u)[1][0][..., self.component]


Surface = Plane | Maxima


def plane(flow: Flow, section: Any, value: Any, direction: Any, modulus: Any, n: int) -> Plane:
    """The plane of a component, by name or index, or of a normal vector (n,)."""
    choice("direction", direction, (1, -1, 0))
    if isinstance(section, (str, int, np.integer)):
        component = component_index(flow, section if isinstance(section, str) else int(section), n)
        normal = np.eye(n)[component]
        name = flow.states[component] if flow.states else None
        modulus = flow.circles.get(name) if modulus is None else modulus
    else:
        try:
            normal = np.asarray(section, float)
        except (TypeError, ValueError):
            normal = np.empty(0)
        if normal.shape != (n,) or not np.isfinite(normal).all() or not normal.any():
            raise ShapeError(
                f"section = {section!r:.60}: pass the name or index of a component, or the normal "
                f"vector of a plane, {n} numbers for {type(flow).__name__}"
            )
    if modulus is not None:
        modulus = number("modulus", modulus, above=0)
        if direction == 0:
            raise ValueError("direction = 0: a phase is crossed forwards, 1, or backwards, -1")
    return Plane(normal, number("value", value), direction, modulus)


def crossed(surface: Surface, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether a step crosses, from the levels at its ends."""
    if surface.modulus is not None:
        return np.floor(after / surface.modulus) > np.floor(before / surface.modulus)
    up = (before < 0.0) & (after >= 0.0)
    return up if surface.direction else up | ((before >= 0.0) & (after < 0.0))


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where in a step of length h an orbit from x (m, n) crosses a surface: between the times
    ``low`` and ``high``, at which the levels lie on both sides of ``target``."""

    passage: Passage
    surface: Surface
    x: np.ndarray
    u: Any
    low: np.ndarray
    high: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def located(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (m,) and points (m, n): Newton's method, halving where it leaves the bracket."""
        target = np.zeros(len(self.x))
        if self.surface.modulus is not None:
            target = self.surface.modulus * np.floor(self.after / self.surface.modulus)
        side = np.where(self.after >= target, 1.0, -1.0)
        low, high, wide = self.low, self.high, self.high - self.low
        first, last = side * (self.before - target), side * (self.after - target)
        rise = last - first
        time = low + wide * np.clip(
            np.where(rise > 0.0, -first / np.where(rise > 0, rise, 1), 0.5), 0, 1
        )
        for _ in range(MAX_TRIALS):
            y = self.passage.states(self.x, self.u, time, 1)[1]
            velocity = _velocity(self.passage.flow, y, self.u)
            level = side * (self.surface.level(y, velocity) - target)
            rate = side * self.surface.rate(y, velocity)
            low, high = np.where(level < 0.0, time, low), np.where(level >= 0.0, time, high)
            step = np.divide(-level, rate, out=np.full_like(level, np.inf), where=rate > 0.0)
            new = time + step
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            near = np.abs(new - time) <= NEAR * wide  # the next step would be rounding
            if (near | ~np.isfinite(level)).all():
                break
            time = new
        return new, y + (new - time)[:, None] * velocity


def _velocity(flow, x, u):
    with np.errstate(all="ignore"):
        return np.asarray(flow.rule(x, u))


def crossings(
    surface: Surface, passage: Passage, states: np.ndarray, u: Any, h: float
) -> np.ndarray:
    """Points (m, n) at which an orbit of states (steps + 1, n), h apart, crosses a surface."""
    states = states[:, None]
    velocity = _velocity(passage.flow, states, u)
    level = surface.level(states, velocity)[:, 0]
    at = np.flatnonzero(crossed(surface, level[:-1], level[1:]))
    if not len(at):
        return np.empty((0, states.shape[-1]))
    low, high = np.zeros(len(at)), np.full(len(at), h)
    held = None if u is None else np.broadcast_to(u, (len(at), len(u)))
    ends = level[at], level[at + 1]
    return Crossing(passage, surface, states[at, 0], held, low, high, *ends).located()[1]


@dataclass(frozen=True, eq=False)
class Return:
    """The next crossing of each start: points (m, n) and times (m,), NaN where there is none."""

    points: np.ndarray
    times: np.ndarray


def next_crossing(
    passage: Passage,
    surface: Surface,
    x: np.ndarray,
    u: Any,
    h: float,
    *,
    steps: int,
    chunk: int = 32,
    leaving: bool = True,
) -> Return:
    """The first crossing within so many steps of length h from the states x (m, n); ``leaving``:
    they lie on the surface themselves."""
    points, times = np.full(x.shape, np.nan), np.full(len(x), np.nan)
    active, done = np.arange(len(x)), 0
    x = np.array(x)
    while len(active) and done < steps:
        held = None if u is None else np.broadcast_to(u, (len(points), np.shape(u)[-1]))[active]
        states = passage.states(x[active], held, h, chunk)
        velocity = _velocity(passage.flow, states, held)
        level = surface.level(states, velocity)
        rate = surface.rate(states, velocity)
        leaves = leaving and done == 0
        if leaves:
            level[0] = _just_left(surface, level[0], rate[0])
        found, at, crossing = _first(passage, surface, states, held, level, rate, h, leaves)
        if found.any():
            time, y = crossing.located()
            times[active[found]], points[active[found]] = done * h + at * h + time, y
        x[active] = states[-1]
        going = ~found & np.isfinite(states[-1]).all(axis=1)
        active, done = active[going], done + chunk
    return Return(points, times)


def _just_left(surface, level, rate):
    """The level of a start on the surface as it is a moment later."""
    moment = np.where(rate < 0.0, -1e-300, 1e-300)
    if surface.modulus is None:
        return moment
    return surface.modulus * (np.round(level / surface.modulus) + np.sign(moment) * 1e-12)


def _left(passage, surface, x, u, level, hit, h):
    """Which of the starts x (m, n) on the surface cross it again in the first step, and a time
    before that at which they lie on its other side."""
    time, hit = np.zeros(len(x)), hit.copy()
    if surface.modulus is not None:
        return hit, time
    for i in np.flatnonzero(hit):
        held = None if u is None else u[i : i + 1]
        for halving in range(1, MAX_HALVINGS):
            time[i] = h * 0.5**halving
            y = passage.states(x[i : i + 1], held, time[i : i + 1], 1)[1]
            if surface.level(y, _velocity(passage.flow, y, held))[0] * level[1, i] < 0.0:
                break
        else:
            hit[i], time[i] = False, 0.0
    return hit, time


def _first(passage, surface, states, u, level, rate, h, leaving):
    """Which of the orbits (steps + 1, m, n) cross, in which step, and the brackets of these."""
    hit, began = crossed(surface, level[:-1], level[1:]), np.zeros(level.shape[1])
    if leaving:
        hit[0], began = _left(passage, surface, states[0], u, level[:2], hit[0], h)
    at, found = hit.argmax(axis=0), hit.any(axis=0)
    low, high = np.where(at == 0, began, 0.0), np.full(level.shape[1], float(h))
    before, after = (level[at + i, np.arange(len(at))] for i in (0, 1))
    if surface.modulus is None:
        turn = _turns(level, rate, h)
        early = turn.any(axis=0) & (~found | (turn.argmax(axis=0) < at))
        for i in np.flatnonzero(early):  # crosses twice within a step
            for j in np.flatnonzero(turn[:, i] & (~found[i] | (np.arange(len(turn)) < at[i]))):
                time = _extreme(level[j : j + 2, i], rate[j : j + 2, i], h)
                held = None if u is None else u[i : i + 1]
                y = passage.states(states[j, i : i + 1], held, np.array([time]), 1)[1]
                middle = surface.level(y, _velocity(passage.flow, y, held))[0]
                ends = level[j, i], level[j + 1, i]
                if middle * ends[0] < 0.0:
                    second = surface.direction and ends[0] >= 0.0
                    low[i], high[i] = (time, h) if second else (0.0, time)
                    before[i], after[i] = (middle, ends[1]) if second else (ends[0], middle)
                    at[i], found[i] = j, True
                    break
    picked = np.flatnonzero(found)
    held = None if u is None else u[picked]
    start = states[at[picked], picked]
    brackets = (a[picked] for a in (low, high, before, after))
    return found, at[picked], Crossing(passage, surface, start, held, *brackets)


def _turns(level, rate, h):
    """Steps (steps, m) in which the cubic through levels and rates at both ends, of one sign, gets
    to the other sign between them."""
    same = (level[:-1] >= 0.0) == (level[1:] >= 0.0)
    side = np.where(level[:-1] >= 0.0, 1.0, -1.0)
    dips = same & (side * rate[:-1] < 0.0) & (side * rate[1:] > 0.0)
    found = np.zeros_like(dips)
    for j, i in zip(*np.nonzero(dips), strict=True):
        g, slope = level[j : j + 2, i], rate[j : j + 2, i]
        found[j, i] = _cubic(g, slope, h, _extreme(g, slope, h)) * side[j, i] < 0.0
    return found


def _cubic(g, slope, h, time):
    """Hermite's cubic through the values g and slopes at 0 and h."""
    s = time / h
    a, b = h * slope[0], h * slope[1]
    c, d = g[1] - g[0] - a, b - a - 2.0 * (g[1] - g[0] - a)
    return g[0] + s * (a + s * (c - d + s * d))


def _extreme(g, slope, h):
    """Time of its extreme, between ends at which its slopes have two signs."""
    a, b = h * slope[0], h * slope[1]
    c, d = g[1] - g[0] - a, b - a - 2.0 * (g[1] - g[0] - a)
    roots = np.roots([3.0 * d, 2.0 * (c - d), a])
    inside = [r.real for r in roots if abs(r.imag) < 1e-9 and 0.0 <= r.real <= 1.0]
    return h * (inside[0] if inside else a / (a - b))
