"""Restricted problems: published points, periods and exponents."""

import numpy as np
import pytest
from scipy.integrate import quad

import dynmem as dm
from dynmem.systems import (
    Kepler,
    RestrictedThreeBody,
    Sitnikov,
)

MOON = 0.012150585


def test_routh_mass_ratio_is_where_the_triangular_points_turn_unstable():
    """(1 - sqrt(23/27))/2 = 0.0385208965: Routh (1875); Szebehely (1967), 5.4."""
    routh = dm.theory.routh_mass_ratio()
    assert abs(routh - 0.0385208965) < 1e-10
    below, above = (
        dm.theory.lagrange_spectrum(routh + shift, "L4").lyapunov.values[0]
        for shift in (-1e-6, 1e-6)
    )
    assert below == 0.0 and above > 1e-4


def test_points_of_lagrange_of_the_earth_and_the_moon():
    """Szebehely (1967), 4.4, mu = 0.012150585; the system finds them as zeros of its rule, the
    theory as roots of Euler's quintics."""
    theory = dm.theory.lagrange_points(MOON)
    system = RestrictedThreeBody(MOON)
    np.testing.assert_allclose(theory.x[:3], [0.8369151288, 1.1556821632, -1.0050626456], atol=1e-9)
    np.testing.assert_allclose(
        system.lagrange_points()[:, :2], np.stack((theory.x, theory.y), axis=-1), atol=1e-13
    )
    np.testing.assert_allclose(system.rule(system.lagrange_points(), None), 0.0, atol=1e-14)
    np.testing.assert_allclose(system.jacobi(system.lagrange_points()), theory.jacobi, atol=1e-12)


@pytest.mark.parametrize("mu", [1e-9, 1e-4, 0.3, 0.5])
def test_points_of_lagrange_over_the_mass_ratio(mu):
    system, theory = RestrictedThreeBody(mu), dm.theory.lagrange_points(mu)
    np.testing.assert_allclose(system.lagrange_points()[:, 0], theory.x, atol=1e-11)


@pytest.mark.parametrize("point", range(5))
def test_exponents_at_the_points_of_lagrange(point):
    system = RestrictedThreeBody(MOON)
    theory = dm.theory.lagrange_spectrum(MOON, f"L{point + 1}")
    measured = np.linalg.eigvals(dm.jacobian(system, system.lagrange_points()[point]))
    key = lambda values: values[np.lexsort((values.imag.round(6), -values.real.round(6)))]  # noqa: E731
    np.testing.assert_allclose(
        key(measured),
        key(theory.eigenvalue_real.values + 1j * theory.eigenvalue_imag.values),
        atol=1e-7,
    )
    if point == 0:  # Szebehely (1967), ch. 5
        np.testing.assert_allclose(
            [theory.eigenvalue_real[0], theory.eigenvalue_imag[2]],
            [2.9320559, 2.3343859],
            atol=1e-6,
        )


def test_theory_and_measurement_at_rest_on_l1():
    """The same variables, dims and numbers; rounding leaves the unstable point as e^(2.93 t), so
    the run is short."""
    system, theory = RestrictedThreeBody(MOON), dm.theory.lagrange_spectrum(MOON, "L1")
    measured = dm.lyapunov_spectrum(
        system, system.lagrange_points()[0], duration=4.0, transient=3.0, dt=0.01
    )
    for name in ("lyapunov", "lyapunov_error", "kaplan_yorke_dimension", "entropy_rate"):
        assert measured[name].dims == theory[name].dims
    np.testing.assert_allclose(measured.lyapunov[[0, -1]], theory.lyapunov[[0, -1]], atol=5e-3)


