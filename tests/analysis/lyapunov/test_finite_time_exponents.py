"""Finite-time exponents: laws that are known exactly."""

import numpy as np
import pytest
from scipy.special import digamma, polygamma

import dynmem as dm
from dynmem.analysis import finite_time_exponents
from tests.reference import Cat, Henon, Logistic


class Product(dm.Map):
    """A new matrix at every step, handed in as input."""

    size = 3
    inputs = 9

    def rule(self, x, u):
        return dm.stack([dm.sum(u[..., 3 * i : 3 * i + 3] * x) for i in range(3)])


class SkewTent(dm.Map):
    """x/a below a, (1 - x)/(1 - a) above: growth -ln a with probability a, else -ln(1 - a),
    independent from step to step."""

    a: float = 0.3
    states = ("x",)

    def rule(self, x, u):
        return dm.where(x < self.a, x / self.a, (1.0 - x) / (1.0 - self.a))


def test_products_of_gaussian_matrices():
    """Newman (1986): ln R_ii are half the logarithms of independent chi-squared numbers of N - i +
    1 degrees of freedom."""
    found = finite_time_exponents(
        Product(),
        np.zeros(3),
        duration=40_000,
        window=1,
        transient=100,
        drive=1 / np.sqrt(3),
        rng=1,
    )
    freedom = np.array([3, 2, 1])
    mean, variance = 0.5 * (np.log(2 / 3) + digamma(freedom / 2)), 0.25 * polygamma(1, freedom / 2)
    assert np.all(np.abs(found.lyapunov - mean) < 4 * np.sqrt(variance / 40_000))
    np.testing.assert_allclose(found.variance, variance, rtol=0.05)
    np.testing.assert_allclose(
        found.skewness, polygamma(2, freedom / 2) / polygamma(1, freedom / 2) ** 1.5, rtol=0.1
    )
    np.testing.assert_allclose(found.lyapunov_error, np.sqrt(variance / 40_000), rtol=0.4)
    # independent steps: the diffusion is half the variance at every length
    for exponent in range(3):
        row = found.diffusion[:, exponent]
        assert np.all(np.abs(row - variance[exponent] / 2) < 4 * found.diffusion_error[:, exponent])


@pytest.mark.parametrize("a", [0.2, 0.5])
def test_skew_tent(a):
    found = finite_time_exponents(SkewTent(a), [0.3141], duration=30_000, window=5, transient=10)
    mean, variance = (
        -a * np.log(a) - (1 - a) * np.log(1 - a),
        a * (1 - a) * np.log((1 - a) / a) ** 2,
    )
    np.testing.assert_allclose(
        found.lyapunov.item(), mean, atol=1e-12 + 4 * np.sqrt(variance / 30_000)
    )
    # falls as 1/window
    np.testing.assert_allclose(found.variance.item(), variance / 5, rtol=0.1, atol=1e-20)


def test_the_cat_map_does_not_scatter():
    found = finite_time_exponents(
        Cat(np.array([[2, 1], [1, 1]])), [0.31, 0.22], duration=1000, window=5, transient=50
    )
    np.testing.assert_allclose(
        found.finite_time_exponent, np.tile([0.9624236501, -0.9624236501], (200, 1)), atol=1e-9
    )
    assert float(found.variance.max()) < 1e-20 and np.isnan(found.skewness).all()
    np.testing.assert_allclose(found.positive_share, [1, 0])


def test_ulam_map_scatters_less_than_independent_growth():
    """At r = 4 the logistic map is conjugate to the tent map: growth over n steps differs from n ln
    2 by a function of both ends alone, so that the diffusion falls to 0 (Prasad and Ramaswamy 1999:
    variance ~ 1/window^2)."""
    found = finite_time_exponents(Logistic(), [0.3], duration=16_384, window=1, transient=10)
    assert float(found.diffusion[0, 0]) > 0.3 and float(found.diffusion[8, 0]) < 0.02
    np.testing.assert_allclose(found.lyapunov.item(), np.log(2), atol=1e-3)


def test_the_mean_is_the_spectrum():
    found = finite_time_exponents(
        Henon(), [0.1, 0.1], duration=5000, window=10, transient=500, rng=2
    )
    spectrum = dm.lyapunov_spectrum(Henon(), [0.1, 0.1], duration=5000, transient=500, rng=2)
    np.testing.assert_allclose(found.lyapunov, spectrum.lyapunov, atol=1e-9)
    assert 0.5 < float(found.positive_share[0]) <= 1.0 and found.time[0] == 10
    np.testing.assert_allclose(found.lyapunov.sum(), np.log(0.3), atol=1e-10)


def test_first_exponents_and_lost_directions():
    found = finite_time_exponents(dm.models.Linear(np.diag([2.0, 0.0])), duration=20, window=2)
    assert np.isneginf(found.lyapunov[1]) and "lost" in found.attrs["note"]
    assert (
        finite_time_exponents(Henon(), [0.1, 0.1], duration=100, window=10, exponents=1).sizes[
            "exponent"
        ]
        == 1
    )


def test_errors():
    words = {0.1: "less than one step", 10.5: "pass 10 or 11", 60: "at most half the duration"}
    for window, message in words.items():
        with pytest.raises(ValueError, match=message):
            finite_time_exponents(Henon(), [0.1, 0.1], duration=100, window=window)
    with pytest.raises(dm.errors.NotFiniteError):
        finite_time_exponents(Logistic(4.5), [0.3], duration=100, window=10)
