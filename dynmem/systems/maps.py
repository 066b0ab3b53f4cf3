"""Chaotic maps: one, two and many dimensions; dissipative, area-preserving and piecewise linear.

Doubling is exact in binary: x -> 2x mod 1 shifts one bit out of a 53-bit number at each step, so
that every orbit dies at 0 after some 53 steps. The maps here that double (``Tent``, ``Baker``,
``KaplanYorke``) therefore live on [0, ``END``) in place of [0, 1), where END = 1 - 111/2^53 and
2^53 - 111 is a prime: doubling modulo a prime never reaches 0, and its orbits of doubles have a
period of 4.5e15 steps (2 has the order (p - 1)/2 in the field of p elements). Nothing else changes:
slopes, and so exponents, are those of the book.
"""

from __future__ import annotations

import numpy as np

from ..arrays import cos, minimum, roll, sin, stack, where
from ..runtime.validation import generator, integer
from ..system import Map
from ..typing import Array, Rng
from .components import component_names
from .known import SPROTT, Known

__all__ = [
    "Baker",
    "Cat",
    "CoupledLogistic",
    "Henon",
    "Ikeda",
    "KaplanYorke",
    "Logistic",
    "Lozi",
    "Standard",
    "Tent",
]

END = (2**53 - 111) / 2**53  # the largest double below 1 whose 53 bits are a prime number
LN2 = float(np.log(2.0))


class Logistic(Map):
    """Logistic map, chaotic with the exponent ln 2 at r = 4.

    x' = r x (1 - x)

    Parameters
    ----------
    r : float
        Growth rate, in [0, 4]; dimensionless.

    Notes
    -----
    State: x in [0, 1]. At r = 4 the map is conjugate to the tent map, whose exponent is ln 2.

    References
    ----------
    May (1976), Nature 261, 459.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Logistic(r=2.0).rule(np.array([0.25]), None).tolist()
    [0.375]
    """

    r: float = 4.0
    states = ("x",)
    source = "May (1976), Nature 261, 459"
    known = Known((LN2,), 1e-3, "exact: conjugate to the tent map (Ulam and von Neumann 1947)")

    def rule(self, x: Array, u: Array | None) -> Array:
        return self.r * x * (1.0 - x)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(0.1, 0.9, 1)


class Tent(Map):
    """Tent map, whose exponent is ln(slope) exactly for slopes up to 2.

    x' = slope min(x, 1 - x)

    Parameters
    ----------
    slope : float
        Absolute value of the slope of both branches, in (1, 2]; dimensionless.

    Notes
    -----
    State: x. The interval ends at ``END``, 1.2e-14 below 1, so that at slope 2 an orbit of doubles
    does not fall to 0 (see the top of this module).

    References
    ----------
    Collet and Eckmann (1980), Iterated Maps on the Interval as Dynamical Systems.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Tent().rule(np.array([0.25]), None).tolist()
    [0.5]
    """

    slope: float = 2.0
    states = ("x",)
    equation = r"x' = s \min(x, 1 - x)"
    source = "Collet and Eckmann (1980), Iterated Maps on the Interval as Dynamical Systems"
    known = Known((LN2,), 1e-9, "exact: ln(slope)")

    def rule(self, x: Array, u: Array | None) -> Array:
        return self.slope * minimum(x, END - x)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(0.3, 0.7, 1)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: ln(slope)."""
        return float(np.log(self.slope))


class Baker(Map):
    """Baker's map, which stretches, cuts and stacks the unit square.

    x' = 2x mod 1, y' = contraction y + [x >= 1/2]/2

    Parameters
    ----------
    contraction : float
        Factor in y, in (0, 1/2]; dimensionless. 1/2 preserves area.

    Notes
    -----
    States: x, y in [0, 1]. The exponents are ln 2 and ln(contraction) exactly. Below 1/2 the
    attractor is a Cantor set of lines of dimension 1 + ln 2 / ln(1/contraction). The unit of x ends
    at ``END``, so that an orbit of doubles does not fall to 0 (see the top of this module).

    References
    ----------
    Farmer, Ott and Yorke (1983), Physica D 7, 153, eq. 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Baker().rule(np.array([0.25, 0.5]), None).tolist()
    [0.5, 0.25]
    """

    contraction: float = 0.5
    states = ("x", "y")
    equation = r"x' = 2x \bmod 1, \quad y' = c\, y + \tfrac12 [x \ge \tfrac12]"
    source = "Farmer, Ott and Yorke (1983), Physica D 7, 153, eq. 4"
    known = Known((LN2, -LN2), 1e-9, "exact: ln 2, ln(contraction)", dimension=2.0)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x) % END, self.contraction * y + where(x < END / 2, 0.0, 0.5)))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(0.1, 0.9, 2)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: ln(2 contraction)."""
        return float(np.log(2.0 * self.contraction))


