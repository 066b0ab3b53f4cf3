"""Descent of the speed from many states at once: to its minima, or onto a slow manifold."""

from __future__ import annotations

import numpy as np

from .newton import (
    MAX_HALVINGS,
    ROUNDING,
    SMALL_STEP,
    damped_least_squares,
    in_batches,
)

ITERATIONS, MANIFOLD_ITERATIONS = 200, 40
FIRST_DAMPING = 1e-3  # relative to |J|^2
LAST_STEP = 1e-10  # onto a manifold, relative to 1 + |x|: the steps shrink by a factor each
MAX_DAMPING = 1e12  # relative to |J|^2: no shorter step lowers the speed
STATIONARY = 1e-8  # slope of q over speed times the size of J, below which the descent ends
SETTLED = 1e-5  # the same, up to which a point counts as a minimum where rounding ended it


def least_speed(equation, x, scale, tolerance):
    """Minima of |g|^2 / 2 below the states x (m, n), by Levenberg and Marquardt's method with
    Nielsen's damping, and which have settled. ``scale`` is the size of the Jacobian of g."""
    return in_batches(x, lambda part: _descend(equation, part, scale, tolerance))


def onto_manifold(equation, x, least_rate):
    """States near x (m, n) at which the fast part of g vanishes, by the modes of its Jacobian whose
    eigenvalues are at least ``least_rate``; and which have settled. What is left of g lies along
    the slow modes, which is the drift."""
    return in_batches(x, lambda part: _project(equation, part, least_rate))


def _descend(equation, x, scale, tolerance):
    g, J = equation.linear(x)
    J = J.copy()
    damping = FIRST_DAMPING * np.square(J).sum(axis=(1, 2))
    growth, slope = np.full(len(x), 2.0), np.full(len(x), np.inf)
    active = np.flatnonzero(np.isfinite(g).all(axis=1) & np.isfinite(J).all(axis=(1, 2)))
    for _ in range(ITERATIONS):
        slope[active] = np.linalg.norm(np.einsum("mji,mj->mi", J[active], g[active]), axis=1)
        speed = np.linalg.norm(g[active], axis=1)
        size = 1.0 + np.linalg.norm(x[active], axis=1)
        most = MAX_DAMPING * np.maximum(np.square(J[active]).sum(axis=(1, 2)), scale**2)
        active = active[
            (slope[active] > STATIONARY * scale * speed)
            & (speed > 0.1 * ROUNDING * size)
            & (damping[active] <= most)
        ]
        if not len(active):
            break
        step = damped_least_squares(J[active], g[active], damping[active])
        trial = equation.wrapped(x[active] + step)
        new = equation.residual(trial)
        fall = np.square(g[active]).sum(axis=1) - np.square(new).sum(axis=1)
        linear = g[active] + np.einsum("mij,mj->mi", J[active], step)
        promised = np.square(g[active]).sum(axis=1) - np.square(linear).sum(axis=1)
        better = fall > 0.0
        gain = np.where(better, fall / np.where(promised > 0.0, promised, np.inf), 0.0)
        damping[active] *= np.where(
            better, np.maximum(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), growth[active]
        )
        growth[active] = np.where(better, 2.0, 2.0 * growth[active])
        moved = active[better]
        x[moved] = trial[better]
        if len(moved):
            g[moved], J[moved] = equation.linear(x[moved])
    speed = np.linalg.norm(g, axis=1)
    return x, (speed <= equation.allowed(x, tolerance)) | (slope <= SETTLED * scale * speed)


def _project(equation, x, least_rate):
    last = np.full(len(x), np.inf)
    active = np.arange(len(x))
    for _ in range(MANIFOLD_ITERATIONS):
        g, J = equation.linear(x[active])
        usable = np.isfinite(g).all(axis=1) & np.isfinite(J).all(axis=(1, 2))
        last[active[~usable]] = np.inf
        active, g, J = active[usable], g[usable], J[usable]
        if not len(active):
            break
        T, Q, fast = fast_parts(J, least_rate)
        along = np.where(fast, np.einsum("mji,mj->mi", Q, g), 0.0)
        both = fast[:, :, None] & fast[:, None, :]
        part = np.linalg.solve(np.where(both, T, np.eye(T.shape[1])), along[..., None])[..., 0]
        step = -np.einsum("mij,mj->mi", Q, part)
        last[active] = np.linalg.norm(step, axis=1)
        done = last[active] <= LAST_STEP * (1.0 + np.linalg.norm(x[active], axis=1))
        moved = _shortened(equation, x, active, step, np.where(fast[:, None, :], Q, 0.0), along)
        active = active[~done & moved]
        if not len(active):
            break
    return x, last <= 100.0 * SMALL_STEP * (1.0 + np.linalg.norm(x, axis=1))


def fast_parts(J, least_rate):
    """Real Schur forms T = Q^T J Q of Jacobians (m, n, n), with those eigenvalues first that are
    smaller than ``least_rate``, and which are not, (m, n): the columns of Q of these span the left
    invariant subspace of the fast modes. NaN where LAPACK cannot order them."""
    from scipy.linalg import lapack

    T, Q, fast = np.empty_like(J), np.empty_like(J), np.zeros(J.shape[:2], bool)
    for k, matrix in enumerate(J):
        form, _, real, imaginary, vectors, _, failed = lapack.dgees(lambda *_: False, matrix)
        slow = np.hypot(real, imaginary) < least_rate
        if not slow[: slow.sum()].all():
            form, vectors, *_, failed = lapack.dtrsen(slow, form, vectors, job=b"N")
        T[k], Q[k] = np.nan if failed else form, vectors
        fast[k] = np.arange(len(slow)) >= slow.sum()
    return T, Q, fast


def _shortened(equation, x, active, step, U, along):
    """Move the active states by their step, halved until the fast part of g falls; whether it fell
    at all."""
    before, moved = np.linalg.norm(along, axis=1), np.zeros(len(active), bool)
    waiting = np.arange(len(active))
    for halving in range(MAX_HALVINGS + 1):
        share = 0.5**halving
        trial = equation.wrapped(x[active[waiting]] + share * step[waiting])
        part = np.einsum("mji,mj->mi", U[waiting], equation.residual(trial))
        better = np.linalg.norm(part, axis=1) < (1.0 - 0.1 * share) * before[waiting]
        x[active[waiting[better]]] = trial[better]
        moved[waiting[better]] = True
        waiting = waiting[~better]
        if not len(waiting):
            break
    return moved
