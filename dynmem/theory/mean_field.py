"""Mean field of the tanh network x_t = tanh(a_t), a_t = W x_(t-1) + V u_t + b, in the limit of many
units.

Each a_i is Gaussian with variance q. gain: W_ij ~ N(0, gain^2/N); bias_sd: b_i ~ N(0, bias_sd^2);
input_sd: the standard deviation of (V u)_i, with inputs independent from step to step and so many
that it is the same at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from ..analysis.gradients.window import lag_vector
from ..labels import dataset, step_length
from ..runtime.validation import integer, number, public
from ..typing import ArrayLike
from . import gaussian
from .checks import below_saturation, extended_real, leak_rate, vector
from .leaky import leaky_exponent
from .results import (
    FINITE_SIZE_SCATTER,
    gradient_report,
    lyapunov_report,
    time_scale_entry,
)
from .tanh_moments import (
    constant_variance,
    mean_sech4,
    positive_root,
    tanh_susceptibility,
    tanh_variance,
)

if TYPE_CHECKING:
    from xarray import Dataset

SOURCES = {
    "chaos": "Sompolinsky, Crisanti and Sommers (1988); Engelken, Wolf and Abbott (2023)",
    "line": "Schoenholz et al. (2017); Poole et al. (2016)",
    "orthogonal": "Pennington, Schoenholz and Ganguli (2017); Kargin (2008) for products",
}


@public
def tanh_spectrum(
    gain: float,
    bias_sd: float = 0.0,
    input_sd: float = 0.0,
    *,
    leak: float = 1.0,
    units: int | None = None,
) -> Dataset:
    """Lyapunov exponents of the random tanh network x' = (1-d) x + d tanh(W x + V u + b).

    N to infinity, per unit of time (a step lasts d). At d = 1 lambda_1 = 1/2 ln chi, and the whole
    spectrum at the fraction i/N = x of its index is

        lambda(x) = 1/2 ln(gain^2 tau x),   E[D/(tau + D)] = x,   D = sech(sqrt(q) z)^4.

    It follows because the volume of a frame of k = x N vectors grows each step by
    det(Z^T D Z)^(1/2) with Z Gaussian, whose resolvent is deterministic for large N; D = 1 gives
    Newman's triangle law. For 0 < d < 1 and d = 0 (continuous time) lambda_1 alone is known.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N).
    bias_sd : float, default 0.0
        Standard deviation of the biases.
    input_sd : float, default 0.0
        Standard deviation of the input (V u)_i of a unit.
    leak : float, default 1.0
        Leak d in [0, 1].
    units : int, optional
        N, for the N exponents at x = (i - 1/2)/N; d = 1 only.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step or 1/time unit
            Lyapunov exponents, largest first; the first alone without ``units``.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            0.
        lyapunov_scatter : (exponent,), 1/step or 1/time unit
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension, NaN where one exponent does not settle it.
        entropy_rate : (), nats/step or nats/time unit
            Sum of the positive exponents, NaN where not known.
        field_variance : (), 1
            Variance q of a unit's input.
        susceptibility : (), 1
            Mean squared growth chi of a difference per step [optional].
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0; in time units at d = 0.
        mean_exponent : (), nats/step
            Mean of all exponents [optional].
        kaplan_yorke_density : (), 1
            Kaplan-Yorke dimension per unit [optional].
        entropy_density : (), nats/step
            Sum of the positive exponents per unit [optional].

    Raises
    ------
    ValueError
        For a parameter that is negative or so large that every unit saturates, and for ``units``
        with a leak below 1.

    Notes
    -----
    Checked against networks of 400 units with fixed weights: whole spectrum within 0.015 for the
    upper quarter and 3 % below, with bias and drive (d = 1); lambda_1 within 0.03 at d < 1,
    N = 500, mostly above the measurement: finite size lowers it.

    References
    ----------
    Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259; Engelken, Wolf and Abbott
    (2023), Phys. Rev. Research 5, 043044; Newman (1986), Commun. Math. Phys. 103, 121; Kargin
    (2008), Probab. Theory Relat. Fields 140, 297.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.tanh_spectrum(3.0)
    >>> round(found.lyapunov.item(), 8), round(found.mean_exponent.item(), 6)
    (0.31024932, -2.272805)
    >>> round(found.kaplan_yorke_density.item(), 4)
    0.2877
    """
    leak, gain = leak_rate(leak), below_saturation("gain", gain)
    bias_sd = below_saturation("bias_sd", bias_sd)
    input_sd = below_saturation("input_sd", input_sd)
    parameters = {
        "gain": gain,
        "bias_sd": bias_sd,
        "input_sd": input_sd,
        "leak": leak,
        "dt": leak or None,
        "units": units,
    }
    given: dict = {
        "title": "mean field of the random tanh network",
        "source": SOURCES["chaos"],
        "parameters": parameters,
        "scatter": FINITE_SIZE_SCATTER,
    }
    if leak < 1:
        if units is not None:
            raise ValueError(
                f"units = {units} with leak = {leak}: only the first exponent is known, "
                "leave units out"
            )
        found = leaky_exponent(gain, bias_sd, input_sd, leak)
        # in units of time where time is continuous
        found["time_scale"] = time_scale_entry(found["lyapunov"], leak or None)
        return lyapunov_report(
            found.pop("lyapunov"), partial=True, per="1/time unit", **found, **given
        )
    return _step_spectrum(tanh_variance(gain, bias_sd, input_sd), gain, False, units, given)


@public
def orthogonal_tanh_spectrum(
    input_sd: float = 0.0, bias_sd: float = 0.0, *, units: int | None = None
) -> Dataset:
    """Lyapunov exponents of x' = tanh(O x + V u + b) with O a random orthogonal matrix, per step.

    N to infinity:

        lambda_1 = 1/2 ln E[sech(sqrt(q) z)^4],
        q = E[tanh(sqrt(q) z)^2] + input_sd^2 + bias_sd^2;

    undriven 0, and forgetting is a power law (see ``orthogonal_tanh_gradient``). Whole spectrum:
    lambda(x) = 1/2 ln(tau x/(1-x)), tau as for ``tanh_spectrum``: the volume of a frame under D O,
    from the free compression of D. Saturation, not the weights, makes an orthogonal tanh network
    forget.

    Parameters
    ----------
    input_sd : float, default 0.0
        Standard deviation of the input (V u)_i of a unit.
    bias_sd : float, default 0.0
        Standard deviation of the biases.
    units : int, optional
        N, for the N exponents at x = (i - 1/2)/N.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            Lyapunov exponents, largest first; the first alone without ``units``.
        lyapunov_error : (exponent,), 1/step
            0.
        lyapunov_scatter : (exponent,), 1/step
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension, NaN where one exponent does not settle it.
        entropy_rate : (), nats/step
            Sum of the positive exponents, NaN where not known.
        field_variance : (), 1
            Variance q of a unit's input.
        susceptibility : (), 1
            Mean squared growth chi of a difference per step.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        mean_exponent : (), nats/step
            Mean of all exponents.
        kaplan_yorke_density : (), 1
            Kaplan-Yorke dimension per unit.
        entropy_density : (), nats/step
            Sum of the positive exponents per unit.

    Raises
    ------
    ValueError
        For a parameter that is negative or so large that every unit saturates.

    References
    ----------
    Pennington, Schoenholz and Ganguli (2017), NeurIPS 30; Nica and Speicher (1996), Am. J. Math.
    118, 799, for the compression.

    Examples
    --------
    >>> import dynmem as dm
    >>> [round(dm.theory.orthogonal_tanh_spectrum(s).lyapunov.item(), 4) for s in (0.1, 0.5, 1.0)]
    [-0.0661, -0.2725, -0.4595]
    """
    q = tanh_variance(1.0, bias_sd, input_sd)
    parameters = {"input_sd": float(input_sd), "bias_sd": float(bias_sd), "units": units}
    given: dict = {
        "title": "mean field of the orthogonal tanh network",
        "source": SOURCES["orthogonal"],
        "parameters": parameters,
        "scatter": FINITE_SIZE_SCATTER,
    }
    return _step_spectrum(q, 1.0, True, units, given)


def _step_spectrum(
    q: float, gain: float, orthogonal: bool, units: int | None, given: dict
) -> Dataset:
    """Report of the spectrum of one step D W from the variance q of the units' input."""
    n = None if units is None else integer("units", units)
    chi = tanh_susceptibility(gain, q)
    first = 0.5 * np.log(chi) if chi else -np.inf
    variables = {
        "field_variance": ((), q, "1", "variance of a unit's input"),
        "susceptibility": ((), chi, "1", "mean squared growth of a difference per step"),
        "time_scale": time_scale_entry(first),
        **_densities(q, gain, orthogonal),
    }
    if n is None:
        return lyapunov_report(first, partial=True, **variables, **given)
    return lyapunov_report(
        _spectrum_at((np.arange(n) + 0.5) / n, q, gain, orthogonal), **variables, **given
    )


