"""Planets: Kepler's problem, the restricted three bodies, Sitnikov's problem, and the gravitational
N bodies of ``nbody``."""

from dataclasses import dataclass

import numpy as np

from ..arrays import concat, cos, sin, sqrt, stack
from ..system import Flow
from .known import Known
from .nbody import (
    FigureEight,
    HierarchicalTriple,
    NBody,
    OuterSolarSystem,
    Pythagorean,
    TwoPlanets,
    orbit_state,
)
from .symplectic import Separable, halves


@dataclass(frozen=True, eq=False)
class Kepler(Separable):
    """Kepler's problem in the plane, q'' = -mu q / |q|^3; all four exponents are 0 (every orbit is
    periodic).

    State (x, y, vx, vy). ``initial`` starts at the pericentre of an ellipse of semi-major axis 1
    and eccentricity 0.3. ``dm.theory.kepler_orbit`` is its exact solution.

    >>> round(float(Kepler().energy(Kepler().initial())), 12)
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

    def force(self, q):
        square = (q * q).sum(axis=-1, keepdims=True)
        return -self.mu * q / (square * sqrt(square))

    def energy(self, x):
        """Energy v^2/2 - mu/r, conserved, shape (...,)."""
        q, v = halves(x)
        return 0.5 * (v * v).sum(axis=-1) - self.mu / sqrt((q * q).sum(axis=-1))

    def angular_momentum(self, x):
        """Angular momentum x vy - y vx, conserved, shape (...,)."""
        return x[..., 0] * x[..., 3] - x[..., 1] * x[..., 2]

    def initial(self, rng=0):
        return orbit_state(1.0, 0.3, mu=self.mu)


@dataclass(frozen=True, eq=False)
class RestrictedThreeBody(Flow):
    """Circular restricted three bodies in the rotating plane: a massless body near primaries of
    masses 1 - mu at (-mu, 0) and mu at (1 - mu, 0).

        x'' - 2 y' = dU/dx,   y'' + 2 x' = dU/dy,   U = (x^2 + y^2)/2 + (1 - mu)/r1 + mu/r2

    State (x, y, vx, vy) in the rotating frame; distance of the primaries, their total mass and
    angular velocity are 1. Conserved: ``jacobi`` = 2 U - v^2. The drift between two kicks is exact
    in the rotating frame, so ``Symplectic`` applies. ``initial`` starts on a chaotic orbit about
    the larger primary that cannot leave (C = 3.19, the passage at L1 opens below 3.188). Source:
    Szebehely (1967), Theory of Orbits; mu of the Earth and the Moon.

    >>> l1 = RestrictedThreeBody().lagrange_points()[0]
    >>> round(float(l1[0]), 10)
    0.8369151288
    """

    mu: float = 0.012150585
    states = ("x", "y", "vx", "vy")
    source = "Szebehely (1967), Theory of Orbits"

    def force(self, q):
        """Attraction of the primaries."""
        x, y = q[..., 0], q[..., 1]
        larger, smaller = x + self.mu, x + (self.mu - 1.0)
        y2 = y * y
        r1, r2 = larger * larger + y2, smaller * smaller + y2
        w1, w2 = (1.0 - self.mu) / (r1 * sqrt(r1)), self.mu / (r2 * sqrt(r2))
        return stack((-w1 * larger - w2 * smaller, -(w1 + w2) * y))

    def drift(self, q, v, h):
        """Straight motion in the inertial frame seen from the rotating one, which has turned by h
        meanwhile."""
        c, s = cos(h), sin(h)
        px, py = v[..., 0] - q[..., 1], v[..., 1] + q[..., 0]
        x, y = q[..., 0] + h * px, q[..., 1] + h * py
        x, y, px, py = c * x + s * y, c * y - s * x, c * px + s * py, c * py - s * px
        return stack((x, y)), stack((px + y, py - x))

    def rule(self, x, u):
        q, v = halves(x)
        turning = stack((q[..., 0] + 2.0 * v[..., 1], q[..., 1] - 2.0 * v[..., 0]))
        return concat((v, turning + self.force(q)))

    def jacobi(self, x):
        """Jacobi constant C = x^2 + y^2 + 2 (1 - mu)/r1 + 2 mu/r2 - v^2, conserved, shape
        (...,)."""
        q, v = halves(x)
        y2 = q[..., 1] * q[..., 1]
        r1, r2 = (sqrt((q[..., 0] + a) * (q[..., 0] + a) + y2) for a in (self.mu, self.mu - 1.0))
        return (
            (q * q).sum(axis=-1)
            + 2.0 * (1.0 - self.mu) / r1
            + 2.0 * self.mu / r2
            - (v * v).sum(axis=-1)
        )

    def section_state(self, x, vx=0.0, *, jacobi):
        """States (..., 4) on the surface y = 0 with vy > 0 at the Jacobi constant given; NaN where
        none exists."""
        x, vx = np.broadcast_arrays(np.asarray(x, float), np.asarray(vx, float))
        rest = np.stack((x, 0.0 * x, vx, 0.0 * x), axis=-1)
        with np.errstate(invalid="ignore"):
            rest[..., 3] = np.sqrt(self.jacobi(rest) - jacobi)
        return rest

    def lagrange_points(self):
        """The five points of rest L1 .. L5 as states, shape (5, 4): where this system's own rule
        vanishes.

        Raises ValueError for a mass ratio outside (0, 1).
        """
        from scipy.optimize import brentq

        mu = self.mu
        if not 0.0 < mu < 1.0:
            raise ValueError(f"mu = {mu}: the points of rest are isolated for 0 < mu < 1")
        pull = lambda x: float(self.rule(np.array([x, 0.0, 0.0, 0.0]), None)[2])  # noqa: E731
        small = 1e-3 * min(mu, 1 - mu) ** (1 / 3)  # closer than any of the points is to a primary
        spans = ((-mu + small, 1 - mu - small), (1 - mu + small, 3.0), (-3.0, -mu - small))
        on_axis = [(brentq(pull, *span, xtol=1e-15, rtol=1e-15), 0.0) for span in spans]
        triangle = [(0.5 - mu, s * np.sqrt(0.75)) for s in (1.0, -1.0)]
        return np.array([(*point, 0.0, 0.0) for point in on_axis + triangle])

    def initial(self, rng=0):
        x = 0.35 + 1e-4 * np.random.default_rng(rng).standard_normal()
        return self.section_state(x, jacobi=3.19)


@dataclass(frozen=True, eq=False)
class Sitnikov(Flow):
    """Sitnikov's problem: a massless body on the axis of two equal primaries on ellipses of
    eccentricity e.

        z'' = -z / (z^2 + r^2)^(3/2),   r = (1 - e cos E)/2,   E' = 1/(1 - e cos E)

    State (z, v, anomaly E); total mass and semi-major axis of the primaries are 1, their period 2
    pi. Carrying the eccentric anomaly as a state spares Kepler's equation. At e = 0 the motion is
    integrable (``dm.theory.sitnikov_period``), for e > 0 chaotic orbits exist. Source: Sitnikov
    (1960), Dokl. Akad. Nauk SSSR 133, 303; Moser (1973), Stable and Random Motions.
    """

    eccentricity: float = 0.0
    states = ("z", "velocity", "anomaly")
    source = (
        "Sitnikov (1960), Dokl. Akad. Nauk SSSR 133, 303; Moser (1973), Stable and Random "
        "Motions in Dynamical Systems"
    )

    def rule(self, x, u):
        z, v, anomaly = x[..., 0], x[..., 1], x[..., 2]
        apart = 1.0 - self.eccentricity * cos(anomaly)  # distance of the primaries
        square = z * z + 0.25 * apart * apart
        return stack((v, -z / (square * sqrt(square)), 1.0 / apart))

    @property
    def conserves_energy(self):
        """Only at e = 0: on ellipses the primaries exchange energy with the third body."""
        return self.eccentricity == 0.0

    def energy(self, x):
        """Energy v^2/2 - 1/sqrt(z^2 + r^2), conserved for e = 0, shape (...,)."""
        z, v, apart = x[..., 0], x[..., 1], 1.0 - self.eccentricity * cos(x[..., 2])
        return 0.5 * v * v - 1.0 / sqrt(z * z + 0.25 * apart * apart)

    def initial(self, rng=0):
        return np.array([1.0 + 1e-3 * np.random.default_rng(rng).standard_normal(), 0.0, 0.0])


SYSTEMS = {
    "kepler": Kepler,
    "restricted_three_body": RestrictedThreeBody,
    "sitnikov": Sitnikov,
    "n_body": NBody,
    "figure_eight": FigureEight,
    "hierarchical_triple": HierarchicalTriple,
    "pythagorean": Pythagorean,
    "two_planets": TwoPlanets,
    "outer_solar_system": OuterSolarSystem,
}
