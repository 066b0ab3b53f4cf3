"""The 0-1 test: whether a series is regular or chaotic, from the growth of a walk driven by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...labels import dataset
from ...runtime.memory import require_memory, require_time
from ...runtime.validation import generator, integer, public
from ...typing import ArrayLike, Rng
from .embedding import decorrelation_lag, power_of_two_scale, series_values

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Gottwald and Melbourne (2004), Proc. R. Soc. A 460, 603; (2009), SIAM J. Appl. Dyn. "
    "Syst. 8, 129, sections 3 and 4"
)
MIN_SAMPLES = 100
# range of the series over its mean step, above which it is sampled too finely (Gottwald and
# Melbourne 2009; Matthews 2009)
MAX_RANGE_PER_STEP = 10.0


@public
def zero_one_test(series: ArrayLike, *, frequencies: int = 100, rng: Rng = 0) -> Dataset:
    """Test a series for chaos: K is near 0 for regular motion, near 1 for chaos.

    At a frequency c the series drives a walk

        z(n) = sum_(j<=n) phi(j) exp(i c j),

    which stays bounded where the motion is regular and grows like diffusion where it is chaotic.
    K_c is the correlation of its mean square displacement M_c(n) with n, n up to a tenth of the
    series; K is the median over random c in (pi/5, 4 pi/5), which excludes resonances. The mean is
    subtracted from phi, in place of the oscillating term (E phi)^2 (1 - cos n c)/(1 - cos c) that
    the authors subtract from M. No embedding is needed.

    Parameters
    ----------
    series : array_like (time,)
        From a map, or from a flow sampled coarsely: about the lag at which its correlation is lost.
    frequencies : int
        Number of frequencies c.
    rng : int, Generator or None
        Of the frequencies.

    Returns
    -------
    xarray.Dataset
        K : (), 1
            Median of the correlations.
        K_c : (frequency,), 1
            Correlation of the mean square displacement with n.
        K_spread : (), 1
            Half the distance between the quartiles of K_c.
        oversampled : (), 1
            Whether the series moves so little from sample to sample that K is near 0 whatever the
            motion.
        suggested_step : (), 1
            Number of samples from one to the next to use, where oversampled; else 1.

    Raises
    ------
    ValueError
        If the series has fewer than 100 samples.
    NotFiniteError
        If it holds NaN or infinity.

    Notes
    -----
    This is no test against noise, which has K near 1 too.

    References
    ----------
    Gottwald and Melbourne (2009), SIAM J. Appl. Dyn. Syst. 8, 129, sections 3 and 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = [0.3]
    >>> for _ in range(2000):
    ...     x.append(3.97 * x[-1] * (1 - x[-1]))
    >>> bool(dm.analysis.zero_one_test(x).K > 0.95)
    True
    """
    phi = series_values(series, MIN_SAMPLES)
    phi = phi / power_of_two_scale(phi)
    frequencies = integer("frequencies", frequencies)
    require_time(frequencies * np.size(series), f"frequencies = {frequencies}", "pass fewer")
    require_memory(8 * frequencies, f"frequencies = {frequencies}", "pass fewer")
    c = np.sort(generator(rng).uniform(np.pi / 5, 4 * np.pi / 5, frequencies))
    constant = np.ptp(phi) <= 1e-12 * np.abs(phi).max(initial=1e-300)
    centred = phi - phi.mean()
    found = np.zeros(len(c)) if constant else np.array([_growth(centred, one) for one in c])
    mean_step = np.abs(np.diff(phi)).mean()
    oversampled = bool(not constant and np.ptp(phi) > MAX_RANGE_PER_STEP * mean_step)
    step = decorrelation_lag(phi) if oversampled else 1
    note = "the series is constant: regular" if constant else ""
    if oversampled:
        note = f"the series is sampled too finely for the test: take every {step}-th sample"
    quartiles = np.percentile(found, [75, 25])
    variables = {
        "K": ((), float(np.median(found)), "1", "median of the correlations: 0 regular, 1 chaotic"),
        "K_c": ("frequency", found, "1", "correlation of the mean square displacement with time"),
        "K_spread": (
            (),
            0.5 * float(np.subtract(*quartiles)),
            "1",
            "half the distance between the quartiles",
        ),
        "oversampled": ((), oversampled, "1", "whether the series is sampled too finely"),
        "suggested_step": ((), step, "1", "samples from one to the next to use"),
    }
    return dataset(
        variables,
        {"frequency": ("frequency", c, "rad/sample", "frequency of the walk")},
        title="0-1 test for chaos",
        source=SOURCE,
        parameters={"samples": len(phi), "frequencies": frequencies},
        seed=rng,
        **({"note": note} if note else {}),
    )


def _growth(phi, c):
    """Correlation of the mean square displacement of the walk with time, over lags up to a tenth of
    the series."""
    size, max_lag = len(phi), len(phi) // 10
    z = np.cumsum(phi * np.exp(1j * c * np.arange(1, size + 1)))
    used = size - max_lag
    length = 1 << (2 * size - 1).bit_length()
    cross = np.fft.ifft(np.conj(np.fft.fft(z[:used], length)) * np.fft.fft(z, length))[
        1 : max_lag + 1
    ].real
    squares = np.concatenate([[0.0], np.cumsum(np.abs(z) ** 2)])
    lags = np.arange(1, max_lag + 1)
    displacement = (squares[lags + used] - squares[lags] + squares[used] - 2.0 * cross) / used
    if np.ptp(displacement) <= 1e-12 * np.abs(displacement).max():
        return 0.0
    return float(np.corrcoef(lags, displacement)[0, 1])
