"""Every system of the registry: engines agree, starts differ and stay finite, volume growth."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.autodiff.jacobian import divergence
from dynmem.systems.registry import get, table

SMALL = {
    "benna_fusi": {"variables": 4},
    "coupled_logistic": {"units": 5},
    "kuramoto_sivashinsky": {"modes": 8},
    "lorenz96": {"units": 6},
    "mackey_glass": {"units": 6},
    "random_rate": {"units": 8},
    "random_tanh": {"units": 8},
    "ring_attractor": {"units": 8},
}
# too large for symbols, or products that differ from the rule's by more than symbols are held to
WITHOUT_SYMBOLS = ("kuramoto_sivashinsky", "lorenz63", "mackey_glass", "random_rate", "random_tanh")
ENGINES = ["duals", "differences", "adjoint", "torch"]
EXACT_SUM = [
    name for name, kind in table().items() if getattr(kind, "exponent_sum", None) is not None
]


def orbit(system, x, steps, dt=0.02):
    """States (steps + 1, ..., n) of a batch, without input, by numpy."""
    step = system if isinstance(system, dm.Map) else dm.FlowMap(system, dt, order=8)
    u = np.zeros(system.inputs) if system.inputs else None
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], u))
    return np.array(states)


@pytest.mark.parametrize("name", sorted(table()))
def test_every_engine_agrees_on_every_system(name):
    system = get(name, **SMALL.get(name, {}))
    found = dm.check_system(system, orbit(system, system.initial(3), 20)[-1])
    if not isinstance(system, dm.systems.Hopfield):  # its sign has no derivative to compare
        assert np.isfinite(found.error.sel(check=ENGINES)).all()
        if system.size <= 8 and name not in WITHOUT_SYMBOLS and not system.inputs:
            assert np.isfinite(found.error.sel(check="symbols"))


@pytest.mark.parametrize("name", sorted(table()))
def test_starts_differ_repeat_and_stay_finite(name):
    system = get(name, **SMALL.get(name, {}))
    starts = np.stack([system.initial(seed) for seed in range(50)])
    if not (isinstance(system, dm.systems.NBody) or name == "kepler"):  # one published start
        assert np.unique(starts, axis=0).shape == starts.shape or name == "flip_flop"
    np.testing.assert_array_equal(starts[7], system.initial(np.random.default_rng(7)))
    states = orbit(system, starts, 1000 if isinstance(system, dm.Map) else 400)
    assert np.isfinite(states).all()
    if name in CHAOTIC and name != "random_rate":  # at 8 units it may rest
        assert states[-100:, :, 0].std() > 1e-3


CHAOTIC = [
    name
    for name, kind in table().items()
    if getattr(kind, "known", None) and kind.known.exponents[0] > 1e-3
]


@pytest.mark.parametrize("name", EXACT_SUM)
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
    rng = np.random.default_rng(1)
    for parameters in ({}, changed.get(name, {})):
        system = get(name, **parameters)
        points = np.stack([system.initial(seed) for seed in range(20)])
        points = points + 0.01 * rng.uniform(0, 1, points.shape)
        growth = (
            divergence(system, points)
            if isinstance(system, dm.Flow)
            else np.linalg.slogdet(dm.jacobian(system, points))[1]
        )
        np.testing.assert_allclose(growth, system.exponent_sum, atol=1e-10)
