"""The gravitational N bodies, with starts that the literature knows."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..arrays import concat, sqrt
from ..errors import NotFiniteError, ShapeError
from . import ephemeris
from .symplectic import Separable, angular_momentum, halves


@dataclass(frozen=True, eq=False)
class NBody(Separable):
    """N bodies under their gravity: q_i'' = G sum_(j != i) m_j (q_j - q_i) / |q_j - q_i|^3.

    State of 2 N d components: positions body by body, then velocities. Bodies of mass 0 are test
    particles. ``dimension`` d is 2 or 3; ``start`` (2 N d,) is where ``initial`` begins: by default
    the others stand on circular orbits about the first, at the distances 1, 1.7, 1.7^2 ..., at
    anomalies of 0, 2, 4 ... radians, in the frame of the centre of mass.

    Raises ShapeError where masses and start do not fit, ValueError for a negative mass.
    Source: Newton (1687); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.4.

    >>> three = NBody(np.array([1.0, 1e-3, 1e-3]), dimension=2)
    >>> three.size, bool(np.abs(three.momentum(three.initial())).max() < 1e-15)
    (12, True)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 1e-3, 1e-3]))
    G: float = 1.0
    dimension: int = 2
    start: np.ndarray | None = None
    source = (
        "Newton (1687); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.4"
    )

    def __post_init__(self):
        masses = np.asarray(self.masses, float)
        object.__setattr__(self, "masses", masses)
        if masses.ndim != 1 or len(masses) < 2:
            raise ShapeError(
                f"masses have shape {masses.shape}: pass the masses of N >= 2 bodies, shape (N,)"
            )
        if not np.isfinite(masses).all() or (masses < 0).any():
            raise ValueError(f"masses = {masses.tolist()}: must be finite and not negative")
        if self.dimension not in (2, 3):
            raise ValueError(f"dimension = {self.dimension}: must be 2 or 3")
        if self.start is not None:
            object.__setattr__(self, "start", np.asarray(self.start, float))
            if self.start.shape != (self.size,):
                raise ShapeError(
                    f"start has shape {self.start.shape}: {len(masses)} bodies in "
                    f"{self.dimension} dimensions need ({self.size},), "
                    "positions body by body, then velocities"
                )
            if not np.isfinite(self.start).all():
                raise NotFiniteError("start holds NaN or infinity")

    size = property(lambda self: 2 * len(self.masses) * self.dimension)

    @property
    def states(self):
        return tuple(
            f"{kind}{axis}{body}"
            for kind in ("", "v")
            for body in range(len(self.masses))
            for axis in "xyz"[: self.dimension]
        )

    def force(self, q):
        first, second, pair, other = pairs(len(self.masses))
        bodies = q.reshape(*q.shape[:-1], len(self.masses), self.dimension)
        apart = bodies[..., second, :] - bodies[..., first, :]
        square = (apart * apart).sum(axis=-1, keepdims=True)
        pull = apart * (1.0 / (square * sqrt(square)))
        weight = self.G * concat((self.masses, -self.masses))[other]
        return (pull[..., pair, :] * weight[..., None]).sum(axis=-2).reshape(q.shape)

    def weights(self):
        return np.repeat(self.masses, self.dimension)

    def energy(self, x):
        """Total energy sum m v^2/2 - sum_(i<j) G m_i m_j / r_ij, conserved, shape (...,)."""
        first, second, *_ = pairs(len(self.masses))
        q, v = halves(x)
        bodies = q.reshape(*q.shape[:-1], len(self.masses), self.dimension)
        apart = bodies[..., second, :] - bodies[..., first, :]
        potential = (
            self.G * self.masses[first] * self.masses[second] / sqrt((apart * apart).sum(axis=-1))
        )
        return 0.5 * (self.weights() * v * v).sum(axis=-1) - potential.sum(axis=-1)

    def angular_momentum(self, x):
        """Total angular momentum, conserved: shape (...,) in the plane, (..., 3) in space."""
        return angular_momentum(*halves(x), self.masses, self.dimension)

    def momentum(self, x):
        """Total momentum, conserved, shape (..., d)."""
        v = halves(x)[1]
        return (
            self.masses[:, None] * v.reshape(*v.shape[:-1], len(self.masses), self.dimension)
        ).sum(axis=-2)

    def initial(self, rng=0):
        return self._circular() if self.start is None else self.start.copy()

    def _circular(self):
        bodies = [np.zeros(4)] + [
            orbit_state(1.7**k, anomaly=2.0 * k, mu=self.G * self.masses[: k + 2].sum())
            for k in range(len(self.masses) - 1)
        ]
        return barycentric(self.masses, np.array(bodies), self.dimension)


