"""Memories of linear state-space models: exponents and kernels under each discretisation, delays as
Pade fractions, what HiPPO remembers."""

import math

import numpy as np

from ...labels import dataset
from ...models import S4, S4D, LinearAttention
from ...models.diagonal import Diagonal
from ...models.hippo import basis, hippo
from ...models.ssm import StateSpace
from ...system import as_system
from ..checks import count, lag_axis, positive, vector
from ..linear import linear_gradient
from ..results import gradient_report, horizon_entry, lyapunov_report

# the factor by which a mode lambda is multiplied in a step, as a function of z = step lambda
STEPS = {
    "zoh": np.exp,
    "bilinear": lambda z: (1 + z / 2) / (1 - z / 2),
    "euler": lambda z: 1 + z,
}


def sampled_spectrum(eigenvalues, step=1.0, method="zoh"):
    """Exponents, per step, of a linear flow with these eigenvalues that is stepped with zero-order
    hold, bilinear rule or Euler.

    zoh: step Re lambda; bilinear: ln |(1 + step lambda/2) / (1 - step lambda/2)|; euler: ln |1 +
    step lambda|. The bilinear rule keeps every stable flow stable and Euler does not: an undamped
    oscillator grows by 1/2 ln(1 + step^2 omega^2) each step.

    eigenvalues: complex (n,), each of a conjugate pair by itself; step: time units. Returns
    lyapunov(exponent), eigenvalue(exponent) of one step, kaplan_yorke_dimension, entropy_rate,
    horizon (steps). Raises ValueError for another method. Source: Gu et al. (2022), S4D;
    definition.

    >>> [round(sampled_spectrum([-1.0], 0.1, method).lyapunov.item(), 6) for method in ("zoh", "bilinear", "euler")]
    [-0.1, -0.100083, -0.105361]
    """
    values, step = np.atleast_1d(np.asarray(eigenvalues, dtype=complex)), positive("step", step)
    if method not in STEPS:
        raise ValueError(f"method must be one of {', '.join(STEPS)}, got {method!r}")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues of shape {values.shape}: pass a vector of finite numbers")
    with np.errstate(divide="ignore"):
        exponents = (
            step * values.real if method == "zoh" else np.log(np.abs(STEPS[method](step * values)))
        )
    order = np.argsort(-exponents, kind="stable")
    return lyapunov_report(
        exponents,
        title=f"spectrum of a linear flow, {method}",
        source="Gu, Goel, Gupta and Re (2022), S4D",
        parameters={"step": step, "method": method},
        horizon=horizon_entry(exponents.max()),
        eigenvalue=("exponent", STEPS[method](step * values[order]), "1", "eigenvalue of one step"),
    )


def state_space_spectrum(model):
    """Exponents of a linear memory, per step, whatever its input: the twin of
    ``dm.lyapunov_spectrum`` for S4D, S4, LRU, S5, linear attention.

    Those of the modes as ``sampled_spectrum`` has them; ln r of a head of linear attention, as
    often as its memory has entries, 0 where nothing decays. Returns what ``sampled_spectrum`` does.
    Raises TypeError for other models. Source: definition.

    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4)
    >>> bool(np.allclose(state_space_spectrum(model).lyapunov, -0.5 * np.exp(model.log_step)))
    True
    """
    modes, method = _modes(as_system(model))
    return sampled_spectrum(modes, method=method)


def _modes(model):
    """Eigenvalues, complex (n,), of the continuous form of a linear memory, its step being the unit
    of time, and the method that samples it."""
    if isinstance(model, LinearAttention):
        rates = np.zeros(model.heads) if model.log_rate is None else -np.exp(model.log_rate)
        return np.broadcast_to(rates[:, None, None], model.shape).ravel(), "zoh"
    if isinstance(model, S4):
        return np.concatenate(
            [model.continuous(h).eigenvalues for h in range(model.units)]
        ), "bilinear"
    if isinstance(model, Diagonal):
        rates, method = model.rates, "zoh"
    elif isinstance(model, S4D):
        rates, method = (
            (
                np.exp(model.log_step)[:, None] * (-np.exp(model.log_decay) + 1j * model.frequency)
            ).ravel(),
            model.method,
        )
    else:
        raise TypeError(
            f"the modes of {type(model).__name__} depend on each other and on the "
            "input: pass an S4D, S4, LRU, S5 or LinearAttention"
        )
    return np.concatenate([rates, rates.conj()]), method


