"""Delay embedding of a time series: delay, dimension and nearest neighbours."""

from __future__ import annotations

import numpy as np

from ...arrays import tensors
from ...errors import NotFiniteError, ShapeError
from ...typing import ArrayLike


def series_values(series: ArrayLike, min_samples: int) -> np.ndarray:
    """A series as a vector of finite floats, of at least ``min_samples`` samples."""
    values = tensors(getattr(series, "values", series)).astype(float, casting="same_kind")
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise ShapeError(
            f"the series has shape {values.shape}: pass one component, of shape (time,)"
        )
    if len(values) < min_samples:
        raise ValueError(f"the series has {len(values)} samples: pass at least {min_samples}")
    if not np.isfinite(values).all():
        first = int(np.isfinite(values).argmin())
        raise NotFiniteError(
            f"the series is not finite at sample {first}: cut it there, or fill the gap"
        )
    return values


def power_of_two_scale(values: np.ndarray) -> float:
    """The power of two just below the largest magnitude (1 for zeros): division by it is exact,
    and squares of the result do not overflow."""
    largest = np.abs(values).max(initial=0.0)
    return float(2.0 ** np.floor(np.log2(largest))) if largest > 0.0 else 1.0


def delay_vectors(series: np.ndarray, dimension: int, delay: int) -> np.ndarray:
    """Vectors (x_t, x_(t+delay), ..., x_(t+(dimension-1) delay)), shape (m, dimension) (Takens
    1981)."""
    count = len(series) - (dimension - 1) * delay
    return np.stack([series[i * delay : i * delay + count] for i in range(dimension)], axis=1)


def autocorrelation(series: np.ndarray) -> np.ndarray:
    """Autocorrelation at the lags 0 .. half the series, by FFT."""
    x = series - series.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    found = np.fft.irfft(spectrum)[: len(x) // 2] / np.arange(len(x), len(x) - len(x) // 2, -1)
    return found / found[0] if found[0] > 0 else np.ones_like(found)


def decorrelation_lag(series: np.ndarray) -> int:
    """First lag at which the autocorrelation is below 1/e, at least 1: the usual delay (Rosenstein
    et al. 1994)."""
    below = np.flatnonzero(autocorrelation(series) < np.exp(-1.0))
    return max(1, int(below[0])) if len(below) else 1


def mutual_information_delay(series: np.ndarray, bins: int = 24) -> int:
    """First minimum of the mutual information (Fraser and Swinney 1986), at most the decorrelation
    lag."""
    longest = decorrelation_lag(series)
    rank = (np.argsort(np.argsort(series)) * bins) // len(series)
    limits = ((0, bins), (0, bins))
    before = np.inf
    for lag in range(1, longest + 1):
        counts = np.histogram2d(rank[:-lag], rank[lag:], bins=bins, range=limits)[0]
        joint = counts / (len(series) - lag)
        independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        used = joint > 0
        information = float((joint[used] * np.log(joint[used] / independent[used])).sum())
        if information >= before:
            return lag - 1
        before = information
    return longest


def mean_period(series: np.ndarray) -> int:
    """Samples in a mean period: the inverse of the mean frequency of the power spectrum, at least
    1."""
    power = np.abs(np.fft.rfft(series - series.mean())) ** 2
    mean = (power @ np.fft.rfftfreq(len(series))) / max(power.sum(), 1e-300)
    return max(1, round(1.0 / max(mean, 1.0 / len(series))))


def embedding_dimension(
    series: np.ndarray,
    delay: int,
    theiler: int,
    max_dimension: int = 8,
    false_fraction: float = 0.01,
    stretch: float = 10.0,
    references: int = 1000,
) -> int:
    """Least dimension in which fewer than ``false_fraction`` of the nearest neighbours are false:
    moved apart by one more coordinate by more than ``stretch`` times their distance, or beyond
    twice the size of the attractor (Kennel, Brown and Abarbanel 1992); at most ``max_dimension``.
    """
    size = series.std()
    for dimension in range(1, max_dimension + 1):
        vectors = delay_vectors(series, dimension + 1, delay)
        if len(vectors) < 4 * theiler + 20:
            return max(1, dimension - 1)
        rows = np.linspace(0, len(vectors) - 1, min(references, len(vectors))).astype(int)
        near, distance = (a[:, 0] for a in nearest_neighbours(vectors[:, :-1], rows, theiler))
        apart = np.abs(vectors[rows, -1] - vectors[near, -1])
        with np.errstate(divide="ignore", invalid="ignore"):
            false = (apart > stretch * np.maximum(distance, 1e-12 * size)) & (apart > 1e-9 * size)
        false |= np.hypot(apart, distance) > 2.0 * size
        if false.mean() < false_fraction:
            return dimension
    return max_dimension


def nearest_neighbours(
    vectors: np.ndarray,
    rows: np.ndarray,
    theiler: int,
    usable: int | None = None,
    neighbours: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """For each of the rows, the nearest vectors more than ``theiler`` samples away in time, among
    the first ``usable``, and their distances: shapes (rows, neighbours)."""
    from scipy.spatial import cKDTree

    usable = len(vectors) if usable is None else usable
    tree = cKDTree(vectors[:usable])
    near = np.zeros((len(rows), neighbours), int)
    distance = np.full((len(rows), neighbours), np.inf)
    waiting, k = np.arange(len(rows)), 4 + 4 * neighbours
    while len(waiting):
        k = min(k, usable)
        found, index = tree.query(vectors[rows[waiting]], k=k)
        apart = np.abs(index - rows[waiting, None]) > theiler
        order = np.argsort(~apart, axis=1, kind="stable")[:, :neighbours]
        enough = apart.sum(axis=1) >= neighbours
        done = waiting[enough]
        near[done], distance[done] = (
            np.take_along_axis(a, order, axis=1)[enough] for a in (index, found)
        )
        waiting = waiting[~enough]
        if k == usable and len(waiting):
            raise ValueError(
                f"the series is too short: {len(waiting)} points have no {neighbours} "
                f"neighbour(s) more than theiler = {theiler} samples away in time; pass a longer "
                "series or a smaller theiler"
            )
        k *= 4
    return near, distance
