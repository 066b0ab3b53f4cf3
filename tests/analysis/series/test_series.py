"""From data alone: the 0-1 test and the largest exponent of a series."""

import numpy as np
import pytest
from scipy.signal import lfilter

import dynmem as dm
from dynmem.analysis import series_exponent, zero_one_test
from dynmem.analysis.series.embedding import (
    decorrelation_lag,
    delay_vectors,
    embedding_dimension,
    mean_period,
    mutual_information_delay,
    nearest_neighbours,
)
from dynmem.analysis.series.series_exponent import surrogate
from tests.reference import Henon, Lorenz


def logistic(r, samples=3000, x=0.3, skip=500):
    out = []
    for _ in range(samples + skip):
        x = r * x * (1 - x)
        out.append(x)
    return np.array(out[skip:])


def henon(samples):
    return dm.orbit(Henon(), [0.1, 0.1], duration=samples + 100).x.values[101:, 0]


@pytest.fixture(scope="module")
def lorenz():
    """x of Lorenz, 3000 samples 0.03 apart."""
    return dm.orbit(Lorenz(), [1.0, 1.0, 20.0], duration=105, dt=0.03).x.values[-3000:, 0]


def noise(name, seed, samples=1500):
    """Linear noise: white, of one and of two poles, smooth; and a random walk."""
    white = np.random.default_rng(seed).standard_normal(samples + 100)
    filters = {
        "white": ([1.0], [1.0]),
        "red": ([1.0], [1.0, -0.9]),
        "narrow": ([1.0], [1.0, -1.9 * np.cos(0.3), 0.9025]),
        "smooth": (np.hanning(30), [1.0]),
        "walk": ([1.0], [1.0, -1.0]),
    }
    return lfilter(*filters[name], white)[100:]


def test_zero_one_on_the_logistic_map():
    """Gottwald and Melbourne (2009): r = 3.55 is regular, r = 3.97 chaotic."""
    assert zero_one_test(logistic(3.55)).K.item() == pytest.approx(0.0, abs=0.02)
    found = zero_one_test(logistic(3.97))
    assert found.K.item() > 0.99 and found.K_c.shape == (100,) and not bool(found.oversampled)


def test_zero_one_on_quasiperiodic_and_constant_series():
    t = np.arange(3000)
    assert abs(zero_one_test(np.sin(0.7 * t) + np.cos(np.sqrt(3) * t)).K.item()) < 0.05
    constant = zero_one_test(np.full(500, 2.5))
    assert constant.K.item() == 0.0 and "constant" in constant.attrs["note"]
    # no test against noise
    assert zero_one_test(np.random.default_rng(0).standard_normal(2000)).K.item() > 0.95


def test_zero_one_warns_of_oversampling(lorenz):
    found = zero_one_test(lorenz)
    assert bool(found.oversampled) and found.K.item() < 0.2 and "too finely" in found.attrs["note"]
    coarse = zero_one_test(lorenz[:: found.suggested_step.item()])
    assert coarse.K.item() > 0.9 and not bool(coarse.oversampled)


def test_zero_one_displacement_is_that_of_the_definition():
    """Against the sum over all steps."""
    from dynmem.analysis.series.zero_one_test import _growth

    phi, c = logistic(3.9, 200) - 0.5, 1.1
    z = np.cumsum(phi * np.exp(1j * c * np.arange(1, 201)))
    M = [np.mean(np.abs(z[n : 180 + n] - z[:180]) ** 2) for n in range(1, 21)]
    assert _growth(phi, c) == pytest.approx(np.corrcoef(np.arange(1, 21), M)[0, 1], abs=1e-12)


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


def test_lorenz(lorenz):
    found = series_exponent(lorenz, dt=0.03, surrogates=5)
    assert found.lyapunov.item() == pytest.approx(0.9056, rel=0.1)
    assert abs(found.lyapunov.item() - 0.9056) < 2 * found.lyapunov_error.item() < 0.9
    finer = series_exponent(lorenz, dt=0.3, surrogates=0)  # the unit of time is the caller's
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


def test_embedding():
    series = np.arange(10.0)
    assert delay_vectors(series, 3, 2).tolist()[0] == [0, 2, 4] and delay_vectors(
        series, 3, 2
    ).shape == (6, 3)
    sine = np.sin(2 * np.pi * np.arange(2000) / 40)
    assert (
        mean_period(sine) == 40
        and decorrelation_lag(sine) in (8, 9)
        and mutual_information_delay(sine) <= 10
    )
    assert (
        embedding_dimension(henon(2000), 1, 3) == 2
        and embedding_dimension(logistic(4.0), 1, 2) == 1
    )
    rng = np.random.default_rng(0)
    points = rng.standard_normal((300, 2))
    near, distance = nearest_neighbours(points, np.arange(300), 5, neighbours=3)
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    gaps[np.abs(np.subtract.outer(np.arange(300), np.arange(300))) <= 5] = np.inf
    np.testing.assert_allclose(distance, np.sort(gaps, axis=1)[:, :3])
    np.testing.assert_array_equal(near, np.argsort(gaps, axis=1)[:, :3])


def test_errors():
    with pytest.raises(ValueError, match="at least 200"):
        series_exponent(np.arange(20.0))
    with pytest.raises(ValueError, match="at least 100"):
        zero_one_test([0.1, 0.2])
    with pytest.raises(dm.errors.NotFiniteError, match="sample 7"):
        zero_one_test(np.where(np.arange(300) == 7, np.nan, 1.0))
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


@pytest.mark.parametrize("analysis", [dm.analysis.zero_one_test, dm.analysis.series_exponent])
def test_a_masked_series_is_refused(analysis):
    x = dm.orbit(dm.systems.get("logistic", r=4.0), [0.3], duration=500).x.values[:, 0]
    gaps = np.arange(501) % 50 == 0
    with pytest.raises(TypeError, match="masked array: fill it first"):
        analysis(np.ma.masked_array(np.where(gaps, -999.0, x), mask=gaps))