def state_space_gradient(model, lags):
    """Gradients of the same models over the lag: the twin of ``dm.gradient_norms``, whatever state
    and input.

    d x_T / d x_(T-lag) is the power A^lag, where modes do not meet sqrt(mean |a|^(2 lag)); d y_T /
    d u_(T-lag) is the kernel, its root mean square singular value, which of linear attention
    depends on the input and is left out. lags: whole numbers of steps. Returns
    log_state_gradient(lag), log_input_gradient(lag), their exponentials, and horizon.

    >>> import dynmem as dm
    >>> state_space_gradient(dm.models.S4D.random(1, 1, modes=4), [0, 10]).state_gradient.values[0]
    np.float64(1.0)
    """
    lags, rates = lag_axis(lags), state_space_spectrum(model).lyapunov.values
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = _s4_powers(model, lags) if isinstance(model, S4) else rms_power(rates, lags)
        size = None if isinstance(model, LinearAttention) else _kernel_size(model, lags)
        seen = (
            {}
            if size is None
            else {
                "log_input_gradient": (
                    "lag",
                    np.log(size),
                    "nat",
                    "logarithm of the rms singular value of d y_T / d u_(T-lag)",
                ),
                "input_gradient": ("lag", size, "1", "rms singular value of d y_T / d u_(T-lag)"),
            }
        )
    return gradient_report(
        lags,
        growth,
        title=f"gradients of {type(model).__name__}",
        source="definition: powers of A, and the kernel",
        parameters={"model": type(model).__name__, "size": model.size},
        horizon=horizon_entry(rates.max()),
        **seen,
    )


def _s4_powers(model, lags):
    """Logarithm of the root mean square singular value of A^lag, from that of each channel, whose
    modes meet in the truncated HiPPO matrix."""
    from scipy.special import logsumexp

    each = [linear_gradient(A, lags).log_state_gradient.values for A in model.matrices()[0]]
    return 0.5 * (logsumexp(2.0 * np.array(each), axis=0) - np.log(len(each)))


def rms_power(rates, lags):
    """1/2 ln of the mean of exp(2 lag rate) over the rates, shape (lags,): the gradient of modes
    that do not meet."""
    from scipy.special import logsumexp

    with np.errstate(invalid="ignore"):
        powers = np.where(lags[:, None] == 0, 0.0, 2 * np.outer(lags, rates))
    return (logsumexp(powers, axis=1) - np.log(len(rates))) / 2


def _kernel_size(model, lags):
    """Root mean square of the kernel's singular values at the lags, one for each input, as
    ``dm.gradient_norms`` has it."""
    if isinstance(model, StateSpace):  # a number for each channel
        return np.sqrt(np.mean(model.kernel(int(lags.max()) + 1)[lags] ** 2, axis=1))
    _, _, B_re, B_im = model.coefficients
    B, C = B_re + 1j * B_im, model.C_re + 1j * model.C_im
    kernel = np.array(
        [
            model.copies * ((C * model.eigenvalues**lag) @ B).real + model.D * (lag == 0)
            for lag in lags
        ]
    )
    return np.sqrt((kernel**2).sum(axis=(1, 2)) / model.inputs)


