"""State-space models on paper: rings of modes, what their gradients cost, the exponents of a
selective scan, bounds on coupled oscillators."""

import numpy as np

from ...arrays import softplus
from ...errors import ShapeError
from ...labels import dataset
from ...models.oscillators import CoRNN
from ...models.selective import Selective
from ...system import as_input, as_system
from ..checks import count, lag_axis, not_negative, number, vector
from ..gaussian import mean
from ..results import gradient_report, horizon_entry, lyapunov_report
from .kernels import rms_power

RING = (
    "Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML, "
    "lemma 3.2"
)
CURSE = (
    "Zucchet and Orvieto (2024), Recurrent neural networks: vanishing and exploding gradients "
    "are not the end of the story, NeurIPS"
)


def ring_spectrum(modes, r_min=0.0, r_max=1.0):
    """Lyapunov spectrum to expect of an LRU at its ring initialisation: exponents, twice each, at
    the quantiles (k - 1/2)/N of their law.

    |lambda|^2 is uniform between r_min^2 and r_max^2, so that its mean is (r_min^2 + r_max^2)/2.

    Returns lyapunov(exponent), mean_square_modulus, horizon (steps), that of the slowest quantile.
    Raises ValueError unless 0 <= r_min < r_max <= 1. Source: Orvieto et al. (2023), lemma 3.2.

    >>> round(float(ring_spectrum(10, 0.9, 0.999).mean_square_modulus), 4)
    0.904
    """
    modes, (low, high) = count("modes", modes), _ring(r_min, r_max)
    squares = high**2 - (np.arange(modes) + 0.5) / modes * (high**2 - low**2)
    exponents = np.repeat(0.5 * np.log(squares), 2)
    return lyapunov_report(
        exponents,
        title="ring initialisation",
        source=RING,
        parameters={"modes": modes, "r_min": low, "r_max": high},
        mean_square_modulus=((), (low**2 + high**2) / 2, "1", "mean of |lambda|^2"),
        horizon=horizon_entry(exponents[0]),
    )


