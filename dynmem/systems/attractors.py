"""Memories held by the activity of many neurons: line and ring attractors, bistable units and
Hopfield's content-addressable memory."""

from __future__ import annotations

from dataclasses import field
from typing import Self

import numpy as np

from ..arrays import relu, sign, tanh
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import all_errors, generator, integer, number
from ..system import Flow, Map
from ..typing import Array, ArrayLike, Rng
from .components import component_names
from .known import Known

__all__ = ["FlipFlop", "GradedHopfield", "Hopfield", "LineAttractor", "RingAttractor"]


class LineAttractor(Flow):
    """Line attractor: neurons that excite each other hold the mean of their rates.

    tau dx_i/dt = -x_i + w mean(x) + u_i

    Parameters
    ----------
    feedback : float
        Strength w of the recurrent excitation; dimensionless.
    time_constant : float
        Time constant tau of a neuron, above 0, in units of time.
    units : int
        Number of neurons; with one, tau x' = -x + w x + u.

    Notes
    -----
    States: rates x0, x1, ...; inputs: a current for each neuron. The mean m obeys
    tau dm/dt = -(1 - w) m + mean(u): a leak with the time constant tau/(1 - w), an integrator at
    w = 1, where every m is a fixed point; differences between neurons decay in tau. In noise
    (``Noisy``) m diffuses, by D/units: what it forgets is the exact value. Exponents: -(1 - w)/tau
    once, -1/tau for the others.

    References
    ----------
    Cannon, Robinson and Shamma (1983), Biol. Cybern. 49, 127; Seung (1996), PNAS 93, 13339.

    Examples
    --------
    >>> import dynmem as dm
    >>> line = dm.systems.LineAttractor(feedback=0.9, units=2)
    >>> line.rule(np.array([1.0, 1.0]), None).round(6).tolist()
    [-0.1, -0.1]
    """

    feedback: float = 1.0
    time_constant: float = 1.0
    units: int = 1
    equation = r"\tau \dot x_i = -x_i + \frac{w}{N} \sum_j x_j + u_i"
    source = (
        "Cannon, Robinson and Shamma (1983), Biol. Cybern. 49, 127; Seung (1996), PNAS 93, 13339"
    )
    known = Known((0.0,), 1e-8, "closed form: (w - 1)/tau at w = 1")
    neutral = {"time_constant": 1.0}

    def __post_init__(self) -> None:
        with all_errors() as check:
            units = check(integer, "units", self.units)
            check(number, "time_constant", self.time_constant, above=0)
        object.__setattr__(self, "units", units)

    size = property(lambda self: self.units, doc="Number of neurons.")
    states = property(lambda self: component_names("x", self.units), doc="Names of the neurons.")
    inputs = property(lambda self: self.units, doc="Number of inputs, one a neuron.")

    def rule(self, x: Array, u: Array | None) -> Array:
        drive = x.sum(axis=-1, keepdims=True) * (self.feedback / self.units)
        return (drive - x if u is None else drive - x + u) / self.time_constant

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 1.0 + 0.1 * generator(rng).standard_normal(self.units)


