"""Gated networks on paper: time scales of gates, and spectra in the cases that have closed forms.

Gates in torch's sense: the LSTM's forget gate f and the GRU's update gate z keep, c_t = f c_(t-1) +
i g, h_t = z h_(t-1) + (1-z) n.
"""

import numpy as np

from ..labels import dataset
from .checks import count, finite, fraction, not_negative, numbers, square_matrix, vector
from .results import horizon_entry, lyapunov_report

CAN = "Can, Krishnamurthy and Schwab (2020)"


def log_sigmoid(x):
    """ln sigma(x) = -ln(1 + exp(-x)), without overflow.

    >>> round(float(log_sigmoid(5.0)), 7)
    -0.0067153
    """
    return -np.logaddexp(0.0, -np.asarray(x, float))


def sigmoid(x) -> float:
    """1/(1 + exp(-x)) as a float, without overflow."""
    return float(np.exp(log_sigmoid(x)))


def gate_time_scale(forget):
    """Time scale of a leaky memory whose gate is held at f: -1/ln f.

    forget: f in (0, 1), a number or a vector. Returns time_scale (steps) over the dimension forget.
    Raises ValueError outside (0, 1). Source: Gers, Schmidhuber and Cummins (2000); Tallec and
    Ollivier (2018).

    >>> gate_time_scale([0.9, 0.99]).time_scale.values.round(4).tolist()
    [9.4912, 99.4992]
    """
    forget = fraction("forget", forget)
    return dataset(
        {
            "time_scale": (
                "forget",
                -1.0 / np.log(forget),
                "step",
                "time in which the memory falls to 1/e",
            )
        },
        {"forget": ("forget", forget, "1", "value of the forget gate")},
        title="time scale of a gate",
        source="Tallec and Ollivier (2018)",
        parameters={"forget": forget},
    )


def chrono_bias(time):
    """Forget bias b = ln(T - 1) for a memory of T steps: then 1/(1 - sigma(b)) = T exactly.

    time: T > 1, in steps, a number or a vector. Returns bias(time), forget(time), time_scale(time)
    = -1/ln f (about T - 1/2). Raises ValueError where T <= 1. Source: Tallec and Ollivier (2018),
    section 2.

    >>> d = chrono_bias([2.0, 100.0])
    >>> d.bias.values.round(4).tolist(), (1 / (1 - d.forget.values)).round(9).tolist()
    ([0.0, 4.5951], [2.0, 100.0])
    """
    time = vector("time", time)
    if not (np.isfinite(time) & (time > 1)).all():
        raise ValueError(f"time = {time.tolist()}: a memory lasts more than 1 step, pass T > 1")
    return dataset(
        {
            "bias": ("time", np.log(time - 1), "1", "forget bias"),
            "forget": ("time", 1 - 1 / time, "1", "value of the forget gate"),
            "time_scale": (
                "time",
                -1.0 / np.log1p(-1 / time),
                "step",
                "time in which the memory falls to 1/e",
            ),
        },
        {"time": ("time", time, "step", "time of memory T")},
        title="chrono initialisation",
        source="Tallec and Ollivier (2018)",
        parameters={"time": time},
    )


def zero_weight_lstm_spectrum(units, forget_bias=0.0):
    """Spectrum of an LSTM whose recurrent weights are zero, whatever drives it through its biases:
    N times ln sigma(b), N times -inf.

    d c_t / d c_(t-1) = f, and h_t is a function of c_t, so the 2N-dimensional Jacobian has rank N.
    The h-only block would give -inf alone: it leaves out the constant error carousel.

    units: N; forget_bias: b, a number or a vector of N. Returns lyapunov(exponent) of 2N,
    kaplan_yorke_dimension, entropy_rate, horizon. Source: Hochreiter and Schmidhuber (1997); Gers,
    Schmidhuber and Cummins (2000).

    >>> zero_weight_lstm_spectrum(2, 1.0).lyapunov.values.round(7).tolist()
    [-0.3132617, -0.3132617, -inf, -inf]
    """
    n = count("units", units)
    exponents = np.concatenate((_gate_rates("forget_bias", forget_bias, n), np.full(n, -np.inf)))
    return _gate_report(
        exponents, "LSTM without recurrent weights", {"units": n, "forget_bias": forget_bias}
    )


