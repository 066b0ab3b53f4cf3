"""Memories held by the activity of many neurons: line and ring attractors, and Hopfield's
content-addressable memory."""

from dataclasses import dataclass, field

import numpy as np

from ..arrays import relu, sign, tanh
from ..errors import NotFiniteError, ShapeError
from ..system import Flow, Map
from .known import Known


def at_least(name, value, least=1):
    """A whole number of at least ``least``, or an error that says so."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r}: pass a whole number of at least {least}")


def numbered(name, count):
    """Names of the components of a state: name0, name1 ..."""
    return tuple(f"{name}{i}" for i in range(count))


def above_zero(**values):
    """Refuse the first of the numbers that is not finite and above 0."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value}: pass a finite number above 0")


@dataclass(frozen=True, eq=False)
class LineAttractor(Flow):
    """Neurons that excite each other hold the mean of their rates: tau dx_i/dt = -x_i + w mean(x) +
    u_i.

    The mean m obeys tau dm/dt = -(1 - w) m + mean(u): a leak with the time constant tau/(1 - w), an
    integrator at w = 1, where every m is a fixed point; differences between neurons fade in tau. In
    noise (``Noisy``) m diffuses, by D/units: what it forgets is exact value.

    feedback w; time_constant tau; units (1: x' = -x + w x + u). Exponents: -(1 - w)/tau once,
    -1/tau for the others. Source: Cannon, Robinson and Shamma (1983), Biol. Cybern. 49, 127; Seung
    (1996), PNAS 93, 13339.

    >>> LineAttractor(feedback=0.9, units=2).rule(np.array([1.0, 1.0]), None).round(6).tolist()
    [-0.1, -0.1]
    """

    feedback: float = 1.0
    time_constant: float = 1.0
    units: int = 1
    source = (
        "Cannon, Robinson and Shamma (1983), Biol. Cybern. 49, 127; Seung (1996), PNAS 93, 13339"
    )
    known = Known((0.0,), 1e-8, "closed form: (w - 1)/tau at w = 1")
    neutral = {"time_constant": 1.0}

    def __post_init__(self):
        at_least("units", self.units)
        above_zero(time_constant=self.time_constant)

    size = property(lambda self: self.units)
    states = property(lambda self: numbered("x", self.units))
    inputs = property(lambda self: self.units)

    def rule(self, x, u):
        drive = x.sum(axis=-1, keepdims=True) * (self.feedback / self.units)
        return (drive - x if u is None else drive - x + u) / self.time_constant

    def initial(self, rng=0):
        return 1.0 + 0.1 * np.random.default_rng(rng).standard_normal(self.units)


@dataclass(frozen=True, eq=False)
class RingAttractor(Flow):
    """Threshold-linear neurons on a ring, tuned to theta_i = 2 pi i/N, hold an angle as the place
    of a bump:

    tau dr_i/dt = -r_i + [I + u_i + 1/N sum_j (J0 + J1 cos(theta_i - theta_j)) r_j]_+.

    Below J1 = 2 the activity is flat, above it a bump stands wherever it was put, as far as the N
    places of the lattice allow. See ``dm.theory.ring_flat`` and ``dm.theory.ring_bump`` for its
    width and spectrum. The exponents are real and at most 0: angle is kept by the one that is 0,
    height and width come back with the others.

    units N; inhibition J0; modulation J1; current I; time_constant tau. State: the rates r (N).
    Source: Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844; Hansel and Sompolinsky (1998).

    >>> ring = RingAttractor(modulation=1.0)
    >>> flat = np.full(128, 1.0 / (1 + 7.3))
    >>> bool(abs(ring.rule(flat, None)).max() < 1e-15)
    True
    """

    inhibition: float = -7.3
    modulation: float = 4.0
    current: float = 1.0
    time_constant: float = 1.0
    units: int = 128
    tuning: np.ndarray = field(init=False, default=None, repr=False)
    source = "Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844"
    known = Known(
        (0.0, -0.760886),
        1e-4,
        "eigenvalues of a bump over half of the 128 units: dm.theory.ring_bump",
        note="a bump that is not centred on a unit",
    )
    neutral = {"time_constant": 1.0}

    def __post_init__(self):
        at_least("units", self.units, 3)
        above_zero(time_constant=self.time_constant)
        angles = self.angles
        object.__setattr__(
            self, "tuning", np.array([np.ones_like(angles), np.cos(angles), np.sin(angles)])
        )

    size = property(lambda self: self.units)
    states = property(lambda self: numbered("r", self.units))
    inputs = property(lambda self: self.units)
    angles = property(lambda self: 2.0 * np.pi * np.arange(self.units) / self.units)

    def rule(self, x, u):
        orders = x @ self.tuning.T * (1.0 / self.units)
        field_ = (
            self.inhibition * orders[..., :1]
            + self.modulation * (orders[..., 1:] @ self.tuning[1:])
            + self.current
        )
        return (relu(field_ if u is None else field_ + u) - x) / self.time_constant

    def initial(self, rng=0):
        """A bump at an angle drawn at random."""
        return self.bump(np.random.default_rng(rng).uniform(0.0, 2.0 * np.pi))

    def bump(self, angle, height=0.4):
        """Rates of a half-wave at the angle, in radians, shape (..., N): near the bump that will
        stand there."""
        return height * np.maximum(np.cos(self.angles - np.asarray(angle)[..., None]), 0.0)

    def phase(self, x):
        """Angle of the population vector of the rates x (..., N), in radians."""
        vector = np.asarray(x) @ self.tuning[1:].T
        return np.arctan2(vector[..., 1], vector[..., 0])


