"""Chaotic flows: dissipative, driven and Hamiltonian, of three to many states."""

from dataclasses import dataclass

import numpy as np

from ..arrays import abs, cos, roll, sin, stack  # noqa: A004
from ..system import Flow
from .known import Known

SPROTT = "Sprott (2003), Chaos and Time-Series Analysis, app. A"
OWN = (
    "own long run, T = {T}, classical Runge-Kutta and variational equations apart from this "
    "package: +-{error}"
)


@dataclass(frozen=True, eq=False)
class Lorenz63(Flow):
    """Lorenz's convection: x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z; exponents
    0.9056, 0, -14.5723 (Sprott 2003)."""

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8.0 / 3.0
    states = ("x", "y", "z")
    source = "Lorenz (1963), J. Atmos. Sci. 20, 130"
    known = Known((0.9056, 0.0, -14.5723), (0.01, 2e-3, 0.01), SPROTT, dimension=2.06215)

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z))

    def initial(self, rng=0):
        return np.array([1.0, 1.0, 20.0]) + 0.1 * np.random.default_rng(rng).standard_normal(3)

    @property
    def exponent_sum(self):
        return -(self.sigma + 1.0 + self.beta)


@dataclass(frozen=True, eq=False)
class Roessler(Flow):
    """Roessler's band: x' = -y - z, y' = x + a y, z' = b + z (x - c)."""

    a: float = 0.2
    b: float = 0.2
    c: float = 5.7
    states = ("x", "y", "z")
    source = "Roessler (1976), Phys. Lett. A 57, 397"
    known = Known((0.0714, 0.0, -5.3943), 2e-3, SPROTT, dimension=2.0132)

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((-y - z, x + self.a * y, self.b + z * (x - self.c)))

    def initial(self, rng=0):
        return np.array([-4.0, -3.0, 0.02]) + 0.1 * np.random.default_rng(rng).uniform(
            -1.0, 1.0, 3
        ) * [1.0, 1.0, 0.1]


@dataclass(frozen=True, eq=False)
class HyperRoessler(Flow):
    """Roessler's hyperchaos: x' = -y - z, y' = x + a y + w, z' = b + x z, w' = c w - d z; two
    positive exponents."""

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

    def rule(self, s, u):
        x, y, z, w = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        return stack((-y - z, x + self.a * y + w, self.b + x * z, self.c * w - self.d * z))

    def initial(self, rng=0):
        return np.array([-20.0, 0.0, 0.15, 15.0]) + 0.1 * np.random.default_rng(rng).uniform(
            -1.0, 1.0, 4
        ) * [1.0, 1.0, 0.1, 1.0]


@dataclass(frozen=True, eq=False)
class Chen(Flow):
    """Chen's system: x' = a (y - x), y' = (c - a) x - x z + c y, z' = x y - b z; the exponents sum
    to c - a - b."""

    a: float = 35.0
    b: float = 3.0
    c: float = 28.0
    states = ("x", "y", "z")
    source = "Chen and Ueta (1999), Int. J. Bifurc. Chaos 9, 1465"
    known = Known((2.0285, 0.0, -12.0285), 0.01, OWN.format(T="8e4", error="2.4e-3"))

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (self.a * (y - x), (self.c - self.a) * x - x * z + self.c * y, x * y - self.b * z)
        )

    def initial(self, rng=0):
        return np.array([-3.0, 2.0, 20.0]) + 0.1 * np.random.default_rng(rng).standard_normal(3)

    @property
    def exponent_sum(self):
        return self.c - self.a - self.b