def zero_weight_gru_spectrum(units, update_bias=0.0):
    """Spectrum of a GRU whose recurrent weights are zero: N times ln sigma(b_z).

    h' = z h + (1-z) n with gates and candidate that do not see h, so d h'/d h = z.

    units: N; update_bias: b_z, a number or a vector of N. Returns lyapunov(exponent) of N,
    kaplan_yorke_dimension, entropy_rate, horizon. Source: Cho et al. (2014), with torch's
    convention that z keeps.

    >>> zero_weight_gru_spectrum(1, 0.0).lyapunov.values.round(7).tolist()
    [-0.6931472]
    """
    n = count("units", units)
    exponents = _gate_rates("update_bias", update_bias, n)
    return _gate_report(
        exponents, "GRU without recurrent weights", {"units": n, "update_bias": update_bias}
    )


def _gate_rates(name, bias, units):
    bias = numbers(name, bias)
    if bias.ndim > 1 or (bias.ndim == 1 and bias.size != units):
        raise ValueError(f"{name} has shape {bias.shape}: pass a number or a vector of {units}")
    if np.isnan(bias).any():
        raise ValueError(f"{name} holds NaN")
    return log_sigmoid(np.broadcast_to(bias, (units,)))


def _gate_report(
    exponents,
    title,
    parameters,
    source="Hochreiter and Schmidhuber (1997); Cho et al. (2014)",
    **variables,
):
    horizon = horizon_entry(exponents.max())
    return lyapunov_report(
        exponents, title=title, source=source, parameters=parameters, horizon=horizon, **variables
    )


def lstm_origin(gain, *, forget_bias=0.0, input_bias=0.0, output_bias=0.0):
    """First exponent of a random LSTM at rest, and the gain at which rest becomes unstable.

    At h = c = 0 (no input, no bias on the candidate) the gates are constants f, i, o and c' = f c +
    i tanh(W h), h' = o tanh(c'), so the Jacobian has N eigenvalues f + o i w, w those of W (a disc
    of radius gain), and N zeros: lambda_1 = ln(f + o i gain), g_c = (1 - f)/(o i). The other gates'
    weights drop out: they multiply c or g, which are 0.

    gain: W ~ N(0, gain^2/N); biases of the gates. Returns lyapunov(exponent), spectral_radius,
    critical_gain, horizon (steps). Source: Can, Krishnamurthy and Schwab (2020); the disc is the
    circular law (Girko 1984).

    >>> d = lstm_origin(1.0)
    >>> float(d.spectral_radius), float(d.critical_gain)
    (0.75, 2.0)
    """
    f = sigmoid(finite("forget_bias", forget_bias))
    scale = sigmoid(finite("input_bias", input_bias)) * sigmoid(finite("output_bias", output_bias))
    parameters = {
        "gain": gain,
        "forget_bias": forget_bias,
        "input_bias": input_bias,
        "output_bias": output_bias,
    }
    return _origin_report(
        f, scale, gain, _ratio(sigmoid(-forget_bias), scale), "random LSTM at rest", parameters
    )


def gru_origin(gain, *, update_bias=0.0, reset_bias=0.0):
    """First exponent of a random GRU at rest, and the gain at which rest becomes unstable.

    At h = 0 (no input, no bias on the candidate) the Jacobian is z + (1-z) r W: eigenvalues z +
    (1-z) r w, lambda_1 = ln(z + (1-z) r gain), g_c = 1/r whatever z: the update gate sets how fast,
    the reset gate whether.

    gain: W ~ N(0, gain^2/N); biases of the gates. Returns lyapunov(exponent), spectral_radius,
    critical_gain, horizon (steps). Source: Can, Krishnamurthy and Schwab (2020).

    >>> d = gru_origin(1.0)
    >>> float(d.spectral_radius), float(d.critical_gain)
    (0.75, 2.0)
    """
    z, r = sigmoid(finite("update_bias", update_bias)), sigmoid(finite("reset_bias", reset_bias))
    parameters = {"gain": gain, "update_bias": update_bias, "reset_bias": reset_bias}
    return _origin_report(
        z, sigmoid(-update_bias) * r, gain, _ratio(1.0, r), "random GRU at rest", parameters
    )


