"""Runge-Kutta steps: a flow as a map."""

from dataclasses import field
from functools import cache

from ..runtime.validation import choice, integer, number
from ..system import Flow, Map, as_system
from . import dop853


class FlowMap(Map):
    """Map x(t) -> x(t + dt) of a flow by Runge-Kutta steps, the input held over the step.

    The rule composes the flow's own rule, so that Jacobians, exponents and gradients of the flow
    need no code of their own.

    Parameters
    ----------
    flow : Flow
    dt : float
        Time between two states; negative for backwards in time.
    substeps : int
        Runge-Kutta steps that divide dt.
    order : {4, 8}
        Classical scheme (Kutta 1901), or Dormand and Prince's scheme of order 8.

    Raises
    ------
    TypeError
        If ``flow`` is not a Flow.
    ValueError
        If another parameter is out of range.

    References
    ----------
    Hairer, Norsett and Wanner (1993), Solving Ordinary Differential Equations I, II.1 and II.5.

    Examples
    --------
    >>> import numpy as np
    >>> import dynmem as dm
    >>> class Decay(dm.Flow):
    ...     states = ("x",)
    ...     def rule(self, x, u):
    ...         return -0.9 * x
    >>> error = dm.FlowMap(Decay(), dt=0.1).rule(np.array([1.0]), None)[0] - np.exp(-0.09)
    >>> bool(abs(error) < 1e-7)
    True
    """

    flow: Flow = None  # type: ignore[assignment]
    dt: float = field(default=0.01)
    substeps: int = 1
    order: int = 4

    def __post_init__(self):
        choice("order", self.order, (4, 8))
        as_system(self.flow, Flow)
        if number("dt", self.dt) == 0:
            raise ValueError("dt = 0: a step must not be 0")
        integer("substeps", self.substeps)

    states = property(lambda self: self.flow.states)
    inputs = property(lambda self: self.flow.inputs)
    size = property(lambda self: self.flow.size)
    source = property(lambda self: self.flow.source)

    def rule(self, x, u):
        A, B = tableau(self.order)
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            slopes = []
            for row in A:
                slopes.append(self.flow.rule(_moved(x, h, row, slopes), u))
            x = _moved(x, h, B, slopes)
        return x

    def output(self, x, u):
        return self.flow.output(x, u)

    def initial(self, rng=0):
        return self.flow.initial(rng)


def _moved(x, h, weights, slopes):
    """x + h sum_i w_i k_i, zero weights skipped."""
    step = None
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            step = h * weight * slope if step is None else step + h * weight * slope
    return x if step is None else x + step


@cache
def tableau(order):
    """Runge-Kutta weights of each stage, and of the step: classical (Kutta 1901), or Dormand and
    Prince's order 8."""
    if order == 4:
        return ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    return tuple(
        tuple(row.get(j, 0.0) for j in range(i)) for i, row in enumerate(dop853.STAGES)
    ), tuple(dop853.STEP.get(j, 0.0) for j in range(12))
