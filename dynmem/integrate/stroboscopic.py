"""Stroboscopic maps: a driven flow looked at once a period."""

from __future__ import annotations

from ..arrays import concat
from ..clock import ClockedFlow
from ..runtime.validation import integer, number
from ..system import Flow, Map, as_system
from .runge_kutta import FlowMap


class StroboscopicMap(Map):
    """State of a flow after each period of its drive, x(t) -> x(t + period), from t = phase.

    A flow whose rule depends on time with that period is autonomous as this map, so that fixed
    points, cycles, bifurcations and multipliers of driven flows are those of a map.

    Parameters
    ----------
    driven : Flow
        A flow whose rule depends on time, ``rule(self, x, u, t)``.
    period : float
        Period of the rule, in the flow's unit of time.
    phase : float, optional
        Time at which the flow is looked at.
    steps : int, optional
        Runge-Kutta steps of order 8 in a period.

    Raises
    ------
    TypeError
        If the flow does not depend on time.

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

    def __post_init__(self):
        if not as_system(self.driven, Flow, timed=True).timed:
            raise TypeError(
                f"{type(self.driven).__name__} does not depend on time: pass a flow with "
                "rule(self, x, u, t), or take dm.FlowMap(flow, dt)"
            )
        number("period", self.period, above=0)
        number("phase", self.phase)
        integer("steps", self.steps)

    states = property(lambda self: self.driven.states)
    inputs = property(lambda self: self.driven.inputs)
    size = property(lambda self: self.driven.size)
    source = property(lambda self: self.driven.source)
    dt = property(lambda self: self.period)

    def rule(self, x, u):
        whole = FlowMap(ClockedFlow(self.driven), self.period, substeps=self.steps, order=8)
        return whole.rule(concat((x, 0.0 * x[..., :1] + self.phase)), u)[..., :-1]

    def output(self, x, u):
        return self.driven.output(x, u)

    def initial(self, rng=0):
        return self.driven.initial(rng)


__all__ = ["StroboscopicMap"]
