"""Linear networks and their limits: powers, products of random matrices, bounds on the gradient."""

import numpy as np

from .checks import count, lag_axis, not_negative, positive, square_matrix
from .results import gradient_report, horizon_entry, lyapunov_report

# the largest derivative of each nonlinearity
SLOPE = {"identity": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}


def power_gradient(spectral_radius, lags):
    """Gradient of a linear recurrence of one mode, rho^lag: the law of vanishing and exploding.

    ln |d x_T / d x_(T-lag)| = lag ln rho;  memory horizon -1/ln rho (infinite where rho >= 1).

    spectral_radius: rho >= 0, per step; lags: whole numbers of steps. Returns
    log_state_gradient(lag), state_gradient(lag), horizon. Raises ValueError where rho is negative
    or not finite. Source: Bengio, Simard and Frasconi (1994).

    >>> d = power_gradient(0.9, [0, 100])
    >>> d.state_gradient.values.tolist()[0], f"{d.state_gradient.values[1]:.6e}", round(float(d.horizon), 4)
    (1.0, '2.656140e-05', 9.4912)
    """
    rho, lags = not_negative("spectral_radius", spectral_radius), lag_axis(lags)
    rate = np.log(rho) if rho else -np.inf
    growth = np.where(lags == 0, 0.0, rate * np.maximum(lags, 1))
    return gradient_report(
        lags,
        growth,
        title="gradient of a linear recurrence",
        source="Bengio, Simard and Frasconi (1994)",
        parameters={"spectral_radius": rho},
        horizon=horizon_entry(rate),
    )


def linear_gradient(matrix, lags):
    """Gradient of the linear network x' = M x: the root mean square singular value of M^lag, from
    logarithms that cannot overflow.

    ln(||M^lag||_F / sqrt N);  memory horizon -1/ln rho(M), the rate after any transient growth of a
    non-normal M.

    matrix: (N, N); lags: whole numbers of steps. Returns log_state_gradient(lag),
    state_gradient(lag), horizon (steps). Raises ShapeError where the matrix is not square. Source:
    definition; Trefethen and Embree (2005) for the transient.

    >>> d = linear_gradient(np.diag([0.5, 0.5]), [0, 10, 5000])
    >>> np.round(d.log_state_gradient.values / np.log(2), 6).tolist()
    [0.0, -10.0, -5000.0]
    """
    matrix, lags = square_matrix(matrix), lag_axis(lags)
    order = np.argsort(lags)
    power, scale, at, growth = np.eye(len(matrix)), 0.0, 0, np.empty(lags.size)
    for index in order:
        step, step_scale = scaled_power(matrix, lags[index] - at)
        power, added = rescaled(power @ step)
        scale, at = scale + step_scale + added, lags[index]
        growth[index] = scale + _log(np.linalg.norm(power)) - 0.5 * np.log(len(matrix))
    rate = _log(np.abs(np.linalg.eigvals(matrix)).max())
    return gradient_report(
        lags,
        growth,
        title="gradient of a linear network",
        source="rms singular value of M^lag",
        parameters={"matrix": matrix},
        horizon=horizon_entry(rate),
    )


def scaled_power(matrix, exponent):
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


def rescaled(matrix):
    """The matrix divided by its largest entry, and the logarithm of that entry."""
    size = np.abs(matrix).max()
    return (matrix / size, np.log(size)) if size > 0 else (matrix, 0.0)


def _log(value):
    return float(np.log(value)) if value > 0 else -np.inf


def linear_spectrum(matrix, *, leak=1.0):
    """Lyapunov spectrum of the linear network x' = (1-d) x + d M x, from its eigenvalues mu.

    lambda_i = ln |1 - d + d mu_i| / d, sorted; d = 1 gives ln |mu_i|. Per unit time, one step
    lasting d. An orthogonal M has only zeros.

    matrix: (N, N); leak d in (0, 1]. Returns lyapunov(exponent), eigenvalue(exponent),
    kaplan_yorke_dimension, entropy_rate, horizon. Raises ShapeError where the matrix is not square.
    It is also the spectrum of a tanh network at rest at the origin (no input, no bias, lambda_1 <
    0). Source: Oseledets (1968) for a constant matrix.

    >>> np.round(linear_spectrum(np.diag([0.8, 1.1])).lyapunov.values, 6).tolist()
    [0.09531, -0.223144]
    """
    matrix, leak = square_matrix(matrix), positive("leak", leak)
    if leak > 1:
        raise ValueError(f"leak = {leak}: pass a number in (0, 1]")
    values = 1 - leak + leak * np.linalg.eigvals(matrix)
    values = values[np.argsort(-np.abs(values), kind="stable")]
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(values)) / leak
    return lyapunov_report(
        exponents,
        title="spectrum of a linear network",
        source="Oseledets (1968)",
        parameters={"matrix": matrix, "leak": leak},
        per="1/step" if leak == 1 else "1/time unit",
        eigenvalue=("exponent", values.astype(complex), "1", "eigenvalue of one step"),
        horizon=horizon_entry(exponents[0], leak),
    )


