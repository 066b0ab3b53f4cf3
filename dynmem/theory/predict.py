"""Predictions for a given system: the theory that fits its kind, with the statistics of its own
weights put in."""

import math

import numpy as np

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
from ..system import as_system
from .checks import lag_axis, not_negative
from .gated_mean_field import gru_spectrum, lstm_spectrum
from .gates import zero_weight_gru_spectrum, zero_weight_lstm_spectrum
from .linear import isometry, linear_gradient, linear_spectrum
from .mean_field import (
    orthogonal_tanh_gradient,
    orthogonal_tanh_spectrum,
    tanh_gradient,
    tanh_spectrum,
)
from .state_space.kernels import state_space_gradient, state_space_spectrum
from .state_space.spectra import selective_gradient, selective_spectrum

LINEAR = (LRU, S4, S4D, S5, LinearAttention)  # memories, whatever is read out of them
WIDE = 0.5  # spread of a gate's biases above which each unit is on its own


def lyapunov_spectrum(system, *, drive=0.0, rng=0):
    """Predicted Lyapunov exponents of a recurrent network, per unit time: the twin of
    ``dm.lyapunov_spectrum``.

    Linear, LRU, S4, S4D, S5, linear attention: the eigenvalues, exactly. Selective: its rates times
    the mean step. Orthogonal with identity or unbiased modReLU: isometry. Tanh (a reservoir too),
    orthogonal tanh, LSTM and GRU: mean field with the network's own gain sqrt(N) rms(W), its bias,
    and the field rms(V) sqrt(inputs) drive of white noise of standard deviation ``drive``; a tanh
    network whose W is orthogonal takes the orthogonal theory. Gates whose biases differ widely from
    unit to unit (chrono initialisation) keep each its own time, ln sigma(b_i), the recurrent part
    left out; exactly so at zero weights. The mean field holds for random weights; what training
    makes of them is for the measurement to say.

    Raises ValueError where no theory is known (ReLU, biased modReLU, attention, LMU, coRNN, several
    layers, flows).

    >>> import dynmem as dm
    >>> network = dm.models.get("tanh", units=400, gain=3.0)
    >>> bool(abs(lyapunov_spectrum(network).lyapunov[0] - 0.31) < 0.01)
    True
    """
    cell, drive = _cell(system), not_negative("drive", drive)
    if type(cell) in _PREDICTIONS:  # a class derived from one of these may have another rule
        return _PREDICTIONS[type(cell)](cell, drive, rng)
    if isinstance(cell, Selective):
        return selective_spectrum(cell, drive)
    if isinstance(cell, LINEAR):
        return state_space_spectrum(cell)
    if type(cell) is Linear:
        return linear_spectrum(cell.W, leak=cell.leak)
    raise ValueError(
        f"no theory of {type(cell).__name__} is known here: measure it with dm.lyapunov_spectrum"
    )


def gradient_norms(system, *, lags, drive=0.0, rng=0):
    """Predicted gradient d state_T / d state_(T-lag) over the lag: the twin of
    ``dm.gradient_norms``.

    Linear networks, LRU, S4, S4D, S5, linear attention and isometries exactly, tanh networks by
    mean field, selective ones by their mean step; for gates and leaky tanh networks exp(lambda_1 dt
    lag) with lambda_1 as predicted by ``lyapunov_spectrum``, the law of large lags. lags: the
    largest lag, or a vector of lags, in steps. Raises ValueError where no theory is known, as
    ``lyapunov_spectrum`` does, and for lags that are no whole numbers of at least 0.

    >>> import dynmem as dm
    >>> gradient_norms(dm.models.Linear(0.9 * np.eye(2)), lags=[0, 100]).state_gradient.values.round(9).tolist()
    [1.0, 2.6561e-05]
    """
    from .results import gradient_report

    cell, drive, given = _cell(system), not_negative("drive", drive), lag_axis(lags)
    lags = np.arange(given[0] + 1) if np.ndim(lags) == 0 else given
    if type(cell) is Linear:
        return linear_gradient((1 - cell.leak) * np.eye(cell.units) + cell.leak * cell.W, lags)
    if isinstance(cell, Selective):
        return selective_gradient(cell, lags, drive)
    if isinstance(cell, LINEAR):
        return state_space_gradient(cell, lags)
    if isinstance(cell, Orthogonal) and _isometric(cell):
        return isometry(cell.units, lags)
    if (type(cell) in (Tanh, ESN) and cell.leak == 1) or (
        isinstance(cell, Orthogonal) and cell.nonlinearity == "tanh"
    ):
        field = _fields(cell, drive)
        if not _is_orthogonal(cell.W):
            return tanh_gradient(lags, *field)
        return orthogonal_tanh_gradient(
            lags, math.hypot(field[1], field[2]), duration=int(np.max(lags)) + 1000
        )
    first = float(lyapunov_spectrum(cell, drive=drive, rng=rng).lyapunov.values[0]) * cell.dt
    return gradient_report(
        lags,
        first * lags,
        title="gradient at large lags",
        source="exp(lambda_1 lag)",
        parameters={"lyapunov": first},
    )


def _cell(system):
    """The one recurrent layer of a system."""
    system = as_system(system)
    if isinstance(system, Network) and len(system.layers) == 1:
        system = system.layers[0]
    if isinstance(system, Network):
        raise ValueError(
            f"theory is known for one layer, this network has {len(system.layers)}: "
            "pass one of its layers"
        )
    return system


def _fields(cell, drive):
    """Gain, sd of the bias, and sd of the field that the drive makes, of a plain network."""
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
            "a modReLU with bias is no isometry, and no theory of it is known here: "
            "measure it with dm.lyapunov_spectrum"
        )
    _, bias, field = _fields(cell, drive)
    return orthogonal_tanh_spectrum(field, bias)


def _lstm(cell, drive, rng):
    i, f, g, o = np.split(cell.b, 4)
    if not cell.W.any() or _deviation(f) > WIDE:
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
    if not cell.W.any() or _deviation(z) > WIDE:
        return zero_weight_gru_spectrum(cell.units, z)
    return gru_spectrum(
        _gain(cell.W),
        _fields(cell, drive)[2],
        update_bias=z.mean(),
        reset_bias=r.mean(),
        bias_sd=_deviation(n),
        rng=rng,
    )


_PREDICTIONS = {Tanh: _tanh, ESN: _tanh, Orthogonal: _orthogonal, LSTM: _lstm, GRU: _gru}
