"""The largest exponent from data alone: the weaker way, with an error that says so."""

from dataclasses import dataclass, replace

import numpy as np

from ...labels import dataset
from ...runtime.validation import integer, number
from .embedding import (
    delay_of,
    delay_vectors,
    false_neighbours,
    mean_period,
    neighbours,
    scale_of,
    series_values,
)

SOURCE = (
    "Rosenstein, Collins and De Luca (1993), Physica D 65, 117; Kantz (1994), Phys. Lett. A "
    "185, 77; surrogates: Schreiber and Schmitz "
    "(1996), Phys. Rev. Lett. 77, 635"
)
SHORTEST = 200
GROUPS = 16  # stretches of the series whose scatter gives the statistical error
REFERENCES = 4000  # points that are followed at most
GROWTH = 1.0  # logarithm by which distances must grow on a straight stretch
MARGIN = 1.2  # logarithm below the mean distance of unrelated points at which a stretch must end
BENT = 0.15  # relative difference of the slopes of the two halves that still counts as straight
# logarithm by which noise below and the attractor's size above may bend a stretch unseen
DOUBT = 0.2
UNLIKE = 4.0  # standard deviations from linear noise that count as different
WEAKER = (
    "estimated from one series, without its equations: the weaker way. Where the rule is "
    "known use dynmem.lyapunov_spectrum"
)


@dataclass(frozen=True)
class Divergence:
    """Mean logarithm of the distance of neighbours over time, by groups of consecutive references
    (groups, T), and that of strangers."""

    groups: np.ndarray
    strangers: float
    repeats: bool  # neighbours coincide, and stay together

    @property
    def mean(self):
        return self.groups.mean(axis=0)