class RingAttractor(Flow):
    """Ring attractor: threshold-linear neurons hold an angle as the place of a bump.

    tau dr_i/dt = -r_i + [I + u_i + 1/N sum_j (J0 + J1 cos(theta_i - theta_j)) r_j]_+,
    theta_i = 2 pi i/N

    Parameters
    ----------
    inhibition : float
        Uniform coupling J0; dimensionless.
    modulation : float
        Tuned coupling J1; dimensionless.
    current : float
        Background current I, in units of the rate.
    time_constant : float
        Time constant tau of a neuron, above 0, in units of time.
    units : int
        Number N of neurons, at least 3.

    Notes
    -----
    States: rates r0, r1, ...; inputs: a current for each neuron. Below J1 = 2 the activity is flat,
    above it a bump stands wherever it was put, as far as the N places of the lattice allow;
    ``dm.theory.ring_flat`` and ``dm.theory.ring_bump`` give its width and spectrum. The exponents
    are real and at most 0: the one that is 0 keeps the angle, height and width relax with the
    others.

    References
    ----------
    Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844; Hansel and Sompolinsky (1998).

    Examples
    --------
    >>> import dynmem as dm
    >>> ring = dm.systems.RingAttractor(modulation=1.0)
    >>> flat = np.full(128, 1.0 / (1 + 7.3))
    >>> bool(abs(ring.rule(flat, None)).max() < 1e-15)
    True
    """

    inhibition: float = -7.3
    modulation: float = 4.0
    current: float = 1.0
    time_constant: float = 1.0
    units: int = 128
    tuning: Array = field(init=False, default=None, repr=False)
    equation = (
        r"\tau \dot r_i = -r_i + \left[I + u_i + \frac1N \sum_j \left(J_0 + J_1 "
        r"\cos(\theta_i - \theta_j)\right) r_j\right]_+"
    )
    source = "Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844"
    known = Known(
        (0.0, -0.760886),
        1e-4,
        "eigenvalues of a bump over half of the 128 units: dm.theory.ring_bump",
        note="a bump that is not centred on a unit",
    )
    neutral = {"time_constant": 1.0}

    def __post_init__(self) -> None:
        with all_errors() as check:
            units = check(integer, "units", self.units, 3)
            check(number, "time_constant", self.time_constant, above=0)
        object.__setattr__(self, "units", units)
        angles = self.angles
        object.__setattr__(
            self, "tuning", np.array([np.ones_like(angles), np.cos(angles), np.sin(angles)])
        )

    size = property(lambda self: self.units, doc="Number of neurons.")
    states = property(lambda self: component_names("r", self.units), doc="Names of the neurons.")
    inputs = property(lambda self: self.units, doc="Number of inputs, one a neuron.")

    @property
    def angles(self) -> np.ndarray:
        """Preferred angles of the neurons, in radians, shape (N,)."""
        return 2.0 * np.pi * np.arange(self.units) / self.units

    def rule(self, x: Array, u: Array | None) -> Array:
        orders = x @ self.tuning.T * (1.0 / self.units)
        field_ = (
            self.inhibition * orders[..., :1]
            + self.modulation * (orders[..., 1:] @ self.tuning[1:])
            + self.current
        )
        return (relu(field_ if u is None else field_ + u) - x) / self.time_constant

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A bump at an angle drawn at random."""
        return self.bump(generator(rng).uniform(0.0, 2.0 * np.pi))

    def bump(self, angle: ArrayLike, height: float = 0.4) -> np.ndarray:
        """Rates (..., N) of a half-wave at the angle (...) in radians, near the stationary bump."""
        return height * np.maximum(np.cos(self.angles - np.asarray(angle)[..., None]), 0.0)

    def phase(self, x: ArrayLike) -> np.ndarray:
        """Angle of the population vector of the rates x (..., N), in radians."""
        vector = np.asarray(x) @ self.tuning[1:].T
        return np.arctan2(vector[..., 1], vector[..., 0])


class _Hebbian(Map):
    """Binary patterns xi (p, N) in Hebbian weights W_ij = 1/N sum_mu xi_i xi_j, W_ii = 0."""

    patterns: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.patterns is None:
            object.__setattr__(self, "patterns", random_patterns(5, 100, 0))
        patterns = np.asarray(self.patterns, dtype=float)
        if patterns.ndim != 2 or not patterns.size:
            raise ShapeError(f"patterns have shape {patterns.shape}: pass (p, N), a pattern a row")
        if not np.isfinite(patterns).all():
            raise NotFiniteError("patterns hold NaN or infinity: pass +1 and -1")
        object.__setattr__(self, "patterns", patterns)

    @classmethod
    def random(cls, units: int, stored: int, rng: Rng = 0, **parameters: float) -> Self:
        """Network of ``units`` units with ``stored`` random patterns."""
        return cls(random_patterns(stored, units, rng), **parameters)

    size = property(lambda self: self.patterns.shape[1], doc="Number N of units.")
    states = property(lambda self: component_names("x", self.size), doc="Names of the units.")

    @property
    def weights(self) -> np.ndarray:
        """Hebbian weights W, shape (N, N)."""
        found = self.patterns.T @ self.patterns / self.size
        np.fill_diagonal(found, 0.0)
        return found

    def field(self, x: Array) -> Array:
        """Local field h = W x of states (..., N), through the patterns: 2 p N operations in place
        of N^2."""
        own = (self.patterns * self.patterns).sum(0)
        return ((x @ self.patterns.T) @ self.patterns - x * own) / self.patterns.shape[1]

    def overlap(self, x: ArrayLike) -> np.ndarray:
        """Overlaps m_mu = 1/N sum_i xi_i x_i of states (..., N) with each pattern, (..., p)."""
        return np.asarray(x) @ self.patterns.T / self.size

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The first pattern, a tenth of its entries reversed."""
        return flipped(self.patterns[0], 0.1, rng)


