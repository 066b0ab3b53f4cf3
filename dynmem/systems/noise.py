"""Flows under noise and under impulses, as maps: the noise enters as the input, so that orbits and
exponents use the ordinary drive."""

from dataclasses import dataclass, field

import numpy as np

from ..arrays import concat, sqrt
from ..errors import ShapeError
from ..orbits import FlowMap
from ..system import Flow, Map, as_system


@dataclass(frozen=True, eq=False)
class _Stepped(Map):
    """A flow that something happens to once a step; ``smooth`` is what the flow does in between."""

    flow: Flow = None
    dt: float = field(default=0.1)
    smooth: FlowMap = field(init=False, default=None, repr=False)
    share = 1.0

    def __post_init__(self):
        as_system(self.flow, Flow)
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt = {self.dt}: a step must be finite and above 0")
        object.__setattr__(self, "smooth", FlowMap(self.flow, self.share * self.dt))

    states = property(lambda self: self.flow.states)
    size = property(lambda self: self.flow.size)
    source = property(lambda self: self.flow.source)

    def initial(self, rng=0):
        return self.flow.initial(rng)

    def _still(self, x):
        """The flow's own input, at rest: zeros of the kind of x."""
        count, size = self.flow.inputs, x.shape[-1]
        return 0.0 * concat([x] * (count // size) + [x[..., : count % size]]) if count else None


@dataclass(frozen=True, eq=False)
class Noisy(_Stepped):
    """A flow with white noise on every state: dx = f(x) dt + sqrt(2 D) dW, the input u_t being
    independent N(0, 1) (``drive=1.0``).

    x_t = Phi(Phi(x_(t-1)) + sqrt(2 D dt) u_t), Phi the flow over dt/2 (Runge-Kutta, order 4), which
    errs by O(dt^2) in the stationary distribution: the variance of dx = -k x dt + sqrt(2 D) dW
    comes out as (D/k) k dt/sinh(k dt). The flow's own input is held at 0.

    flow: a Flow of n states; diffusion D >= 0 in squared units of the state per unit of time;
    inputs = n; held: the flow's own input (..., inputs of the flow) where it is not 0, one for all
    states or one for each. Source: Strang (1968), SIAM J. Numer. Anal. 5, 506, for the splitting.

    >>> from dynmem.systems.attractors import LineAttractor
    >>> noisy = Noisy(LineAttractor(), dt=0.5, diffusion=0.01)
    >>> noisy.rule(np.array([1.0]), np.array([2.0])).round(6).tolist()
    [1.2]
    """

    diffusion: float = 0.01
    held: np.ndarray | None = None
    share = 0.5

    def __post_init__(self):
        super().__post_init__()
        if not (np.isfinite(self.diffusion) and self.diffusion >= 0):
            raise ValueError(f"diffusion = {self.diffusion}: must be a finite number of at least 0")
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
                f"hears (..., {self.flow.inputs})"
            )

    inputs = property(lambda self: self.size)

    def _still(self, x):
        return super()._still(x) if self.held is None else super()._still(x) + self.held

    def rule(self, x, u):
        middle = self.smooth.rule(x, self._still(x))
        kicked = middle if u is None else middle + u * sqrt(2.0 * self.diffusion * self.dt)
        return self.smooth.rule(kicked, self._still(x))


@dataclass(frozen=True, eq=False)
class Impulses(_Stepped):
    """A flow that hears a train of impulses, one a step: x_t = y + f(y, u_t) - f(y, 0), y =
    Phi(x_(t-1)), Phi the flow over dt.

    For a flow whose input is added to its velocity this is an input of area u_t that lasts no time.
    What u_t wrote has the age 0 in x_t and the age dt in x_(t+1). flow: a Flow with inputs; Phi is
    Runge-Kutta's of order 4.

    >>> from dynmem.systems.synapses import BennaFusi
    >>> Impulses(BennaFusi(), dt=1.0).rule(np.zeros(12), np.array([1.0]))[:2].tolist()
    [1.0, 0.0]
    """

    def __post_init__(self):
        super().__post_init__()
        if not self.flow.inputs:
            raise ValueError(f"{type(self.flow).__name__} takes no input: impulses need one")

    inputs = property(lambda self: self.flow.inputs)

    def rule(self, x, u):
        still = self._still(x)
        y = self.smooth.rule(x, still)
        return y if u is None else y + (self.flow.rule(y, u) - self.flow.rule(y, still))

    def output(self, x, u):
        return self.flow.output(x, u)
