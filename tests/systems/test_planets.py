"""Celestial mechanics: conservation laws, symplecticity, published points, periods and orbits."""

import numpy as np
import pytest
from scipy.integrate import quad

import dynmem as dm
from dynmem.systems import (
    FigureEight,
    HierarchicalTriple,
    Kepler,
    NBody,
    OuterSolarSystem,
    Pythagorean,
    RestrictedThreeBody,
    Sitnikov,
    Symplectic,
    TwoPlanets,
    ephemeris,
    orbit_state,
)
from dynmem.systems.symplectic import Separable, composition

MOON = 0.012150585
ORDERS = (2, 4, 6, 8)


def carried(step, x, steps):
    """States x_0 .. x_steps, rule by rule."""
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], None))
    return np.array(states)


# ---- reference numbers


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


# ---- integrators


@pytest.mark.parametrize("order", ORDERS)
def test_weights_of_a_composition_add_up(order):
    for substeps in (1, 3):
        pairs = np.array(composition(order, substeps))
        np.testing.assert_allclose(pairs.sum(axis=0), substeps, rtol=1e-14)
        both = pairs.ravel()[pairs.ravel() != 0]
        np.testing.assert_allclose(both, both[::-1], rtol=1e-12)  # symmetric in time


@pytest.mark.parametrize("order", ORDERS)
def test_order_of_convergence(order):
    """Blanes and Moan (2002), Kahan and Li (1997): the error against Kepler's own orbit falls as
    the step to this power."""
    kepler, time, errors = Kepler(), 5.0, []
    counts = {2: (400, 800), 4: (320, 640), 6: (60, 120), 8: (40, 60)}[order]
    exact = dm.theory.kepler_orbit(time).x.values[0]
    for count in counts:
        errors.append(
            np.linalg.norm(
                carried(Symplectic(kepler, time / count, order=order), kepler.initial(), count)[-1]
                - exact
            )
        )
    measured = np.log(errors[0] / errors[1]) / np.log(counts[1] / counts[0])
    assert abs(measured - order) < 0.35, measured


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "system",
    [Kepler(), FigureEight(), OuterSolarSystem(), RestrictedThreeBody()],
    ids=lambda s: type(s).__name__,
)
def test_the_tangent_map_is_symplectic(system, order):
    """J^T Omega J = Omega to rounding; in the rotating frame the momenta are v + (-y, x)."""
    step, x = Symplectic(system, 0.05, order=order), system.initial(1)
    n = len(x) // 2
    masses = np.diag(system.weights()) if isinstance(system, Separable) else np.eye(n)
    omega = np.block([[np.zeros((n, n)), masses], [-masses, np.zeros((n, n))]])
    if isinstance(system, RestrictedThreeBody):
        momenta = np.block(
            [[np.eye(2), np.zeros((2, 2))], [np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2)]]
        )
        omega = momenta.T @ omega @ momenta
    J = dm.jacobian(step, x)
    scale = np.sqrt(np.abs(np.diag(masses)))
    weights = np.concatenate((scale, scale))
    np.testing.assert_allclose(
        (J.T @ omega @ J - omega) / np.outer(weights, weights),
        0.0,
        atol=2e-13 * np.abs(J).max() ** 2,
    )


@pytest.mark.parametrize("order", ORDERS)
def test_a_step_back_undoes_a_step(order):
    for system in (FigureEight(), RestrictedThreeBody(), OuterSolarSystem()):
        there, back = (Symplectic(system, dt, order=order) for dt in (0.1, -0.1))
        x = system.initial()
        np.testing.assert_allclose(back.rule(there.rule(x, None), None), x, atol=1e-12)


def test_energy_error_stays_bounded():
    """Over 80 orbits the leapfrog's energy wavers, and does not drift as that of Runge-Kutta does
    (Hairer et al. 2006, IX.8)."""
    kepler, x = Kepler(), Kepler().initial()
    errors = {}
    for name, step in (
        ("leapfrog", Symplectic(kepler, 0.1, order=2)),
        ("kutta", dm.FlowMap(kepler, 0.1)),
    ):
        energy = kepler.energy(carried(step, x, 5000))
        errors[name] = [np.abs(part + 0.5).max() for part in np.array_split(energy, 10)]
    assert errors["leapfrog"][-1] < 1.05 * errors["leapfrog"][0]
    assert errors["kutta"][-1] > 8 * errors["kutta"][0]


def test_momenta_are_kept_to_rounding():
    for system in (FigureEight(), HierarchicalTriple(), OuterSolarSystem()):
        states = carried(Symplectic(system, 0.05, order=4), system.initial(), 100)
        spin = system.angular_momentum(states)
        np.testing.assert_allclose(
            spin, np.broadcast_to(spin[0], spin.shape), atol=1e-13 * max(1.0, np.abs(spin).max())
        )
        np.testing.assert_allclose(system.momentum(states), 0.0, atol=1e-13)


