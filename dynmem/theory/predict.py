"""Predict for a given system: the theory that fits its kind, with the statistics of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.gradients.window import lag_axis
from ..models import (
    ESN,
    GRU,
    LRU,
    LSTM,
    S4,
    S4D,
    S5,
    Linear,
    LinearAttention,
    Network,
    Orthogonal,
    Selective,
    Tanh,
)
from ..runtime.validation import public
from ..system import System, as_system
from ..typing import ArrayLike, Drive, Rng
from .drive import drive_rms
from .gated_mean_field import gru_spectrum, lstm_spectrum
from .gates import zero_weight_gru_spectrum, zero_weight_lstm_spectrum
from .linear import isometry, linear_gradient, linear_spectrum
from .mean_field import (
    orthogonal_tanh_gradient,
    orthogonal_tanh_spectrum,
    tanh_gradient,
    tanh_spectrum,
)
from .results import gradient_report
from .state_space.kernels import state_space_gradient, state_space_spectrum
from .state_space.spectra import selective_gradient, selective_spectrum

if TYPE_CHECKING:
    from xarray import Dataset

LINEAR = (LRU, S4, S4D, S5, LinearAttention)  # memories, whatever is read out of them
MAX_GATE_BIAS_SD = 0.5  # above it each unit has a time scale of its own


@public
def lyapunov_spectrum(system: System, *, drive: Drive = None, rng: Rng = 0) -> Dataset:
    """Predict the Lyapunov exponents of a recurrent network, per unit of time.

    The twin of ``dm.lyapunov_spectrum``. Linear, LRU, S4, S4D, S5 and linear attention: the
    eigenvalues, exactly. Selective: its rates times the mean step. Orthogonal with identity or
    unbiased modReLU: isometry. Tanh (a reservoir too), orthogonal tanh, LSTM and GRU: mean field
    with the network's own gain sqrt(N) rms(W), its biases, and the field
    rms(V) sqrt(inputs) rms(drive). A tanh network whose W is orthogonal takes the orthogonal
    theory. Gates whose biases differ widely from unit to unit (chrono initialisation) keep each
    its own time, ln sigma(b_i), the recurrent part left out; exactly so at zero weights.

    Parameters
    ----------
    system : Map
        A recurrent layer, or a Network of one.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None is zero, a number the standard deviation of white noise, else an array
        (steps, inputs) or a function (rng, steps) that returns one. Mean field theory uses its
        root mean square; a selective model the inputs themselves.
    rng : int, Generator or None, default 0
        Seed of the sampled mean field of LSTM and GRU, and of a drive that is a function.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step or 1/time unit
            Lyapunov exponents, largest first; the first alone where theory has no more.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            Standard error: of sampled mean field, else 0.
        lyapunov_scatter : (exponent,), 1/step or 1/time unit
            Of mean field: scatter of one network of N random units about it, times sqrt(N)
            [optional].
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension, NaN where the exponents known do not settle it.
        entropy_rate : (), nats/step or nats/time unit
            Sum of the positive exponents, NaN where not known.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0 [optional].

        Each theory adds its own variables (see its function).

    Raises
    ------
    ValueError
        Where no theory is known: ReLU, biased modReLU, attention, LMU, coRNN, several layers,
        flows; and where the gain is so large that every unit saturates.

    Notes
    -----
    Mean field holds for random weights in the limit of many units; what training makes of them
    is measured, not predicted.

    References
    ----------
    Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259; Can, Krishnamurthy and
    Schwab (2020), PMLR 107, 476.

    Examples
    --------
    >>> import dynmem as dm
    >>> network = dm.models.get("tanh", units=400, gain=3.0)
    >>> bool(abs(dm.theory.lyapunov_spectrum(network).lyapunov[0] - 0.31) < 0.01)
    True
    """
    cell = _cell(system)
    sd = drive_rms(cell, drive, rng)
    if type(cell) in _PREDICTIONS:  # a class derived from one of these may have another rule
        return _PREDICTIONS[type(cell)](cell, sd, rng)
    if isinstance(cell, Selective):
        return selective_spectrum(cell, drive=drive, rng=rng)
    if isinstance(cell, LINEAR):
        return state_space_spectrum(cell)
    if type(cell) is Linear:
        return linear_spectrum(cell.W, leak=cell.leak)
    raise ValueError(
        f"no theory of {type(cell).__name__} is known: measure it with dm.lyapunov_spectrum"
    )


@public
def gradient_norms(
    system: System, *, drive: Drive = None, lags: ArrayLike, rng: Rng = 0
) -> Dataset:
    """Predict the gradient d state_T / d state_(T-lag) over the lag.

    The twin of ``dm.gradient_norms``. Linear networks, LRU, S4, S4D, S5, linear attention and
    isometries exactly; tanh networks by mean field; selective ones by their mean step; gates and
    leaky tanh networks by exp(lambda_1 dt lag) with lambda_1 of ``lyapunov_spectrum``, the law of
    large lags.

    Parameters
    ----------
    system : Map
        A recurrent layer, or a Network of one.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as for ``lyapunov_spectrum``.
    lags : int or array_like of int
        The largest lag, or the lags wanted, in steps.
    rng : int, Generator or None, default 0
        Seed, as for ``lyapunov_spectrum``.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the root mean square singular value.
        state_gradient : (lag,), 1
            The root mean square singular value itself.
        log_state_gradient_error : (lag,), 1 [optional]
            Standard error of the logarithm, where lambda_1 is sampled.
        log_state_gradient_scatter : (lag,), 1 [optional]
            Scatter of that logarithm over networks of N random units, times sqrt(N).
        log_input_gradient : (lag,), 1
            The same of d y_T / d u_(T-lag), for linear memories [optional].
        input_gradient : (lag,), 1
            Its exponential [optional].
        time_scale : (), step
            -1/lambda_1 [optional].

    Raises
    ------
    ValueError
        Where no theory is known, as for ``lyapunov_spectrum``, and for lags that are not whole
        numbers of at least 0.

    Notes
    -----
    ``dm.memory_horizon`` and ``dm.kernel_tail`` read this Dataset as they read a measured one.

    References
    ----------
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), ICLR, section 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> gradients = dm.theory.gradient_norms(dm.models.Linear(0.9 * np.eye(2)), lags=[0, 100])
    >>> gradients.state_gradient.values.round(9).tolist()
    [1.0, 2.6561e-05]
    >>> predicted = dm.theory.gradient_norms(dm.models.Linear(0.9 * np.eye(2)), lags=50)
    >>> round(float(dm.memory_horizon(predicted).horizon), 4)
    9.4912
    """
    cell = _cell(system)
    sd, lags = drive_rms(cell, drive, rng), lag_axis(lags)
    if type(cell) is Linear:
        return linear_gradient((1 - cell.leak) * np.eye(cell.units) + cell.leak * cell.W, lags)
    if isinstance(cell, Selective):
        return selective_gradient(cell, drive=drive, lags=lags, rng=rng)
    if isinstance(cell, LINEAR):
        return state_space_gradient(cell, lags=lags)
    if isinstance(cell, Orthogonal) and _isometric(cell):
        return (
            isometry(cell.units, lags)
            .drop_dims("exponent")
            .drop_vars(["kaplan_yorke_dimension", "entropy_rate"])
        )
    if (type(cell) in (Tanh, ESN) and cell.leak == 1) or (
        isinstance(cell, Orthogonal) and cell.nonlinearity == "tanh"
    ):
        field = _fields(cell, sd)
        if not _is_orthogonal(cell.W):
            return tanh_gradient(lags, *field)
        return orthogonal_tanh_gradient(
            lags, math.hypot(field[1], field[2]), duration=int(np.max(lags)) + 1000
        )
    found = lyapunov_spectrum(cell, drive=drive, rng=rng).isel(exponent=0)
    first, error = (float(found[name]) * cell.dt for name in ("lyapunov", "lyapunov_error"))
    scatter = float(found.get("lyapunov_scatter", 0.0)) * cell.dt
    return gradient_report(
        lags,
        first * lags,
        title="gradient at large lags",
        source="exp(lambda_1 lag)",
        parameters={"lyapunov": first},
        scatter=scatter,
        log_state_gradient_error=(
            "lag",
            error * lags,
            "1",
            "standard error of ln |d state_T / d state_(T-lag)|",
        ),
    )


def _cell(system: System) -> Any:
    """The one recurrent layer of a system."""
    system = as_system(system)
    if isinstance(system, Network) and len(system.layers) == 1:
        system = system.layers[0]
    if isinstance(system, Network):
        raise ValueError(
            f"theory is known for one layer, this Network has {len(system.layers)}: "
            "pass one of its layers"
        )
    return system


def _fields(cell, drive):
    """Gain, sd of the bias, and sd of the field of a drive with this root mean square."""
    return _gain(cell.W), _rms(cell.b), drive * math.sqrt(cell.inputs) * _rms(cell.V)


def _gain(W):
    """sqrt(N) times the root mean square of the weights."""
    return math.sqrt(W.shape[1]) * _rms(W)


def _rms(values):
    """Root mean square, without overflow of the squares; 0 of nothing."""
    size = float(np.abs(values).max(initial=0.0))
    return size * float(np.sqrt(np.mean((values / size) ** 2))) if size else 0.0


def _deviation(values):
    return _rms(values - values.mean())


def _is_orthogonal(W):
    return np.abs(W).max() < 2 and np.allclose(W @ W.T, np.eye(len(W)), atol=1e-8)


def _isometric(cell):
    return cell.nonlinearity == "identity" or (cell.nonlinearity == "modrelu" and not cell.b.any())


def _tanh(cell, drive, rng):
    gain, bias, field = _fields(cell, drive)
    return (
        orthogonal_tanh_spectrum(field, bias)
        if _is_orthogonal(cell.W) and cell.leak == 1
        else tanh_spectrum(gain, bias, field, leak=cell.leak)
    )


def _orthogonal(cell, drive, rng):
    if _isometric(cell):
        return linear_spectrum(np.eye(cell.units))
    if cell.nonlinearity == "modrelu":
        raise ValueError(
            "a modReLU with bias is no isometry, and no theory of it is known: "
            "measure it with dm.lyapunov_spectrum"
        )
    _, bias, field = _fields(cell, drive)
    return orthogonal_tanh_spectrum(field, bias)


def _lstm(cell, drive, rng):
    i, f, g, o = np.split(cell.b, 4)
    if not cell.W.any() or _deviation(f) > MAX_GATE_BIAS_SD:
        return zero_weight_lstm_spectrum(cell.units, f)
    return lstm_spectrum(
        _gain(cell.W),
        _fields(cell, drive)[2],
        forget_bias=f.mean(),
        input_bias=i.mean(),
        output_bias=o.mean(),
        bias_sd=_deviation(g),
        rng=rng,
    )


def _gru(cell, drive, rng):
    r, z, n = np.split(cell.b, 3)
    if not cell.W.any() or _deviation(z) > MAX_GATE_BIAS_SD:
        return zero_weight_gru_spectrum(cell.units, z)
    return gru_spectrum(
        _gain(cell.W),
        _fields(cell, drive)[2],
        update_bias=z.mean(),
        reset_bias=r.mean(),
        bias_sd=_deviation(n),
        rng=rng,
    )


_PREDICTIONS: dict[type, Callable[..., Any]] = {
    Tanh: _tanh,
    ESN: _tanh,
    Orthogonal: _orthogonal,
    LSTM: _lstm,
    GRU: _gru,
}