@cache
def pairs(n):
    """Pairs i < j of n bodies as index arrays (first, second); for each body, shape (n, n-1), the
    pairs it is in, and the place of the other body's mass in (masses, -masses): the force on the
    second of a pair points backwards."""
    first, second = np.triu_indices(n, 1)
    number = np.zeros((n, n), int)
    number[first, second] = number[second, first] = np.arange(len(first))
    other = np.array([[j for j in range(n) if j != i] for i in range(n)])
    mine = np.arange(n)[:, None]
    return first, second, number[mine, other], np.where(other > mine, other, other + n)


def orbit_state(axis, eccentricity=0.0, *, anomaly=0.0, pericentre=0.0, mu=1.0):
    """State (..., 4) = (x, y, vx, vy) of a body on a Kepler orbit in the plane; arguments
    broadcast.

    ``axis``: semi-major axis; ``anomaly``: true anomaly; ``pericentre``: its longitude; angles in
    radians; mu = G times the total mass. Source: Murray and Dermott (1999), Solar System Dynamics,
    2.4.

    >>> orbit_state(1.0, 0.5)[[0, 3]].round(6).tolist()
    [0.5, 1.732051]
    """
    axis, eccentricity, anomaly, pericentre, mu = np.broadcast_arrays(
        *(np.asarray(v, float) for v in (axis, eccentricity, anomaly, pericentre, mu))
    )
    if not (np.all(axis > 0) and np.all((eccentricity >= 0) & (eccentricity < 1))):
        raise ValueError("orbit_state makes ellipses: pass axis > 0 and 0 <= eccentricity < 1")
    shape = axis * (1.0 - eccentricity**2)
    r, speed, angle = (
        shape / (1.0 + eccentricity * np.cos(anomaly)),
        np.sqrt(mu / shape),
        anomaly + pericentre,
    )
    return np.stack(
        (
            r * np.cos(angle),
            r * np.sin(angle),
            -speed * (np.sin(angle) + eccentricity * np.sin(pericentre)),
            speed * (np.cos(angle) + eccentricity * np.cos(pericentre)),
        ),
        axis=-1,
    )


def barycentric(masses, bodies, dimension=2):
    """State (..., 2 N d) of bodies (..., N, 2 d') = (position, velocity) seen from their centre of
    mass; missing axes are 0."""
    masses, bodies = np.asarray(masses, float), np.asarray(bodies, float)
    bodies = bodies - (masses[:, None] * bodies).sum(axis=-2, keepdims=True) / masses.sum()
    own = bodies.shape[-1] // 2
    parts = bodies.reshape(*bodies.shape[:-1], 2, own)
    parts = np.concatenate((parts, np.zeros((*parts.shape[:-1], dimension - own))), axis=-1)
    return np.moveaxis(parts, -2, -3).reshape(*bodies.shape[:-2], -1)


def _figure_eight():
    """Chenciner and Montgomery (2000), Ann. Math. 152, 881, initial conditions of Simo quoted
    there."""
    q, v = np.array([0.97000436, -0.24308753]), np.array([0.93240737, 0.86473146])
    return np.concatenate((q, -q, np.zeros(2), v / 2, v / 2, -v))


@dataclass(frozen=True, eq=False)
class FigureEight(NBody):
    """Three equal masses that follow each other on a figure eight: a stable periodic orbit of
    period 6.32591398."""

    masses: np.ndarray = field(default_factory=lambda: np.ones(3))
    start: np.ndarray | None = field(default_factory=_figure_eight)
    source = "Chenciner and Montgomery (2000), Ann. Math. 152, 881; initial conditions by Simo"


@dataclass(frozen=True, eq=False)
class Pythagorean(NBody):
    """Burrau's problem: masses 3, 4, 5 at rest in the corners of a right triangle, each opposite
    the side of its length.

    After many close encounters, near t = 60, the lightest body leaves and a binary of the other two
    recoils. It needs an adaptive step: ``dm.orbit(system, duration=70, rtol=1e-12)``.
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([3.0, 4.0, 5.0]))
    start: np.ndarray | None = field(
        default_factory=lambda: np.array([1.0, 3.0, -2.0, -1.0, 1.0, -1.0] + [0.0] * 6)
    )
    source = (
        "Burrau (1913), Astron. Nachr. 195, 113; Szebehely and Peters (1967), Astron. J. 72, 876"
    )


@dataclass(frozen=True, eq=False)
class HierarchicalTriple(NBody):
    """A binary of masses 1 and 1/2 (semi-major axis 1, e = 0.1) with a third body of mass 1/2
    around it.

    By default the outer orbit has axis 5 and e = 0.2, stable by the criterion of Mardling and
    Aarseth (pericentre 4.0 against 3.4); ``states_of`` makes the starts of a map.

    >>> HierarchicalTriple().states_of([3.0, 5.0], [[0.0], [0.2], [0.4]]).shape
    (3, 2, 12)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.5, 0.5]))
    source = "Mardling and Aarseth (2001), Mon. Not. R. Astron. Soc. 321, 398"

    def states_of(self, axis, eccentricity=0.0, *, anomaly=2.0):
        """Starts (..., 12) with the outer orbit of this semi-major axis and eccentricity, in units
        of the inner axis; arguments broadcast."""
        inner = orbit_state(1.0, 0.1, mu=self.G * self.masses[:2].sum())
        # of the two about their centre
        shares = np.array([-self.masses[1], self.masses[0]]) / self.masses[:2].sum()
        outer = orbit_state(axis, eccentricity, anomaly=anomaly, mu=self.G * self.masses.sum())
        pair = np.broadcast_to(shares[:, None] * inner, (*outer.shape[:-1], 2, 4))
        return barycentric(self.masses, np.concatenate((pair, outer[..., None, :]), axis=-2))

    def initial(self, rng=0):
        return self.states_of(5.0, 0.2) if self.start is None else self.start.copy()


