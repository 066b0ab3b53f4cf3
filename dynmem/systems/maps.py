"""Chaotic maps: one, two and many dimensions; dissipative, area-preserving and piecewise linear.

Doubling is exact in binary: x -> 2x mod 1 shifts one bit out of a 53-bit number at each step, so
that every orbit dies at 0 after some 53 steps. The maps here that double (``Tent``, ``Baker``,
``KaplanYorke``) therefore live on [0, ``END``) in place of [0, 1), where END = 1 - 111/2^53 and
2^53 - 111 is a prime: doubling modulo a prime never reaches 0, and its orbits of doubles have a
period of 4.5e15 steps (2 has the order (p - 1)/2 in the field of p elements). Nothing else changes:
slopes, and so exponents, are those of the book.
"""

from dataclasses import dataclass

import numpy as np

from ..arrays import cos, minimum, roll, sin, stack, where
from ..system import Map
from .known import Known

END = (2**53 - 111) / 2**53  # the largest double below 1 whose 53 bits are a prime number
LN2 = float(np.log(2.0))


@dataclass(frozen=True, eq=False)
class Logistic(Map):
    """Logistic map x' = r x (1 - x) (May 1976); at r = 4 its exponent is ln 2 exactly."""

    r: float = 4.0
    states = ("x",)
    source = "May (1976), Nature 261, 459"
    known = Known((LN2,), 1e-3, "exact: conjugate to the tent map (Ulam and von Neumann 1947)")

    def rule(self, x, u):
        return self.r * x * (1.0 - x)

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.1, 0.9, 1)


@dataclass(frozen=True, eq=False)
class Tent(Map):
    """Tent map x' = slope min(x, 1 - x); its exponent is ln(slope) exactly, for slopes up to 2.

    The interval ends at END, 1.2e-14 below 1, so that at slope 2 an orbit of doubles does not fall
    to 0: see the top of this module.
    """

    slope: float = 2.0
    states = ("x",)
    source = "Collet and Eckmann (1980), Iterated Maps on the Interval as Dynamical Systems"
    known = Known((LN2,), 1e-9, "exact: ln(slope)")

    def rule(self, x, u):
        return self.slope * minimum(x, END - x)

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.3, 0.7, 1)

    @property
    def exponent_sum(self):
        return float(np.log(self.slope))


@dataclass(frozen=True, eq=False)
class Baker(Map):
    """Baker's map: x' = 2x mod 1, y' = contraction y + [x >= 1/2]/2; exponents ln 2 and
    ln(contraction) exactly.

    Contraction 1/2 preserves area; below 1/2 the attractor is a Cantor set of lines of dimension 1
    + ln 2 / ln(1/contraction). The unit of x ends at END, so that an orbit of doubles does not fall
    to 0: see the top of this module.
    """

    contraction: float = 0.5
    states = ("x", "y")
    source = "Farmer, Ott and Yorke (1983), Physica D 7, 153, eq. 4"
    known = Known((LN2, -LN2), 1e-9, "exact: ln 2, ln(contraction)", dimension=2.0)

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x) % END, self.contraction * y + where(x < END / 2, 0.0, 0.5)))

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.1, 0.9, 2)

    @property
    def exponent_sum(self):
        return float(np.log(2.0 * self.contraction))


@dataclass(frozen=True, eq=False)
class Cat(Map):
    """Arnold's cat map: x' = 2x + y mod 1, y' = x + y mod 1; exponents +-ln((3 + sqrt 5)/2) =
    +-0.9624237 exactly.

    In doubles it soon moves on the lattice of multiples of 2^-51, which it permutes: an orbit from
    a random start returns only after some 1e15 steps. A start with a small denominator is periodic,
    as it should be.
    """

    states = ("x", "y")
    source = "Arnold and Avez (1968), Ergodic Problems of Classical Mechanics"
    known = Known(
        (0.9624236501192069, -0.9624236501192069),
        1e-9,
        "exact: +-ln((3 + sqrt 5)/2)",
        dimension=2.0,
    )
    exponent_sum = 0.0

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x + y) % 1.0, (x + y) % 1.0))

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.0, 1.0, 2)


@dataclass(frozen=True, eq=False)
class Henon(Map):
    """Henon map x' = 1 - a x^2 + y, y' = b x (Henon 1976); exponents 0.41922, -1.62319 (Sprott
    2003) with sum ln b."""

    a: float = 1.4
    b: float = 0.3
    states = ("x", "y")
    source = "Henon (1976), Commun. Math. Phys. 50, 69"
    known = Known(
        (0.41922, -1.62319),
        2e-3,
        "Sprott (2003), Chaos and Time-Series Analysis, app. A",
        dimension=1.25827,
    )

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack((1.0 - self.a * x * x + y, self.b * x))

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self):
        return float(np.log(abs(self.b)))


