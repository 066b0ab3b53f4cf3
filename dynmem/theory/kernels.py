"""Memories of linear state-space models: exponents and kernels under each discretisation, delays as Pade fractions, what HiPPO remembers."""

import math

import numpy as np

from ..labels import dataset
from ..models import S4D
from ..models.hippo import basis, hippo
from .checks import count, lag_axis, positive, vector
from .linear import linear_gradient
from .reports import gradient_report, horizon_entry, lyapunov_report

STEPS = {  # the factor by which a mode lambda is multiplied in a step, as a function of z = step lambda
    "zoh": np.exp,
    "bilinear": lambda z: (1 + z / 2) / (1 - z / 2),
    "euler": lambda z: 1 + z,
}


def sampled_spectrum(eigenvalues, step=1.0, method="zoh"):
    """Exponents, per step, of a linear flow with these eigenvalues that is stepped with zero-order hold, bilinear rule or Euler.

    zoh: step Re lambda; bilinear: ln |(1 + step lambda/2) / (1 - step lambda/2)|; euler: ln |1 + step lambda|. The bilinear rule keeps every
    stable flow stable and Euler does not: an undamped oscillator grows by 1/2 ln(1 + step^2 omega^2) each step.

    eigenvalues: complex (n,), each of a conjugate pair by itself; step: time units. Returns lyapunov(exponent), eigenvalue(exponent) of one
    step, kaplan_yorke_dimension, entropy_rate, horizon (steps). Raises ValueError for another method. Source: Gu et al. (2022), S4D, eq. 4.

    >>> [round(sampled_spectrum([-1.0], 0.1, method).lyapunov.item(), 6) for method in ("zoh", "bilinear", "euler")]
    [-0.1, -0.100083, -0.105361]
    """
    values, step = np.atleast_1d(np.asarray(eigenvalues, dtype=complex)), positive("step", step)
    if method not in STEPS:
        raise ValueError(f"method must be one of {', '.join(STEPS)}, got {method!r}")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues of shape {values.shape}: pass a vector of finite numbers")
    with np.errstate(divide="ignore"):
        exponents = step * values.real if method == "zoh" else np.log(np.abs(STEPS[method](step * values)))
    order = np.argsort(-exponents, kind="stable")
    return lyapunov_report(exponents, title=f"spectrum of a linear flow, {method}", source="Gu, Goel, Gupta and Re (2022), equation 4",
                           parameters={"step": step, "method": method}, horizon=horizon_entry(exponents.max()),
                           eigenvalue=("exponent", STEPS[method](step * values[order]), "1", "eigenvalue of one step"))


def state_space_spectrum(model):
    """Exponents of an S4D or S4 model, per step, from the eigenvalues of its continuous form: the twin of ``dm.lyapunov_spectrum``.

    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4)
    >>> bool(np.allclose(state_space_spectrum(model).lyapunov, -0.5 * np.exp(model.log_step)))
    True
    """
    if isinstance(model, S4D):
        pairs = (np.exp(model.log_step)[:, None] * (-np.exp(model.log_decay) + 1j * model.frequency)).ravel()
        return sampled_spectrum(np.concatenate([pairs, pairs.conj()]), method=model.method)
    return sampled_spectrum(np.concatenate([model.continuous(h).eigenvalues for h in range(model.units)]), method="bilinear")


def state_space_gradient(model, lags):
    """Gradients of an S4D or S4 model over the lag: the twin of ``dm.gradient_norms``, whatever state and input.

    d y_T / d u_(T-lag) is the kernel, channel by channel, its root mean square over channels; d x_T / d x_(T-lag) is the power A^lag, for S4D
    sqrt(mean |a|^(2 lag)). lags: whole numbers of steps. Returns log_state_gradient(lag), log_input_gradient(lag) and their exponentials.

    >>> import dynmem as dm
    >>> state_space_gradient(dm.models.S4D.random(1, 1, modes=4), [0, 10]).state_gradient.values[0]
    np.float64(1.0)
    """
    from scipy.special import logsumexp

    lags = lag_axis(lags)
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(model, S4D):
            rates = state_space_spectrum(model).lyapunov.values
            powers = np.where(lags[:, None] == 0, 0.0, 2 * np.outer(lags, rates))
            growth = (logsumexp(powers, axis=1) - np.log(len(rates))) / 2
        else:
            growth = linear_gradient(model.discrete().A, lags).log_state_gradient.values
        seen = np.log(np.sqrt(np.mean(model.kernel(int(lags.max()) + 1)[lags] ** 2, axis=1)))
    return gradient_report(
        lags, growth, title="gradients of a state-space model", source="definition: powers of A, and the kernel",
        parameters={"model": type(model).__name__, "channels": model.units, "modes": model.modes},
        log_input_gradient=("lag", seen, "nat", "logarithm of the rms singular value of d y_T / d u_(T-lag)"),
        input_gradient=("lag", np.exp(seen), "1", "rms singular value of d y_T / d u_(T-lag)"),
    )