@dataclass(frozen=True, eq=False)
class _Hebbian(Map):
    """Binary patterns xi (p, N) in Hebbian weights W_ij = 1/N sum_mu xi_i xi_j, W_ii = 0."""

    patterns: np.ndarray = None

    def __post_init__(self):
        if self.patterns is None:
            object.__setattr__(self, "patterns", random_patterns(5, 100, 0))
        patterns = np.asarray(self.patterns, dtype=float)
        if patterns.ndim != 2 or not patterns.size:
            raise ShapeError(f"patterns have shape {patterns.shape}: pass (p, N), a pattern a row")
        if not np.isfinite(patterns).all():
            raise NotFiniteError("patterns hold NaN or infinity: pass +1 and -1")
        object.__setattr__(self, "patterns", patterns)

    @classmethod
    def random(cls, units, stored, rng=0, **parameters):
        """Network of N units with this number of random patterns."""
        return cls(random_patterns(stored, units, rng), **parameters)

    size = property(lambda self: self.patterns.shape[1])
    states = property(lambda self: numbered("x", self.size))

    @property
    def weights(self):
        """W, shape (N, N)."""
        found = self.patterns.T @ self.patterns / self.size
        np.fill_diagonal(found, 0.0)
        return found

    def field(self, x):
        """h = W x, through the patterns: 2 p N operations in place of N^2."""
        own = (self.patterns * self.patterns).sum(0)
        return ((x @ self.patterns.T) @ self.patterns - x * own) / self.patterns.shape[1]

    def overlap(self, x):
        """m_mu = 1/N sum_i xi_i x_i of states x (..., N), shape (..., p)."""
        return np.asarray(x) @ self.patterns.T / self.size

    def initial(self, rng=0):
        """The first pattern, a tenth of its entries reversed."""
        return flipped(self.patterns[0], 0.1, rng)


def random_patterns(stored, units, rng=0):
    """Independent entries +1 and -1, shape (stored, units)."""
    at_least("stored", stored)
    at_least("units", units, 2)
    return np.random.default_rng(rng).choice([-1.0, 1.0], size=(stored, units))


def flipped(pattern, share, rng=0):
    """The pattern with this share of its entries reversed, drawn at random: overlap 1 - 2 share."""
    rng, out = np.random.default_rng(rng), np.array(pattern, dtype=float)
    out[rng.permutation(out.size)[: round(share * out.size)]] *= -1.0
    return out


