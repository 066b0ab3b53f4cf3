"""The gravitational N-body problem, with initial conditions from the literature."""

from __future__ import annotations

from dataclasses import field
from functools import cache

import numpy as np

from ..arrays import concat, sqrt
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import choice, generator
from ..typing import Array, ArrayLike, Rng
from . import ephemeris
from .symplectic import Separable, angular_momentum, halves

__all__ = [
    "FigureEight",
    "HierarchicalTriple",
    "NBody",
    "OuterSolarSystem",
    "Pythagorean",
    "TwoPlanets",
    "barycentric",
    "orbit_state",
]


class NBody(Separable):
    """N bodies under their own gravity.

    q_i'' = G sum_(j != i) m_j (q_j - q_i) / |q_j - q_i|^3

    Parameters
    ----------
    masses : np.ndarray (N,)
        Masses of N >= 2 bodies, at least 0; bodies of mass 0 are test particles.
    G : float
        Gravitational constant, in units of length^3 / (mass time^2).
    dimension : int
        Dimension d of space, 2 or 3.
    start : np.ndarray (2 N d,), optional
        State at which ``initial`` begins. By default the others move on circular orbits about the
        first, at the distances 1, 1.7, 1.7^2 ..., at anomalies of 0, 2, 4 ... radians, in the frame
        of the centre of mass.

    Raises
    ------
    ShapeError
        Where masses and start do not fit.
    ValueError
        For a negative mass or another dimension.

    Notes
    -----
    States: positions body by body (x0, y0, x1 ...), then velocities (vx0 ...), in units of length
    and of length per time.

    References
    ----------
    Newton (1687); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> three = dm.systems.NBody(np.array([1.0, 1e-3, 1e-3]), dimension=2)
    >>> three.size, bool(np.abs(three.momentum(three.initial())).max() < 1e-15)
    (12, True)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 1e-3, 1e-3]))
    G: float = 1.0
    dimension: int = 2
    start: np.ndarray | None = None
    equation = r"\ddot q_i = G \sum_{j \ne i} m_j\, \frac{q_j - q_i}{|q_j - q_i|^3}"
    source = (
        "Newton (1687); Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.4"
    )

    def __post_init__(self) -> None:
        masses = np.asarray(self.masses, float)
        object.__setattr__(self, "masses", masses)
        if masses.ndim != 1 or len(masses) < 2:
            raise ShapeError(
                f"masses have shape {masses.shape}: pass the masses of N >= 2 bodies, shape (N,)"
            )
        if not np.isfinite(masses).all() or (masses < 0).any():
            raise ValueError(f"masses = {masses.tolist()}: must be finite and not negative")
        choice("dimension", self.dimension, (2, 3))
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

    size = property(
        lambda self: 2 * len(self.masses) * self.dimension, doc="Number 2 N d of states."
    )

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the positions and velocities."""
        return tuple(
            f"{kind}{axis}{body}"
            for kind in ("", "v")
            for body in range(len(self.masses))
            for axis in "xyz"[: self.dimension]
        )

    def force(self, q: Array) -> Array:
        """Acceleration of the bodies at the positions q, both (..., N d)."""
        first, second, pair, other = pairs(len(self.masses))
        bodies = q.reshape(*q.shape[:-1], len(self.masses), self.dimension)
        apart = bodies[..., second, :] - bodies[..., first, :]
        square = (apart * apart).sum(axis=-1, keepdims=True)
        pull = apart * (1.0 / (square * sqrt(square)))
        weight = self.G * concat((self.masses, -self.masses))[other]
        return (pull[..., pair, :] * weight[..., None]).sum(axis=-2).reshape(q.shape)

    def weights(self) -> np.ndarray:
        """Mass of each coordinate, shape (N d,)."""
        return np.repeat(self.masses, self.dimension)

    def energy(self, x: Array) -> Array:
        """Total energy sum m v^2/2 - sum_(i<j) G m_i m_j / r_ij, conserved, shape (...)."""
        first, second, *_ = pairs(len(self.masses))
        q, v = halves(x)
        bodies = q.reshape(*q.shape[:-1], len(self.masses), self.dimension)
        apart = bodies[..., second, :] - bodies[..., first, :]
        potential = (
            self.G * self.masses[first] * self.masses[second] / sqrt((apart * apart).sum(axis=-1))
        )
        return 0.5 * (self.weights() * v * v).sum(axis=-1) - potential.sum(axis=-1)

    def angular_momentum(self, x: Array) -> Array:
        """Total angular momentum, conserved: shape (...) in the plane, (..., 3) in space."""
        return angular_momentum(*halves(x), self.masses, self.dimension)

    def momentum(self, x: Array) -> Array:
        """Total momentum, conserved, shape (..., d)."""
        v = halves(x)[1]
        return (
            self.masses[:, None] * v.reshape(*v.shape[:-1], len(self.masses), self.dimension)
        ).sum(axis=-2)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self._circular() if self.start is None else self.start.copy()

    def _circular(self) -> np.ndarray:
        bodies = [np.zeros(4)] + [
            orbit_state(1.7**k, anomaly=2.0 * k, mu=self.G * self.masses[: k + 2].sum())
            for k in range(len(self.masses) - 1)
        ]
        return barycentric(self.masses, np.array(bodies), self.dimension)