@dataclass(frozen=True, eq=False)
class Chua(Flow):
    """Chua's circuit: x' = alpha (y - x - f(x)), y' = x - y + z, z' = -beta y, with the diode f(x)
    = m1 x + (m0 - m1)/2 (|x+1| - |x-1|).

    The double scroll. The rule is piecewise linear: where |x| = 1 its derivative jumps, and the
    order of the integrator is lost there.
    """

    alpha: float = 9.0
    beta: float = 100.0 / 7.0
    m0: float = -8.0 / 7.0
    m1: float = -5.0 / 7.0
    states = ("x", "y", "z")
    source = "Matsumoto, Chua and Komuro (1985), IEEE Trans. Circuits Syst. 32, 797"
    known = Known((0.3271, 0.0, -2.5197), (6e-3, 2e-3, 0.02), SPROTT)

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        diode = self.m1 * x + 0.5 * (self.m0 - self.m1) * (abs(x + 1.0) - abs(x - 1.0))
        return stack((self.alpha * (y - x - diode), x - y + z, -self.beta * y))

    def initial(self, rng=0):
        return np.array([0.3, 0.1, -0.3]) + 0.02 * np.random.default_rng(rng).uniform(-1.0, 1.0, 3)


@dataclass(frozen=True, eq=False)
class Thomas(Flow):
    """Thomas' cyclically symmetric flow: x' = sin y - b x, y' = sin z - b y, z' = sin x - b z; the
    exponents sum to -3b."""

    b: float = 0.18
    states = ("x", "y", "z")
    source = "Thomas (1999), Int. J. Bifurc. Chaos 9, 1889"
    known = Known((0.0349, 0.0, -0.5749), 2e-3, SPROTT)

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((sin(y) - self.b * x, sin(z) - self.b * y, sin(x) - self.b * z))

    def initial(self, rng=0):
        return np.array([0.1, 1.0, 0.2]) + 0.05 * np.random.default_rng(rng).uniform(-1.0, 1.0, 3)

    @property
    def exponent_sum(self):
        return -3.0 * self.b


@dataclass(frozen=True, eq=False)
class SprottJerk(Flow):
    """Sprott's simplest quadratic chaos, the jerk x''' = -A x'' + x'^2 - x, with A = damping; the
    exponents sum to -A.

    The basin of the attractor is narrow: most starts a tenth away from it escape. ``initial``
    starts inside.
    """

    damping: float = 2.017
    states = ("x", "velocity", "acceleration")
    source = "Sprott (1997), Phys. Lett. A 228, 271"
    known = Known((0.0550, 0.0, -2.0720), 2e-3, SPROTT, dimension=2.0265)

    def rule(self, s, u):
        x, v, a = s[..., 0], s[..., 1], s[..., 2]
        return stack((v, a, v * v - self.damping * a - x))

    def initial(self, rng=0):
        return np.array([-1.0, 0.0, 0.0]) + 0.005 * np.random.default_rng(rng).uniform(-1.0, 1.0, 3)

    @property
    def exponent_sum(self):
        return -self.damping


@dataclass(frozen=True, eq=False)
class Duffing(Flow):
    """Duffing's oscillator in two wells, driven: x'' = x - x^3 - damping x' + amplitude cos(phase),
    phase' = frequency.

    The phase is a state, so that the system is autonomous: its exponent is 0 and the sum is
    -damping. It grows without bound; take it modulo 2 pi for a section.
    """

    damping: float = 0.25
    amplitude: float = 0.4
    frequency: float = 1.0
    states = ("position", "velocity", "phase")
    source = "Guckenheimer and Holmes (1983), Nonlinear Oscillations, sec. 2.2"
    known = Known((0.1579, 0.0, -0.4079), 2e-3, OWN.format(T="5e5", error="4e-4"))

    def rule(self, s, u):
        x, v, phase = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (v, x - x * x * x - self.damping * v + self.amplitude * cos(phase), self.frequency)
        )

    def initial(self, rng=0):
        return np.array([0.2, 0.0, 0.0]) + 0.05 * np.random.default_rng(rng).uniform(
            -1.0, 1.0, 3
        ) * [1.0, 1.0, 0.0]

    @property
    def exponent_sum(self):
        return -self.damping


