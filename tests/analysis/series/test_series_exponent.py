"""The largest exponent of a series, from data alone."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import series_exponent
from dynmem.analysis.series.series_exponent import surrogate
from tests.analysis.series.samples import henon, logistic, lorenz, noise


@pytest.fixture(scope="module")
def fine_lorenz():
    return lorenz()


@pytest.mark.parametrize(
    "series, exponent",
    [
        (lambda: logistic(4.0), np.log(2)),
        (lambda: logistic(3.9), 0.4945),
        (lambda: henon(3000), 0.41922),
    ],
)
def test_maps(series, exponent):
    """Within 10 % and within two errors: ln 2; 0.41922 (Sprott 2003); 0.4945 at r = 3.9 (from its
    derivative along a long orbit)."""
    found = series_exponent(series(), surrogates=9)
    assert bool(found.reliable) and found.lyapunov.item() == pytest.approx(exponent, rel=0.1)
    assert abs(found.lyapunov.item() - exponent) < 2 * found.lyapunov_error.item() < 0.4 * exponent
    assert "more accurate" in found.attrs["caution"]


def test_errors_cover():
    """Short stretches of Henon and of the logistic map: the error covers the truth as a standard
    error should."""
    parts = [(part, 0.41922) for part in np.split(henon(6000), 12)] + [
        (part, np.log(2)) for part in np.split(logistic(4.0, 6000), 12)
    ]
    found = [
        (series_exponent(part, surrogates=0, rng=i), truth) for i, (part, truth) in enumerate(parts)
    ]
    scaled = np.array(
        [(one.lyapunov.item() - truth) / one.lyapunov_error.item() for one, truth in found]
    )
    assert np.sqrt(np.mean(scaled**2)) < 1.3 and np.abs(scaled).max() < 3.0


def test_lorenz(fine_lorenz):
    found = series_exponent(fine_lorenz, dt=0.03, surrogates=5)
    assert found.lyapunov.item() == pytest.approx(0.9056, rel=0.1)
    assert abs(found.lyapunov.item() - 0.9056) < 2 * found.lyapunov_error.item() < 0.9
    finer = series_exponent(fine_lorenz, dt=0.3, surrogates=0)  # the unit of time is the caller's
    assert finer.lyapunov.item() == pytest.approx(found.lyapunov.item() / 10, rel=0.02)


def test_kantz_agrees():
    found = series_exponent(henon(3000), neighbours=8, surrogates=5)
    assert found.lyapunov.item() == pytest.approx(0.41922, rel=0.1)


def test_a_little_noise_widens_the_error():
    clean = henon(3000)
    noisy = clean + 0.02 * np.random.default_rng(0).standard_normal(3000)
    found, sure = series_exponent(noisy, surrogates=5), series_exponent(clean, surrogates=5)
    assert found.lyapunov_error > 2 * sure.lyapunov_error
    assert abs(found.lyapunov.item() - 0.41922) < 2 * found.lyapunov_error.item()


@pytest.mark.parametrize("name", ["white", "red", "narrow", "smooth", "walk"])
def test_noise_has_no_exponent(name):
    for seed, dimension in ((0, None), (1, 2), (2, 4)):
        found = series_exponent(noise(name, seed), dimension=dimension)
        confident = found.lyapunov > 2 * found.lyapunov_error
        assert not bool(confident) and "note" in found.attrs


def test_regular_series_are_not_chaotic():
    t = np.arange(2500)
    sine, other = np.sin(0.1 * t), np.sin(0.1 * np.sqrt(2) * t)
    for series in (sine, sine + other, logistic(3.5, 1500), sine + 0.1 * noise("white", 0, 2500)):
        found = series_exponent(series, surrogates=0)
        assert (
            abs(found.lyapunov) <= 2 * found.lyapunov_error
            and found.lyapunov_error < 0.05
            and "note" in found.attrs
        )


def test_linear_noise_that_looks_straight_is_compared_with_surrogates():
    """With every other guard passed, the surrogates still decide: a series whose surrogates
    separate alike gets no exponent."""
    from dynmem.analysis.series.series_exponent import (
        MIN_SURROGATE_DISTANCE,
        _surrogate_distance,
        divergence,
    )

    x, options = noise("narrow", 3), {"delay": 2, "theiler": 20, "lags": 40, "neighbours": 1}
    rng = np.random.default_rng(0)
    assert (
        _surrogate_distance(x, divergence(x, 3, rng, **options), (5, 15), 9, 3, options, rng)
        < MIN_SURROGATE_DISTANCE
    )
    chaos = logistic(4.0, 1500)
    options = {"delay": 1, "theiler": 2, "lags": 30, "neighbours": 1}
    assert (
        _surrogate_distance(chaos, divergence(chaos, 2, rng, **options), (1, 6), 9, 2, options, rng)
        > 4 * MIN_SURROGATE_DISTANCE
    )


def test_surrogates_keep_values_and_spectrum():
    x = noise("red", 0)
    y = surrogate(x, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(x), np.sort(y))
    power = [np.abs(np.fft.rfft(s - s.mean())) ** 2 for s in (x, y)]
    assert np.corrcoef(np.log(power[0][1:400]), np.log(power[1][1:400]))[0, 1] > 0.9
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.5


def test_errors():
    with pytest.raises(ValueError, match="at least 200"):
        series_exponent(np.arange(20.0))
    with pytest.raises(dm.errors.ShapeError, match="one component"):
        series_exponent(np.zeros((300, 2)))
    with pytest.raises(ValueError, match="constant"):
        series_exponent(np.ones(300))
    for bad in (
        {"dt": 0},
        {"delay": 0},
        {"dimension": 1.5},
        {"lags": -1},
        {"neighbours": 0},
        {"theiler": -1},
    ):
        with pytest.raises(ValueError):
            series_exponent(logistic(4.0, 300), **bad)
    with pytest.raises(ValueError, match="too short"):
        series_exponent(logistic(4.0, 300), theiler=200)
    with pytest.raises(ValueError, match="too short"):
        series_exponent(logistic(4.0, 300), dimension=20, delay=20)


def test_a_masked_series_is_refused():
    x = dm.orbit(dm.systems.get("logistic", r=4.0), [0.3], duration=500).x.values[:, 0]
    gaps = np.arange(501) % 50 == 0
    with pytest.raises(TypeError, match="masked array: fill it first"):
        series_exponent(np.ma.masked_array(np.where(gaps, -999.0, x), mask=gaps))
