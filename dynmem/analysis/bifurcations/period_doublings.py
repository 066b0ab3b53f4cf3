"""Period doublings: the parameters at which a multiplier of a cycle leaves through -1, one cycle
after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from ...errors import ConvergenceError, NotFiniteError
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, System, as_state
from ...typing import ArrayLike, Rng
from ..stability.newton import Equation, solve
from .bifurcation import system_factory

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "Feigenbaum (1978), J. Stat. Phys. 19, 25; Feigenbaum's constant 4.669201609 (Briggs 1991)"
FEIGENBAUM_DELTA = 4.669201609
STEPS_PER_WINDOW = 20  # of the parameter, between two doublings


@public
def period_doublings(
    system: System | Callable[[float], System],
    parameter: str,
    start: float,
    stop: float,
    *,
    x0: ArrayLike | None = None,
    doublings: int = 6,
    period: int = 1,
    duration: int = 2000,
    rng: Rng = 0,
) -> Dataset:
    """Parameters a_k at which a cycle of period 2^k p of a map loses its stability.

    A cycle of twice the period takes its place. The stable cycle at ``start`` is followed by
    Newton's method towards ``stop``; where the multiplier that is closest to -1 passes it, the
    parameter is found by bisection (Brent), and the cycle of twice the period is sought beyond. The
    ratio (a_k - a_(k-1)) / (a_(k+1) - a_k) tends to Feigenbaum's 4.6692 for maps with a quadratic
    maximum.

    Parameters
    ----------
    system : Map or callable
        A Map with a float field of that name, or a function value -> Map.
    parameter : str
        Name of the parameter.
    start, stop : float
        Its first and last value; either may be the larger one.
    x0 : array_like (n,), optional
        Start of the orbit that leads to the first cycle; by default ``system.initial(rng)``.
    doublings : int, optional
        How many at most; fewer where ``stop`` comes first (the attribute ``note`` names the
        reason).
    period : int, optional
        Period p of the cycle at ``start``.
    duration : int, optional
        Steps followed to reach the attractor.
    rng : int or Generator, optional
        Seed of the start.

    Returns
    -------
    xarray.Dataset
        value : (doubling,), 1
            The parameter at the doubling.
        period : (doubling,), step
            Period of the cycle that loses its stability.
        multiplier : (doubling,), 1
            Its multiplier, -1 to rounding.
        ratio : (doubling,), 1
            Ratio of the gaps before and after; NaN at both ends.
        accumulation : (), 1
            Limit of the values, extrapolated from the last three (Aitken); NaN below three.

    Raises
    ------
    ConvergenceError
        Where there is no stable cycle of that period at ``start``.
    TypeError
        For a Flow.
    ValueError
        For a parameter that the system does not have, or values that are equal.

    References
    ----------
    Feigenbaum (1978), J. Stat. Phys. 19, 25; Briggs (1991), Math. Comput. 57, 435.

    Examples
    --------
    >>> import dynmem as dm
    >>> logistic = dm.systems.get("logistic")
    >>> found = dm.analysis.period_doublings(logistic, "r", 2.9, 3.6, doublings=2)
    >>> found.value.values.round(6).tolist()
    [3.0, 3.44949]
    """
    make = system_factory(system, (parameter,))
    start, stop = number("start", start), number("stop", stop)
    first = make(**{parameter: start})
    if isinstance(first, Flow):
        raise TypeError(
            f"{type(first).__name__} is a Flow: a period in steps needs a Map, such "
            "as dm.FlowMap over the period of its drive"
        )
    if start == stop:
        raise ValueError(f"start = {start}, stop = {stop}: pass two values that differ")
    doublings, period = integer("doublings", doublings), integer("period", period)
    duration = integer("duration", duration, 0)
    x = first.initial(generator(rng)) if x0 is None else as_state(first, x0, "x0")
    with one_thread():
        x = _attracted(first, x, period, duration)
        found, note = _cascade(
            lambda value: make(**{parameter: float(value)}),
            x,
            start,
            stop,
            doublings,
            period,
            duration,
        )
    return _labelled(
        first,
        parameter,
        found,
        note,
        rng,
        {"start": start, "stop": stop, "duration": duration},
    )


def _attracted(system, x, period, duration):
    """A point of the stable cycle of that period to which x goes."""
    x = _cycle(system, trajectory(system, x, duration, None)[-1], period)
    if x is None or np.abs(_multipliers(system, x, period)).max() >= 1.0:
        raise ConvergenceError(
            f"no stable cycle of period {period} was reached in {duration} "
            f"steps ({system}): start at another value, or "
            "give the period that is stable there"
        )
    return x


def _cycle(system, x, period):
    """The cycle's point near x, by Newton; None where there is none."""
    x, _, good = solve(Equation(system, period), x[None], tolerance=1e-11)
    return x[0] if good[0] else None


