"""Largest Lyapunov exponent estimated from a time series, without the equations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...labels import dataset
from ...runtime.memory import require_time
from ...runtime.validation import generator, integer, number, public
from ...typing import ArrayLike, Rng
from .embedding import (
    delay_vectors,
    embedding_dimension,
    mean_period,
    mutual_information_delay,
    nearest_neighbours,
    power_of_two_scale,
    series_values,
)

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Rosenstein, Collins and De Luca (1993), Physica D 65, 117; Kantz (1994), Phys. Lett. A "
    "185, 77; surrogates: Schreiber and Schmitz (1996), Phys. Rev. Lett. 77, 635"
)
MIN_SAMPLES = 200
SERIES_PARTS = 16  # parts of the series whose scatter gives the statistical error
MAX_REFERENCE_POINTS = 4000
MIN_GROWTH_NATS = 1.0  # by which distances must grow over the interval fitted
SATURATION_MARGIN_NATS = 1.2  # below the distance of unrelated points, where a fit must end
MAX_SLOPE_DIFFERENCE = 0.15  # between the halves of a straight interval, relative to the slope
# by which noise at small and the attractor's size at large distances may bend an interval unnoticed
UNSEEN_BEND_NATS = 0.2
MIN_SURROGATE_DISTANCE = 4.0  # standard deviations from linear noise that count as different
CAUTION = (
    "estimated from one series, without its equations: where the rule is known, "
    "dynmem.lyapunov_spectrum is more accurate"
)


@dataclass(frozen=True)
class Divergence:
    """Mean logarithm of the distance of neighbours over time, (parts of the series, lags), and that
    of unrelated points."""

    by_part: np.ndarray
    saturation: float
    repeats: bool  # neighbours coincide, and stay together

    @property
    def mean(self) -> np.ndarray:
        return self.by_part.mean(axis=0)


@public
def series_exponent(
    series: ArrayLike,
    *,
    dt: float = 1.0,
    dimension: int | None = None,
    delay: int | None = None,
    theiler: int | None = None,
    lags: int | None = None,
    neighbours: int = 1,
    surrogates: int = 19,
    rng: Rng = 0,
) -> Dataset:
    """Estimate the largest Lyapunov exponent of a time series from the divergence of neighbours.

    The series is embedded in delay vectors (x_t, ..., x_(t+(m-1) delay)), and

        S(lag) = mean of ln |distance of neighbours, lag samples later|

    is taken over their nearest neighbours more than ``theiler`` samples away in time. The exponent
    is the slope of S over its longest straight interval well below the size of the attractor.

    Parameters
    ----------
    series : array_like (time,)
        One component, sampled evenly.
    dt : float
        Time between samples.
    dimension : int, optional
        Embedding dimension; by default the least without false neighbours (Kennel et al. 1992).
    delay : int, optional
        In samples; by default the first minimum of the mutual information, at most the lag at which
        the autocorrelation falls to 1/e.
    theiler : int, optional
        Theiler window in samples; by default the mean period.
    lags : int, optional
        Samples to follow neighbours for; by default ten mean periods, at least 30, at most a fifth
        of the series.
    neighbours : int
        Neighbours of each point: 1 as Rosenstein et al., more as Kantz, whose mean distance is
        taken before the logarithm.
    surrogates : int
        Surrogate series of linear noise with the spectrum and the values of this one, with which
        the interval is compared; 0 for none.
    rng : int, Generator or None
        Of the unrelated points and the surrogates.

    Returns
    -------
    xarray.Dataset
        lyapunov : (), 1/time unit
            Largest exponent; NaN where there is no straight interval, or where the series cannot
            be distinguished from linear noise. The attribute ``note`` then gives the reason.
        lyapunov_error : (), 1/time unit
            Root sum of squares of the scatter between parts of the series, the bend of the
            interval, a fifth of a nat over its length, and the change with one more dimension;
            infinite where the exponent is NaN.
        reliable : (), 1
            Whether distances followed a law that gives an exponent.
        divergence : (lag,), nat
            S.
        divergence_error : (lag,), nat
            Standard error of S.
        saturation : (), nat
            Mean logarithm of the distance of unrelated points.
        fit_start : (), time unit
            Start of the interval fitted.
        fit_end : (), time unit
            End of the interval fitted.
        surrogate_distance : (), 1
            Standard deviations by which neighbours stay closer than in the surrogates.

    Raises
    ------
    ValueError
        If the series is constant or too short, or an argument is out of range.
    NotFiniteError
        If the series holds NaN or infinity.

    Notes
    -----
    Where distances do not grow (a periodic series), the exponent is near 0 with the error that the
    number of lags allows: a negative exponent cannot be measured from data on the attractor.

    References
    ----------
    Rosenstein, Collins and De Luca (1993), Physica D 65, 117. Kantz (1994), Phys. Lett. A 185, 77.
    Schreiber and Schmitz (1996), Phys. Rev. Lett. 77, 635, for the surrogates.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = [0.3]
    >>> for _ in range(1500):
    ...     x.append(4.0 * x[-1] * (1 - x[-1]))
    >>> found = dm.analysis.series_exponent(x, surrogates=5)
    >>> bool(abs(found.lyapunov - np.log(2)) < 0.05), bool(found.reliable)
    (True, True)
    """
    x = series_values(series, MIN_SAMPLES)
    scale = power_of_two_scale(x)
    x = x / scale
    dt = number("dt", dt, above=0)
    if np.ptp(x) <= 1e-12 * np.abs(x).max(initial=1e-300):
        raise ValueError("the series is constant: its neighbours never separate")
    settings = {
        "delay": delay,
        "theiler": theiler,
        "dimension": dimension,
        "lags": lags,
        "neighbours": neighbours,
    }
    for name, setting in settings.items():
        if setting is not None:
            integer(name, setting, 0 if name == "theiler" else 1)
    surrogates = integer("surrogates", surrogates, 0)
    require_time(surrogates * np.size(series), f"surrogates = {surrogates}", "pass fewer")
    delay = mutual_information_delay(x) if delay is None else int(delay)
    theiler = mean_period(x) if theiler is None else int(theiler)
    dimension = embedding_dimension(x, delay, theiler) if dimension is None else int(dimension)
    if lags is None:
        lags = int(np.clip(10 * mean_period(x), 30, len(x) // 5))
    lags = int(lags)
    draws = generator(rng)
    options = {"delay": delay, "theiler": theiler, "lags": lags, "neighbours": int(neighbours)}
    curve = divergence(x, dimension, draws, **options)
    value, error, fitted, note = _estimate(curve, lags, (dimension - 1) * delay)
    distance = np.nan
    if fitted and np.isfinite(error):
        other = divergence(x, dimension + 1, draws, **options).mean
        error = np.hypot(error, _slope(other[slice(*fitted)]) - value)
        if surrogates:
            distance = _surrogate_distance(x, curve, fitted, surrogates, dimension, options, draws)
        if distance < MIN_SURROGATE_DISTANCE:
            value, error = np.nan, np.inf
            note = "neighbours separate as in linear noise of the same spectrum: no exponent"
    curve = replace(
        curve,
        by_part=curve.by_part + np.log(scale),
        saturation=curve.saturation + np.log(scale),
    )
    parameters = {"dimension": dimension, **options, "samples": len(x), "dt": dt}
    return _exponent_dataset(
        curve, value / dt, error / dt, fitted, distance, note, dt, rng, parameters
    )


def divergence(x, dimension, rng, *, delay, theiler, lags, neighbours):
    """The Divergence of a series over the lags 0 .. ``lags``, in samples."""
    usable = len(x) - (dimension - 1) * delay - lags
    if usable < max(50, 2 * theiler + 2):
        raise ValueError(
            f"the series is too short: {len(x)} samples leave {max(0, usable)} "
            f"vectors of dimension {dimension} with delay {delay} and "
            f"lags = {lags}; pass a longer series, or smaller ones"
        )
    vectors = delay_vectors(x, dimension, delay)
    rows = np.linspace(0, usable - 1, min(MAX_REFERENCE_POINTS, usable)).astype(int)
    near, _ = nearest_neighbours(vectors, rows, theiler, usable, neighbours)
    logs = np.empty((len(rows), lags + 1))
    for t in range(lags + 1):
        distance = np.linalg.norm(vectors[rows + t][:, None] - vectors[near + t], axis=-1).mean(
            axis=1
        )
        with np.errstate(divide="ignore"):
            logs[:, t] = np.log(distance)
    i, j = rng.integers(len(vectors), size=(2, MAX_REFERENCE_POINTS))
    apart = np.linalg.norm(vectors[i] - vectors[j], axis=1)
    saturation = float(np.log(apart[apart > 0]).mean())
    zero = np.isneginf(logs)
    # neighbours that coincide to the last digit
    logs = np.where(zero, np.log(np.finfo(float).eps) + saturation, logs)
    by_part = np.array([part.mean(axis=0) for part in np.array_split(logs, SERIES_PARTS)])
    return Divergence(by_part, saturation, bool(zero[:, 0].mean() > 0.5 and zero.mean() > 0.5))


def _estimate(curve, lags, first):
    """Slope and error per sample, the interval (start, end) of samples fitted, not before
    ``first``, and a note."""
    if curve.repeats:
        return 0.0, 1.0 / lags, None, "the series repeats itself: neighbours stay together"
    S = curve.mean
    below = S[-1] < curve.saturation - SATURATION_MARGIN_NATS
    if below and np.ptp(S[len(S) // 4 :]) < MIN_GROWTH_NATS:
        start = len(S) // 4
        slope, error = _slope(S[start:]), _scatter(curve.by_part[:, start:])
        note = f"distances do not grow over {lags} samples: regular within this error"
        return slope, np.hypot(error, MIN_GROWTH_NATS / lags), (start, len(S)), note
    fitted = _straight(curve, first)
    if fitted is None:
        note = (
            "no straight interval: distances grow to the size of the attractor at once (noise, or "
            "a series too coarse or too short)"
        )
        return np.nan, np.inf, None, note
    part = slice(*fitted)
    slope, error = _slope(S[part]), _scatter(curve.by_part[:, part])
    unseen = UNSEEN_BEND_NATS / (len(S[part]) - 1)
    return slope, np.hypot(error, np.hypot(_bend(S[part]), unseen)), fitted, ""


def _straight(curve, first):
    """The interval over which distances grow most while its halves keep one slope; None where no
    interval grows by e. Before ``first``, the length of the delay vectors, new vectors overlap with
    old ones."""
    S = curve.mean
    high = np.flatnonzero(curve.saturation - SATURATION_MARGIN_NATS < S)
    end, best, most = (high[0] if len(high) else len(S)), None, MIN_GROWTH_NATS
    for a in range(first, end - 3, max(1, end // 40)):
        for b in range(a + 4, end + 1, max(1, end // 40)):
            growth = S[b - 1] - S[a]
            if growth > most and _bend(S[a:b]) <= MAX_SLOPE_DIFFERENCE * _slope(S[a:b]):
                best, most = (a, b), growth
    return best


def _slope(S):
    return float(np.polyfit(np.arange(len(S)), S, 1)[0])


def _bend(S):
    """Half the difference of the slopes of the two halves."""
    middle = len(S) // 2
    return 0.5 * abs(_slope(S[: middle + 1]) - _slope(S[middle:]))


def _scatter(by_part):
    """Standard error of the slope, from its scatter over the parts of the series."""
    return float(np.std([_slope(S) for S in by_part], ddof=1) / np.sqrt(len(by_part)))


def _surrogate_distance(x, curve, fitted, surrogates, dimension, options, rng):
    """Standard deviations by which neighbours are closer over the interval than those of linear
    noise with the same spectrum and values."""
    part = slice(*fitted)
    others = [divergence(surrogate(x, rng), dimension, rng, **options) for _ in range(surrogates)]
    levels = np.array([other.mean[part].mean() - other.saturation for other in others])
    deviation = levels.std(ddof=1) if len(levels) > 1 else 0.0
    level = curve.mean[part].mean() - curve.saturation
    return float((levels.mean() - level) / max(deviation, 0.02))


def surrogate(x, rng, rounds=50):
    """Linear noise with the values and (nearly) the spectrum of a series: iterated
    amplitude-adjusted Fourier transform (Schreiber and Schmitz 1996)."""
    values, amplitude = np.sort(x), np.abs(np.fft.rfft(x))
    y = rng.permutation(x)
    for _ in range(rounds):
        phase = np.angle(np.fft.rfft(y))
        y = values[np.argsort(np.argsort(np.fft.irfft(amplitude * np.exp(1j * phase), len(x))))]
    return y


def _exponent_dataset(curve, value, error, fitted, distance, note, dt, rng, parameters):
    S, lags = curve.mean, dt * np.arange(len(curve.mean))
    S_error = curve.by_part.std(axis=0, ddof=1) / np.sqrt(SERIES_PARTS)
    start, end = (lags[fitted[0]], lags[fitted[1] - 1]) if fitted else (np.nan, np.nan)
    variables = {
        "lyapunov": ((), float(value), "1/time unit", "largest Lyapunov exponent of the data"),
        "lyapunov_error": ((), float(error), "1/time unit", "standard error of the exponent"),
        "reliable": ((), bool(np.isfinite(error)), "1", "whether the data give an exponent"),
        "divergence": ("lag", S, "nat", "mean logarithm of the distance of neighbours"),
        "divergence_error": ("lag", S_error, "nat", "standard error of the mean logarithm"),
        "saturation": (
            (),
            curve.saturation,
            "nat",
            "mean logarithm of the distance of unrelated points",
        ),
        "fit_start": ((), float(start), "time unit", "start of the interval fitted"),
        "fit_end": ((), float(end), "time unit", "end of the interval fitted"),
        "surrogate_distance": ((), float(distance), "1", "standard deviations from linear noise"),
    }
    return dataset(
        variables,
        {"lag": ("lag", lags, "time unit", "time since they were neighbours")},
        title="largest Lyapunov exponent of a series",
        source=SOURCE,
        parameters=parameters,
        seed=rng,
        caution=CAUTION,
        **({"note": note} if note else {}),
    )
