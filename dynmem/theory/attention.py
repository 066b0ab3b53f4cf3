"""Attention on paper: how thin it spreads, how its gradients split, how far they go, what it costs,
and what depth does to it."""

import numpy as np

from ..analysis.gradients.attention_paths import dilution_report, paths_report
from ..errors import ShapeError
from ..labels import dataset
from ..models import Attention
from . import gaussian
from .checks import count, lag_axis, not_negative, numbers, square_matrix
from .linear import linear_spectrum
from .tanh_moments import tanh_variance

PATHS = ("recurrence", "attention", "convolution")


def attention_dilution(steps, *, gap=0.0):
    """Attention over t slots of which one has a score above the others by ``gap``: uniform at gap
    0, where every weight is 1/t.

    largest weight e^gap / (e^gap + t - 1);  it falls as 1/t once t exceeds e^gap: to hold half of
    the weight over t slots takes a gap of ln(t - 1), and bounded scores cannot do it for every t.

    steps: numbers t of slots; gap: difference of scores, at least 0. Returns largest_weight(step),
    entropy(step), effective_slots(step). Source: softmax; Velickovic et al. (2024), "softmax is not
    enough", for bounded scores.

    >>> attention_dilution([1, 10, 100]).largest_weight.values.tolist()
    [1.0, 0.1, 0.01]
    >>> attention_dilution([100], gap=np.log(99)).largest_weight.values.round(12).tolist()
    [0.5]
    """
    steps, gap = _steps(steps), not_negative("gap", gap)
    weights = np.where(np.arange(steps.max()) < steps[:, None], np.exp(-gap), 0.0)
    weights[:, 0] = 1.0
    return dilution_report(
        weights / weights.sum(-1, keepdims=True),
        ("step",),
        _step_axis(steps),
        title="spread of attention with one sharp score",
        source="softmax; Velickovic et al. (2024)",
        parameters={"gap": gap},
    )


def gaussian_dilution(steps, *, spread):
    """Attention over t slots with independent scores N(0, spread^2), for large t: the random energy
    model at inverse temperature ``spread``.

    entropy = ln t - spread^2 / 2 while spread < sqrt(2 ln t), then frozen: a number of slots that
    does not grow with t holds all weight.

    Returns entropy(step), effective_slots(step) = t exp(-spread^2 / 2) (0 and 1 where frozen),
    freezing(step), the spread sqrt(2 ln t). Source: Derrida (1981), Phys. Rev. B 24, 2613.

    >>> gaussian_dilution([1000], spread=1.0).entropy.values.round(6).tolist()
    [6.407755]
    """
    steps, spread = _steps(steps), not_negative("spread", spread)
    freezing = np.sqrt(2 * np.log(steps))
    entropy = np.where(spread < freezing, np.log(steps) - spread**2 / 2, 0.0)
    return dataset(
        {
            "entropy": ("step", entropy, "nat", "entropy of the weights"),
            "effective_slots": (
                "step",
                np.exp(entropy),
                "1",
                "effective number of slots, exp(entropy)",
            ),
            "freezing": ("step", freezing, "1", "spread at which a few slots hold all weight"),
        },
        _step_axis(steps),
        title="spread of attention with Gaussian scores",
        source="Derrida (1981), Phys. Rev. B 24, 2613",
        parameters={"spread": spread},
    )


def _steps(steps):
    steps = lag_axis(steps)
    if (steps < 1).any():
        raise ValueError(f"steps = {steps.tolist()!s:.60}: attention looks at one slot at least")
    return steps


def _step_axis(steps):
    return {"step": ("step", steps, "step", "number of slots, the step when none has left")}


