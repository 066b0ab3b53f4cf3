"""Restricted problems of celestial mechanics: Kepler's, the restricted three bodies, Sitnikov's."""

from __future__ import annotations

import numpy as np

from ..arrays import concat, cos, sin, sqrt, stack
from ..runtime.validation import generator, number
from ..system import Flow
from ..typing import Array, ArrayLike, Rng
from .known import Known
from .nbody import orbit_state
from .symplectic import Separable, halves

__all__ = ["Kepler", "RestrictedThreeBody", "Sitnikov"]


class Kepler(Separable):
    """Kepler's problem in the plane.

    q'' = -mu q / |q|^3

    Parameters
    ----------
    mu : float
        G times the total mass, in units of length^3 / time^2.

    Notes
    -----
    States: x, y, vx, vy. Every orbit is periodic, and all four exponents are 0. ``initial`` starts
    at the pericentre of an ellipse of semi-major axis 1 and eccentricity 0.3.
    ``dm.theory.kepler_orbit`` is the exact solution.

    References
    ----------
    Kepler (1609); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> kepler = dm.systems.Kepler()
    >>> round(float(kepler.energy(kepler.initial())), 12)
    -0.5
    """

    mu: float = 1.0
    states = ("x", "y", "vx", "vy")
    source = "Kepler (1609); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2"
    known = Known(
        (0.0, 0.0, 0.0, 0.0),
        0.02,
        "exact: in action and angle the tangent map grows linearly",
        "measured values fall as ln(T)/T",
    )

    def force(self, q: Array) -> Array:
        """Acceleration at the positions q, both (..., 2)."""
        square = (q * q).sum(axis=-1, keepdims=True)
        return -self.mu * q / (square * sqrt(square))

    def energy(self, x: Array) -> Array:
        """Energy v^2/2 - mu/r, conserved, shape (...)."""
        q, v = halves(x)
        return 0.5 * (v * v).sum(axis=-1) - self.mu / sqrt((q * q).sum(axis=-1))

    def angular_momentum(self, x: Array) -> Array:
        """Angular momentum x vy - y vx, conserved, shape (...)."""
        return x[..., 0] * x[..., 3] - x[..., 1] * x[..., 2]

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return orbit_state(1.0, 0.3, mu=self.mu)


class RestrictedThreeBody(Flow):
    """Circular restricted three-body problem, in the rotating plane.

    x'' - 2 y' = dU/dx, y'' + 2 x' = dU/dy, U = (x^2 + y^2)/2 + (1 - mu)/r1 + mu/r2

    Parameters
    ----------
    mu : float
        Mass of the smaller primary over the total mass; by default that of the Moon in the
        Earth-Moon system.

    Notes
    -----
    A massless body moves near primaries of masses 1 - mu at (-mu, 0) and mu at (1 - mu, 0). States:
    x, y, vx, vy in the rotating frame; distance of the primaries, their total mass and angular
    velocity are 1. Conserved: ``jacobi`` = 2 U - v^2. The drift between two kicks is exact in the
    rotating frame, so ``Symplectic`` applies. ``initial`` starts on a chaotic orbit about the
    larger primary that cannot leave (C = 3.19, the passage at L1 opens below 3.188).

    References
    ----------
    Szebehely (1967), Theory of Orbits.

    Examples
    --------
    >>> import dynmem as dm
    >>> l1 = dm.systems.RestrictedThreeBody().lagrange_points()[0]
    >>> round(float(l1[0]), 10)
    0.8369151288
    """

    mu: float = 0.012150585
    states = ("x", "y", "vx", "vy")
    equation = (
        r"\ddot x - 2 \dot y = \partial_x U, \quad \ddot y + 2 \dot x = \partial_y U, "
        r"\quad U = \tfrac12 (x^2 + y^2) + \frac{1 - \mu}{r_1} + \frac{\mu}{r_2}"
    )
    source = "Szebehely (1967), Theory of Orbits"

    def force(self, q: Array) -> Array:
        """Attraction of the primaries at the positions q, both (..., 2)."""
        x, y = q[..., 0], q[..., 1]
        larger, smaller = x + self.mu, x + (self.mu - 1.0)
        y2 = y * y
        r1, r2 = larger * larger + y2, smaller * smaller + y2
        w1, w2 = (1.0 - self.mu) / (r1 * sqrt(r1)), self.mu / (r2 * sqrt(r2))
        return stack((-w1 * larger - w2 * smaller, -(w1 + w2) * y))

    def drift(self, q: Array, v: Array, h: float) -> tuple[Array, Array]:
        """Straight motion in the inertial frame seen from the rotating one, which has turned by h
        meanwhile."""
        c, s = cos(h), sin(h)
        px, py = v[..., 0] - q[..., 1], v[..., 1] + q[..., 0]
        x, y = q[..., 0] + h * px, q[..., 1] + h * py
        x, y, px, py = c * x + s * y, c * y - s * x, c * px + s * py, c * py - s * px
        return stack((x, y)), stack((px + y, py - x))

    def rule(self, x: Array, u: Array | None) -> Array:
        q, v = halves(x)
        turning = stack((q[..., 0] + 2.0 * v[..., 1], q[..., 1] - 2.0 * v[..., 0]))
        return concat((v, turning + self.force(q)))

    def jacobi(self, x: Array) -> Array:
        """Jacobi constant x^2 + y^2 + 2 (1 - mu)/r1 + 2 mu/r2 - v^2, conserved, shape (...)."""
        q, v = halves(x)
        y2 = q[..., 1] * q[..., 1]
        r1, r2 = (sqrt((q[..., 0] + a) * (q[..., 0] + a) + y2) for a in (self.mu, self.mu - 1.0))
        return (
            (q * q).sum(axis=-1)
            + 2.0 * (1.0 - self.mu) / r1
            + 2.0 * self.mu / r2
            - (v * v).sum(axis=-1)
        )

    def section_state(self, x: ArrayLike, vx: ArrayLike = 0.0, *, jacobi: ArrayLike) -> np.ndarray:
        """States (..., 4) on the surface y = 0 with vy > 0 at the Jacobi constant given; NaN where
        none exists."""
        x, vx = np.broadcast_arrays(np.asarray(x, float), np.asarray(vx, float))
        rest = np.stack((x, 0.0 * x, vx, 0.0 * x), axis=-1)
        with np.errstate(invalid="ignore"):
            rest[..., 3] = np.sqrt(self.jacobi(rest) - jacobi)
        return rest

    def lagrange_points(self) -> np.ndarray:
        """The Lagrange points L1 .. L5, where the rule of this system vanishes.

        Returns
        -------
        np.ndarray
            States, shape (5, 4).

        Raises
        ------
        ValueError
            For a mass ratio outside (0, 1), where the points are not isolated.
        """
        from scipy.optimize import brentq

        mu = number("mu", self.mu, above=0, below=1)
        pull = lambda x: float(self.rule(np.array([x, 0.0, 0.0, 0.0]), None)[2])  # noqa: E731
        small = 1e-3 * min(mu, 1 - mu) ** (1 / 3)  # closer than any of the points is to a primary
        spans = ((-mu + small, 1 - mu - small), (1 - mu + small, 3.0), (-3.0, -mu - small))
        on_axis = [(brentq(pull, *span, xtol=1e-15, rtol=1e-15), 0.0) for span in spans]
        triangle = [(0.5 - mu, s * np.sqrt(0.75)) for s in (1.0, -1.0)]
        return np.array([(*point, 0.0, 0.0) for point in on_axis + triangle])

    def initial(self, rng: Rng = 0) -> np.ndarray:
        x = 0.35 + 1e-4 * generator(rng).standard_normal()
        return self.section_state(x, jacobi=3.19)


