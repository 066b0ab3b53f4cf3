"""Cycles: where an orbit comes back to after a period, and whether neighbours come back with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...drive import constant_drive
from ...errors import NotFiniteError
from ...labels import complex_parts, dataset, describe_system
from ...orbits import FlowMap, as_map, trajectory
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, System, as_state, as_system, circles_of
from ...typing import ArrayLike, Drive, Rng
from .fixed_points import fixed_points
from .newton import Equation
from .shooting import CYCLE_RTOL, SEGMENTS, shooting
from .visited import Reach, visited_states

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "multiple shooting, Stoer and Bulirsch (2002), Introduction to Numerical Analysis, section "
    "7.3.5; Lathrop and Kostelich (1989), Phys. Rev. A 40, 4028, for starts from close returns"
)
PHASES = 64  # points of a cycle that are returned
ORBIT_STEPS = 4000  # of the orbit whose close returns are starts, and of its transient
ORIGINS, RETURNS = 200, 4  # places of it from which returns are sought, and returns of each
STARTS = 80
ALIKE, OF_ONE_LENGTH = 0.01, 3  # returns within 1 % of one time, of which the closest are tried
CLOSE = 0.25  # of the orbit's own spread, below which a state has come back
LEFT = 0.4  # of that spread, which it has to leave before
MARGIN = 0.5  # of the width of what orbits visit, beyond which a cycle lies out of their reach
UNIT = 1e-6  # of |multiplier| - 1, below which it is marginal
SAME_PERIOD = 1e-6  # relative, of two solutions that are one cycle where they also touch


@public
def cycles(
    system: System,
    x0: ArrayLike | None = None,
    *,
    period: float | None = None,
    starts: int | None = None,
    drive: Drive = None,
    tolerance: float = 1e-9,
    rng: Rng = 0,
) -> Dataset:
    """Cycles of a system that its orbits come near: periods, points, multipliers and stability.

    Of a Flow the period is an unknown: points along the cycle and the period are solved for
    together by Newton's method on exact tangents (multiple shooting), so that unstable cycles are
    found as stable ones are. It starts from close returns of an orbit, or from x0 and a guess of
    the period. Of a Map, such as a network or a section of a flow, all cycles of the length
    ``period`` are those of ``fixed_points`` from visited states, as far as orbits reach.

    Parameters
    ----------
    system : Map, Flow or torch.nn.Module
        The system; of a flow that depends on time pass ``dm.StroboscopicMap(flow, period)``.
    x0 : array_like (n,) or (m, n), optional
        The start of the orbit; with ``period`` of a Flow a state near the cycle; for a Map also
        visited states themselves.
    period : float, optional
        Of a Map the length of the cycles in steps, 1 by default; of a Flow a guess.
    starts : int, optional
        Close returns that are tried, 80 by default; of a Map the starts of ``fixed_points``.
    drive : array_like (inputs,), optional
        Input that is held; zero by default.
    tolerance : float, optional
        |f^T(x) - x| at most, relative to 1 + |x|.
    rng : int or Generator, optional
        Seed of the start.

    Returns
    -------
    xarray.Dataset
        period : (cycle,), step or time unit
            Least period.
        period_error : (cycle,), time unit [optional]
            Error of the period of a flow, from steps of a larger error.
        x : (cycle, phase, state), 1
            Points along the cycle, equally spaced in time; of a map its points.
        multiplier_real, multiplier_imag : (cycle, mode), 1
            Multipliers; of a flow without that of 1 along the cycle.
        kind : (cycle,), 1
            "stable", "saddle", "repeller" or "marginal".
        stable : (cycle,), 1
            Whether every multiplier lies within the unit circle.
        residual : (cycle,), 1
            Norm of |f^T(x) - x|, over all segments of a flow.
        found : (cycle,), 1
            Starts that ended there.
        unit_error : (cycle,), 1 [optional]
            Distance from 1 of the multiplier along the cycle of a flow.

    Raises
    ------
    ValueError, ShapeError
        For wrong arguments.
    NotFiniteError
        Where the orbit is lost.
    TypeError
        For a flow that depends on time.

    References
    ----------
    Stoer and Bulirsch (2002), Introduction to Numerical Analysis, section 7.3.5; Lathrop and
    Kostelich (1989), Phys. Rev. A 40, 4028.

    See Also
    --------
    fixed_points : cycles of a map with all images, and equilibria.

    Examples
    --------
    >>> import dynmem as dm
    >>> def oscillator(state, mu=1.0):
    ...     x, v = state
    ...     return v, mu * (1 - x * x) * v - x
    >>> flow = dm.Flow.from_function(oscillator, states=("x", "v"))
    >>> found = dm.cycles(flow, [2.0, 0.0])
    >>> found.period.values.round(6).tolist(), found.stable.values.tolist()
    ([6.663287], [True])
    """
    system = as_system(system)
    tolerance = number("tolerance", tolerance, above=0)
    u = constant_drive(system, drive)
    if isinstance(system, Flow):
        with one_thread():
            found, count = _of_flow(system, x0, period, starts, u, tolerance, generator(rng))
        rows = found
    else:
        length = 1 if period is None else integer("period", period)
        rows, count = _of_map(system, x0, length, starts, u, min(tolerance, 1e-10), rng)
    return _labelled(system, rows, count, period, tolerance, rng)


def _of_map(system, x0, length, starts, u, tolerance, rng):
    """Cycles of a map whose least period is ``length``."""
    found = fixed_points(
        system, x0, period=length, starts=starts, drive=u, tolerance=tolerance, rng=rng
    )
    seed = generator(rng)
    states = visited_states(system, x0, u, seed)
    outside = Reach(Equation(system, length, u), states, seed).left_by(found.x.values)
    rows = []
    for cycle in np.unique(found.cycle):
        one = found.isel(point=(found.cycle == cycle).values)
        x = one.x.values
        if int(one.period[0]) != length or outside[(found.cycle == cycle).values].any():
            continue
        values = one.eigenvalue_real.values[0] + 1j * one.eigenvalue_imag.values[0]
        rows.append(
            {
                "period": length * abs(system.dt),
                "x": x,
                "values": values,
                "residual": float(one.residual.max()),
                "found": int(one.found.sum()),
            }
        )
    return rows, int(found.converged + found.lost)


def _of_flow(system, x0, period, starts, u, tolerance, rng):
    """Cycles of a flow, each once."""
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ValueError(f"x0 has shape {x.shape}: pass one state (n,) of a Flow")
    equations = shooting(system, x, u)
    if period is not None:
        period = number("period", period, above=0)
        guesses, box = [(x, period)], None
    else:
        states, step = _visited(system, x, u, equations.look)
        guesses = _close_returns(states, step, circles_of(system, len(x)))
        guesses = guesses[: STARTS if starts is None else integer("starts", starts)]
        low, high = states.min(axis=0), states.max(axis=0)
        margin = MARGIN * (high - low) + 1e-9 * (1.0 + np.abs(low))
        free = circles_of(system, len(x))
        margin[np.isfinite(free) if free is not None else []] = np.inf
        box = low - margin, high + margin
    rows: list[dict] = []
    for start, guess in guesses:
        X = equations.from_orbit(start, guess)
        solved = equations.solve(X, guess, tolerance) if np.isfinite(X).all() else None
        if solved is None or not solved[1] > equations.look:
            continue
        row = _row(equations, *equations.least(*solved[:2], tolerance))
        if row is None or (box and not ((row["x"] >= box[0]) & (row["x"] <= box[1])).all()):
            continue
        known = next((other for other in rows if _same(row, other, equations.system)), None)
        if known is None:
            rows.append(row)
        else:
            known["found"] += 1
    for row in rows:
        row["error"] = equations.error_of_period(row.pop("start"), row["period"])
    return sorted(rows, key=lambda row: row["period"]), len(guesses)


def _visited(system, x, u, look):
    """States (steps + 1, n) of an orbit after its transient, and the time between them."""
    stepper = as_map(system, None, x, u)
    if stepper.dt > look:
        stepper = FlowMap(system, look, order=8, rtol=CYCLE_RTOL)
    end = trajectory(stepper, x, ORBIT_STEPS, u)[-1]
    if not np.isfinite(end).all():
        raise NotFiniteError(f"the orbit of {type(system).__name__} from {x} is lost")
    return trajectory(stepper, end, ORBIT_STEPS, u), stepper.dt


def _close_returns(states, step, circles):
    """States and times after which the orbit came back to them, the shortest first."""
    scaled = states
    if circles is not None:
        turn = 2.0 * np.pi * states[:, np.isfinite(circles)] / circles[np.isfinite(circles)]
        scaled = np.hstack([states[:, ~np.isfinite(circles)], np.sin(turn), np.cos(turn)])
    spread = scaled.std(axis=0)
    scaled = scaled / np.where(spread > 0.0, spread, 1.0)
    size, found = np.sqrt(scaled.shape[1]), []
    for origin in np.linspace(0, len(states) // 2, ORIGINS).astype(int):
        far = np.linalg.norm(scaled[origin:] - scaled[origin], axis=1) / size
        left = np.flatnonzero(far > LEFT)
        if not len(left):
            continue
        near = (far[1:-1] <= far[:-2]) & (far[1:-1] < far[2:]) & (far[1:-1] < CLOSE)
        lags = 1 + np.flatnonzero(near)
        lags = lags[lags > left[0]][:RETURNS]
        found += [(far[lag], states[origin], lag * step) for lag in lags]
    found.sort(key=lambda row: row[0])
    lengths: dict[int, list] = {}
    for _, x, time in found:
        alike = lengths.setdefault(round(np.log(time) / ALIKE), [])
        if len(alike) < OF_ONE_LENGTH:
            alike.append((x, time))
    return sorted((start for alike in lengths.values() for start in alike), key=lambda s: s[1])


def _row(equations, X, period, residual):
    """A cycle and its multipliers; None for an equilibrium."""
    if np.ptp(X, axis=0).max() <= 1e-6 * (1.0 + np.abs(X).max()):
        return None
    values = np.linalg.eigvals(equations.monodromy(X, period))
    if not np.isfinite(values).all():
        return None
    along = int(np.abs(values - 1.0).argmin())
    rest = np.delete(values, along)
    points = equations.points(X, period, PHASES - PHASES % SEGMENTS)
    return {
        "period": period,
        "x": np.roll(points, -int(points[:, 0].argmax()), axis=0),
        "values": rest[np.argsort(-np.abs(rest), kind="stable")],
        "residual": residual,
        "found": 1,
        "unit": abs(values[along] - 1.0),
        "start": X,
    }


def _same(row, other, system):
    """Whether two solutions are one cycle: of one period, and each passes through the other."""
    if abs(row["period"] - other["period"]) > SAME_PERIOD * row["period"]:
        return False
    points, circles = other["x"], circles_of(system, row["x"].shape[1])
    gap = points - row["x"][0]
    if circles is not None:
        turn = np.where(np.isfinite(circles), circles, 1.0)
        gap = np.where(np.isfinite(circles), gap - turn * np.round(gap / turn), gap)
    step = np.abs(points - np.roll(points, 1, axis=0))
    if circles is not None:
        step = step[:, ~np.isfinite(circles)]
    return np.linalg.norm(gap, axis=1).min() < np.linalg.norm(step, axis=1).max()


def _kind(values, doubt):
    size = np.abs(values) - 1.0
    grows = size > doubt
    if grows.all() and len(values):
        return "repeller"
    return "saddle" if grows.any() else "marginal" if (size > -doubt).any() else "stable"


def _labelled(system, rows, starts, period, tolerance, rng):
    flow, n = isinstance(system, Flow), system.size or (rows[0]["x"].shape[1] if rows else 0)
    unit = "time unit" if flow or system.dt != 1 else "step"
    modes = n - 1 if flow else n
    points = PHASES - PHASES % SEGMENTS if flow else (rows[0]["x"].shape[0] if rows else 0)
    values = np.array([row["values"] for row in rows], complex).reshape(len(rows), modes)
    doubt = [max(UNIT, row.get("unit", 0.0)) for row in rows]
    kinds = [_kind(row["values"], d) for row, d in zip(rows, doubt, strict=True)]

    def column(name, kind=float):
        return np.array([row[name] for row in rows], kind)

    variables: dict[str, Any] = {
        "period": ("cycle", column("period"), unit, "least period"),
        "x": (
            ("cycle", "phase", "state"),
            np.array([row["x"] for row in rows]).reshape(len(rows), points, n),
            "1",
            "point of the cycle",
        ),
        **complex_parts("multiplier", ("cycle", "mode"), values, "1", "multiplier"),
        "kind": ("cycle", np.array(kinds, "<U8"), "1", "stability"),
        "stable": ("cycle", np.array(kinds, "<U8") == "stable", "1", "whether every mode shrinks"),
        "residual": ("cycle", column("residual"), "1", "distance from the state a period later"),
        "found": ("cycle", column("found", int), "1", "starts that ended there"),
    }
    if flow:
        variables["period_error"] = ("cycle", column("error"), unit, "error of the period")
        name = "distance from 1 of the multiplier along the cycle"
        variables["unit_error"] = ("cycle", column("unit"), "1", name)
    names = list(system.states) or [f"x{i}" for i in range(n)]
    coords = {
        "cycle": ("cycle", np.arange(len(rows)), "1", "cycle"),
        "phase": ("phase", np.arange(points) / max(points, 1), "1", "share of the period"),
        "state": ("state", names, "1", "component of the state"),
        "mode": ("mode", np.arange(1, modes + 1), "1", "index of the mode, fastest growing first"),
    }
    note = {} if rows else {"note": f"none of {starts} starts ended on a cycle"}
    return dataset(
        variables,
        coords,
        title=f"cycles of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system)
        | {"guess": period, "starts": starts, "tolerance": tolerance},
        seed=rng,
        **note,
    )