def random_patterns(stored: int, units: int, rng: Rng = 0) -> np.ndarray:
    """Independent entries +1 and -1, shape (stored, units)."""
    stored, units = integer("stored", stored), integer("units", units, 2)
    return generator(rng).choice([-1.0, 1.0], size=(stored, units))


def flipped(pattern: ArrayLike, share: float, rng: Rng = 0) -> np.ndarray:
    """The pattern with a random ``share`` of its entries reversed: overlap 1 - 2 share."""
    rng, out = generator(rng), np.array(pattern, dtype=float)
    out[rng.permutation(out.size)[: round(share * out.size)]] *= -1.0
    return out


class Hopfield(_Hebbian):
    """Hopfield's content-addressable memory, all units updated at once.

    x_i' = sign(h_i + T u_i/2), h = W x, W_ij = 1/N sum_mu xi_i xi_j, W_ii = 0

    Parameters
    ----------
    patterns : np.ndarray (p, N), optional
        Stored patterns xi of +1 and -1; ``Hopfield.random(units, stored, rng)`` draws them. By
        default 5 random patterns of 100 units.
    temperature : float
        Temperature T of the heat bath, at least 0; dimensionless.

    Notes
    -----
    States: x_i = +1 or -1; inputs: a noise for each unit. Without input the temperature is 0; with
    u independent standard logistic numbers (``drive=logistic``) it is Glauber's heat bath,
    P(x_i' = 1) = 1/(1 + exp(-2 h_i/T)). A unit whose field is 0 keeps its state. Up to 0.1379 N
    patterns are remembered, each with a few wrong entries; beyond, all are lost at once
    (``dm.theory.hopfield``). The exponents are -inf: small errors vanish in one step.

    References
    ----------
    Hopfield (1982), PNAS 79, 2554; Little (1974), Math. Biosci. 19, 101; Amit, Gutfreund and
    Sompolinsky (1985), Phys. Rev. Lett. 55, 1530.

    Examples
    --------
    >>> import dynmem as dm
    >>> net = dm.systems.Hopfield.random(200, 4)
    >>> x = net.rule(net.initial(), None)
    >>> float(net.overlap(x)[0])
    1.0
    """

    temperature: float = 0.0
    equation = (
        r"x_i' = \operatorname{sign}\left(h_i + \tfrac{T}{2} u_i\right), \quad h = W x, "
        r"\quad W_{ij} = \frac1N \sum_\mu \xi_i^\mu \xi_j^\mu"
    )
    source = (
        "Hopfield (1982), PNAS 79, 2554; Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. "
        "Lett. 55, 1530"
    )

    inputs = property(lambda self: self.size, doc="Number of inputs, one a unit.")

    def __post_init__(self) -> None:
        super().__post_init__()
        number("temperature", self.temperature, least=0)

    def rule(self, x: Array, u: Array | None) -> Array:
        h = self.field(x)
        s = sign(h if u is None else h + u * (0.5 * self.temperature))
        return s + (1.0 - s * s) * x


def logistic(rng: np.random.Generator, steps: int, units: int) -> np.ndarray:
    """Standard logistic numbers (steps, units), the noise of a heat bath; as a drive: ``lambda rng,
    steps: logistic(rng, steps, N)``."""
    return rng.logistic(size=(steps, units))


