"""Spectra of matrices and linearised systems: eigenvalues, singular values, and how far from
normal."""

import numpy as np

from ...errors import ShapeError
from ...labels import dataset
from ...linear import LinearSystem, linearize
from ...runtime.threads import one_thread
from ...system import Flow, System

SOURCE = (
    "Trefethen and Embree (2005), Spectra and Pseudospectra; Henrici (1962) for the "
    "departure; Kreiss (1962)"
)


def spectral_radius(system_or_matrix, x=None) -> float:
    """Largest modulus of an eigenvalue: of a square matrix, a LinearSystem, or a system's Jacobian
    at x (0 by default).

    Raises ShapeError for a matrix that is not square, NotFiniteError for NaN.

    >>> spectral_radius(np.diag([0.5, -0.9]))
    0.9
    """
    return _linear(system_or_matrix, x)[0].spectral_radius


def spectrum(system_or_matrix, x=None, *, lags=200):
    """Spectrum of a matrix, a LinearSystem, or a system's Jacobian at x (0 by default), with its
    transient growth.

    Returns a Dataset: ``eigenvalue(mode)`` (complex), ``singular_value(mode)``,
    ``spectral_radius``, ``spectral_norm``, ``departure_from_normality`` sqrt(|A|_F^2 - sum
    |lambda|^2) (Henrici), ``power_norm(lag)`` = |A^lag|_2 (for a Flow |exp(A lag)|_2),
    ``transient_growth`` its maximum, and ``kreiss_constant`` sup (|z| - 1)|(z - A)^-1| over |z| > 1
    (for a Flow Re z |(z - A)^-1| over Re z > 0), which is at most the transient growth and at least
    1/(e n) of it; infinite for unstable systems.

    >>> nonnormal = spectrum(np.array([[0.5, 10.0], [0.0, 0.5]]))
    >>> float(nonnormal.spectral_radius), round(float(nonnormal.transient_growth), 2)
    (0.5, 10.02)
    """
    if lags != int(lags) or lags < 0:
        raise ValueError(f"lags = {lags}: must be a whole number of at least 0")
    linear, flow = _linear(system_or_matrix, x)
    A, n = linear.A, len(linear.A)
    with one_thread():
        values, singular, norms = (
            linear.eigenvalues,
            np.linalg.svd(A, compute_uv=False),
            _power_norms(A, lags, flow),
        )
        kreiss = kreiss_constant(A, continuous=flow)
    unit, size = "1/time unit" if flow else "1", singular[0] or 1.0
    departure = size * np.sqrt(
        max(0.0, ((singular / size) ** 2).sum() - (np.abs(values / size) ** 2).sum())
    )
    variables = {
        "eigenvalue": ("mode", values, unit, "eigenvalue"),
        "singular_value": ("mode", singular, unit, "singular value"),
        "spectral_radius": ((), linear.spectral_radius, unit, "spectral radius"),
        "spectral_norm": ((), singular[0], unit, "largest singular value"),
        "departure_from_normality": ((), departure, unit, "Henrici's departure"),
        "power_norm": ("lag", norms, "1", "norm of the propagator over the lag"),
        "transient_growth": ((), norms.max(), "1", "largest norm of the propagator"),
        "kreiss_constant": ((), kreiss, "1", "Kreiss constant"),
    }
    coords = {
        "mode": ("mode", np.arange(1, n + 1), "1", "index of the mode, slowest first"),
        "lag": ("lag", np.arange(lags + 1), "time unit" if flow else "step", "lag"),
    }
    return dataset(
        variables, coords, title="spectrum", source=SOURCE, parameters={"n": n, "continuous": flow}
    )


def kreiss_constant(A, *, continuous=False, points=48) -> float:
    """Kreiss constant of a matrix: sup (|z| - 1) |(z - A)^-1|_2 over |z| > 1, or sup Re z |(z -
    A)^-1|_2 over Re z > 0.

    Searched at 24 distances in the directions of the ``points`` slowest eigenvalues and refined by
    Nelder-Mead; 1 for stable normal matrices.

    >>> round(kreiss_constant(np.diag([0.5, 0.2])), 6)
    1.0
    """
    from scipy.linalg import schur
    from scipy.optimize import minimize

    T, _ = schur(A, output="complex")
    values = np.diagonal(T)
    if (values.real.max() if continuous else np.abs(values).max()) > 1.0 - (
        1.0 if continuous else 0.0
    ) + 1e-12:
        return np.inf

    def point(s, t):
        """The point z at distance e^s from the boundary, at frequency t."""
        return np.exp(s) + 1j * t if continuous else (1.0 + np.exp(s)) * np.exp(1j * t)

    def height(s, t):
        """ln of the quantity there."""
        smallest = np.linalg.svd(point(s, t) * np.eye(len(T)) - T, compute_uv=False)[-1]
        return s - np.log(max(smallest, 1e-300))

    slowest = values[np.argsort(-(values.real if continuous else np.abs(values)))][:points]
    if np.isrealobj(A):
        slowest = slowest.real + 1j * np.abs(slowest.imag)
    angles = np.unique(np.append(slowest.imag if continuous else np.angle(slowest), 0.0))
    distances = np.linspace(np.log(1e-6), np.log(10.0 * max(1.0, np.abs(T).max())), 24)
    s, t = (a.ravel() for a in np.meshgrid(distances, angles))
    first = int(np.argmax(s + _log_resolvent(T, point(s, t))))
    best = minimize(
        lambda p: -height(*p),
        (s[first], t[first]),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-10},
    )
    return float(max(1.0, np.exp(-best.fun)))


def _log_resolvent(T, z, iterations=4):
    """ln |(z - T)^-1|_2, to a few per cent, for an upper triangular T (n, n) at many points z (m,):
    power iteration on the resolvent and its adjoint by substitution (Trefethen and Embree 2005,
    section 39), all points side by side."""
    n, shift = len(T), z - np.diagonal(T)[:, None]
    v = np.random.default_rng(0).standard_normal((n, 1)) * np.ones(len(z), complex)
    for _ in range(iterations):
        v = v / np.linalg.norm(v, axis=0)
        for i in reversed(range(n)):
            v[i] = (v[i] + T[i, i + 1 :] @ v[i + 1 :]) / shift[i]
        size = np.linalg.norm(v, axis=0)
        for i in range(n):
            v[i] = (v[i] + T[:i, i].conj() @ v[:i]) / shift[i].conj()
    return np.log(size)


def _power_norms(A, lags, flow):
    """|A^lag|_2, or |exp(A lag)|_2, for lag = 0 .. lags; inf once it overflows."""
    if flow:
        from scipy.linalg import expm

        A = expm(A)
    out, power = np.full(lags + 1, np.inf), np.eye(len(A))
    with np.errstate(over="ignore", invalid="ignore"):
        for lag in range(lags + 1):
            if not np.isfinite(power).all():
                break
            out[lag] = np.linalg.norm(power, 2)
            power = A @ power
    return out


def _linear(thing, x):
    """A LinearSystem and whether time is continuous, from a matrix, a LinearSystem, or a system at
    x."""
    if isinstance(thing, System):
        if x is None and thing.size is None:
            raise ShapeError(
                f"{type(thing).__name__} names no states: pass x, the state at which "
                "its Jacobian is taken"
            )
        return linearize(thing, np.zeros(thing.size) if x is None else x), isinstance(thing, Flow)
    linear = thing if isinstance(thing, LinearSystem) else LinearSystem(thing, dt=1.0)
    return linear, linear.dt is None
