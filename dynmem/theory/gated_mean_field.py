"""Dynamic mean field of gated networks: one unit in the Gaussian fields of all the others, solved
on a population of units.

Each block W_k of the recurrent weights gives a unit the Gaussian field (W_k h_(t-1))_i, of
covariance gain^2 C(t - t') over time, where C is the correlation of the units' own outputs: fields
-> outputs -> C -> fields, iterated to a fixed point with the same random numbers. A small
difference sees fields of covariance gain^2 psi(t - t') mu^(t + t'), and the growth mu per step is
where the map psi -> psi has spectral radius 1: lambda_1 = ln mu. Because C and psi keep their
dependence on the lag, the weights are the same at every step ("tied"), as in a network. With
weights drawn anew at each step ("untied", the usual simplification) only lag 0 is kept, and a slow
gate's coherent growth is missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import sigmoid
from ..autodiff.dual import Dual
from ..autodiff.tangents import Forward
from ..errors import ConvergenceError
from ..models.gated import gru_candidate, gru_state, lstm_gates, lstm_state
from ..runtime.validation import choice, generator, integer, number, public
from ..typing import Array, Rng
from .checks import below_saturation
from .gates import gru_origin, log_sigmoid, lstm_origin
from .results import FINITE_SIZE_SCATTER, lyapunov_report, time_scale_entry

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Can, Krishnamurthy and Schwab (2020); Krishnamurthy, Can and Schwab (2022); untied "
    "weights: Gilboa et al. (2019)"
)

MAX_GATED_GAIN = 1e3


@dataclass(frozen=True)
class Fields:
    """Fields of a unit: gain of the weights, sd of the drive, then of each field the mean and sd of
    its bias."""

    gain: float
    input_sd: float
    bias_mean: tuple[float, ...]
    bias_sd: tuple[float, ...]
    tied: bool = True


def lstm_unit(c: Array, recurrent: Any, drive: Any) -> tuple[Array, Array]:
    """Cell state and output of one LSTM unit from the fields of its gates i, f, g, o."""
    return lstm_state(c, *lstm_gates(*(recurrent[k] + drive[k] for k in range(4))))


def gru_unit(h: Array, recurrent: Any, drive: Any) -> tuple[Array, Array]:
    """State and output of one GRU unit from the fields of r, z and n."""
    n = gru_candidate(sigmoid(recurrent[0] + drive[0]), drive[2], recurrent[2])
    h = gru_state(h, sigmoid(recurrent[1] + drive[1]), n)
    return h, h


@public
def lstm_spectrum(
    gain: float,
    input_sd: float = 0.0,
    *,
    forget_bias: float | None = None,
    input_bias: float | None = None,
    output_bias: float | None = None,
    bias_sd: float = 0.0,
    weights: str = "tied",
    population: int = 256,
    samples: int = 4,
    rng: Rng = 0,
) -> Dataset:
    """First Lyapunov exponent of a random LSTM of many units driven by noise, per step.

    c_t = f c_(t-1) + i g, h_t = o tanh(c_t), each gate in Gaussian fields of covariance
    gain^2 E[h h](lag) (+ drive and bias); lambda_1 = ln mu, the growth of a difference in the state
    (h, c). At rest (no drive, no bias spread, below the critical gain) it is exactly that of
    ``lstm_origin``.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N), above 0 (for 0 see ``zero_weight_lstm_spectrum``) and at most 1000.
    input_sd : float, default 0.0
        Standard deviation of (V u)_i, inputs independent from step to step and many.
    forget_bias, input_bias, output_bias : float, optional
        One value for all units, or None for N(0, bias_sd^2) as for the candidate.
    bias_sd : float, default 0.0
        Standard deviation of the biases that are drawn.
    weights : str, default "tied"
        "tied" as in a network, or "untied": redrawn at each step, the usual approximation, off by
        0.05 to 0.15 where a slow gate adds coherently.
    population : int, default 256
        Units sampled over 256 steps, fewer over the longer times of a slow gate.
    samples : int, default 4
        Independent populations, whose spread gives the error.
    rng : int, Generator or None, default 0
        Seed.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            First Lyapunov exponent.
        lyapunov_error : (exponent,), 1/step
            Standard error over the samples; NaN for one.
        lyapunov_scatter : (exponent,), 1/step
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            0 where lambda_1 < 0, else NaN: one exponent does not settle it.
        entropy_rate : (), nats/step
            0 where lambda_1 <= 0, else NaN.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        state_variance : (), 1
            Mean square of the output h; not at rest, where ``lstm_origin`` is returned [optional].
        spectral_radius : (), 1
            Of the Jacobian, at rest [optional].
        critical_gain : (), 1
            Gain at which rest becomes unstable, at rest [optional].

    Raises
    ------
    ValueError
        For a gain of 0, and numbers that are negative or so large that every unit saturates.
    ConvergenceError
        Where the growth of differences does not settle.

    Notes
    -----
    Tied: within 0.02 of networks of 300 to 400 units at gain 0.5 to 10 and forget bias -5 to 5,
    0.025 at drive 3; undriven chaos at gain 4 lies 0.02 above N = 400 and 0.015 above N = 1000,
    finite size; a bias spread of 0.5 moved one network of 200 units by 0.02.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476; Krishnamurthy, Can and Schwab (2022), Phys.
    Rev. X 12, 011011; Gilboa et al. (2019), arXiv:1901.08987, for untied weights.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.lstm_spectrum(1.0, 1.0, population=128, samples=2)
    >>> bool(abs(found.lyapunov.item() + 0.440) < 0.02)  # networks of 400 units: -0.440
    True
    """
    biases = (input_bias, forget_bias, None, output_bias)

    def at_rest():
        return lstm_origin(
            gain,
            forget_bias=forget_bias or 0.0,
            input_bias=input_bias or 0.0,
            output_bias=output_bias or 0.0,
        )

    return _spectrum(
        lstm_unit,
        "LSTM",
        gain,
        input_sd,
        biases,
        bias_sd,
        forget_bias,
        at_rest,
        weights,
        population,
        samples,
        rng,
    )


@public
def gru_spectrum(
    gain: float,
    input_sd: float = 0.0,
    *,
    update_bias: float | None = None,
    reset_bias: float | None = None,
    bias_sd: float = 0.0,
    weights: str = "tied",
    population: int = 256,
    samples: int = 4,
    rng: Rng = 0,
) -> Dataset:
    """First Lyapunov exponent of a random GRU of many units driven by noise, per step.

    h_t = (1-z) n + z h_(t-1), n = tanh(V u + b + r (W h)), each field Gaussian of covariance
    gain^2 E[h h](lag). At rest exactly ``gru_origin``.

    Parameters
    ----------
    gain : float
        W ~ N(0, gain^2/N), above 0 (for 0 see ``zero_weight_gru_spectrum``) and at most 1000.
    input_sd : float, default 0.0
        Standard deviation of (V u)_i, inputs independent from step to step and many.
    update_bias, reset_bias : float, optional
        Bias of z, which keeps, and of r: one value for all units, or None for N(0, bias_sd^2) as
        for the candidate, whose bias inside the reset gate is 0.
    bias_sd : float, default 0.0
        Standard deviation of the biases that are drawn.
    weights : str, default "tied"
        "tied" as in a network, or "untied": redrawn at each step.
    population : int, default 256
        Units sampled over 256 steps, fewer over the longer times of a slow gate.
    samples : int, default 4
        Independent populations, whose spread gives the error.
    rng : int, Generator or None, default 0
        Seed.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step
            First Lyapunov exponent.
        lyapunov_error : (exponent,), 1/step
            Standard error over the samples; NaN for one.
        lyapunov_scatter : (exponent,), 1/step
            Scatter of one network of N random units about this, times sqrt(N).
        kaplan_yorke_dimension : (), 1
            0 where lambda_1 < 0, else NaN: one exponent does not settle it.
        entropy_rate : (), nats/step
            0 where lambda_1 <= 0, else NaN.
        time_scale : (), step
            -1/lambda_1, infinite where lambda_1 >= 0.
        state_variance : (), 1
            Mean square of the output h; not at rest, where ``gru_origin`` is returned [optional].
        spectral_radius : (), 1
            Of the Jacobian, at rest [optional].
        critical_gain : (), 1
            Gain at which rest becomes unstable, at rest [optional].

    Raises
    ------
    ValueError
        For a gain of 0, and numbers that are negative or so large that every unit saturates.
    ConvergenceError
        Where the growth of differences does not settle.

    Notes
    -----
    Tied: within 0.006 of networks of 400 units at gain 1 to 6, driven; 0.05 of 0.98 at gain 20.

    References
    ----------
    Can, Krishnamurthy and Schwab (2020), PMLR 107, 476; Krishnamurthy, Can and Schwab (2022), Phys.
    Rev. X 12, 011011.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.gru_spectrum(2.0, 1.0, update_bias=1.0, population=128, samples=2)
    >>> bool(abs(found.lyapunov.item() + 0.117) < 0.02)  # networks of 400 units: -0.117
    True
    """

    def at_rest():
        return gru_origin(gain, update_bias=update_bias or 0.0, reset_bias=reset_bias or 0.0)

    return _spectrum(
        gru_unit,
        "GRU",
        gain,
        input_sd,
        (reset_bias, update_bias, None),
        bias_sd,
        update_bias,
        at_rest,
        weights,
        population,
        samples,
        rng,
    )


def _spectrum(
    unit: Callable,
    name: str,
    gain: float,
    input_sd: float,
    biases: tuple[float | None, ...],
    bias_sd: float,
    keep_bias: float | None,
    at_rest: Callable[[], Dataset],
    weights: str,
    population: int,
    samples: int,
    rng: Rng,
) -> Dataset:
    """Report of the first exponent over several populations."""
    choice("weights", weights, ("tied", "untied"))
    gain = below_saturation("gain", number("gain", gain, above=0), MAX_GATED_GAIN)
    input_sd = below_saturation("input_sd", input_sd)
    bias_sd = below_saturation("bias_sd", bias_sd)
    means = tuple(0.0 if b is None else number("bias", b) for b in biases)
    spreads = tuple(bias_sd if b is None else 0.0 for b in biases)
    fields = Fields(gain, input_sd, means, spreads, weights == "tied")
    parameters = {
        "gain": gain,
        "input_sd": input_sd,
        "bias_mean": means,
        "bias_sd": bias_sd,
        "weights": weights,
    }
    given: dict = {
        "title": f"mean field of the random {name}",
        "source": SOURCE,
        "parameters": parameters,
        "partial": True,
        "scatter": FINITE_SIZE_SCATTER,
    }
    rest = at_rest() if input_sd == bias_sd == 0 else None
    if rest is not None and gain <= float(rest.critical_gain) and fields.tied:
        return rest
    window = _window(0.0 if keep_bias is None else keep_bias)
    size = max(48, integer("population", population) * 256 // window)
    seeds = generator(rng).spawn(integer("samples", samples))
    found = np.array(
        [first_exponent(unit, fields, units=size, window=window, rng=seed) for seed in seeds]
    )
    error = found.std(axis=0, ddof=1) / np.sqrt(samples) if samples > 1 else np.full(2, np.nan)
    first = found[:, 0].mean()
    return lyapunov_report(
        first,
        lyapunov_error=error[:1],
        seed=rng,
        time_scale=time_scale_entry(first),
        state_variance=((), found[:, 1].mean(), "1", "mean square of the output h"),
        **given,
    )


def _window(keep_bias: float) -> int:
    """Length of the periodic time: a power of two, at least ten time scales of the gate that keeps,
    at most 4096 steps."""
    scale = -10.0 / float(log_sigmoid(keep_bias))
    return int(2 ** np.clip(np.ceil(np.log2(scale)), 8, 12))


def first_exponent(
    unit: Callable, fields: Fields, *, units: int, window: int, rng: Rng
) -> tuple[float, float]:
    """First exponent per step and mean square of the output, from one population.

    unit: rule of one unit; units, window: size M of the population and length T of its periodic
    time.
    """
    rng = generator(rng)
    shape = window, len(fields.bias_mean), units
    bias = np.reshape(fields.bias_mean, (-1, 1)) + np.reshape(
        fields.bias_sd, (-1, 1)
    ) * rng.standard_normal(shape[1:])
    drive = rng.standard_normal(shape) * fields.input_sd + bias
    noise = np.fft.rfft(rng.standard_normal(shape), axis=0)
    correlation, recurrent, state = _stationary(unit, fields, drive, noise)
    slopes = _slopes(unit, state, recurrent, drive)
    noise = np.fft.rfft(rng.standard_normal(shape), axis=0)
    return _growth(slopes, noise, fields), float(correlation[0])


def _stationary(unit, fields, drive, noise, rounds=60, tolerance=1e-4):
    """Correlation C over the lag, the fields it makes and the states that precede them, iterated
    until C has converged."""
    correlation = 0.25 * 0.9 ** np.minimum(
        np.arange(len(drive)), len(drive) - np.arange(len(drive))
    )
    for _ in range(rounds):
        recurrent = _coloured(correlation, noise, fields)
        states, outputs = _run(unit, recurrent, drive)
        found = _correlation(outputs, fields.tied)
        change = np.abs(found - correlation).max()
        correlation = 0.3 * correlation + 0.7 * found
        if change < tolerance * max(found[0], 1e-6):
            break
    return correlation, recurrent, states


def _coloured(correlation, noise, fields):
    """Gaussian fields of covariance gain^2 C over a periodic time, shape (T, K, M), from the
    transform of white noise."""
    power = np.maximum(np.fft.rfft(correlation).real, 0.0)
    return fields.gain * np.fft.irfft(
        noise * np.sqrt(power)[:, None, None], n=len(correlation), axis=0
    )


def _correlation(outputs, tied):
    """Correlation over the periodic lag, averaged over time and units; without its lags where the
    weights are drawn anew."""
    steps = len(outputs)
    if not tied:
        return np.concatenate(([np.mean(outputs**2)], np.zeros(steps - 1)))
    power = (np.abs(np.fft.rfft(outputs, axis=0)) ** 2).mean(axis=1)
    return np.fft.irfft(power, n=steps) / steps


def _run(unit, recurrent, drive):
    """States before each step and outputs after it, (T, M) each; the first of two turns around the
    period forgets the start."""
    state, states, outputs = (
        np.zeros(drive.shape[2]),
        np.empty(drive[:, 0].shape),
        np.empty(drive[:, 0].shape),
    )
    for _ in range(2):
        for t in range(len(drive)):
            states[t] = state
            state, outputs[t] = unit(state, recurrent[t], drive[t])
    return states, outputs


def _slopes(unit, states, recurrent, drive, block=64):
    """Derivatives of (state, output) by (state, each recurrent field), from dual numbers: shape (2,
    1 + K, T, M)."""
    steps, count, units = drive.shape
    slopes = np.empty((2, count + 1, steps, units))
    for start in range(0, steps, block):  # blocks of time bound the memory
        at = slice(start, start + block)
        seeds = np.broadcast_to(
            np.eye(count + 1)[:, :, None, None], (count + 1, count + 1, *states[at].shape)
        )
        inputs = [
            Dual(value, Forward(seeds[:, k]))
            for k, value in enumerate((states[at], *np.moveaxis(recurrent[at], 1, 0)))
        ]
        new = unit(inputs[0], inputs[1:], np.moveaxis(drive[at], 1, 0))
        slopes[:, :, at] = np.stack([part.tangent.array() for part in new])
    return slopes


def _growth(slopes, noise, fields, rounds=150, tolerance=2e-5):
    """ln mu such that the correlation of a difference, psi, comes back unchanged under one pass
    through the units."""
    (state_slope, *state_fields), (output_slope, *output_fields) = slopes
    state_fields, output_fields = np.stack(state_fields, 1), np.stack(output_fields, 1)
    keep = np.sqrt((state_slope**2).mean())  # what a unit keeps by itself: mu lies above
    psi = np.ones(len(state_slope)) if fields.tied else np.eye(1, len(state_slope))[0]
    mu, history, damping, last = 1.0, [], 0.25, 0.0
    for _ in range(rounds):
        kicks = _coloured(psi, noise, fields)
        states = _filtered(state_slope, (state_fields * kicks).sum(1), mu)
        found = _correlation(
            (output_slope * states + (output_fields * kicks).sum(1)) / mu, fields.tied
        )
        ratio = np.log(np.clip(found[0] / psi[0], 0.01, 100.0))
        # 1/2 is Newton's step for coherent growth; units that keep long respond more steeply
        damping *= 0.7 if ratio * last < 0 else 1.0
        mu, last = keep + (mu - keep) * np.exp(damping * ratio), ratio
        psi = found / found[0]
        history.append(np.log(mu))
        if len(history) > 8 and np.ptp(history[-4:]) < tolerance:
            return history[-1]
    late = history[rounds // 2 :]
    if not np.ptp(late) < 0.01:  # a small cycle is averaged
        raise ConvergenceError(
            f"the growth of differences does not settle, it varies by {np.ptp(late):.2g} a step: "
            "pass a larger population"
        )
    return float(np.mean(late))


def _filtered(slope, pushes, mu):
    """Differences before each step, from two turns around the periodic time."""
    states, state = np.empty_like(pushes), np.zeros(pushes.shape[1])
    for _ in range(2):
        for t in range(len(pushes)):
            states[t] = state
            state = (slope[t] * state + pushes[t]) / mu
    return states
