"""Slow points: minima of a speed that are known, and slow manifolds of a line and a ring."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import LineAttractor, RingAttractor


class Ghost(dm.Flow):
    """x' = a + x^2, y' = -y: for a > 0 the speed is least at the origin, a."""

    a: float = 0.01
    states = ("x", "y")

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return dm.stack((self.a + x * x, -y))


class Drift(dm.Map):
    """theta + 0.02 + 0.01 cos theta, y/2: no fixed point; the slowest angle is pi, 0.01 a step."""

    states = ("theta", "y")

    def rule(self, s, u):
        theta = s[..., 0]
        return dm.stack((theta + 0.02 + 0.01 * dm.cos(theta), 0.5 * s[..., 1]))


class Sheared(dm.Flow):
    """Davis and Skodje (1999), J. Chem. Phys. 111, 859, eq. (12): rates -1 and -g, not at right
    angles."""

    g: float = 10.0
    states = ("x", "y")

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        pushed = ((self.g - 1.0) * x + self.g * x * x) / ((1.0 + x) * (1.0 + x))
        return dm.stack((-x, pushed - self.g * y))


def ring_states(ring, count):
    """States of the ring after 20 units of time, with bumps at random angles."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, count)
    x = np.maximum(0.0, np.cos(ring.angles - angles[:, None]))
    for _ in range(400):
        x = x + 0.05 * ring.rule(x, None)
    return x


@pytest.mark.parametrize("a", [0.01, 1e-4, 1.0])
def test_the_ghost_of_a_saddle_and_a_node(a):
    x0 = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    found = dm.slow_points(Ghost(a), x0)
    assert found.sizes["point"] == 1 and int(found.found[0]) == int(found.converged)
    np.testing.assert_allclose(found.x, 0.0, atol=1e-6)
    assert float(found.speed[0]) == pytest.approx(a, rel=1e-9) and not found.fixed.any()
    assert dm.fixed_points(Ghost(a), x0).sizes["point"] == 0


def test_a_speed_that_has_zeros():
    """a = -0.25: a node at -0.5 and a saddle at 0.5, of speed 0."""
    found = dm.slow_points(Ghost(-0.25), np.random.default_rng(0).uniform(-1, 1, (50, 2)))
    np.testing.assert_allclose(np.sort(found.x.sel(state="x")), [-0.5, 0.5], atol=1e-9)
    assert found.fixed.all() and set(found.kind.values) == {"stable", "saddle"}
    np.testing.assert_allclose(np.abs(found.exponent), 1.0, rtol=1e-9)


