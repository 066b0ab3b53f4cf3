"""Attention: how thin it spreads, how its gradients split and how far they go, and depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.gradients.attention_paths import dilution_report, paths_report
from ..analysis.gradients.window import lag_axis, lag_vector
from ..errors import ShapeError
from ..labels import dataset
from ..models import ESN, GRU, LSTM, Attention, Linear, Network, Orthogonal, Relu, Tanh
from ..runtime.validation import array, choice, integer, number, public
from ..system import System
from ..typing import ArrayLike, Drive, Rng
from . import gaussian
from .checks import square_matrix
from .drive import drive_array
from .linear import linear_spectrum
from .results import lag_coordinate
from .tanh_moments import tanh_variance

if TYPE_CHECKING:
    from xarray import Dataset

PATHS = ("recurrence", "attention", "convolution")
RECURRENT = (Linear, Tanh, Relu, Orthogonal, ESN, LSTM, GRU)  # the state is the output


@public
def attention_dilution(
    system: Attention | ArrayLike, *, gap: float = 0.0, steps: int | None = None
) -> Dataset:
    """Spread of attention over t slots of which one has a score above the others by ``gap``.

        largest weight = e^gap / (e^gap + t - 1):

    uniform at gap 0, where every weight is 1/t. It falls as 1/t once t exceeds e^gap: half of the
    weight over t slots needs a gap of ln(t - 1), which bounded scores do not have for every t. The
    twin of ``dm.analysis.attention_dilution``.

    Parameters
    ----------
    system : Attention, int or array_like of int
        An attention, whose scores are taken as 0 but for the gap, at each step from the empty
        cache (t = the step, at most the window); or numbers t of slots.
    gap : float, default 0.0
        Difference of scores, at least 0.
    steps : int, optional
        Number of steps of an Attention, by default its window.

    Returns
    -------
    xarray.Dataset
        largest_weight : (step, head) or (step,), 1
            Largest weight.
        entropy : (step, head) or (step,), nat
            Entropy of the weights.
        effective_slots : (step, head) or (step,), 1
            Effective number of slots, exp(entropy).

    Raises
    ------
    ValueError
        Where a number of slots is below 1, the gap is negative, or ``steps`` is given with numbers
        of slots.

    References
    ----------
    Softmax; Velickovic et al. (2024), arXiv:2410.01104, for bounded scores.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.attention_dilution([1, 10, 100]).largest_weight.values.tolist()
    [1.0, 0.1, 0.01]
    >>> dm.theory.attention_dilution([100], gap=np.log(99)).largest_weight.values.round(12).tolist()
    [0.5]
    """
    gap = number("gap", gap, least=0)
    if isinstance(system, Attention):
        axis = np.arange(1, integer("steps", system.window if steps is None else steps) + 1)
        slots, heads = np.minimum(axis, system.window), system.heads
        dims: tuple[str, ...] = ("step", "head")
        coords = {
            "step": ("step", axis, "step", "step, the first being 1"),
            "head": ("head", np.arange(1, heads + 1), "1", "head"),
        }
    else:
        if steps is not None:
            raise ValueError(f"steps = {steps}: belongs to an Attention, got numbers of slots")
        slots = _slots(system)
        dims, coords = ("step",), _step_axis(slots)
    weights = np.where(np.arange(slots.max()) < slots[:, None], np.exp(-gap), 0.0)
    weights[:, 0] = 1.0
    weights /= weights.sum(-1, keepdims=True)
    if "head" in dims:
        weights = np.repeat(weights[:, None], heads, axis=1)
    return dilution_report(
        weights,
        dims,
        coords,
        title="spread of attention with one sharp score",
        source="softmax; Velickovic et al. (2024)",
        parameters={"gap": gap},
    )


@public
def gaussian_dilution(steps: ArrayLike, *, spread: float) -> Dataset:
    """Spread of attention over t slots with independent scores N(0, spread^2), for large t.

    The random energy model at inverse temperature ``spread``: entropy = ln t - spread^2 / 2 while
    spread < sqrt(2 ln t), then frozen: a number of slots that does not grow with t holds all
    weight.

    Parameters
    ----------
    steps : int or array_like of int
        Numbers t of slots.
    spread : float
        Standard deviation of the scores.

    Returns
    -------
    xarray.Dataset
        entropy : (step,), nat
            Entropy of the weights, 0 where frozen.
        effective_slots : (step,), 1
            Effective number of slots, exp(entropy).
        freezing : (step,), 1
            Spread sqrt(2 ln t) at which a few slots hold all weight.

    Raises
    ------
    ValueError
        Where a number of slots is below 1 or the spread is negative.

    References
    ----------
    Derrida (1981), Phys. Rev. B 24, 2613.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.gaussian_dilution([1000], spread=1.0).entropy.values.round(6).tolist()
    [6.407755]
    """
    slots, spread = _slots(steps), number("spread", spread, least=0)
    freezing = np.sqrt(2 * np.log(slots))
    entropy = np.where(spread < freezing, np.log(slots) - spread**2 / 2, 0.0)
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
        _step_axis(slots),
        title="spread of attention with Gaussian scores",
        source="Derrida (1981), Phys. Rev. B 24, 2613",
        parameters={"spread": spread},
    )


def _slots(slots: ArrayLike) -> np.ndarray:
    """Numbers of slots, as a vector."""
    return np.array([integer("number of slots", value) for value in np.atleast_1d(slots).tolist()])


def _step_axis(slots: np.ndarray) -> dict[str, tuple]:
    return {"step": ("step", slots, "step", "number of slots, the step while the window fills")}


@public
def softmax_jacobian(weights: ArrayLike) -> Dataset:
    """Norm of the softmax's Jacobian diag(alpha) - alpha alpha^T at weights alpha, and its bounds.

        norm(J) <= max_i 2 alpha_i (1 - alpha_i) <= 1/2

    by Gershgorin, each row's absolute sum being the middle term; 1/2 is reached by
    alpha = (1/2, 1/2). It vanishes where attention is sharp (one alpha near 1) and, as 1/t, where
    it is uniform: scores learn in between.

    Parameters
    ----------
    weights : array_like (slots,) or (samples, slots)
        Weights of at least 0 with sum 1.

    Returns
    -------
    xarray.Dataset
        jacobian_norm : (sample,) or (), 1
            Largest singular value of the softmax's Jacobian.
        row_bound : (sample,) or (), 1
            Largest absolute row sum.
        bound : (sample,) or (), 1
            1/2, the bound for all weights.

    Raises
    ------
    ValueError
        Where a weight is negative, or the sum is not 1.

    References
    ----------
    Gershgorin (1931), on the symmetric matrix J.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.theory.softmax_jacobian([0.5, 0.5]).jacobian_norm), 12)
    0.5
    """
    weights = array("weights", weights)
    if (
        weights.ndim not in (1, 2)
        or not weights.size
        or not (weights >= 0).all()
        or not np.allclose(weights.sum(-1), 1, atol=1e-9)
    ):
        raise ValueError(
            f"weights has shape {weights.shape}, expected (slots,) or (samples, slots), none "
            "negative, with sum 1"
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


@public
def attention_paths(
    system: System, *, drive: Drive = 1.0, lags: ArrayLike, rng: Rng = 0
) -> Dataset:
    """Gradients d y_T / d u_(T-lag) of one attention layer in closed form, from its weights.

    The twin of ``dm.analysis.attention_paths``. In each head, with o = sum_j alpha_j v_j the mixed
    value: the value's path alpha_j Wo Wv, of length 1; the key's path
    alpha_j Wo (v_j - o) q^T Wk / sqrt(d), of rank one; and at lag 0 the query's path
    sum_j alpha_j Wo (v_j - o) k_j^T Wq / sqrt(d).

    Parameters
    ----------
    system : Attention
        A layer whose positions are not rotary.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, default 1.0
        Input from the empty cache on, of which the output after the last step is taken: a number
        is the standard deviation of white noise, None zero, an array (steps, inputs) the input
        itself, a function (rng, steps) returns one; the first and last over as many steps as the
        largest lag needs.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps; below the window.
    rng : int, Generator or None, default 0
        Seed of the noise.

    Returns
    -------
    xarray.Dataset
        total_gradient : (lag,), 1
            abs(d y_T / d u_(T-lag)) by all paths: Frobenius norm over sqrt(inputs).
        direct_gradient : (lag,), 1
            By the values alone.
        score_gradient : (lag,), 1
            By the scores alone.
        direct_bound : (lag,), 1
            Bound on the direct gradient: sum over heads of alpha_j norm(Wo Wv) / sqrt(inputs).

    Raises
    ------
    ValueError
        For another system, and for rotary positions.
    ShapeError
        Where the input or the window is shorter than the lags.

    References
    ----------
    Vaswani et al. (2017), NeurIPS 30, eq. 1, differentiated.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.Attention.random(4, 4, window=5, sharpness=0.0)
    >>> found = dm.theory.attention_paths(layer, drive=np.eye(4), lags=[1, 3]).direct_gradient
    >>> bool(np.allclose(found, np.linalg.norm(layer.Wo @ layer.Wv) / 8))
    True
    """
    attention = system
    if not isinstance(attention, Attention) or attention.positions == "rotary":
        raise ValueError(
            "a closed form is known for one Attention without rotary positions: "
            "measure it with dm.analysis.attention_paths"
        )
    lags, n, heads = lag_axis(lags), attention.inputs, attention.heads
    if lags[-1] >= attention.window:
        raise ShapeError(
            f"lags go up to {lags[-1]}, expected lags below the window of {attention.window}"
        )
    u = drive_array(attention, drive, int(lags[-1]) + 1, rng)
    _, cache = attention.run(attention.initial(), u)
    keys, values, flags = attention.cache(cache)
    q = attention._placed(u[-1], flags) @ attention.Wq.T + attention.bq
    alpha, d = attention.weights(cache, u[-1]), n // heads
    fixed, scores, bound = np.zeros((n, lags.size, n)), np.zeros((n, lags.size, n)), 0.0
    slots = attention.window - 1 - lags
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        first = head * (attention.key_heads or heads) // heads * d
        shared = slice(first, first + d)  # the key head that serves this one
        Wo, a = attention.Wo[:, part], alpha[head]
        # d y / d score_j
        moved = a[:, None] * (values[:, shared] - a @ values[:, shared]) @ Wo.T / np.sqrt(d)
        fixed += a[slots][None, :, None] * (Wo @ attention.Wv[shared])[:, None, :]
        scores += moved[slots].T[:, :, None] * (q[part] @ attention.Wk[shared])
        scores[:, lags == 0] += (moved.T @ keys[:, shared] @ attention.Wq[part])[:, None, :]
        bound = bound + a[slots] * np.linalg.norm(Wo @ attention.Wv[shared]) / np.sqrt(n)
    return paths_report(
        lags,
        fixed + scores,
        fixed,
        scores,
        title="paths of the gradient through attention",
        source="Vaswani et al. (2017), eq. 1",
        parameters={"heads": heads, "window": attention.window},
        seed=rng,
        direct_bound=("lag", bound, "1", "bound on the direct gradient"),
    )


@public
def diluted_gradient(lags: ArrayLike, *, steps: int, sharpness: float = 1.0) -> Dataset:
    """Gradient d y_T / d u_(T-lag) of random attention over ``steps`` slots: flat in the lag.

    Mean over weights, noise and directions. With Glorot weights, queries and keys times
    ``sharpness``, on white noise of unit variance, scores are N(0, sigma^2) with
    sigma = sharpness^2; the root mean square weight is exp(sigma^2 / 2) / steps, the values' path
    carries alpha_j, the scores' path alpha_j sigma:

        total = sqrt(1 + sigma^2) exp(sigma^2 / 2) / steps.

    Above sigma = sqrt(ln(steps) / 2) the sum of squared weights is that of the few largest, and
    this overshoots.

    Parameters
    ----------
    lags : int or array_like of int
        Lags in steps, at least 1 and below ``steps``.
    steps : int
        Number of slots.
    sharpness : float, default 1.0
        Factor of queries and keys.

    Returns
    -------
    xarray.Dataset
        total_gradient : (lag,), 1
            abs(d y_T / d u_(T-lag)) by all paths.
        direct_gradient : (lag,), 1
            By the values alone.
        score_gradient : (lag,), 1
            By the scores alone.
        largest_spread : (), 1
            Spread of the scores up to which this holds.

    Raises
    ------
    ValueError
        For lag 0, where the query has a path too, and for lags from ``steps`` on.

    References
    ----------
    Moments of the lognormal law; Derrida (1981), Phys. Rev. B 24, 2613, at twice the inverse
    temperature, for the bound.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.diluted_gradient([1, 9], steps=10, sharpness=0.0)
    >>> found.total_gradient.values.tolist()
    [0.1, 0.1]
    """
    lags, steps = lag_vector(lags), integer("steps", steps)
    sigma = number("sharpness", sharpness, least=0) ** 2
    if not ((lags > 0) & (lags < steps)).all():
        raise ValueError(
            f"lags = {lags.tolist()!s:.60}: must be at least 1 and below steps = {steps}; at lag 0 "
            "the query has a path too"
        )
    weight = np.exp(sigma**2 / 2) / steps
    sizes = {"total": np.hypot(1.0, sigma) * weight, "direct": weight, "score": sigma * weight}
    texts = {"total": "all paths", "direct": "the values alone", "score": "the scores alone"}
    variables: dict[str, tuple] = {
        f"{name}_gradient": (
            "lag",
            np.full(lags.size, size),
            "1",
            f"|d y_T / d u_(T-lag)| by {texts[name]}",
        )
        for name, size in sizes.items()
    }
    variables["largest_spread"] = (
        (),
        np.sqrt(np.log(steps) / 2),
        "1",
        "spread of the scores up to which this holds",
    )
    return dataset(
        variables,
        lag_coordinate(lags),
        title="gradient of random attention",
        source="Derrida (1981)",
        parameters={"steps": steps, "sharpness": float(sharpness)},
    )


@public
def hybrid_gradient(
    lags: ArrayLike, *, steps: int, gain: float, input_sd: float = 1.0, terms: int = 400
) -> Dataset:
    """Gradient d s_T / d u_(T-lag) of a random tanh network with uniform attention to its past.

    The slow part is the mean m = (1/t) sum h_j over the T = ``steps`` past states. With
    K = E[phi'] W, of which c = gain E[phi'] is the size, a perturbation of h_i makes
    dm/d ln t = (M - 1) m, M = (I - K)^-1 - I, so that m_T = (1/T) exp(M l) (I - K)^-1 delta,
    l = 1/(i+1) + ... + 1/T, and s = (I - K)^-1 m. For Gaussian W the generating function of the
    Laguerre polynomials gives its mean square,

        E[s^2] = ((1 - c^2)/(1 - chi))^2 sum_k L_k^(1)(-l)^2 c^(2k) / T^2,
        chi = gain^2 E[phi'^2],

    with the fluctuations of phi' in the factor in front; the fast part is the plain recurrence,
    chi^lag. Both times E[phi'^2]. It decays as a power of T, not exponentially, and early inputs,
    seen when few were there, weigh more.

    Parameters
    ----------
    lags : int or array_like of int
        Lags below ``steps``, of inputs more than a few steps after the first.
    steps : int
        Number T of steps.
    gain : float
        Gain of W.
    input_sd : float, default 1.0
        Standard deviation of the noise at each unit.
    terms : int, default 400
        Terms of the sum over k.

    Returns
    -------
    xarray.Dataset
        input_gradient : (lag,), 1
            abs(d s_T / d u_(T-lag)).

    Raises
    ------
    ValueError
        For lags from ``steps`` on, and where the recurrence itself does not forget (chi >= 1).

    References
    ----------
    Derived here for Kerg et al. (2020), NeurIPS 33, with equal weights; mean field as in
    Schoenholz et al. (2017), ICLR.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.hybrid_gradient([50], steps=100, gain=0.0)
    >>> found.input_gradient.values.round(5).tolist()
    [0.00681]
    """
    from scipy.special import digamma, eval_genlaguerre

    lags, steps = lag_vector(lags), integer("steps", steps)
    if not (lags < steps).all():
        raise ValueError(
            f"lags = {lags.tolist()!s:.60}: must be below steps = {steps}, the first input being "
            f"that of lag {steps - 1}"
        )
    gain, q = number("gain", gain, least=0), tanh_variance(gain, 0.0, input_sd)
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
    elapsed, k = digamma(steps + 1) - digamma(steps - lags + 1), np.arange(terms)
    series = (eval_genlaguerre(k, 1, -elapsed[:, None]) ** 2 * c2**k).sum(1)
    squares = square * (((1 - c2) / (1 - chi)) ** 2 * series / steps**2 + chi**lags)
    return dataset(
        {"input_gradient": ("lag", np.sqrt(squares), "1", "|d s_T / d u_(T-lag)|")},
        lag_coordinate(lags),
        title="gradient of recurrence with uniform attention",
        source="mean field of Kerg et al. (2020)",
        parameters={"steps": steps, "gain": gain, "input_sd": float(input_sd)},
    )


@public
def path_length(
    system: System | str, *, lags: ArrayLike, window: int | None = None, kernel: int = 2
) -> Dataset:
    """Steps of the shortest gradient path from an input to an output ``lag`` steps later.

    The twin of ``dm.analysis.path_length``. A recurrence: lag. Attention: 1 within the window (0 at
    lag 0). Dilated convolutions with dilations kernel^i: the number of digits of lag to the base
    ``kernel`` that are not 0, at most ceil(log_kernel(lag + 1)). Infinite beyond the window.

    Parameters
    ----------
    system : Map or str
        A plain recurrent cell (linear, tanh, relu, orthogonal, ESN, LSTM, GRU), an Attention, or a
        Network of one of them without readout; or a kind: "recurrence", "attention" or
        "convolution".
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.
    window : int, optional
        Of a kind: the window, or the receptive field of convolutions; by default without end. Read
        from an Attention.
    kernel : int, default 2
        Taps of a convolution, and the base of its dilations.

    Returns
    -------
    xarray.Dataset
        path_length : (lag,), step
            Steps of the shortest gradient path.

    Raises
    ------
    ValueError
        For another system or kind, and for a kernel below 2.

    References
    ----------
    Vaswani et al. (2017), NeurIPS 30, table 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.path_length("convolution", lags=[100]).path_length.values.tolist()
    [3.0]
    >>> layer = dm.models.Attention.random(2, 2, window=6)
    >>> dm.theory.path_length(layer, lags=[0, 1, 5, 6]).path_length.values.tolist()
    [0.0, 1.0, 1.0, inf]
    """
    kind, window = _path_kind(system, window)
    lags, kernel = lag_axis(lags), integer("kernel", kernel, 2)
    steps = {
        "recurrence": lags,
        "attention": np.minimum(lags, 1),
        "convolution": [sum(digit > 0 for digit in _digits(lag, kernel)) for lag in lags],
    }
    found = np.asarray(steps[kind], float)
    if window is not None:
        found = np.where(lags < integer("window", window), found, np.inf)
    return dataset(
        {"path_length": ("lag", found, "step", "steps of the shortest gradient path")},
        lag_coordinate(lags),
        title=f"path length of {kind}",
        source="Vaswani et al. (2017), table 1",
        parameters={"kind": kind, "kernel": kernel},
    )


def _path_kind(system: System | str, window: int | None) -> tuple[str, int | None]:
    """Kind and window of a system, or those given."""
    if not isinstance(system, System):
        return choice("system", system, PATHS), window
    if isinstance(system, Network) and len(system.layers) == 1 and system.R is None:
        system = system.layers[0]
    if isinstance(system, Attention):
        return "attention", system.window
    if isinstance(system, RECURRENT):
        return "recurrence", window
    raise ValueError(
        f"the path length of {type(system).__name__} is not known in closed form: measure it with "
        "dm.analysis.path_length"
    )


def _digits(value: int, base: int) -> Iterator[int]:
    while value:
        value, digit = divmod(int(value), base)
        yield digit


@public
def stochastic_spectrum(matrix: ArrayLike) -> Dataset:
    """Spectrum over depth of attention that only mixes: X_(l+1) = A X_l with A row-stochastic.

    The vector of ones is kept, so that the first exponent is exactly 0; the second, ln abs(mu_2),
    is the rate at which all tokens become one (rank collapse), at most the logarithm of
    Dobrushin's coefficient, contraction = 1/2 max_ij sum_k abs(A_ik - A_jk).

    Parameters
    ----------
    matrix : array_like (t, t)
        Weights of at least 0, rows with sum 1.

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
        eigenvalue_real : (exponent,), 1
            Real part of the eigenvalue of one step.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.
        time_scale : (), step
            -1/lambda_1, infinite.
        contraction : (), 1
            Dobrushin's coefficient.

    Raises
    ------
    ValueError
        Where the matrix is not row-stochastic.

    References
    ----------
    Perron (1907) and Frobenius (1912); Dong, Cordonnier and Loukas (2021), ICML (Attention is not
    all you need).

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.stochastic_spectrum([[0.9, 0.1], [0.2, 0.8]])
    >>> found.lyapunov.values.round(6).tolist(), round(float(found.contraction), 6)
    ([0.0, -0.356675], 0.7)
    """
    matrix = square_matrix(matrix)
    if (matrix < 0).any() or not np.allclose(matrix.sum(1), 1, atol=1e-12):
        raise ValueError(
            "matrix is not row-stochastic: expected weights of at least 0 whose rows have sum 1"
        )
    found = linear_spectrum(matrix)
    found.lyapunov[0] = 0.0  # exact: the eigenvalue of the vector of ones is 1
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
