"""Conditional exponents, the echo state property, synchronisation."""

from dataclasses import replace

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import conditional_exponents, echo_state
from tests.reference import Henon, Lorenz

START = [1.0, 1.0, 20.0]


class Coupled(dm.Map):
    """A chaotic driver x and a linear response y' = c y + x."""

    c: float = 0.7
    states = ("x", "y")

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return dm.stack((3.9 * x * (1 - x), self.c * y + x))


def test_a_linear_response_is_exact():
    found = conditional_exponents(Coupled(), [0.3, 0.0], responding="y", duration=200)
    assert found.lyapunov.item() == pytest.approx(np.log(0.7), abs=1e-12) and bool(
        found.synchronises
    )
    unstable = conditional_exponents(Coupled(-1.01), [0.3, 0.0], responding=[1], duration=200)
    assert unstable.lyapunov.item() == pytest.approx(np.log(1.01), abs=1e-12) and not bool(
        unstable.synchronises
    )
    # x does not depend on y: its own exponent
    chaotic = conditional_exponents(Coupled(), [0.3, 0.0], responding="x", duration=2000)
    assert chaotic.lyapunov.item() == pytest.approx(0.4945, abs=0.03)


@pytest.mark.parametrize(
    "driver, responding, expected, errors",
    [
        ("x", ("y", "z"), (-1.81, -1.86), 0.02),
        ("y", ("x", "z"), (-2.67, -9.99), 0.011),
        ("z", ("x", "y"), (0.0108, -11.01), 0.03),
    ],
)
def test_pecora_and_carroll(driver, responding, expected, errors):
    """Pecora and Carroll (1990), table of sub-Lyapunov exponents for Lorenz with sigma = 10, b =
    8/3, r = 60.

    What theory adds: driven by y the block is triangular, -b and -sigma exactly; driven by z the
    response is linear in (x, y), and the orbit itself solves it, so that the first exponent is 0 in
    the long run and their 0.0108 the error of a finite one. The sums are the traces."""
    found = conditional_exponents(
        Lorenz(rho=60.0), START, responding=responding, duration=400, transient=20
    )
    np.testing.assert_allclose(found.lyapunov, expected, atol=errors)
    trace = {"x": -1 - 8 / 3, "y": -10 - 8 / 3, "z": -11}[driver]
    assert float(found.lyapunov.sum()) == pytest.approx(trace, abs=1e-5)
    assert bool(found.synchronises) == (driver != "z")


def test_replicas_of_a_lorenz_response():
    """Driven by x copies come together at the first conditional exponent; driven by z they keep a
    distance (it scales with the start)."""
    driven = echo_state(Lorenz(), START, responding=("y", "z"), duration=30, dt=0.02)
    assert (
        bool(driven.echo_state)
        and driven.groups.item() == 1
        and driven.rate.item() == pytest.approx(-1.82, abs=0.15)
    )
    free = echo_state(Lorenz(), START, responding=("x", "y"), duration=30, dt=0.02, replicas=4)
    assert not bool(free.echo_state) and free.groups.item() == 4 and np.isnan(free.rate)


def test_a_contracting_network_echoes():
    """Singular values below 1: every difference shrinks, at the conditional exponent in the end
    (Jaeger 2001)."""
    network = dm.models.Tanh.random(6, 1, gain=1.0, rng=0)
    network = replace(network, W=0.9 * network.W / np.linalg.norm(network.W, 2))
    replicas = echo_state(network, duration=400, drive=0.5, rng=1)
    assert bool(replicas.echo_state) and (np.diff(replicas.distance.values[:20]) < 0).all()
    exponents = conditional_exponents(network, duration=2000, drive=0.5, rng=1)
    # a short fall
    assert bool(exponents.synchronises) and replicas.rate.item() == pytest.approx(
        exponents.lyapunov[0].item(), abs=0.15
    )
    spectrum = dm.lyapunov_spectrum(network, duration=2000, drive=0.5, rng=1)
    np.testing.assert_array_equal(exponents.lyapunov, spectrum.lyapunov)