def state_space_kernel(model, lags):
    """Kernel of an S4D model, channel by channel, with the time constants of its modes and the envelope that they set.

    K(lag) = 2 Re sum_m C_m b_m a_m^lag, |K| <= 2 sum_m |C_m b_m| |a_m|^lag; a mode falls to 1/e in -1/ln|a_m| steps, which with the zero-order
    hold is 1/(step |Re lambda|).

    lags: whole numbers of steps. Returns kernel(lag, output), envelope(lag, output), time_constant(output, mode) in steps and
    period(output, mode), infinite where a mode does not turn. Source: Gu, Goel, Gupta and Re (2022), section 3.

    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4, step_min=0.01, step_max=0.01)
    >>> state_space_kernel(model, [0]).time_constant.values.round(6).tolist()
    [[200.0, 200.0]]
    """
    lags = lag_axis(lags)
    re, im, b_re, b_im = model.coefficients
    a, weight = re + 1j * im, 2 * (model.C[..., 0] + 1j * model.C[..., 1]) * (b_re + 1j * b_im)
    with np.errstate(divide="ignore"):
        rate, turn = np.log(np.abs(a)), np.abs(np.angle(a))
        period = 2 * np.pi / turn
    terms = weight * np.exp(lags[:, None, None] * (rate + 1j * np.angle(a)))
    return dataset(
        {
            "kernel": (("lag", "output"), terms.real.sum(axis=-1) + model.D * (lags == 0)[:, None], "1", "response to a unit impulse"),
            "envelope": (("lag", "output"), np.abs(terms).sum(axis=-1), "1", "bound on the response, D left out"),
            "time_constant": (("output", "mode"), -1 / rate, "step", "lag at which a mode has fallen to 1/e"),
            "period": (("output", "mode"), period, "step", "period of a mode"),
        },
        {"lag": ("lag", lags, "step", "lag")}, title="kernel of a diagonal state-space model",
        source="Gu, Goel, Gupta and Re (2022), section 3", parameters={"channels": model.units, "modes": model.modes, "method": model.method},
    )


def pade_delay(order, omega, theta=1.0):
    """The delay that a Legendre memory makes, the [q-1/q] Pade approximant of exp(-theta s), at angular frequencies omega.

    R(s) = sum_j N_j (-theta s)^j / sum_j D_j (theta s)^j with N_j = (2q-1-j)! (q-1)! / ((2q-1)! j! (q-1-j)!) and
    D_j = (2q-1-j)! q! / ((2q-1)! j! (q-j)!). Near omega = 0 the error is (q-1)! q! / ((2q-1)! (2q)!) (theta omega)^(2q): the delay holds up to
    theta omega of about q, and fails above.

    order: q; omega: radians per time unit; theta: time units. Returns gain(frequency), phase_delay(frequency), error(frequency) =
    |R(i omega) - exp(-i omega theta)| and its leading_error(frequency). Source: Voelker, Kajic and Eliasmith (2019), section 2; Pade (1892).

    >>> pade_delay(6, [0.5, 20.0]).error.values.round(4).tolist()
    [0.0, 0.6719]
    """
    q, omega, theta = count("order", order), vector("omega", omega), positive("theta", theta)
    z = 1j * theta * omega
    response = ratio(pade_coefficients(q), z)
    leading = np.exp(math.lgamma(q) + math.lgamma(q + 1) - math.lgamma(2 * q) - math.lgamma(2 * q + 1))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        delay = np.where(omega == 0, theta, -np.unwrap(np.angle(response)) / omega)
        first = leading * np.abs(z) ** (2 * q)
    return dataset(
        {
            "gain": ("frequency", np.abs(response), "1", "gain"),
            "phase_delay": ("frequency", delay, "time unit", "phase over frequency, for frequencies close enough to unwrap it"),
            "error": ("frequency", np.abs(response - np.exp(-z)), "1", "distance from the exact delay"),
            "leading_error": ("frequency", first, "1", "first term of the error at low frequency"),
        },
        {"frequency": ("frequency", omega, "radian per time unit", "angular frequency")}, title="delay of a Legendre memory",
        source="Voelker, Kajic and Eliasmith (2019), section 2", parameters={"order": q, "theta": theta},
    )


