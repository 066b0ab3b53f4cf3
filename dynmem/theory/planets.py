"""Celestial mechanics: orbits of Kepler, points of Lagrange, Routh's ratio, Sitnikov's periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConvergenceError
from ..labels import complex_parts, dataset
from ..runtime.validation import array, choice, number, public
from ..typing import ArrayLike
from .checks import vector
from .results import lyapunov_report

if TYPE_CHECKING:
    from xarray import Dataset

POINTS = ("L1", "L2", "L3", "L4", "L5")
SZEBEHELY = "Szebehely (1967), Theory of Orbits, ch. 4 and 5"


@public
def routh_mass_ratio() -> float:
    """Routh's mass ratio (1 - sqrt(23/27))/2.

    Below it the triangular points L4 and L5 are linearly stable, 27 mu (1 - mu) < 1.

    Returns
    -------
    float
        The mass ratio.

    References
    ----------
    Routh (1875), Proc. London Math. Soc. 6, 86; Szebehely (1967), Theory of Orbits, 5.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(dm.theory.routh_mass_ratio(), 10)
    0.0385208965
    """
    return 0.5 * (1.0 - np.sqrt(23.0 / 27.0)).item()


@public
def lagrange_points(mu: float) -> Dataset:
    """The five equilibria of the restricted three-body problem, by Euler's quintics.

    With the distance g to the nearer primary: L1
    g^5 - (3-mu) g^4 + (3-2 mu) g^3 - mu g^2 + 2 mu g - mu = 0, L2 the same with + (3-mu),
    + (3-2 mu), - mu, - 2 mu, - mu; L3, from the larger primary, with mu -> 1 - mu as L2. L4 and L5
    close equilateral triangles.

    Parameters
    ----------
    mu : float
        Mass ratio, strictly between 0 and 1.

    Returns
    -------
    xarray.Dataset
        x : (point,), distance of the primaries
            Coordinate along the line of the primaries.
        y : (point,), distance of the primaries
            Coordinate across it.
        jacobi : (point,), 1
            Jacobi constant 2 U of the point at rest.
        growth : (point,), 1/time unit
            Largest real part of the eigenvalues.

    Raises
    ------
    ValueError
        For a mass ratio outside (0, 1).

    References
    ----------
    Szebehely (1967), Theory of Orbits, 4.4 and 5.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.theory.lagrange_points(0.012150585).x.sel(point="L1")), 8)
    0.83691513
    """
    mu = _mass_ratio(mu)
    x = np.array(
        [
            1 - mu - _quintic(mu, -1.0),
            1 - mu + _quintic(mu, 1.0),
            -mu - _quintic(1 - mu, 1.0),
            0.5 - mu,
            0.5 - mu,
        ]
    )
    y = np.array([0.0, 0.0, 0.0, np.sqrt(0.75), -np.sqrt(0.75)])
    r1, r2 = np.hypot(x + mu, y), np.hypot(x + mu - 1, y)
    growth = [_eigenvalues(mu, x[i], y[i]).real.max() for i in range(5)]
    variables = {
        "x": ("point", x, "distance of the primaries", "x"),
        "y": ("point", y, "distance of the primaries", "y"),
        "jacobi": (
            "point",
            x * x + y * y + 2 * (1 - mu) / r1 + 2 * mu / r2,
            "1",
            "Jacobi constant of the point at rest",
        ),
        "growth": ("point", growth, "1/time unit", "largest exponent at the point"),
    }
    return dataset(
        variables,
        {"point": ("point", list(POINTS), "1", "point of Lagrange")},
        title="points of Lagrange",
        source=SZEBEHELY,
        parameters={"mu": mu},
    )


@public
def lagrange_spectrum(mu: float, point: str = "L1") -> Dataset:
    """Exponents of the restricted three-body problem at rest on a point of Lagrange.

    The real parts of the four eigenvalues,
    lambda^4 + (4 - Uxx - Uyy) lambda^2 + Uxx Uyy - Uxy^2 = 0; at L4 and L5
    lambda^4 + lambda^2 + 27 mu (1 - mu)/4 = 0.

    Parameters
    ----------
    mu : float
        Mass ratio, strictly between 0 and 1.
    point : str, default "L1"
        "L1", "L2", "L3", "L4" or "L5".

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents, largest first.
        lyapunov_error : (exponent,), 1/time unit
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/time unit
            Sum of the positive exponents.
        eigenvalue_real : (mode,), 1/time unit
            Real part of the eigenvalues, the largest first.
        eigenvalue_imag : (mode,), 1/time unit
            Imaginary part.

    Raises
    ------
    ValueError
        For a mass ratio outside (0, 1), and for another point.

    References
    ----------
    Szebehely (1967), Theory of Orbits, ch. 5.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.lagrange_spectrum(0.012150585).lyapunov.values.round(6).tolist()
    [2.932056, 0.0, 0.0, -2.932056]
    """
    mu = _mass_ratio(mu)
    choice("point", point, POINTS)
    place = lagrange_points(mu).sel(point=point)
    values = _eigenvalues(mu, float(place.x), float(place.y))
    return lyapunov_report(
        values.real + 0.0,
        title=f"exponents at {point}",
        source=SZEBEHELY,
        parameters={"mu": mu, "point": point},
        per="1/time unit",
        **complex_parts("eigenvalue", "mode", values, "1/time unit", "eigenvalue"),
    )


def _mass_ratio(mu: float) -> float:
    return number("mu", mu, above=0, below=1)


def _quintic(mu, sign):
    """Distance of a collinear point from the primary of mass mu: inside (sign -1) or outside (+1),
    the one positive root."""
    roots = np.roots([1.0, sign * (3 - mu), 3 - 2 * mu, -mu, -2 * sign * mu, -mu])
    real = roots.real[(np.abs(roots.imag) < 1e-9 * np.abs(roots)) & (roots.real > 0)]
    g = real.min()
    for _ in range(3):  # Newton's polish
        value = np.polyval([1.0, sign * (3 - mu), 3 - 2 * mu, -mu, -2 * sign * mu, -mu], g)
        g -= value / np.polyval(
            [5.0, 4 * sign * (3 - mu), 3 * (3 - 2 * mu), -2 * mu, -2 * sign * mu], g
        )
    return float(g)


def _eigenvalues(mu, x, y):
    """The four eigenvalues, largest real part first, from the biquadratic."""
    r1, r2 = np.hypot(x + mu, y), np.hypot(x + mu - 1, y)
    if y:
        total, product = 3.0, 6.75 * mu * (1 - mu)
    else:
        pull = (1 - mu) / r1**3 + mu / r2**3
        total, product = 2.0 + pull, (1 + 2 * pull) * (1 - pull)
    half = 0.5 * (total - 4.0)
    squares = half + np.array([1.0, -1.0]) * np.emath.sqrt(half * half - product)
    roots = np.emath.sqrt(squares.astype(complex))
    roots = roots.real * (np.abs(roots.real) > 1e-12) + 1j * roots.imag
    values = np.concatenate((roots, -roots))
    return values[np.lexsort((values.imag, -values.real))]


@public
def sitnikov_period(amplitude: ArrayLike) -> np.ndarray:
    """Period of Sitnikov's problem on circles (e = 0) with the amplitude A, exactly.

    Total mass and distance of the primaries are 1.

        T = sqrt(2) int_0^(pi/2) dphi / [(1 - 2 k^2 sin^2 phi)^2 sqrt(1 - k^2 sin^2 phi)],

    k = sin(theta/2), tan(theta) = 2 A: complete elliptic integrals K, E and Pi. T = pi/sqrt(2) at
    rest, and T grows as A^(3/2).

    Parameters
    ----------
    amplitude : float or array_like
        Amplitudes of at least 0, of any shape.

    Returns
    -------
    numpy.ndarray
        Periods, of the shape of the amplitudes.

    Raises
    ------
    ValueError
        For a negative amplitude.

    References
    ----------
    Belbruno, Llibre and Olle (1994), Celest. Mech. 60, 99; here from z = tan(theta)/2.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.sitnikov_period([0.0, 1.0]).round(7).tolist()
    [2.2214415, 6.000819]
    """
    from scipy.special import ellipe, ellipk, elliprf, elliprj

    amplitude = array("amplitude", amplitude)
    if not (amplitude >= 0).all():
        raise ValueError(f"amplitude = {amplitude.tolist()!s:.60}: must be at least 0")
    cosine = 1.0 / np.sqrt(1.0 + 4.0 * amplitude**2)
    # k^2 = (1 - cos)/2 without cancellation; 1 - n = cos
    m, rest = 0.5 * 4.0 * amplitude**2 * cosine**2 / (1.0 + cosine), cosine
    n = 2.0 * m
    third = elliprf(0.0, 1.0 - m, 1.0) + n / 3.0 * elliprj(0.0, 1.0 - m, 1.0, rest)
    # n dPi/dn = [n E + (m - n) K + (n^2 - m) Pi] / [2 (m - n) (n - 1)] with n = 2 m (Byrd and
    # Friedman 710.00)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (n * ellipe(m) - m * ellipk(m) + (n * n - m) * third) / (2.0 * m * rest)
    slope = np.where(m < 1e-7, 0.5 * np.pi * m, slope)
    return np.sqrt(2.0) * (third + slope)


@public
def kepler_orbit(
    times: ArrayLike, axis: float = 1.0, eccentricity: float = 0.3, *, mu: float = 1.0
) -> Dataset:
    """Exact orbit of Kepler's problem in the plane, from the pericentre on the x axis.

    E - e sin E = n t, n = sqrt(mu/a^3). The twin of ``dm.orbit`` of ``dm.systems.Kepler``.

    Parameters
    ----------
    times : float or array_like (times,)
        Times.
    axis : float, default 1.0
        Semi-major axis a.
    eccentricity : float, default 0.3
        e, at least 0 and below 1.
    mu : float, default 1.0
        Gravitational parameter.

    Returns
    -------
    xarray.Dataset
        x : (time, state), 1
            State (x, y, vx, vy).

    Raises
    ------
    ValueError
        For an eccentricity outside [0, 1), where the orbit is no ellipse; for an axis or mu that is
        not above 0.
    ConvergenceError
        Where Newton's iteration of Kepler's equation does not converge.

    References
    ----------
    Murray and Dermott (1999), Solar System Dynamics, 2.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.theory.kepler_orbit([0.0, np.pi]).x[1, 0])
    -1.3
    """
    times, axis, mu = (
        vector("times", times),
        number("axis", axis, above=0),
        number("mu", mu, above=0),
    )
    e = number("eccentricity", eccentricity, least=0, below=1)
    rate = np.sqrt(mu / axis**3)
    E = _eccentric_anomaly(rate * times, e)
    c, s, minor = np.cos(E), np.sin(E), np.sqrt(1.0 - e * e)
    speed = axis * rate / (1.0 - e * c)
    states = np.stack((axis * (c - e), axis * minor * s, -speed * s, speed * minor * c), axis=-1)
    coords = {
        "time": ("time", times, "time unit", "time"),
        "state": ("state", ["x", "y", "vx", "vy"], "1", "component of the state"),
    }
    return dataset(
        {"x": (("time", "state"), states, "1", "state")},
        coords,
        title="orbit of Kepler",
        source="Kepler (1609)",
        parameters={"axis": axis, "eccentricity": e, "mu": mu},
    )


def _eccentric_anomaly(mean, e):
    """Solution E of E - e sin E = mean, by Newton from a start that cannot fail (E = pi, then
    monotone)."""
    turns = 2.0 * np.pi * np.round(mean / (2.0 * np.pi))
    m = mean - turns
    E = np.where(m < 0, -np.pi, np.pi) if e > 0.8 else m + e * np.sin(m)
    for _ in range(60):
        step = (E - e * np.sin(E) - m) / (1.0 - e * np.cos(E))
        E = E - step
        if np.abs(step).max(initial=0.0) < 1e-15:
            break
    if not np.abs(E - e * np.sin(E) - m).max(initial=0.0) < 1e-13:
        raise ConvergenceError(f"Kepler's equation did not converge at e = {e}")
    return E + turns