@cache
def pairs(n: int) -> tuple[np.ndarray, ...]:
    """Pairs i < j of n bodies as index arrays (first, second); for each body, shape (n, n-1), the
    pairs it is in, and the place of the other body's mass in (masses, -masses): the force on the
    second of a pair points backwards."""
    first, second = np.triu_indices(n, 1)
    number = np.zeros((n, n), int)
    number[first, second] = number[second, first] = np.arange(len(first))
    other = np.array([[j for j in range(n) if j != i] for i in range(n)])
    mine = np.arange(n)[:, None]
    return first, second, number[mine, other], np.where(other > mine, other, other + n)


def orbit_state(
    axis: ArrayLike,
    eccentricity: ArrayLike = 0.0,
    *,
    anomaly: ArrayLike = 0.0,
    pericentre: ArrayLike = 0.0,
    mu: ArrayLike = 1.0,
) -> np.ndarray:
    """State of a body on a Kepler orbit in the plane; arguments broadcast.

    Parameters
    ----------
    axis : array_like
        Semi-major axis, above 0.
    eccentricity : array_like
        Eccentricity, in [0, 1).
    anomaly : array_like
        True anomaly, in radians.
    pericentre : array_like
        Longitude of the pericentre, in radians.
    mu : array_like
        G times the total mass.

    Returns
    -------
    np.ndarray
        States (..., 4) = (x, y, vx, vy).

    Raises
    ------
    ValueError
        For orbits that are not ellipses.

    References
    ----------
    Murray and Dermott (1999), Solar System Dynamics, 2.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.orbit_state(1.0, 0.5)[[0, 3]].round(6).tolist()
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


def barycentric(masses: ArrayLike, bodies: ArrayLike, dimension: int = 2) -> np.ndarray:
    """State of bodies seen from their centre of mass; missing axes are 0.

    Parameters
    ----------
    masses : array_like (N,)
        Masses.
    bodies : array_like (..., N, 2 d')
        Position and velocity of each body.
    dimension : int
        Dimension d of the state, at least d'.

    Returns
    -------
    np.ndarray
        States (..., 2 N d) of ``NBody``.

    References
    ----------
    Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.2.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.barycentric([1.0, 1.0], [[0, 0, 0, 0], [1, 0, 0, 2]]).tolist()
    [-0.5, 0.0, 0.5, 0.0, 0.0, -1.0, 0.0, 1.0]
    """
    m, seen = np.asarray(masses, float), np.asarray(bodies, float)
    seen = seen - (m[:, None] * seen).sum(axis=-2, keepdims=True) / m.sum()
    axes = seen.shape[-1] // 2
    parts = seen.reshape(*seen.shape[:-1], 2, axes)
    parts = np.concatenate((parts, np.zeros((*parts.shape[:-1], dimension - axes))), axis=-1)
    return np.moveaxis(parts, -2, -3).reshape(*seen.shape[:-2], -1)


def _figure_eight() -> np.ndarray:
    """Initial conditions of Simo, quoted by Chenciner and Montgomery (2000)."""
    q, v = np.array([0.97000436, -0.24308753]), np.array([0.93240737, 0.86473146])
    return np.concatenate((q, -q, np.zeros(2), v / 2, v / 2, -v))


class FigureEight(NBody):
    """Three equal masses that follow each other on a figure eight.

    A stable periodic orbit of ``NBody`` with the period 6.32591398.

    Parameters
    ----------
    masses : np.ndarray (3,)
        Masses.
    G : float
        Gravitational constant.
    dimension : int
        Dimension of space, 2 or 3.
    start : np.ndarray (12,), optional
        State at which ``initial`` begins.

    References
    ----------
    Chenciner and Montgomery (2000), Ann. Math. 152, 881; initial conditions by Simo.

    Examples
    --------
    >>> import dynmem as dm
    >>> eight = dm.systems.FigureEight()
    >>> round(float(eight.energy(eight.initial())), 3)
    -1.287
    """

    masses: np.ndarray = field(default_factory=lambda: np.ones(3))
    start: np.ndarray | None = field(default_factory=_figure_eight)
    source = "Chenciner and Montgomery (2000), Ann. Math. 152, 881; initial conditions by Simo"


class Pythagorean(NBody):
    """Burrau's Pythagorean problem: masses 3, 4, 5 at rest in the corners of a right triangle.

    Each mass is opposite the side of its length. After many close encounters, near t = 60, the
    lightest body leaves and a binary of the other two recoils.

    Parameters
    ----------
    masses : np.ndarray (3,)
        Masses.
    G : float
        Gravitational constant.
    dimension : int
        Dimension of space, 2 or 3.
    start : np.ndarray (12,), optional
        State at which ``initial`` begins.

    Notes
    -----
    It requires an adaptive step: ``dm.orbit(system, duration=70, rtol=1e-12)``.

    References
    ----------
    Burrau (1913), Astron. Nachr. 195, 113; Szebehely and Peters (1967), Astron. J. 72, 876.

    Examples
    --------
    >>> import dynmem as dm
    >>> burrau = dm.systems.Pythagorean()
    >>> round(float(burrau.energy(burrau.initial())), 6)
    -12.816667
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([3.0, 4.0, 5.0]))
    start: np.ndarray | None = field(
        default_factory=lambda: np.array([1.0, 3.0, -2.0, -1.0, 1.0, -1.0] + [0.0] * 6)
    )
    source = (
        "Burrau (1913), Astron. Nachr. 195, 113; Szebehely and Peters (1967), Astron. J. 72, 876"
    )