def _near(system, x, period):
    point = _cycle(system, x, period)
    if point is None:
        raise ConvergenceError(
            f"the cycle of period {period} was lost next to its doubling "
            f"({system}): start nearer to it"
        )
    return point


def _multipliers(system, x, period):
    return np.linalg.eigvals(Equation(system, period).derivative(x[None])[0])


def _crossing(system, x, period):
    """1 + the smallest real multiplier: falls through 0 at a period doubling."""
    values = _multipliers(system, x, period)
    real = values.real[np.abs(values.imag) <= 1e-8 * (1.0 + np.abs(values))]
    return 1.0 + real.min() if len(real) else 1.0


def _cascade(make, x, start, stop, doublings, period, duration):
    """Found doublings [(value, period, crossing)], and why there are not more."""
    found, value, step = [], start, (stop - start) / STEPS_PER_WINDOW
    while len(found) < doublings:
        crossed = _follow(make, x, value, stop, step, period)
        if crossed is None:
            return (
                found,
                f"the cycle of period {period} keeps its stability, or ends otherwise, before "
                f"{stop:g}",
            )
        at, point = crossed
        found.append((at, period, _crossing(make(at), point, period)))
        gap = (at - found[-2][0]) / FEIGENBAUM_DELTA if len(found) > 1 else step
        period, step = 2 * period, gap / STEPS_PER_WINDOW
        x, value = _doubled(make, point, at, gap, period, duration)
        if x is None:
            return found, f"no stable cycle of period {period} was reached beyond {at:.9g}"
    return found, ""


def _follow(make, x, value, stop, step, period):
    """Parameter and point at which the cycle that starts at x passes a multiplier of -1; None where
    it does not before stop."""
    before = _crossing(make(value), x, period)
    while (stop - value) * np.sign(step) > 0:
        target = value + np.sign(step) * min(abs(step), abs(stop - value))
        y = _cycle(make(target), x, period)
        if y is None or np.linalg.norm(
            Equation(make(target), max(1, period // 2)).residual(y)
        ) < 1e-9 * (period > 1):
            return None
        after = _crossing(make(target), y, period)
        if before > 0.0 >= after:
            at = brentq(
                lambda a, near=y: _crossing(make(a), _near(make(a), near, period), period),
                value,
                target,
                xtol=1e-14,
                rtol=1e-14,
            )
            return at, _cycle(make(at), y, period)
        x, value, before = y, target, after
    return None


def _doubled(make, point, at, gap, period, duration):
    """A point of the stable cycle of the doubled period beyond the doubling at ``at``, and the
    parameter there; None where none is found."""
    for share in (0.4, 0.2, 0.1, 0.05, 0.6):
        system = make(at + share * gap)
        try:
            x = trajectory(
                system, point + 1e-6 * (1.0 + np.abs(point)), max(duration, 200 * period), None
            )[-1]
        except NotFiniteError:
            continue
        x = _cycle(system, x, period)
        apart = x is not None and np.linalg.norm(
            Equation(system, period // 2).residual(x)
        ) > 1e-7 * (1.0 + np.linalg.norm(x))
        if apart and np.abs(_multipliers(system, x, period)).max() < 1.0:
            return x, at + share * gap
    return None, None


def _labelled(system, parameter, found, note, rng, options):
    values = np.array([row[0] for row in found])
    gaps = np.diff(values)
    ratio = np.full(len(values), np.nan)
    ratio[1:-1] = gaps[:-1] / gaps[1:]
    # Aitken
    limit = values[-1] - gaps[-1] ** 2 / (gaps[-1] - gaps[-2]) if len(values) > 2 else np.nan
    rows = {
        "value": ("doubling", values, "1", f"{parameter} at the doubling"),
        "period": (
            "doubling",
            np.array([row[1] for row in found], int),
            "step",
            "period of the cycle that loses its stability",
        ),
        "multiplier": (
            "doubling",
            np.array([row[2] - 1.0 for row in found]),
            "1",
            "multiplier there",
        ),
        "ratio": ("doubling", ratio, "1", "ratio of the gaps before and after"),
        "accumulation": (
            (),
            limit,
            "1",
            f"{parameter} at which the doublings accumulate, extrapolated",
        ),
    }
    known = {name: value for name, value in describe_system(system).items() if name != parameter}
    return dataset(
        rows,
        {"doubling": ("doubling", np.arange(len(values)), "1", "doubling")},
        title=f"period doublings of {type(system).__name__}",
        source=SOURCE,
        parameters=known | {"parameter": parameter} | options,
        seed=rng,
        **({"note": note} if note else {}),
    )