def test_substeps_are_shorter_steps():
    kepler, x = Kepler(), Kepler().initial()
    for order in ORDERS:
        once = Symplectic(kepler, 0.3, order=order, substeps=3).rule(x, None)
        np.testing.assert_allclose(
            once, carried(Symplectic(kepler, 0.1, order=order), x, 3)[-1], atol=1e-13
        )


def test_jacobi_constant():
    system = RestrictedThreeBody()
    x = system.initial()
    assert abs(float(system.jacobi(x)) - 3.19) < 1e-12
    np.testing.assert_allclose(
        system.jacobi(dm.orbit(system, x, duration=20.0, rtol=1e-12).x.values), 3.19, atol=1e-9
    )
    np.testing.assert_allclose(
        system.jacobi(carried(Symplectic(system, 0.01, order=6), x, 1000)), 3.19, atol=1e-9
    )


# ---- bodies


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


def test_two_bodies_are_keplers():
    masses = np.array([1.0, 0.4])
    pair = NBody(masses)
    state = pair.initial()
    relative = np.concatenate((state[2:4] - state[:2], state[6:] - state[4:6]))
    change = pair.rule(state, None)
    np.testing.assert_allclose(
        np.concatenate((change[2:4] - change[:2], change[6:] - change[4:6])),
        Kepler(mu=1.4).rule(relative, None),
        atol=1e-14,
    )


def test_force_is_the_gradient_of_the_energy():
    system = NBody(np.array([1.0, 2.0, 0.5, 0.3]), G=0.7, dimension=3)
    x = np.random.default_rng(3).standard_normal(24)
    step = 1e-6 * np.eye(24)[:12]
    gradient = np.array([(system.energy(x + h) - system.energy(x - h)) / 2e-6 for h in step])
    np.testing.assert_allclose(system.force(x[:12]) * system.weights(), -gradient, atol=1e-7)


def test_a_body_without_mass_does_not_pull():
    heavy, light = (NBody(np.array([1.0, 0.1, m])) for m in (0.0, 0.3))
    x = heavy.initial()
    assert np.isfinite(heavy.rule(x, None)).all()
    np.testing.assert_allclose(heavy.rule(x, None)[10:], light.rule(x, None)[10:], atol=1e-15)
    assert not np.allclose(heavy.rule(x, None)[6:8], light.rule(x, None)[6:8])


def test_the_figure_eight_closes():
    """Period 6.32591398 (Chenciner and Montgomery 2000); after a third of it the bodies have taken
    each other's places."""
    eight = FigureEight()
    orbit = dm.orbit(eight, duration=6.32591398, dt=6.32591398 / 300, rtol=1e-12).x.values
    np.testing.assert_allclose(orbit[-1], orbit[0], atol=1e-6)
    third = orbit[100].reshape(2, 3, 2)
    places = orbit[0].reshape(2, 3, 2)
    assert min(np.abs(third[:, order] - places).max() for order in ([1, 2, 0], [2, 0, 1])) < 1e-6


def test_the_pythagorean_problem_ends_as_burrau_asked():
    """Szebehely and Peters (1967): after close encounters, the closest near t = 15.83, the body of
    mass 3 leaves a binary of 4 and 5 behind."""
    system = Pythagorean()
    orbit = dm.orbit(system, duration=70.0, dt=0.01, rtol=1e-12)
    bodies = orbit.x.values[:, :6].reshape(-1, 3, 2)
    apart = np.linalg.norm(bodies - bodies[:, [1, 2, 0]], axis=-1)  # 3-4, 4-5, 5-3
    assert abs(float(orbit.time[apart[:2000].min(axis=1).argmin()]) - 15.83) < 0.02
    assert apart[-1, 1] < 2.0 < 5.0 < min(apart[-1, 0], apart[-1, 2])
    np.testing.assert_allclose(
        system.energy(orbit.x.values), system.energy(orbit.x.values[0]), rtol=1e-6
    )


def test_the_triple_follows_mardling_and_aarseth():
    outer = orbit_state(5.0, 0.2, anomaly=2.0, mu=2.0)
    state = HierarchicalTriple().initial()
    positions = state[:6].reshape(3, 2)
    np.testing.assert_allclose(
        positions[2] - (positions[0] + 0.5 * positions[1]) / 1.5, outer[:2], atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.norm(positions[1] - positions[0]), 0.9, atol=1e-14)


def test_two_planets_have_the_periods_asked_for():
    system = TwoPlanets()
    for ratio in (1.17, 2.0):
        x = system.states_of(ratio, 0.05).reshape(2, 3, 2)
        for body, mass in ((1, 1.0001), (2, 1.0002)):
            q, v = (x[i, body] - x[i, 0] for i in (0, 1))
            if body == 2:  # about the star alone its elements waver by the mass of the inner planet
                continue
            axis = 1.0 / (2.0 / np.linalg.norm(q) - v @ v / mass)
            np.testing.assert_allclose(axis, 1.0, atol=1e-12)


# ---- the solar system


