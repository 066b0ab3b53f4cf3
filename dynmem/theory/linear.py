"""Linear networks and their limits: powers, products of random matrices, bounds on the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.gradients.window import lag_vector
from ..labels import complex_parts, dataset
from ..runtime.validation import choice, integer, number, public
from ..typing import ArrayLike
from .checks import square_matrix
from .results import (
    gradient_report,
    lag_coordinate,
    lyapunov_report,
    time_scale_entry,
)

if TYPE_CHECKING:
    from xarray import Dataset

MAX_SLOPES = {"identity": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}


@public
def power_gradient(spectral_radius: float, lags: ArrayLike) -> Dataset:
    """Gradient of a linear recurrence of one mode, rho^lag: the law of vanishing and exploding.

        ln abs(d x_T / d x_(T-lag)) = lag ln rho;   time scale -1/ln rho (infinite where rho >= 1).

    Parameters
    ----------
    spectral_radius : float
        rho, per step, at least 0.
    lags : int or array_like of int
        Lags in steps, in the order given.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    ValueError
        Where rho is negative or not finite, and for lags that are not whole numbers of at least 0.

    References
    ----------
    Bengio, Simard and Frasconi (1994), IEEE Trans. Neural Netw. 5, 157.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.power_gradient(0.9, [0, 100])
    >>> f"{found.state_gradient.values[1]:.6e}", round(float(found.time_scale), 4)
    ('2.656140e-05', 9.4912)
    """
    rho, lags = number("spectral_radius", spectral_radius, least=0), lag_vector(lags)
    rate = np.log(rho) if rho else -np.inf
    growth = np.where(lags == 0, 0.0, rate * np.maximum(lags, 1))
    return gradient_report(
        lags,
        growth,
        title="gradient of a linear recurrence",
        source="Bengio, Simard and Frasconi (1994)",
        parameters={"spectral_radius": rho},
        time_scale=time_scale_entry(rate),
    )


@public
def linear_gradient(matrix: ArrayLike, lags: ArrayLike) -> Dataset:
    """Gradient of the linear network x' = M x over the lag.

    ln(norm(M^lag) / sqrt(N)) with the Frobenius norm, the root mean square singular value, from
    logarithms that cannot overflow. The time scale -1/ln rho(M) is the rate after any transient
    growth of a non-normal M.

    Parameters
    ----------
    matrix : array_like (N, N)
        M.
    lags : int or array_like of int
        Lags in steps, in the order given.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    ShapeError
        Where the matrix is not square.
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    Trefethen and Embree (2005), Spectra and Pseudospectra, section 16, for the transient.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.linear_gradient(np.diag([0.5, 0.5]), [0, 10, 5000])
    >>> np.round(found.log_state_gradient.values / np.log(2), 6).tolist()
    [0.0, -10.0, -5000.0]
    """
    matrix, lags = square_matrix(matrix), lag_vector(lags)
    order = np.argsort(lags)
    power, scale, at, growth = np.eye(len(matrix)), 0.0, 0, np.empty(lags.size)
    for index in order:
        step, step_scale = scaled_power(matrix, lags[index] - at)
        power, added = rescaled(power @ step)
        scale, at = scale + step_scale + added, lags[index]
        growth[index] = scale + _log(float(np.linalg.norm(power))) - 0.5 * np.log(len(matrix))
    rate = _log(np.abs(np.linalg.eigvals(matrix)).max())
    return gradient_report(
        lags,
        growth,
        title="gradient of a linear network",
        source="rms singular value of M^lag",
        parameters={"matrix": matrix},
        time_scale=time_scale_entry(rate),
    )


def scaled_power(matrix: np.ndarray, exponent: int) -> tuple[np.ndarray, float]:
    """M^exponent as (P, s), meaning P exp(s), by repeated squaring."""
    result, result_scale = np.eye(len(matrix)), 0.0
    base, base_scale = rescaled(matrix)
    while exponent:
        if exponent & 1:
            result, added = rescaled(result @ base)
            result_scale += base_scale + added
        base, added = rescaled(base @ base)
        base_scale, exponent = 2 * base_scale + added, exponent >> 1
    return result, result_scale


def rescaled(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """The matrix divided by its largest entry, and the logarithm of that entry."""
    size = np.abs(matrix).max()
    return (matrix / size, np.log(size)) if size > 0 else (matrix, 0.0)


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else -np.inf


@public
def linear_spectrum(matrix: ArrayLike, *, leak: float = 1.0) -> Dataset:
    """Lyapunov spectrum of the linear network x' = (1-d) x + d M x, from its eigenvalues mu.

        lambda_i = ln abs(1 - d + d mu_i) / d,

    sorted; d = 1 gives ln abs(mu_i). Per unit of time, one step lasting d. An orthogonal M has only
    zeros. It is also the spectrum of a tanh network at rest at the origin (no input, no bias,
    lambda_1 < 0).

    Parameters
    ----------
    matrix : array_like (N, N)
        M.
    leak : float, default 1.0
        Leak d in (0, 1].

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step or 1/time unit
            Lyapunov exponents, largest first.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/step or nats/time unit
            Sum of the positive exponents.
        eigenvalue_real : (exponent,), 1
            Real part of the eigenvalue of one step.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    ShapeError
        Where the matrix is not square.
    ValueError
        For a leak outside (0, 1].

    References
    ----------
    Oseledets (1968), Trans. Moscow Math. Soc. 19, 197, for a constant matrix.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.linear_spectrum(np.diag([0.8, 1.1])).lyapunov.values.round(6).tolist()
    [0.09531, -0.223144]
    """
    matrix, leak = square_matrix(matrix), number("leak", leak, above=0, most=1)
    values = 1 - leak + leak * np.linalg.eigvals(matrix)
    values = values[np.argsort(-np.abs(values), kind="stable")]
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(values)) / leak
    return lyapunov_report(
        exponents,
        title="spectrum of a linear network",
        source="Oseledets (1968)",
        parameters={"matrix": matrix, "leak": leak, "dt": leak},
        per="1/step" if leak == 1 else "1/time unit",
        **complex_parts(
            "eigenvalue", "exponent", values.astype(complex), "1", "eigenvalue of one step"
        ),
        time_scale=time_scale_entry(exponents[0], leak),
    )


@public
def gradient_bounds(sigma_max: float, lags: ArrayLike, nonlinearity: str = "tanh") -> Dataset:
    """Upper bound on the gradient of x' = phi(W x + ...), whatever the state and the input.

        norm(d x_T / d x_(T-lag)) <= (gamma sigma_max)^lag,   gamma = sup abs(phi')

    (1 for tanh, 1/4 for sigmoid): vanishing is certain where sigma_max < 1/gamma, and exploding
    needs sigma_max > 1/gamma.

    Parameters
    ----------
    sigma_max : float
        Largest singular value of W.
    lags : int or array_like of int
        Lags in steps, in the order given.
    nonlinearity : str, default "tanh"
        "identity", "relu", "tanh" or "sigmoid".

    Returns
    -------
    xarray.Dataset
        log_state_gradient_bound : (lag,), 1
            Upper bound on the logarithm of the norm of d x_T / d x_(T-lag).
        critical_sigma_max : (), 1
            Largest singular value below which gradients vanish.
        vanishing_certain : (), 1
            Whether gradients must vanish.

    Raises
    ------
    ValueError
        For another nonlinearity, a negative singular value, or lags that are not whole.

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), ICML, section 2.1.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.gradient_bounds(2.0, [0, 10], "sigmoid")
    >>> float(found.critical_sigma_max), bool(found.vanishing_certain)
    (4.0, True)
    >>> round(float(found.log_state_gradient_bound[1]), 6)
    -6.931472
    """
    slope = MAX_SLOPES[choice("nonlinearity", nonlinearity, MAX_SLOPES)]
    sigma, lags = number("sigma_max", sigma_max, least=0), lag_vector(lags)
    bound = np.where(lags == 0, 0.0, _log(slope * sigma) * np.maximum(lags, 1))
    return dataset(
        {
            "log_state_gradient_bound": (
                "lag",
                bound,
                "1",
                "upper bound on the logarithm of the norm of d x_T / d x_(T-lag)",
            ),
            "critical_sigma_max": (
                (),
                1.0 / slope,
                "1",
                "largest singular value below which gradients vanish",
            ),
            "vanishing_certain": ((), slope * sigma < 1, "1", "whether gradients must vanish"),
        },
        lag_coordinate(lags),
        title="bound on the gradient",
        source="Pascanu, Mikolov and Bengio (2013), section 2.1",
        parameters={"sigma_max": sigma, "nonlinearity": nonlinearity},
    )


@public
def isometry(units: int, lags: ArrayLike) -> Dataset:
    """Linear orthogonal network: every exponent 0, every singular value of every product 1.

    Parameters
    ----------
    units : int
        Number of units.
    lags : int or array_like of int
        Lags in steps, in the order given.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            Lyapunov exponents, largest first.
        lyapunov_error : (exponent,), 1/step
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/step
            Sum of the positive exponents.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.

    Raises
    ------
    ValueError
        For units or lags that are not whole numbers.

    References
    ----------
    Saxe, McClelland and Ganguli (2014), ICLR.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.isometry(3, [0, 1000])
    >>> found.lyapunov.values.tolist(), found.state_gradient.values.tolist()
    ([0.0, 0.0, 0.0], [1.0, 1.0])
    >>> float(found.time_scale)
    inf
    """
    units, lags = integer("units", units), lag_vector(lags)
    given: dict = {
        "title": "linear orthogonal network",
        "source": "Saxe, McClelland and Ganguli (2014)",
        "parameters": {"units": units},
    }
    gradient = gradient_report(lags, np.zeros(lags.size), **given)
    return lyapunov_report(np.zeros(units), time_scale=time_scale_entry(0.0), **given).merge(
        gradient
    )


@public
def gaussian_product_spectrum(units: int, gain: float = 1.0) -> Dataset:
    """Lyapunov spectrum of a product of independent Gaussian matrices, entries N(0, gain^2/N).

    At any N lambda_i = 1/2 [ln(2 g^2/N) + psi((N - i + 1)/2)], psi the digamma function; for large
    N 1/2 ln(g^2 (1 - i/N)), the triangle law.

    Parameters
    ----------
    units : int
        N.
    gain : float, default 1.0
        Gain g, above 0.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            Lyapunov exponents, largest first.
        lyapunov_error : (exponent,), 1/step
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/step
            Sum of the positive exponents.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    ValueError
        For units that are not a whole number of at least 1, or a gain that is not above 0.

    References
    ----------
    Newman (1986), Commun. Math. Phys. 103, 121.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.gaussian_product_spectrum(2).lyapunov.values.round(6).tolist()
    [-0.288608, -0.981755]
    """
    from scipy.special import digamma

    n, gain = integer("units", units), number("gain", gain, above=0)
    exponents = np.log(gain) + 0.5 * (np.log(2 / n) + digamma((n - np.arange(n)) / 2))
    return lyapunov_report(
        exponents,
        title="product of Gaussian matrices",
        source="Newman (1986), Commun. Math. Phys. 103, 121",
        parameters={"units": n, "gain": gain},
        time_scale=time_scale_entry(exponents[0]),
    )


@public
def circular_law_radius(standard_deviation: float, units: int) -> float:
    """Spectral radius of a large matrix of independent entries of mean 0: sd sqrt(N).

    Parameters
    ----------
    standard_deviation : float
        Standard deviation of an entry.
    units : int
        N; the law holds in the limit of many.

    Returns
    -------
    float
        The spectral radius.

    Raises
    ------
    ValueError
        For a negative standard deviation, or units that are not a whole number of at least 1.

    References
    ----------
    Girko (1984), Theory Probab. Appl. 29, 694; Tao and Vu (2010), Ann. Probab. 38, 2023.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.circular_law_radius(0.1, 100)
    1.0
    """
    sd = number("standard_deviation", standard_deviation, least=0)
    return sd * float(np.sqrt(integer("units", units)))
