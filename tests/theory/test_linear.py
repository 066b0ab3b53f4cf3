"""Linear theory against closed forms, direct products and independent simulation."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import ortho_group

from dynmem import theory
from dynmem.errors import NotFiniteError, ShapeError


def test_powers_of_the_spectral_radius():
    assert theory.power_gradient(0.9, [100]).state_gradient.item() == pytest.approx(
        2.656139888e-5, rel=1e-9
    )
    assert theory.power_gradient(1.1, [100]).state_gradient.item() == pytest.approx(
        13780.6123398, rel=1e-9
    )
    far = theory.power_gradient(1.1, [10_000_000])
    assert (
        far.log_state_gradient.item() == pytest.approx(1e7 * np.log(1.1))
        and far.state_gradient.item() == np.inf
    )
    assert theory.power_gradient(0.0, [0, 1]).log_state_gradient.values.tolist() == [0.0, -np.inf]
    assert theory.power_gradient(1.0, [5]).time_scale.item() == np.inf


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(0.2, 3.0), st.integers(0, 10_000))
def test_gradient_equals_the_product(size, gain, seed):
    matrix = np.random.default_rng(seed).standard_normal((size, size)) * gain / np.sqrt(size)
    lags = [7, 0, 3, 3, 12]
    expected = [
        np.log(np.linalg.norm(np.linalg.matrix_power(matrix, lag)) / np.sqrt(size)) for lag in lags
    ]
    np.testing.assert_allclose(
        theory.linear_gradient(matrix, lags).log_state_gradient, expected, atol=1e-9
    )


def test_gradient_survives_what_floats_do_not():
    """0.9^T is 0 in float32 from T = 980; logarithms go on."""
    found = theory.linear_gradient(np.diag([0.9, 0.5]), [100_000]).log_state_gradient.item()
    assert found == pytest.approx(1e5 * np.log(0.9) - 0.5 * np.log(2), rel=1e-12)
    nilpotent = theory.linear_gradient(np.diag(np.ones(2), 1), [1, 2, 3, 9])
    assert (
        nilpotent.log_state_gradient.values[2:].tolist() == [-np.inf, -np.inf]
        and nilpotent.time_scale.item() == 0
    )


def test_orthogonal_networks_keep_everything():
    matrix = ortho_group.rvs(16, random_state=1)
    assert np.abs(theory.linear_gradient(matrix, [1000]).log_state_gradient).max() < 1e-12
    assert np.abs(theory.linear_spectrum(matrix).lyapunov).max() < 1e-12
    assert (
        theory.isometry(16, [1000]).identical(theory.isometry(16, [1000]))
        and not theory.isometry(16, [1]).lyapunov.values.any()
    )


def test_leaky_linear_spectrum_is_that_of_the_step():
    matrix, leak = np.random.default_rng(0).standard_normal((8, 8)), 0.3
    step = (1 - leak) * np.eye(8) + leak * matrix
    found = theory.linear_spectrum(matrix, leak=leak)
    np.testing.assert_allclose(
        found.lyapunov * leak, theory.linear_spectrum(step).lyapunov, atol=1e-12
    )
    assert found.lyapunov.sum().item() * leak == pytest.approx(
        np.linalg.slogdet(step)[1], abs=1e-10
    )


def test_gaussian_products_follow_newman():
    """Newman (1986), against 20,000 products of matrices of size 6; then the triangle law and the
    circular law's radius."""
    rng, n, steps = np.random.default_rng(0), 6, 20_000
    frame, growth = np.eye(n), np.zeros(n)
    for matrix in rng.standard_normal((steps, n, n)) * 1.3 / np.sqrt(n):
        frame, upper = np.linalg.qr(matrix @ frame)
        growth += np.log(np.abs(np.diag(upper)))
    found = theory.gaussian_product_spectrum(n, 1.3)
    np.testing.assert_allclose(found.lyapunov, growth / steps, atol=0.02)
    large = theory.gaussian_product_spectrum(1000, 2.0).lyapunov.values
    np.testing.assert_allclose(
        large[:900:100], 0.5 * np.log(4 * (1 - np.arange(0, 900, 100) / 1000)), atol=3e-3
    )
    radius = np.abs(np.linalg.eigvals(rng.standard_normal((400, 400)) * 0.05)).max()
    assert radius == pytest.approx(theory.circular_law_radius(0.05, 400), rel=0.05)