def _spectrum_curve(q, gain, orthogonal, points=4000):
    """Fractions x, increasing, and exponents lambda(x): both are explicit in ln tau."""
    nodes, mass = gaussian.nodes(q)
    log_d = 2.0 * gaussian.log_sech2(nodes)
    keep = mass > 1e-18
    order = np.argsort(log_d[keep])
    log_d, mass = log_d[keep][order], mass[keep][order]
    log_tau = _log_tau(log_d[-1] + 36.0, log_d[0] - 36.0, points)
    # a node further than 100 from ln tau counts in full or not at all, to exp(-100): at gain 1e4
    # there are 700,000 nodes, of which a few hundred count in part
    first, last = np.searchsorted(log_d, log_tau - 100.0), np.searchsorted(log_d, log_tau + 100.0)
    below = np.concatenate(([0.0], np.cumsum(mass)))
    above = np.concatenate((np.cumsum(mass[::-1])[::-1], [0.0]))
    inside, outside = above[last], below[first]  # outside: 1 - x without cancellation
    for i, t in enumerate(log_tau):
        part = slice(first[i], last[i])
        inside[i] += mass[part] @ expit(log_d[part] - t)
        outside[i] += mass[part] @ expit(t - log_d[part])
    weights = np.zeros_like(inside) if orthogonal else np.log(gain) + 0.5 * np.log(outside)
    return inside, 0.5 * (log_tau + np.log(inside) - np.log(outside)) + weights