def ring_density(exponents, r_min=0.0, r_max=1.0):
    """Density of the exponents ln|lambda| at ring initialisation, p(l) = 2 exp(2 l)/(r_max^2 -
    r_min^2) on ln r_min < l < ln r_max.

    exponents: where to take it, one number or a vector, per step. Returns density(exponent_value),
    share_below(exponent_value). Source: Orvieto et al. (2023), lemma 3.2, by a change of variables.

    >>> ring_density([-1e-9, 0.1]).density.values.round(6).tolist()
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
        raise ValueError(
            f"r_min = {r_min}, r_max = {r_max}: the ring needs 0 <= r_min < r_max <= 1"
        )
    return r_min, r_max


def curse_of_memory(modulus, correlation=0.0):
    """What a mode's memory costs: variances of its state and of its sensitivity to its own
    parameter, under stationary input of variance 1.

    h_t = l h_(t-1) + u_t. On white noise Var h = 1/(1 - l^2) and Var dh/dl = (1 + l^2)/(1 - l^2)^3:
    the longer the memory, the more a small change of l does. For complex l the same hold of |h|^2
    and |dh/dl|^2. With l = exp(-exp(nu)) and the input scaled by gamma = sqrt(1 - l^2), as in an
    LRU, Var h = 1 and Var dh/dnu = (l ln l)^2/(1 - l^2)^2, which stays below 1/4: the cure.
    ``correlation`` c, u of an autoregression of first order: both grow further, since slow input
    adds up; only for real l, positive.

    modulus: l, one number or a vector, in (0, 1); correlation in [0, 1). Returns, over ``mode``:
    state_variance, parameter_variance, normalised_state_variance, normalised_parameter_variance,
    time_constant (steps). Source: Zucchet and Orvieto (2024); the normalised form by
    differentiating gamma as well.

    >>> curse = curse_of_memory([0.9])
    >>> [round(float(curse[name][0]), 4) for name in ("state_variance", "parameter_variance", "normalised_parameter_variance")]
    [5.2632, 263.8869, 0.2491]
    """
    l, c = vector("modulus", modulus), number("correlation", correlation)
    if not ((l > 0) & (l < 1)).all():
        raise ValueError(
            f"modulus = {l.tolist()}: a mode that remembers and does not explode has "
            "a modulus strictly between 0 and 1"
        )
    if not 0 <= c < 1:
        raise ValueError(f"correlation = {c}: pass a number in [0, 1)")
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


def selective_spectrum(system, u):
    """Lyapunov spectrum of a selective state-space model: A_hn times the mean step of channel h,
    never positive.

    The recurrence is diagonal and the input sets the steps, so that the exponents are the mean of
    delta_t A: exact for given inputs u (steps, H), and for white noise of standard deviation u, a
    number, by the mean of softplus over a Gaussian of variance u^2 |W_h|^2 about b_h, W = W_up
    W_down.

    Returns lyapunov(exponent), mean_step(unit), horizon (steps). Source: Gu and Dao (2023),
    algorithm 2; the exponents by definition.

    >>> import dynmem as dm
    >>> layer = dm.models.Selective.random(2, modes=2)
    >>> bool((selective_spectrum(layer, np.ones((5, 2))).lyapunov < 0).all())
    True
    """
    steps = _mean_step(as_system(system, Selective), u)
    rates = (system.A * steps[:, None]).ravel()
    return lyapunov_report(
        rates,
        title="selective state-space model",
        source=system.source,
        parameters={"u": u if np.isscalar(u) else np.shape(u)},
        horizon=horizon_entry(rates.max()),
        mean_step=("unit", steps, "1", "mean step delta of each channel"),
    )


def selective_gradient(system, lags, u):
    """Gradient d x_T / d x_(T-lag) of a selective state-space model: 1/2 ln of the mean of exp(2
    lag lambda_i), lambda_i as ``selective_spectrum`` has them for the inputs u; the law of a
    typical window, whose own steps scatter about their mean.

    lags: whole numbers of steps. Returns log_state_gradient(lag), state_gradient(lag), horizon.
    Source: as ``selective_spectrum``.

    >>> import dynmem as dm
    >>> selective_gradient(dm.models.Selective.random(2, modes=2), [0], 1.0).state_gradient.values.tolist()
    [1.0]
    """
    rates, lags = selective_spectrum(system, u).lyapunov.values, lag_axis(lags)
    return gradient_report(
        lags,
        rms_power(rates, lags),
        title="gradient of a selective model",
        source=system.source,
        parameters={"u": u if np.isscalar(u) else np.shape(u)},
        horizon=horizon_entry(rates.max()),
    )


def _mean_step(system, u):
    """Mean step of each channel under inputs (steps, H), or under white noise."""
    if np.isscalar(u):
        spread = not_negative("drive", u) * np.linalg.norm(system.W_up @ system.W_down, axis=1)
        return np.array(
            [
                mean(lambda z, b=b: softplus(b + z), s * s)
                for b, s in zip(system.b, spread, strict=True)
            ]
        )
    u = as_input(system, u)
    if u is None or u.ndim != 2 or not len(u):
        raise ShapeError(
            f"u has shape {np.shape(u)}: pass the inputs of at least one step, "
            f"(steps, {system.inputs}), or a number, the standard "
            "deviation of white noise"
        )
    return system.step(u).mean(axis=0)


def cornn_bounds(system, lags):
    """What no weights and no input can make coRNN exceed: amplitude, gradient, and the range of its
    first exponent.

    Each oscillator is a damped linear one under a force of at most 1, so that from rest |y| and |z|
    stay below the sums of the absolute impulse response of the scheme: amplitude_bound and
    velocity_bound after ``lag`` steps (in the limit of small steps and long times
    |y| <= coth(pi epsilon/(2 w))/gamma, w = sqrt(4 gamma - epsilon^2), or 1/gamma where overdamped). With rows of |W| + |U| of sum at most s
    and G = max(r, 1 + step r), r = (1 + step (s + gamma))/(1 + step epsilon), every Jacobian has a
    maximum norm of at most G: the gradient grows at most as sqrt(n) G^lag, lambda_1 <= ln G =
    O(step). As det J = det(I + step D U)/(1 + step epsilon)^N with 0 <= D <= 1, the mean of the
    exponents, and so the first of them, is at least 1/2 ln((1 - step |U|)/(1 + step epsilon)). With
    explicit damping r = |1 - step epsilon| + step (s + gamma), and the bound below is 1/2 ln(|1 -
    step epsilon| - step |U|).

    lags: whole numbers of steps. Returns log_state_gradient_bound, amplitude_bound and
    velocity_bound over ``lag``, lyapunov_upper and lyapunov_lower (-inf where nothing is known),
    per step. Source: the scheme itself; compare Rusch and Mishra (2021), section 3.

    >>> import dynmem as dm
    >>> bounds = cornn_bounds(dm.models.CoRNN.random(4, 1, epsilon=4.0, gamma=4.0, step=0.01), [5000])
    >>> round(float(bounds.amplitude_bound[0]), 3)
    0.25
    """
    cell, lags = as_system(system, CoRNN), lag_axis(lags)
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
            "nat",
            "upper bound on the logarithm of the norm of d x_T / d x_(T-lag)",
        ),
        "amplitude_bound": ("lag", amplitude, "1", "upper bound on |y| so many steps after rest"),
        "velocity_bound": ("lag", velocity, "1", "upper bound on |z| so many steps after rest"),
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
        {"lag": ("lag", lags, "step", "lag")},
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
