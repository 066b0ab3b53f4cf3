"""Mean field of the tanh network x_t = tanh(a_t), a_t = W x_(t-1) + V u_t + b, in the limit of many units.

Each a_i is Gaussian with variance q. gain: W_ij ~ N(0, gain^2/N); bias_sd: b_i ~ N(0, bias_sd^2); input_sd: the standard deviation of (V u)_i,
with inputs independent from step to step and so many, or so mixed, that it is the same at every step.
"""

import numpy as np

from . import gaussian
from .checks import count, finite, lag_axis, leak_rate, not_negative
from .reports import gradient_report, horizon_entry, lyapunov_report

SOURCES = {
    "chaos": "Sompolinsky, Crisanti and Sommers (1988); Engelken, Wolf and Abbott (2023)",
    "line": "Schoenholz et al. (2017); Poole et al. (2016)",
    "orthogonal": "Pennington, Schoenholz and Ganguli (2017); Kargin (2008) for products",
}


def tanh_variance(gain, bias_sd=0.0, input_sd=0.0) -> float:
    """Variance q of a unit's input in the stationary state, the stable root of

    q = gain^2 E[tanh(sqrt(q) z)^2] + bias_sd^2 + input_sd^2,  z ~ N(0, 1).

    Undriven and without bias it is 0 up to gain 1, the onset of chaos, and the positive root above.
    Raises ValueError where a number is negative or not finite, or the gain so large that every unit saturates.
    Source: Sompolinsky, Crisanti and Sommers (1988); Poole et al. (2016), eq. 3.

    >>> tanh_variance(0.9), round(tanh_variance(3.0), 6)
    (0.0, 6.305391)
    """
    gain = not_negative("gain", gain)
    constant = not_negative("bias_sd", bias_sd) ** 2 + not_negative("input_sd", input_sd) ** 2
    if constant == 0 and gain <= 1:
        return 0.0
    # E tanh^2 >= q - 2 q^2 puts the undriven root above (1 - 1/g^2)/2
    low = constant if constant else 0.25 * (1 - gain**-2)
    return _root(lambda q: gain**2 * gaussian.mean(lambda x: np.tanh(x) ** 2, q) + constant - q, low, gain**2 + constant)


def tanh_susceptibility(gain, variance) -> float:
    """Mean squared growth of a small difference per step, chi = gain^2 E[sech(sqrt(q) z)^4]; lambda_1 = 1/2 ln chi.

    Source: Schoenholz et al. (2017), eq. 5.

    >>> round(0.5 * np.log(tanh_susceptibility(3.0, tanh_variance(3.0))), 8)
    0.31024932
    """
    return not_negative("gain", gain) ** 2 * _sech4(not_negative("variance", variance))


def tanh_spectrum(gain, bias_sd=0.0, input_sd=0.0, *, leak=1.0, units=None):
    """Lyapunov exponents of the random tanh network x' = (1-d) x + d tanh(W x + V u + b), N to infinity, per unit time (a step lasts d).

    d = 1: lambda_1 = 1/2 ln chi, and the whole spectrum at the fraction i/N = x of its index is
        lambda(x) = 1/2 ln(gain^2 tau x),  E[D/(tau + D)] = x,  D = sech(sqrt(q) z)^4.
    It follows because the volume of a frame of k = x N vectors grows each step by det(Z^T D Z)^(1/2) with Z Gaussian, whose resolvent is
    deterministic for large N; D = 1 gives Newman's triangle law. 0 < d < 1 and d = 0 (continuous time): lambda_1 from the two-time mean field.

    gain, bias_sd, input_sd: standard deviations, see the module; leak d; units: N, for the N exponents at x = (i - 1/2)/N (d = 1 only).
    Returns lyapunov(exponent), field_variance q, susceptibility chi, horizon (steps); for d = 1 also mean_exponent and, as densities per unit,
    kaplan_yorke_density and entropy_density. Raises ValueError for a negative or overflowing parameter.
    Holds where frames forget the weights, checked with tied weights at N = 400 within 0.005 (d = 1).
    Source: Sompolinsky, Crisanti and Sommers (1988); Engelken, Wolf and Abbott (2023); Newman (1986); Kargin (2008).

    >>> d = tanh_spectrum(3.0)
    >>> round(d.lyapunov.item(), 8), round(d.mean_exponent.item(), 6), round(d.kaplan_yorke_density.item(), 4)
    (0.31024932, -2.272805, 0.2867)
    """
    leak = leak_rate(leak)
    parameters = {"gain": float(gain), "bias_sd": float(bias_sd), "input_sd": float(input_sd), "leak": leak, "units": units}
    given = {"title": "mean field of the random tanh network", "source": SOURCES["chaos"], "parameters": parameters}
    if leak < 1:
        if units is not None:
            raise ValueError(f"units = {units} with leak = {leak}: beyond leak 1 theory knows only the first exponent, leave units out")
        from .leaky import leaky_exponent

        found = leaky_exponent(gain, bias_sd, input_sd, leak)
        found["horizon"] = horizon_entry(found["lyapunov"], leak or 1.0)
        return lyapunov_report(found.pop("lyapunov"), partial=True, **found, **given)
    q = tanh_variance(gain, bias_sd, input_sd)
    return _step_spectrum(float(gain), q, gaussian_weights(float(gain)), units, given)


