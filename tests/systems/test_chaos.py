"""The chaotic systems: exact oracles first, then what is published, then what every system of the
registry promises."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.autodiff.jacobian import divergence, linearise_rule
from dynmem.systems import extended, flows, maps
from dynmem.systems.registry import get

CHAOS = {**maps.SYSTEMS, **flows.SYSTEMS, **extended.SYSTEMS}
SMALL = {
    "kuramoto_sivashinsky": {"modes": 8},
    "mackey_glass": {"units": 6},
    "random_rate": {"units": 8},
    "random_tanh": {"units": 8},
    "coupled_logistic": {"units": 5},
    "lorenz96": {"units": 6},
}
HAMILTONIAN = ["double_pendulum", "henon_heiles"]


def carried(system, x, steps, dt=0.02):
    """States (steps + 1, ..., n) along the orbits of a batch, by numpy."""
    step, orbit = system if isinstance(system, dm.Map) else dm.FlowMap(system, dt, order=8), [x]
    for _ in range(steps):
        orbit.append(step.rule(orbit[-1], None))
    return np.array(orbit)


def spectrum(system, duration, transient=100, **options):
    return dm.lyapunov_spectrum(system, duration=duration, transient=transient, **options)


# ---- every system


@pytest.mark.parametrize("name", CHAOS)
def test_every_engine_agrees_on_every_system(name):
    system = get(name, **SMALL.get(name, {}))
    found = dm.check_system(system, carried(system, system.initial(3), 20)[-1])
    assert np.isfinite(found.error.sel(check=["duals", "differences", "adjoint", "torch"])).all()
    assert (
        np.isfinite(found.error.sel(check="symbols"))
        or system.size > 8
        or name
        in ("kuramoto_sivashinsky", "mackey_glass", "random_rate", "random_tanh", "lorenz63")
    )


@pytest.mark.parametrize("name", CHAOS)
def test_no_start_escapes(name):
    system = get(name, **SMALL.get(name, {}))
    starts = np.stack([system.initial(seed) for seed in range(50)])
    assert np.unique(starts, axis=0).shape == starts.shape, "each rng gives its own start"
    np.testing.assert_array_equal(starts[7], system.initial(np.random.default_rng(7)))
    orbit = carried(system, starts, 1000 if isinstance(system, dm.Map) else 400)
    assert np.isfinite(orbit).all()
    assert orbit[-100:, :, 0].std() > 1e-3 or name == "random_rate", (
        "nor comes to rest, but a network as small as here"
    )


@pytest.mark.parametrize("name", [n for n, kind in CHAOS.items() if getattr(kind, "known", None)])
def test_published_exponents_keep_the_sum_rule(name):
    """Attractor data bases break it in most entries: every published spectrum that is whole must
    sum to the exact value, where there is one."""
    system, known = get(name), CHAOS[name].known
    assert known.source and len(known.exponents) <= system.size
    if len(known.exponents) == system.size and system.exponent_sum is not None:
        assert sum(known.exponents) == pytest.approx(
            system.exponent_sum, abs=max(1e-9, min(max(known.tolerances), 2e-4))
        )
    if len(known.exponents) == system.size and known.dimension:
        from dynmem.analysis.lyapunov.lyapunov_spectrum import kaplan_yorke

        assert kaplan_yorke(np.array(known.exponents)) == pytest.approx(known.dimension, abs=2e-3)


@pytest.mark.parametrize("name", [n for n, kind in CHAOS.items() if kind.exponent_sum is not None])
def test_the_exact_sum_is_the_growth_of_volume_everywhere(name):
    """ln|det J| of a map, or the divergence of a flow, is the same number at every point, also at
    other parameters."""
    changed = {
        "henon": {"b": 0.2},
        "lorenz63": {"sigma": 16.0, "rho": 45.92, "beta": 4.0},
        "thomas": {"b": 0.3},
        "lorenz96": {"units": 9},
        "ikeda": {"loss": 0.7},
        "baker": {"contraction": 0.3},
        "double_pendulum": {"mass2": 0.5, "length1": 2.0},
    }
    for parameters in ({}, changed.get(name, {})):
        system = get(name, **parameters)
        points = np.stack(
            [system.initial(seed) for seed in range(20)]
        ) + 0.01 * np.random.default_rng(1).uniform(0, 1, (20, system.size))
        growth = (
            divergence(system, points)
            if isinstance(system, dm.Flow)
            else np.linalg.slogdet(dm.jacobian(system, points))[1]
        )
        np.testing.assert_allclose(growth, system.exponent_sum, atol=1e-10)


# ---- maps: exact, then published


def test_doubling_never_dies():
    """Doubling modulo a prime: no orbit of doubles reaches 0, and 2 has the order (p - 1)/2."""
    from sympy import isprime, n_order

    p = 2**53 - 111
    assert p == maps.END * 2**53 and isprime(p) and n_order(2, p) == (p - 1) // 2
    for system in (maps.Tent(), maps.Baker(), maps.KaplanYorke()):
        orbit = carried(system, system.initial(0), 3000)
        assert abs(orbit[-1000:, 0].mean() - 0.5) < 0.05, "as uniform as at the start"
        assert orbit[:, 0].min() >= 0 and orbit[:, 0].max() < 1


def test_doubling_is_exact():
    """Against integers: the x of Baker and Kaplan-Yorke is 2x mod p over 2^53, the tent's is
    min(2x, 2(p - x))."""
    p, scale = 2**53 - 111, 2.0**53

    def doubled(k):
        return 2 * k % p

    for system, fold in (
        (maps.Tent(), lambda k: min(2 * k, 2 * (p - k))),
        (maps.Baker(), doubled),
        (maps.KaplanYorke(), doubled),
    ):
        x = system.rule(system.rule(system.initial(1), None), None)
        k = int(x[0] * scale)
        for _ in range(500):
            x, k = system.rule(x, None), fold(k)
            assert x[0] * scale == k


@pytest.mark.parametrize("name", ["tent", "baker", "cat"])
def test_piecewise_linear_maps_are_exact(name):
    found = spectrum(get(name), 2000)
    np.testing.assert_allclose(found.lyapunov, CHAOS[name].known.exponents, atol=1e-9)


def test_kaplan_yorke_map():
    """ln 2, ln alpha (Kaplan and Yorke 1979): the first run-away of the frame dies as 1/T, the sum
    is exact."""
    found = spectrum(maps.KaplanYorke(), 3000)
    np.testing.assert_allclose(found.lyapunov, [np.log(2), np.log(0.2)], atol=1e-3)
    assert float(found.lyapunov.sum()) == pytest.approx(np.log(0.4), abs=1e-11)
    assert float(found.kaplan_yorke_dimension) == pytest.approx(1.4306766, abs=1e-3)


@pytest.mark.parametrize(
    "r, expected, within",
    [(4.0, np.log(2), 1e-3), (2.5, np.log(0.5), 1e-9), (3.2, 0.5 * np.log(0.16), 1e-9)],
)
def test_logistic_map(r, expected, within):
    """Chaos, a fixed point 1 - 1/r of slope 2 - r, and a cycle of two of multiplier 4 + 2r -
    r^2."""
    found = spectrum(maps.Logistic(r), 12000 if r == 4 else 500, 1000)
    assert abs(float(found.lyapunov[0]) - expected) < within + 3 * float(
        found.lyapunov_error[0]
    ) * (r == 4)


def test_coupled_maps_in_step():
    """Where all sites agree the matrix is circulant: lambda_k = lambda + ln|1 - e (1 - cos 2 pi
    k/n)|."""
    n, coupling = 6, 0.3
    system = maps.CoupledLogistic(a=1.7, coupling=coupling, units=n)
    found = spectrum(system, 1000, 200, x0=np.full(n, 0.3))
    modes = np.log(np.abs(1 - coupling * (1 - np.cos(2 * np.pi * np.arange(n) / n))))
    np.testing.assert_allclose(found.lyapunov - found.lyapunov[0], np.sort(modes)[::-1], atol=1e-9)


@pytest.mark.parametrize("name", ["henon", "ikeda", "lozi", "logistic", "coupled_logistic"])
def test_maps_against_what_is_published(name):
    # what numpy does before machine code pays
    found = spectrum(get(name), 8000 if name != "coupled_logistic" else 900, 300)
    assert CHAOS[name].known.agrees(found.lyapunov.values, found.lyapunov_error.values), (
        found.lyapunov.values
    )
    assert abs(float(found.sum_residual)) < 1e-10


def test_henon_fixed_points():
    """x = 0.6313545, -1.1313545 (roots of a x^2 + (1 - b) x - 1)."""
    for x in (0.6313544770895048, -1.1313544770895048):
        np.testing.assert_allclose(
            maps.Henon().rule(np.array([x, 0.3 * x]), None), [x, 0.3 * x], atol=1e-15
        )


def test_standard_map():
    """K = 20: close to ln(K/2) (Chirikov 1979); both exponents pair to rounding; at K = 0 the rotor
    turns freely and both are 0."""
    found = spectrum(maps.Standard(20.0), 6000)
    assert abs(float(found.lyapunov[0]) - np.log(10.0)) < 0.02
    assert abs(float(found.lyapunov.sum())) < 1e-12
    free = spectrum(maps.Standard(0.0), 4000)
    np.testing.assert_allclose(free.lyapunov, 0.0, atol=3e-3)  # shear grows as ln(T)/T


# ---- flows


def test_lorenz_onset():
    """Chaos sets in at rho = sigma (sigma + beta + 3)/(sigma - beta - 1) = 24.7368, where C+- lose
    their stability (Sparrow 1982)."""
    for rho, sign in ((24.7368 - 1e-3, -1), (24.7368 + 1e-3, 1)):
        c = np.sqrt(8 / 3 * (rho - 1))
        eigenvalues = np.linalg.eigvals(dm.jacobian(flows.Lorenz63(rho=rho), [c, c, rho - 1]))
        assert np.sign(eigenvalues.real.max()) == sign


LENGTH = {
    "lorenz63": (4000, 100),
    "roessler": (4000, 100),
    "hyper_roessler": (4000, 200),
    "chen": (2000, 50),
    "chua": (4000, 200),
    "thomas": (10000, 1000),
    "sprott_jerk": (10000, 500),
    "duffing": (10000, 500),
    "van_der_pol": (4000, 200),
    "double_pendulum": (1000, 50),
    "henon_heiles": (10000, 1000),
}
# corners: no step resolves the tangent of a step that goes over one, and the error falls as the
# step squared
STEP = {"chua": 0.005}
# the others take the compiler's two or three seconds each, the first time
QUICK = ["lorenz63", "roessler"]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LENGTH]
)
def test_flows_against_what_is_published(name):
    """Within the published tolerance, widened by three standard errors; the sum exact; one exponent
    0."""
    duration, transient = LENGTH[name]
    found = spectrum(get(name), duration, transient, dt=STEP.get(name))
    known = CHAOS[name].known
    assert known.agrees(found.lyapunov.values, found.lyapunov_error.values), (
        found.lyapunov.values,
        found.lyapunov_error.values,
    )
    neutral = np.abs(found.lyapunov.values).argmin()
    assert abs(float(found.lyapunov[neutral])) < 2e-3 + 3 * float(found.lyapunov_error[neutral])
    if hasattr(CHAOS[name], "exponent_sum"):
        assert float(found.lyapunov.sum()) == pytest.approx(get(name).exponent_sum, abs=1e-4)
    if known.dimension:
        assert float(found.kaplan_yorke_dimension) == pytest.approx(known.dimension, abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("units, expected, within", [(5, (0.475, 0.0, -0.520, -1.306), 0.03)])
def test_lorenz96_of_few_sites(units, expected, within):
    found = spectrum(flows.Lorenz96(units=units), 4000, 100)
    np.testing.assert_allclose(found.lyapunov[:4], expected, rtol=within, atol=5e-3)
    assert float(found.lyapunov.sum()) == pytest.approx(-units, abs=1e-4)


@pytest.mark.slow  # 40 directions through 5e5 evaluations
def test_lorenz96():
    """First 1.66, 13 positive, D_KY 27.0, entropy 10.1, of 40 sites (independent simulation)."""
    found, known = spectrum(flows.Lorenz96(), 500, 50, dt=0.025), flows.Lorenz96.known
    assert float(found.lyapunov[0]) == pytest.approx(known.exponents[0], rel=0.03)
    assert float(found.kaplan_yorke_dimension) == pytest.approx(known.dimension, rel=0.03)
    assert float(found.entropy_rate) == pytest.approx(known.entropy, rel=0.03)
    assert int((found.lyapunov > 0.01).sum()) == known.positive


@pytest.mark.parametrize("name", HAMILTONIAN)
def test_hamilton_equations(name):
    """x' = J grad H, with the gradient of ``energy`` by reverse mode."""
    system = get(name)
    points = np.stack([system.initial(seed) for seed in range(5)]) + 0.3 * np.random.default_rng(
        0
    ).standard_normal((5, 4))
    for x in points:
        gradient = linearise_rule(system.energy, x)[1](np.ones(1))[0]
        np.testing.assert_allclose(
            system.rule(x, None), np.concatenate([gradient[2:], -gradient[:2]]), atol=1e-11
        )


