"""Fixed points and cycles: where a system stays, and whether it would come back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...drive import constant_drive
from ...errors import NotFiniteError
from ...labels import dataset, describe_system
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, System, as_system, check_batch, circles_of
from ...typing import ArrayLike, Drive, Rng
from .modes import eigenvalues, mode_rows
from .newton import Equation, solve
from .visited import (
    MAX_POINTS_BETWEEN,
    Box,
    Reach,
    count_starts,
    distance_to,
    first_starts,
    starts_around,
    starts_between,
    starts_in_box,
    visited_states,
)

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Newton's method from many starts; Strogatz (1994), Nonlinear Dynamics and Chaos, for "
    "the classes"
)
MAX_DISTANCE_RATIO = 100.0  # norm over that of the farthest start, beyond which a point is lost
SAME_POINT_DISTANCE = 1e-8  # relative to 1 + |x|, below which two solutions are one
ROUNDS_BETWEEN = 12  # of starts between the points found, at most
STARTS_BETWEEN = 100, 500  # of such a round: half as many as the others, within these bounds
EMPTY_ROUNDS = 3  # one after another without a new point, which end them


@public
def fixed_points(
    system: System,
    x0: ArrayLike | None = None,
    *,
    period: int = 1,
    starts: int | None = None,
    box: tuple | None = None,
    drive: Drive = None,
    modulus: Any = None,
    tolerance: float = 1e-10,
    rng: Rng = 0,
) -> Dataset:
    """Fixed points of a system, or the points of all cycles whose length divides ``period``.

    f^period(x) = x for a Map, f(x) = 0 for a Flow, by damped Newton from many starts at once on the
    exact Jacobian, once for each divisor of the period: states that orbits visit, states around
    them, and, until that finds no more, states between the points found. Equal solutions are
    merged, and the images of a cycle's points belong to it. No search of this kind can prove that
    it found all: ``unseen``, the share of searches that found a point which no other did, estimates
    how likely one more would find a new one (Good 1953).

    Parameters
    ----------
    system : Map, Flow or torch.nn.Module
        The system.
    x0 : array_like (n,) or (m, n), optional
        The start of an orbit, or visited states themselves, such as those of a trained network on
        its task. By default orbits of ``system.initial``, half of them with white noise of standard
        deviation 1 added to the input, give a quarter of the starts, the box around them, widened
        by random factors of up to 100, a quarter, and the box around what these have found half.
    period : int, optional
        Length of the cycles, 1 for fixed points. For a Flow pass dm.FlowMap(flow, dt), or leave it
        at 1 (equilibria).
    starts : int, optional
        Number of starts: 1000 by default for up to 10 states, else 200; with x0 its states, each
        once. Those between the points found come on top.
    box : (low, high), optional
        Numbers or arrays (n,), from which starts are drawn in place of visited states; for cycles
        half of them are iterated over a period.
    drive : array_like (inputs,), optional
        Input that is held; zero by default.
    modulus : float or array_like (n,), optional
        Period of components that live on a circle, infinity or None for the others: 1 for the cat
        map.
    tolerance : float, optional
        |f^period(x) - x| at most, relative to 1 + |x|; for a Flow the speed.
    rng : int or Generator, optional
        Seed of the starts.

    Returns
    -------
    xarray.Dataset
        x : (point, state), 1
            Fixed points; ``point`` has length 0, and the attribute ``note`` a sentence, where none
            was found.
        period : (point,), step
            Least period.
        cycle : (point,), 1
            Number of the cycle; its points follow each other in order.
        eigenvalue_real, eigenvalue_imag : (point, mode), 1 or 1/time unit
            Multipliers of the cycle for a Map, rates for a Flow.
        exponent : (point, mode), 1/step or 1/time unit
            ln|multiplier| per unit of time, or the rate's real part.
        kind : (point,), 1
            "stable", "saddle", "repeller", or "marginal": no mode grows, some neither grow nor
            shrink.
        stable : (point,), 1
            Whether every mode shrinks.
        marginal : (point,), 1
            Whether any exponent is 0 to rounding.
        residual : (point,), 1
            |f^period(x) - x|, or the speed.
        found : (point,), 1
            Searches that ended there: one from each start for each divisor of the period.
        distance : (point,), 1 [optional]
            Distance from the nearest visited state; not there for starts from a box.
        converged : (), 1
            Searches that ended at a fixed point or on a cycle.
        lost : (), 1
            The other searches.
        saturated : (), 1
            Those of them that ended where the rule stands still to rounding alone.
        unseen : (), 1
            Share of the searches that alone found their point.

    Raises
    ------
    ValueError, ShapeError
        For wrong arguments.
    NotFiniteError
        Where the rule is finite at no start.

    Notes
    -----
    A continuum of fixed points is named in the attribute ``note``.

    Where a gate saturates, z = 1 - 1e-17, a rule stands still to rounding without a fixed point. A
    solution is taken for one if Newton's steps towards it shrink, as they do not where the residual
    only fades, and if no component of f - x has faded to rounding there that moves elsewhere.
    Beyond the box that steps from visited states do not leave (``box``, where that is given) the
    Jacobian of f - x has to be regular, which pins a zero. The continuum of a line attractor is
    kept within that box; a regular point is kept wherever it lies, also where only a kick gets.

    References
    ----------
    Strogatz (1994), Nonlinear Dynamics and Chaos, chapters 6 and 10; Good (1953), Biometrika 40,
    237. Sussillo and Barak (2013), Neural Computation 25, 626, for starts from visited states.

    See Also
    --------
    slow_points : minima of the speed, where it need not vanish.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.fixed_points(dm.systems.get("henon")).x.sel(state="x").values.round(7).tolist()
    [-1.1313545, 0.6313545]
    """
    system = as_system(system)
    period, tolerance = _checked(system, period, tolerance, x0, box)
    u = constant_drive(system, drive)
    with one_thread():
        search = _searched(system, x0, starts, box, u, modulus, period, tolerance, generator(rng))
        equation, points, found, doubt = search.equation, search.points, search.found, search.doubt
        points, found, doubt = _whole_cycles(equation, (points, found, doubt), tolerance)
        points = equation.near_zero(points)
        order, cycle, periods = _sorted(equation, points)
        points, found = points[order], found[order]
        values, errors = eigenvalues(equation, points, periods)
    rows = {
        "x": (("point", "state"), points, "1", "fixed point"),
        "period": ("point", periods, "step", "least period"),
        "cycle": ("point", cycle, "1", "cycle that the point belongs to"),
        **mode_rows(equation, values, errors, periods),
        **_counts(search, points, found),
    }
    if box is None:
        distance = distance_to(search.reach.states, points)
        rows["distance"] = ("point", distance, "1", "distance from the nearest visited state")
    note = _note(rows, search.starts)
    return dataset(
        rows,
        coordinates(system, points),
        title=f"fixed points of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system)
        | {"length": period, "starts": search.starts, "box": box, "tolerance": tolerance},
        seed=rng,
        **({"note": note} if note else {}),
    )


def coordinates(system: System, points: np.ndarray, name: str = "fixed point") -> dict:
    """Coordinates of points (m, n) and of their modes."""
    count, n = points.shape
    names = list(system.states) or [f"x{i}" for i in range(n)]
    index = np.arange(1, n + 1)
    return {
        "point": ("point", np.arange(count), "1", name),
        "state": ("state", names, "1", "component of the state"),
        "mode": ("mode", index, "1", "index of the mode, fastest growing first"),
    }


def _checked(system, period, tolerance, x0, box):
    period = integer("period", period)
    if isinstance(system, Flow) and period > 1:
        raise ValueError(
            f"period = {period} for {type(system).__name__}, a Flow: its equilibria "
            "have period 1; for cycles of the map over a "
            "time dt pass dm.FlowMap(flow, dt)"
        )
    if x0 is not None and box is not None:
        raise ValueError("x0 and box both say where to start: pass one of them")
    return period, number("tolerance", tolerance, above=0)


def _check_finite(equation, x):
    with np.errstate(all="ignore"):
        finite = np.isfinite(equation.residual(x)).all(axis=1)
    if not finite.any():
        raise NotFiniteError(
            f"{equation.system} is not finite at any of {len(x)} starts: tame "
            "the parameters, or pass other starts, x0 or box"
        )


def read_modulus(system: System, modulus: Any, n: int) -> np.ndarray | None:
    """Periods (n,) of components on circles, by default those that the system states, infinite for
    the others; None where all are."""
    if modulus is None:
        return circles_of(system, n)
    values = [
        np.inf if m is None else float(m)
        for m in np.broadcast_to(np.asarray(modulus, object), (n,))
    ]
    if not all(m > 0 for m in values):
        raise ValueError(f"modulus = {modulus}: the period of a circle is positive")
    return np.array(values)


@dataclass
class _Search:
    """What the starts have found so far: points (m, n) that differ, how many searches ended at
    each, and the errors of their places."""

    equation: Equation
    reach: Reach
    tolerance: float
    starts: int = 0
    searches: int = 0
    converged: int = 0
    saturated: int = 0

    def __post_init__(self):
        self.points = np.empty((0, self.reach.states.shape[1]))
        self.found, self.doubt = np.empty(0, int), np.empty(0)

    def add(self, x):
        """Search from the starts x (m, n), cycles of each length that divides the period for
        themselves: the shortest are rare among all. The number of points that are new."""
        before, self.starts = len(self.points), self.starts + len(x)
        for length in range(1, self.equation.period + 1):
            if self.equation.period % length == 0:
                self._add(replace(self.equation, period=length), x)
        return len(self.points) - before

    def _add(self, equation, x):
        solution, error, good = solve(equation, x, tolerance=self.tolerance)
        size = 1.0 + np.linalg.norm(solution, axis=1)
        good &= size <= MAX_DISTANCE_RATIO * (1.0 + np.linalg.norm(x, axis=1).max())
        good[good] = ~(still := self.reach.saturated(solution[good]))
        self.saturated += int(still.sum())
        self.searches, self.converged = self.searches + len(x), self.converged + int(good.sum())
        self.points, self.found, self.doubt = merged(
            self.equation,
            np.concatenate([self.points, solution[good]]),
            np.concatenate([self.doubt, error[good]]),
            np.concatenate([self.found, np.ones(int(good.sum()), int)]),
        )


def _searched(system, x0, starts, box, u, modulus, period, tolerance, rng):
    """The search from a box, from states given, or from orbits."""
    given = np.ndim(x0) > 1 if x0 is not None else False
    if box is not None:
        x, *sides = starts_in_box(system, starts, box, u, period, rng)
    else:
        states = visited_states(system, x0, u, rng)
        x = first_starts(system, states, starts, given, rng)
    check_batch(system, x, u)
    equation = Equation(system, period, u, read_modulus(system, modulus, x.shape[1]))
    _check_finite(equation, x)
    if box is not None:
        search = _Search(equation, Box(equation, x, rng, *sides), tolerance)
        search.add(x)
        return search
    search = _Search(equation, Reach(equation, states, rng), tolerance)
    search.add(x)
    count = len(x) if given else count_starts(starts, x[0])
    if not given:
        search.add(starts_around(search.points, states, -(-count // 2), rng))
    _complete(search, int(np.clip(count // 2, *STARTS_BETWEEN)), rng)
    return search


def _complete(search, count, rng):
    """Search between the points found until that finds no more."""
    empty, tried = 0, set()
    for _ in range(ROUNDS_BETWEEN):
        if empty == EMPTY_ROUNDS or not 2 <= len(search.points) <= MAX_POINTS_BETWEEN:
            break
        starts = starts_between(search.points, count, tried, rng)
        if not len(starts):
            break
        new = search.add(starts)
        empty = 0 if new else empty + 1


def merged(equation: Equation, x: np.ndarray, error: np.ndarray, found: np.ndarray) -> tuple:
    """Points that differ (m, n), the sum of ``found`` over each, and the errors of the points."""
    points, reach = np.empty_like(x), np.empty(len(x))
    counts, doubts, m = np.zeros(len(x), int), np.empty(len(x)), 0
    for value, doubt, count in zip(x, error, found, strict=True):
        near = SAME_POINT_DISTANCE * (1.0 + np.linalg.norm(value)) + 10.0 * min(doubt, 1e-4)
        distance = np.linalg.norm(equation.difference(points[:m], value), axis=1)
        if m and (distance < np.maximum(near, reach[:m])).any():
            counts[distance.argmin()] += count
        else:
            points[m], reach[m], counts[m], doubts[m], m = value, near, count, doubt, m + 1
    return points[:m], counts[:m], doubts[:m]


def _whole_cycles(equation, distinct, tolerance):
    """The points with their images, which belong to the same cycles, those that no start found
    counted 0."""
    points, found, doubt = distinct
    if equation.period == 1 or not len(points):
        return distinct
    with np.errstate(all="ignore"):
        images = [points]
        for _ in range(equation.period - 1):
            x, _, good = solve(
                equation,
                equation.wrapped(equation.image(images[-1], 1)),
                tolerance=tolerance,
                iterations=8,
            )
            images.append(np.where(good[:, None], x, images[-1]))
    joined = np.concatenate(images)
    whole, _, doubt = merged(
        equation, joined, np.tile(doubt, equation.period), np.ones(len(joined), int)
    )
    return whole, np.concatenate([found, np.zeros(len(whole) - len(points), int)]), doubt


def _sorted(equation, points):
    """An order of the points, by period and then cycle after cycle; the cycle and the period of
    each in that order."""
    periods = np.array([_least_period(equation, x) for x in points], int)
    rank = np.lexsort((*points.T[::-1].round(9), periods)) if len(points) else np.empty(0, int)
    order, cycle, taken = [], [], np.zeros(len(points), bool)
    for first in rank:
        x, seen = points[first], 1 + (cycle[-1] if cycle else -1)
        for _ in range(periods[first]):
            nearest = int(np.linalg.norm(equation.difference(points, x), axis=1).argmin())
            if not taken[nearest]:
                taken[nearest] = True
                order.append(nearest)
                cycle.append(seen)
            x = (
                x
                if isinstance(equation.system, Flow)
                else equation.wrapped(equation.image(points[nearest], 1))
            )
    return np.array(order, int), np.array(cycle, int), periods[order] if order else periods


def _least_period(equation, x):
    p = equation.period
    for d in range(1, p):
        if p % d == 0 and np.linalg.norm(equation.residual(x, d)) <= SAME_POINT_DISTANCE * (
            1.0 + np.linalg.norm(x)
        ):
            return d
    return p


def _counts(search, points, found):
    with np.errstate(all="ignore"):
        residual = np.linalg.norm(search.equation.residual(points), axis=1)
    good, lost = search.converged, search.searches - search.converged
    unseen = float((found == 1).sum() / good) if good else np.nan
    return {
        "residual": ("point", residual, "1", "distance from its image, or the speed left"),
        "found": ("point", found, "1", "searches that ended there"),
        "converged": ((), good, "1", "searches that ended at a fixed point"),
        "lost": ((), lost, "1", "searches that ended nowhere"),
        "saturated": ((), search.saturated, "1", "searches that ended where a rule stands still"),
        "unseen": ((), unseen, "1", "share of the searches that alone found their point"),
    }


def _note(rows, starts):
    points, marginal = len(rows["x"][1]), rows["marginal"][1]
    if not points:
        return (
            f"none of {starts} starts ended at a fixed point: there may be none, or the "
            "starts lie too far; pass box, or visited states as x0"
        )
    if points > 8 and marginal.mean() > 0.5 and rows["unseen"][1] > 0.1:
        return (
            "most points have a marginal mode and many starts found one of their own: the "
            "fixed points seem to form a continuum, of which "
            "this is a sample, or repeat along an angle, for which pass its modulus"
        )
    return ""
