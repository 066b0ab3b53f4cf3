"""Linear state-space models: exponents, gradients and kernels, and the precision they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...analysis.gradients.window import lag_axis
from ...labels import complex_parts, dataset
from ...models import S4, S4D, LinearAttention
from ...models.diagonal import Diagonal
from ...models.ssm import StateSpace
from ...runtime.validation import choice, integer, number, public
from ...system import System, as_system
from ...typing import ArrayLike
from ..linear import linear_gradient
from ..results import (
    gradient_report,
    lag_coordinate,
    lyapunov_report,
    time_scale_entry,
)

if TYPE_CHECKING:
    from xarray import Dataset

# the factor by which a mode lambda is multiplied in a step, as a function of z = step lambda
STEPS: dict[str, Callable] = {
    "zoh": np.exp,
    "bilinear": lambda z: (1 + z / 2) / (1 - z / 2),
    "euler": lambda z: 1 + z,
}


@public
def sampled_spectrum(eigenvalues: ArrayLike, step: float = 1.0, method: str = "zoh") -> Dataset:
    """Exponents, per step, of a linear flow sampled by zero-order hold, bilinear rule or Euler.

    zoh: step Re lambda; bilinear: ln abs((1 + step lambda/2) / (1 - step lambda/2)); euler:
    ln abs(1 + step lambda). The bilinear rule keeps every stable flow stable and Euler does not:
    an undamped oscillator grows by 1/2 ln(1 + step^2 omega^2) each step.

    Parameters
    ----------
    eigenvalues : complex or array_like (n,)
        Eigenvalues of the flow, both of a conjugate pair.
    step : float, default 1.0
        Step, in time units.
    method : str, default "zoh"
        "zoh", "bilinear" or "euler".

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
        eigenvalue_real : (exponent,), 1
            Real part of the eigenvalue of one step.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.

    Raises
    ------
    ValueError
        For another method, a step that is not above 0, or eigenvalues that are not finite.

    References
    ----------
    Gu, Goel, Gupta and Re (2022), NeurIPS 35 (S4D), section 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> for method in ("zoh", "bilinear", "euler"):
    ...     print(round(dm.theory.sampled_spectrum([-1.0], 0.1, method).lyapunov.item(), 6))
    -0.1
    -0.100083
    -0.105361
    """
    values = np.atleast_1d(np.asarray(eigenvalues, dtype=complex))
    step, method = number("step", step, above=0), choice("method", method, STEPS)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"eigenvalues has shape {values.shape}, expected a vector of finite numbers"
        )
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
        time_scale=time_scale_entry(exponents.max()),
        **complex_parts(
            "eigenvalue",
            "exponent",
            STEPS[method](step * values[order]),
            "1",
            "eigenvalue of one step",
        ),
    )


@public
def state_space_spectrum(system: System) -> Dataset:
    """Exponents of a linear memory, per step, whatever its input.

    The twin of ``dm.lyapunov_spectrum`` for S4D, S4, LRU, S5 and linear attention. Those of the
    modes as ``sampled_spectrum`` has them; of a head of linear attention ln r, as often as its
    memory has entries, 0 where nothing decays.

    Parameters
    ----------
    system : Map
        An S4D, S4, LRU, S5 or LinearAttention.

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
        eigenvalue_real : (exponent,), 1
            Real part of the eigenvalue of one step.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.

    Raises
    ------
    TypeError
        For a model whose modes depend on each other or on the input.

    References
    ----------
    Gu, Goel, Gupta and Re (2022), NeurIPS 35 (S4D), section 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4)
    >>> exponents = dm.theory.state_space_spectrum(model).lyapunov
    >>> bool(np.allclose(exponents, -0.5 * np.exp(model.log_step)))
    True
    """
    modes, method = _modes(as_system(system))
    return sampled_spectrum(modes, method=method)


def _modes(model: Any) -> tuple[np.ndarray, str]:
    """Eigenvalues, complex (n,), of the continuous form of a linear memory, in units of its step,
    and the method that samples it."""
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
            "input: expected an S4D, S4, LRU, S5 or LinearAttention"
        )
    return np.concatenate([rates, rates.conj()]), method


@public
def state_space_gradient(system: System, *, lags: ArrayLike) -> Dataset:
    """Gradients of a linear memory over the lag, whatever state and input.

    The twin of ``dm.gradient_norms`` for S4D, S4, LRU, S5 and linear attention. d x_T / d x_(T-lag)
    is the power A^lag, where modes do not mix sqrt(mean abs(a)^(2 lag)); d y_T / d u_(T-lag) is
    the kernel, its root mean square singular value, which of linear attention depends on the
    input and is left out.

    Parameters
    ----------
    system : Map
        An S4D, S4, LRU, S5 or LinearAttention.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value of d x_T / d x_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        log_input_gradient : (lag,), 1
            The same of d y_T / d u_(T-lag) [optional].
        input_gradient : (lag,), 1
            Its exponential [optional].
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.

    Raises
    ------
    TypeError
        For a model whose modes depend on each other or on the input.
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    Gu, Goel, Gupta and Re (2022), NeurIPS 35 (S4D), section 3: the kernel.

    Examples
    --------
    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4)
    >>> float(dm.theory.state_space_gradient(model, lags=10).state_gradient[0])
    1.0
    """
    model: Any = as_system(system)
    lags, rates = lag_axis(lags), state_space_spectrum(model).lyapunov.values
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = _s4_powers(model, lags) if isinstance(model, S4) else rms_power(rates, lags)
        size = None if isinstance(model, LinearAttention) else _kernel_size(model, lags)
        by_input: dict[str, Any] = {}
        if size is not None:
            text = "|d y_T / d u_(T-lag)|"
            by_input = {
                "log_input_gradient": ("lag", np.log(size), "1", f"ln {text}"),
                "input_gradient": ("lag", size, "1", text),
            }
    return gradient_report(
        lags,
        growth,
        title=f"gradients of {type(model).__name__}",
        source="definition: powers of A, and the kernel",
        parameters={"model": type(model).__name__, "size": model.size},
        time_scale=time_scale_entry(rates.max()),
        **by_input,
    )


def _s4_powers(model, lags):
    """Logarithm of the root mean square singular value of A^lag, from that of each channel."""
    from scipy.special import logsumexp

    each = [linear_gradient(A, lags).log_state_gradient.values for A in model.matrices()[0]]
    return 0.5 * (logsumexp(2.0 * np.array(each), axis=0) - np.log(len(each)))


def rms_power(rates, lags):
    """1/2 ln of the mean of exp(2 lag rate) over the rates, (lags,): modes that do not mix."""
    from scipy.special import logsumexp

    with np.errstate(invalid="ignore"):
        powers = np.where(lags[:, None] == 0, 0.0, 2 * np.outer(lags, rates))
    return (logsumexp(powers, axis=1) - np.log(len(rates))) / 2


def _kernel_size(model, lags):
    """Root mean square of the kernel's singular values at the lags, one for each input."""
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


