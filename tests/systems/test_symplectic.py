"""Symplectic maps: order, symplecticity, reversibility, conserved quantities."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import (
    FigureEight,
    HierarchicalTriple,
    Kepler,
    OuterSolarSystem,
    RestrictedThreeBody,
    Sitnikov,
    Symplectic,
)
from dynmem.systems.symplectic import Separable, composition

ORDERS = (2, 4, 6, 8)


def carried(step, x, steps):
    """States x_0 ... x_steps by the rule."""
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], None))
    return np.array(states)


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
        system.jacobi(dm.orbit(system, x, duration=5.0, rtol=1e-12).x.values), 3.19, atol=1e-9
    )
    np.testing.assert_allclose(
        system.jacobi(carried(Symplectic(system, 0.01, order=6), x, 300)), 3.19, atol=1e-9
    )


def test_bad_parameters_are_refused():
    cases = [
        (lambda: Symplectic(Kepler(), order=5), "order = 5"),
        (lambda: Symplectic(Kepler(), dt=np.nan), "dt = nan"),
        (lambda: Symplectic(Kepler(), substeps=0), "substeps"),
        (lambda: Symplectic(Sitnikov(), 0.1), "does not split"),
    ]
    for call, words in cases:
        with pytest.raises((ValueError, TypeError), match=words):
            call()
