"""Hamiltonian flows: Hamilton's equations, conserved energy, paired exponents."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.autodiff.jacobian import linearise_rule
from dynmem.systems import hamiltonian
from dynmem.systems.registry import get

HAMILTONIAN = ["double_pendulum", "henon_heiles"]


def carried(step, x, steps):
    """States x_0 ... x_steps by the rule."""
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], None))
    return np.array(states)


def spectrum(system, duration, transient=100, **options):
    return dm.lyapunov_spectrum(system, duration=duration, transient=transient, **options)


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
    orbit = carried(dm.FlowMap(system, 0.01, order=8), starts, 500)
    np.testing.assert_allclose(system.energy(orbit), system.energy(starts[0]), atol=1e-7)
    found = spectrum(system, 300, 300, dt=0.01).lyapunov.values
    np.testing.assert_allclose(found + found[::-1], 0.0, atol=2e-3)
    assert abs(found.sum()) < 5e-5  # the fourth-order scheme is not symplectic


def test_henon_heiles_keeps_to_its_shell():
    with pytest.raises(ValueError, match="shell = 0.2"):
        hamiltonian.HenonHeiles(shell=0.2).initial()
    assert hamiltonian.HenonHeiles(shell=0.1).energy(
        hamiltonian.HenonHeiles(shell=0.1).initial(4)
    ) == pytest.approx(0.1, abs=1e-14)