def series_exponent(
    series,
    *,
    dt=1.0,
    dimension=None,
    delay=None,
    theiler=None,
    horizon=None,
    count=1,
    surrogates=19,
    rng=0,
):
    """Largest Lyapunov exponent from a time series alone: the slope of the mean logarithm of the
    distance of neighbours over time.

    Delay vectors (x_t, ..., x_(t+(m-1) delay)); for each its nearest neighbours that are more than
    ``theiler`` samples away in time; S(t), the mean of ln(distance t samples later); the slope of S
    over its longest straight stretch well below the size of the attractor.

    Parameters
    ----------
    series : (time,), one component; ``dt`` between samples.
    dimension, delay, theiler : by default the least dimension without false neighbours (Kennel et
        al. 1992), the first minimum of the mutual information (at most the lag at which the
        correlation falls to 1/e), and the mean period.
    horizon : samples to follow neighbours for; by default ten mean periods, at least 30, at most a
    fifth of the series.
    count : neighbours of each point, 1 for Rosenstein's way, more for Kantz's, the logarithm taken
    of their mean distance.
    surrogates : series of linear noise with the spectrum and the values of this one, against which
    the stretch is held; 0 leaves it out.

    Returns a Dataset: ``lyapunov`` per unit of time; ``lyapunov_error``, which adds in squares the
    scatter between parts of the series, the bend of the stretch, a fifth of a nat over its length,
    and the change with one more dimension; ``reliable``; ``divergence(lag)`` with
    ``divergence_error``; ``stretch_start``, ``stretch_end``; ``strangers``, S of unrelated points;
    ``surrogate_distance``, standard deviations by which neighbours stay closer than in the
    surrogates. Where distances do not grow (a periodic series) the exponent is near 0 with the
    error that the horizon allows: a negative one cannot be seen in data from the attractor. Where
    there is no straight stretch, or the series cannot be told from linear noise, it is NaN with an
    infinite error, and ``note`` says why. The attribute ``weaker`` stands as a reminder.

    Raises ValueError where the series is too short, NotFiniteError for NaN.

    >>> x = [0.3]
    >>> for _ in range(1500): x.append(4.0 * x[-1] * (1 - x[-1]))
    >>> found = series_exponent(x, surrogates=5)
    >>> bool(abs(found.lyapunov - np.log(2)) < 0.05), bool(found.reliable)
    (True, True)
    """
    x = series_values(series, SHORTEST)
    scale = scale_of(x)
    x = x / scale
    if not 0 < number("dt", dt) < np.inf:
        raise ValueError(f"dt = {dt}: the time between samples is positive")
    if np.ptp(x) <= 1e-12 * np.abs(x).max(initial=1e-300):
        raise ValueError("the series is constant: there is nothing to follow")
    given = {
        "delay": delay,
        "theiler": theiler,
        "dimension": dimension,
        "horizon": horizon,
        "count": count,
    }
    for name, value in given.items():
        if value is not None:
            integer(name, value, 0 if name == "theiler" else 1)
    surrogates = integer("surrogates", surrogates, 0)
    delay = delay_of(x) if delay is None else int(delay)
    theiler = mean_period(x) if theiler is None else int(theiler)
    dimension = false_neighbours(x, delay, theiler) if dimension is None else int(dimension)
    horizon = (
        int(np.clip(10 * mean_period(x), 30, len(x) // 5)) if horizon is None else int(horizon)
    )
    generator = np.random.default_rng(rng)
    options = {"delay": delay, "theiler": theiler, "horizon": horizon, "count": int(count)}
    curve = divergence(x, dimension, generator, **options)
    value, error, stretch, note = _estimate(curve, horizon, (dimension - 1) * delay)
    apart = np.nan
    if stretch and np.isfinite(error):
        other = divergence(x, dimension + 1, generator, **options).groups.mean(axis=0)
        error = np.hypot(error, _slope(other[slice(*stretch)]) - value)
        apart = (
            _unlike(x, curve, stretch, surrogates, dimension, options, generator)
            if surrogates
            else np.nan
        )
        if apart < UNLIKE:
            value, error, note = (
                np.nan,
                np.inf,
                "neighbours separate as in linear noise of the same spectrum: no exponent can be "
                "told from it",
            )
    curve = replace(
        curve, groups=curve.groups + np.log(scale), strangers=curve.strangers + np.log(scale)
    )
    return _report(
        curve,
        value / dt,
        error / dt,
        stretch,
        apart,
        note,
        dt,
        rng,
        {"dimension": dimension, **options, "samples": len(x)},
    )


def divergence(x, dimension, rng, *, delay, theiler, horizon, count):
    """The Divergence of a series over ``horizon`` samples."""
    usable = len(x) - (dimension - 1) * delay - horizon
    if usable < max(50, 2 * theiler + 2):
        raise ValueError(
            f"the series is too short: {len(x)} samples leave {max(0, usable)} "
            f"vectors of dimension {dimension} with delay {delay} and "
            f"horizon {horizon}; pass a longer series, or smaller ones"
        )
    vectors = delay_vectors(x, dimension, delay)
    rows = np.linspace(0, usable - 1, min(REFERENCES, usable)).astype(int)
    near, _ = neighbours(vectors, rows, theiler, usable, count)
    logs = np.empty((len(rows), horizon + 1))
    for t in range(horizon + 1):
        distance = np.linalg.norm(vectors[rows + t][:, None] - vectors[near + t], axis=-1).mean(
            axis=1
        )
        with np.errstate(divide="ignore"):
            logs[:, t] = np.log(distance)
    i, j = rng.integers(len(vectors), size=(2, REFERENCES))
    apart = np.linalg.norm(vectors[i] - vectors[j], axis=1)
    strangers = float(np.log(apart[apart > 0]).mean())
    zero = np.isneginf(logs)
    # neighbours that coincide to the last digit
    logs = np.where(zero, np.log(np.finfo(float).eps) + strangers, logs)
    groups = np.array([part.mean(axis=0) for part in np.array_split(logs, GROUPS)])
    return Divergence(groups, strangers, bool(zero[:, 0].mean() > 0.5 and zero.mean() > 0.5))


def _estimate(curve, horizon, first):
    """Slope and error per sample, the stretch (start, end) of samples it comes from, not before
    ``first``, and a note."""
    if curve.repeats:
        return 0.0, 1.0 / horizon, None, "the series repeats itself: neighbours stay together"
    S = curve.mean
    if S[-1] < curve.strangers - MARGIN and np.ptp(S[len(S) // 4 :]) < GROWTH:
        start = len(S) // 4
        slope, error = _slope(S[start:]), _scatter(curve.groups[:, start:])
        return (
            slope,
            np.hypot(error, GROWTH / horizon),
            (start, len(S)),
            "distances do not grow over the horizon: regular, as far as it shows",
        )
    stretch = _straight(curve, first)
    if stretch is None:
        return (
            np.nan,
            np.inf,
            None,
            "no straight stretch: distances jump to the size of the attractor (noise, or a series "
            "too coarse or short)",
        )
    part = slice(*stretch)
    slope, error = _slope(S[part]), _scatter(curve.groups[:, part])
    return slope, np.hypot(error, np.hypot(_bend(S[part]), DOUBT / (len(S[part]) - 1))), stretch, ""


def _straight(curve, first):
    """The stretch over which distances grow most while its halves keep one slope; None where none
    grows by e. Up to ``first``, the length of the delay vectors, new vectors overlap with old
    ones."""
    S = curve.mean
    high = np.flatnonzero(curve.strangers - MARGIN < S)
    end, best, most = (high[0] if len(high) else len(S)), None, GROWTH
    for a in range(first, end - 3, max(1, end // 40)):
        for b in range(a + 4, end + 1, max(1, end // 40)):
            grown = S[b - 1] - S[a]
            if grown > most and _bend(S[a:b]) <= BENT * _slope(S[a:b]):
                best, most = (a, b), grown
    return best


def _slope(S):
    return float(np.polyfit(np.arange(len(S)), S, 1)[0])


def _bend(S):
    """Half the difference of the slopes of the two halves."""
    middle = len(S) // 2
    return 0.5 * abs(_slope(S[: middle + 1]) - _slope(S[middle:]))


def _scatter(groups):
    """Standard error of the slope from the scatter between groups."""
    return float(np.std([_slope(S) for S in groups], ddof=1) / np.sqrt(len(groups)))


def _unlike(x, curve, stretch, surrogates, dimension, options, rng):
    """Standard deviations by which neighbours are closer over the stretch than those of linear
    noise with the same spectrum and values."""
    part = slice(*stretch)
    others = [
        divergence(surrogate(x, rng), dimension, rng, **options) for _ in range(int(surrogates))
    ]
    levels = np.array([other.mean[part].mean() - other.strangers for other in others])
    return float(
        (levels.mean() - (curve.mean[part].mean() - curve.strangers))
        / max(levels.std(ddof=1) if len(levels) > 1 else 0.0, 0.02)
    )


def surrogate(x, rng, rounds=50):
    """Linear noise with the values and (nearly) the spectrum of a series: iterated
    amplitude-adjusted Fourier transform (Schreiber and Schmitz 1996)."""
    values, amplitude = np.sort(x), np.abs(np.fft.rfft(x))
    y = rng.permutation(x)
    for _ in range(rounds):
        phase = np.angle(np.fft.rfft(y))
        y = values[np.argsort(np.argsort(np.fft.irfft(amplitude * np.exp(1j * phase), len(x))))]
    return y


def _report(curve, value, error, stretch, apart, note, dt, rng, parameters):
    S, lags = curve.mean, dt * np.arange(len(curve.mean))
    spread = curve.groups.std(axis=0, ddof=1) / np.sqrt(GROUPS)
    start, end = (lags[stretch[0]], lags[stretch[1] - 1]) if stretch else (np.nan, np.nan)
    label = {
        "lyapunov": (
            (),
            float(value),
            "1/time unit",
            "largest Lyapunov exponent, estimated from data",
        ),
        "lyapunov_error": (
            (),
            float(error),
            "1/time unit",
            "error: scatter, bend of the stretch, and change with the dimension",
        ),
        "reliable": (
            (),
            bool(np.isfinite(error)),
            "1",
            "whether distances followed a law that gives an exponent",
        ),
        "divergence": ("lag", S, "nat", "mean logarithm of the distance of neighbours"),
        "divergence_error": ("lag", spread, "nat", "standard error of the mean logarithm"),
        "strangers": (
            (),
            curve.strangers,
            "nat",
            "mean logarithm of the distance of unrelated points",
        ),
        "stretch_start": ((), float(start), "time unit", "start of the stretch fitted"),
        "stretch_end": ((), float(end), "time unit", "end of the stretch fitted"),
        "surrogate_distance": ((), float(apart), "1", "standard deviations from linear noise"),
    }
    return dataset(
        label,
        {"lag": ("lag", lags, "time unit", "time since they were neighbours")},
        title="largest exponent of a series",
        source=SOURCE,
        parameters=parameters | {"dt": dt},
        seed=rng,
        weaker=WEAKER,
        **({"note": note} if note else {}),
    )