@dataclass(frozen=True, eq=False)
class VanDerPol(Flow):
    """Shaw's driven van der Pol oscillator: x'' = damping (1 - x^2) x' - x + amplitude sin(phase),
    phase' = frequency.

    The phase is a state, so that the system is autonomous and one exponent is 0. It grows without
    bound.
    """

    damping: float = 3.0
    amplitude: float = 5.0
    frequency: float = 1.788
    states = ("position", "velocity", "phase")
    source = "Parlitz and Lauterborn (1987), Phys. Rev. A 36, 1428"
    known = Known((0.1932, 0.0), 4e-3, SPROTT)

    def rule(self, s, u):
        x, v, phase = s[..., 0], s[..., 1], s[..., 2]
        return stack(
            (v, self.damping * (1.0 - x * x) * v - x + self.amplitude * sin(phase), self.frequency)
        )

    def initial(self, rng=0):
        return np.array([-1.9, 0.0, 0.0]) + 0.05 * np.random.default_rng(rng).uniform(
            -1.0, 1.0, 3
        ) * [1.0, 1.0, 0.0]


@dataclass(frozen=True, eq=False)
class HenonHeiles(Flow):
    """Henon and Heiles' star in a galaxy: H = (p^2 + q^2 + x^2 + y^2)/2 + x^2 y - y^3/3, with p =
    x', q = y'.

    Hamiltonian: exponents come in pairs +-lambda, two of them 0. Orbits below the energy 1/6 stay
    in the triangle of the potential; above 1/8 most are chaotic. ``initial`` starts on the shell of
    the energy ``shell``, in the chaotic sea of its default.
    """

    shell: float = 0.125
    states = ("x", "y", "p", "q")
    source = "Henon and Heiles (1964), Astron. J. 69, 73"
    known = Known(
        (0.0432, 0.0, 0.0, -0.0432),
        5e-3,
        OWN.format(T="2e6", error="1.3e-3"),
        "orbits stay long beside the islands of the sea",
    )
    exponent_sum = 0.0

    def rule(self, s, u):
        x, y, p, q = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        return stack((p, q, -x - 2.0 * x * y, y * y - x * x - y))

    def energy(self, s):
        """Energy H of states (..., 4), which the flow conserves; shape (...)."""
        x, y, p, q = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        return 0.5 * (p * p + q * q + x * x + y * y) + x * x * y - y * y * y / 3.0

    def initial(self, rng=0):
        if not 0 < self.shell < 1 / 6:
            raise ValueError(
                f"shell = {self.shell}: the energy must lie in (0, 1/6), above which orbits escape"
            )
        y, q = np.array([-0.25, 0.0]) * np.sqrt(8 * self.shell) + 0.01 * np.random.default_rng(
            rng
        ).uniform(-1.0, 1.0, 2) * np.sqrt(self.shell)
        return np.array(
            [0.0, y, np.sqrt(2.0 * (self.shell - self.energy(np.array([0.0, y, 0.0, q])))), q]
        )