def test_two_states_under_one_input():
    """Negative exponents in each state, and no echo state property: only the replicas see it."""
    latch = dm.models.Tanh(3.0 * np.eye(1), np.ones((1, 1)), np.zeros(1))
    assert bool(conditional_exponents(latch, duration=500, drive=0.1).synchronises)
    found = echo_state(latch, duration=200, drive=0.1)
    assert not bool(found.echo_state) and found.groups.item() == 2
    # an input that overrules the latch restores it
    loud = echo_state(latch, duration=2000, drive=10.0)
    assert bool(loud.echo_state) and loud.groups.item() == 1


def test_a_spectral_radius_below_one_is_not_sufficient():
    """ReLU: with the second unit silent the first grows by 1.5 a step, though rho(W) = 0.5 (and
    0.61 with a leak of 1/2)."""
    W, b = np.array([[1.5, -1.0], [2.5, -1.5]]), np.array([0.0, -1e12])
    assert dm.spectral_radius(W) == pytest.approx(0.5)
    relu = dm.models.Relu(W, np.ones((2, 1)), b)
    assert dm.spectral_radius(relu, np.array([1.0, 0.0])) == pytest.approx(1.5)
    found = conditional_exponents(
        relu, [1.0, 0.0], duration=15, transient=2, drive=np.zeros((17, 1)), exponents=1
    )
    assert found.lyapunov.item() == pytest.approx(np.log(1.5), abs=1e-9) and not bool(
        found.synchronises
    )
    pair = echo_state(relu, [[1.0, 0.0], [1.001, 0.0]], duration=15, drive=0.0)
    assert pair.distance[15] == pytest.approx(1e-3 * 1.5**15, rel=1e-6) and not bool(
        pair.echo_state
    )
    leaky = dm.models.Relu(W, np.ones((2, 1)), b, 0.5)
    assert dm.spectral_radius(0.5 * np.eye(2) + 0.5 * W) < 1
    found = conditional_exponents(leaky, [1.0, 0.0], duration=20, transient=20, exponents=1)
    assert found.lyapunov.item() == pytest.approx(np.log(1.25) / 0.5, abs=1e-6)


def test_a_spectral_radius_above_one_may_echo():
    """A driven tanh network above gain 1: the input saturates units and the exponent turns negative
    (Molgedey et al. 1992)."""
    network = dm.models.Tanh.random(40, 40, gain=1.2, rng=2)
    assert dm.spectral_radius(network.W) > 1.0
    found = echo_state(network, duration=600, drive=1.0, rng=0, replicas=3)
    assert bool(found.echo_state) and found.rate.item() < -0.05


def test_a_direction_that_is_not_heard():
    assert np.isneginf(
        conditional_exponents(Henon(), [0.1, 0.1], responding="y", duration=50).lyapunov.item()
    )


def test_errors():
    with pytest.raises(ValueError, match="takes no input"):
        conditional_exponents(Henon(), [0.1, 0.1], duration=10)
    with pytest.raises(ValueError, match="takes no input"):
        echo_state(Henon(), [0.1, 0.1], duration=10)
    for responding in ((), ("x", "y"), ("x", "x"), ("w",)):
        with pytest.raises(ValueError):
            conditional_exponents(Henon(), [0.1, 0.1], responding=responding, duration=10)
    with pytest.raises(ValueError, match="exponents"):
        conditional_exponents(Lorenz(), START, responding=("y", "z"), duration=1, exponents=3)
    with pytest.raises(ValueError, match="replicas"):
        echo_state(dm.models.Tanh.random(3, 1), duration=10, replicas=1)
    with pytest.raises(dm.errors.NotFiniteError):
        conditional_exponents(Henon(3.0), [0.1, 0.1], responding="y", duration=100)


def test_one_component_by_name_or_index():
    by_name, by_index = (
        conditional_exponents(dm.systems.get("henon"), responding=one, duration=50)
        for one in ("y", 1)
    )
    np.testing.assert_array_equal(by_name.lyapunov, by_index.lyapunov)
    assert '"responding": "1"' in by_index.attrs["parameters"]
