"""Means over Gaussian variables against closed forms."""

import numpy as np
import pytest

from dynmem.theory import gaussian


def test_gaussian_means_against_closed_forms():
    for variance in (1e-12, 0.3, 40.0, 1e6):
        assert gaussian.mean(lambda x: x**2, variance) == pytest.approx(variance, rel=1e-12)
    assert gaussian.mean(np.tanh, 2.0) == pytest.approx(0.0, abs=1e-15)
    assert gaussian.pair_mean(np.cos, 2.0, 0.4) == pytest.approx(
        np.exp(-2.0) * np.cosh(0.8), abs=1e-12
    )
    x = np.array([0.0, 1.0, -30.0, 400.0])
    np.testing.assert_allclose(gaussian.sech2(x[:3]), 1 / np.cosh(x[:3]) ** 2, rtol=1e-13)
    np.testing.assert_allclose(
        gaussian.log_sech2(x),
        [0.0, -2 * np.log(np.cosh(1.0)), 2 * np.log(2) - 60, 2 * np.log(2) - 800],
        rtol=1e-13,
    )
