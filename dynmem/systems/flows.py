"""Chaotic flows of three and four states, dissipative and driven."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import abs, cos, sin, stack  # noqa: A004
from ..runtime.validation import generator
from ..system import Flow
from ..typing import Array, Rng
from .known import OWN, SPROTT, Known

__all__ = [
    "Chen",
    "Chua",
    "Duffing",
    "HyperRoessler",
    "Lorenz63",
    "Roessler",
    "SprottJerk",
    "Thomas",
    "VanDerPol",
]


class Lorenz63(Flow):
    """Lorenz's model of convection, the butterfly.

    x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z

    Parameters
    ----------
    sigma : float
        Prandtl number; dimensionless.
    rho : float
        Rayleigh number over its critical value; dimensionless.
    beta : float
        Geometric factor of the convection cell; dimensionless.

    Notes
    -----
    States: x (rate of convection), y and z (horizontal and vertical temperature variation). The
    exponents sum to -(sigma + 1 + beta). Both fixed points C+- lose their stability at
    rho = sigma (sigma + beta + 3)/(sigma - beta - 1) = 24.74.

    References
    ----------
    Lorenz (1963), J. Atmos. Sci. 20, 130.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Lorenz63().rule(np.array([1.0, 2.0, 3.0]), None).tolist()
    [10.0, 23.0, -6.0]
    """

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8.0 / 3.0
    states = ("x", "y", "z")
    source = "Lorenz (1963), J. Atmos. Sci. 20, 130"
    known = Known((0.9056, 0.0, -14.5723), (0.01, 2e-3, 0.01), SPROTT, dimension=2.06215)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([1.0, 1.0, 20.0]) + 0.1 * generator(rng).standard_normal(3)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: -(sigma + 1 + beta)."""
        return -(self.sigma + 1.0 + self.beta)


class Roessler(Flow):
    """Roessler's band, a folded strip with a single quadratic term.

    x' = -y - z, y' = x + a y, z' = b + z (x - c)

    Parameters
    ----------
    a, b, c : float
        Dimensionless constants: growth of the spiral, injection and threshold of the fold.

    Notes
    -----
    States: x, y, z.

    References
    ----------
    Roessler (1976), Phys. Lett. A 57, 397.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Roessler().rule(np.array([5.7, 0.0, 1.0]), None).round(6).tolist()
    [-1.0, 5.7, 0.2]
    """

    a: float = 0.2
    b: float = 0.2
    c: float = 5.7
    states = ("x", "y", "z")
    source = "Roessler (1976), Phys. Lett. A 57, 397"
    known = Known((0.0714, 0.0, -5.3943), 2e-3, SPROTT, dimension=2.0132)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((-y - z, x + self.a * y, self.b + z * (x - self.c)))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        spread = 0.1 * generator(rng).uniform(-1.0, 1.0, 3) * [1.0, 1.0, 0.1]
        return np.array([-4.0, -3.0, 0.02]) + spread


class HyperRoessler(Flow):
    """Roessler's hyperchaos, with two positive exponents.

    x' = -y - z, y' = x + a y + w, z' = b + x z, w' = c w - d z

    Parameters
    ----------
    a, b, c, d : float
        Dimensionless constants: growth of the spiral, injection, growth of w and its reset.

    Notes
    -----
    States: x, y, z, w.

    References
    ----------
    Roessler (1979), Phys. Lett. A 71, 155.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.HyperRoessler().rule(np.ones(4), None).tolist()
    [-2.0, 2.25, 4.0, -0.45]
    """

    a: float = 0.25
    b: float = 3.0
    c: float = 0.05
    d: float = 0.5
    states = ("x", "y", "z", "w")
    source = "Roessler (1979), Phys. Lett. A 71, 155"
    known = Known(
        (0.111, 0.021, 0.0),
        8e-3,
        "Wolf et al. (1985), Physica D 16, 285, table 1",
        "0.16, 0.03, 0 bits there; their fourth, -39.0 bits = -27.0, we do not find: -25.4 +- 0.3",
    )

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z, w = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        return stack((-y - z, x + self.a * y + w, self.b + x * z, self.c * w - self.d * z))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        spread = 0.1 * generator(rng).uniform(-1.0, 1.0, 4) * [1.0, 1.0, 0.1, 1.0]
        return np.array([-20.0, 0.0, 0.15, 15.0]) + spread


