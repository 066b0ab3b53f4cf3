"""Slow points: where a system moves least, and the slow manifold that they lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...drive import constant_drive
from ...errors import NotFiniteError
from ...labels import dataset, describe_system
from ...runtime.threads import one_thread
from ...runtime.validation import generator, number, public
from ...system import Flow, System, as_system, check_batch
from ...typing import ArrayLike, Drive, Rng
from .descent import least_speed, onto_manifold
from .fixed_points import coordinates, merged, read_modulus
from .modes import eigenvalues, mode_rows
from .newton import Equation, jacobian_size
from .visited import STARTS_LARGE, Reach, distance_to, read_starts, resampled, visited_states

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "Sussillo and Barak (2013), Neural Computation 25, 626"
SAME_PLACE = 1e-6  # relative to 1 + |x|: minima of the speed are known less well than its zeros


@public
def slow_points(
    system: System,
    x0: ArrayLike | None = None,
    *,
    starts: int | None = None,
    drive: Drive = None,
    time_scale: float | None = None,
    modulus: ArrayLike | float | None = None,
    tolerance: float = 1e-10,
    rng: Rng = 0,
) -> Dataset:
    """Slow points of a system: local minima of its speed, reached from states that orbits visit.

    The speed is |F(x) - x| for a Map and |f(x)| for a Flow; q = speed^2 / 2 is minimised by damped
    least squares (Levenberg and Marquardt) on the exact Jacobian. Fixed points are the minima of
    speed 0. A trained integrator mostly has a few of them on a line or a ring along which it
    drifts: with ``time_scale`` the search takes out what decays faster than that and leaves the
    rest where it is, so that the points sample the slow manifold, and their speed is the drift.

    Parameters
    ----------
    system : Map, Flow or torch.nn.Module
        The system.
    x0 : array_like (n,) or (m, n), optional
        The start of an orbit, or visited states themselves, such as those of a trained network on
        its task; by default orbits of ``system.initial``, half of them with white noise of standard
        deviation 1 added to the input.
    starts : int, optional
        Number of visited states to start from: 200 by default, or all of x0 (m, n).
    drive : array_like (inputs,), optional
        Input that is held; zero by default.
    time_scale : float, optional
        In the system's unit of time: modes that are slower, of |multiplier - 1| or |rate| below
        1/time_scale per unit of time, are not followed. By default all are.
    modulus : float or array_like (n,), optional
        Period of components that live on a circle, infinity or None for the others.
    tolerance : float, optional
        Speed, relative to 1 + |x|, below which a point counts as fixed.
    rng : int or Generator, optional
        Seed of the starts.

    Returns
    -------
    xarray.Dataset
        x : (point, state), 1
            Slow points, the slowest first; of a slow manifold, in the order of the starts.
        speed : (point,), 1/step or 1/time unit
            |F(x) - x| a step, or |f(x)|.
        eigenvalue_real, eigenvalue_imag : (point, mode), 1 or 1/time unit
            Eigenvalues of the Jacobian: multipliers for a Map, rates for a Flow.
        exponent : (point, mode), 1/step or 1/time unit
            ln|multiplier| per unit of time, or the rate's real part.
        kind : (point,), 1
            "stable", "saddle", "repeller" or "marginal", by the signs of the exponents.
        stable : (point,), 1
            Whether every mode shrinks.
        marginal : (point,), 1
            Whether any exponent is 0 to rounding.
        fixed : (point,), 1
            Whether the speed is 0 within the tolerance.
        distance : (point,), 1
            Distance from the nearest visited state.
        found : (point,), 1
            Starts that ended there.
        converged : (), 1
            Starts that ended at a slow point.
        lost : (), 1
            The other starts: they had not settled, or left for where no orbit gets.

    Raises
    ------
    ValueError, ShapeError
        For wrong arguments.
    NotFiniteError
        Where the rule is finite at no start.

    Notes
    -----
    Away from a fixed point the eigenvalues describe how neighbouring states part while the system
    drifts. On a slow manifold F(x) - x, or f(x), is orthogonal to the left eigenvectors of the fast
    modes, and is the drift along the slow ones. Points outside of the box that steps from visited
    states do not leave are left out, unless they are fixed points that the Jacobian pins
    (``dm.fixed_points``).

    References
    ----------
    Sussillo and Barak (2013), Neural Computation 25, 626. Maas and Pope (1992), Combust. Flame 88,
    239, for manifolds on which the fast part of the velocity vanishes.

    See Also
    --------
    fixed_points : zeros of the speed alone, and cycles.

    Examples
    --------
    A saddle and a node that have met and gone: x' = 0.01 + x^2 is slowest at 0.

    >>> import dynmem as dm
    >>> ghost = dm.Flow.from_function(lambda x, u: 0.01 + x * x, states=("x",))
    >>> found = dm.slow_points(ghost, [[-0.5], [0.3]])
    >>> found.speed.values.round(6).tolist(), bool(found.fixed.any())
    ([0.01], False)

    A network that learns to add up its input makes a line attractor: one multiplier is close to 1
    all along it, and the memory drifts by its speed.

    >>> rng = np.random.default_rng(0)
    >>> u = np.where(rng.random((300, 15, 1)) < 0.2, rng.normal(0.0, 0.2, (300, 15, 1)), 0.0)
    >>> model = dm.models.get("gru", units=8, inputs=1, outputs=1)
    >>> trained, _ = dm.fit(model, (u, u.cumsum(1)), steps=100, batch=32, learning_rate=2e-2)
    >>> visited = dm.orbit(trained, np.zeros(8), drive=u[:5].reshape(-1, 1), duration=75).x
    >>> line = dm.slow_points(trained, visited, time_scale=5.0)
    >>> bool(abs(line.exponent[:, 0]).max() < 0.1), bool(line.exponent[:, 1].max() < -0.2)
    (True, True)
    >>> bool(line.speed.median() < 0.01)
    True
    """
    system = as_system(system)
    tolerance = number("tolerance", tolerance, above=0)
    if time_scale is not None:
        time_scale = number("time_scale", time_scale, above=0)
    u = constant_drive(system, drive)
    with one_thread():
        seed = generator(rng)
        states = visited_states(system, x0, u, seed)
        every = x0 is not None and np.ndim(x0) > 1 and starts is None
        count = read_starts(STARTS_LARGE if starts is None else starts, states.shape[1])
        x = states if every else resampled(states, count, seed)
        check_batch(system, x, u)
        equation = Equation(system, 1, u, read_modulus(system, modulus, x.shape[1]))
        _check_finite(equation, x)
        points, good = _descended(equation, x, time_scale, tolerance)
        points = points[good]
        reach = Reach(equation, states, seed)
        points = points[_within_reach(points, reach, tolerance, time_scale is None)]
        near = np.full(len(points), SAME_PLACE) * (1.0 + np.linalg.norm(points, axis=1)) / 10.0
        points, found, _ = merged(equation, points, near, np.ones(len(points), int))
        speed = _speed(equation, points)
        if time_scale is None:
            order = np.argsort(speed, kind="stable")
            points, found, speed = points[order], found[order], speed[order]
        values, errors = eigenvalues(equation, points, np.ones(len(points), int))
    fixed = speed <= equation.allowed(points, tolerance)
    distance = distance_to(states, points)
    per = "1/time unit" if isinstance(system, Flow) else "1/step"
    rows = {
        "x": (("point", "state"), points, "1", "slow point"),
        "speed": ("point", speed, per, "speed"),
        **mode_rows(equation, values, errors, np.ones(len(points), int)),
        "fixed": ("point", fixed, "1", "whether the speed is 0"),
        "distance": ("point", distance, "1", "distance from the nearest visited state"),
        "found": ("point", found, "1", "starts that ended there"),
        "converged": ((), int(found.sum()), "1", "starts that ended at a slow point"),
        "lost": ((), len(x) - int(found.sum()), "1", "starts that ended at none"),
    }
    options = {"starts": len(x), "time_scale": time_scale, "tolerance": tolerance}
    return dataset(
        rows,
        coordinates(system, points, "slow point"),
        title=f"slow points of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system) | options,
        seed=rng,
    )


def _check_finite(equation, x):
    with np.errstate(all="ignore"):
        finite = np.isfinite(equation.residual(x)).all(axis=1)
    if not finite.any():
        raise NotFiniteError(
            f"{equation.system} is not finite at any of {len(x)} starts: tame the parameters, or "
            "pass other states as x0"
        )


def _descended(equation, x, time_scale, tolerance):
    """Where the descent leads from the starts x, and which of them have settled."""
    system = equation.system
    if time_scale is None:
        return least_speed(equation, x, jacobian_size(equation, x), tolerance)
    return onto_manifold(
        equation, x, (1.0 if isinstance(system, Flow) else abs(system.dt)) / time_scale
    )


def _within_reach(points, reach, tolerance, minima):
    """Which points lie where orbits get, or are fixed points that the Jacobian pins; of minima, not
    where the speed is 0 to rounding alone."""
    moving = _speed(reach.equation, points) > reach.equation.allowed(points, tolerance)
    outside = reach.left_by(points)
    doubtful = ~moving if minima else outside & ~moving
    gone = outside & moving
    gone[doubtful] = reach.saturated(points[doubtful])
    return ~gone


def _speed(equation, x):
    """|f(x)|, or |F(x) - x| per step."""
    return np.linalg.norm(equation.residual(x), axis=1)
