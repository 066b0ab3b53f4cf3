"""Standard errors of rates of growth, and whether a run has settled."""

from __future__ import annotations

import numpy as np

# of a run: measured at T = 300 at most 0.055 for every chaotic system of the registry, 0.02 to 0.6
# for the map of Pomeau and Manneville at z = 1.8, 0.1 to 0.9 at z = 2.3
MAX_LAMINAR_SHARE = 0.06
MAX_BIAS_OF_DRIFT = 1.5  # of the mean of a run, over the difference between its halves


def standard_error(durations: np.ndarray, growths: np.ndarray, frequencies: int = 10) -> np.ndarray:
    """Standard error (..., k) of growth (..., m, k) per time, from the low end of the spectral
    density of its fluctuations; inf for fewer than a dozen records.

    Growth over a block is that of the exponent, plus noise, plus a difference between the block's
    two ends that the next block takes back. The scatter of blocks counts those ends as noise (for
    Lorenz, T = 1000, it gives twice the truth); the lowest ``frequencies`` of the periodogram leave
    them out, and are as good for independent or persistent noise (Heidelberger and Welch 1981).
    """
    frequencies = min(frequencies, len(durations) // 6)
    if frequencies < 2:
        return np.full((*growths.shape[:-2], growths.shape[-1]), np.inf)
    ends = np.cumsum(durations)
    time, middles = ends[-1], ends - 0.5 * durations
    with np.errstate(invalid="ignore"):
        noise = growths - growths.sum(axis=-2, keepdims=True) * (durations / time)[:, None]
        waves = np.exp(2j * np.pi * middles / time) ** np.arange(1, frequencies + 1)[:, None]
        return np.sqrt(((waves.real @ noise) ** 2 + (waves.imag @ noise) ** 2).mean(axis=-2)) / time


def certainty(
    durations: np.ndarray,
    growths: np.ndarray,
    turning: np.ndarray | float = 0.0,
    unknown: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Standard error (..., k) of growth (..., m, k) per time, and whether it has settled: whether
    both halves of the run agree.

    Each half is weighted with sin^2, so that its ends do not count, and the difference is compared
    with the fluctuations of the second half alone, which a drift from the start leaves out: by
    Student's t, with one false alarm in a thousand runs. A difference of less than two errors is
    accepted. Where it has not settled the error is at least ``MAX_BIAS_OF_DRIFT`` times the
    difference: a bias that falls as 1/t from a start at T/10 (a frame that still turns; a shear)
    has a mean 1.4 times that. A direction that is lost, of growth -inf, has settled and has no
    error.

    ``turning`` (..., k): the bias by a frame that still turns (``turning_bias``); the error is at
    least that. ``unknown``: a bias that there may be besides (``unknown_bias``), which counts so
    far as the drift and its noise allow it. Where they are more than two errors, the run has not
    settled.
    """
    half = len(durations) // 2
    with np.errstate(invalid="ignore"):
        lost = np.isneginf(growths).any(axis=-2)
        error = np.where(lost, 0.0, standard_error(durations, growths))
        first, second = (
            _weighted(durations[part], growths[..., part, :])
            for part in (slice(half), slice(half, None))
        )
        drift, later = (
            np.abs(second - first),
            standard_error(durations[half:], growths[..., half:, :]),
        )
        noise = np.sqrt(3.0) * np.where(np.isfinite(later), later, np.sqrt(2.0) * error)
        # the limit below is never less
        settled = np.isfinite(error) & (drift <= np.maximum(3.8 * noise, 2.0 * error) + 1e-9)
        if not (settled | lost).all():
            from scipy.special import stdtrit  # takes 0.1 s to load, and is seldom needed

            limit = stdtrit(2 * max(1, min(10, half // 6)), 1.0 - 5e-4 / growths.shape[-1])
            settled |= np.isfinite(error) & (drift <= limit * noise + 1e-9)
        drift = np.where(np.isfinite(drift), drift, 0.0)
        allowed = 2 * MAX_BIAS_OF_DRIFT * (drift + np.minimum(noise, 1e300))
        bias = np.maximum(turning, np.minimum(unknown, allowed))
        bias = np.where(settled, bias, np.maximum(bias, MAX_BIAS_OF_DRIFT * drift))
        bias = np.where(lost, 0.0, bias)
        settled &= bias <= 2.0 * error + 1e-9
    return np.maximum(error, bias), settled | lost


def turning_bias(values: np.ndarray, transient: float, duration: float) -> np.ndarray:
    """Bias of exponents (k,) in falling order, by a frame that has not turned into their directions
    when the run begins.

    A random frame of i directions holds those of the first i exponents as much as others; another,
    with b > i in place of a <= i, falls behind as exp(-2 (lambda_a - lambda_b) t) in the squared
    volume, so that its logarithm at t is biased by 1/2 ln(1 + sum of these over a <= i < b) and the
    mean of a run by the change of that over the duration. Exponents that are equal bias nothing.
    """
    rates = np.where(np.isfinite(values), values, -1e300)
    gaps = np.maximum(np.subtract.outer(rates, rates), 0.0)
    first, last = (_log_others(gaps * t) for t in (transient, transient + duration))
    volume = 0.5 * (first - last) / duration
    return np.hypot(volume, np.concatenate(([0.0], volume[:-1])))


def unknown_bias(others: int, transient: float, duration: float) -> float:
    """Largest such bias that this many directions of one unknown gap may cause."""
    gaps = np.geomspace(0.01, 100.0, 60)[:, None] / duration
    times = np.array([transient, transient + duration])
    logs = np.log1p(others * np.exp(-2.0 * gaps * times))
    return float(0.5 * (logs[:, 0] - logs[:, 1]).max()) / duration


def _log_others(growth):
    """ln(1 + sum of the shares of b > i in place of a <= i) for each i, from how far b has fallen
    behind a, growth[a, b]."""
    share = np.exp(-2.0 * growth)
    within = np.cumsum(share, axis=0)  # over a <= i
    return np.log1p([within[i, i + 1 :].sum() for i in range(len(share))])


def laminar_share(durations: np.ndarray, growth: np.ndarray) -> float:
    """Part of a run (m,) that the longest stretch takes which grows by less than half the mean.

    Where such stretches have a tail of finite mean and variance it falls as ln(T)/T; where they
    have none (intermittency of Pomeau and Manneville, sticky islands) it stays, and the mean of a
    run scatters by more than its fluctuations show.
    """
    low = growth < 0.5 * growth.sum() / durations.sum() * durations
    edges = np.flatnonzero(np.diff(np.concatenate(([False], low, [False]))))
    ends = np.concatenate(([0.0], np.cumsum(durations)))
    stretches = ends[edges[1::2]] - ends[edges[::2]]
    return float(stretches.max(initial=0.0) / ends[-1])


def _weighted(durations, growths):
    """Mean growth per time over stretches, weighted with sin^2 from the first to the last."""
    ends = np.cumsum(durations)
    weights = np.sin(np.pi * (ends - 0.5 * durations) / ends[-1:]) ** 2
    return (weights[:, None] * growths).sum(axis=-2) / (weights * durations).sum()


def within(tolerance: float, error: np.ndarray, settled: np.ndarray) -> bool:
    """Whether everything has settled with errors below the tolerance."""
    return bool(np.all(settled & (error < tolerance)))
