"""Times at which a function of the state crosses zero along a step."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ConvergenceError

MAX_TRIALS = 200
ROUNDING = 2.0**-52


def crossing(
    distance: Callable[[float], float],
    start: float,
    end: float,
    at_start: float | None = None,
    at_end: float | None = None,
) -> tuple[float, float]:
    """Bracket, as narrow as doubles allow, of a time at which a distance changes its sign.

    The distance from a surface is g(x(t)), with x(t) the state a time t after the start of a step:
    by an integrator's own step of that length, or by its dense output. Inverse quadratic
    interpolation and halving (Chandrupatla 1997): a jump of the function is found as well as a
    root.

    Parameters
    ----------
    distance : callable
        Distance at a time, a float.
    start, end : float
        Times on both sides of the crossing; ``end`` is the earlier one backwards in time.
    at_start, at_end : float, optional
        Distances there, where they are known.

    Returns
    -------
    before, beyond : float
        A time at which the distance has the sign of that at the start, or is 0, and a later one at
        which it has the other sign: a state on the surface has not crossed it yet. They are one
        rounding error of the interval apart.

    Raises
    ------
    ConvergenceError
        If the distances at both ends have one sign, or are not finite.

    References
    ----------
    Chandrupatla (1997), Advances in Engineering Software 28, 145.

    Examples
    --------
    >>> before, beyond = crossing(lambda t: 2.0 - t * t, 0.0, 2.0)
    >>> before <= 2.0**0.5 <= beyond, beyond - before < 1e-15
    (True, True)
    """
    first = distance(start) if at_start is None else at_start
    last = distance(end) if at_end is None else at_end
    side = -1.0 if last > 0.0 else 1.0
    low, high = (start, side * first), (end, side * last)
    if not (low[1] >= 0.0 > high[1]):
        raise ConvergenceError(
            f"no crossing between the times {start:g} and {end:g}: the distances from the surface "
            f"are {first:g} and {last:g}, and must have two signs"
        )
    newest, other, share = high, low, 0.5  # the two ends of the bracket
    narrow = 2.0 * ROUNDING * max(abs(start), abs(end))
    for _ in range(MAX_TRIALS):
        if abs(high[0] - low[0]) <= narrow:
            break
        time = newest[0] + share * (other[0] - newest[0])
        if time in (low[0], high[0]):
            break
        trial = (time, side * distance(time))
        if (trial[1] >= 0.0) == (newest[1] >= 0.0):
            replaced, newest = newest, trial
        else:
            replaced, other, newest = other, newest, trial
        low, high = (newest, other) if newest[1] >= 0.0 else (other, newest)
        # at least a rounding error from the newest end, so that both ends close in
        least = 0.5 * narrow / max(abs(high[0] - low[0]), narrow)
        share = min(max(_next_share(newest, other, replaced), least), 1.0 - least)
    return low[0], high[0]


def _next_share(newest, other, replaced):
    """Share of the bracket, from its newest end, at which to try next: where the inverse parabola
    through three points is monotone its root, else one half."""
    width = other[0] - newest[0]
    rise, drop = newest[1] - other[1], replaced[1] - other[1]
    if not (rise and drop and replaced[1] != newest[1]):
        return 0.5
    xi, phi = (newest[0] - other[0]) / (replaced[0] - other[0]), rise / drop
    if not (1.0 - (1.0 - xi) ** 0.5 < phi < xi**0.5 if 0.0 <= xi <= 1.0 else False):
        return 0.5
    toward = newest[1] / (other[1] - newest[1]) * replaced[1] / (other[1] - replaced[1])
    away = newest[1] / (replaced[1] - newest[1]) * other[1] / (replaced[1] - other[1])
    return toward + (replaced[0] - newest[0]) / width * away