def orthogonal_tanh_spectrum(input_sd=0.0, bias_sd=0.0, *, units=None):
    """Lyapunov exponents of x' = tanh(O x + V u + b) with O a random orthogonal matrix, N to infinity, per step.

    lambda_1 = 1/2 ln E[sech(sqrt(q) z)^4],  q = E[tanh(sqrt(q) z)^2] + input_sd^2 + bias_sd^2;  undriven: 0, forgetting is a power law
    (see ``orthogonal_tanh_gradient``). Whole spectrum: lambda(x) = 1/2 ln(tau x/(1-x)), tau as for ``tanh_spectrum``: the volume of a frame
    under D O, from the free compression of D. Saturation, not the weights, makes an orthogonal tanh network forget.

    Returns as ``tanh_spectrum``. Source: Pennington, Schoenholz and Ganguli (2017); Nica and Speicher (1996) for the compression.

    >>> [round(orthogonal_tanh_spectrum(s).lyapunov.item(), 4) for s in (0.1, 0.5, 1.0)]
    [-0.0661, -0.2725, -0.4595]
    """
    q = tanh_variance(1.0, bias_sd, input_sd)
    parameters = {"input_sd": float(input_sd), "bias_sd": float(bias_sd), "units": units}
    given = {"title": "mean field of the orthogonal tanh network", "source": SOURCES["orthogonal"], "parameters": parameters}
    return _step_spectrum(1.0, q, orthogonal_weights, units, given)


def gaussian_weights(gain):
    """Logarithm of the growth that Gaussian weights add at the fraction x of the spectrum, ln(gain sqrt(1-x))."""
    return lambda x: np.log(gain) + 0.5 * np.log1p(-x) if gain else np.full(np.shape(x), -np.inf)


def orthogonal_weights(x):
    """Orthogonal weights turn and do not stretch: 0 at every fraction of the spectrum."""
    return np.zeros_like(x)


def _step_spectrum(gain, q, weights, units, given):
    """Report of the d = 1 spectrum from the variance q and the growth that the weights add."""
    first = np.log(gain) + 0.5 * np.log(_sech4(q)) if gain else -np.inf
    made = {
        "field_variance": ((), q, "1", "variance of a unit's input"),
        "susceptibility": ((), gain**2 * _sech4(q), "1", "mean squared growth of a difference per step"),
        "horizon": horizon_entry(first),
        **densities(q, weights),
    }
    if units is None:
        return lyapunov_report(first, partial=True, **made, **given)
    n = count("units", units)
    return lyapunov_report(spectrum_at((np.arange(n) + 0.5) / n, q, weights), **made, **given)


def spectrum_at(fractions, q, weights):
    """Exponents lambda(x) at fractions x in (0, 1) of the spectrum: 1/2 ln(tau x/(1-x)) + weights(x), E[D/(tau + D)] = x."""
    from scipy.optimize import brentq

    nodes, mass = gaussian.nodes(q)
    log_d = 2.0 * gaussian.log_sech2(nodes)
    span = log_d.min() - 1.0, log_d.max() + 1.0

    def exponent(x):
        odds = np.log(x / (1 - x))
        log_tau = brentq(lambda t: mass @ _logistic(log_d - t) - x, span[0] - odds, span[1] - odds, xtol=1e-13)
        return 0.5 * (log_tau + odds)

    fractions = np.asarray(fractions, float)
    return np.array([exponent(x) for x in fractions]) + weights(fractions)


def densities(q, weights):
    """Mean exponent, Kaplan-Yorke dimension and entropy rate per unit, as variables.

    Mean exponent: E[ln sech^2] + the mean of weights(x), which is ln gain - 1/2 for Gaussian weights.
    """
    nodes, mass = np.polynomial.legendre.leggauss(48)
    middle = lambda a, b: (0.5 * (a + b) + 0.5 * (b - a) * nodes, 0.5 * (b - a) * mass)  # noqa: E731
    integral = lambda a, b: float(middle(a, b)[1] @ spectrum_at(middle(a, b)[0], q, weights))  # noqa: E731
    last = float(weights(np.array(0.5))) - float(gaussian_weights(1.0)(np.array(0.5)))
    average = gaussian.mean(gaussian.log_sech2, q) + float(weights(np.zeros(1))[0]) - (0.0 if weights is orthogonal_weights else 0.5)
    dimension, entropy = _attractor(lambda x: float(spectrum_at([x], q, weights)[0]), integral, average)
    del last
    return {
        "mean_exponent": ((), average, "nat per unit time", "mean of all exponents"),
        "kaplan_yorke_density": ((), dimension, "1", "Kaplan-Yorke dimension per unit"),
        "entropy_density": ((), entropy, "nat per unit time", "sum of the positive exponents per unit"),
    }