def gradient_bounds(sigma_max, lags, nonlinearity="tanh"):
    """Upper bound on the gradient of x' = phi(W x + ...), whatever the state and the input.

    ||d x_T / d x_(T-lag)|| <= (gamma sigma_max)^lag, gamma = sup |phi'| (1 for tanh, 1/4 for sigmoid): vanishing is certain where
    sigma_max < 1/gamma, and exploding needs sigma_max > 1/gamma.

    sigma_max: largest singular value of W; lags: steps; nonlinearity: identity, relu, tanh or
    sigmoid. Returns log_state_gradient_bound(lag), critical_sigma_max, vanishing_certain. Source:
    Pascanu, Mikolov and Bengio (2013), section 2.1.

    >>> d = gradient_bounds(2.0, [0, 10], "sigmoid")
    >>> float(d.critical_sigma_max), bool(d.vanishing_certain), round(float(d.log_state_gradient_bound[1]), 6)
    (4.0, True, -6.931472)
    """
    from ..labels import dataset

    if nonlinearity not in SLOPE:
        raise ValueError(
            f"nonlinearity = {nonlinearity!r}: choose one of {', '.join(sorted(SLOPE))}"
        )
    sigma, lags, slope = not_negative("sigma_max", sigma_max), lag_axis(lags), SLOPE[nonlinearity]
    bound = np.where(lags == 0, 0.0, _log(slope * sigma) * np.maximum(lags, 1))
    return dataset(
        {
            "log_state_gradient_bound": (
                "lag",
                bound,
                "nat",
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
        {"lag": ("lag", lags, "step", "lag")},
        title="bound on the gradient",
        source="Pascanu, Mikolov and Bengio (2013), section 2.1",
        parameters={"sigma_max": sigma, "nonlinearity": nonlinearity},
    )


def isometry(units, lags):
    """Linear orthogonal network: every exponent 0, every singular value of every product 1, an
    endless memory.

    Returns lyapunov(exponent), log_state_gradient(lag) = 0, horizon = inf. Source: Saxe, McClelland
    and Ganguli (2014).

    >>> d = isometry(3, [0, 1000])
    >>> d.lyapunov.values.tolist(), d.state_gradient.values.tolist(), float(d.horizon)
    ([0.0, 0.0, 0.0], [1.0, 1.0], inf)
    """
    units, lags = count("units", units), lag_axis(lags)
    given = {
        "title": "linear orthogonal network",
        "source": "Saxe, McClelland and Ganguli (2014)",
        "parameters": {"units": units},
    }
    gradient = gradient_report(lags, np.zeros(lags.size), **given)
    return lyapunov_report(np.zeros(units), horizon=horizon_entry(0.0), **given).merge(gradient)


def gaussian_product_spectrum(units, gain=1.0):
    """Lyapunov spectrum of a product of independent Gaussian matrices, entries N(0, gain^2/N), at
    any N.

    lambda_i = 1/2 [ln(2 g^2/N) + psi((N - i + 1)/2)], psi the digamma function; for large N 1/2
    ln(g^2 (1 - i/N)), the triangle law.

    Returns lyapunov(exponent), kaplan_yorke_dimension, entropy_rate, horizon. Source: Newman
    (1986), Commun. Math. Phys. 103, 121.

    >>> np.round(gaussian_product_spectrum(2).lyapunov.values, 6).tolist()
    [-0.288608, -0.981755]
    """
    from scipy.special import digamma

    n, gain = count("units", units), positive("gain", gain)
    exponents = np.log(gain) + 0.5 * (np.log(2 / n) + digamma((n - np.arange(n)) / 2))
    return lyapunov_report(
        exponents,
        title="product of Gaussian matrices",
        source="Newman (1986), Commun. Math. Phys. 103, 121",
        parameters={"units": n, "gain": gain},
        horizon=horizon_entry(exponents[0]),
    )


def circular_law_radius(standard_deviation, units) -> float:
    """Spectral radius of a large matrix of independent entries of mean 0: sd sqrt(N), in the limit
    of many units.

    Source: Girko (1984); Tao and Vu (2010).

    >>> circular_law_radius(0.1, 100)
    1.0
    """
    return not_negative("standard_deviation", standard_deviation) * float(
        np.sqrt(count("units", units))
    )