@public
def state_space_kernel(system: S4D, *, lags: ArrayLike) -> Dataset:
    """Kernel of an S4D model, channel by channel, with the time constants of its modes.

        K(lag) = 2 Re sum_m C_m b_m a_m^lag,   abs(K) <= 2 sum_m abs(C_m b_m) abs(a_m)^lag;

    a mode falls to 1/e in -1/ln abs(a_m) steps, with the zero-order hold 1/(step abs(Re lambda)).

    Parameters
    ----------
    system : S4D
        The model.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.

    Returns
    -------
    xarray.Dataset
        kernel : (lag, output), 1
            Response to a unit impulse.
        envelope : (lag, output), 1
            Bound on the response, D left out.
        time_constant : (output, mode), step
            Lag at which a mode has fallen to 1/e.
        period : (output, mode), step
            Period of a mode, infinite where it does not oscillate.

    Raises
    ------
    TypeError
        For other models: they have no modes channel by channel.

    References
    ----------
    Gu, Goel, Gupta and Re (2022), NeurIPS 35 (S4D), section 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> model = dm.models.S4D.random(1, 1, modes=4, step_min=0.01, step_max=0.01)
    >>> dm.theory.state_space_kernel(model, lags=[0]).time_constant.values.round(6).tolist()
    [[200.0, 200.0]]
    """
    model: Any = as_system(system)
    if not isinstance(model, S4D):
        raise TypeError(
            f"a {type(model).__name__} has no modes channel by channel: expected an S4D; "
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
        lag_coordinate(lags),
        title="kernel of a diagonal state-space model",
        source="Gu, Goel, Gupta and Re (2022), S4D",
        parameters={"channels": model.units, "modes": model.modes, "method": model.method},
    )


@public
def precision_budget(rate: float, lengths: ArrayLike, roundoff: float = 2.0**-24) -> Dataset:
    """Relative error that rounding leaves in a linear mode driven by white noise.

    abs(a) = exp(-rate). coefficient_error: a is off by ``roundoff``, so that lag j is off by j
    times that: roundoff sqrt(sum j^2 abs(a)^(2j) / sum abs(a)^(2j)), for long sequences
    roundoff tau / sqrt(2) with tau = 1/rate: the error of a model stored in another precision, in
    every form alike. step_error: each step rounds the state anew, roundoff sqrt(sum abs(a)^(2j)),
    for long sequences roundoff sqrt(tau / 2): the difference between recurrence and convolution
    of one stored model. Both are orders of magnitude.

    Parameters
    ----------
    rate : float
        Decay of the mode, per step.
    lengths : int or array_like of int
        Lengths of the sequence, in steps.
    roundoff : float, default 2**-24
        Relative rounding error: 2**-24 in single, 2**-53 in double precision.

    Returns
    -------
    xarray.Dataset
        coefficient_error : (length,), 1
            Relative error from a rounded coefficient.
        step_error : (length,), 1
            Relative error from the rounding of each step.

    Raises
    ------
    ValueError
        Where the rate or the roundoff is not above 0, or a length is below 1.

    References
    ----------
    Higham (2002), Accuracy and Stability of Numerical Algorithms, ch. 3: first order in the
    rounding errors, taken as independent.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.precision_budget(0.01, [10**6], 1e-7)
    >>> f"{found.coefficient_error.item():.2e}", f"{found.step_error.item():.2e}"
    ('7.04e-06', '7.11e-07')
    """
    rate, roundoff = number("rate", rate, above=0), number("roundoff", roundoff, above=0)
    lengths = np.array([integer("lengths", value) for value in np.atleast_1d(lengths).tolist()])
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