class HierarchicalTriple(NBody):
    """Hierarchical triple: a binary of masses 1 and 1/2 with a third body of mass 1/2 around it.

    The inner orbit has the semi-major axis 1 and the eccentricity 0.1, by default the outer one 5
    and 0.2, stable by the criterion of Mardling and Aarseth (pericentre 4.0 against 3.4).

    Parameters
    ----------
    masses : np.ndarray (3,)
        Masses.
    G : float
        Gravitational constant.
    dimension : int
        Dimension of space, 2 or 3.
    start : np.ndarray (12,), optional
        State at which ``initial`` begins.

    References
    ----------
    Mardling and Aarseth (2001), Mon. Not. R. Astron. Soc. 321, 398.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.HierarchicalTriple().states_of([3.0, 5.0], [[0.0], [0.2], [0.4]]).shape
    (3, 2, 12)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.5, 0.5]))
    source = "Mardling and Aarseth (2001), Mon. Not. R. Astron. Soc. 321, 398"

    def states_of(
        self, axis: ArrayLike, eccentricity: ArrayLike = 0.0, *, anomaly: ArrayLike = 2.0
    ) -> np.ndarray:
        """Starts (..., 12) with the outer orbit of this semi-major axis and eccentricity, in units
        of the inner axis; arguments broadcast."""
        inner = orbit_state(1.0, 0.1, mu=self.G * self.masses[:2].sum())
        # of the two about their centre
        shares = np.array([-self.masses[1], self.masses[0]]) / self.masses[:2].sum()
        outer = orbit_state(axis, eccentricity, anomaly=anomaly, mu=self.G * self.masses.sum())
        pair = np.broadcast_to(shares[:, None] * inner, (*outer.shape[:-1], 2, 4))
        return barycentric(self.masses, np.concatenate((pair, outer[..., None, :]), axis=-2))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.states_of(5.0, 0.2) if self.start is None else self.start.copy()


class TwoPlanets(NBody):
    """A star of mass 1 and two planets on circular orbits, half a turn apart.

    The periods are 2 pi and 2 pi ``ratio``.

    Parameters
    ----------
    masses : np.ndarray (3,)
        Masses.
    G : float
        Gravitational constant.
    dimension : int
        Dimension of space, 2 or 3.
    start : np.ndarray (12,), optional
        State at which ``initial`` begins.
    ratio : float
        Ratio of the periods of the planets; dimensionless.

    Notes
    -----
    Circular orbits closer than the sum criterion of Gladman (1993) collide sooner or later, those
    in overlapping resonances are chaotic (Wisdom 1980). ``states_of`` returns the starts of a whole
    map of period ratios and eccentricities.

    References
    ----------
    Wisdom (1980), Astron. J. 85, 1122; Gladman (1993), Icarus 106, 247.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.TwoPlanets().states_of([1.17, 1.5], [[0.0], [0.05]]).shape
    (2, 2, 12)
    """

    masses: np.ndarray = field(default_factory=lambda: np.array([1.0, 1e-4, 1e-4]))
    ratio: float = 1.17
    source = "Wisdom (1980), Astron. J. 85, 1122; Gladman (1993), Icarus 106, 247"

    def states_of(
        self, ratio: ArrayLike, eccentricity: ArrayLike = 0.0, *, anomaly: ArrayLike = np.pi
    ) -> np.ndarray:
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

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.states_of(self.ratio, anomaly=0.0) if self.start is None else self.start.copy()


class OuterSolarSystem(NBody):
    """The Sun with the four giant planets, in space.

    Units: astronomical unit, Julian year, mass of the Sun (inner planets added to it).

    Parameters
    ----------
    masses : np.ndarray (N,)
        Masses, in solar masses.
    G : float
        Gravitational constant, in AU^3 per solar mass and Julian year^2.
    dimension : int
        Dimension of space, 3.
    start : np.ndarray (6 N,), optional
        State at which ``initial`` begins, in AU and AU/year: by default that of 5 September 1994,
        the published table of Hairer, Lubich and Wanner (2006).

    Notes
    -----
    ``OuterSolarSystem.of`` takes the planets of a date from the JPL ephemeris DE421
    (``dynmem[planets]``), Pluto too. Whether it is chaotic depends on the initial conditions within
    their errors (Hayes 2007): report the distribution of its Lyapunov times, never one number.

    References
    ----------
    Hairer, Lubich and Wanner (2006), I.2.4; Folkner, Williams and Boggs (2009), IPN Progress Report
    42-178 (DE421); Hayes (2007), Nature Physics 3, 689.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.OuterSolarSystem().size
    30
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
    def of(cls, date: float | None = None, *, pluto: bool = False) -> OuterSolarSystem:
        """The system at a date, from the ephemeris DE421; without a date the published table.

        Parameters
        ----------
        date : float, optional
            Julian day (TDB) between 1899 and 2053.
        pluto : bool
            Whether Pluto is included.

        Returns
        -------
        OuterSolarSystem
            The system that starts at this date.

        Raises
        ------
        ImportError
            Where the extra ``planets`` is not installed.
        ValueError
            For a date that the ephemeris does not cover.
        """
        masses, bodies = ephemeris.table(pluto) if date is None else ephemeris.read(date, pluto)
        return cls(masses=masses, start=barycentric(masses, bodies, dimension=3))

    def perturbed(self, size: float, count: int, rng: Rng = 0) -> np.ndarray:
        """Starts (count, 30) whose planets lie off by relative errors of the given size (standard
        deviation, in every component of position and velocity, seen from the Sun), the centre of
        mass at rest."""
        n = len(self.masses)
        parts = np.moveaxis(self.initial().reshape(2, n, 3), 0, -2).reshape(n, 6)
        noise = generator(rng).standard_normal((count, n - 1, 2, 3))
        planets = (parts - parts[0])[1:].reshape(n - 1, 2, 3)
        moved = planets + size * np.linalg.norm(planets, axis=-1, keepdims=True) * noise
        bodies = np.concatenate((np.zeros((count, 1, 6)), moved.reshape(count, n - 1, 6)), axis=1)
        return barycentric(self.masses, bodies, dimension=3)


SYSTEMS = {
    "figure_eight": FigureEight,
    "hierarchical_triple": HierarchicalTriple,
    "n_body": NBody,
    "outer_solar_system": OuterSolarSystem,
    "pythagorean": Pythagorean,
    "two_planets": TwoPlanets,
}