def test_a_map_on_a_circle():
    x0 = np.random.default_rng(1).uniform(2.0, 4.0, (30, 2))
    found = dm.slow_points(Drift(), x0, modulus=(2 * np.pi, np.inf))
    assert found.sizes["point"] == 1
    np.testing.assert_allclose(found.x[0], [np.pi, 0.0], atol=1e-5)
    assert float(found.speed[0]) == pytest.approx(0.01, rel=1e-9)
    np.testing.assert_allclose(found.eigenvalue_real[0], [1.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("g", [3.0, 10.0, 100.0])
def test_a_manifold_whose_fast_mode_is_not_orthogonal(g):
    """Where the fast left eigenvector and the velocity are orthogonal (Maas and Pope 1992), here
    x/(1 + x) + 2 x^2/(g (g - 1) (1 + x)^3); the true manifold is its first term."""
    states = np.random.default_rng(0).uniform(0.0, 2.0, (30, 2))
    found = dm.slow_points(Sheared(g), states, time_scale=0.5)
    x, y = found.x.values.T
    assert found.sizes["point"] == 30
    expected = x / (1 + x) + 2 * x**2 / (g * (g - 1) * (1 + x) ** 3)
    np.testing.assert_allclose(y, expected, rtol=1e-9)
    np.testing.assert_allclose(found.exponent, np.tile([-1.0, -g], (30, 1)), rtol=1e-9)


@pytest.mark.parametrize("shear", [0.0, 1.0, 30.0, -1000.0])
@pytest.mark.parametrize("kind", ["map", "flow"])
def test_the_speed_is_the_drift(kind, shear):
    """Of a sheared linear system along its slow eigenvector: the rate times the distance."""
    V = np.array([[1.0, shear, 0.0], [0.0, 1.0, shear], [0.0, 0.0, 1.0]])
    A = V @ np.diag([-0.01, -0.5, -0.8]) @ np.linalg.inv(V)
    system = dm.models.Linear(np.eye(3) + A, np.zeros((3, 0)))
    if kind == "flow":
        system = dm.Flow.from_function(lambda x, u: x @ A.T, states=("x", "y", "z"))
    found = dm.slow_points(system, np.random.default_rng(1).normal(size=(20, 3)), time_scale=10.0)
    np.testing.assert_allclose(found.x[:, 1:], 0.0, atol=1e-9)
    np.testing.assert_allclose(found.speed, 0.01 * np.abs(found.x[:, 0]), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(np.sort(found.eigenvalue_real[0])[-1], -0.01 + (kind == "map"))


@pytest.mark.parametrize("feedback", [0.99, 0.9])
def test_the_line_of_a_leaky_integrator(feedback):
    """Equal rates m, along which the state drifts with the speed (1 - w) |m| sqrt(N); its rate is
    that of the theory. Without a time scale, the fixed point 0 is all there is."""
    line = LineAttractor(feedback=feedback, units=8)
    states = np.random.default_rng(0).standard_normal((40, 8)) + np.linspace(-2, 2, 40)[:, None]
    found = dm.slow_points(line, states, time_scale=3.0)
    mean = found.x.mean("state")
    np.testing.assert_allclose(found.x - mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(np.sort(mean), np.sort(states.mean(axis=1)), atol=1e-9)
    np.testing.assert_allclose(found.speed, (1 - feedback) * abs(mean) * np.sqrt(8), rtol=1e-6)
    theory = dm.theory.line_attractor(line, time=[0.0])
    np.testing.assert_allclose(found.exponent, np.tile(theory.lyapunov, (40, 1)), atol=1e-9)
    minima = dm.slow_points(line, states)
    assert minima.sizes["point"] == 1 and bool(minima.fixed[0])
    np.testing.assert_allclose(minima.x, 0.0, atol=1e-9)


def test_the_ring_of_bumps():
    """Rate 0 along the ring, and the rates of the theory across it, at every angle."""
    ring = RingAttractor(units=16)
    found = dm.slow_points(ring, ring_states(ring, 20), time_scale=20.0)
    assert found.sizes["point"] == 20 and float(found.speed.max()) < 1e-9
    theory = dm.theory.ring_bump(ring)
    spread = theory.lyapunov.values[1]
    assert found.marginal.all() and float(np.abs(found.exponent[:, 0]).max()) < 1e-9
    np.testing.assert_allclose(found.exponent[:, 1], spread, atol=0.05)
    np.testing.assert_allclose(found.x.mean("state"), theory.mean_rate[0], rtol=1e-3)
    angle = np.sort(np.angle(found.x.values @ np.exp(1j * ring.angles)))
    assert np.diff(angle).max() < 2.0  # all around


def test_a_ring_that_is_broken():
    """h' = tanh(2 w/N sum_j cos(theta_i - theta_j) h_j) holds an angle; symmetric noise
    of a hundredth leaves a few of the angles at rest, and the others drift slowly."""
    theta = 2 * np.pi * np.arange(24) / 24
    W = 1.3 / 12 * np.cos(theta[:, None] - theta)
    noise = np.random.default_rng(1).standard_normal((24, 24))
    model = dm.models.Tanh(W + 0.01 / np.sqrt(24) * (noise + noise.T))
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 40)
    states = np.cos(theta - angles[:, None])
    for _ in range(10):
        states = model.rule(states, None)
    points = dm.fixed_points(model, states)
    minima = dm.slow_points(model, states)
    fixed = minima.x.values[minima.fixed.values]
    assert 2 <= len(fixed) <= 12
    for x in fixed:
        assert np.linalg.norm(points.x.values - x, axis=1).min() < 1e-6
    slow = dm.slow_points(model, states, time_scale=10.0)
    assert slow.sizes["point"] == 40 and 1e-4 < float(slow.speed.max()) < 0.02
    assert float(np.abs(slow.exponent[:, 0]).max()) < 0.02 < -float(slow.exponent[:, 1].max())
    place = np.sort(np.angle(slow.x.values @ np.exp(1j * theta)))
    assert np.diff(place).max() < 0.7  # all around
    assert float(slow.distance.max()) < 0.05


def test_a_network_of_low_rank():
    """h' = tanh(w m m^T h / N), w just above 1: three fixed points on a line (h = m k), and between
    them the line itself, along which it is slow."""
    m = np.sign(np.random.default_rng(0).standard_normal(20))
    model = dm.models.Tanh(1.02 * np.outer(m, m) / 20)
    states = np.random.default_rng(1).uniform(-0.2, 0.2, (30, 1)) * m
    states = states + 0.05 * np.random.default_rng(2).standard_normal((30, 20))
    minima = dm.slow_points(model, states)
    k = minima.x.values @ m / 20
    from scipy.optimize import brentq

    high = brentq(lambda x: np.tanh(1.02 * x) - x, 0.05, 1.0)
    fixed = np.sort(k[minima.fixed.values])
    np.testing.assert_allclose(fixed, [-high, 0.0, high], atol=1e-8)
    slow = dm.slow_points(model, states, time_scale=5.0)
    assert float(slow.speed.max()) < 0.05 and slow.sizes["point"] == 30
    along = slow.x.values @ m / 20
    np.testing.assert_allclose(slow.x, along[:, None] * m, atol=1e-6)


def test_saturated_gates_are_left_out():
    """Everything stands still where z = 1 to rounding; from visited states none of that is
    reached."""
    system = dm.models.GRU(np.array([[0.0], [4.0], [3.0]]))
    found = dm.slow_points(system, starts=100)
    assert float(np.abs(found.x).max()) < 1.0
    assert {-0.8585596, 0.8585596} <= set(found.x.values[found.fixed.values, 0].round(7).tolist())


def test_errors():
    for bad in ({"time_scale": 0}, {"time_scale": -1}, {"tolerance": 0}, {"starts": 0}):
        with pytest.raises(ValueError):
            dm.slow_points(Ghost(), **bad)
    with pytest.raises(dm.errors.ShapeError, match="2 states"):
        dm.slow_points(Ghost(), np.zeros((5, 3)))
    with pytest.raises(dm.errors.NotFiniteError):
        dm.slow_points(Ghost(np.nan), np.zeros((5, 2)))
