"""Cycles by multiple shooting: points along a cycle, one after the other, and its period as
unknowns of one Newton iteration on exact tangents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...autodiff.jacobian import push
from ...errors import NotFiniteError
from ...orbits import suggest_step
from ...sections.passage import Passage
from ...system import Flow, System, circles_of

SEGMENTS = 8  # of the cycle of a flow: growth over one of them stays small where the cycle's is not
CYCLE_RTOL = 1e-12  # of a Runge-Kutta step
COARSE_RTOL = 1e-9  # of another run, whose period shows the error
MAX_ITERATIONS, MAX_HALVINGS = 40, 10
LONGEST_CHANGE = 0.3  # of a period in one Newton step
SMALL_STEP = 1e-7  # relative to 1 + |x|, of the last Newton step
MOST_REPEATS = 12  # of a cycle in a solution, whose least period is sought


@dataclass(frozen=True, eq=False)
class Shooting:
    """Points (K, n) of a cycle: of a map each the image of the one before, of a flow each reached
    from the one before in a K-th of the period."""

    system: System
    u: Any = None
    look: float = 0.0
    rtol: float = CYCLE_RTOL

    is_flow = property(lambda self: isinstance(self.system, Flow))

    @cached_property
    def passage(self):
        """The steps of a flow."""
        return Passage(self.system, self.rtol)

    def moved(self, X: np.ndarray, period: float) -> tuple:
        """Images (K, n) of the points and their derivatives (K, n, n)."""
        n = X.shape[1]
        if not self.is_flow:
            rows = np.broadcast_to(np.eye(n)[:, None], (n, *X.shape))
            Y, rows = push(self.system, X, rows, self.u)
            return Y, np.moveaxis(rows, 0, -1)
        steps = self.steps(len(X), period)
        held = None if self.u is None else np.broadcast_to(self.u, (len(X), len(self.u)))
        Y, J = self.passage.tangents(X, held, period / (len(X) * steps), steps)
        return Y, J[:, :, :n]

    def images(self, X: np.ndarray, period: float) -> np.ndarray:
        """The images alone."""
        if not self.is_flow:
            return np.asarray(self.system.rule(X, self.u))
        steps = self.steps(len(X), period)
        held = None if self.u is None else np.broadcast_to(self.u, (len(X), len(self.u)))
        return self.passage.states(X, held, period / (len(X) * steps), steps)[-1]

    def steps(self, segments: int, period: float) -> int:
        """Steps along a segment, none longer than ``look``."""
        return max(1, int(np.ceil(period / (segments * self.look) - 1e-9)))

    def residual(self, Y: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Images less the next points (K, n), the shorter way on circles."""
        gap = Y - np.roll(X, -1, axis=0)
        circles = circles_of(self.system, X.shape[1])
        if circles is not None:
            turn = np.where(np.isfinite(circles), circles, 1.0)
            gap = np.where(np.isfinite(circles), gap - turn * np.round(gap / turn), gap)
        return gap

    def linear(self, X: np.ndarray, period: float, anchor: np.ndarray | None) -> tuple:
        """Residual (K n + 1,) and its derivative by the points and the period; of a map without the
        last row and column. ``anchor``: the velocity across which the first point moves."""
        K, n = X.shape
        Y, J = self.moved(X, period)
        size = K * n + self.is_flow
        A, g = np.zeros((size, size)), np.zeros(size)
        g[: K * n] = self.residual(Y, X).ravel()
        for k in range(K):
            at, after = slice(k * n, k * n + n), ((k + 1) % K) * n
            A[at, at] += J[k]
            A[at, after : after + n] -= np.eye(n)
        if self.is_flow:
            A[: K * n, -1] = np.asarray(self.system.rule(Y, self.u)).ravel() / K
            A[-1, :n] = anchor / max(np.linalg.norm(anchor), 1e-300)  # type: ignore[operator, arg-type]
        return g, A

    def solve(self, X: np.ndarray, period: float, tolerance: float) -> tuple | None:
        """Points, period and residual of the cycle near X (K, n); None where Newton's method does
        not arrive."""
        with np.errstate(all="ignore"):
            for _ in range(MAX_ITERATIONS):
                anchor = np.asarray(self.system.rule(X[0], self.u)) if self.is_flow else None
                g, A = self.linear(X, period, anchor)
                if not (np.isfinite(g).all() and np.isfinite(A).all()):
                    return None
                try:
                    step = np.linalg.solve(A, -g)
                except np.linalg.LinAlgError:
                    return None
                change = step[-1] if self.is_flow else 0.0
                share = min(1.0, LONGEST_CHANGE * period / max(abs(change), 1e-300))
                size, size_before = 1.0 + np.abs(X).max(), np.linalg.norm(g)
                arrived = size_before <= tolerance * size
                if arrived and np.abs(step[: X.size]).max() <= SMALL_STEP * size:
                    better = self._tried(X, period, step, 1.0)
                    return better if better[2] <= size_before else (X, period, size_before)
                for _ in range(MAX_HALVINGS):
                    trial = self._tried(X, period, step, share)
                    if trial[2] < (1.0 - 0.1 * share) * size_before:
                        break
                    share *= 0.5
                else:
                    return None
                X, period = trial[:2]
        return None

    def _tried(self, X, period, step, share):
        new = X + share * step[: X.size].reshape(X.shape)
        change = share * step[-1] if self.is_flow else 0.0
        gap = self.residual(self.images(new, period + change), new)
        return new, period + change, np.linalg.norm(gap)

    def monodromy(self, X: np.ndarray, period: float) -> np.ndarray:
        """Tangent (n, n) once round the cycle, from the first point."""
        product = np.eye(X.shape[1])
        for J in self.moved(X, period)[1]:
            product = J @ product
        return product

    def points(self, X: np.ndarray, period: float, count: int) -> np.ndarray:
        """So many states (count, n) along the cycle of a flow, a multiple of its segments."""
        each = count // len(X)
        steps = max(1, int(np.ceil(period / (count * self.look))))
        held = None if self.u is None else np.broadcast_to(self.u, (len(X), len(self.u)))
        h = period / (count * steps)
        states = self.passage.states(X, held, h, each * steps)[:-1:steps]
        return np.swapaxes(states, 0, 1).reshape(count, -1)

    def from_orbit(self, x: np.ndarray, period: float, segments: int = SEGMENTS) -> np.ndarray:
        """Points (segments, n) along the orbit from x over a period."""
        steps = self.steps(segments, period)
        held = None if self.u is None else self.u[None]
        states = self.passage.states(x[None], held, period / (segments * steps), segments * steps)
        return states[:-1:steps, 0]

    def least(self, X: np.ndarray, period: float, tolerance: float) -> tuple:
        """The same cycle over its least period."""
        for q in range(MOST_REPEATS, 1, -1):
            part = self.from_orbit(X[0], period / q)
            if not np.isfinite(part).all():
                continue
            size = 1e-5 * (1.0 + np.abs(X).max())
            if np.abs(self.residual(self.images(part, period / q), part)[-1]).max() < size:
                found = self.solve(part, period / q, tolerance)
                if found is not None and np.abs(found[1] * q - period) < 1e-6 * period:
                    return found
        return X, period, np.linalg.norm(self.residual(self.images(X, period), X))

    def error_of_period(self, X: np.ndarray, period: float) -> float:
        """Difference of the period from that of steps with a larger error."""
        coarse = replace(self, rtol=COARSE_RTOL).solve(X, period, 1e3 * COARSE_RTOL)
        return np.nan if coarse is None else abs(coarse[1] - period)


def shooting(system: System, x: np.ndarray, u: Any) -> Shooting:
    """The equations of cycles of a system, its steps as short as an orbit from x needs them."""
    if not isinstance(system, Flow):
        return Shooting(system, u)
    try:
        look = suggest_step(system, x, drive=u)
    except NotFiniteError:
        look = suggest_step(system, drive=u)
    return Shooting(system, u, look)
