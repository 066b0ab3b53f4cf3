"""Newton's method from many starts at once: the zeros of f^p(x) - x of a map, or of the velocity of
a flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...autodiff.jacobian import push
from ...runtime.progress import progress_bar
from ...system import Flow, System

MAX_BATCH_NUMBERS = 1 << 21  # in a batch of Jacobians: 16 MiB
MAX_HALVINGS = 12
SINGULAR_VALUE_FLOOR = 1e-10  # of J, relative to its norm; below it a step is damped
MIN_DAMPING = 1e-14  # of least squares, relative to |J|^2: rounding
# last full step, relative to 1 + |x|, above which a start has not arrived but is on its way to
# infinity
MAX_LAST_STEP = 1e-4
SMALL_STEP = 1e-8  # relative to 1 + |x|, below which a step is an error and need not shrink
MAX_STEP_RATIO = 0.9  # of one full step to that before: 1/2 at a double root, 1 where g fades
PINNED = 1e-8  # smallest singular value of a Jacobian that pins a zero, relative to its size
ROUNDING = 100 * np.finfo(float).eps


@dataclass(frozen=True)
class Equation:
    """g(x) = 0: the velocity of a Flow, or f^p(x) - x of a Map, taken on the circle for components
    with a ``modulus``."""

    system: System
    period: int = 1
    u: np.ndarray | None = None
    modulus: np.ndarray | None = None  # (n,), infinite for components on a line

    def image(self, x, times):
        """f^times(x)."""
        for _ in range(times):
            x = self.system.rule(x, self.u)
        return x

    def residual(self, x, period=None):
        """g, shape (..., n)."""
        if isinstance(self.system, Flow):
            return np.asarray(self.system.rule(x, self.u))
        return self.difference(self.image(x, period or self.period), x)

    def linear(self, x):
        """g (m, n) and its Jacobian (m, n, n)."""
        count, n = x.shape
        rows = np.broadcast_to(np.eye(n)[:, None, :], (n, count, n))
        value = x
        for _ in range(1 if isinstance(self.system, Flow) else self.period):
            value, rows = push(self.system, value, rows, self.u)
        J = np.moveaxis(rows, 0, -1)
        if isinstance(self.system, Flow):
            return value, J
        return self.difference(value, x), J - np.eye(n)

    def derivative(self, x):
        """Jacobian of the flow, or of f^p, at x (m, n): shape (m, n, n)."""
        J = self.linear(x)[1]
        return J if isinstance(self.system, Flow) else J + np.eye(x.shape[-1])

    def difference(self, x, y):
        """x - y, the shorter way on circles."""
        if self.modulus is None:
            return x - y
        with np.errstate(invalid="ignore"):
            turns = np.where(np.isfinite(self.modulus), np.round((x - y) / self.modulus), 0.0)
        return (
            x
            - y
            - np.where(
                turns == 0.0, 0.0, turns * np.where(np.isfinite(self.modulus), self.modulus, 0.0)
            )
        )

    def wrapped(self, x):
        """x with components on circles brought into [0, modulus)."""
        if self.modulus is None:
            return x
        circle = np.isfinite(self.modulus)
        return np.where(circle, np.mod(x, np.where(circle, self.modulus, 1.0)), x)

    def near_zero(self, x):
        """x with components a rounding error below the modulus set to 0."""
        return (
            x
            if self.modulus is None
            else x - np.where(self.modulus - x < 1e-9 * self.modulus, self.modulus, 0.0)
        )

    def allowed(self, x, tolerance):
        """Residual below which x counts as a solution: relative to 1 + |x| for a map; for a flow,
        whose velocity may fade far away, close to absolute."""
        return tolerance * (
            1.0 + (1e-3 if isinstance(self.system, Flow) else 1.0) * np.linalg.norm(x, axis=-1)
        )


def solve(equation, starts, *, iterations=60, tolerance=1e-10):
    """Newton's method with step halving from every start (m, n).

    Returns x (m, n), the size of the last full step (m,), an estimate of the error, and converged
    (m,): the residual is below the tolerance and the steps shrink. Where the rule saturates its
    residual fades without a zero, and the steps stay as long as they were.
    """
    return in_batches(starts, lambda x: _solve(equation, x, iterations, tolerance))


def in_batches(x, function):
    """The arrays that function gives of the states x (m, n), in batches whose Jacobians fit the
    memory."""
    count = max(1, MAX_BATCH_NUMBERS // x.shape[1] ** 2)
    starts = range(0, len(x), count)
    with np.errstate(all="ignore"):
        batches = progress_bar(starts, progress=None, unit="batch")
        parts = [function(x[i : i + count].copy()) for i in batches]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _solve(equation, x, iterations, tolerance):
    last, before = np.full(len(x), np.inf), np.zeros(len(x))
    active = np.arange(len(x))
    polish = np.full(len(x), 2)  # full steps after convergence, down to rounding
    for _ in range(iterations):
        g, J = equation.linear(x[active])
        usable = np.isfinite(g).all(axis=1) & np.isfinite(J).all(axis=(1, 2))
        active, g, J = active[usable], g[usable], J[usable]
        if not len(active):
            break
        near = np.linalg.norm(g, axis=1) <= equation.allowed(x[active], tolerance)
        before[active] = np.where(np.isfinite(last[active]), last[active], 0.0)
        x[active], last[active], moved = _damped_step(equation, x[active], g, J)
        polish[active[near]] -= 1
        active = active[moved & (polish[active] > 0)]
    g, size = np.linalg.norm(equation.residual(x), axis=1), 1.0 + np.linalg.norm(x, axis=1)
    shrinks = (
        (last <= SMALL_STEP * size) | (last <= MAX_STEP_RATIO * before) | (g <= ROUNDING * size)
    )
    arrived = (g <= equation.allowed(x, tolerance)) & (last <= MAX_LAST_STEP * size) & shrinks
    return x, last, arrived


def _damped_step(equation, x, g, J):
    """States after a Newton step that is halved until |g| falls, the sizes of the full steps, and
    whether |g| fell at all."""
    step = newton_step(J, g, x)
    before, moved = np.linalg.norm(g, axis=1), np.zeros(len(x), bool)
    new, waiting = x.copy(), np.arange(len(x))
    for halving in range(MAX_HALVINGS + 1):
        share = 0.5**halving
        trial = equation.wrapped(x[waiting] + share * step[waiting])
        after = np.linalg.norm(equation.residual(trial), axis=1)
        better = after < (1.0 - 0.1 * share) * before[waiting]
        done = waiting[better]
        new[done], moved[done] = trial[better], True
        waiting = waiting[~better]
        if not len(waiting):
            break
    return new, np.linalg.norm(step, axis=1), moved


def newton_step(J, g, x):
    """-J^-1 g for a batch; where J is singular, or all but, a step of Levenberg and Marquardt,
    whose damping |g| makes it as quick on a continuum of zeros (Yamashita and Fukushima 2001)."""
    step = regular_step(J, g)
    norm = np.linalg.norm(J, axis=(-2, -1))
    poor = ~(
        norm * np.linalg.norm(step, axis=-1) * SINGULAR_VALUE_FLOOR <= np.linalg.norm(g, axis=-1)
    )
    if poor.any():
        size = norm[poor] * (1.0 + np.linalg.norm(x[poor], axis=-1))
        share = np.linalg.norm(g[poor], axis=-1) / np.where(size > 0.0, size, 1.0)
        damping = norm[poor] ** 2 * np.clip(share, MIN_DAMPING, 1.0)
        step[poor] = damped_least_squares(J[poor], g[poor], damping)
    return step


def regular_step(J, g):
    """-J^-1 g for a batch, NaN where J is exactly singular."""
    try:
        return -np.linalg.solve(J, g[..., None])[..., 0]
    except np.linalg.LinAlgError:  # one of them is, and numpy gives none of the others
        step, regular = np.full_like(g, np.nan), np.linalg.slogdet(J)[0] != 0.0
        step[regular] = -np.linalg.solve(J[regular], g[regular][..., None])[..., 0]
        return step


def damped_least_squares(J, g, damping):
    """-(J^T J + damping)^-1 J^T g for a batch (m, n), damping (m,)."""
    transposed = np.swapaxes(J, -1, -2)
    A = transposed @ J
    at = np.arange(A.shape[-1])
    A[:, at, at] += np.maximum(damping, np.finfo(float).tiny)[:, None]
    return -np.linalg.solve(A, transposed @ g[..., None])[..., 0]


def stands_still(equation, x, scale):
    """At which of the points x (m, n) some direction changes g by no more than rounding, so that
    nothing pins a zero of g there; ``scale`` is the size of its Jacobian where orbits are."""

    def still(part):
        sizes = np.linalg.svd(equation.linear(part)[1], compute_uv=False)
        return (sizes[:, -1] <= PINNED * np.maximum(sizes[:, 0], scale),)

    return in_batches(x, still)[0]


def jacobian_size(equation, x, pick=np.median):
    """Median norm, or another, of the Jacobian of g at up to 64 of the states x (m, n)."""
    with np.errstate(all="ignore"):
        size = np.linalg.norm(equation.linear(x[:: -(-len(x) // 64)])[1], axis=(1, 2))
    return float(pick(size[np.isfinite(size)])) if np.isfinite(size).any() else 0.0
