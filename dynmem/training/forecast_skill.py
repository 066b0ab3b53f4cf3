"""How far and how truly a forecaster follows its orbit: valid time, exponents, attractor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import lyapunov_spectrum
from ..labels import as_seed, dataset
from ..orbits import trajectory
from ..runtime.validation import all_errors, integer, number, public
from ..typing import Rng
from .forecaster import Forecaster, check_forecaster
from .orbit_data import as_orbit, time_unit, values

if TYPE_CHECKING:
    from xarray import Dataset

# normalised error at which a forecast is no longer valid (Pathak et al. 2018 and most since)
VALID_ERROR = 0.4
VALID_TIME_SOURCE = "Pathak et al. (2018), Phys. Rev. Lett. 120, 024102"
DYNAMICS_SOURCE = "Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35"


@public
def valid_time(
    forecaster: Forecaster,
    data: Dataset,
    *,
    starts: int = 50,
    threshold: float = VALID_ERROR,
    warmup: int = 100,
    longest: float = 15.0,
    part: str = "test",
) -> Dataset:
    """How long free-running forecasts stay near the true orbit, in Lyapunov times.

    The error of a forecast is |y - true|/sqrt(mean |true - mean|^2), as a vector over the
    components; the forecast is valid until it first exceeds the ``threshold``.

    Parameters
    ----------
    forecaster : Forecaster
    data : xarray.Dataset
        The orbit x(time, state) that it was trained on.
    starts : int
        Forecasts, evenly spread over the part.
    threshold : float
        Error at which a forecast is no longer valid.
    warmup : int
        True values that each forecast reads first.
    longest : float
        Lyapunov times after which a forecast that is still valid ends.
    part : {"test", "validation", "train"}
        Part of the dataset.

    Returns
    -------
    xarray.Dataset
        valid_time : (start,), Lyapunov time
            Time until the error of the forecast exceeds the threshold.
        mean_valid_time : (), Lyapunov time
            Mean over starts.
        mean_valid_time_error : (), Lyapunov time
            Standard error of the mean, of independent starts.
        median_valid_time : (), Lyapunov time
            Median over starts.
        still_valid : (), 1
            Share of forecasts that were still valid at the end.
        error : (lead, start), 1
            Error over the standard deviation of the orbit.

    Raises
    ------
    ValueError
        Where the part is too short for the starts, and for options that cannot be.
    TypeError, ShapeError
        For what is no forecaster of this orbit.

    References
    ----------
    Pathak et al. (2018), Phys. Rev. Lett. 120, 024102.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=2000)
    >>> forecaster = dm.training.echo_state_forecaster("esn", data, units=100)
    >>> found = dm.training.valid_time(forecaster, data, starts=20)
    >>> bool(found.mean_valid_time > 1.0)
    True
    """
    y, unit = values(data, part), time_unit(data)
    check_forecaster(forecaster, y)
    with all_errors() as check:
        starts = check(integer, "starts", starts, 2)
        warmup = check(integer, "warmup", warmup)
        threshold = check(number, "threshold", threshold, above=0)
        longest = check(number, "longest", longest, above=0)
    steps = max(1, int(longest * unit / forecaster.dt))
    room = len(y) - warmup - steps
    if room < starts:
        raise ValueError(
            f"the {part} part has {len(y)} samples; {starts} starts of {warmup} + "
            f"{steps} need {warmup + steps + starts}: load more samples"
        )
    at = np.linspace(0, room - 1, starts).astype(int)
    x = forecaster.warmed_up(np.stack([y[i : i + warmup] for i in at]))
    forecast = forecaster.output(trajectory(forecaster, x, steps)[1:], None)
    truth = np.stack([y[i + warmup : i + warmup + steps] for i in at], axis=1)
    error = np.linalg.norm(forecast - truth, axis=-1) / np.sqrt(
        np.mean(np.sum((y - y.mean(0)) ** 2, -1))
    )
    return dataset(
        _valid_times(error, threshold, forecaster.dt, unit),
        {
            "start": ("start", at + warmup, "step", "sample at which the forecast begins"),
            "lead": (
                "lead",
                np.arange(1, steps + 1) * forecaster.dt / unit,
                "Lyapunov time",
                "time since the forecast began",
            ),
        },
        title=f"free-running forecasts of {type(forecaster.model).__name__}",
        source=VALID_TIME_SOURCE,
        parameters={
            "threshold": threshold,
            "starts": starts,
            "warmup": warmup,
            "part": part,
            "longest": longest,
        },
    )


def _valid_times(error, threshold, dt, lyapunov_time) -> dict[str, tuple]:
    """Variables of ``valid_time`` from errors (lead, start)."""
    over = error > threshold
    times = np.where(over.any(0), over.argmax(0), len(error)) * dt / lyapunov_time
    unit = "Lyapunov time"
    return {
        "valid_time": (
            "start",
            times,
            unit,
            "time until the error of the forecast exceeds the threshold",
        ),
        "mean_valid_time": ((), times.mean(), unit, "mean over starts"),
        "mean_valid_time_error": (
            (),
            times.std(ddof=1) / np.sqrt(len(times)),
            unit,
            "standard error of the mean, of independent starts",
        ),
        "median_valid_time": ((), np.median(times), unit, "median over starts"),
        "still_valid": (
            (),
            np.mean(~over.any(0)),
            "1",
            "share of forecasts that were still valid at the end",
        ),
        "error": (("lead", "start"), error, "1", "error over the standard deviation of the orbit"),
    }


@public
def learned_dynamics(
    forecaster: Forecaster,
    data: Dataset,
    *,
    exponents: int | None = None,
    times: float = 200.0,
    warmup: int = 200,
    bins: int = 30,
    rng: Rng = 0,
) -> Dataset:
    """Exponents and attractor of a free-running forecaster, next to those of the true orbit.

    Parameters
    ----------
    forecaster : Forecaster
    data : xarray.Dataset
        The orbit x(time, state) that it was trained on, with its exponents among the attributes.
    exponents : int, optional
        Number of exponents; None: as many as the dataset states.
    times : float
        Length of the free run, in Lyapunov times.
    warmup : int
        True values that the forecaster reads first.
    bins : int
        Bins a component of the histograms.
    rng : int or numpy.random.Generator, optional
        Draws the tangent frame.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents of the free-running model, largest first.
        lyapunov_error : (exponent,), 1/time unit
            Standard error of the exponents.
        true_lyapunov : (exponent,), 1/time unit
            Lyapunov exponents of the system.
        state_distance : (), nat
            Kullback-Leibler divergence of histograms, true to learned, one count added to each bin
            that either visits.
        state_distance_floor : (), nat
            The same for two halves of the true orbit: what a perfect model would reach.
        spectrum_distance : (), 1
            Mean Hellinger distance of power spectra.
        spectrum_distance_floor : (), 1
            The same for two halves of the true orbit.
        mean_shift : (state,), 1
            Mean of the free run less the true one, in standard deviations.
        spread_ratio : (state,), 1
            Standard deviation of the free run over the true one.

    Raises
    ------
    ValueError
        For a dataset that states no exponents, and for options that cannot be.
    TypeError, ShapeError
        For what is no forecaster of this orbit.

    References
    ----------
    Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35, D_stsp and D_H; Benettin et al. (1980),
    Meccanica 15, 9 for the exponents.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=2000)
    >>> forecaster = dm.training.echo_state_forecaster("esn", data, units=100)
    >>> found = dm.training.learned_dynamics(forecaster, data, times=100.0, exponents=1)
    >>> bool(abs(found.lyapunov[0] - found.true_lyapunov[0]) < 0.1)
    True
    """
    y, unit = values(data, "train"), time_unit(data)
    check_forecaster(forecaster, y)
    if "exponents" not in data.attrs:
        raise ValueError(
            "the dataset states no exponents to compare with: load "
            "the orbit of a system, or set data.attrs['exponents']"
        )
    true = np.atleast_1d(np.asarray(data.attrs["exponents"], float))
    with all_errors() as check:
        count = check(integer, "exponents", len(true) if exponents is None else exponents)
        warmup = check(integer, "warmup", warmup)
        bins = check(integer, "bins", bins, 2)
        times = check(number, "times", times, above=0)
    if count > len(true) or warmup > len(y):
        raise ValueError(
            f"exponents = {count}, warmup = {warmup}: the dataset states {len(true)} "
            f"exponents and has {len(y)} samples to train on, pass "
            "at most as many"
        )
    start = forecaster.warmed_up(y[:warmup])
    # whole steps: the time unit of the data is none of the forecaster's
    duration, transient = (
        round(time * unit / forecaster.dt) * forecaster.dt for time in (times, 10)
    )
    found = lyapunov_spectrum(
        forecaster, start, duration=duration, transient=transient, exponents=count, rng=rng
    )
    steps = min(int(times * unit / forecaster.dt), len(y) // 2)
    free = forecaster.output(trajectory(forecaster, start, steps)[1:], None)
    index = np.arange(1, count + 1)
    return dataset(
        _exponents(found, true[:count]) | _attractor(y, free, bins),
        {
            "exponent": ("exponent", index, "1", "index of the exponent, largest first"),
            "state": ("state", list(as_orbit(data).state.values), "1", "component of the state"),
        },
        title=f"dynamics learned by {type(forecaster.model).__name__}",
        source=DYNAMICS_SOURCE,
        seed=as_seed(rng),
        parameters={"times": times, "warmup": warmup, "bins": bins},
    )


def _exponents(found, true) -> dict[str, tuple]:
    rows: dict[str, tuple[Any, str]] = {
        "lyapunov": (found.lyapunov.values, "Lyapunov exponent of the free-running model"),
        "lyapunov_error": (found.lyapunov_error.values, "standard error of the exponent"),
        "true_lyapunov": (true, "Lyapunov exponent of the system"),
    }
    return {name: ("exponent", value, "1/time unit", text) for name, (value, text) in rows.items()}


def _attractor(y, free, bins) -> dict[str, tuple]:
    """Distances of a free run (T, k) from an orbit, next to those of two stretches of the orbit."""
    first, second = y[: len(free)], y[-len(free) :]
    again = "the same for another stretch of the true orbit"
    return {
        "state_distance": (
            (),
            state_distance(first, free, bins),
            "nat",
            "divergence of the learned attractor from the true one",
        ),
        "state_distance_floor": ((), state_distance(first, second, bins), "nat", again),
        "spectrum_distance": (
            (),
            spectrum_distance(first, free),
            "1",
            "Hellinger distance of power spectra",
        ),
        "spectrum_distance_floor": ((), spectrum_distance(first, second), "1", again),
        "mean_shift": (
            "state",
            (free.mean(0) - y.mean(0)) / y.std(0),
            "1",
            "mean of the free run less the true one, in standard deviations",
        ),
        "spread_ratio": (
            "state",
            free.std(0) / y.std(0),
            "1",
            "standard deviation of the free run over the true one",
        ),
    }


def state_distance(true: np.ndarray, free: np.ndarray, bins: int = 30) -> float:
    """Kullback-Leibler divergence of binned states (T, k), over the range of the true ones; what
    leaves it falls into the outermost bins.

    >>> x = np.random.default_rng(0).standard_normal((5000, 2))
    >>> state_distance(x, x) == 0, state_distance(x, x + 2) > 1
    (True, True)
    """
    low, high = true.min(0), true.max(0)
    index = [
        np.ravel_multi_index(
            np.clip(((v - low) / (high - low) * bins).astype(int), 0, bins - 1).T,
            (bins,) * true.shape[1],
        )
        for v in (true, free)
    ]
    visited, where = np.unique(np.concatenate(index), return_inverse=True)
    p, q = (np.bincount(w, minlength=len(visited)) + 1.0 for w in np.split(where, [len(true)]))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p * np.log(p / q)))


def spectrum_distance(true: np.ndarray, free: np.ndarray, pieces: int = 8) -> float:
    """Mean over components of the Hellinger distance sqrt(1 - sum sqrt(P Q)) of power spectra, each
    the mean of ``pieces`` stretches.

    >>> t = np.arange(4000.0)[:, None]
    >>> round(spectrum_distance(np.sin(t), np.sin(t + 1)), 2)
    0.0
    >>> round(spectrum_distance(np.sin(t), np.sin(2 * t)), 1)
    1.0
    """

    def power(y):
        parts = np.stack(np.split(y[: len(y) // pieces * pieces], pieces))
        window = np.hanning(parts.shape[1])[:, None]
        found = np.mean(
            np.abs(np.fft.rfft(window * (parts - parts.mean(1, keepdims=True)), axis=1)) ** 2,
            axis=0,
        )
        return found / np.maximum(found.sum(0), 1e-300)

    overlap = np.sqrt(power(true) * power(free)).sum(0)
    return float(np.sqrt(np.maximum(1.0 - overlap, 0.0)).mean())