class GradedHopfield(_Hebbian):
    """Hopfield's memory of graded units, the naive mean field of Glauber's dynamics.

    x' = tanh(beta W x), W_ij = 1/N sum_mu xi_i xi_j, W_ii = 0

    Parameters
    ----------
    patterns : np.ndarray (p, N), optional
        Stored patterns xi of +1 and -1, as for ``Hopfield``.
    beta : float
        Gain, the inverse temperature, above 0; dimensionless.

    Notes
    -----
    States: x_i in [-1, 1]. The map is differentiable. With few patterns x = m xi solves it,
    m = tanh(beta m): memories from beta = 1 on. With p = alpha N the origin is stable up to
    beta = 1/(1 + 2 sqrt(alpha)). Exponents at a memory: ln of the eigenvalues of beta (1 - x^2) W.

    References
    ----------
    Hopfield (1984), PNAS 81, 3088; Kuehn, Boes and van Hemmen (1991), Phys. Rev. A 43, 2084.

    Examples
    --------
    >>> import dynmem as dm
    >>> net = dm.systems.GradedHopfield.random(200, 2, beta=2.0)
    >>> x = net.patterns[0] * 0.9
    >>> for _ in range(50):
    ...     x = net.rule(x, None)
    >>> bool(abs(net.overlap(x)[0] - 0.957) < 0.02)
    True
    """

    beta: float = 4.0
    equation = r"x' = \tanh(\beta W x), \quad W_{ij} = \frac1N \sum_\mu \xi_i^\mu \xi_j^\mu"
    source = "Hopfield (1984), PNAS 81, 3088"

    def __post_init__(self) -> None:
        super().__post_init__()
        number("beta", self.beta, above=0)

    def rule(self, x: Array, u: Array | None) -> Array:
        return tanh(self.beta * self.field(x))


class FlipFlop(Flow):
    """Flip-flop: bistable units, one a bit, which a pulse of input sets.

    tau dx_i/dt = -x_i + tanh(g x_i + u_i)

    Parameters
    ----------
    gain : float
        Gain g of the feedback; dimensionless. Above 1 a bit is bistable.
    time_constant : float
        Time constant tau, above 0, in units of time.
    bits : int
        Number of bits.

    Notes
    -----
    States: bit0, bit1, ...; inputs: a pulse for each bit. Above g = 1 each bit has the stable
    states +-m, m = tanh(g m), and an unstable one at 0: 3^bits fixed points, 2^bits of them stable.
    Without noise nothing is forgotten; in noise of intensity D bits flip at a rate that falls as
    exp(-barrier/D) (``dm.theory.flip_flop``). Exponents: (g (1 - m^2) - 1)/tau, one a bit.

    References
    ----------
    Sussillo and Barak (2013), Neural Comput. 25, 626, for the three-bit task; Kramers (1940) for
    the flips.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.FlipFlop(bits=2).rule(np.array([0.0, 0.9575]), None).round(3).tolist()
    [0.0, 0.0]
    """

    gain: float = 2.0
    time_constant: float = 1.0
    bits: int = 3
    equation = r"\tau \dot x_i = -x_i + \tanh(g\, x_i + u_i)"
    source = "Sussillo and Barak (2013), Neural Comput. 25, 626"
    neutral = {"time_constant": 1.0}

    def __post_init__(self) -> None:
        with all_errors() as check:
            bits = check(integer, "bits", self.bits)
            check(number, "time_constant", self.time_constant, above=0)
        object.__setattr__(self, "bits", bits)

    size = property(lambda self: self.bits, doc="Number of bits.")
    states = property(lambda self: component_names("bit", self.bits), doc="Names of the bits.")
    inputs = property(lambda self: self.bits, doc="Number of inputs, one a bit.")

    def rule(self, x: Array, u: Array | None) -> Array:
        return (tanh(self.gain * x if u is None else self.gain * x + u) - x) / self.time_constant

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).choice([-0.9, 0.9], size=self.bits)


SYSTEMS = {
    "flip_flop": FlipFlop,
    "graded_hopfield": GradedHopfield,
    "hopfield": Hopfield,
    "line_attractor": LineAttractor,
    "ring_attractor": RingAttractor,
}
