"""Mean field of the tanh network x_t = tanh(a_t), a_t = W x_(t-1) + V u_t + b, in the limit of many
units.

Each a_i is Gaussian with variance q. gain: W_ij ~ N(0, gain^2/N); bias_sd: b_i ~ N(0, bias_sd^2);
input_sd: the standard deviation of (V u)_i, with inputs independent from step to step and so many
that it is the same at every step.
"""

import numpy as np
from scipy.special import expit

from ..errors import NotFiniteError
from . import gaussian
from .checks import (
    count,
    finite,
    lag_axis,
    leak_rate,
    not_negative,
    number,
    positive,
    spread,
    vector,
)
from .results import gradient_report, horizon_entry, lyapunov_report
from .tanh_moments import _constant, _root, _sech4, tanh_susceptibility, tanh_variance

SOURCES = {
    "chaos": "Sompolinsky, Crisanti and Sommers (1988); Engelken, Wolf and Abbott (2023)",
    "line": "Schoenholz et al. (2017); Poole et al. (2016)",
    "orthogonal": "Pennington, Schoenholz and Ganguli (2017); Kargin (2008) for products",
}


def tanh_spectrum(gain, bias_sd=0.0, input_sd=0.0, *, leak=1.0, units=None):
    """Lyapunov exponents of the random tanh network x' = (1-d) x + d tanh(W x + V u + b), N to
    infinity, per unit time (a step lasts d).

    d = 1: lambda_1 = 1/2 ln chi, and the whole spectrum at the fraction i/N = x of its index is
        lambda(x) = 1/2 ln(gain^2 tau x),  E[D/(tau + D)] = x,  D = sech(sqrt(q) z)^4.
    It follows because the volume of a frame of k = x N vectors grows each step by det(Z^T D
    Z)^(1/2) with Z Gaussian, whose resolvent is deterministic for large N; D = 1 gives Newman's
    triangle law. 0 < d < 1 and d = 0 (continuous time): lambda_1 alone, see ``leaky``.

    gain, bias_sd, input_sd: standard deviations, see the module; leak d; units: N, for the N
    exponents at x = (i - 1/2)/N (d = 1 only). Returns lyapunov(exponent), field_variance q,
    susceptibility chi, horizon (steps); for d = 1 also mean_exponent and, per unit,
    kaplan_yorke_density and entropy_density. Raises ValueError for a negative or overflowing
    parameter. Checked against networks of 400 units with fixed weights: whole spectrum within 0.015
    for the upper quarter and 3 % below, with bias and drive (d = 1); lambda_1 within 0.03 at d < 1,
    N = 500, mostly above the measurement: finite size lowers it. Source: Sompolinsky, Crisanti and
    Sommers (1988); Engelken, Wolf and Abbott (2023); Newman (1986); Kargin (2008).

    >>> d = tanh_spectrum(3.0)
    >>> round(d.lyapunov.item(), 8), round(d.mean_exponent.item(), 6), round(d.kaplan_yorke_density.item(), 4)
    (0.31024932, -2.272805, 0.2877)
    """
    leak, gain, bias_sd, input_sd = (
        leak_rate(leak),
        spread("gain", gain),
        spread("bias_sd", bias_sd),
        spread("input_sd", input_sd),
    )
    parameters = {
        "gain": gain,
        "bias_sd": bias_sd,
        "input_sd": input_sd,
        "leak": leak,
        "units": units,
    }
    given = {
        "title": "mean field of the random tanh network",
        "source": SOURCES["chaos"],
        "parameters": parameters,
    }
    if leak < 1:
        if units is not None:
            raise ValueError(
                f"units = {units} with leak = {leak}: beyond leak 1 theory knows "
                "only the first exponent, leave units out"
            )
        from .leaky import leaky_exponent

        found = leaky_exponent(gain, bias_sd, input_sd, leak)
        # in units of time where time is continuous
        found["horizon"] = horizon_entry(found["lyapunov"], leak or 1.0)
        return lyapunov_report(
            found.pop("lyapunov"), partial=True, per="1/time unit", **found, **given
        )
    return _step_spectrum(tanh_variance(gain, bias_sd, input_sd), gain, False, units, given)


