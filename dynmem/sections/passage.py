"""The way of a flow over a time, state by state, with its exact tangent; and a map whose rule is
known by its values and its Jacobian alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arrays import concat
from ..autodiff.dual import Dual
from ..autodiff.jacobian import push
from ..compiler.program import COLLAPSED, TANGENT_LOST, program
from ..errors import ConvergenceError, NotFiniteError
from ..events import Event
from ..integrate.runge_kutta import FlowMap
from ..runtime.validation import number
from ..system import Flow, Map
from ..typing import Array

SECTION_RTOL = 1e-11  # of a Runge-Kutta step: a cycle is then known to some 1e-10


class Stretched(Flow):
    """A flow whose state carries its held input and the length of a step: (x, u, h)' =
    (h rule(x, u), 0, 0), so that each state of a batch moves over a time of its own, and one
    tangent holds the derivatives by state, input and time."""

    inside: Flow = None  # type: ignore[assignment]
    events = property(lambda self: tuple(_carried(self.inside, e) for e in self.inside.events))

    def rule(self, x, u):
        m = self.inside.inputs
        velocity = self.inside.rule(x[..., : -1 - m], x[..., -1 - m : -1] if m else None)
        return concat((x[..., -1:] * velocity, 0.0 * x[..., -1 - m :]))


def _carried(flow, event):
    """The event of a flow for a state that carries its input and the length of a step."""
    end = -1 - flow.inputs

    def held(s):
        return s[..., end:-1] if flow.inputs else None

    return Event(
        lambda s: event.distance(flow, s[..., :end], held(s)),
        lambda s: concat((event.reset(flow, s[..., :end], held(s)), s[..., end:])),
        event.direction,
    )


@dataclass(frozen=True, eq=False)
class Passage:
    """Steps of order 8 along a flow, each divided until its error is below ``rtol``, for states
    (m, n) with inputs (m, inputs) that are held."""

    flow: Flow
    rtol: float = SECTION_RTOL

    @cached_property
    def step(self):
        """One step of the flow over the time that the state carries."""
        return FlowMap(Stretched(self.flow), 1.0, order=8, rtol=self.rtol)

    @cached_property
    def _programs(self):
        return {}

    def joined(self, x: np.ndarray, u: Any, h: Any) -> np.ndarray:
        """States (m, n) with their inputs and the lengths of their steps."""
        shape = x.shape[:-1]
        parts = [x, np.broadcast_to(np.asarray(h, float)[..., None], (*shape, 1))]
        if self.flow.inputs:
            u = np.zeros(self.flow.inputs) if u is None else np.asarray(u, float)
            parts.insert(1, np.broadcast_to(u, (*shape, self.flow.inputs)))
        return np.concatenate(parts, axis=-1)

    def states(self, x: np.ndarray, u: Any, h: Any, steps: int) -> np.ndarray:
        """States (steps + 1, m, n) of so many steps of the length h each, those at the start
        included; NaN from where one is lost."""
        s, n = self.joined(x, u, h), x.shape[-1]
        out = np.full((steps + 1, *x.shape), np.nan)
        out[0], good = x, np.flatnonzero(np.isfinite(s).all(axis=1))
        compiled = self.compiled(s.shape[1])
        if compiled is None:
            for t in range(steps):
                if not len(good):
                    break
                with np.errstate(all="ignore"):
                    try:
                        s[good] = self.step.rule(s[good], None)
                    except ConvergenceError:
                        s[good] = np.nan
                good = good[np.isfinite(s[good]).all(axis=1)]
                out[t + 1, good] = s[good, :n]
            return out
        start, frames = s[good], np.zeros((len(good), 0, s.shape[1]))
        result = compiled.run(self.step, start, frames, steps, every=1, keep=("states",))
        out[1:, good] = np.swapaxes(result.states, 0, 1)[..., :n]
        for i in np.flatnonzero(result.status[:, 0]):
            out[max(1, result.status[i, 1]) :, good[i]] = np.nan
        return out

    def tangents(self, x: np.ndarray, u: Any, h: Any, steps: int) -> tuple:
        """States (m, n) after so many steps, at least one, and their derivatives (m, n, n + inputs)
        by the state and the input at the start; NaN where one is lost."""
        s, n = self.joined(x, u, h), x.shape[-1]
        k = s.shape[1] - 1
        y, J = np.full(x.shape, np.nan), np.full((len(x), n, k), np.nan)
        good = np.flatnonzero(np.isfinite(s).all(axis=1))
        compiled = self.compiled(s.shape[1])
        if compiled is not None and len(good):
            end, frames = s[good], np.tile(np.eye(k, k + 1), (len(good), 1, 1))
            result = compiled.run(self.step, end, frames, steps, every=steps, keep=("factors",))
            fine = result.status[:, 0] == 0
            rows = result.factors[fine, 0] @ frames[fine]
            y[good[fine]], J[good[fine]] = end[fine, :n], np.swapaxes(rows, 1, 2)[:, :n]
            good = good[np.isin(result.status[:, 0], (COLLAPSED, TANGENT_LOST))]
        if len(good):
            y[good], J[good] = self._pushed(s[good], steps, n)
        return y, J

    def compiled(self, size: int) -> Any:
        """The compiled step, or None where numpy is as fast."""
        if size not in self._programs:  # a rule is traced again by each call
            self._programs[size] = program(self.step, size)
        return self._programs[size]

    def _pushed(self, s, steps, n):
        """``tangents`` by dual numbers."""
        k = s.shape[1] - 1
        rows, good = np.tile(np.eye(k, k + 1)[:, None], (1, len(s), 1)), np.arange(len(s))
        for _ in range(steps):
            if not len(good):
                break
            with np.errstate(all="ignore"):
                try:
                    s[good], rows[:, good] = push(self.step, s[good], rows[:, good])
                except ConvergenceError:
                    s[good] = np.nan
            good = good[np.isfinite(s[good]).all(axis=1)]
        lost = np.setdiff1d(np.arange(len(s)), good)
        s[lost], rows[:, lost] = np.nan, np.nan
        return s[:, :n], np.moveaxis(rows, 0, -1)[:, :n]


class ReturnMap(Map):
    """A map given by its values and its Jacobian: what a rule on numpy, dual numbers and torch is
    made of where no formula leads from a state to its image."""

    formula = False

    def image(self, x: np.ndarray, u: np.ndarray | None, tangent: bool) -> tuple:
        """Images (m, n) of states x (m, n) with inputs u (m, inputs) or None, and their
        derivatives (m, n, n + inputs) by state and input, or None; NaN where one is lost."""
        raise NotImplementedError

    def lost(self, x: np.ndarray) -> Exception:
        """The error for a state (n,) without an image."""
        return NotFiniteError(
            f"the orbit of {type(self).__name__} from {x} is lost before its next image: start "
            "elsewhere, or change the parameters"
        )

    def rule(self, x: Array, u: Array | None) -> Array:
        at, held = _values(self, x), None if u is None else _values(self, u)
        plain = isinstance(x, np.ndarray) and (u is None or isinstance(u, np.ndarray))
        batch = (
            at.shape[:-1] if held is None else np.broadcast_shapes(at.shape[:-1], held.shape[:-1])
        )
        flat = np.broadcast_to(at, (*batch, at.shape[-1])).reshape(-1, at.shape[-1])
        if held is not None:
            held = np.broadcast_to(held, (*batch, held.shape[-1])).reshape(-1, held.shape[-1])
        y, J = self.image(flat.astype(float), held, not plain)
        if not batch and not np.isfinite(y).all():
            raise self.lost(at)
        y = y.reshape(*batch, y.shape[-1])
        if plain:
            return y
        J = np.swapaxes(J, -1, -2).reshape(*batch, *J.shape[:0:-1])
        return _with_jacobian(x, u, y, J)


def _values(system, x):
    """The values of an array, of dual numbers or of a tensor."""
    x = x.value if isinstance(x, Dual) else x
    found = x.detach().cpu().numpy() if hasattr(x, "new_zeros") else np.asarray(x)
    if found.dtype.kind not in "biuf":
        raise TypeError(
            f"{type(system).__name__} has no formula: an integrator leads from a state to its image"
        )
    return found


def _with_jacobian(x, u, y, J):
    """The value y, moving with x and u by the transposed Jacobian J (..., n + inputs, n)."""
    tensor = next((a for a in (x, u) if hasattr(a, "new_zeros")), None)
    if tensor is not None:
        y, J = tensor.new_tensor(y), tensor.new_tensor(J)
    n = x.shape[-1]
    for part, rows in ((x, J[..., :n, :]), (u, J[..., n:, :])):
        if isinstance(part, Dual):
            y = y + ((part - part.value)[..., None, :] @ rows)[..., 0, :]
        elif tensor is not None and part is not None:
            y = y + ((part - part.detach())[..., None, :] @ rows)[..., 0, :]
    return y


def check_rtol(rtol: Any) -> None:
    """Refuse a relative error that doubles cannot keep."""
    if not 1e-14 <= number("rtol", rtol) <= 1e-3:
        raise ValueError(f"rtol = {rtol}: must be from 1e-14 to 1e-3, the relative error of a step")
