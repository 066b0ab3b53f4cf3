"""The 0-1 test: is a series regular or chaotic, from the way a walk driven by it spreads?"""

import numpy as np

from ...labels import dataset
from ...runtime.validation import integer
from .embedding import decorrelation_lag, scale_of, series_values

SOURCE = (
    "Gottwald and Melbourne (2004), Proc. R. Soc. A 460, 603; (2009), SIAM J. Appl. Dyn. "
    "Syst. 8, 129, sections 3 and 4"
)
SHORTEST = 100
# range of the series over its mean step; beyond it the series is sampled too finely (Gottwald and
# Melbourne 2009; Matthews 2009)
SMOOTH = 10.0


def zero_one_test(series, *, frequencies=100, rng=0):
    """The 0-1 test for chaos: K near 0 for regular motion, near 1 for chaos, without embedding.

    For a frequency c the series drives a walk z(n) = sum_(j<=n) phi(j) exp(i c j), which stays
    bounded where the motion is regular and spreads like diffusion where it is chaotic. With the
    mean square displacement M_c(n), n up to a tenth of the series, K_c is the correlation of M_c(n)
    with n; K is the median over random c in (pi/5, 4 pi/5), which leaves out resonances. The mean
    is taken off phi first, in place of the oscillating term (E phi)^2 (1 - cos n c)/(1 - cos c)
    that the authors take off M.

    Parameters: ``series`` (time,), from a map or a flow sampled coarsely: about the lag at which
    its correlation is lost.

    Returns a Dataset: ``K``, ``K_c(frequency)``, ``K_spread`` (half the distance between its
    quartiles), ``oversampled`` with ``suggested_step``: True where the series moves so little from
    sample to sample that K is near 0 whatever the motion; take every ``suggested_step``-th sample.
    It is no test against noise, which gives K near 1 too.

    Raises ValueError for fewer than 100 samples, NotFiniteError for NaN.

    >>> x = [0.3]
    >>> for _ in range(2000): x.append(3.97 * x[-1] * (1 - x[-1]))
    >>> bool(zero_one_test(x).K > 0.95)
    True
    """
    phi = series_values(series, SHORTEST)
    phi = phi / scale_of(phi)
    c = np.sort(
        np.random.default_rng(rng).uniform(
            np.pi / 5, 4 * np.pi / 5, integer("frequencies", frequencies, 1)
        )
    )
    constant = np.ptp(phi) <= 1e-12 * np.abs(phi).max(initial=1e-300)
    found = (
        np.zeros(len(c)) if constant else np.array([_growth(phi - phi.mean(), one) for one in c])
    )
    steps = np.abs(np.diff(phi)).mean()
    oversampled = bool(not constant and np.ptp(phi) > SMOOTH * steps)
    step = decorrelation_lag(phi) if oversampled else 1
    note = (
        f"the series is sampled too finely, K cannot be trusted: take every {step}-th sample"
        if oversampled
        else ""
    )
    note = "the series is constant: regular" if constant else note
    label = {
        "K": ((), float(np.median(found)), "1", "median of the correlations: 0 regular, 1 chaotic"),
        "K_c": ("frequency", found, "1", "correlation of the mean square displacement with time"),
        "K_spread": (
            (),
            0.5 * float(np.subtract(*np.percentile(found, [75, 25]))),
            "1",
            "half the distance between the quartiles",
        ),
        "oversampled": (
            (),
            oversampled,
            "1",
            "whether the series is sampled too finely for the test",
        ),
        "suggested_step": ((), step, "1", "sample to take, of so many"),
    }
    return dataset(
        label,
        {"frequency": ("frequency", c, "rad/sample", "frequency of the walk")},
        title="0-1 test for chaos",
        source=SOURCE,
        parameters={"samples": len(phi), "frequencies": int(frequencies)},
        seed=rng,
        **({"note": note} if note else {}),
    )


def _growth(phi, c):
    """Correlation of the mean square displacement of the walk with time, over lags up to a tenth of
    the series."""
    size, most = len(phi), len(phi) // 10
    z = np.cumsum(phi * np.exp(1j * c * np.arange(1, size + 1)))
    used = size - most
    length = 1 << (2 * size - 1).bit_length()
    cross = np.fft.ifft(np.conj(np.fft.fft(z[:used], length)) * np.fft.fft(z, length))[
        1 : most + 1
    ].real
    squares = np.concatenate([[0.0], np.cumsum(np.abs(z) ** 2)])
    lags = np.arange(1, most + 1)
    displacement = (squares[lags + used] - squares[lags] + squares[used] - 2.0 * cross) / used
    if np.ptp(displacement) <= 1e-12 * np.abs(displacement).max():
        return 0.0
    return float(np.corrcoef(lags, displacement)[0, 1])
