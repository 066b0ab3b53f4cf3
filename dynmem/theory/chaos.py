"""Exponents of chaotic maps and flows that are known in closed form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.validation import number, public
from ..typing import ArrayLike
from .linear import linear_spectrum
from .results import lyapunov_report

if TYPE_CHECKING:
    from xarray import Dataset


@public
def standard_map_spectrum(kick: float) -> Dataset:
    """Exponents of the standard map at strong kicks K: +-ln(K/2), per step.

    The tangent stretches by abs(K cos x) on average over a uniform phase x:
    E[ln abs(K cos x)] = ln(K/2). Corrections fall as 1/K^2; islands of regular motion, whatever
    their size, are left out.

    Parameters
    ----------
    kick : float
        K, at least 4 for the law to hold within a few per cent.

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

    Raises
    ------
    ValueError
        For K that is not above 0.

    References
    ----------
    Chirikov (1979), Phys. Rep. 52, 263, section 5.3.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.standard_map_spectrum(20.0).lyapunov.values.round(4).tolist()
    [2.3026, -2.3026]
    """
    first = math.log(number("kick", kick, above=0) / 2)
    return lyapunov_report(
        [first, -first],
        title="standard map at strong kicks",
        source="Chirikov (1979), Phys. Rep. 52, 263",
        parameters={"kick": float(kick)},
    )


@public
def kaplan_yorke_map_spectrum(contraction: float = 0.2) -> Dataset:
    """Exponents of the Kaplan-Yorke map: ln 2 and ln alpha.

    x' = 2 x mod 1, y' = alpha y + cos 4 pi x; the dimension is 1 + ln 2 / ln(1/alpha).

    Parameters
    ----------
    contraction : float, default 0.2
        alpha, strictly between 0 and 1.

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

    Raises
    ------
    ValueError
        Outside (0, 1), where the map does not contract.

    References
    ----------
    Kaplan and Yorke (1979), Lect. Notes Math. 730, 204.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.theory.kaplan_yorke_map_spectrum(0.2).kaplan_yorke_dimension), 7)
    1.4306766
    """
    alpha = number("contraction", contraction, above=0, below=1)
    return lyapunov_report(
        [math.log(2), math.log(alpha)],
        title="Kaplan-Yorke map",
        source="Kaplan and Yorke (1979), Lect. Notes Math. 730, 204",
        parameters={"contraction": alpha},
    )


@public
def toral_spectrum(matrix: ArrayLike) -> Dataset:
    """Exponents of x' = M x mod 1: ln abs(mu_i) over the eigenvalues of M, per step.

    Parameters
    ----------
    matrix : array_like (N, N)
        M.

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

    References
    ----------
    Arnold and Avez (1968), Ergodic Problems of Classical Mechanics, section 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.toral_spectrum([[2, 1], [1, 1]]).lyapunov.values.round(7).tolist()
    [0.9624237, -0.9624237]
    """
    return linear_spectrum(matrix)


@public
def lorenz_onset(sigma: float = 10.0, beta: float = 8.0 / 3.0) -> float:
    """Rayleigh parameter at which the fixed points C+- of Lorenz's equations lose their stability.

        rho_H = sigma (sigma + beta + 3)/(sigma - beta - 1)   for sigma > beta + 1,

    a Hopf bifurcation; infinite otherwise: they stay stable.

    Parameters
    ----------
    sigma : float, default 10.0
        Prandtl number.
    beta : float, default 8/3
        Geometric factor.

    Returns
    -------
    float
        rho_H.

    Raises
    ------
    ValueError
        For parameters that are not above 0.

    References
    ----------
    Lorenz (1963), J. Atmos. Sci. 20, 130, eq. 33.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(dm.theory.lorenz_onset(), 4)
    24.7368
    """
    sigma, beta = number("sigma", sigma, above=0), number("beta", beta, above=0)
    return sigma * (sigma + beta + 3) / (sigma - beta - 1) if sigma > beta + 1 else math.inf


@public
def lorenz_rest_spectrum(
    sigma: float = 10.0, rho: float = 20.0, beta: float = 8.0 / 3.0
) -> Dataset:
    """Exponents of Lorenz's equations at rest: the real parts of the eigenvalues there.

    The stable fixed point is 0 for rho < 1, C+- above, where
    s^3 + (sigma + beta + 1) s^2 + beta (sigma + rho) s + 2 sigma beta (rho - 1) = 0.

    Parameters
    ----------
    sigma : float, default 10.0
        Prandtl number.
    rho : float, default 20.0
        Rayleigh parameter.
    beta : float, default 8/3
        Geometric factor.

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

    Raises
    ------
    ValueError
        From ``lorenz_onset`` on, where no fixed point is stable.

    References
    ----------
    Lorenz (1963), J. Atmos. Sci. 20, 130.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.theory.lorenz_rest_spectrum(rho=20.0).lyapunov[0]), 7)
    -0.1547918
    """
    rho = number("rho", rho)
    if rho >= lorenz_onset(sigma, beta):
        raise ValueError(
            f"rho = {rho}: must be below the onset of {lorenz_onset(sigma, beta):.4f}; beyond it "
            "measure the exponents with dm.lyapunov_spectrum"
        )
    if rho < 1:
        rest = np.roots([1.0, sigma + 1.0, sigma * (1.0 - rho)])
        roots = np.concatenate(([-beta], rest))
    else:
        roots = np.roots(
            [1.0, sigma + beta + 1.0, beta * (sigma + rho), 2.0 * sigma * beta * (rho - 1.0)]
        )
    return lyapunov_report(
        np.sort(np.real(roots))[::-1],
        title="Lorenz's equations at rest",
        source="Lorenz (1963), J. Atmos. Sci. 20, 130",
        parameters={"sigma": sigma, "rho": rho, "beta": beta},
        per="1/time unit",
    )