@pytest.mark.parametrize(
    "nonlinearity, slope", [("tanh", lambda h: 1 - h * h), ("sigmoid", lambda h: h * (1 - h))]
)
def test_bounds_hold_along_orbits(nonlinearity, slope):
    """Pascanu et al. (2013): no state and no input brings a gradient above the bound."""
    rng = np.random.default_rng(3)
    weights = 2.0 * rng.standard_normal((12, 12)) / np.sqrt(12)
    sigma = np.linalg.norm(weights, 2)
    bound = theory.gradient_bounds(
        sigma, np.arange(21), nonlinearity
    ).log_state_gradient_bound.values
    state, product = rng.standard_normal(12), np.eye(12)
    for lag in range(1, 21):
        field = weights @ state + 0.3 * rng.standard_normal(12)
        state = np.tanh(field) if nonlinearity == "tanh" else 1 / (1 + np.exp(-field))
        product = slope(state)[:, None] * (weights @ product)
        assert np.log(np.linalg.norm(product, 2)) <= bound[lag] + 1e-12


def test_vanishing_is_certain_below_one_and_four():
    for name, limit in (("tanh", 1.0), ("sigmoid", 4.0)):
        assert theory.gradient_bounds(limit, [1], name).critical_sigma_max.item() == limit
        assert theory.gradient_bounds(limit * 0.99, [1], name).vanishing_certain.item()
        assert not theory.gradient_bounds(limit * 1.01, [1], name).vanishing_certain.item()


def test_dimension_stays_within_the_space():
    for values, dimension in (
        ([2.0, 1.5], 2.0),
        ([0.5, 0.1], 0.0),
        ([2.0, 0.0], 1.0),
        ([2.0, 0.25], 1.5),
    ):
        assert theory.linear_spectrum(
            np.diag(values)
        ).kaplan_yorke_dimension.item() == pytest.approx(dimension)


@pytest.mark.parametrize(
    "call, error, advice",
    [
        (lambda: theory.power_gradient(-0.1, [1]), ValueError, "at least 0"),
        (lambda: theory.power_gradient(np.nan, [1]), ValueError, "finite"),
        (lambda: theory.power_gradient(0.9, [-1]), ValueError, r"lags = \[-1\]: must be whole"),
        (lambda: theory.power_gradient(0.9, [0.5]), ValueError, "whole numbers"),
        (lambda: theory.power_gradient(0.9, [1, np.nan]), ValueError, "whole numbers"),
        (lambda: theory.power_gradient(0.9, "3"), ValueError, "lags = '3': must be whole numbers"),
        (
            lambda: theory.power_gradient(None, [1]),
            ValueError,
            "spectral_radius = None: must be a finite number",
        ),
        (
            lambda: theory.gradient_bounds(np.eye(3), 10),
            ValueError,
            "sigma_max = array",
        ),
        (
            lambda: theory.linear_spectrum(1j * np.eye(2)),
            TypeError,
            "matrix must hold real numbers",
        ),
        (lambda: theory.linear_spectrum("a"), TypeError, "matrix must hold real numbers, got 'a'"),
        (
            lambda: theory.linear_spectrum([[1, 2], [3]]),
            TypeError,
            "matrix must hold real numbers",
        ),
        (lambda: theory.isometry("3", [1]), ValueError, "units = '3'"),
        (lambda: theory.isometry(np.nan, [1]), ValueError, "units = nan"),
        (lambda: theory.linear_spectrum(np.ones((2, 3))), ShapeError, "square"),
        (lambda: theory.linear_gradient(np.full((2, 2), np.nan), [1]), NotFiniteError, "NaN"),
        (lambda: theory.linear_spectrum(np.eye(2), leak=2.0), ValueError, "leak"),
        (lambda: theory.gradient_bounds(1.0, [1], "swish"), ValueError, "nonlinearity = 'swish'"),
        (lambda: theory.gaussian_product_spectrum(0), ValueError, "at least 1"),
        (lambda: theory.gaussian_product_spectrum(4, -1.0), ValueError, "above 0"),
    ],
)
def test_errors_say_what_to_do(call, error, advice):
    with pytest.raises(error, match=advice):
        call()