def _ratio(top, bottom):
    """top/bottom, infinite where a shut gate leaves nothing to divide by."""
    return top / bottom if bottom else np.inf


def _origin_report(keep, scale, gain, critical, title, parameters):
    radius = keep + scale * not_negative("gain", gain)
    return lyapunov_report(
        np.log(radius),
        title=title,
        source=CAN,
        parameters=parameters,
        partial=True,
        horizon=horizon_entry(np.log(radius)),
        spectral_radius=((), radius, "1", "spectral radius of the Jacobian at the origin"),
        critical_gain=((), critical, "1", "gain at which the origin becomes unstable"),
    )


def lstm_origin_spectrum(candidate_weights, *, forget_bias=0.0, input_bias=0.0, output_bias=0.0):
    """Whole spectrum of a given LSTM at rest: ln |f + o i w| over the eigenvalues w of the
    candidate's block W_g, and N times -inf.

    Exact while the origin attracts (no input, no bias on the candidate, lambda_1 < 0); see
    ``lstm_origin``.

    candidate_weights: W_g, (N, N); biases of the gates, the same for all units. Returns
    lyapunov(exponent) of 2N, eigenvalue, horizon. Raises ShapeError where W_g is not square.
    Source: Can, Krishnamurthy and Schwab (2020).

    >>> lstm_origin_spectrum(np.eye(1)).lyapunov.values.round(6).tolist()
    [-0.287682, -inf]
    """
    w = np.linalg.eigvals(square_matrix(candidate_weights))
    f = sigmoid(finite("forget_bias", forget_bias))
    scale = sigmoid(finite("input_bias", input_bias)) * sigmoid(finite("output_bias", output_bias))
    parameters = {
        "candidate_weights": candidate_weights,
        "forget_bias": forget_bias,
        "input_bias": input_bias,
        "output_bias": output_bias,
    }
    return _eigenvalue_report(
        np.concatenate((f + scale * w, np.zeros(w.size))), "LSTM at rest", parameters
    )


def gru_origin_spectrum(candidate_weights, *, update_bias=0.0, reset_bias=0.0):
    """Whole spectrum of a given GRU at rest: ln |z + (1-z) r w| over the eigenvalues w of the
    candidate's block W_n.

    Exact while the origin attracts (no input, no bias on the candidate, lambda_1 < 0); see
    ``gru_origin``.

    candidate_weights: W_n, (N, N); biases of the gates, the same for all units. Returns
    lyapunov(exponent) of N, eigenvalue, horizon. Raises ShapeError where W_n is not square. Source:
    Can, Krishnamurthy and Schwab (2020).

    >>> gru_origin_spectrum(np.eye(1)).lyapunov.values.round(6).tolist()
    [-0.287682]
    """
    w = np.linalg.eigvals(square_matrix(candidate_weights))
    z, r = sigmoid(finite("update_bias", update_bias)), sigmoid(finite("reset_bias", reset_bias))
    scale = sigmoid(-update_bias) * r
    parameters = {
        "candidate_weights": candidate_weights,
        "update_bias": update_bias,
        "reset_bias": reset_bias,
    }
    return _eigenvalue_report(z + scale * w, "GRU at rest", parameters)


def _eigenvalue_report(eigenvalues, title, parameters):
    eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")].astype(complex)
    with np.errstate(divide="ignore"):
        exponents = np.log(np.abs(eigenvalues))
    return _gate_report(
        exponents,
        title,
        parameters,
        CAN,
        eigenvalue=("exponent", eigenvalues, "1", "eigenvalue of the Jacobian"),
    )
