"""Rings of modes, the cost of their gradients, selective scans, bounds on coupled oscillators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...analysis.gradients.window import lag_axis
from ...arrays import softplus
from ...drive import drive_name
from ...labels import dataset
from ...models.oscillators import CoRNN
from ...models.selective import Selective
from ...runtime.validation import integer, is_real, number, public
from ...system import System, as_system
from ...typing import ArrayLike, Drive, Rng
from ..checks import gate_values, vector
from ..drive import drive_array, drive_rms
from ..gaussian import mean
from ..results import gradient_report, lag_coordinate, lyapunov_report, time_scale_entry
from .kernels import rms_power

if TYPE_CHECKING:
    from xarray import Dataset

RING = (
    "Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML, "
    "lemma 3.2"
)
CURSE = (
    "Zucchet and Orvieto (2024), Recurrent neural networks: vanishing and exploding gradients "
    "are not the end of the story, NeurIPS"
)


@public
def ring_spectrum(modes: int, r_min: float = 0.0, r_max: float = 1.0) -> Dataset:
    """Lyapunov spectrum to expect of an LRU at its ring initialisation.

    abs(lambda)^2 is uniform between r_min^2 and r_max^2, with mean (r_min^2 + r_max^2)/2. Returned
    are the quantiles (k - 1/2)/N of the law of ln abs(lambda), twice each.

    Parameters
    ----------
    modes : int
        Number N of complex modes.
    r_min, r_max : float, default 0.0 and 1.0
        Inner and outer radius of the ring.

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
        mean_square_modulus : (), 1
            Mean of abs(lambda)^2.
        time_scale : (), step
            -1/lambda_1, of the slowest quantile.

    Raises
    ------
    ValueError
        Unless 0 <= r_min < r_max <= 1.

    References
    ----------
    Orvieto et al. (2023), ICML (Resurrecting recurrent neural networks), lemma 3.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.theory.ring_spectrum(10, 0.9, 0.999).mean_square_modulus), 4)
    0.904
    """
    modes, (low, high) = integer("modes", modes), _ring(r_min, r_max)
    squares = high**2 - (np.arange(modes) + 0.5) / modes * (high**2 - low**2)
    exponents = np.repeat(0.5 * np.log(squares), 2)
    return lyapunov_report(
        exponents,
        title="ring initialisation",
        source=RING,
        parameters={"modes": modes, "r_min": low, "r_max": high},
        mean_square_modulus=((), (low**2 + high**2) / 2, "1", "mean of |lambda|^2"),
        time_scale=time_scale_entry(exponents[0]),
    )


@public
def ring_density(exponents: ArrayLike, r_min: float = 0.0, r_max: float = 1.0) -> Dataset:
    """Density of the exponents ln abs(lambda) at ring initialisation.

        p(l) = 2 exp(2 l)/(r_max^2 - r_min^2)   on   ln r_min < l < ln r_max.

    Parameters
    ----------
    exponents : float or array_like
        Exponents at which to evaluate it, per step.
    r_min, r_max : float, default 0.0 and 1.0
        Inner and outer radius of the ring.

    Returns
    -------
    xarray.Dataset
        density : (exponent_value,), step
            Probability density of the exponents.
        share_below : (exponent_value,), 1
            Share of the exponents below.

    Raises
    ------
    ValueError
        Unless 0 <= r_min < r_max <= 1.

    References
    ----------
    Orvieto et al. (2023), ICML (Resurrecting recurrent neural networks), lemma 3.2, by a change
    of variables.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.ring_density([-1e-9, 0.1]).density.values.round(6).tolist()
    [2.0, 0.0]
    """
    values, (low, high) = vector("exponents", exponents), _ring(r_min, r_max)
    squares = np.exp(2.0 * values)
    inside = (squares >= low**2) & (squares <= high**2)
    variables = {
        "density": (
            "exponent_value",
            np.where(inside, 2.0 * squares / (high**2 - low**2), 0.0),
            "step",
            "probability density of the exponents",
        ),
        "share_below": (
            "exponent_value",
            ((squares - low**2) / (high**2 - low**2)).clip(0.0, 1.0),
            "1",
            "share of the exponents below",
        ),
    }
    return dataset(
        variables,
        {"exponent_value": ("exponent_value", values, "1/step", "Lyapunov exponent")},
        title="ring initialisation",
        source=RING,
        parameters={"r_min": low, "r_max": high},
    )


def _ring(r_min, r_max):
    r_min, r_max = number("r_min", r_min), number("r_max", r_max)
    if not 0 <= r_min < r_max <= 1:
        raise ValueError(f"r_min = {r_min}, r_max = {r_max}: expected 0 <= r_min < r_max <= 1")
    return r_min, r_max


@public
def curse_of_memory(modulus: ArrayLike, correlation: float = 0.0) -> Dataset:
    """Variance of a mode's state and of its sensitivity to its own parameter.

    h_t = l h_(t-1) + u_t with input of variance 1. On white noise Var h = 1/(1 - l^2) and
    Var dh/dl = (1 + l^2)/(1 - l^2)^3: the longer the memory, the more a small change of l does.
    For complex l the same hold of abs(h)^2 and abs(dh/dl)^2. With l = exp(-exp(nu)) and the input
    scaled by gamma = sqrt(1 - l^2), as in an LRU, Var h = 1 and
    Var dh/dnu = (l ln l)^2/(1 - l^2)^2, which stays below 1/4.

    Parameters
    ----------
    modulus : float or array_like (modes,)
        l, strictly between 0 and 1.
    correlation : float, default 0.0
        Correlation c in [0, 1) from step to step of an input that is an autoregression of first
        order; slow input adds up. Only for real l.

    Returns
    -------
    xarray.Dataset
        state_variance : (mode,), 1
            Variance of the state.
        parameter_variance : (mode,), 1
            Variance of dh/dl.
        normalised_state_variance : (mode,), 1
            Variance of the state, input scaled by gamma.
        normalised_parameter_variance : (mode,), 1
            Variance of dh/dnu, input scaled by gamma.
        time_constant : (mode,), step
            Steps in which the mode falls to 1/e.

    Raises
    ------
    ValueError
        Where a modulus or the correlation is out of its range.

    References
    ----------
    Zucchet and Orvieto (2024), NeurIPS 37; the normalised form by differentiating gamma as well.

    Examples
    --------
    >>> import dynmem as dm
    >>> curse = dm.theory.curse_of_memory([0.9])
    >>> round(float(curse.state_variance[0]), 4), round(float(curse.parameter_variance[0]), 4)
    (5.2632, 263.8869)
    >>> round(float(curse.normalised_parameter_variance[0]), 4)
    0.2491
    """
    l, c = gate_values("modulus", modulus), number("correlation", correlation, least=0, below=1)
    V, K, P = np.transpose([_moments(each, c) for each in l])
    gamma, slope = np.sqrt(1 - l * l), l * np.log(l)  # slope is dl/dnu
    along = (slope * gamma) ** 2 * P - 2.0 * l * slope**2 * K + (l * slope / gamma) ** 2 * V
    names = {
        "state_variance": (V, "variance of the state"),
        "parameter_variance": (P, "variance of dh/dl"),
        "normalised_state_variance": (gamma**2 * V, "variance of the state, input scaled by gamma"),
        "normalised_parameter_variance": (along, "variance of dh/dnu, input scaled by gamma"),
    }
    variables = {name: ("mode", values, "1", text) for name, (values, text) in names.items()}
    variables["time_constant"] = (
        "mode",
        -1.0 / np.log(l),
        "step",
        "steps in which the mode falls to 1/e",
    )
    return dataset(
        variables,
        {"modulus": ("mode", l, "1", "modulus l of the mode")},
        title="curse of memory",
        source=CURSE,
        parameters={"correlation": c},
    )


def _moments(l, c):
    """Var h, Cov(h, dh/dl) and Var dh/dl."""
    if not c:
        rest = 1.0 - l * l
        return 1.0 / rest, l / rest**2, (1.0 + l * l) / rest**3
    from scipy.linalg import solve_discrete_lyapunov

    step = np.array([[c, 0.0, 0.0], [c, l, 0.0], [0.0, 1.0, l]])  # of (u, h, dh/dl)
    noise = np.sqrt(1.0 - c * c) * np.array([1.0, 1.0, 0.0])
    found = solve_discrete_lyapunov(step, np.outer(noise, noise))
    return found[1, 1], found[1, 2], found[2, 2]


@public
def selective_spectrum(system: System, *, drive: Drive = None, rng: Rng = 0) -> Dataset:
    """Lyapunov spectrum of a selective state-space model: A_hn times the mean step of channel h.

    The recurrence is diagonal and the input sets the steps, so that the exponents, never positive,
    are the mean of delta_t A: exact for given inputs, and for white noise of standard deviation s
    by the mean of softplus over a Gaussian of variance s^2 norm(W_h)^2 about b_h, W = W_up W_down.

    Parameters
    ----------
    system : Selective
        The model.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None is zero, a number the standard deviation of white noise, else an array
        (steps, inputs) or a function (rng, steps), of which 1000 steps are drawn.
    rng : int, Generator or None, default 0
        Seed of a drive that is a function.

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
            -1/lambda_1.
        mean_step : (unit,), 1
            Mean step delta of each channel.

    Raises
    ------
    TypeError
        For another system.
    ShapeError
        Where the drive is not of shape (steps, inputs).

    References
    ----------
    Gu and Dao (2023), arXiv:2312.00752 (Mamba), algorithm 2; the exponents by definition.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.Selective.random(2, modes=2)
    >>> bool((dm.theory.selective_spectrum(layer, drive=1.0).lyapunov < 0).all())
    True
    """
    model: Any = as_system(system, Selective)
    steps = _mean_step(model, drive, rng)
    rates = (model.A * steps[:, None]).ravel()
    return lyapunov_report(
        rates,
        title="selective state-space model",
        source=model.source,
        parameters={"drive": drive_name(drive)},
        time_scale=time_scale_entry(rates.max()),
        mean_step=("unit", steps, "1", "mean step delta of each channel"),
    )


@public
def selective_gradient(
    system: System, *, drive: Drive = None, lags: ArrayLike, rng: Rng = 0
) -> Dataset:
    """Gradient d x_T / d x_(T-lag) of a selective state-space model over the lag.

    1/2 ln of the mean of exp(2 lag lambda_i), lambda_i as ``selective_spectrum`` has them: the law
    of a typical window, whose own steps scatter about their mean.

    Parameters
    ----------
    system : Selective
        The model.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as for ``selective_spectrum``.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.
    rng : int, Generator or None, default 0
        Seed of a drive that is a function.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value.
        state_gradient : (lag,), 1
            Its exponential.
        time_scale : (), step
            -1/lambda_1.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    Gu and Dao (2023), arXiv:2312.00752 (Mamba), algorithm 2; the gradient by definition.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.Selective.random(2, modes=2)
    >>> dm.theory.selective_gradient(layer, drive=1.0, lags=[0]).state_gradient.values.tolist()
    [1.0]
    """
    rates = selective_spectrum(system, drive=drive, rng=rng).lyapunov.values
    lags = lag_axis(lags)
    return gradient_report(
        lags,
        rms_power(rates, lags),
        title="gradient of a selective model",
        source=Selective.source,
        parameters={"drive": drive_name(drive)},
        time_scale=time_scale_entry(rates.max()),
    )


def _mean_step(model: Any, drive: Drive, rng: Rng) -> np.ndarray:
    """Mean step of each channel under white noise, or under inputs (steps, channels)."""
    if drive is not None and not is_real(drive):
        return model.step(drive_array(model, drive, None, rng)).mean(axis=0)
    sd = drive_rms(model, drive) * np.linalg.norm(model.W_up @ model.W_down, axis=1)
    return np.array(
        [mean(lambda z, b=b: softplus(b + z), s * s) for b, s in zip(model.b, sd, strict=True)]
    )


@public
def cornn_bounds(system: System, *, lags: ArrayLike) -> Dataset:
    """Bounds on a coRNN that hold for every input: amplitude, gradient, and first exponent.

    Each oscillator is a damped linear one under a force of at most 1, so that from rest abs(y) and
    abs(z) stay below the sums of the absolute impulse response of the scheme: amplitude_bound and
    velocity_bound after ``lag`` steps (in the limit of small steps and long times
    abs(y) <= coth(pi epsilon/(2 w))/gamma, w = sqrt(4 gamma - epsilon^2), or 1/gamma where
    overdamped). With rows of abs(W) + abs(U) of sum at most s and G = max(r, 1 + step r),
    r = (1 + step (s + gamma))/(1 + step epsilon), every Jacobian has a maximum norm of at most G:
    the gradient grows at most as sqrt(n) G^lag, lambda_1 <= ln G = O(step). As
    det J = det(I + step D U)/(1 + step epsilon)^N with 0 <= D <= 1, the mean of the exponents, and
    so the first of them, is at least 1/2 ln((1 - step abs(U))/(1 + step epsilon)). With explicit
    damping r = abs(1 - step epsilon) + step (s + gamma), and the lower bound is
    1/2 ln(abs(1 - step epsilon) - step abs(U)).

    Parameters
    ----------
    system : CoRNN
        The model.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.

    Returns
    -------
    xarray.Dataset
        log_state_gradient_bound : (lag,), 1
            Upper bound on the logarithm of the norm of d x_T / d x_(T-lag).
        amplitude_bound : (lag,), 1
            Upper bound on abs(y) so many steps after rest.
        velocity_bound : (lag,), 1
            Upper bound on abs(z) so many steps after rest.
        lyapunov_upper : (), 1/step
            Upper bound on the first Lyapunov exponent.
        lyapunov_lower : (), 1/step
            Lower bound on the mean of the exponents; -inf where none is known.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For lags that are not whole numbers of at least 0.

    References
    ----------
    The scheme itself; compare Rusch and Mishra (2021), ICLR (coRNN), section 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> model = dm.models.CoRNN.random(4, 1, epsilon=4.0, gamma=4.0, step=0.01)
    >>> round(float(dm.theory.cornn_bounds(model, lags=[5000]).amplitude_bound[0]), 3)
    0.25
    """
    cell: Any = as_system(system, CoRNN)
    lags = lag_axis(lags)
    h, implicit = cell.step, cell.damping == "implicit"
    kept = 1.0 / (1.0 + h * cell.epsilon) if implicit else 1.0 - h * cell.epsilon
    share = kept if implicit else 1.0  # of the force
    rows = np.abs(cell.W).sum(axis=1) + np.abs(cell.U).sum(axis=1)
    r = abs(kept) + share * h * (rows.max() + cell.gamma)
    growth = np.log(max(r, 1.0 + h * r))
    # no eigenvalue of dz_t/dz_(t-1) is smaller
    least = abs(kept) - share * h * np.abs(cell.U).sum(axis=1).max()
    lower = 0.5 * np.log(least) if least > 0 else -np.inf
    step = np.array([[1.0 - h * h * share * cell.gamma, h * kept], [-h * share * cell.gamma, kept]])
    amplitude, velocity = _absolute_response(step, share * h * np.array([h, 1.0]), lags)
    bound = np.where(lags > 0, lags * growth + 0.5 * np.log(cell.size), 0.0)
    variables = {
        "log_state_gradient_bound": (
            "lag",
            bound,
            "1",
            "upper bound on the logarithm of the norm of d x_T / d x_(T-lag)",
        ),
        "amplitude_bound": (
            "lag",
            amplitude,
            "1",
            "upper bound on |y| after so many steps from rest",
        ),
        "velocity_bound": (
            "lag",
            velocity,
            "1",
            "upper bound on |z| after so many steps from rest",
        ),
        "lyapunov_upper": ((), growth, "1/step", "upper bound on the first Lyapunov exponent"),
        "lyapunov_lower": (
            (),
            lower,
            "1/step",
            "lower bound on the mean of the Lyapunov exponents",
        ),
    }
    return dataset(
        variables,
        lag_coordinate(lags),
        title="bounds on coupled oscillators",
        source=CoRNN.source,
        parameters={
            "gamma": cell.gamma,
            "epsilon": cell.epsilon,
            "step": h,
            "damping": cell.damping,
        },
    )


def _absolute_response(step, kick, lags):
    """Sums of |M^j kick| over j below each lag, of both components."""
    sums, state = np.zeros((int(lags.max()) + 1, 2)), kick
    for j in range(1, len(sums)):
        sums[j], state = sums[j - 1] + np.abs(state), step @ state
    return sums[lags].T
