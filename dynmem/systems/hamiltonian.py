"""Chaotic Hamiltonian flows with two degrees of freedom."""

from __future__ import annotations

import numpy as np

from ..arrays import cos, sin, stack
from ..runtime.validation import generator, number
from ..system import Flow
from ..typing import Array, Rng
from .known import OWN, Known

__all__ = ["DoublePendulum", "HenonHeiles"]


class HenonHeiles(Flow):
    """Henon and Heiles' star in the potential of a galaxy.

    H = (p^2 + q^2 + x^2 + y^2)/2 + x^2 y - y^3/3, with p = x', q = y'

    Parameters
    ----------
    shell : float
        Energy on whose shell ``initial`` starts, in (0, 1/6); dimensionless.

    Notes
    -----
    States: x, y, p, q. The exponents come in pairs +-lambda, two of them 0. Orbits below the energy
    1/6 stay in the triangle of the potential; above 1/8 most are chaotic. ``initial`` starts in the
    chaotic sea at the default of ``shell``.

    References
    ----------
    Henon and Heiles (1964), Astron. J. 69, 73.

    Examples
    --------
    >>> import dynmem as dm
    >>> star = dm.systems.HenonHeiles()
    >>> round(float(star.energy(star.initial())), 12)
    0.125
    """

    shell: float = 0.125
    states = ("x", "y", "p", "q")
    source = "Henon and Heiles (1964), Astron. J. 69, 73"
    known = Known(
        (0.0432, 0.0, 0.0, -0.0432),
        5e-3,
        OWN.format(T="2e6", error="1.3e-3"),
        "orbits stay long next to the islands of the sea",
    )
    exponent_sum = 0.0

    def rule(self, s: Array, u: Array | None) -> Array:
        x, y, p, q = s[..., 0], s[..., 1], s[..., 2], s[..., 3]
        return stack((p, q, -x - 2.0 * x * y, y * y - x * x - y))

    def energy(self, x: Array) -> Array:
        """Energy H of states (..., 4), which the flow conserves, shape (...)."""
        x, y, p, q = x[..., 0], x[..., 1], x[..., 2], x[..., 3]
        return 0.5 * (p * p + q * q + x * x + y * y) + x * x * y - y * y * y / 3.0

    def initial(self, rng: Rng = 0) -> np.ndarray:
        # above 1/6 orbits escape from the potential
        number("shell", self.shell, above=0, below=1 / 6)
        y, q = np.array([-0.25, 0.0]) * np.sqrt(8 * self.shell) + 0.01 * generator(rng).uniform(
            -1.0, 1.0, 2
        ) * np.sqrt(self.shell)
        return np.array(
            [0.0, y, np.sqrt(2.0 * (self.shell - self.energy(np.array([0.0, y, 0.0, q])))), q]
        )


class DoublePendulum(Flow):
    """Double pendulum of two masses on rods, in angles and canonical momenta.

    H = (m2 l2^2 p1^2 + (m1 + m2) l1^2 p2^2 - 2 m2 l1 l2 p1 p2 cos d)/(2 m2 l1^2 l2^2 D)
    - (m1 + m2) g l1 cos a1 - m2 g l2 cos a2, with d = a1 - a2 and D = m1 + m2 sin^2 d

    Parameters
    ----------
    mass1, mass2 : float
        Masses m1 of the upper and m2 of the lower bob, in kg.
    length1, length2 : float
        Lengths l1 and l2 of the rods, in m.
    gravity : float
        Acceleration g, in m/s^2.

    Notes
    -----
    States: angles a1, a2 from the vertical in rad, momenta p1, p2 in kg m^2/s; time in s. The rule
    is Hamilton's equations of H. The exponents come in pairs +-lambda, two of them 0; lambda
    depends on the energy. ``initial`` starts at rest with a potential energy of 0: both rods near
    the horizontal, in the chaotic sea.

    References
    ----------
    Shinbrot, Grebogi, Wisdom and Yorke (1992), Am. J. Phys. 60, 491.

    Examples
    --------
    >>> import dynmem as dm
    >>> pendulum = dm.systems.DoublePendulum()
    >>> bool(abs(pendulum.energy(pendulum.initial())) < 1e-12)
    True
    """

    mass1: float = 1.0
    mass2: float = 1.0
    length1: float = 1.0
    length2: float = 1.0
    gravity: float = 9.81
    states = ("angle1", "angle2", "momentum1", "momentum2")
    equation = (
        r"H = \frac{m_2 l_2^2 p_1^2 + (m_1 + m_2) l_1^2 p_2^2 - 2 m_2 l_1 l_2 p_1 p_2 "
        r"\cos d}{2 m_2 l_1^2 l_2^2 (m_1 + m_2 \sin^2 d)} - (m_1 + m_2) g l_1 \cos a_1 - "
        r"m_2 g l_2 \cos a_2"
    )
    source = "Shinbrot, Grebogi, Wisdom and Yorke (1992), Am. J. Phys. 60, 491"
    known = Known(
        (0.937, 0.0, 0.0, -0.937), 0.02, OWN.format(T="2e4, in angles and velocities", error="6e-3")
    )
    exponent_sum = 0.0

    def rule(self, s: Array, u: Array | None) -> Array:
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

    def energy(self, x: Array) -> Array:
        """Energy H of states (..., 4) in J, which the flow conserves, shape (...)."""
        a1, a2, p1, p2 = x[..., 0], x[..., 1], x[..., 2], x[..., 3]
        m2, l1, l2, both = self.mass2, self.length1, self.length2, self.mass1 + self.mass2
        sine, cosine = sin(a1 - a2), cos(a1 - a2)
        moving = (
            m2 * l2 * l2 * p1 * p1
            + both * l1 * l1 * p2 * p2
            - 2.0 * m2 * l1 * l2 * p1 * p2 * cosine
        )
        inertia = 2.0 * m2 * l1 * l1 * l2 * l2 * (self.mass1 + m2 * sine * sine)
        return moving / inertia - self.gravity * (both * l1 * cos(a1) + m2 * l2 * cos(a2))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        lower = np.pi / 2 + generator(rng).uniform(-0.01, 0.01)
        share = self.mass2 * self.length2 / ((self.mass1 + self.mass2) * self.length1)
        return np.array([np.arccos(np.clip(-share * np.cos(lower), -1.0, 1.0)), lower, 0.0, 0.0])


SYSTEMS = {
    "double_pendulum": DoublePendulum,
    "henon_heiles": HenonHeiles,
}