def pade_coefficients(q):
    """Coefficients of the [q-1/q] Pade approximant of exp(-z), of rising powers: numerator (q,), denominator (q + 1,).

    >>> [c.tolist() for c in pade_coefficients(2)] == [[1.0, -1 / 3], [1.0, 2 / 3, 1 / 6]]  # (6 - 2z) / (6 + 4z + z^2)
    True
    """
    def part(n, sign):
        whole = math.factorial(2 * q - 1)
        return [sign**j * math.factorial(2 * q - 1 - j) * math.factorial(n) / (whole * math.factorial(j) * math.factorial(n - j))
                for j in range(n + 1)]

    return np.array(part(q - 1, -1)), np.array(part(q, 1))


def ratio(coefficients, z):
    """The fraction at the points z: for large z in powers of 1/z, so that nothing overflows."""
    top, bottom = coefficients
    small = np.abs(z) <= 1
    near, far = np.where(small, z, 0.0), 1.0 / np.where(small, 1.0, z)
    direct = np.polyval(top[::-1], near) / np.polyval(bottom[::-1], near)
    return np.where(small, direct, np.polyval(top, far) * far / np.polyval(bottom, far))


def hippo_memory(measure, order, lags, omega=(), power=None, theta=1.0):
    """What a HiPPO state of this order remembers: the weight of the past, and the error with which a signal is read back from the state.

    Of exp(i omega t) the state is (i omega - A)^-1 B exp(i omega t), and what is read at lag s is p(s) . (i omega - A)^-1 B exp(i omega t) where
    exp(i omega (t - s)) was: the root mean square of the difference, over frequencies with these powers, is exact for any stationary signal
    of that spectrum.

    measure: legs, legt, lagt or fourier; lags: times s >= 0; omega (k,): radians per time unit; power (k,), equal if None; theta: time
    units. Returns weight(lag) per time unit and, with frequencies, error(lag), relative to the signal's own root mean square: 1 is what
    knowing nothing costs. Source: Gu et al. (2020), section 2; the error follows from linearity.

    >>> hippo_memory("legt", 16, [0.5, 2.0], omega=[6.0]).error.values.round(2).tolist()
    [0.0, 1.0]
    """
    lags, omega, theta = vector("lags", lags), vector("omega", omega), positive("theta", theta)
    p, system = basis(measure, order, lags, theta), hippo(measure, order, theta)
    inside = np.exp(-lags / theta) if measure in ("legs", "lagt") else (lags <= theta) * 1.0
    variables = {"weight": ("lag", inside / theta, "1/time unit", "weight of the past")}
    if omega.size:
        shares = np.full(omega.size, 1.0) if power is None else vector("power", power)
        if shares.shape != omega.shape or (shares < 0).any() or not shares.sum() > 0:
            raise ValueError(f"power of shape {shares.shape}: pass one number of at least 0 for each of the {omega.size} frequencies")
        read = system.frequency_response(omega)[:, :, 0] @ p.T
        squared = shares @ np.abs(read - np.exp(-1j * np.outer(omega, lags))) ** 2 / shares.sum()
        variables["error"] = ("lag", np.sqrt(squared), "1", "rms error of the past, over the signal's own rms")
    return dataset(variables, {"lag": ("lag", lags, "time unit", "how long ago")}, title=f"memory of HiPPO, {measure}",
                   source="Gu et al. (2020), section 2", parameters={"measure": measure, "order": order, "theta": theta})
