"""Celestial mechanics on paper: Kepler's orbit, the points of Lagrange with their exponents,
Routh's mass ratio, Sitnikov's periods."""

import numpy as np

from ..errors import ConvergenceError
from ..labels import dataset
from .checks import number, numbers, positive
from .results import lyapunov_report

POINTS = ("L1", "L2", "L3", "L4", "L5")
SZEBEHELY = "Szebehely (1967), Theory of Orbits, ch. 4 and 5"


def routh_mass_ratio():
    """Routh's mass ratio (1 - sqrt(23/27))/2: below it the triangular points L4 and L5 are linearly
    stable, 27 mu (1 - mu) < 1.

    Source: Routh (1875), Proc. London Math. Soc. 6, 86; Szebehely (1967), 5.4.

    >>> round(routh_mass_ratio(), 10)
    0.0385208965
    """
    return 0.5 * (1.0 - np.sqrt(23.0 / 27.0)).item()


def lagrange_points(mu):
    """The five points of rest of the restricted three bodies of mass ratio mu in (0, 1), by Euler's
    quintics.

    With the distance g to the nearer primary: L1 g^5 - (3-mu) g^4 + (3-2 mu) g^3 - mu g^2 + 2 mu g
    - mu = 0, L2 the same with + (3-mu), + (3-2 mu), - mu, - 2 mu, - mu; L3, from the larger
    primary, with mu -> 1 - mu as L2. L4 and L5 close equilateral triangles.

    Returns a Dataset over ``point``: ``x``, ``y``, ``jacobi`` (the Jacobi constant 2 U),
    ``growth``, the largest real part of the eigenvalues. Source: Szebehely (1967), 4.4 and 5.2.

    >>> round(float(lagrange_points(0.012150585).x.sel(point="L1")), 8)
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


def lagrange_spectrum(mu, point="L1"):
    """Exponents of the restricted three bodies at rest on a point of Lagrange: the real parts of
    the four eigenvalues.

    lambda^4 + (4 - Uxx - Uyy) lambda^2 + Uxx Uyy - Uxy^2 = 0; at L4 and L5 lambda^4 + lambda^2 + 27
    mu (1 - mu)/4 = 0.

    Returns the variables of ``dm.lyapunov_spectrum`` and ``eigenvalue(mode)``, largest real part
    first. Source: Szebehely (1967), ch. 5.

    >>> lagrange_spectrum(0.012150585).lyapunov.values.round(6).tolist()
    [2.932056, 0.0, 0.0, -2.932056]
    """
    mu = _mass_ratio(mu)
    if point not in POINTS:
        raise ValueError(f"point = {point!r}: must be one of {', '.join(POINTS)}")
    place = lagrange_points(mu).sel(point=point)
    values = _eigenvalues(mu, float(place.x), float(place.y))
    return lyapunov_report(
        values.real + 0.0,
        title=f"exponents at {point}",
        source=SZEBEHELY,
        parameters={"mu": mu, "point": point},
        per="1/time unit",
        eigenvalue=("mode", values, "1/time unit", "eigenvalue"),
    )


def _mass_ratio(mu):
    mu = number("mu", mu)
    if not 0.0 < mu < 1.0:
        raise ValueError(f"mu = {mu}: the mass ratio lies strictly between 0 and 1")
    return mu


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


def sitnikov_period(amplitude):
    """Period of Sitnikov's problem on circles (e = 0) with the amplitude A, exactly: total mass and
    distance of the primaries are 1.

    T = sqrt(2) int_0^(pi/2) dphi / [(1 - 2 k^2 sin^2 phi)^2 sqrt(1 - k^2 sin^2 phi)],  k =
    sin(theta/2), tan(theta) = 2 A: complete elliptic integrals K, E and Pi. T = pi/sqrt(2) at rest,
    and T grows as A^(3/2).

    amplitude: numbers of at least 0, any shape. Source: Belbruno, Llibre and Olle (1994), Celest.
    Mech. 60, 99; here from z = tan(theta)/2.

    >>> sitnikov_period([0.0, 1.0]).round(7).tolist()
    [2.2214415, 6.000819]
    """
    from scipy.special import ellipe, ellipk, elliprf, elliprj

    amplitude = numbers("amplitude", amplitude)
    if not (np.isfinite(amplitude) & (amplitude >= 0)).all():
        raise ValueError("amplitude: pass finite numbers of at least 0")
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


def kepler_orbit(times, axis=1.0, eccentricity=0.3, *, mu=1.0):
    """Exact orbit of Kepler's problem in the plane from the pericentre on the x axis: E - e sin E =
    n t, n = sqrt(mu/a^3).

    Returns a Dataset as ``dm.orbit``: ``x(time, state)`` with the states of ``dm.systems.Kepler``.
    Source: Murray and Dermott (1999), 2.4.

    >>> float(kepler_orbit([0.0, np.pi]).x[1, 0])
    -1.3
    """
    times, axis, mu, e = (
        np.atleast_1d(numbers("times", times)),
        positive("axis", axis),
        positive("mu", mu),
        number("eccentricity", eccentricity),
    )
    if not 0.0 <= e < 1.0:
        raise ValueError(f"eccentricity = {e}: ellipses have 0 <= e < 1")
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
