"""Many degrees of freedom: linear limits in closed form, independent codes, published numbers."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import extended, maps
from dynmem.systems.extended import (
    KuramotoSivashinsky,
    MackeyGlass,
    RandomRate,
    RandomTanh,
    chebyshev,
    interpolation,
)


def test_a_linear_delay_equation_has_the_exponents_of_lambert():
    """Power 0 makes x' = b/2 x(t - T) - c x, whose characteristic roots are W_k(b/2 T exp(c T))/T -
    c (Corless et al. 1996, sec. 2)."""
    from scipy.special import lambertw

    b, c, T = 0.2, 0.1, 17.0
    roots = np.array([lambertw(b / 2 * T * np.exp(c * T), k) / T - c for k in range(-3, 4)])
    system = MackeyGlass(b, c, power=0.0, delay=T)
    eigenvalues = np.linalg.eigvals(dm.jacobian(system, np.ones(system.size)))
    found = np.sort(np.log(np.abs(eigenvalues)))[::-1][:7] / T
    np.testing.assert_allclose(found, np.sort(roots.real)[::-1], atol=1e-9)


def test_without_production_the_history_is_forgotten_at_once():
    """x' = -c x from one number: the first exponent is -c, and every other direction is lost within
    one delay."""
    result = dm.lyapunov_spectrum(
        MackeyGlass(production=0.0, units=48), np.ones(48), duration=17 * 20, transient=17
    )
    assert float(result.lyapunov[0]) == pytest.approx(-0.1, abs=1e-12)
    assert np.isneginf(result.lyapunov[1:]).all()


def test_the_delay_equation_against_runge_kutta():
    """One delay from a history that is a parabola: the method of steps by an adaptive
    integrator."""
    from scipy.integrate import solve_ivp

    system = MackeyGlass()

    def history(t):
        return 1.0 + 0.02 * t + 0.001 * t * t

    def velocity(t, x):
        before = history(t - 17.0)
        return 0.2 * before / (1 + before**10) - 0.1 * x

    exact = solve_ivp(
        velocity, (0, 17), [history(0.0)], rtol=1e-12, atol=1e-12, t_eval=system.times + 17.0
    ).y[0]
    np.testing.assert_allclose(system.rule(history(system.times), None), exact, atol=1e-8)


def test_interpolation_is_exact_for_polynomials():
    points, r = chebyshev(7), np.linspace(0, 1, 23)
    np.testing.assert_allclose(interpolation(points, r) @ points**6, r**6, atol=1e-14)
    np.testing.assert_array_equal(interpolation(points, points), np.eye(7))


def test_at_rest_the_waves_grow_at_their_own_rates():
    """q^2 - q^4 for each wave number, twice: exact, since the linear part is integrated exactly."""
    q = 2 * np.pi / 22 * np.arange(1, 16)
    growth = dm.jacobian(KuramotoSivashinsky(step=0.1), np.zeros(30))
    np.testing.assert_allclose(
        growth, np.diag(np.exp(0.1 * np.tile(q**2 - q**4, 2))), rtol=1e-13, atol=1e-15
    )


def kassam_trefethen(u, length, step, steps):
    """Kassam and Trefethen's own scheme by FFT on a grid, products filtered to the modes kept
    (Fourier transform, complex coefficients)."""
    n, kept = len(u), len(u) // 3
    k = np.fft.rfftfreq(n, 1 / n)
    q, keep = 2 * np.pi / length * k, (k > 0) & (k <= kept)
    L = q**2 - q**4
    r = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
    LR = step * L[:, None] + r
    E, E2 = np.exp(step * L), np.exp(step * L / 2)
    Q = step * ((np.exp(LR / 2) - 1) / LR).mean(1).real
    f1 = step * ((-4 - LR + np.exp(LR) * (4 - 3 * LR + LR**2)) / LR**3).mean(1).real
    f2 = step * ((2 + LR + np.exp(LR) * (LR - 2)) / LR**3).mean(1).real
    f3 = step * ((-4 - 3 * LR - LR**2 + np.exp(LR) * (4 - LR)) / LR**3).mean(1).real

    def N(v):
        return np.where(keep, -0.5j * q * np.fft.rfft(np.fft.irfft(v, n) ** 2), 0.0)

    v = np.fft.rfft(u) * keep
    for _ in range(steps):
        Nv = N(v)
        a = E2 * v + Q * Nv
        Na = N(a)
        b = E2 * v + Q * Na
        Nb = N(b)
        Nc = N(E2 * a + Q * (2 * Nb - Nv))
        v = E * v + Nv * f1 + 2 * (Na + Nb) * f2 + Nc * f3
    return np.fft.irfft(v, n)


def test_the_wave_equation_against_a_fourier_code():
    system = KuramotoSivashinsky()
    x = system.initial(2)
    expected = kassam_trefethen(system.profile(x), 22.0, 0.25, 40)
    for _ in range(40):
        x = system.rule(x, None)
    np.testing.assert_allclose(system.profile(x), expected, atol=1e-10)


def test_the_wave_equation_does_not_know_where_it_is():
    """A ring that is turned, and the mirror u(x) -> -u(-x), carry orbits into orbits."""
    system, k = KuramotoSivashinsky(), np.arange(1, 16)
    x = 0.5 * system.initial(1)

    def turned(x, angle=0.7):
        a, b = x[:15], x[15:]
        return np.concatenate(
            [
                a * np.cos(k * angle) - b * np.sin(k * angle),
                a * np.sin(k * angle) + b * np.cos(k * angle),
            ]
        )

    def mirrored(x):
        return np.concatenate([-x[:15], x[15:]])

    for change in (turned, mirrored):
        np.testing.assert_allclose(
            system.rule(change(x), None), change(system.rule(x, None)), atol=1e-13
        )


def test_fourth_order_in_the_step():
    """With few waves, hence little stiffness; with all of them the order is reached at steps below
    0.01 (Hochbruck and Ostermann 2005)."""
    x, ends = 0.5 * KuramotoSivashinsky(modes=8).initial(0), []
    for step in (0.04, 0.02, 0.01):
        system, y = KuramotoSivashinsky(step=step, modes=8), x
        for _ in range(round(2.0 / step)):
            y = system.rule(y, None)
        ends.append(y)
    ratio = np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[1] - ends[2])
    assert 13 < ratio < 18


def test_too_few_waves_are_refused():
    with pytest.raises(ValueError, match="at least 8 for length = 22"):
        KuramotoSivashinsky(modes=7)


def test_random_networks_are_the_models():
    """One equation: ``models.Tanh`` with the weights of the seed; the flow is its velocity, and the
    map's limit for a small leak."""
    network, rate = (
        RandomTanh(units=20, gain=2.0, leak=0.5, seed=3),
        RandomRate(units=20, gain=2.0, seed=3),
    )
    x = np.random.default_rng(0).standard_normal(20)
    W = dm.models.Tanh.random(20, rng=3, gain=2.0).W
    np.testing.assert_array_equal(network.rule(x, None), 0.5 * x + 0.5 * np.tanh(x @ W.T))
    np.testing.assert_allclose(rate.rule(x, None), np.tanh(x @ W.T) - x, atol=1e-15)
    assert (network.dt, network.size, rate.size) == (0.5, 20, 20)
    assert network.parameters == {"gain": 2.0, "units": 20, "leak": 0.5, "seed": 3}