def softmax_jacobian(weights):
    """Norm of the softmax's Jacobian diag(alpha) - alpha alpha^T at weights alpha, and its bounds.

    |J|_2 <= max_i 2 alpha_i (1 - alpha_i) <= 1/2 (Gershgorin: each row's absolute sum is that); 1/2 is reached by alpha = (1/2, 1/2).
    It vanishes where attention is sharp (one alpha near 1) and, as 1/t, where it is uniform: scores
    learn in between.

    weights: (..., slots), each at least 0 with sum 1. Returns jacobian_norm, row_bound and bound =
    1/2 over the leading dims, at most one (sample). Source: Gershgorin (1931), on the symmetric
    matrix J.

    >>> [round(float(softmax_jacobian(alpha).jacobian_norm), 12) for alpha in ([0.5, 0.5], [1.0, 0.0, 0.0])]
    [0.5, 0.0]
    """
    weights = numbers("weights", weights)
    if (
        weights.ndim not in (1, 2)
        or not weights.size
        or not (weights >= 0).all()
        or not np.allclose(weights.sum(-1), 1, atol=1e-9)
    ):
        raise ValueError(
            f"weights of shape {weights.shape}: pass (slots,) or (samples, slots), "
            "none negative, with sum 1"
        )
    J = weights[..., None] * np.eye(weights.shape[-1]) - weights[..., None] * weights[..., None, :]
    dims = ("sample",) if weights.ndim == 2 else ()
    return dataset(
        {
            "jacobian_norm": (
                dims,
                np.linalg.norm(J, 2, axis=(-2, -1)),
                "1",
                "largest singular value of the softmax's Jacobian",
            ),
            "row_bound": (
                dims,
                (2 * weights * (1 - weights)).max(-1),
                "1",
                "largest absolute row sum",
            ),
            "bound": (dims, np.full(weights.shape[:-1], 0.5), "1", "bound for all weights"),
        },
        title="Jacobian of the softmax",
        source="Gershgorin (1931)",
    )


def attention_paths(attention, u, *, lags):
    """Gradients d y_T / d u_(T-lag) of one attention layer in closed form, from its weights: the
    twin of ``analysis.attention_paths``.

    In each head, with o = sum_j alpha_j v_j the mixed value: the value's path alpha_j Wo Wv, of
    length 1; the key's path alpha_j Wo (v_j - o) q^T Wk / sqrt(d), of rank one; and at lag 0 the
    query's path sum_j alpha_j Wo (v_j - o) k_j^T Wq / sqrt(d).

    attention: an Attention whose positions are not rotary; u: inputs (T, N) from the empty cache;
    lags: steps, below the window. Returns total_gradient(lag), direct_gradient(lag),
    score_gradient(lag), and direct_bound(lag), the sum over heads of alpha_j |Wo Wv|_F / sqrt(N).
    Source: derivative of softmax; Vaswani et al. (2017), eq. 1.

    >>> made = Attention.random(4, 4, window=5, sharpness=0.0)
    >>> bool(np.allclose(attention_paths(made, np.eye(4), lags=[1, 3]).direct_gradient, np.linalg.norm(made.Wo @ made.Wv) / 8))
    True
    """
    if not isinstance(attention, Attention) or attention.positions == "rotary":
        raise ValueError(
            "a closed form is known for one Attention without rotary positions: "
            "measure it with dm.analysis.attention_paths"
        )
    u, lags, n, heads = numbers("u", u), lag_axis(lags), attention.inputs, attention.heads
    if u.ndim != 2 or u.shape[1] != n or not lags.max() < min(len(u), attention.window):
        raise ShapeError(
            f"u has shape {u.shape}, lags up to {lags.max()} within a window of "
            f"{attention.window} need at least "
            f"({lags.max() + 1}, {n})"
        )
    _, cache = attention.run(attention.initial(), u)
    keys, values, flags = attention.cache(cache)
    q = attention._placed(u[-1], flags) @ attention.Wq.T + attention.bq
    alpha, d = attention.weights(cache, u[-1]), n // heads
    fixed, scores, bound = np.zeros((n, lags.size, n)), np.zeros((n, lags.size, n)), 0.0
    slots = attention.window - 1 - lags
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        Wo, a = attention.Wo[:, part], alpha[head]
        # d y / d score_j
        moved = a[:, None] * (values[:, part] - a @ values[:, part]) @ Wo.T / np.sqrt(d)
        fixed += a[slots][None, :, None] * (Wo @ attention.Wv[part])[:, None, :]
        scores += moved[slots].T[:, :, None] * (q[part] @ attention.Wk[part])
        scores[:, lags == 0] += (moved.T @ keys[:, part] @ attention.Wq[part])[:, None, :]
        bound = bound + a[slots] * np.linalg.norm(Wo @ attention.Wv[part]) / np.sqrt(n)
    return paths_report(
        lags,
        fixed + scores,
        fixed,
        scores,
        title="paths of the gradient through attention",
        source="Vaswani et al. (2017), eq. 1",
        parameters={"heads": heads, "window": attention.window},
        direct_bound=("lag", bound, "1", "bound on the direct gradient"),
    )