@dataclass(frozen=True, eq=False)
class Hopfield(_Hebbian):
    """Hopfield's network, all units updated at once: x_i' = sign(h_i + T u_i/2), h = W x, W_ij =
    1/N sum_mu xi_i xi_j, W_ii = 0.

    Without input it has temperature 0; with u independent standard logistic numbers
    (``drive=logistic``) it is Glauber's heat bath, P(x_i' = 1) = 1/(1 + exp(-2 h_i/T)). A unit
    whose field is 0 keeps its state. Up to 0.1379 N patterns are remembered, each with a few wrong
    entries; beyond, all are lost at once (``dm.theory.hopfield``). Exponents are -inf: small errors
    are mended in one step.

    patterns: (p, N) of +1 and -1, or ``Hopfield.random(units, stored, rng)``; temperature T.
    Source: Hopfield (1982), PNAS 79, 2554; Little (1974), Math. Biosci. 19, 101; Amit, Gutfreund
    and Sompolinsky (1985).

    >>> net = Hopfield.random(200, 4)
    >>> x = net.rule(net.initial(), None)
    >>> float(net.overlap(x)[0])
    1.0
    """

    temperature: float = 0.0
    source = (
        "Hopfield (1982), PNAS 79, 2554; Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. "
        "Lett. 55, 1530"
    )

    inputs = property(lambda self: self.size)

    def __post_init__(self):
        super().__post_init__()
        if not (np.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(
                f"temperature = {self.temperature}: pass a finite number of at least 0"
            )

    def rule(self, x, u):
        h = self.field(x)
        s = sign(h if u is None else h + u * (0.5 * self.temperature))
        return s + (1.0 - s * s) * x


def logistic(rng, steps, units):
    """Standard logistic numbers (steps, units), the noise of a heat bath; as a drive: ``lambda rng,
    steps: logistic(rng, steps, N)``."""
    return rng.logistic(size=(steps, units))


@dataclass(frozen=True, eq=False)
class GradedHopfield(_Hebbian):
    """Hopfield's network of graded units, a differentiable map: x' = tanh(beta W x), the naive mean
    field of Glauber's dynamics.

    With few patterns x = m xi solves it, m = tanh(beta m): memories from beta = 1 on. With p =
    alpha N the origin is stable up to beta = 1/(1 + 2 sqrt(alpha)). Exponents at a memory: ln of
    the eigenvalues of beta (1 - x^2) W.

    patterns: as for ``Hopfield``; beta: gain, the inverse temperature. Source: Hopfield (1984),
    PNAS 81, 3088; Kuehn, Boes and van Hemmen (1991), Phys. Rev. A 43, 2084.

    >>> net = GradedHopfield.random(200, 2, beta=2.0)
    >>> x = net.patterns[0] * 0.9
    >>> for _ in range(50):
    ...     x = net.rule(x, None)
    >>> bool(abs(net.overlap(x)[0] - 0.957) < 0.02)
    True
    """

    beta: float = 4.0
    source = "Hopfield (1984), PNAS 81, 3088"

    def __post_init__(self):
        super().__post_init__()
        above_zero(beta=self.beta)

    def rule(self, x, u):
        return tanh(self.beta * self.field(x))


@dataclass(frozen=True, eq=False)
class FlipFlop(Flow):
    """Bistable units, one a bit: tau dx_i/dt = -x_i + tanh(g x_i + u_i); an input pulse sets a bit,
    silence keeps it.

    Above g = 1 each bit has the stable states +-m, m = tanh(g m), and an unstable one at 0: 3^bits
    fixed points, 2^bits of them stable. Without noise nothing is forgotten; in noise of intensity D
    bits flip at a rate that falls as exp(-barrier/D) (``dm.theory.flip_flop``). Exponents: (g (1 -
    m^2) - 1)/tau, one a bit.

    gain g; bits; time_constant tau. Inputs: a pulse for each bit. Source: Sussillo and Barak
    (2013), Neural Comput. 25, 626, for the three-bit task; Kramers (1940) for the flips.

    >>> FlipFlop(bits=2).rule(np.array([0.0, 0.9575]), None).round(3).tolist()
    [0.0, 0.0]
    """

    gain: float = 2.0
    time_constant: float = 1.0
    bits: int = 3
    source = "Sussillo and Barak (2013), Neural Comput. 25, 626"
    neutral = {"time_constant": 1.0}

    def __post_init__(self):
        at_least("bits", self.bits)
        above_zero(time_constant=self.time_constant)

    size = property(lambda self: self.bits)
    states = property(lambda self: numbered("bit", self.bits))
    inputs = property(lambda self: self.bits)

    def rule(self, x, u):
        return (tanh(self.gain * x if u is None else self.gain * x + u) - x) / self.time_constant

    def initial(self, rng=0):
        return np.random.default_rng(rng).choice([-0.9, 0.9], size=self.bits)