def test_random_tanh_exponent():
    """Mean field (Molgedey, Schuchhardt and Schuster 1992): 0.31024932 at gain 3; 400 units within
    0.02."""
    found = dm.lyapunov_spectrum(RandomTanh(units=400), duration=400, transient=100, exponents=2)
    assert float(found.lyapunov[0]) == pytest.approx(
        dm.theory.tanh_spectrum(3.0).lyapunov[0].item(), abs=0.02
    )


def test_random_rate_below_the_transition():
    """Below gain 1 the network rests at 0: the first exponent is the largest real part of W's
    eigenvalues less 1."""
    network = RandomRate(gain=0.5, units=80)
    found = dm.lyapunov_spectrum(network, duration=200, transient=200, exponents=1, dt=0.2)
    top = np.linalg.eigvals(network.network.W).real.max() - 1
    assert float(found.lyapunov[0]) == pytest.approx(top, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("units, expected, within", [(5, (0.475, 0.0, -0.520, -1.306), 0.03)])
def test_lorenz96_of_few_sites(units, expected, within):
    found = dm.lyapunov_spectrum(extended.Lorenz96(units=units), duration=4000, transient=100)
    np.testing.assert_allclose(found.lyapunov[:4], expected, rtol=within, atol=5e-3)
    assert float(found.lyapunov.sum()) == pytest.approx(-units, abs=1e-4)


def test_sizes_are_checked():
    for make in (
        lambda: extended.Lorenz96(units=3),
        lambda: maps.CoupledLogistic(units=2),
        lambda: extended.MackeyGlass(units=2),
        lambda: extended.KuramotoSivashinsky(modes=6),
        lambda: extended.MackeyGlass(delay=0.0),
        lambda: extended.RandomTanh(units=0),
        lambda: extended.KuramotoSivashinsky(step=-1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            make()


def test_a_finer_history_has_the_same_exponents():
    """A shift register of 200 points with classical Runge-Kutta, written apart from this package,
    T = 4e5: 0.00514 +- 0.00007, 0, -0.03876 +- 0.00014."""
    found = dm.lyapunov_spectrum(MackeyGlass(units=48), duration=4e4, transient=4e3, exponents=3)
    np.testing.assert_allclose(found.lyapunov, [0.00514, 0.0, -0.03876], atol=6e-4)