def diluted_gradient(lags, *, steps, sharpness=1.0):
    """Gradient d y_T / d u_(T-lag) of random attention over ``steps`` slots, flat in the lag: mean
    over weights, noise and directions.

    Glorot weights, queries and keys times ``sharpness``, on white noise of unit variance: scores
    are N(0, sigma^2) with sigma = sharpness^2, the root mean square weight is exp(sigma^2 / 2) /
    steps, the values' path carries alpha_j, the scores' path alpha_j sigma. Above sigma =
    sqrt(ln(steps) / 2) the sum of squared weights is that of the few largest, and this overshoots.

    lags: at least 1; steps: slots. Returns total_gradient(lag) = sqrt(1 + sigma^2) exp(sigma^2 / 2)
    / steps, direct_gradient, score_gradient, and largest_spread, the bound on sigma. Source:
    moments of the lognormal law; Derrida (1981) at twice the inverse temperature, for the bound.

    >>> diluted_gradient([1, 9], steps=10, sharpness=0.0).total_gradient.values.tolist()
    [0.1, 0.1]
    """
    lags, steps, sigma = (
        lag_axis(lags),
        count("steps", steps),
        not_negative("sharpness", sharpness) ** 2,
    )
    if not ((lags > 0) & (lags < steps)).all():
        raise ValueError(
            f"lags = {lags.tolist()!s:.60}: pass lags of at least 1 and below steps "
            f"= {steps}; at lag 0 the query has a path too"
        )
    weight = np.exp(sigma**2 / 2) / steps
    sizes = {"total": np.hypot(1.0, sigma) * weight, "direct": weight, "score": sigma * weight}
    made = {
        f"{name}_gradient": ("lag", np.full(lags.size, size), "1", f"|d y_T / d u_(T-lag)|, {name}")
        for name, size in sizes.items()
    }
    made["largest_spread"] = (
        (),
        np.sqrt(np.log(steps) / 2),
        "1",
        "spread of the scores up to which this holds",
    )
    return dataset(
        made,
        {"lag": ("lag", lags, "step", "lag")},
        title="gradient of random attention",
        source="Derrida (1981)",
        parameters={"steps": steps, "sharpness": float(sharpness)},
    )


def hybrid_gradient(lags, *, steps, gain, input_sd=1.0, terms=400):
    """Gradient d s_T / d u_(T-lag) of a large random tanh network that attends uniformly to all its
    past states, at T = ``steps``.

    The slow part is the mean m = (1/t) sum h_j. With K = E[phi'] W, of which c = gain E[phi'] is
    the size, a perturbation of h_i makes dm/d ln t = (M - 1) m, M = (I - K)^-1 - I, so that m_T =
    (1/T) exp(M l) (I - K)^-1 delta, l = 1/(i+1) + ... + 1/T, and s = (I - K)^-1 m. For Gaussian W
    the generating function of the Laguerre polynomials gives its mean square,
        E|s|^2 = ((1 - c^2)/(1 - chi))^2 sum_k L_k^(1)(-l)^2 c^(2k) / T^2,  chi = gain^2 E[phi'^2],
    with the fluctuations of phi' in the factor in front; the fast part is the plain recurrence,
    chi^lag. Both times E[phi'^2]. It decays as a power of T, not exponentially (Kerg et al. 2020),
    and early inputs, seen when few were there, weigh more.

    lags: below ``steps``, and inputs more than a few steps after the first; gain of W; input_sd of
    the noise at each unit. Returns input_gradient(lag). Source: derived here for Kerg et al. (2020)
    with equal weights; mean field as in Schoenholz et al. (2017).

    >>> hybrid_gradient([50], steps=100, gain=0.0).input_gradient.values.round(5).tolist()
    [0.00681]
    """
    from scipy.special import digamma, eval_genlaguerre

    lags, steps = lag_axis(lags), count("steps", steps)
    if not (lags < steps).all():
        raise ValueError(
            f"lags = {lags.tolist()!s:.60}: pass lags below steps = {steps}, the "
            f"first input being that of lag {steps - 1}"
        )
    gain, q = not_negative("gain", gain), tanh_variance(gain, 0.0, input_sd)
    slope, square = (
        gaussian.mean(gaussian.sech2, q),
        gaussian.mean(lambda x: gaussian.sech2(x) ** 2, q),
    )
    c2, chi = (gain * slope) ** 2, gain**2 * square
    if chi >= 1:
        raise ValueError(
            f"gain = {gain:g}: the recurrence itself does not forget (chi = "
            f"{chi:.3g}), pass a smaller gain or a larger input_sd"
        )
    waited, k = digamma(steps + 1) - digamma(steps - lags + 1), np.arange(terms)
    series = (eval_genlaguerre(k, 1, -waited[:, None]) ** 2 * c2**k).sum(1)
    squares = square * (((1 - c2) / (1 - chi)) ** 2 * series / steps**2 + chi**lags)
    return dataset(
        {"input_gradient": ("lag", np.sqrt(squares), "1", "|d s_T / d u_(T-lag)|")},
        {"lag": ("lag", lags, "step", "lag")},
        title="gradient of recurrence with uniform attention",
        source="mean field of Kerg et al. (2020)",
        parameters={"steps": steps, "gain": gain, "input_sd": float(input_sd)},
    )