@dataclass(frozen=True, eq=False)
class Lozi(Map):
    """Lozi map x' = 1 - a |x| + y, y' = b x: Henon's with a corner in place of the parabola; the
    sum of the exponents is ln b."""

    a: float = 1.7
    b: float = 0.5
    states = ("x", "y")
    source = "Lozi (1978), J. Physique Colloq. 39, C5-9"
    known = Known(
        (0.47023, -1.16338), 2e-3, "Sprott (2003), Chaos and Time-Series Analysis, app. A"
    )

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack((1.0 - self.a * abs(x) + y, self.b * x))

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self):
        return float(np.log(abs(self.b)))


@dataclass(frozen=True, eq=False)
class Standard(Map):
    """Standard map of a kicked rotor: p' = p + K sin(theta), theta' = theta + p', both modulo 2 pi,
    with K = kick.

    Area-preserving: exponents come as a pair +-lambda, which tends to ln(K/2) for strong kicks.
    ``initial`` starts beside the hyperbolic fixed point (0, 0), in the chaotic sea; at K = 1 the
    sea is riddled with islands, at whose shores orbits stay long, so that exponents settle slowly.
    """

    kick: float = 1.0
    states = ("angle", "momentum")
    source = "Chirikov (1979), Phys. Rep. 52, 263"
    known = Known(
        (0.10497, -0.10497), 5e-3, "Sprott (2003), Chaos and Time-Series Analysis, app. A"
    )
    exponent_sum = 0.0

    def rule(self, s, u):
        angle, momentum = s[..., 0], s[..., 1]
        kicked = (momentum + self.kick * sin(angle)) % (2 * np.pi)
        return stack(((angle + kicked) % (2 * np.pi), kicked))

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(1e-4, 1e-2, 2)


@dataclass(frozen=True, eq=False)
class KaplanYorke(Map):
    """Kaplan-Yorke map: x' = 2x mod 1, y' = contraction y + cos(4 pi x); exponents ln 2 and
    ln(contraction) exactly.

    The unit of x ends at END, so that an orbit of doubles does not fall to 0: see the top of this
    module.
    """

    contraction: float = 0.2
    states = ("x", "y")
    source = "Kaplan and Yorke (1979), Lecture Notes in Mathematics 730, 204"
    known = Known(
        (LN2, float(np.log(0.2))), 1e-6, "exact: ln 2, ln(contraction)", dimension=1.4306766
    )

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x) % END, self.contraction * y + cos(4 * np.pi * x)))

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.1, 0.9, 2)

    @property
    def exponent_sum(self):
        return float(np.log(2.0 * self.contraction))


@dataclass(frozen=True, eq=False)
class Ikeda(Map):
    """Ikeda map of light in a ring cavity, z' = 1 + loss z exp(i t), t = phase - detuning/(1 +
    |z|^2), with z = x + i y.

    The sum of the exponents is 2 ln(loss). The attractor shares the plane with a stable fixed point
    further out; ``initial`` starts in the basin of the attractor.
    """

    loss: float = 0.9
    phase: float = 0.4
    detuning: float = 6.0
    states = ("x", "y")
    source = "Hammel, Jones and Moloney (1985), J. Opt. Soc. Am. B 2, 552"
    known = Known(
        (0.50760, -0.71832), 3e-3, "Sprott (2003), Chaos and Time-Series Analysis, app. A"
    )

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        turn = self.phase - self.detuning / (1.0 + x * x + y * y)
        c, d = self.loss * cos(turn), self.loss * sin(turn)
        return stack((1.0 + c * x - d * y, d * x + c * y))

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self):
        return float(2.0 * np.log(abs(self.loss)))


@dataclass(frozen=True, eq=False)
class CoupledLogistic(Map):
    """Ring of logistic maps: x_i' = (1 - e) f(x_i) + e/2 [f(x_(i-1)) + f(x_(i+1))], f(x) = 1 - a
    x^2, e = coupling, for ``units`` sites.

    Without coupling each site has the exponent of the single map; where all sites agree the
    exponents are those of the single map plus ln|1 - e (1 - cos 2 pi k/units)|. At the defaults:
    fully developed turbulence.
    """

    a: float = 1.9
    coupling: float = 0.1
    units: int = 16
    source = "Kaneko (1989), Physica D 34, 1"
    known = Known(
        (0.3424,),
        8e-3,
        "own long run, 6.4e5 steps with the Jacobian written out, "
        "apart from this package: +-1.7e-3",
    )

    def __post_init__(self):
        if self.units != int(self.units) or self.units < 3:
            raise ValueError(
                f"units = {self.units}: must be a whole number of at least 3, so "
                "that a site has two neighbours"
            )

    @property
    def states(self):
        return tuple(f"x{i}" for i in range(self.units))

    def rule(self, x, u):
        f = 1.0 - self.a * x * x
        return (1.0 - self.coupling) * f + 0.5 * self.coupling * (roll(f, 1) + roll(f, -1))

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(-0.5, 0.5, self.units)


SYSTEMS = {
    "baker": Baker,
    "cat": Cat,
    "coupled_logistic": CoupledLogistic,
    "henon": Henon,
    "ikeda": Ikeda,
    "kaplan_yorke": KaplanYorke,
    "logistic": Logistic,
    "lozi": Lozi,
    "standard": Standard,
    "tent": Tent,
}
