"""Runge-Kutta steps: a flow as a map."""

import math
from dataclasses import field
from functools import cache

import numpy as np

from ..arrays import namespace, where
from ..errors import ConvergenceError
from ..runtime.validation import choice, integer, number
from ..system import Flow, Map, as_system
from . import dop853
from .discontinuity import jumps
from .jumps import jumping_step

FINEST_RTOL = 2e-14  # that doubles can keep
SMALLEST_PART = 2.0**-30  # of a step
MAX_PARTS = 20_000  # of a step
GROWTH_SHARE = 2.0**-9  # of the tolerance, below which the next part is twice as long
SMALLEST_SCALE = 1e-300


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
    rtol : float
        Of order 8: relative error of a step at which it is divided into halves, quarters ..., each
        as short as its own error requires; 0 for steps of one size. The error of a component is
        taken relative to |x| + |h dx/dt|, whatever its unit.

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
    rtol: float = 0.0

    def __post_init__(self):
        choice("order", self.order, (4, 8))
        if number("rtol", self.rtol) and not (self.order == 8 and FINEST_RTOL <= self.rtol < 1.0):
            raise ValueError(
                f"rtol = {self.rtol}: must be 0, or from {FINEST_RTOL:.1e} to 1 with order=8"
            )
        as_system(self.flow, Flow)
        if number("dt", self.dt) == 0:
            raise ValueError("dt = 0: a step must not be 0")
        integer("substeps", self.substeps)

    states = property(lambda self: self.flow.states)
    inputs = property(lambda self: self.flow.inputs)
    size = property(lambda self: self.flow.size)
    source = property(lambda self: self.flow.source)

    def rule(self, x, u):
        h = self.dt / self.substeps
        jumping = jumps(self.flow, x.shape[-1])
        for _ in range(self.substeps):
            if jumping:
                x = jumping_step(self, x, u, h)
                continue
            for part in self._parts(x, u, h) if self.rtol else (1.0,):
                x = self._step(x, u, part * h)[0]
        return x

    def _step(self, x, u, h, velocity=None):
        """State after a Runge-Kutta step, and the slopes of its stages; of the velocity given,
        where that is another than the flow's."""
        A, B = tableau(self.order)
        slopes, velocity = [], velocity or self.flow.rule
        for row in A:
            slopes.append(velocity(_moved(x, h, row, slopes), u))
        return _moved(x, h, B, slopes), slopes

    @property
    def nodes(self):
        """Share of the step at which each stage is taken."""
        return np.array([round(sum(row), 12) for row in tableau(self.order)[0]])

    error = staticmethod(lambda *step: step_error(*step))

    def _parts(self, x, u, h):
        """Parts of the step h, powers of 1/2, each with an error below the tolerance; of a batch,
        those that the worst of its members needs."""
        detach = namespace(x).detach
        x, u = detach(x), None if u is None else detach(u)
        parts, reached, part = [], 0.0, 1.0
        while reached < 1.0:
            if len(parts) == MAX_PARTS or part < SMALLEST_PART:
                raise ConvergenceError(
                    f"a step of {type(self.flow).__name__} needs more than {MAX_PARTS} parts for a "
                    f"relative error of {self.rtol:g}: the flow is stiff or discontinuous, or "
                    "falls into a singularity there; a larger rtol, or dt for steps of one size"
                )
            new, slopes = self._step(x, u, part * h)
            error = step_error(x, new, slopes, part * h)
            if error <= self.rtol:
                parts.append(part)
                reached, x = reached + part, new
                if error < GROWTH_SHARE * self.rtol and reached % (2.0 * part) == 0.0:
                    part *= 2.0
            elif part > SMALLEST_PART or error < math.inf:
                part /= 2.0
            else:  # out of what is finite
                return [*parts, part]
        return parts

    def output(self, x, u):
        return self.flow.output(x, u)

    def initial(self, rng=0):
        return self.flow.initial(rng)


def step_error(x, new, slopes, h):
    """Relative error of a step of order 8 (Hairer, Norsett and Wanner 1993, section II.10): root
    mean square over the components of the estimates of order 5 and 3, joined; NaN where the step
    has left what is finite. Of a batch, the largest."""
    scale = abs(new) + abs(h * slopes[0]) + SMALLEST_SCALE
    fifth, third = (
        ((_moved(0.0 * new, h, weights, slopes) / scale) ** 2).mean(-1)
        for weights in error_weights()
    )
    joined = fifth + 0.01 * third
    error = fifth / where(joined > 0.0, joined, 1.0) ** 0.5
    return float(error.max())


def _moved(x, h, weights, slopes):
    """x + h sum_i w_i k_i, zero weights skipped."""
    step = None
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            step = h * weight * slope if step is None else step + h * weight * slope
    return x if step is None else x + step


@cache
def error_weights():
    """Weights of the stages in the error estimates of order 5 and 3."""
    return tuple(
        tuple(estimate.get(j, 0.0) for j in range(12))
        for estimate in (dop853.ERROR5, dop853.ERROR3)
    )


@cache
def tableau(order):
    """Runge-Kutta weights of each stage, and of the step: classical (Kutta 1901), or Dormand and
    Prince's order 8."""
    if order == 4:
        return ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    return tuple(
        tuple(row.get(j, 0.0) for j in range(i)) for i, row in enumerate(dop853.STAGES)
    ), tuple(dop853.STEP.get(j, 0.0) for j in range(12))