class Chen(Flow):
    """Chen's system, a relative of Lorenz's with the opposite sign of one linear term.

    x' = a (y - x), y' = (c - a) x - x z + c y, z' = x y - b z

    Parameters
    ----------
    a, b, c : float
        Dimensionless constants.

    Notes
    -----
    States: x, y, z. The exponents sum to c - a - b.

    References
    ----------
    Chen and Ueta (1999), Int. J. Bifurc. Chaos 9, 1465.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Chen().rule(np.ones(3), None).tolist()
    [0.0, 20.0, -2.0]
    """

    a: float = 35.0
    b: float = 3.0
    c: float = 28.0
    states = ("x", "y", "z")
    source = "Chen and Ueta (1999), Int. J. Bifurc. Chaos 9, 1465"
    known = Known((2.0285, 0.0, -12.0285), 0.01, OWN.format(T="8e4", error="2.4e-3"))

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (self.a * (y - x), (self.c - self.a) * x - x * z + self.c * y, x * y - self.b * z)
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([-3.0, 2.0, 20.0]) + 0.1 * generator(rng).standard_normal(3)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: c - a - b."""
        return self.c - self.a - self.b


class Chua(Flow):
    """Chua's circuit, the double scroll.

    x' = alpha (y - x - f(x)), y' = x - y + z, z' = -beta y, with the diode
    f(x) = m1 x + (m0 - m1)/2 (|x+1| - |x-1|)

    Parameters
    ----------
    alpha : float
        Ratio of the two capacities; dimensionless.
    beta : float
        Ratio of capacity to inductance, over the conductance squared; dimensionless.
    m0, m1 : float
        Slopes of the diode inside and outside of |x| = 1; dimensionless.

    Notes
    -----
    States: x and y (voltages), z (current), dimensionless. The rule is piecewise linear: where
    |x| = 1 its derivative jumps, and the order of the integrator is lost there.

    References
    ----------
    Matsumoto, Chua and Komuro (1985), IEEE Trans. Circuits Syst. 32, 797.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Chua().rule(np.array([0.0, 1.0, 0.0]), None).round(6).tolist()
    [9.0, -1.0, -14.285714]
    """

    alpha: float = 9.0
    beta: float = 100.0 / 7.0
    m0: float = -8.0 / 7.0
    m1: float = -5.0 / 7.0
    states = ("x", "y", "z")
    source = "Matsumoto, Chua and Komuro (1985), IEEE Trans. Circuits Syst. 32, 797"
    known = Known((0.3271, 0.0, -2.5197), (6e-3, 2e-3, 0.02), SPROTT)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        diode = self.m1 * x + 0.5 * (self.m0 - self.m1) * (abs(x + 1.0) - abs(x - 1.0))
        return stack((self.alpha * (y - x - diode), x - y + z, -self.beta * y))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([0.3, 0.1, -0.3]) + 0.02 * generator(rng).uniform(-1.0, 1.0, 3)


class Thomas(Flow):
    """Thomas' cyclically symmetric flow.

    x' = sin y - b x, y' = sin z - b y, z' = sin x - b z

    Parameters
    ----------
    b : float
        Friction; dimensionless.

    Notes
    -----
    States: x, y, z. The exponents sum to -3b.

    References
    ----------
    Thomas (1999), Int. J. Bifurc. Chaos 9, 1889.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Thomas().rule(np.array([0.0, np.pi / 2, 0.0]), None).round(6).tolist()
    [1.0, -0.282743, 0.0]
    """

    b: float = 0.18
    states = ("x", "y", "z")
    source = "Thomas (1999), Int. J. Bifurc. Chaos 9, 1889"
    known = Known((0.0349, 0.0, -0.5749), 2e-3, SPROTT)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((sin(y) - self.b * x, sin(z) - self.b * y, sin(x) - self.b * z))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([0.1, 1.0, 0.2]) + 0.05 * generator(rng).uniform(-1.0, 1.0, 3)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: -3b."""
        return -3.0 * self.b


