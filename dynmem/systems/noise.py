"""Flows under noise and under impulses, as maps: the noise enters as the input, so that orbits and
exponents use the ordinary drive."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from ..arrays import concat, sqrt
from ..errors import ShapeError
from ..orbits import FlowMap
from ..runtime.validation import number
from ..system import Flow, Map, as_system
from ..typing import Array, Rng

__all__ = ["Impulses", "Noisy"]


class _Stepped(Map):
    """A flow that is disturbed once a step; ``smooth`` is the flow in between."""

    flow: Flow = None  # type: ignore[assignment]
    dt: float = field(default=0.1)
    smooth: FlowMap = field(init=False, default=None, repr=False)  # type: ignore[assignment]
    share = 1.0

    def __post_init__(self) -> None:
        as_system(self.flow, Flow)
        number("dt", self.dt, above=0)
        object.__setattr__(self, "smooth", FlowMap(self.flow, self.share * self.dt))

    states = property(lambda self: self.flow.states, doc="Names of the states of the flow.")
    size = property(lambda self: self.flow.size, doc="Number of states of the flow.")
    source = property(lambda self: self.flow.source, doc="Reference of the flow.")

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.flow.initial(rng)

    def _still(self, x: Array) -> Array | None:
        """The flow's own input of 0, of the array type of x."""
        count, size = self.flow.inputs, x.shape[-1]
        return 0.0 * concat([x] * (count // size) + [x[..., : count % size]]) if count else None


class Noisy(_Stepped):
    """A flow with white noise on every state, as a map whose input is the noise.

    dx = f(x) dt + sqrt(2 D) dW; x_t = Phi(Phi(x_(t-1)) + sqrt(2 D dt) u_t), Phi the flow over dt/2

    Parameters
    ----------
    flow : Flow
        A flow of n named states.
    dt : float
        Step, above 0, in units of time of the flow.
    diffusion : float
        Diffusion D, at least 0, in squared units of the state per unit of time.
    held : np.ndarray (..., inputs of the flow), optional
        Constant input of the flow where it is not 0, one for all states or one for each.

    Raises
    ------
    TypeError
        For a system that is not a Flow.
    ValueError
        For a step, diffusion or flow that does not fit.

    Notes
    -----
    States: those of the flow; inputs: n independent N(0, 1) numbers (``drive=1.0``). Phi is
    Runge-Kutta of order 4. The splitting errs by O(dt^2) in the stationary distribution: the
    variance of dx = -k x dt + sqrt(2 D) dW is (D/k) k dt/sinh(k dt).

    References
    ----------
    Strang (1968), SIAM J. Numer. Anal. 5, 506, for the splitting.

    Examples
    --------
    >>> import dynmem as dm
    >>> noisy = dm.systems.Noisy(dm.systems.LineAttractor(), dt=0.5, diffusion=0.01)
    >>> noisy.rule(np.array([1.0]), np.array([2.0])).round(6).tolist()
    [1.2]
    """

    diffusion: float = 0.01
    held: np.ndarray | None = None
    share = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        number("diffusion", self.diffusion, least=0)
        if self.size is None:
            raise ValueError(
                f"{type(self.flow).__name__} names no states, so that the number of "
                "its noises is not known: set states = (...)"
            )
        if self.held is not None and (
            not self.flow.inputs or np.shape(self.held)[-1:] != (self.flow.inputs,)
        ):
            raise ShapeError(
                f"held has shape {np.shape(self.held)}, {type(self.flow).__name__} "
                f"takes (..., {self.flow.inputs})"
            )

    inputs = property(lambda self: self.size, doc="Number of inputs, one a state.")

    def _still(self, x: Array) -> Array | None:
        return super()._still(x) if self.held is None else super()._still(x) + self.held

    def rule(self, x: Array, u: Array | None) -> Array:
        middle = self.smooth.rule(x, self._still(x))
        kicked = middle if u is None else middle + u * sqrt(2.0 * self.diffusion * self.dt)
        return self.smooth.rule(kicked, self._still(x))


class Impulses(_Stepped):
    """A flow under a train of impulses, one a step, as a map.

    x_t = y + f(y, u_t) - f(y, 0), y = Phi(x_(t-1)), Phi the flow over dt

    Parameters
    ----------
    flow : Flow
        A flow with inputs.
    dt : float
        Step, above 0, in units of time of the flow.

    Raises
    ------
    TypeError
        For a system that is not a Flow.
    ValueError
        For a step that is not above 0, or a flow without inputs.

    Notes
    -----
    States and inputs: those of the flow. For a flow whose input is added to its velocity u_t is the
    area of an impulse without duration. What u_t wrote has the age 0 in x_t and the age dt in
    x_(t+1). Phi is Runge-Kutta of order 4.

    References
    ----------
    Benna and Fusi (2016), Nature Neurosci. 19, 1697, for trains of memories.

    Examples
    --------
    >>> import dynmem as dm
    >>> train = dm.systems.Impulses(dm.systems.BennaFusi(), dt=1.0)
    >>> train.rule(np.zeros(12), np.array([1.0]))[:2].tolist()
    [1.0, 0.0]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.flow.inputs:
            raise ValueError(f"{type(self.flow).__name__} takes no input: impulses need one")

    inputs = property(lambda self: self.flow.inputs, doc="Number of inputs of the flow.")

    def rule(self, x: Array, u: Array | None) -> Array:
        still = self._still(x)
        y = self.smooth.rule(x, still)
        return y if u is None else y + (self.flow.rule(y, u) - self.flow.rule(y, still))

    def output(self, x: Array, u: Array | None) -> Array:
        return self.flow.output(x, u)