class Sitnikov(Flow):
    """Sitnikov's problem: a massless body on the axis of two equal primaries.

    z'' = -z / (z^2 + r^2)^(3/2), r = (1 - e cos E)/2, E' = 1/(1 - e cos E)

    Parameters
    ----------
    eccentricity : float
        Eccentricity e of the orbits of the primaries, in [0, 1); dimensionless.

    Notes
    -----
    States: z, velocity, anomaly E; total mass and semi-major axis of the primaries are 1, their
    period 2 pi. With the eccentric anomaly as a state Kepler's equation need not be solved. At
    e = 0 the motion is integrable (``dm.theory.sitnikov_period``), for e > 0 chaotic orbits exist.

    References
    ----------
    Sitnikov (1960), Dokl. Akad. Nauk SSSR 133, 303; Moser (1973), Stable and Random Motions in
    Dynamical Systems.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Sitnikov().rule(np.array([0.5, 1.0, 0.0]), None).round(6).tolist()
    [1.0, -1.414214, 1.0]
    """

    eccentricity: float = 0.0
    states = ("z", "velocity", "anomaly")
    source = (
        "Sitnikov (1960), Dokl. Akad. Nauk SSSR 133, 303; Moser (1973), Stable and Random "
        "Motions in Dynamical Systems"
    )

    def rule(self, x: Array, u: Array | None) -> Array:
        z, v, anomaly = x[..., 0], x[..., 1], x[..., 2]
        apart = 1.0 - self.eccentricity * cos(anomaly)  # distance of the primaries
        square = z * z + 0.25 * apart * apart
        return stack((v, -z / (square * sqrt(square)), 1.0 / apart))

    def energy(self, x: Array) -> Array:
        """Energy v^2/2 - 1/sqrt(z^2 + r^2), conserved for e = 0, shape (...)."""
        z, v, apart = x[..., 0], x[..., 1], 1.0 - self.eccentricity * cos(x[..., 2])
        return 0.5 * v * v - 1.0 / sqrt(z * z + 0.25 * apart * apart)

    @property
    def conserves_energy(self) -> bool:
        """Only at e = 0: on ellipses the primaries exchange energy with the third body."""
        return self.eccentricity == 0.0

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([1.0 + 1e-3 * generator(rng).standard_normal(), 0.0, 0.0])


SYSTEMS = {
    "kepler": Kepler,
    "restricted_three_body": RestrictedThreeBody,
    "sitnikov": Sitnikov,
}