class Cat(Map):
    """Arnold's cat map, a hyperbolic automorphism of the torus.

    x' = 2x + y mod 1, y' = x + y mod 1

    Notes
    -----
    States: x, y in [0, 1). The exponents are +-ln((3 + sqrt 5)/2) = +-0.9624237 exactly. In doubles
    the orbit soon moves on the lattice of multiples of 2^-51, which the map permutes: it returns
    from a random start only after some 1e15 steps. A start with a small denominator is periodic, as
    it should be.

    References
    ----------
    Arnold and Avez (1968), Ergodic Problems of Classical Mechanics.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Cat().rule(np.array([0.5, 0.25]), None).tolist()
    [0.25, 0.75]
    """

    states = ("x", "y")
    equation = r"x' = 2x + y \bmod 1, \quad y' = x + y \bmod 1"
    source = "Arnold and Avez (1968), Ergodic Problems of Classical Mechanics"
    known = Known(
        (0.9624236501192069, -0.9624236501192069),
        1e-9,
        "exact: +-ln((3 + sqrt 5)/2)",
        dimension=2.0,
    )
    exponent_sum = 0.0

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x + y) % 1.0, (x + y) % 1.0))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(0.0, 1.0, 2)


class Henon(Map):
    """Henon's map, the simplest quadratic map of the plane with a strange attractor.

    x' = 1 - a x^2 + y, y' = b x

    Parameters
    ----------
    a : float
        Strength of the fold; dimensionless.
    b : float
        Determinant up to its sign, the contraction of area; dimensionless.

    Notes
    -----
    States: x, y. The exponents sum to ln|b|.

    References
    ----------
    Henon (1976), Commun. Math. Phys. 50, 69.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Henon().rule(np.array([1.0, 0.0]), None).round(6).tolist()
    [-0.4, 0.3]
    """

    a: float = 1.4
    b: float = 0.3
    states = ("x", "y")
    source = "Henon (1976), Commun. Math. Phys. 50, 69"
    known = Known((0.41922, -1.62319), 2e-3, SPROTT, dimension=1.25827)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        return stack((1.0 - self.a * x * x + y, self.b * x))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 0.1 * generator(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: ln|b|."""
        return float(np.log(abs(self.b)))


class Lozi(Map):
    """Lozi's map: Henon's with a corner in place of the parabola.

    x' = 1 - a |x| + y, y' = b x

    Parameters
    ----------
    a : float
        Slope of both branches; dimensionless.
    b : float
        Determinant up to its sign, the contraction of area; dimensionless.

    Notes
    -----
    States: x, y. The exponents sum to ln|b|.

    References
    ----------
    Lozi (1978), J. Physique Colloq. 39, C5-9.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Lozi().rule(np.array([-1.0, 0.0]), None).round(6).tolist()
    [-0.7, -0.5]
    """

    a: float = 1.7
    b: float = 0.5
    states = ("x", "y")
    source = "Lozi (1978), J. Physique Colloq. 39, C5-9"
    known = Known((0.47023, -1.16338), 2e-3, SPROTT)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        return stack((1.0 - self.a * abs(x) + y, self.b * x))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 0.1 * generator(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: ln|b|."""
        return float(np.log(abs(self.b)))


class Standard(Map):
    """Chirikov's standard map of a kicked rotor, which preserves area.

    p' = p + kick sin(theta), theta' = theta + p', both modulo 2 pi

    Parameters
    ----------
    kick : float
        Strength K of the kicks; dimensionless.

    Notes
    -----
    States: angle theta and momentum p, in radians. The exponents are a pair +-lambda, which tends
    to ln(K/2) for strong kicks. ``initial`` starts next to the hyperbolic fixed point (0, 0), in
    the chaotic sea; at K = 1 the sea is riddled with islands, at whose shores orbits stay long, so
    that exponents settle slowly.

    References
    ----------
    Chirikov (1979), Phys. Rep. 52, 263.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Standard().rule(np.array([np.pi / 2, 0.0]), None).round(6).tolist()
    [2.570796, 1.0]
    """

    kick: float = 1.0
    states = ("angle", "momentum")
    equation = r"p' = p + K \sin\theta \bmod 2\pi, \quad \theta' = \theta + p' \bmod 2\pi"
    source = "Chirikov (1979), Phys. Rep. 52, 263"
    known = Known((0.10497, -0.10497), 5e-3, SPROTT)
    exponent_sum = 0.0

    def rule(self, s: Array, u: Array | None) -> Array:
        angle, momentum = s[..., 0], s[..., 1]
        kicked = (momentum + self.kick * sin(angle)) % (2 * np.pi)
        return stack(((angle + kicked) % (2 * np.pi), kicked))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(1e-4, 1e-2, 2)


class KaplanYorke(Map):
    """Kaplan and Yorke's map: doubling that drives a contraction.

    x' = 2x mod 1, y' = contraction y + cos(4 pi x)

    Parameters
    ----------
    contraction : float
        Factor alpha in y, in (0, 1); dimensionless.

    Notes
    -----
    States: x in [0, 1), y. The exponents are ln 2 and ln(contraction) exactly. The unit of x ends
    at ``END``, so that an orbit of doubles does not fall to 0 (see the top of this module).

    References
    ----------
    Kaplan and Yorke (1979), Lecture Notes in Mathematics 730, 204.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.KaplanYorke().rule(np.array([0.25, 1.0]), None).tolist()
    [0.5, -0.8]
    """

    contraction: float = 0.2
    states = ("x", "y")
    equation = r"x' = 2x \bmod 1, \quad y' = \alpha\, y + \cos 4 \pi x"
    source = "Kaplan and Yorke (1979), Lecture Notes in Mathematics 730, 204"
    known = Known(
        (LN2, float(np.log(0.2))), 1e-6, "exact: ln 2, ln(contraction)", dimension=1.4306766
    )

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        return stack(((2.0 * x) % END, self.contraction * y + cos(4 * np.pi * x)))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(0.1, 0.9, 2)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: ln(2 contraction)."""
        return float(np.log(2.0 * self.contraction))


class Ikeda(Map):
    """Ikeda's map of light in a ring cavity.

    z' = 1 + loss z exp(i t), t = phase - detuning/(1 + |z|^2), z = x + i y

    Parameters
    ----------
    loss : float
        Share of the amplitude that is left after a round trip; dimensionless.
    phase : float
        Phase shift of the empty cavity, in radians.
    detuning : float
        Strength of the nonlinear phase shift, in radians.

    Notes
    -----
    States: x, y. The exponents sum to 2 ln(loss). The attractor shares the plane with a stable
    fixed point further out; ``initial`` starts in the basin of the attractor.

    References
    ----------
    Hammel, Jones and Moloney (1985), J. Opt. Soc. Am. B 2, 552.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Ikeda().rule(np.zeros(2), None).tolist()
    [1.0, 0.0]
    """

    loss: float = 0.9
    phase: float = 0.4
    detuning: float = 6.0
    states = ("x", "y")
    equation = (
        r"z' = 1 + b\, z \exp\!\left(i \left[\phi - \frac{p}{1 + |z|^2}\right]\right), "
        r"\quad z = x + i y"
    )
    source = "Hammel, Jones and Moloney (1985), J. Opt. Soc. Am. B 2, 552"
    known = Known((0.50760, -0.71832), 3e-3, SPROTT)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y = s[..., 0], s[..., 1]
        turn = self.phase - self.detuning / (1.0 + x * x + y * y)
        c, d = self.loss * cos(turn), self.loss * sin(turn)
        return stack((1.0 + c * x - d * y, d * x + c * y))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 0.1 * generator(rng).uniform(-1.0, 1.0, 2)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: 2 ln|loss|."""
        return float(2.0 * np.log(abs(self.loss)))


class CoupledLogistic(Map):
    """Kaneko's coupled map lattice: a ring of logistic maps.

    x_i' = (1 - e) f(x_i) + e/2 [f(x_(i-1)) + f(x_(i+1))], f(x) = 1 - a x^2, e = coupling

    Parameters
    ----------
    a : float
        Nonlinearity of each site, in (0, 2]; dimensionless.
    coupling : float
        Share e that comes from the two neighbours, in [0, 1]; dimensionless.
    units : int
        Number of sites, at least 3.

    Notes
    -----
    States: x0, x1, ... in [-1, 1]. Without coupling each site has the exponent of the single map;
    where all sites agree the exponents are those of the single map plus
    ln|1 - e (1 - cos 2 pi k/units)|. The defaults give fully developed turbulence.

    References
    ----------
    Kaneko (1989), Physica D 34, 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.CoupledLogistic(units=3).rule(np.array([1.0, 0.0, 0.0]), None).round(6).tolist()
    [-0.71, 0.905, 0.905]
    """

    a: float = 1.9
    coupling: float = 0.1
    units: int = 16
    equation = (
        r"x_i' = (1 - \epsilon)\, f(x_i) + \tfrac{\epsilon}{2} \left[f(x_{i-1}) + "
        r"f(x_{i+1})\right], \quad f(x) = 1 - a x^2"
    )
    source = "Kaneko (1989), Physica D 34, 1"
    known = Known(
        (0.3424,),
        8e-3,
        "own long run, 6.4e5 steps with the Jacobian written out, "
        "apart from this package: +-1.7e-3",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", integer("units", self.units, 3))  # two neighbours a site

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the sites."""
        return component_names("x", self.units)

    def rule(self, x: Array, u: Array | None) -> Array:
        f = 1.0 - self.a * x * x
        return (1.0 - self.coupling) * f + 0.5 * self.coupling * (roll(f, 1) + roll(f, -1))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).uniform(-0.5, 0.5, self.units)


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