@dataclass(frozen=True, eq=False)
class TwoPlanets(NBody):
    """A star of mass 1 and two planets on circular orbits of periods 2 pi and 2 pi ``ratio``, half
    a turn apart.

    ``states_of`` makes the starts of a whole map of period ratios and eccentricities. Circular
    orbits closer than the sum criterion of Gladman (1993) collide sooner or later, those in
    overlapping resonances are chaotic (Wisdom 1980).

    >>> TwoPlanets().states_of([1.17, 1.5], [[0.0], [0.05]]).shape
    (2, 2, 12)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 1e-4, 1e-4]))
    ratio: float = 1.17
    source = "Wisdom (1980), Astron. J. 85, 1122; Gladman (1993), Icarus 106, 247"

    def states_of(self, ratio, eccentricity=0.0, *, anomaly=np.pi):
        """Starts (..., 12): the inner planet at axis 1, the outer one at ``ratio`` times its
        period, both of the eccentricity given, with opposite pericentres, the outer one at the
        ``anomaly`` from its own; arguments broadcast."""
        ratio, eccentricity, anomaly = np.broadcast_arrays(
            *(np.asarray(v, float) for v in (ratio, eccentricity, anomaly))
        )
        total = self.G * np.cumsum(self.masses)
        axis = (ratio**2 * total[2] / total[1]) ** (1 / 3)  # period ratio, by Kepler's third law
        inner = orbit_state(np.ones_like(ratio), eccentricity, mu=total[1])
        outer = orbit_state(axis, eccentricity, anomaly=anomaly, mu=total[2], pericentre=np.pi)
        bodies = np.stack((0.0 * inner, inner, outer), axis=-2)
        return barycentric(self.masses, bodies)

    def initial(self, rng=0):
        return self.states_of(self.ratio, anomaly=0.0) if self.start is None else self.start.copy()


@dataclass(frozen=True, eq=False)
class OuterSolarSystem(NBody):
    """The Sun with the four giant planets, in space; units: astronomical unit, Julian year, mass of
    the Sun (inner planets added to it).

    By default it starts on 5 September 1994 with the published table of Hairer, Lubich and Wanner
    (2006). ``OuterSolarSystem.of`` takes the planets of a date from the JPL ephemeris DE421
    (``dynmem[planets]``), Pluto too. Whether it is chaotic depends on the initial conditions within
    their errors (Hayes 2007): report the distribution of its Lyapunov times, never one number.
    """

    masses: np.ndarray = field(default_factory=lambda: ephemeris.table(False)[0])
    G: float = ephemeris.GRAVITY
    dimension: int = 3
    start: np.ndarray | None = field(
        default_factory=lambda: barycentric(*ephemeris.table(False), dimension=3)
    )
    source = (
        "Hairer, Lubich and Wanner (2006), I.2.4; Folkner, Williams and Boggs (2009), IPN "
        "Progress Report 42-178 (DE421)"
    )

    @classmethod
    def of(cls, date=None, *, pluto=False):
        """The system at a date, a Julian day (TDB) between 1899 and 2053, from DE421; without a
        date the published table.

        Raises ImportError naming the extra to install where the ephemeris is missing, ValueError
        for a date it does not cover.
        """
        masses, bodies = ephemeris.table(pluto) if date is None else ephemeris.read(date, pluto)
        return cls(masses=masses, start=barycentric(masses, bodies, dimension=3))

    def perturbed(self, size, count, rng=0):
        """Starts (count, 30) whose planets lie off by relative errors of the given size (standard
        deviation, in every component of position and velocity, seen from the Sun), the centre of
        mass at rest."""
        n = len(self.masses)
        parts = np.moveaxis(self.initial().reshape(2, n, 3), 0, -2).reshape(n, 6)
        noise = np.random.default_rng(rng).standard_normal((count, n - 1, 2, 3))
        planets = (parts - parts[0])[1:].reshape(n - 1, 2, 3)
        moved = planets + size * np.linalg.norm(planets, axis=-1, keepdims=True) * noise
        bodies = np.concatenate((np.zeros((count, 1, 6)), moved.reshape(count, n - 1, 6)), axis=1)
        return barycentric(self.masses, bodies, dimension=3)
