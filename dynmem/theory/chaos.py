"""Exponents of chaotic maps and flows that are known on paper."""

import math

import numpy as np

from .checks import positive
from .linear import linear_spectrum
from .results import lyapunov_report


def standard_map_spectrum(kick):
    """Exponents of the standard map at strong kicks K: +-ln(K/2), per step.

    The tangent stretches by |K cos x| on average over a uniform phase x: E[ln|K cos x|] = ln(K/2).
    Corrections fall as 1/K^2; islands of regular motion, whatever their size, are left out. kick:
    K, at least 4 for the law to hold within a few per cent. Returns lyapunov(exponent). Raises
    ValueError for K that is not positive. Source: Chirikov (1979), Phys. Rep. 52, 263, section 5.3.

    >>> standard_map_spectrum(20.0).lyapunov.values.round(4).tolist()
    [2.3026, -2.3026]
    """
    first = math.log(positive("kick", kick) / 2)
    return lyapunov_report(
        [first, -first],
        title="standard map at strong kicks",
        source="Chirikov (1979), Phys. Rep. 52, 263",
        parameters={"kick": float(kick)},
    )


def kaplan_yorke_map_spectrum(contraction=0.2):
    """Exponents of the Kaplan-Yorke map x' = 2 x mod 1, y' = alpha y + cos 4 pi x: ln 2 and ln
    alpha; dimension 1 + ln 2 / ln(1/alpha).

    contraction: alpha in (0, 1). Returns lyapunov(exponent), kaplan_yorke_dimension. Source: Kaplan
    and Yorke (1979), Lect. Notes Math. 730, 204.

    >>> round(float(kaplan_yorke_map_spectrum(0.2).kaplan_yorke_dimension), 7)
    1.4306766
    """
    alpha = positive("contraction", contraction)
    if alpha >= 1:
        raise ValueError(
            f"contraction = {alpha}: must lie between 0 and 1, or the map does not contract"
        )
    return lyapunov_report(
        [math.log(2), math.log(alpha)],
        title="Kaplan-Yorke map",
        source="Kaplan and Yorke (1979), Lect. Notes Math. 730, 204",
        parameters={"contraction": alpha},
    )


def toral_spectrum(matrix):
    """Exponents of x' = M x mod 1: ln|mu_i| over the eigenvalues of M, per step. Source: Arnold and
    Avez (1968).

    >>> toral_spectrum([[2, 1], [1, 1]]).lyapunov.values.round(7).tolist()
    [0.9624237, -0.9624237]
    """
    return linear_spectrum(np.asarray(matrix, dtype=float))


def lorenz_onset(sigma=10.0, beta=8.0 / 3.0) -> float:
    """Rayleigh parameter rho_H at which the fixed points C+- of Lorenz's equations lose their
    stability in a Hopf bifurcation.

    rho_H = sigma (sigma + beta + 3)/(sigma - beta - 1), for sigma > beta + 1; inf otherwise: they
    stay stable. Source: Lorenz (1963), eq. 33.

    >>> round(lorenz_onset(), 4)
    24.7368
    """
    sigma, beta = positive("sigma", sigma), positive("beta", beta)
    return sigma * (sigma + beta + 3) / (sigma - beta - 1) if sigma > beta + 1 else math.inf


def lorenz_rest_spectrum(sigma=10.0, rho=20.0, beta=8.0 / 3.0):
    """Exponents of Lorenz's equations at rest: the real parts of the eigenvalues at the stable
    fixed point, 0 for rho < 1, C+- above.

    At C+-, s^3 + (sigma + beta + 1) s^2 + beta (sigma + rho) s + 2 sigma beta (rho - 1) = 0. Raises
    ValueError above ``lorenz_onset``, where nothing rests. Source: Lorenz (1963), J. Atmos. Sci.
    20, 130.

    >>> round(float(lorenz_rest_spectrum(rho=20.0).lyapunov[0]), 7)
    -0.1547918
    """
    if rho >= lorenz_onset(sigma, beta):
        raise ValueError(
            f"rho = {rho} is above the onset {lorenz_onset(sigma, beta):.4f}: "
            "measure the exponents with dm.lyapunov_spectrum"
        )
    if rho < 1:
        roots = [-beta, *np.roots([1.0, sigma + 1.0, sigma * (1.0 - rho)])]
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