def orthogonal_tanh_spectrum(input_sd=0.0, bias_sd=0.0, *, units=None):
    """Lyapunov exponents of x' = tanh(O x + V u + b) with O a random orthogonal matrix, N to
    infinity, per step.

    lambda_1 = 1/2 ln E[sech(sqrt(q) z)^4],  q = E[tanh(sqrt(q) z)^2] + input_sd^2 + bias_sd^2;
    undriven: 0, forgetting is a power law (see ``orthogonal_tanh_gradient``). Whole spectrum:
    lambda(x) = 1/2 ln(tau x/(1-x)), tau as for ``tanh_spectrum``: the volume of a frame under D O,
    from the free compression of D. Saturation, not the weights, makes an orthogonal tanh network
    forget.

    Returns as ``tanh_spectrum``. Source: Pennington, Schoenholz and Ganguli (2017); Nica and
    Speicher (1996) for the compression.

    >>> [round(orthogonal_tanh_spectrum(s).lyapunov.item(), 4) for s in (0.1, 0.5, 1.0)]
    [-0.0661, -0.2725, -0.4595]
    """
    q = tanh_variance(1.0, bias_sd, input_sd)
    parameters = {"input_sd": float(input_sd), "bias_sd": float(bias_sd), "units": units}
    given = {
        "title": "mean field of the orthogonal tanh network",
        "source": SOURCES["orthogonal"],
        "parameters": parameters,
    }
    return _step_spectrum(q, 1.0, True, units, given)


def _step_spectrum(q, gain, orthogonal, units, given):
    """Report of the spectrum of one step D W from the variance q of the units' input."""
    n = None if units is None else count("units", units)
    chi = tanh_susceptibility(gain, q)
    first = 0.5 * np.log(chi) if chi else -np.inf
    made = {
        "field_variance": ((), q, "1", "variance of a unit's input"),
        "susceptibility": ((), chi, "1", "mean squared growth of a difference per step"),
        "horizon": horizon_entry(first),
        **_densities(q, gain, orthogonal),
    }
    if n is None:
        return lyapunov_report(first, partial=True, **made, **given)
    return lyapunov_report(
        _spectrum_at((np.arange(n) + 0.5) / n, q, gain, orthogonal), **made, **given
    )


def _spectrum_curve(q, gain, orthogonal, points=4000):
    """Fractions x, increasing, and exponents lambda(x): both are explicit in ln tau."""
    nodes, mass = gaussian.nodes(q)
    log_d = 2.0 * gaussian.log_sech2(nodes)
    keep = mass > 1e-18
    log_d, mass = log_d[keep], mass[keep]
    log_tau = np.linspace(log_d.max() + 36.0, log_d.min() - 36.0, points)
    inside = np.array([mass @ expit(log_d - t) for t in log_tau])
    outside = np.array([mass @ expit(t - log_d) for t in log_tau])  # 1 - x without cancellation
    weights = np.zeros_like(inside) if orthogonal else np.log(gain) + 0.5 * np.log(outside)
    return inside, 0.5 * (log_tau + np.log(inside) - np.log(outside)) + weights


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


def tanh_gradient(lags, gain, bias_sd=0.0, input_sd=0.0):
    """Gradient of the random tanh network over the lag: chi^(lag/2), in the limit of many units.

    The mean squared singular value of a product of independent D W is the product of the means, so
    ln of its root is lag lambda_1.

    lags: steps; other arguments as for ``tanh_spectrum`` (leak 1). Returns log_state_gradient(lag),
    state_gradient(lag), horizon (steps). At N units it holds for lags far below N: beyond,
    fluctuations lower the typical logarithm towards N's own first exponent. Source: Schoenholz et
    al. (2017), section 4.

    >>> tanh_gradient([0, 10], 0.5).log_state_gradient.values.round(4).tolist()
    [0.0, -6.9315]
    """
    lags, q = lag_axis(lags), tanh_variance(gain, bias_sd, input_sd)
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
        horizon=horizon_entry(rate),
    )


def orthogonal_tanh_gradient(lags, input_sd=0.0, *, initial_variance=1.0, duration=None):
    """Gradient of the orthogonal tanh network over the lag before the last step, from a state of
    given mean square.

    q_n = E[tanh(sqrt(q_(n-1) + s^2) z)^2];  ln gradient(lag) = 1/2 sum over the last ``lag`` steps
    of ln E[sech(sqrt(q + s^2) z)^4]. Driven: lag lambda_1. Undriven: q_n -> 1/(2 n), each factor ->
    1 - 1/(2 n), so the gradient from step 0 falls as n^(-1/2): a power law. That is the root mean
    square over directions. The direction of the state itself falls as n^(-3/2), like a single unit
    x' = tanh(x), where q_n -> 3/(2 n): see ``unit_tanh_gradient``.

    lags: steps; input_sd: s; initial_variance: mean square of the first state; duration: steps T of
    the run, by default the largest lag. Returns log_state_gradient(lag), state_gradient(lag),
    state_variance. Source: derived here, after Pennington et al. (2017); slopes checked by
    simulation at N = 64 and 256 (-0.499, -0.503; smallest singular value -1.495, -1.508).

    >>> short, long = (orthogonal_tanh_gradient([n]).log_state_gradient.item() for n in (1000, 2000))
    >>> round(float((long - short) / np.log(2)), 2)
    -0.5
    """
    lags, drive = lag_axis(lags), spread("input_sd", input_sd) ** 2
    duration = int(lags.max()) if duration is None else count("duration", duration)
    if duration < lags.max():
        raise ValueError(
            f"lags up to {lags.max()} need a run at least as long: duration = {duration}"
        )
    q, rates = not_negative("initial_variance", initial_variance), np.zeros(duration)
    for step in range(duration):
        rates[step] = 0.5 * np.log(_sech4(q + drive))
        q = gaussian.mean(lambda x: np.tanh(x) ** 2, q + drive)
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
        state_variance=((), q, "1", "mean square of the last state"),
    )