def _log_tau(top, bottom, points, dense=400.0):
    """Values of ln tau, falling: evenly, or where that is far, half of them in the first 400, which
    hold the positive exponents, and half geometrically below."""
    if top - bottom <= 2 * dense:
        return np.linspace(top, bottom, points)
    upper = np.linspace(0.0, dense, points // 2, endpoint=False)
    return top - np.concatenate((upper, np.geomspace(dense, top - bottom, points - points // 2)))


def _spectrum_at(fractions, q, gain, orthogonal):
    """Exponents at fractions of the spectrum in (0, 1)."""
    if gain == 0:
        return np.full(fractions.size, -np.inf)
    x, exponents = _spectrum_curve(q, gain, orthogonal)
    return np.interp(fractions, x, exponents)


def _densities(q, gain, orthogonal):
    """Mean exponent, Kaplan-Yorke dimension and entropy rate per unit, as variables. A square
    Gaussian matrix adds ln gain - 1/2."""
    average = (
        -np.inf
        if gain == 0
        else gaussian.mean(gaussian.log_sech2, q) + (0.0 if orthogonal else np.log(gain) - 0.5)
    )
    dimension, entropy = _attractor(q, gain, orthogonal) if gain else (0.0, 0.0)
    return {
        "mean_exponent": ((), average, "nats/step", "mean of all exponents"),
        "kaplan_yorke_density": ((), dimension, "1", "Kaplan-Yorke dimension per unit"),
        "entropy_density": ((), entropy, "nats/step", "sum of the positive exponents per unit"),
    }


def _attractor(q, gain, orthogonal):
    """Kaplan-Yorke dimension and entropy rate per unit: where the integral of lambda returns to 0,
    and its maximum."""
    x, exponents = _spectrum_curve(q, gain, orthogonal)
    sums = np.concatenate(([0.0], np.cumsum(0.5 * (exponents[1:] + exponents[:-1]) * np.diff(x))))
    top = int(sums.argmax())
    if sums[top] <= 1e-12:
        return 0.0, 0.0
    after = slice(top, None)
    return (1.0 if sums[-1] > 0 else float(np.interp(0.0, -sums[after], x[after]))), float(
        sums[top]
    )


@public
def tanh_gradient(
    lags: ArrayLike, gain: float, bias_sd: float = 0.0, input_sd: float = 0.0
) -> Dataset:
    """Gradient of the random tanh network over the lag: chi^(lag/2), in the limit of many units.

    The mean squared singular value of a product of independent D W is the product of the means, so
    ln of its root is lag lambda_1. At N units it holds for lags far below N: beyond, fluctuations
    lower the typical logarithm towards N's own first exponent.

    Parameters
    ----------
    lags : int or array_like of int
        Lags in steps, in the order given.
    gain : float
        W ~ N(0, gain^2/N).
    bias_sd : float, default 0.0
        Standard deviation of the biases.
    input_sd : float, default 0.0
        Standard deviation of the input (V u)_i of a unit.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        log_state_gradient_scatter : (lag,), 1
            Scatter of that logarithm over networks of N random units, times sqrt(N).
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    ValueError
        For a parameter that is negative or so large that every unit saturates, and for lags that
        are not whole numbers of at least 0.

    References
    ----------
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), ICLR, section 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.tanh_gradient([0, 10], 0.5).log_state_gradient.values.round(4).tolist()
    [0.0, -6.9315]
    """
    lags, q = lag_vector(lags), tanh_variance(gain, bias_sd, input_sd)
    chi = tanh_susceptibility(gain, q)
    rate = 0.5 * np.log(chi) if chi else -np.inf
    growth = np.where(lags == 0, 0.0, rate * np.maximum(lags, 1))
    parameters = {"gain": float(gain), "bias_sd": float(bias_sd), "input_sd": float(input_sd)}
    return gradient_report(
        lags,
        growth,
        title="mean-field gradient of the random tanh network",
        source=SOURCES["line"],
        parameters=parameters,
        scatter=FINITE_SIZE_SCATTER,
        time_scale=time_scale_entry(rate),
    )


@public
def orthogonal_tanh_gradient(
    lags: ArrayLike,
    input_sd: float = 0.0,
    *,
    initial_variance: float = 1.0,
    duration: int | None = None,
) -> Dataset:
    """Gradient of the orthogonal tanh network over the lag before the last step.

    From a state of given mean square q_n = E[tanh(sqrt(q_(n-1) + s^2) z)^2], and
    ln gradient(lag) = 1/2 sum over the last ``lag`` steps of ln E[sech(sqrt(q + s^2) z)^4]. Driven:
    lag lambda_1. Undriven: q_n -> 1/(2 n), each factor -> 1 - 1/(2 n), so the gradient from step 0
    falls as n^(-1/2): a power law. That is the root mean square over directions. The direction of
    the state itself falls as n^(-3/2), like a single unit x' = tanh(x), where q_n -> 3/(2 n): see
    ``unit_tanh_gradient``.

    Parameters
    ----------
    lags : int or array_like of int
        Lags in steps, in the order given.
    input_sd : float, default 0.0
        Standard deviation s of the input (V u)_i of a unit.
    initial_variance : float, default 1.0
        Mean square of the first state.
    duration : int, optional
        Steps T of the run, by default the largest lag.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        log_state_gradient_scatter : (lag,), 1
            Scatter of that logarithm over networks of N random units, times sqrt(N).
        state_variance : (), 1
            Mean square of the last state.

    Raises
    ------
    ValueError
        For lags beyond ``duration``, and parameters that are negative or so large that every unit
        saturates.

    Notes
    -----
    Slopes checked by simulation at N = 64 and 256: -0.499, -0.503; smallest singular value -1.495,
    -1.508.

    References
    ----------
    Derived here, after Pennington, Schoenholz and Ganguli (2017), NeurIPS 30.

    Examples
    --------
    >>> import dynmem as dm
    >>> short, long = (dm.theory.orthogonal_tanh_gradient([n]) for n in (1000, 2000))
    >>> fall = long.log_state_gradient.item() - short.log_state_gradient.item()
    >>> round(float(fall / np.log(2)), 2)
    -0.5
    """
    lags, noise = lag_vector(lags), below_saturation("input_sd", input_sd) ** 2
    duration = int(lags.max()) if duration is None else integer("duration", duration)
    if duration < lags.max():
        raise ValueError(
            f"duration = {duration}: must be at least as long as the largest lag, {lags.max()}"
        )
    q, rates = number("initial_variance", initial_variance, least=0), np.zeros(duration)
    for step in range(duration):
        rates[step] = 0.5 * np.log(mean_sech4(q + noise))
        q = gaussian.mean(lambda x: np.tanh(x) ** 2, q + noise)
    from_start = np.concatenate(([0.0], np.cumsum(rates)))
    parameters = {
        "input_sd": float(input_sd),
        "initial_variance": float(initial_variance),
        "duration": duration,
    }
    return gradient_report(
        lags,
        from_start[duration] - from_start[duration - lags],
        title="gradient of the orthogonal tanh network",
        source=SOURCES["orthogonal"],
        parameters=parameters,
        scatter=FINITE_SIZE_SCATTER,
        state_variance=((), q, "1", "mean square of the last state"),
    )


@public
def unit_tanh_gradient(lags: ArrayLike, initial_state: float = 1.0) -> Dataset:
    """Gradient of one unit x' = tanh(x) from its start: d x_n / d x_0 = product of (1 - x_k^2).

    x_n -> sqrt(3/(2 n)), for x' - x -> -x^3/3, so that the gradient falls as n^(-3/2). The same law
    holds for identity weights, and for the direction of the state itself under orthogonal weights.

    Parameters
    ----------
    lags : int or array_like of int
        Steps n from the start, in the order given.
    initial_state : float, default 1.0
        x_0.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.

    Raises
    ------
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    Elementary: the product of the slopes.

    Examples
    --------
    >>> import dynmem as dm
    >>> near, far = dm.theory.unit_tanh_gradient([50_000, 100_000]).log_state_gradient.values
    >>> round(float((far - near) / np.log(2)), 2)
    -1.5
    """
    lags, x = lag_vector(lags), number("initial_state", initial_state)
    growth = np.zeros(int(lags.max()) + 1)
    for step in range(1, growth.size):
        growth[step] = growth[step - 1] + float(gaussian.log_sech2(x))
        x = np.tanh(x)
    return gradient_report(
        lags,
        growth[lags],
        title="gradient of one tanh unit at criticality",
        source="elementary",
        parameters={"initial_state": float(initial_state)},
    )


@public
def critical_gain(bias_sd: float = 0.0, input_sd: float = 0.0) -> float:
    """Gain at which lambda_1 = 0 in a random tanh network: order below, chaos above.

    gain^2 E[sech(sqrt(q) z)^4] = 1 together with q = gain^2 E[tanh^2] + bias_sd^2 + input_sd^2.
    Drive and bias raise it above 1.

    Parameters
    ----------
    bias_sd : float, default 0.0
        Standard deviation of the biases.
    input_sd : float, default 0.0
        Standard deviation of the input (V u)_i of a unit.

    Returns
    -------
    float
        The critical gain.

    Raises
    ------
    ValueError
        For a parameter that is negative or so large that every unit saturates.

    References
    ----------
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), ICLR, figure 1; Molgedey, Schuchhardt and
    Schuster (1992), Phys. Rev. Lett. 69, 3717, for the drive.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(dm.theory.critical_gain(bias_sd=np.sqrt(0.05)) ** 2, 6)
    1.760955
    """
    constant = constant_variance(bias_sd, input_sd)
    if constant == 0:
        return 1.0

    def excess(q):  # the equation for q times E sech^4, with gain^2 E sech^4 = 1
        return (q - constant) * mean_sech4(q) - gaussian.mean(lambda x: np.tanh(x) ** 2, q)

    high = 2.0 * constant + 1.0
    while excess(high) < 0:
        high *= 2.0
    return float(mean_sech4(positive_root(excess, constant, high)) ** -0.5)


@public
def critical_line(bias_variance: ArrayLike) -> Dataset:
    """The line between order and chaos: critical weight variance over the bias variance.

    Parameters
    ----------
    bias_variance : float or array_like (biases,)
        sigma_b^2, at least 0.

    Returns
    -------
    xarray.Dataset
        critical_weight_variance : (bias_variance,), 1
            Weight variance sigma_w^2 at which lambda_1 = 0.

    Raises
    ------
    ValueError
        For a negative variance.

    References
    ----------
    Poole et al. (2016), NeurIPS 29; Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), ICLR,
    figure 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> line = dm.theory.critical_line([0.01, 0.05, 0.2])
    >>> line.critical_weight_variance.values.round(6).tolist()
    [1.424205, 1.760955, 2.285152]
    """
    values = vector("bias_variance", bias_variance)
    line = [
        critical_gain(bias_sd=np.sqrt(number("bias_variance", value, least=0))) ** 2
        for value in values.tolist()
    ]
    return dataset(
        {
            "critical_weight_variance": (
                "bias_variance",
                line,
                "1",
                "weight variance sigma_w^2 at which lambda_1 = 0",
            )
        },
        {"bias_variance": ("bias_variance", values, "1", "bias variance sigma_b^2")},
        title="line between order and chaos",
        source=SOURCES["line"],
    )


@public
def time_scale(lyapunov: float | Dataset, *, dt: float | None = None) -> Dataset:
    """Time scale of forgetting from the first Lyapunov exponent, in steps: -1/(lambda_1 dt).

    A gradient falls as exp(lambda_1 dt lag), so at large lags it falls to 1/e in that many steps;
    infinite where lambda_1 >= 0: at 0 forgetting is no exponential, above it gradients explode. The
    lag at which a gradient has fallen to 1/e of its start is its ``dm.memory_horizon``.

    Parameters
    ----------
    lyapunov : float or xarray.Dataset
        lambda_1 per unit of time, or a Dataset with lyapunov(exponent), whose units are read.
    dt : float, optional
        Time of one step: that of the Dataset, or 1.

    Returns
    -------
    xarray.Dataset
        time_scale : (), step or time unit
            -1/(lambda_1 dt); in units of time where a Dataset has no steps.
        law : (), 1
            Law of forgetting: "exponential", "power law" or "none".

    Raises
    ------
    NotFiniteError
        Where lambda_1 is NaN.
    ValueError
        For a step that is not above 0.

    References
    ----------
    Definition.

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.theory.time_scale(-0.01).time_scale), float(dm.theory.time_scale(0.0).time_scale)
    (100.0, inf)
    """
    if not isinstance(lyapunov, (int, float)) and hasattr(lyapunov, "lyapunov"):
        per_step = lyapunov.lyapunov.attrs["units"] == "1/step"
        own = 1.0 if per_step else step_length(lyapunov)
        if per_step and dt is not None:
            raise ValueError(f"dt = {dt}: the exponents are per step already, leave it out")
        dt, exponent = own if dt is None else dt, lyapunov.lyapunov.max()
    else:
        dt, exponent = 1.0 if dt is None else dt, lyapunov
    dt = None if dt is None else number("dt", dt, above=0)
    first = extended_real("lyapunov", exponent)
    first = 0.0 if abs(first) < 1e-12 else first  # a measured isometry: zero to rounding
    law = "exponential" if first < 0 else "power law" if first == 0 else "none"
    return dataset(
        {
            "time_scale": time_scale_entry(first, dt),
            "law": ((), law, "1", "law of forgetting"),
        },
        title="time scale of forgetting",
        source="definition",
        parameters={"lyapunov": first, "dt": dt},
    )