class SprottJerk(Flow):
    """Sprott's simplest quadratic chaos, a jerk equation.

    x''' = -A x'' + x'^2 - x, A = damping

    Parameters
    ----------
    damping : float
        Damping A of the acceleration; dimensionless.

    Notes
    -----
    States: x, velocity, acceleration. The exponents sum to -A. The basin of the attractor is
    narrow: most starts a tenth away from it escape. ``initial`` starts inside.

    References
    ----------
    Sprott (1997), Phys. Lett. A 228, 271.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.SprottJerk().rule(np.array([1.0, 2.0, 0.0]), None).tolist()
    [2.0, 0.0, 3.0]
    """

    damping: float = 2.017
    states = ("x", "velocity", "acceleration")
    source = "Sprott (1997), Phys. Lett. A 228, 271"
    known = Known((0.0550, 0.0, -2.0720), 2e-3, SPROTT, dimension=2.0265)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, v, a = s[..., 0], s[..., 1], s[..., 2]
        return stack((v, a, v * v - self.damping * a - x))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([-1.0, 0.0, 0.0]) + 0.005 * generator(rng).uniform(-1.0, 1.0, 3)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: -damping."""
        return -self.damping


class Duffing(Flow):
    """Duffing's driven oscillator in a double well.

    x'' = x - x^3 - damping x' + amplitude cos(phase), phase' = frequency

    Parameters
    ----------
    damping : float
        Friction, per unit of time.
    amplitude : float
        Amplitude of the drive; dimensionless.
    frequency : float
        Angular frequency of the drive, in rad per unit of time.

    Notes
    -----
    States: position, velocity, phase. The phase is a state, so that the system is autonomous: its
    exponent is 0 and the exponents sum to -damping. It grows without bound; take it modulo 2 pi for
    a section.

    References
    ----------
    Guckenheimer and Holmes (1983), Nonlinear Oscillations, sec. 2.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Duffing().rule(np.array([1.0, 0.0, 0.0]), None).tolist()
    [0.0, 0.4, 1.0]
    """

    damping: float = 0.25
    amplitude: float = 0.4
    frequency: float = 1.0
    states = ("position", "velocity", "phase")
    circles = {"phase": 2.0 * math.pi}
    source = "Guckenheimer and Holmes (1983), Nonlinear Oscillations, sec. 2.2"
    known = Known((0.1579, 0.0, -0.4079), 2e-3, OWN.format(T="5e5", error="4e-4"))

    def rule(self, s: Array, u: Array | None) -> Array:
        x, v, phase = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (v, x - x * x * x - self.damping * v + self.amplitude * cos(phase), self.frequency)
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        spread = 0.05 * generator(rng).uniform(-1.0, 1.0, 3) * [1.0, 1.0, 0.0]
        return np.array([0.2, 0.0, 0.0]) + spread

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: -damping."""
        return -self.damping


class VanDerPol(Flow):
    """Shaw's driven van der Pol oscillator.

    x'' = damping (1 - x^2) x' - x + amplitude sin(phase), phase' = frequency

    Parameters
    ----------
    damping : float
        Strength of the nonlinear friction, per unit of time.
    amplitude : float
        Amplitude of the drive; dimensionless.
    frequency : float
        Angular frequency of the drive, in rad per unit of time.

    Notes
    -----
    States: position, velocity, phase. The phase is a state, so that the system is autonomous and
    one exponent is 0. It grows without bound.

    References
    ----------
    Parlitz and Lauterborn (1987), Phys. Rev. A 36, 1428.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.VanDerPol().rule(np.array([2.0, 1.0, 0.0]), None).tolist()
    [1.0, -11.0, 1.788]
    """

    damping: float = 3.0
    amplitude: float = 5.0
    frequency: float = 1.788
    states = ("position", "velocity", "phase")
    circles = {"phase": 2.0 * math.pi}
    source = "Parlitz and Lauterborn (1987), Phys. Rev. A 36, 1428"
    known = Known((0.1932, 0.0), 4e-3, SPROTT)

    def rule(self, s: Array, u: Array | None) -> Array:
        x, v, phase = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (v, self.damping * (1.0 - x * x) * v - x + self.amplitude * sin(phase), self.frequency)
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        spread = 0.05 * generator(rng).uniform(-1.0, 1.0, 3) * [1.0, 1.0, 0.0]
        return np.array([-1.9, 0.0, 0.0]) + spread


SYSTEMS = {
    "chen": Chen,
    "chua": Chua,
    "duffing": Duffing,
    "hyper_roessler": HyperRoessler,
    "lorenz63": Lorenz63,
    "roessler": Roessler,
    "sprott_jerk": SprottJerk,
    "thomas": Thomas,
    "van_der_pol": VanDerPol,
}
