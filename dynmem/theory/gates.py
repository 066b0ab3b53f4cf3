"""Gated networks: time scales of gates, and spectra in the cases that have closed forms.

Gates in torch's sense: the LSTM's forget gate f and the GRU's update gate z keep,
c_t = f c_(t-1) + i g, h_t = z h_(t-1) + (1-z) n.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..labels import complex_parts, dataset
from ..runtime.validation import integer, number, public
from ..typing import ArrayLike
from .checks import gate_values, square_matrix, vector
from .conversions import lag_of_factor
from .results import FINITE_SIZE_SCATTER, lyapunov_report, time_scale_entry

if TYPE_CHECKING:
    from xarray import Dataset

CAN = "Can, Krishnamurthy and Schwab (2020)"


def log_sigmoid(x: ArrayLike) -> np.ndarray:
    """ln sigma(x) = -ln(1 + exp(-x)), without overflow.

    >>> round(float(log_sigmoid(5.0)), 7)
    -0.0067153
    """
    return -np.logaddexp(0.0, -np.asarray(x, float))


def sigmoid(x: float) -> float:
    """1/(1 + exp(-x)) as a float, without overflow."""
    return float(np.exp(log_sigmoid(x)))


@public
def gate_time_scale(forget: ArrayLike) -> Dataset:
    """Time scale of a leaky memory whose gate is held at f: -1/ln f.

    Parameters
    ----------
    forget : float or array_like (gates,)
        Value f of the forget gate, strictly between 0 and 1.

    Returns
    -------
    xarray.Dataset
        time_scale : (forget,), step
            Time in which the memory falls to 1/e.

    Raises
    ------
    ValueError
        Outside (0, 1).

    References
    ----------
    Gers, Schmidhuber and Cummins (2000), Neural Comput. 12, 2451; Tallec and Ollivier (2018), ICLR.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.gate_time_scale([0.9, 0.99]).time_scale.values.round(4).tolist()
    [9.4912, 99.4992]
    """
    forget = gate_values("forget", forget)
    return dataset(
        {
            "time_scale": (
                "forget",
                lag_of_factor(forget),
                "step",
                "time in which the memory falls to 1/e",
            )
        },
        {"forget": ("forget", forget, "1", "value of the forget gate")},
        title="time scale of a gate",
        source="Tallec and Ollivier (2018)",
        parameters={"forget": forget},
    )


@public
def chrono_bias(time: ArrayLike) -> Dataset:
    """Forget bias b = ln(T - 1) for a memory of T steps: then 1/(1 - sigma(b)) = T exactly.

    Parameters
    ----------
    time : float or array_like (times,)
        T > 1, in steps.

    Returns
    -------
    xarray.Dataset
        bias : (time,), 1
            Forget bias.
        forget : (time,), 1
            Value f of the forget gate.
        time_scale : (time,), step
            -1/ln f, about T - 1/2.

    Raises
    ------
    ValueError
        Where T <= 1.

    References
    ----------
    Tallec and Ollivier (2018), ICLR, section 2.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.chrono_bias([2.0, 100.0])
    >>> found.bias.values.round(4).tolist(), (1 / (1 - found.forget.values)).round(9).tolist()
    ([0.0, 4.5951], [2.0, 100.0])
    """
    time = vector("time", time)
    if not (time > 1).all():
        raise ValueError(f"time = {time.tolist()!s:.60}: must be above 1 step")
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


@public
def zero_weight_lstm_spectrum(units: int, forget_bias: ArrayLike = 0.0) -> Dataset:
    """Spectrum of an LSTM whose recurrent weights are zero: N times ln sigma(b), N times -inf.

    d c_t / d c_(t-1) = f, and h_t is a function of c_t, so the 2N-dimensional Jacobian has rank N,
    whatever the input adds to the biases' part. The h-only block would give -inf alone: it leaves
    out the constant error carousel.

    Parameters
    ----------
    units : int
        N.
    forget_bias : float or array_like (N,), default 0.0
        Forget bias b; may be infinite.

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

    Raises
    ------
    ShapeError
        Where the biases are not one or N numbers.
    ValueError
        Where units is not a whole number of at least 1.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Neural Comput. 9, 1735; Gers, Schmidhuber and Cummins (2000),
    Neural Comput. 12, 2451.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.zero_weight_lstm_spectrum(2, 1.0).lyapunov.values.round(7).tolist()
    [-0.3132617, -0.3132617, -inf, -inf]
    """
    n = integer("units", units)
    exponents = np.concatenate((_gate_rates("forget_bias", forget_bias, n), np.full(n, -np.inf)))
    return _gate_report(
        exponents, "LSTM without recurrent weights", {"units": n, "forget_bias": forget_bias}
    )


@public
def zero_weight_gru_spectrum(units: int, update_bias: ArrayLike = 0.0) -> Dataset:
    """Spectrum of a GRU whose recurrent weights are zero: N times ln sigma(b_z).

    h' = z h + (1-z) n with gates and candidate that do not depend on h, so d h'/d h = z.

    Parameters
    ----------
    units : int
        N.
    update_bias : float or array_like (N,), default 0.0
        Bias b_z of the update gate; may be infinite.

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

    Raises
    ------
    ShapeError
        Where the biases are not one or N numbers.
    ValueError
        Where units is not a whole number of at least 1.

    References
    ----------
    Cho et al. (2014), EMNLP, with torch's convention that z keeps.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.zero_weight_gru_spectrum(1, 0.0).lyapunov.values.round(7).tolist()
    [-0.6931472]
    """
    n = integer("units", units)
    exponents = _gate_rates("update_bias", update_bias, n)
    return _gate_report(
        exponents, "GRU without recurrent weights", {"units": n, "update_bias": update_bias}
    )


def _gate_rates(name: str, bias: ArrayLike, units: int) -> np.ndarray:
    """ln sigma of the biases, which may be infinite: a gate that is fully open or shut."""
    found = np.asarray(bias)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {bias!r:.60}")
    if found.ndim > 1 or (found.ndim == 1 and found.size != units):
        raise ShapeError(f"{name} has shape {found.shape}, expected a number or ({units},)")
    if np.isnan(found).any():
        raise NotFiniteError(f"{name} holds NaN")
    return log_sigmoid(np.broadcast_to(found, (units,)))


def _gate_report(
    exponents: np.ndarray,
    title: str,
    parameters: Mapping,
    source: str = "Hochreiter and Schmidhuber (1997); Cho et al. (2014)",
    **variables: Any,
) -> Dataset:
    return lyapunov_report(
        exponents,
        title=title,
        source=source,
        parameters=parameters,
        time_scale=time_scale_entry(exponents.max()),
        **variables,
    )


@public
def lstm_origin(
    gain: float,
    *,
    forget_bias: float = 0.0,
    input_bias: float = 0.0,
    output_bias: float = 0.0,
) -> Dataset:
    """First exponent of a random LSTM at rest, and the gain at which rest becomes unstable.

    At h = c = 0 (no input, no bias on the candidate) the gates are constants f, i, o and
    c' = f c + i tanh(W h), h' = o tanh(c'), so the Jacobian has N eigenvalues f + o i w, w those of
    W (a disc of radius gain), and N zeros: lambda_1 = ln(f + o i gain), g_c = (1 - f)/(o i). The
    other gates' weights drop out: they multiply c or g, which are 0.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N).
    forget_bias, input_bias, output_bias : float, default 0.0
        Biases of the gates.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            First Lyapunov exponent.
        lyapunov_error : (exponent,), 1/step
            0: the formula is exact for many units.
        lyapunov_scatter : (exponent,), 1/step
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            0 below the critical gain, NaN above: one exponent does not settle it.
        entropy_rate : (), nats/step
            0 below the critical gain, NaN above.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        spectral_radius : (), 1
            Spectral radius of the Jacobian at the origin.
        critical_gain : (), 1
            Gain at which the origin becomes unstable.

    Raises
    ------
    ValueError
        For a negative gain, or a bias that is not finite.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476; the disc is the circular law (Girko 1984).

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.lstm_origin(1.0)
    >>> float(found.spectral_radius), float(found.critical_gain)
    (0.75, 2.0)
    """
    f = sigmoid(number("forget_bias", forget_bias))
    scale = sigmoid(number("input_bias", input_bias)) * sigmoid(number("output_bias", output_bias))
    parameters = {
        "gain": gain,
        "forget_bias": forget_bias,
        "input_bias": input_bias,
        "output_bias": output_bias,
    }
    return _origin_report(
        f, scale, gain, _ratio(sigmoid(-forget_bias), scale), "random LSTM at rest", parameters
    )


@public
def gru_origin(gain: float, *, update_bias: float = 0.0, reset_bias: float = 0.0) -> Dataset:
    """First exponent of a random GRU at rest, and the gain at which rest becomes unstable.

    At h = 0 (no input, no bias on the candidate) the Jacobian is z + (1-z) r W: eigenvalues
    z + (1-z) r w, lambda_1 = ln(z + (1-z) r gain), g_c = 1/r whatever z: the update gate sets how
    fast, the reset gate whether.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N).
    update_bias, reset_bias : float, default 0.0
        Biases of the gates.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            First Lyapunov exponent.
        lyapunov_error : (exponent,), 1/step
            0: the formula is exact for many units.
        lyapunov_scatter : (exponent,), 1/step
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            0 below the critical gain, NaN above: one exponent does not settle it.
        entropy_rate : (), nats/step
            0 below the critical gain, NaN above.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        spectral_radius : (), 1
            Spectral radius of the Jacobian at the origin.
        critical_gain : (), 1
            Gain at which the origin becomes unstable.

    Raises
    ------
    ValueError
        For a negative gain, or a bias that is not finite.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.gru_origin(1.0)
    >>> float(found.spectral_radius), float(found.critical_gain)
    (0.75, 2.0)
    """
    z, r = sigmoid(number("update_bias", update_bias)), sigmoid(number("reset_bias", reset_bias))
    parameters = {"gain": gain, "update_bias": update_bias, "reset_bias": reset_bias}
    return _origin_report(
        z, sigmoid(-update_bias) * r, gain, _ratio(1.0, r), "random GRU at rest", parameters
    )


def _ratio(top: float, bottom: float) -> float:
    """top/bottom, infinite where the bottom is 0."""
    return top / bottom if bottom else np.inf


def _origin_report(keep, scale, gain, critical, title, parameters):
    radius = keep + scale * number("gain", gain, least=0)
    return lyapunov_report(
        np.log(radius),
        title=title,
        source=CAN,
        parameters=parameters,
        partial=True,
        scatter=FINITE_SIZE_SCATTER * scale * gain / radius if radius else 0.0,
        time_scale=time_scale_entry(np.log(radius)),
        spectral_radius=((), radius, "1", "spectral radius of the Jacobian at the origin"),
        critical_gain=((), critical, "1", "gain at which the origin becomes unstable"),
    )


@public
def lstm_origin_spectrum(
    candidate_weights: ArrayLike,
    *,
    forget_bias: float = 0.0,
    input_bias: float = 0.0,
    output_bias: float = 0.0,
) -> Dataset:
    """Whole spectrum of a given LSTM at rest: ln abs(f + o i w), and N times -inf.

    w are the eigenvalues of the candidate's block W_g. Exact while the origin attracts (no input,
    no bias on the candidate, lambda_1 < 0); see ``lstm_origin``.

    Parameters
    ----------
    candidate_weights : array_like (N, N)
        W_g.
    forget_bias, input_bias, output_bias : float, default 0.0
        Biases of the gates, the same for all units.

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
            Real part of the eigenvalue of the Jacobian.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.

    Raises
    ------
    ShapeError
        Where W_g is not square.
    ValueError
        For a bias that is not finite.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.lstm_origin_spectrum(np.eye(1)).lyapunov.values.round(6).tolist()
    [-0.287682, -inf]
    """
    w = np.linalg.eigvals(square_matrix(candidate_weights, "candidate_weights"))
    f = sigmoid(number("forget_bias", forget_bias))
    scale = sigmoid(number("input_bias", input_bias)) * sigmoid(number("output_bias", output_bias))
    parameters = {
        "candidate_weights": candidate_weights,
        "forget_bias": forget_bias,
        "input_bias": input_bias,
        "output_bias": output_bias,
    }
    return _eigenvalue_report(
        np.concatenate((f + scale * w, np.zeros(w.size))), "LSTM at rest", parameters
    )


@public
def gru_origin_spectrum(
    candidate_weights: ArrayLike, *, update_bias: float = 0.0, reset_bias: float = 0.0
) -> Dataset:
    """Whole spectrum of a given GRU at rest: ln abs(z + (1-z) r w).

    w are the eigenvalues of the candidate's block W_n. Exact while the origin attracts (no input,
    no bias on the candidate, lambda_1 < 0); see ``gru_origin``.

    Parameters
    ----------
    candidate_weights : array_like (N, N)
        W_n.
    update_bias, reset_bias : float, default 0.0
        Biases of the gates, the same for all units.

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
            Real part of the eigenvalue of the Jacobian.
        eigenvalue_imag : (exponent,), 1
            Imaginary part.

    Raises
    ------
    ShapeError
        Where W_n is not square.
    ValueError
        For a bias that is not finite.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.gru_origin_spectrum(np.eye(1)).lyapunov.values.round(6).tolist()
    [-0.287682]
    """
    w = np.linalg.eigvals(square_matrix(candidate_weights, "candidate_weights"))
    z, r = sigmoid(number("update_bias", update_bias)), sigmoid(number("reset_bias", reset_bias))
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
        **complex_parts("eigenvalue", "exponent", eigenvalues, "1", "eigenvalue of the Jacobian"),
    )
