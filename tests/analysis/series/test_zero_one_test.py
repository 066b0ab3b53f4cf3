"""The 0-1 test for chaos, from data alone."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import zero_one_test
from tests.analysis.series.samples import logistic, lorenz


@pytest.fixture(scope="module")
def fine_lorenz():
    return lorenz()


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


def test_zero_one_warns_of_oversampling(fine_lorenz):
    found = zero_one_test(fine_lorenz)
    assert bool(found.oversampled) and found.K.item() < 0.2 and "too finely" in found.attrs["note"]
    coarse = zero_one_test(fine_lorenz[:: found.suggested_step.item()])
    assert coarse.K.item() > 0.9 and not bool(coarse.oversampled)


def test_zero_one_displacement_is_that_of_the_definition():
    """Against the sum over all steps."""
    from dynmem.analysis.series.zero_one_test import _growth

    phi, c = logistic(3.9, 200) - 0.5, 1.1
    z = np.cumsum(phi * np.exp(1j * c * np.arange(1, 201)))
    M = [np.mean(np.abs(z[n : 180 + n] - z[:180]) ** 2) for n in range(1, 21)]
    assert _growth(phi, c) == pytest.approx(np.corrcoef(np.arange(1, 21), M)[0, 1], abs=1e-12)


def test_errors():
    with pytest.raises(ValueError, match="at least 100"):
        zero_one_test([0.1, 0.2])
    with pytest.raises(dm.errors.NotFiniteError, match="sample 7"):
        zero_one_test(np.where(np.arange(300) == 7, np.nan, 1.0))


def test_a_masked_series_is_refused():
    x = dm.orbit(dm.systems.get("logistic", r=4.0), [0.3], duration=500).x.values[:, 0]
    gaps = np.arange(501) % 50 == 0
    with pytest.raises(TypeError, match="masked array: fill it first"):
        zero_one_test(np.ma.masked_array(np.where(gaps, -999.0, x), mask=gaps))
