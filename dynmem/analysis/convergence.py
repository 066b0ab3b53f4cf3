"""Standard errors of rates of growth, and whether a run has settled."""

from __future__ import annotations

import numpy as np


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


def certainty(durations: np.ndarray, growths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard error (..., k) of growth (..., m, k) per time, and whether it has settled: whether
    both halves of the run agree.

    Each half is weighted with sin^2, so that its ends do not count, and the difference is compared
    with the fluctuations of the second half alone, which a drift from the start leaves out: by
    Student's t, with one false alarm in a thousand runs. A difference of less than two errors is
    accepted. Where it has not settled (a long transient; a shear, which
    grows as t, so that its exponents near 0 as ln(t)/t) the error is half the difference. A
    direction that is lost, of growth -inf, has settled and has no error.
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
    return np.where(
        settled | lost | ~np.isfinite(drift), error, np.maximum(error, 0.5 * drift)
    ), settled | lost


def _weighted(durations, growths):
    """Mean growth per time over stretches, weighted with sin^2 from the first to the last."""
    ends = np.cumsum(durations)
    weights = np.sin(np.pi * (ends - 0.5 * durations) / ends[-1:]) ** 2
    return (weights[:, None] * growths).sum(axis=-2) / (weights * durations).sum()


def within(tolerance: float, error: np.ndarray, settled: np.ndarray) -> bool:
    """Whether everything has settled with errors below the tolerance."""
    return bool(np.all(settled & (error < tolerance)))
