"""Spectra of matrices and linearised systems: eigenvalues, singular values, and how far from
normal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import ShapeError
from ...labels import complex_parts, dataset
from ...linear import LinearSystem, linearize
from ...runtime.memory import require_memory, require_time
from ...runtime.threads import one_thread
from ...runtime.validation import integer, public
from ...system import System
from ...typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Trefethen and Embree (2005), Spectra and Pseudospectra; Henrici (1962) for the "
    "departure; Kreiss (1962)"
)


@public
def spectral_radius(
    system: System | LinearSystem | ArrayLike,
    x: ArrayLike | None = None,
    u: ArrayLike | None = None,
) -> float:
    """Largest modulus of an eigenvalue of a matrix, or of the Jacobian of a Map.

    A Map contracts near a fixed point where it is below 1; a Flow does where its
    ``spectral_abscissa`` is below 0.

    Parameters
    ----------
    system : Map, LinearSystem or array_like (n, n)
        The system, or a square matrix.
    x : array_like (n,), optional
        State at which the Jacobian of a Map is taken; zero by default.
    u : array_like (inputs,), optional
        Input there; zero by default.

    Returns
    -------
    float
        max |lambda_i|, 1.

    Raises
    ------
    TypeError
        For a Flow, or a LinearSystem in continuous time.
    ShapeError
        For a matrix that is not square, or a state of another size.
    NotFiniteError
        For a matrix that holds NaN or infinity.

    References
    ----------
    Trefethen and Embree (2005), Spectra and Pseudospectra, section 14.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.spectral_radius(np.diag([0.5, -0.9]))
    0.9
    """
    linear = _linear(system, x, u)
    if linear.dt is None:
        raise TypeError(
            f"{type(system).__name__} is continuous in time, where stability depends on the "
            "largest real part: use dm.spectral_abscissa"
        )
    return linear.spectral_radius


@public
def spectral_abscissa(
    system: System | LinearSystem | ArrayLike,
    x: ArrayLike | None = None,
    u: ArrayLike | None = None,
) -> float:
    """Largest real part of an eigenvalue of a matrix, or of the Jacobian of a Flow.

    Perturbations of a Flow near an equilibrium decay where it is below 0.

    Parameters
    ----------
    system : Flow, LinearSystem or array_like (n, n)
        The system, or a square matrix.
    x : array_like (n,), optional
        State at which the Jacobian of a Flow is taken; zero by default.
    u : array_like (inputs,), optional
        Input there; zero by default.

    Returns
    -------
    float
        max Re lambda_i, 1/time unit.

    Raises
    ------
    TypeError
        For a Map, or a LinearSystem in discrete time.
    ShapeError
        For a matrix that is not square, or a state of another size.
    NotFiniteError
        For a matrix that holds NaN or infinity.

    References
    ----------
    Trefethen and Embree (2005), Spectra and Pseudospectra, section 14.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(dm.spectral_abscissa(dm.systems.get("lorenz63"), [0.0, 0.0, 0.0]), 4)
    11.8277
    """
    linear = _linear(system, x, u)
    if linear.dt is not None and isinstance(system, (System, LinearSystem)):
        raise TypeError(
            f"{type(system).__name__} is discrete in time, where stability depends on the "
            "largest modulus: use dm.spectral_radius"
        )
    return float(linear.eigenvalues.real.max())


@public
def spectrum(
    system: System | LinearSystem | ArrayLike,
    x: ArrayLike | None = None,
    u: ArrayLike | None = None,
    *,
    lags: int = 200,
) -> Dataset:
    """Eigenvalues, singular values and transient growth of a matrix or of a system's Jacobian.

    A = V diag(lambda) V^-1 = U diag(sigma) W^T. A is normal where Henrici's departure
    sqrt(|A|_F^2 - sum |lambda_i|^2) is 0; else |A^lag| may grow before it decays, by at least the
    Kreiss constant sup (|z| - 1)|(z - A)^-1| over |z| > 1 (for a Flow sup Re z |(z - A)^-1| over
    Re z > 0) and by at most e n times that.

    Parameters
    ----------
    system : Map, Flow, LinearSystem or array_like (n, n)
        The system, or a square matrix (discrete time).
    x : array_like (n,), optional
        State at which the Jacobian is taken; zero by default.
    u : array_like (inputs,), optional
        Input there; zero by default.
    lags : int, optional
        Largest lag of ``power_norm``, in steps or units of time.

    Returns
    -------
    xarray.Dataset
        eigenvalue_real, eigenvalue_imag : (mode,), 1 or 1/time unit
            Eigenvalues, largest modulus first (for a Flow largest real part first).
        singular_value : (mode,), 1 or 1/time unit
            Singular values, largest first.
        spectral_radius : (), 1 or 1/time unit
            Largest modulus of an eigenvalue.
        spectral_abscissa : (), 1/time unit [optional]
            Largest real part of an eigenvalue, for a Flow.
        spectral_norm : (), 1 or 1/time unit
            Largest singular value.
        departure_from_normality : (), 1 or 1/time unit
            Henrici's departure.
        power_norm : (lag,), 1
            |A^lag|_2, for a Flow |exp(A lag)|_2.
        transient_growth : (), 1
            Largest of these, for a Flow over all times up to the largest lag.
        kreiss_constant : (), 1
            Kreiss constant; infinite for unstable systems.

    Raises
    ------
    ShapeError
        For a matrix that is not square, or a system without named states and no x.
    NotFiniteError
        For a matrix that holds NaN or infinity.

    References
    ----------
    Trefethen and Embree (2005), Spectra and Pseudospectra, sections 14 and 18; Henrici (1962),
    Numer. Math. 4, 24; Kreiss (1962), BIT 2, 153.

    Examples
    --------
    >>> import dynmem as dm
    >>> nonnormal = dm.spectrum(np.array([[0.5, 10.0], [0.0, 0.5]]))
    >>> float(nonnormal.spectral_radius), round(float(nonnormal.transient_growth), 2)
    (0.5, 10.02)
    """
    lags = integer("lags", lags, 0)
    linear = _linear(system, x, u)
    A, flow = linear.A, linear.dt is None
    require_time(lags * len(A), f"lags = {lags}", "pass fewer")
    require_memory(32 * lags, f"lags = {lags}", "pass fewer")
    with one_thread():
        values = linear.eigenvalues
        singular = np.linalg.svd(A, compute_uv=False)
        norms = _power_norms(A, lags, flow)
        growth = max(norms.max(), _largest_norm(A, float(lags))) if flow else norms.max()
        kreiss = kreiss_constant(A, continuous=flow)
    unit = "1/time unit" if flow else "1"
    scale = singular[0] or 1.0
    departure = scale * np.sqrt(
        max(0.0, ((singular / scale) ** 2).sum() - (np.abs(values / scale) ** 2).sum())
    )
    abscissa = {"spectral_abscissa": ((), values.real.max(), unit, "spectral abscissa")}
    variables = {
        **complex_parts("eigenvalue", "mode", values, unit, "eigenvalue"),
        "singular_value": ("mode", singular, unit, "singular value"),
        "spectral_radius": ((), linear.spectral_radius, unit, "spectral radius"),
        **(abscissa if flow else {}),
        "spectral_norm": ((), singular[0], unit, "largest singular value"),
        "departure_from_normality": ((), departure, unit, "Henrici's departure"),
        "power_norm": ("lag", norms, "1", "norm of the propagator over the lag"),
        "transient_growth": ((), growth, "1", "largest norm of the propagator"),
        "kreiss_constant": ((), kreiss, "1", "Kreiss constant"),
    }
    coords = {
        "mode": ("mode", np.arange(1, len(A) + 1), "1", "index of the mode, slowest first"),
        "lag": ("lag", np.arange(lags + 1), "time unit" if flow else "step", "lag"),
    }
    return dataset(
        variables,
        coords,
        title="spectrum",
        source=SOURCE,
        parameters={"n": len(A), "continuous": flow},
    )


def kreiss_constant(A: np.ndarray, *, continuous: bool = False, points: int = 48) -> float:
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

        with np.errstate(over="ignore", invalid="ignore"):
            A = expm(A)
    out, power = np.full(lags + 1, np.inf), np.eye(len(A))
    with np.errstate(over="ignore", invalid="ignore"):
        for lag in range(lags + 1):
            if not np.isfinite(power).all():
                break
            out[lag] = np.linalg.norm(power, 2)
            power = A @ power
    return out


def _largest_norm(A, longest):
    """Largest |exp(A t)|_2 over 0 <= t <= longest: four times an octave, by squaring, from a time
    over which nothing happens, then refined between the neighbours of the largest."""
    from scipy.linalg import expm
    from scipy.optimize import minimize_scalar

    size = np.linalg.norm(A, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        last = _norm(expm(A * longest))
    if size * longest < 1e-3 or not np.isfinite(last):
        return last
    times, norms, ratio = [longest], [last], 2.0**0.25
    for start in 0.05 / size * ratio ** np.arange(4):
        t, power = start, expm(A * start)
        while t < longest and np.isfinite(power).all():
            times.append(t)
            norms.append(_norm(power))
            with np.errstate(over="ignore", invalid="ignore"):
                t, power = 2.0 * t, power @ power
    best = times[int(np.argmax(norms))]
    if best == longest or not np.isfinite(norms).all():
        return max(norms)
    found = minimize_scalar(
        lambda t: -_norm(expm(A * t)),
        bounds=(best / ratio, min(best * ratio, longest)),
        method="bounded",
        options={"xatol": 1e-9 * best},
    )
    return max(-found.fun, *norms)


def _norm(matrix):
    return float(np.linalg.norm(matrix, 2)) if np.isfinite(matrix).all() else np.inf


def _linear(thing, x, u):
    """A LinearSystem from a matrix, a LinearSystem, or a system at x and u."""
    if isinstance(thing, System):
        if x is None and thing.size is None:
            raise ShapeError(
                f"{type(thing).__name__} names no states: pass x, the state at which "
                "its Jacobian is taken"
            )
        return linearize(thing, np.zeros(thing.size) if x is None else x, u)
    if x is not None or u is not None:
        raise TypeError("x and u belong to a system, and a matrix was given: leave them out")
    return thing if isinstance(thing, LinearSystem) else LinearSystem(thing, dt=1.0)