@dataclass(frozen=True, eq=False)
class DoublePendulum(Flow):
    """Double pendulum of two masses on rods: angles a1, a2 from the vertical and their canonical
    momenta p1, p2.

    With d = a1 - a2 and D = m1 + m2 sin^2 d, of mass m_i and rod l_i,
        H = (m2 l2^2 p1^2 + (m1 + m2) l1^2 p2^2 - 2 m2 l1 l2 p1 p2 cos d)/(2 m2 l1^2 l2^2 D) - (m1 +
        m2) g l1 cos a1 - m2 g l2 cos a2,
    and the rule is Hamilton's equations of it. Exponents come in pairs +-lambda, two of them 0;
    lambda depends on the energy. ``initial`` starts at rest with a potential energy of 0: both rods
    near the horizontal, in the chaotic sea.
    """

    mass1: float = 1.0
    mass2: float = 1.0
    length1: float = 1.0
    length2: float = 1.0
    gravity: float = 9.81
    states = ("angle1", "angle2", "momentum1", "momentum2")
    source = "Shinbrot, Grebogi, Wisdom and Yorke (1992), Am. J. Phys. 60, 491"
    known = Known(
        (0.937, 0.0, 0.0, -0.937), 0.02, OWN.format(T="2e4, in angles and velocities", error="6e-3")
    )
    exponent_sum = 0.0

    def rule(self, s, u):
        a1, a2, p1, p2 = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        l1, l2, both = self.length1, self.length2, self.mass1 + self.mass2
        sine, cosine = sin(a1 - a2), cos(a1 - a2)
        inertia = l1 * l2 * (self.mass1 + self.mass2 * sine * sine)
        turn1 = (l2 * p1 - l1 * p2 * cosine) / (l1 * inertia)
        turn2 = (l1 * both * p2 - l2 * self.mass2 * p1 * cosine) / (l2 * self.mass2 * inertia)
        torque = self.mass2 * l1 * l2 * turn1 * turn2 * sine
        return stack(
            (
                turn1,
                turn2,
                -torque - both * self.gravity * l1 * sin(a1),
                torque - self.mass2 * self.gravity * l2 * sin(a2),
            )
        )

    def energy(self, s):
        """Energy H of states (..., 4), which the flow conserves; shape (...)."""
        a1, a2, p1, p2 = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        m2, l1, l2, both = self.mass2, self.length1, self.length2, self.mass1 + self.mass2
        sine, cosine = sin(a1 - a2), cos(a1 - a2)
        moving = (
            m2 * l2 * l2 * p1 * p1
            + both * l1 * l1 * p2 * p2
            - 2.0 * m2 * l1 * l2 * p1 * p2 * cosine
        )
        inertia = 2.0 * m2 * l1 * l1 * l2 * l2 * (self.mass1 + m2 * sine * sine)
        return moving / inertia - self.gravity * (both * l1 * cos(a1) + m2 * l2 * cos(a2))

    def initial(self, rng=0):
        lower = np.pi / 2 + np.random.default_rng(rng).uniform(-0.01, 0.01)
        share = self.mass2 * self.length2 / ((self.mass1 + self.mass2) * self.length1)
        return np.array([np.arccos(np.clip(-share * np.cos(lower), -1.0, 1.0)), lower, 0.0, 0.0])


@dataclass(frozen=True, eq=False)
class Lorenz96(Flow):
    """Lorenz's weather on a circle of latitude: x_i' = (x_(i+1) - x_(i-2)) x_(i-1) - x_i + F, for
    ``units`` sites, F = forcing.

    The exponents sum to -units.
    """

    forcing: float = 8.0
    units: int = 40
    source = "Lorenz (1996), Proc. Seminar on Predictability, ECMWF, 1"
    known = Known(
        (1.66,),
        0.05,
        "independent simulations; a second of our own: 1.683 +- 0.008 at T = 8e3",
        "40 sites",
        27.0,
        10.1,
        13,
    )

    def __post_init__(self):
        if self.units != int(self.units) or self.units < 4:
            raise ValueError(
                f"units = {self.units}: must be a whole number of at least 4, so "
                "that a site and its neighbours differ"
            )

    @property
    def states(self):
        return tuple(f"x{i}" for i in range(self.units))

    def rule(self, x, u):
        return (roll(x, -1) - roll(x, 2)) * roll(x, 1) - x + self.forcing

    def initial(self, rng=0):
        return self.forcing + np.random.default_rng(rng).standard_normal(self.units)

    @property
    def exponent_sum(self):
        return -float(self.units)


SYSTEMS = {
    "chen": Chen,
    "chua": Chua,
    "double_pendulum": DoublePendulum,
    "duffing": Duffing,
    "henon_heiles": HenonHeiles,
    "hyper_roessler": HyperRoessler,
    "lorenz63": Lorenz63,
    "lorenz96": Lorenz96,
    "roessler": Roessler,
    "sprott_jerk": SprottJerk,
    "thomas": Thomas,
    "van_der_pol": VanDerPol,
}