def test_the_published_table_and_the_ephemeris_are_one_sky():
    """Hairer, Lubich and Wanner (2006), table 2.2 of chapter I, against JPL's DE421 for the same
    day: two sources, 1e-4 apart at most."""
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    masses, states = ephemeris.table(pluto=True)
    real_masses, real = ephemeris.read(ephemeris.TABLE_DATE, pluto=True)
    np.testing.assert_allclose(masses[:5], real_masses[:5], rtol=6e-3)
    np.testing.assert_allclose(masses[0], real_masses[0], rtol=1e-9)
    np.testing.assert_allclose(masses[1:3], real_masses[1:3], rtol=2e-3)
    for body in range(1, 6):
        for half in (slice(0, 3), slice(3, 6)):
            assert np.linalg.norm(states[body, half] - real[body, half]) < 1e-4 * np.linalg.norm(
                real[body, half]
            )


def test_a_year_of_the_outer_solar_system_follows_the_ephemeris():
    """Five years of the equations of motion against DE421: what is left is the inner planets and
    the asteroids."""
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    start = 2451545.0
    system = OuterSolarSystem.of(start)
    there = carried(Symplectic(system, 0.5, order=6), system.initial(), 10)[-1].reshape(2, 5, 3)
    real = ephemeris.read(start + 5 * 365.25)[1]
    for body in range(1, 5):
        assert np.linalg.norm(there[0, body] - there[0, 0] - real[body, :3]) < 2e-4


def test_the_date_and_the_extra_are_asked_for(monkeypatch):
    pytest.importorskip("jplephem")
    with pytest.raises(ValueError, match="covers the Julian days"):
        OuterSolarSystem.of(1.0)
    import builtins

    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (
            (_ for _ in ()).throw(ImportError(name))
            if name == "skyfield_data"
            else real(name, *a, **k)
        ),
    )
    with pytest.raises(ImportError, match=r"dynmem\[planets\]"):
        OuterSolarSystem.of(ephemeris.TABLE_DATE)


def test_perturbed_starts_lie_within_their_errors():
    system = OuterSolarSystem()
    starts = system.perturbed(1e-6, 200, rng=0)
    assert starts.shape == (200, 30)
    parts = starts.reshape(200, 2, 5, 3) - starts.reshape(200, 2, 5, 3)[:, :, :1]
    plain = system.initial().reshape(2, 5, 3) - system.initial().reshape(2, 5, 3)[:, :1]
    errors = (parts - plain)[:, :, 1:] / np.linalg.norm(plain[:, 1:], axis=-1, keepdims=True)
    np.testing.assert_allclose(errors.std(), 1e-6, rtol=0.05)
    np.testing.assert_allclose(system.momentum(starts), 0.0, atol=1e-12)


# ---- what is refused


def test_bad_input_is_refused():
    cases = [
        (lambda: NBody(np.array([1.0])), "N >= 2"),
        (lambda: NBody(np.array([1.0, -1.0])), "not negative"),
        (lambda: NBody(np.array([1.0, 1.0]), dimension=4), "2 or 3"),
        (lambda: NBody(np.array([1.0, 1.0]), start=np.zeros(7)), r"need \(8,\)"),
        (lambda: Symplectic(Kepler(), order=5), "must be one of"),
        (lambda: Symplectic(Kepler(), dt=np.nan), "finite and not 0"),
        (lambda: Symplectic(Kepler(), substeps=0), "substeps"),
        (lambda: Symplectic(Sitnikov(), 0.1), "does not split"),
        (lambda: orbit_state(1.0, 1.0), "ellipses"),
        (lambda: RestrictedThreeBody(mu=0.0).lagrange_points(), "0 < mu < 1"),
        (lambda: dm.theory.lagrange_points(1.5), "mu = 1.5"),
        (lambda: dm.theory.lagrange_spectrum(0.1, "L6"), "point = 'L6'"),
        (lambda: dm.theory.sitnikov_period(-1.0), "at least 0"),
        (lambda: dm.theory.kepler_orbit(1.0, eccentricity=1.0), "eccentricity = 1.0"),
    ]
    for call, words in cases:
        with pytest.raises((ValueError, TypeError), match=words):
            call()


def test_a_collision_is_said():
    head_on = NBody(np.array([1.0, 1.0]), start=np.array([0.0, 0, 1, 0, 0, 0, 0, 0]))
    with pytest.raises(dm.NotFiniteError):
        dm.orbit(
            Symplectic(head_on, 0.25, order=2), np.array([0.0, 0, 0, 0, 0, 0, 0, 0]), duration=10.0
        )


def test_every_planet_system_is_registered_and_finite():
    for name in (
        "kepler",
        "restricted_three_body",
        "sitnikov",
        "n_body",
        "figure_eight",
        "hierarchical_triple",
        "pythagorean",
        "two_planets",
        "outer_solar_system",
    ):
        system = dm.systems.get(name)
        x = system.initial(0)
        assert (
            x.shape == (system.size,) == (len(system.states),)
            and np.isfinite(system.rule(x, None)).all()
        )


def test_states_are_named_body_by_body():
    assert FigureEight().states[:3] == ("x0", "y0", "x1") and FigureEight().states[6] == "vx0"
    assert Pythagorean().weights().tolist() == [3, 3, 4, 4, 5, 5]