def path_length(kind, lags, *, window=None, kernel=2):
    """Steps of the shortest gradient path from an input to an output ``lag`` steps later, by kind
    of model.

    "recurrence": lag. "attention": 1 within the window (0 at lag 0). "convolution", dilations
    kernel^i: the number of digits of lag to the base ``kernel`` that are not 0, at most
    ceil(log_kernel(lag + 1)); ``window`` is then the receptive field. Infinite beyond the window.

    Returns path_length(lag). Source: Vaswani et al. (2017), table 1.

    >>> [path_length(kind, [100]).path_length.item() for kind in ("recurrence", "attention", "convolution")]
    [100.0, 1.0, 3.0]
    """
    if kind not in PATHS:
        raise ValueError(f"kind must be one of {', '.join(PATHS)}, got {kind!r}")
    lags, kernel = lag_axis(lags), count("kernel", kernel)
    if kernel < 2:
        raise ValueError("kernel = 1: a convolution of one tap sees no past, pass at least 2")
    steps = {
        "recurrence": lags,
        "attention": np.minimum(lags, 1),
        "convolution": [sum(digit > 0 for digit in _digits(lag, kernel)) for lag in lags],
    }
    found = np.asarray(steps[kind], float)
    if window is not None:
        found = np.where(lags < count("window", window), found, np.inf)
    return dataset(
        {"path_length": ("lag", found, "step", "steps of the shortest gradient path")},
        {"lag": ("lag", lags, "step", "lag")},
        title=f"path length of {kind}",
        source="Vaswani et al. (2017), table 1",
        parameters={"kind": kind, "kernel": kernel},
    )


def _digits(number, base):
    while number:
        number, digit = divmod(int(number), base)
        yield digit


def stochastic_spectrum(matrix):
    """Spectrum over depth of attention that only mixes: X_(l+1) = A X_l with A row-stochastic.

    The vector of ones is kept, so that the first exponent is exactly 0; the second, ln |mu_2|, is
    the rate at which all tokens become one (rank collapse), at most the logarithm of Dobrushin's
    coefficient, contraction = 1/2 max_ij sum_k |A_ik - A_jk|.

    matrix: (t, t), rows with sum 1. Returns lyapunov(exponent), eigenvalue(exponent),
    kaplan_yorke_dimension, entropy_rate, horizon and contraction. Source: Perron (1907) and
    Frobenius (1912); Dong, Cordonnier and Loukas (2021), "Attention is not all you need".

    >>> found = stochastic_spectrum([[0.9, 0.1], [0.2, 0.8]])
    >>> found.lyapunov.values.round(6).tolist(), round(float(found.contraction), 6)
    ([0.0, -0.356675], 0.7)
    """
    matrix = square_matrix(matrix)
    if (matrix < 0).any() or not np.allclose(matrix.sum(1), 1, atol=1e-12):
        raise ValueError(
            "the matrix is not row-stochastic: pass weights of at least 0 whose rows have sum 1"
        )
    found = linear_spectrum(matrix)
    # exact: the eigenvalue of the vector of ones is 1, whatever rounding makes of it
    found.lyapunov[0] = 0.0
    differences = np.abs(matrix[:, None] - matrix[None]).sum(-1)
    found["contraction"] = (
        (),
        0.5 * differences.max(),
        {"units": "1", "long_name": "Dobrushin's coefficient"},
    )
    return found.assign_attrs(
        title="spectrum of row-stochastic attention over depth",
        source="Dong, Cordonnier and Loukas (2021)",
    )