def state_space_kernel(model, lags):
    """Kernel of an S4D model, channel by channel, with the time constants of its modes and the
    envelope that they set.

    K(lag) = 2 Re sum_m C_m b_m a_m^lag, |K| <= 2 sum_m |C_m b_m| |a_m|^lag; a mode falls to 1/e in
    -1/ln|a_m| steps, which with the zero-order hold is 1/(step |Re lambda|).

    lags: whole numbers of steps. Returns kernel(lag, output), envelope(lag, output),
    time_constant(output, mode) in steps and period(output, mode), infinite where a mode does not
    turn. Raises TypeError for other models. Source: Gu, Goel, Gupta and Re (2022), S4D.

    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4, step_min=0.01, step_max=0.01)
    >>> state_space_kernel(model, [0]).time_constant.values.round(6).tolist()
    [[200.0, 200.0]]
    """
    if not isinstance(model, S4D):
        raise TypeError(
            f"a {type(model).__name__} has no modes channel by channel: pass an S4D; "
            "model.kernel(length) is the kernel of others"
        )
    lags = lag_axis(lags)
    re, im, b_re, b_im = model.coefficients
    a, weight = re + 1j * im, 2 * (model.C[..., 0] + 1j * model.C[..., 1]) * (b_re + 1j * b_im)
    with np.errstate(divide="ignore"):
        rate, turn = np.log(np.abs(a)), np.abs(np.angle(a))
        period = 2 * np.pi / turn
    terms = weight * np.exp(lags[:, None, None] * (rate + 1j * np.angle(a)))
    return dataset(
        {
            "kernel": (
                ("lag", "output"),
                terms.real.sum(axis=-1) + model.D * (lags == 0)[:, None],
                "1",
                "response to a unit impulse",
            ),
            "envelope": (
                ("lag", "output"),
                np.abs(terms).sum(axis=-1),
                "1",
                "bound on the response, D left out",
            ),
            "time_constant": (
                ("output", "mode"),
                -1 / rate,
                "step",
                "lag at which a mode has fallen to 1/e",
            ),
            "period": (("output", "mode"), period, "step", "period of a mode"),
        },
        {"lag": ("lag", lags, "step", "lag")},
        title="kernel of a diagonal state-space model",
        source="Gu, Goel, Gupta and Re (2022), S4D",
        parameters={"channels": model.units, "modes": model.modes, "method": model.method},
    )


def precision_budget(rate, lengths, roundoff=2.0**-24):
    """Relative error, of the order of, that rounding makes in a linear mode |a| = exp(-rate) driven
    by white noise over a sequence.

    coefficient_error: a is off by ``roundoff``, so that lag j is off by j times that: roundoff
    sqrt(sum j^2 |a|^(2j) / sum |a|^(2j)), for long sequences roundoff tau / sqrt(2) with tau =
    1/rate: what a model loses when it is stored in another precision, in every form alike.
    step_error: each step rounds the state anew, roundoff sqrt(sum |a|^(2j)), for long sequences
    roundoff sqrt(tau / 2): what the recurrence and the convolution of the same stored model differ
    by.

    rate: per step; lengths: steps (k,); roundoff: 2^-24 in single, 2^-53 in double precision.
    Returns coefficient_error(length), step_error(length). Source: first order in the rounding
    errors, taken as independent.

    >>> d = precision_budget(0.01, [10**6], 1e-7)
    >>> d.coefficient_error.values.round(8).tolist(), d.step_error.values.round(8).tolist()
    ([7.04e-06], [7.1e-07])
    """
    rate, roundoff, lengths = (
        positive("rate", rate),
        positive("roundoff", roundoff),
        lag_axis(lengths),
    )
    if (lengths < 1).any():
        raise ValueError(f"lengths = {lengths.tolist()!s:.60}: pass at least one step")
    j = np.arange(min(lengths.max(), int(np.ceil(40 / rate))))  # exp(-80) lies below every rounding
    weight = np.exp(-2 * rate * j)
    last = np.minimum(lengths, len(j)) - 1
    total, moved = np.cumsum(weight)[last], np.cumsum(j**2 * weight)[last]
    return dataset(
        {
            "coefficient_error": (
                "length",
                roundoff * np.sqrt(moved / total),
                "1",
                "relative error from a rounded coefficient",
            ),
            "step_error": (
                "length",
                roundoff * np.sqrt(total),
                "1",
                "relative error from the rounding of each step",
            ),
        },
        {"length": ("length", lengths, "step", "length of the sequence")},
        title="precision budget of a linear mode",
        source="first order in independent rounding errors",
        parameters={"rate": rate, "roundoff": roundoff},
    )