@pytest.mark.parametrize("name", HAMILTONIAN)
def test_energy_is_kept_and_exponents_come_in_pairs(name):
    system = get(name)
    starts = np.stack([system.initial(seed) for seed in range(4)])
    np.testing.assert_allclose(system.energy(starts), system.energy(starts)[0], atol=1e-12)
    orbit = carried(system, starts, 500, 0.01)
    np.testing.assert_allclose(system.energy(orbit), system.energy(starts[0]), atol=1e-7)
    found = spectrum(system, 300, 300, dt=0.01).lyapunov.values
    np.testing.assert_allclose(found + found[::-1], 0.0, atol=2e-3)
    assert abs(found.sum()) < 5e-5  # the fourth-order scheme is not symplectic


def test_henon_heiles_keeps_to_its_shell():
    with pytest.raises(ValueError, match="1/6"):
        flows.HenonHeiles(shell=0.2).initial()
    assert flows.HenonHeiles(shell=0.1).energy(
        flows.HenonHeiles(shell=0.1).initial(4)
    ) == pytest.approx(0.1, abs=1e-14)


def test_sizes_are_checked():
    for make in (
        lambda: flows.Lorenz96(units=3),
        lambda: maps.CoupledLogistic(units=2),
        lambda: extended.MackeyGlass(units=2),
        lambda: extended.KuramotoSivashinsky(modes=6),
        lambda: extended.MackeyGlass(delay=0.0),
        lambda: extended.RandomTanh(units=0),
        lambda: extended.KuramotoSivashinsky(step=-1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            make()