def unit_tanh_gradient(lags, initial_state=1.0):
    """Gradient of one unit x' = tanh(x) from its start: d x_n / d x_0 = product of (1 - x_k^2),
    which falls as n^(-3/2).

    x_n -> sqrt(3/(2 n)), for x' - x -> -x^3/3. The same law holds for identity weights, and for the
    direction of the state itself under orthogonal weights. lags: steps n from the start. Returns
    log_state_gradient(lag), state_gradient(lag). Source: elementary.

    >>> a, b = unit_tanh_gradient([50_000, 100_000]).log_state_gradient.values
    >>> round(float((b - a) / np.log(2)), 2)
    -1.5
    """
    lags, x = lag_axis(lags), finite("initial_state", initial_state)
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


def critical_gain(bias_sd=0.0, input_sd=0.0) -> float:
    """Gain at which lambda_1 = 0: order below, chaos above.

    gain^2 E[sech(sqrt(q) z)^4] = 1 together with q = gain^2 E[tanh^2] + bias_sd^2 + input_sd^2.
    Drive and bias raise it above 1. Source: Schoenholz et al. (2017), figure 1; Molgedey,
    Schuchhardt and Schuster (1992) for the drive.

    >>> round(critical_gain(bias_sd=np.sqrt(0.05)) ** 2, 6)
    1.760955
    """
    constant = _constant(bias_sd, input_sd)
    if constant == 0:
        return 1.0

    def excess(q):  # the equation for q times E sech^4, with gain^2 E sech^4 = 1
        return (q - constant) * _sech4(q) - gaussian.mean(lambda x: np.tanh(x) ** 2, q)

    high = 2.0 * constant + 1.0
    while excess(high) < 0:
        high *= 2.0
    return float(_sech4(_root(excess, constant, high)) ** -0.5)


def critical_line(bias_variance):
    """Critical weight variance sigma_w^2 as a function of the bias variance sigma_b^2: the line
    between order and chaos.

    bias_variance: sigma_b^2, a vector of numbers >= 0. Returns
    critical_weight_variance(bias_variance). Source: Poole et al. (2016); Schoenholz et al. (2017),
    figure 1.

    >>> critical_line([0.01, 0.05, 0.2]).critical_weight_variance.values.round(6).tolist()
    [1.424205, 1.760955, 2.285152]
    """
    from ..labels import dataset

    values = vector("bias_variance", bias_variance)
    line = [
        critical_gain(bias_sd=np.sqrt(not_negative("bias_variance", value))) ** 2
        for value in values
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


def memory_horizon(lyapunov, *, dt=1.0):
    """Memory horizon from the first Lyapunov exponent, in steps: -1/(lambda_1 dt), infinite where
    lambda_1 >= 0.

    A gradient falls as exp(lambda_1 dt lag), so this is the lag where it has fallen to 1/e. At
    lambda_1 = 0 forgetting is no exponential; above, gradients explode.

    lyapunov: lambda_1 per unit time, or a Dataset with lyapunov(exponent); dt: time of one step.
    Returns horizon, decay. Raises ArithmeticError where lambda_1 is NaN. Source: definition.

    >>> float(memory_horizon(-0.01).horizon), float(memory_horizon(0.0).horizon)
    (100.0, inf)
    """
    from ..labels import dataset

    first = (
        float(lyapunov.lyapunov.max())
        if hasattr(lyapunov, "lyapunov")
        else number("lyapunov", lyapunov)
    )
    if np.isnan(first):
        raise NotFiniteError("the first exponent is NaN: no horizon follows")
    first = 0.0 if abs(first) < 1e-12 else first  # an isometry measured: zero to rounding
    decay = "exponential" if first < 0 else "power law" if first == 0 else "none"
    return dataset(
        {
            "horizon": horizon_entry(first, positive("dt", dt)),
            "decay": ((), decay, "1", "law of forgetting"),
        },
        title="memory horizon",
        source="definition",
        parameters={"lyapunov": first, "dt": dt},
    )