def pade_delay(order, omega, theta=1.0):
    """The delay that a Legendre memory makes, the [q-1/q] Pade approximant of exp(-theta s), at
    angular frequencies omega.

    R(s) = sum_j N_j (-theta s)^j / sum_j D_j (theta s)^j with N_j = (2q-1-j)! (q-1)! / ((2q-1)! j!
    (q-1-j)!) and D_j = (2q-1-j)! q! / ((2q-1)! j! (q-j)!). Near omega = 0 the error is (q-1)! q! /
    ((2q-1)! (2q)!) (theta omega)^(2q): the delay holds up to theta omega of about q, and fails
    above.

    order: q; omega: radians per time unit; theta: time units. Returns gain(frequency),
    phase_delay(frequency), error(frequency) =
    |R(i omega) - exp(-i omega theta)| and its leading_error(frequency). Source: Voelker, Kajic and Eliasmith (2019), section 2; Pade (1892).

    >>> pade_delay(6, [0.5, 20.0]).error.values.round(4).tolist()
    [0.0, 0.6719]
    """
    q, omega, theta = count("order", order), vector("omega", omega), positive("theta", theta)
    z = 1j * theta * omega
    response = ratio(pade_coefficients(q), z)
    leading = np.exp(
        math.lgamma(q) + math.lgamma(q + 1) - math.lgamma(2 * q) - math.lgamma(2 * q + 1)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        delay = np.where(omega == 0, theta, -np.unwrap(np.angle(response)) / omega)
        first = leading * np.abs(z) ** (2 * q)
    return dataset(
        {
            "gain": ("frequency", np.abs(response), "1", "gain"),
            "phase_delay": (
                "frequency",
                delay,
                "time unit",
                "phase over frequency, for frequencies close enough to unwrap it",
            ),
            "error": (
                "frequency",
                np.abs(response - np.exp(-z)),
                "1",
                "distance from the exact delay",
            ),
            "leading_error": ("frequency", first, "1", "first term of the error at low frequency"),
        },
        {"frequency": ("frequency", omega, "radian per time unit", "angular frequency")},
        title="delay of a Legendre memory",
        source="Voelker, Kajic and Eliasmith (2019), section 2",
        parameters={"order": q, "theta": theta},
    )


def pade_coefficients(q):
    """Coefficients of the [q-1/q] Pade approximant of exp(-z), of rising powers: numerator (q,),
    denominator (q + 1,).

    >>> [c.tolist() for c in pade_coefficients(2)] == [[1.0, -1 / 3], [1.0, 2 / 3, 1 / 6]]  # (6 - 2z) / (6 + 4z + z^2)
    True
    """

    def part(n, sign):
        whole = math.factorial(2 * q - 1)
        return [
            sign**j
            * math.factorial(2 * q - 1 - j)
            * math.factorial(n)
            / (whole * math.factorial(j) * math.factorial(n - j))
            for j in range(n + 1)
        ]

    return np.array(part(q - 1, -1)), np.array(part(q, 1))


def ratio(coefficients, z):
    """The fraction at the points z: for large z in powers of 1/z, so that nothing overflows."""
    top, bottom = coefficients
    small = np.abs(z) <= 1
    near, far = np.where(small, z, 0.0), 1.0 / np.where(small, 1.0, z)
    direct = np.polyval(top[::-1], near) / np.polyval(bottom[::-1], near)
    return np.where(small, direct, np.polyval(top, far) * far / np.polyval(bottom, far))


def hippo_memory(measure, order, lags, omega=(), power=None, theta=1.0):
    """What a HiPPO state of this order remembers: the weight of the past, and the error with which
    a signal is read back from the state.

    Of exp(i omega t) the state is (i omega - A)^-1 B exp(i omega t), and what is read at lag s is
    p(s) . (i omega - A)^-1 B exp(i omega t) where exp(i omega (t - s)) was: the root mean square of
    the difference, over frequencies with these powers, is exact for any stationary signal of that
    spectrum.

    measure: legs, legt, lagt or fourier; lags: times s >= 0; omega (k,): radians per time unit;
    power (k,), equal if None; theta: time units. Returns weight(lag) per time unit and, with
    frequencies, error(lag), relative to the signal's own root mean square: 1 is what knowing
    nothing costs. Source: Gu et al. (2020), section 2; the error follows from linearity.

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
            raise ValueError(
                f"power of shape {shares.shape}: pass one number of at least 0 for "
                f"each of the {omega.size} frequencies"
            )
        read = system.frequency_response(omega)[:, :, 0] @ p.T
        squared = shares @ np.abs(read - np.exp(-1j * np.outer(omega, lags))) ** 2 / shares.sum()
        variables["error"] = (
            "lag",
            np.sqrt(squared),
            "1",
            "rms error of the past, over the signal's own rms",
        )
    return dataset(
        variables,
        {"lag": ("lag", lags, "time unit", "how long ago")},
        title=f"memory of HiPPO, {measure}",
        source="Gu et al. (2020), section 2",
        parameters={"measure": measure, "order": order, "theta": theta},
    )
