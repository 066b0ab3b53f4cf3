"""Delay vectors of a time series: how far apart, how many."""

import numpy as np

from ...errors import NotFiniteError, ShapeError


def series_values(series, shortest):
    """A series as a vector of finite floats of at least ``shortest`` samples."""
    values = np.asarray(getattr(series, "values", series), float)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise ShapeError(
            f"the series has shape {values.shape}: pass one component, of shape (time,)"
        )
    if len(values) < shortest:
        raise ValueError(f"the series has {len(values)} samples: pass at least {shortest}")
    if not np.isfinite(values).all():
        raise NotFiniteError(
            "the series is not finite at sample "
            f"{int(np.isfinite(values).argmin())}: cut it there, or fill the gap"
        )
    return values


def scale_of(values):
    """The power of two just below the largest of the values, 1 for zeros: what is divided by it
    keeps its digits and can be squared."""
    largest = np.abs(values).max(initial=0.0)
    return float(2.0 ** np.floor(np.log2(largest))) if largest > 0.0 else 1.0


def delay_vectors(series, dimension, delay):
    """Vectors (x_t, x_(t+delay), ..., x_(t+(dimension-1) delay)), shape (m, dimension) (Takens
    1981)."""
    count = len(series) - (dimension - 1) * delay
    return np.stack([series[i * delay : i * delay + count] for i in range(dimension)], axis=1)


def autocorrelation(series):
    """Autocorrelation at the lags 0 .. half the series, by FFT."""
    x = series - series.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    found = np.fft.irfft(spectrum)[: len(x) // 2] / np.arange(len(x), len(x) - len(x) // 2, -1)
    return found / found[0] if found[0] > 0 else np.ones_like(found)


def decorrelation_lag(series):
    """First lag at which the autocorrelation is below 1/e, at least 1: the usual delay (Rosenstein
    et al. 1994)."""
    below = np.flatnonzero(autocorrelation(series) < np.exp(-1.0))
    return max(1, int(below[0])) if len(below) else 1


def delay_of(series, bins=24):
    """The delay: the first minimum of the mutual information (Fraser and Swinney 1986), at most the
    lag at which the correlation is lost."""
    longest = decorrelation_lag(series)
    rank = (np.argsort(np.argsort(series)) * bins) // len(series)
    before = np.inf
    for lag in range(1, longest + 1):
        joint = np.histogram2d(rank[:-lag], rank[lag:], bins=bins, range=((0, bins), (0, bins)))[
            0
        ] / (len(series) - lag)
        independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        used = joint > 0
        information = float((joint[used] * np.log(joint[used] / independent[used])).sum())
        if information >= before:
            return lag - 1
        before = information
    return longest


def mean_period(series):
    """Samples in a mean period: the inverse of the mean frequency of the power spectrum, at least
    1."""
    power = np.abs(np.fft.rfft(series - series.mean())) ** 2
    frequency = np.fft.rfftfreq(len(series))
    return max(
        1, round(1.0 / max((power @ frequency) / max(power.sum(), 1e-300), 1.0 / len(series)))
    )


def false_neighbours(series, delay, theiler, most=8, enough=0.01, stretch=10.0, references=1000):
    """The least dimension in which fewer than ``enough`` of the nearest neighbours are false: torn
    apart by one more coordinate more than ``stretch`` times their distance, or beyond twice the
    size of the attractor (Kennel, Brown and Abarbanel 1992); at most ``most``."""
    size = series.std()
    for dimension in range(1, most + 1):
        vectors = delay_vectors(series, dimension + 1, delay)
        if len(vectors) < 4 * theiler + 20:
            return max(1, dimension - 1)
        rows = np.linspace(0, len(vectors) - 1, min(references, len(vectors))).astype(int)
        near, distance = (a[:, 0] for a in neighbours(vectors[:, :-1], rows, theiler))
        apart = np.abs(vectors[rows, -1] - vectors[near, -1])
        with np.errstate(divide="ignore", invalid="ignore"):
            false = (apart > stretch * np.maximum(distance, 1e-12 * size)) & (apart > 1e-9 * size)
        false |= np.hypot(apart, distance) > 2.0 * size
        if false.mean() < enough:
            return dimension
    return most


def neighbours(vectors, rows, theiler, usable=None, count=1):
    """For each of the rows the ``count`` nearest vectors more than ``theiler`` samples away in
    time, among the first ``usable``, and their distances: shapes (rows, count)."""
    from scipy.spatial import cKDTree

    usable = len(vectors) if usable is None else usable
    tree = cKDTree(vectors[:usable])
    near, distance = np.zeros((len(rows), count), int), np.full((len(rows), count), np.inf)
    waiting, k = np.arange(len(rows)), 4 + 4 * count
    while len(waiting):
        k = min(k, usable)
        found, index = tree.query(vectors[rows[waiting]], k=k)
        apart = np.abs(index - rows[waiting, None]) > theiler
        order = np.argsort(~apart, axis=1, kind="stable")[:, :count]
        has = apart.sum(axis=1) >= count
        done = waiting[has]
        near[done], distance[done] = (
            np.take_along_axis(a, order, axis=1)[has] for a in (index, found)
        )
        waiting = waiting[~has]
        if k == usable and len(waiting):
            raise ValueError(
                f"the series is too short: {len(waiting)} points have no {count} "
                f"neighbour(s) more than {theiler} samples away in "
                "time; pass a longer series or a smaller theiler"
            )
        k *= 4
    return near, distance