def test_periods_of_sitnikov():
    """Period at amplitude 0 and 1: pi/sqrt(2) and 6.0008190 (Belbruno, Llibre and Olle 1994),
    elliptic integrals against quadrature."""
    np.testing.assert_allclose(
        dm.theory.sitnikov_period([0.0, 1.0]), [2.2214415, 6.0008190], atol=1e-7
    )
    for amplitude in (1e-5, 3e-4, 0.02, 0.7, 3.0):
        top = 1.0 / np.sqrt(amplitude**2 + 0.25)
        # 4 int_0^A dz / sqrt(2 (1/sqrt(z^2 + 1/4) - 1/sqrt(A^2 + 1/4))) with z = A sin(phi); the
        # difference without cancellation
        fall = lambda s, a=amplitude, t=top: (  # noqa: E731
            (a * a * (1 - s * s)) / ((r := np.sqrt(a * a * s * s + 0.25)) / t * (r + 1 / t))
        )
        integrand = lambda p, a=amplitude, f=fall: a * np.cos(p) / np.sqrt(2.0 * f(np.sin(p)))  # noqa: E731
        expected = 4.0 * quad(integrand, 0.0, np.pi / 2 * (1 - 1e-12), epsabs=0, epsrel=1e-12)[0]
        np.testing.assert_allclose(dm.theory.sitnikov_period(amplitude), expected, rtol=1e-9)


def test_an_orbit_of_sitnikov_closes_after_the_period():
    period = float(dm.theory.sitnikov_period(0.8))
    orbit = dm.orbit(Sitnikov(), [0.8, 0.0, 0.0], duration=period, dt=period / 1000, rtol=1e-12)
    np.testing.assert_allclose(orbit.x[-1, :2], [0.8, 0.0], atol=1e-9)
    np.testing.assert_allclose(
        Sitnikov().energy(orbit.x.values), Sitnikov().energy(orbit.x.values[0]), atol=1e-11
    )


def test_sitnikov_carries_keplers_equation():
    orbit = dm.orbit(Sitnikov(eccentricity=0.6), [0.3, 0.0, 0.0], duration=20.0, dt=0.1, rtol=1e-12)
    anomaly = orbit.x.sel(state="anomaly").values
    np.testing.assert_allclose(anomaly - 0.6 * np.sin(anomaly), orbit.time, atol=1e-9)


def test_kepler_against_its_exact_orbit():
    times = np.linspace(0.0, 30.0, 61)
    orbit = dm.orbit(Kepler(), duration=30.0, dt=0.5, rtol=1e-12)
    exact = dm.theory.kepler_orbit(times)
    np.testing.assert_allclose(orbit.x, exact.x, atol=1e-8)
    assert orbit.x.dims == exact.x.dims and list(orbit.state.values) == list(exact.state.values)
    np.testing.assert_allclose(Kepler().energy(exact.x.values), -0.5, atol=1e-14)
    np.testing.assert_allclose(
        Kepler().angular_momentum(exact.x.values), np.sqrt(1 - 0.09), atol=1e-14
    )


@pytest.mark.parametrize("eccentricity", [0.0, 0.5, 0.99])
def test_keplers_equation_at_any_eccentricity(eccentricity):
    period = dm.theory.kepler_orbit(
        [0.0, 2 * np.pi, 1e4 * np.pi], eccentricity=eccentricity
    ).x.values
    np.testing.assert_allclose(
        period, np.broadcast_to(period[0], period.shape), atol=1e-9 / (1 - eccentricity) ** 2
    )


def test_bad_parameters_are_refused():
    cases = [
        (lambda: RestrictedThreeBody(mu=0.0).lagrange_points(), "mu = 0.0"),
        (lambda: dm.theory.lagrange_points(1.5), "mu = 1.5"),
        (lambda: dm.theory.lagrange_spectrum(0.1, "L6"), "point = 'L6'"),
        (lambda: dm.theory.sitnikov_period(-1.0), "at least 0"),
        (lambda: dm.theory.kepler_orbit(1.0, eccentricity=1.0), "eccentricity = 1.0"),
    ]
    for call, words in cases:
        with pytest.raises((ValueError, TypeError), match=words):
            call()
