"""Chaotic maps: closed forms, exact doubling, fixed points and cycles."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import maps


def carried(step, x, steps):
    """States x_0 ... x_steps by the rule."""
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], None))
    return np.array(states)


def spectrum(system, duration, transient=100, **options):
    return dm.lyapunov_spectrum(system, duration=duration, transient=transient, **options)


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
