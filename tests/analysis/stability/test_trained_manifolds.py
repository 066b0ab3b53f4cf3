"""Line and ring attractors that networks learn: their slow manifold against the theory of ideal
ones, and the drift that it predicts against the memory over time."""

import numpy as np
import pytest
from scipy.optimize import minimize

import dynmem as dm
from dynmem.systems import LineAttractor, RingAttractor

pytestmark = pytest.mark.slow  # each trains a network for 10 to 30 s


def sums(count, steps, rng):
    """Pulses, and their sum, which stays within +-1."""
    u = np.where(rng.random((count, steps, 1)) < 0.1, rng.normal(0.0, 0.3, (count, steps, 1)), 0.0)
    total, target = np.zeros((count, 1)), np.empty_like(u)
    for t in range(steps):
        u[:, t] = np.where(np.abs(total + u[:, t]) > 1.0, -u[:, t], u[:, t])
        target[:, t] = total = total + u[:, t]
    return u, target


def turns(count, steps, rng):
    """A start angle, shown once, and an angular velocity with rests; the cosine and the sine of the
    angle."""
    start, velocity = rng.uniform(-np.pi, np.pi, count), np.zeros((count, steps))
    for t in range(1, steps):
        velocity[:, t] = 0.8 * velocity[:, t - 1] + 0.1 * rng.normal(size=count)
    velocity *= 1 - np.repeat(rng.random((count, 4)) < 0.4, steps // 4, axis=1)
    velocity[:, 0] = 0.0
    angle = start[:, None] + velocity.cumsum(1)
    u = np.zeros((count, steps, 3))
    u[..., 0], u[:, 0, 1], u[:, 0, 2] = velocity, np.cos(start), np.sin(start)
    return u, np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def held(system, x, steps):
    """States (steps + 1, m, n) without input."""
    silence, states = np.zeros((len(x), system.inputs)), [x]
    for _ in range(steps):
        states.append(system.rule(states[-1], silence))
    return np.array(states)


def after(system, u, quiet):
    """States after the sequences and so many steps without input."""
    x = np.zeros((len(u), system.size))
    for now in u.swapaxes(0, 1):
        x = system.rule(x, now)
    return held(system, x, quiet)[-1]


def output(system, x):
    return system.output(x, np.zeros((*x.shape[:-1], system.inputs)))


def minima_by_scipy(system, starts):
    """Minima of the squared speed by BFGS on finite differences."""
    silence = np.zeros(system.inputs)

    def q(x):
        return 1e6 * np.square(system.rule(x, silence) - x).sum()

    return [minimize(q, x, method="BFGS", options={"gtol": 1e-9}).x for x in starts]


@pytest.fixture(scope="module", params=[("tanh", 32, 3e-3, 800), ("gru", 16, 1e-2, 300)])
def line(request):
    kind, units, rate, steps = request.param
    data = sums(1500, 60, np.random.default_rng(0))
    model = dm.models.get(kind, units=units, inputs=1, outputs=1, rng=0)
    trained, history = dm.fit(model, data, steps=steps, learning_rate=rate)
    assert int(history.learned) == 1
    return trained, after(trained, sums(100, 60, np.random.default_rng(1))[0], 50)


def test_a_line_attractor_has_one_slow_mode(line):
    """As the ideal one of the theory: a rate near 0 and all others well below, at every value."""
    trained, states = line
    slow = dm.slow_points(trained, states, time_scale=20.0)
    value = np.sort(output(trained, slow.x.values)[:, 0])
    assert slow.sizes["point"] == 100 and value[0] < -0.5 and value[-1] > 0.5
    assert np.diff(value).max() < 0.25 and float(slow.distance.max()) < 0.05
    ideal = dm.theory.line_attractor(LineAttractor(units=trained.size), time=0.0).lyapunov
    assert ideal[0] == 0.0 and ideal[1] == -1.0
    assert float(np.abs(slow.exponent[:, 0]).max()) < 0.04
    assert float(slow.exponent[:, 1].max()) < -0.06
    np.testing.assert_array_equal((slow.exponent > -0.05).sum("mode"), (ideal > -0.05).sum())


def test_the_memory_drifts_along_the_line_at_its_speed(line):
    """The value over 300 steps by the velocity at the slow points, interpolated in the value."""
    trained, states = line
    x = dm.slow_points(trained, states, time_scale=20.0).x.values
    value, velocity = output(trained, x)[:, 0], output(trained, held(trained, x, 1)[1])[:, 0]
    order = np.argsort(value)
    at, velocity = value[order], (velocity - value)[order]
    measured = output(trained, held(trained, states, 300))[..., 0]
    predicted = [measured[0]]
    for _ in range(300):
        predicted.append(predicted[-1] + np.interp(predicted[-1], at, velocity))
    drift = measured - measured[0]
    assert np.abs(drift[-1]).max() > 0.05  # there is something to predict
    assert np.abs(predicted - measured).max() < 0.15 * np.abs(drift).max()


def test_memories_relax_as_the_leak_of_the_theory(line):
    """Near a fixed point of the line: exp(-k t) with k of its exponent, of an ideal line with the
    feedback 1 - k."""
    trained, states = line
    points = dm.fixed_points(trained, states)
    assert points.sizes["point"] >= 2 and set(points.kind.values) <= {"stable", "saddle"}
    for x, k, stable in zip(
        points.x.values, -points.exponent.values[:, 0], points.stable.values, strict=True
    ):
        duration = int(min(1.0 / abs(k), 200.0))
        multipliers, vectors = np.linalg.eig(dm.jacobian(trained, x, np.zeros(1)))
        start = x + 1e-4 * np.real(vectors[:, np.abs(multipliers).argmax()])
        measured = output(trained, held(trained, start[None], duration))[:, 0, 0]
        measured = measured - output(trained, x[None])[0, 0]
        ideal = dm.theory.line_attractor(
            LineAttractor(feedback=1 - k), time=np.arange(duration + 1.0), start=measured[0]
        )
        np.testing.assert_allclose(measured, ideal.mean_readout, rtol=0.01)
        assert np.isfinite(ideal.memory_time) == stable


def test_minima_by_scipy_are_among_ours(line):
    """BFGS ends a bit above the minima that Newton's method reaches."""
    trained, states = line
    ours = dm.slow_points(trained, states)
    assert int(ours.lost) == 0
    for x in minima_by_scipy(trained, states[:6]):
        distance = np.linalg.norm(ours.x.values - x, axis=1)
        assert distance.min() < 1e-3
        speed = np.linalg.norm(trained.rule(x, np.zeros(1)) - x)
        assert float(ours.speed[distance.argmin()]) <= speed


@pytest.fixture(scope="module")
def ring():
    data = turns(2000, 40, np.random.default_rng(0))
    model = dm.models.get("gru", units=24, inputs=3, outputs=2, rng=0)
    trained, history = dm.fit(model, data, steps=600, learning_rate=1e-2, stop=False)
    assert int(history.learned) == 1
    return trained, after(trained, turns(200, 40, np.random.default_rng(1))[0], 60)


def angles(system, x):
    cosine, sine = np.moveaxis(output(system, x), -1, 0)
    return np.arctan2(sine, cosine)


def apart(a, b):
    return np.angle(np.exp(1j * (a - b)))


def test_a_ring_attractor_has_one_slow_mode(ring):
    """As the bump of the theory: a shift costs nothing, whatever the angle, and all else decays."""
    trained, states = ring
    slow = dm.slow_points(trained, states, time_scale=20.0)
    angle = np.sort(angles(trained, slow.x.values))
    assert slow.sizes["point"] == 200
    assert max(np.diff(angle).max(), angle[0] + 2 * np.pi - angle[-1]) < 0.4  # all around
    radius = np.linalg.norm(output(trained, slow.x.values), axis=-1)
    np.testing.assert_allclose(radius, 1.0, atol=0.1)
    ideal = dm.theory.ring_bump(RingAttractor(units=trained.size)).lyapunov
    assert ideal[0] == 0.0 and ideal[1] < -0.7
    assert float(np.abs(slow.exponent[:, 0]).max()) < 0.02
    assert float(slow.exponent[:, 1].max()) < -0.03
    np.testing.assert_array_equal((slow.exponent > -0.025).sum("mode"), (ideal > -0.025).sum())
    assert float(slow.speed.max()) < 0.02


def test_the_memory_drifts_around_the_ring_at_its_speed(ring):
    trained, states = ring
    x = dm.slow_points(trained, states, time_scale=20.0).x.values
    angle = angles(trained, x)
    velocity = apart(angles(trained, held(trained, x, 1)[1]), angle)
    measured = np.unwrap(angles(trained, held(trained, states, 200)), axis=0)
    order, predicted = np.argsort(angle), [measured[0]]
    for _ in range(200):
        now = predicted[-1]
        predicted.append(now + np.interp(now, angle[order], velocity[order], period=2 * np.pi))
    drift, expected = measured[-1] - measured[0], predicted[-1] - measured[0]
    assert np.abs(drift).max() > 0.2
    slope = (drift @ expected) / (expected @ expected)
    assert slope == pytest.approx(1.0, abs=0.05) and np.corrcoef(drift, expected)[0, 1] > 0.99
    # it rests where a fixed point of the ring is; one of six lies beside the ring
    rest = dm.fixed_points(trained, states).x.values
    rest = rest[np.linalg.norm(output(trained, rest), axis=-1) > 0.5]
    still = np.interp(angles(trained, rest), angle[order], velocity[order], period=2 * np.pi)
    assert len(rest) >= 2 and np.median(np.abs(still)) < 0.01 * np.abs(velocity).max()
