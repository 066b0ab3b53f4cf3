"""Stroboscopic maps: a driven flow looked at once a period."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..clock import ClockedFlow, with_clock
from ..runtime.validation import integer, number
from ..system import Flow, as_system
from .passage import SECTION_RTOL, Passage, ReturnMap, check_rtol


class StroboscopicMap(ReturnMap):
    """State of a flow after each period of its drive, x(t) -> x(t + period), from t = phase.

    A flow whose rule, or whose drive, depends on time with that period is autonomous as this map,
    so that fixed points, cycles, bifurcations and multipliers of driven flows are those of a map.

    Parameters
    ----------
    driven : Flow
        A flow whose rule depends on time, ``rule(self, x, u, t)``, or one with inputs.
    period : float
        Period of the rule, in the flow's unit of time.
    phase : float, optional
        Time at which the flow is looked at.
    steps : int, optional
        Runge-Kutta steps of order 8 in a period, at least; each is divided where its error is
        above ``rtol``.
    drive : callable, optional
        The input, a function u(t) of time with that period, such as ``lambda t: dm.sin(t)``.
    rtol : float, optional
        Relative error of a step.

    Raises
    ------
    TypeError
        If neither the flow nor a drive depends on time.

    References
    ----------
    Guckenheimer and Holmes (1983), Nonlinear Oscillations, section 1.5.

    Examples
    --------
    >>> import numpy as np
    >>> import dynmem as dm
    >>> class Driven(dm.Flow):
    ...     states = ("x",)
    ...     def rule(self, x, u, t):
    ...         return -x + dm.cos(t)[..., None]
    >>> strobed = dm.StroboscopicMap(Driven(), 2 * np.pi)
    >>> dm.fixed_points(strobed).x.values.round(9).tolist()  # (cos t + sin t) / 2 at t = 0
    [[0.5]]
    """

    driven: Flow = None  # type: ignore[assignment]
    period: float = 1.0
    phase: float = 0.0
    steps: int = 64
    drive: Any = None
    rtol: float = SECTION_RTOL

    def __post_init__(self):
        timed = as_system(self.driven, Flow, timed=True).timed
        if self.drive is not None and not (callable(self.drive) and self.driven.inputs):
            raise TypeError(
                f"drive = {self.drive!r:.60}: must be a function of time u(t), of a flow with "
                f"inputs; {type(self.driven).__name__} has {self.driven.inputs}"
            )
        if not timed and self.drive is None:
            raise TypeError(
                f"{type(self.driven).__name__} does not depend on time: pass a flow with "
                "rule(self, x, u, t), a drive u(t), or take dm.PoincareMap(flow, section) or "
                "dm.FlowMap(flow, dt)"
            )
        number("period", self.period, above=0)
        number("phase", self.phase)
        integer("steps", self.steps)
        check_rtol(self.rtol)

    states = property(lambda self: self.driven.states)
    inputs = property(lambda self: 0 if self.drive is not None else self.driven.inputs)
    size = property(lambda self: self.driven.size)
    source = property(lambda self: self.driven.source)
    circles = property(lambda self: self.driven.circles)
    dt = property(lambda self: self.period)

    @cached_property
    def passage(self):
        """The steps of the flow with its clock."""
        return Passage(ClockedFlow(self.driven, self.drive), self.rtol)

    def image(self, x, u, tangent):
        n, h = x.shape[-1], self.period / self.steps
        start = with_clock(x, self.phase)
        if not tangent:
            return self.passage.states(start, u, h, self.steps)[-1][:, :n], None
        y, J = self.passage.tangents(start, u, h, self.steps)
        return y[:, :n], np.delete(J[:, :n], n, axis=2)

    def output(self, x, u):
        return self.driven.output(x, u)

    def initial(self, rng=0):
        return self.driven.initial(rng)


__all__ = ["StroboscopicMap"]
