"""Fixed points and cycles: where a system stays, and whether it would come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...drive import constant_drive
from ...errors import NotFiniteError, ShapeError
from ...labels import complex_parts, dataset, describe_system
from ...orbits import as_map
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, System, as_state, as_system, check_batch
from ...typing import ArrayLike, Drive, Rng
from .newton import Equation, solve

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Newton's method from many starts; Strogatz (1994), Nonlinear Dynamics and Chaos, for "
    "the classes"
)
SMALL_STATE_SIZE = 10  # states up to which a start is cheap
STARTS_SMALL, STARTS_LARGE = 1000, 200  # starts for systems up to that size, and beyond
MAX_BOX_FACTOR = 100.0  # by which the box around orbits is widened at most
# last Newton step, relative to 1 + |x|, above which a start has not arrived but is on its way to
# infinity
MAX_LAST_STEP = 1e-4
MAX_DISTANCE_RATIO = 100.0  # norm over that of the farthest start, beyond which a point is lost
SAME_POINT_DISTANCE = 1e-8  # relative to 1 + |x|, below which two solutions are one
MARGINAL_EXPONENT = 1e-6  # relative to 1 + the largest exponent, below which one counts as 0


@public
def fixed_points(
    system: System,
    *,
    period: int = 1,
    starts: int | ArrayLike | None = None,
    box: tuple | None = None,
    drive: Drive = None,
    modulus: Any = None,
    tolerance: float = 1e-10,
    rng: Rng = 0,
) -> Dataset:
    """Fixed points of a system, or the points of all cycles whose length divides ``period``.

    f^period(x) = x for a Map, f(x) = 0 for a Flow, by damped Newton from many starts at once on the
    exact Jacobian. Equal solutions are merged, and the images of a cycle's points belong to it. No
    search of this kind can prove that it found all: ``unseen``, the share of starts that found a
    point which no other did, estimates how likely one more start would find a new one (Good 1953).

    Parameters
    ----------
    system : Map or Flow
        The system.
    period : int, optional
        Length of the cycles, 1 for fixed points. For a Flow pass dm.FlowMap(flow, dt), or leave it
        at 1 (equilibria).
    starts : int or array_like (m, n), optional
        Number of starts (by default 1000 for up to 10 states, else 200), or the starts themselves.
    box : (low, high), optional
        Numbers or arrays (n,), from which starts are drawn; for cycles half of them are iterated
        over a period. By default a quarter lies on orbits of ``system.initial``, a quarter in the
        box around these, widened by random factors of up to 100, and half in the box around what
        these have found, made twice as wide.
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
            Starts that ended there.
        converged : (), 1
            Starts that ended at a fixed point.
        lost : (), 1
            The other starts.
        unseen : (), 1
            Share of starts that alone found their point.

    Raises
    ------
    ValueError, ShapeError
        For wrong arguments.
    NotFiniteError
        Where the rule is finite at no start.

    Notes
    -----
    A continuum of fixed points is named in the attribute ``note``.

    References
    ----------
    Strogatz (1994), Nonlinear Dynamics and Chaos, chapters 6 and 10; Good (1953), Biometrika 40,
    237.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.fixed_points(dm.systems.get("henon")).x.sel(state="x").values.round(7).tolist()
    [-1.1313545, 0.6313545]
    """
    system = as_system(system)
    period, tolerance = _checked(system, period, tolerance)
    u = constant_drive(system, drive)
    with one_thread():
        rounds = _starts(system, starts, box, u, period, generator(rng))
        x = next(rounds)
        check_batch(system, x, u)
        equation = Equation(system, period, u, _modulus(modulus, x.shape[1]))
        _check_finite(equation, x)
        solution, error, good = _search(equation, x, tolerance)
        for more in _further(rounds, solution[good]):
            found = _search(equation, more, tolerance)
            x, solution, error, good = (
                np.concatenate(pair)
                for pair in zip((x, solution, error, good), (more, *found), strict=True)
            )
        distinct = _distinct(equation, solution[good], error[good])
        points, found, doubt = _whole_cycles(equation, distinct, tolerance)
        points = equation.near_zero(points)
        order, cycle, periods = _sorted(equation, points)
        points, found, doubt = points[order], found[order], doubt[order]
        values = _eigenvalues(equation, points, periods)
    rows = _rows(equation, points, values, periods, cycle, found, doubt, good)
    note = _note(rows, good)
    return dataset(
        rows,
        _coordinates(system, points),
        title=f"fixed points of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system)
        | {"length": period, "starts": len(x), "box": box, "tolerance": tolerance},
        seed=rng,
        **({"note": note} if note else {}),
    )


def _coordinates(system, points):
    count, n = points.shape
    names = list(system.states) or [f"x{i}" for i in range(n)]
    index = np.arange(1, n + 1)
    return {
        "point": ("point", np.arange(count), "1", "fixed point"),
        "state": ("state", names, "1", "component of the state"),
        "mode": ("mode", index, "1", "index of the mode, fastest growing first"),
    }


def _checked(system, period, tolerance):
    period = integer("period", period)
    if isinstance(system, Flow) and period > 1:
        raise ValueError(
            f"period = {period} for {type(system).__name__}, a Flow: its equilibria "
            "have period 1; for cycles of the map over a "
            "time dt pass dm.FlowMap(flow, dt)"
        )
    return period, number("tolerance", tolerance, above=0)


def _check_finite(equation, x):
    with np.errstate(all="ignore"):
        finite = np.isfinite(equation.residual(x)).all(axis=1)
    if not finite.any():
        raise NotFiniteError(
            f"{equation.system} is not finite at any of {len(x)} starts: tame "
            "the parameters, or pass starts"
        )


def _modulus(modulus, n):
    if modulus is None:
        return None
    values = [
        np.inf if m is None else float(m)
        for m in np.broadcast_to(np.asarray(modulus, object), (n,))
    ]
    if not all(m > 0 for m in values):
        raise ValueError(f"modulus = {modulus}: the period of a circle is positive")
    return np.array(values)


def _search(equation, x, tolerance):
    """Solutions from the starts x, their errors, and which of them are fixed points near enough to
    be believed."""
    solution, error, good = solve(equation, x, tolerance=tolerance)
    size = 1.0 + np.linalg.norm(solution, axis=1)
    return (
        solution,
        error,
        good
        & (error <= MAX_LAST_STEP * size)
        & (size <= MAX_DISTANCE_RATIO * (1.0 + np.linalg.norm(x, axis=1).max())),
    )


def _further(rounds, points):
    """The second round of starts, if there is one."""
    try:
        yield rounds.send(points)
    except StopIteration:
        return


def _starts(system, starts, box, u, period, rng):
    """Starts (m, n) in one round, those given or drawn from the box; or in two: from orbits and
    boxes around them, and then from the box around the points found, which are sent in."""
    if starts is not None and np.ndim(starts) > 0:
        x = as_state(system, starts, "starts")
        yield x.reshape(-1, x.shape[-1])
        return
    if starts is not None:
        integer("starts", starts, 1)
    if box is not None:
        low, high = _box(system, box)
        inside = rng.uniform(low, high, (_count(starts, low), len(low)))
        yield inside if period == 1 else _iterated(system, inside, low, high, u, period)
        return
    states = _explored(system, u, rng)
    low, high = _around(states)
    share = -(-_count(starts, low) // 4)
    wide = np.exp(rng.uniform(0.0, np.log(MAX_BOX_FACTOR), (share, 1)))
    around = 0.5 * (low + high) + 0.5 * wide * (high - low) * rng.uniform(
        -1.0, 1.0, (share, len(low))
    )
    points = yield np.concatenate([around, states[rng.integers(len(states), size=share)]])
    low, high = _around(np.concatenate([points, states]) if len(points) < 2 else points)
    yield rng.uniform(1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low, (2 * share, len(low)))


def _count(starts, low):
    if starts:
        return int(starts)
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


def _around(states):
    """The box around the states; of size 1 where they do not move."""
    low, high = states.min(axis=0), states.max(axis=0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    half = np.where(half > 1e-8 * (1.0 + np.abs(middle)), half, 1.0)
    return middle - half, middle + half


def _explored(system, u, rng, orbits=8, steps=300):
    """States of short orbits (m, n), where they stay finite."""
    x = np.array([system.initial(seed) for seed in rng.spawn(orbits)])
    check_batch(system, x, u)
    try:
        stepper = as_map(system, None, x[0], u)
    except NotFiniteError:
        return x
    states = [x]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            states.append(np.asarray(stepper.rule(states[-1], u)))
    states = np.concatenate(states)
    return states[(np.abs(states) < 1e8).all(axis=1)]


def _distinct(equation, x, error):
    """Points that differ (m, n), how many solutions fell on each, and the errors of the points."""
    points, found, doubts, reach = np.empty((0, x.shape[1])), [], [], np.empty(0)
    for value, doubt in zip(x, error, strict=True):
        near = SAME_POINT_DISTANCE * (1.0 + np.linalg.norm(value)) + 10.0 * min(doubt, 1e-4)
        distance = np.linalg.norm(equation.difference(points, value), axis=1)
        if len(points) and (distance < np.maximum(near, reach)).any():
            found[int(distance.argmin())] += 1
        else:
            points, reach = np.vstack([points, value]), np.append(reach, near)
            found.append(1)
            doubts.append(doubt)
    return points, np.array(found, int), np.array(doubts)


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
    whole, _, doubt = _distinct(equation, np.concatenate(images), np.tile(doubt, equation.period))
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


def _eigenvalues(equation, points, periods):
    """Multipliers over the least period (m, n), or rates of a flow, fastest growing first."""
    values = np.empty(points.shape, complex)
    for p in np.unique(periods):
        at = periods == p
        values[at] = np.linalg.eigvals(
            Equation(equation.system, int(p), equation.u, equation.modulus).derivative(points[at])
        )
    size = values.real if isinstance(equation.system, Flow) else np.abs(values)
    return np.take_along_axis(values, np.argsort(-size, axis=1, kind="stable"), axis=1)


def _exponents(system, values, periods):
    if isinstance(system, Flow):
        return values.real
    with np.errstate(divide="ignore"):
        return np.log(np.abs(values)) / (periods[:, None] * abs(system.dt))


def _rows(equation, points, values, periods, cycle, found, doubt, good):
    system, flow = equation.system, isinstance(equation.system, Flow)
    exponents = _exponents(system, values, periods)
    grow, none = _signs(exponents, doubt)
    kind = np.where(
        grow.all(axis=1),
        "repeller",
        np.where(grow.any(axis=1), "saddle", np.where(none.any(axis=1), "marginal", "stable")),
    )
    with np.errstate(all="ignore"):
        residual = np.linalg.norm(equation.residual(points), axis=1)
    per = "1/time unit" if flow or system.dt != 1 else "1/step"
    return {
        "x": (("point", "state"), points, "1", "fixed point"),
        "period": ("point", periods, "step", "least period"),
        "cycle": ("point", cycle, "1", "cycle that the point belongs to"),
        **complex_parts(
            "eigenvalue",
            ("point", "mode"),
            values,
            "1/time unit" if flow else "1",
            "rate" if flow else "multiplier of the cycle",
        ),
        "exponent": (("point", "mode"), exponents, per, "growth of the mode"),
        "kind": ("point", kind.astype("<U8"), "1", "stability"),
        "stable": ("point", kind == "stable", "1", "whether every mode shrinks"),
        "marginal": ("point", none.any(axis=1), "1", "whether a mode neither grows nor shrinks"),
        "residual": ("point", residual, "1", "distance from its image, or the speed left"),
        "found": ("point", found, "1", "starts that ended there"),
        "converged": ((), int(good.sum()), "1", "starts that ended at a fixed point"),
        "lost": ((), int((~good).sum()), "1", "starts that ended nowhere"),
        "unseen": (
            (),
            float((found == 1).sum() / good.sum()) if good.any() else np.nan,
            "1",
            "share of starts that alone found their point",
        ),
    }


def _signs(exponents, doubt):
    """Which exponents are above 0, and which cannot be separated from 0, given the errors of the
    points."""
    finite = np.where(np.isfinite(exponents), np.abs(exponents), 0.0)
    limit = (
        MARGINAL_EXPONENT * (1.0 + finite.max(axis=1, initial=0.0, keepdims=True))
        + 10.0 * doubt[:, None]
    )
    return exponents > limit, np.abs(exponents) <= limit


def _note(rows, good):
    points, marginal = len(rows["x"][1]), rows["marginal"][1]
    if not points:
        return (
            f"none of {len(good)} starts ended at a fixed point: there may be none, or the "
            "starts lie too far; pass box or starts"
        )
    if points > 8 and marginal.mean() > 0.5 and rows["unseen"][1] > 0.1:
        return (
            "most points have a marginal mode and many starts found one of their own: the "
            "fixed points seem to form a continuum, of which "
            "this is a sample, or repeat along an angle, for which pass its modulus"
        )
    return ""
