"""Events of a flow: impacts, spikes and resets, against closed forms."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import dynmem as dm
from dynmem.autodiff.jacobian import push

G = 9.81


class Ball(dm.Flow):
    bounce: float = 0.9
    states = ("height", "velocity")
    events = (
        dm.event(
            lambda x: x[..., 0],
            lambda x, bounce: (x[..., 0], -bounce * x[..., 1]),
            direction=-1,
        ),
    )

    def rule(self, x, u):
        return x[..., 1], 0.0 * x[..., 0] - G


class Neuron(dm.Flow):
    """Leaky integrate-and-fire neuron with a current I + A cos(w t)."""

    current: float = 1.5
    swing: float = 0.0
    rate: float = 1.0
    states = ("v",)
    events = (dm.event(lambda x: x[..., 0] - 1.0, lambda x: 0.0 * x, direction=1),)

    def rule(self, x, u, t):
        return self.current + self.swing * dm.cos(self.rate * t)[..., None] - x


class Impact(dm.Flow):
    """Forced oscillator that hits a wall (Shaw and Holmes 1983)."""

    damping: float = 0.1
    rate: float = 2.0
    wall: float = 0.2
    bounce: float = 0.8
    states = ("x", "v")
    events = (
        dm.event(
            lambda x, wall: x[..., 0] - wall,
            lambda x, bounce: (x[..., 0], -bounce * x[..., 1]),
            direction=1,
        ),
    )

    def rule(self, x, u, t):
        return x[..., 1], -x[..., 0] - self.damping * x[..., 1] + dm.cos(self.rate * t)


class CatMap(dm.Flow):
    """Arnold's cat map at each full turn of a phase."""

    states = ("x", "y", "phase")
    events = (
        dm.event(
            lambda s: s[..., 2] - 1.0,
            lambda s: (
                (2.0 * s[..., 0] + s[..., 1]) % 1.0,
                (s[..., 0] + s[..., 1]) % 1.0,
                0.0 * s[..., 2],
            ),
            direction=1,
        ),
    )

    def rule(self, s, u):
        return 0.0 * s[..., 0], 0.0 * s[..., 1], 0.0 * s[..., 2] + 1.0


@pytest.mark.parametrize("bounce", [0.9, 0.5])
@pytest.mark.parametrize("dt", [None, 0.05])
def test_ball_after_its_first_bounces(bounce, dt):
    last = dm.orbit(Ball(bounce), [G / 2.0, 0.0], duration=1.0 + 2.2 * bounce, dt=dt).x.values[-1]
    time, speed = 0.2 * bounce, bounce * bounce * G  # since the second bounce
    assert last == pytest.approx([speed * time - 0.5 * G * time**2, speed - G * time], rel=1e-9)


def test_tangent_of_a_bounce():
    """From height h at rest, the velocity at time t is r sqrt(2 g h) - g (t - sqrt(2 h / g))."""
    h, t, r = 2.0, 1.0, 0.7
    value, rows = push(dm.FlowMap(Ball(r), t, order=8, rtol=1e-10), np.array([h, 0.0]), np.eye(2))
    fall, speed = math.sqrt(2.0 * h / G), math.sqrt(2.0 * G * h)
    since, late = t - fall, 1.0 / math.sqrt(2.0 * G * h)
    assert value[1] == pytest.approx(r * speed - G * since)
    assert rows[0, 1] == pytest.approx(r * math.sqrt(G / (2.0 * h)) + G * late)
    slope = r * math.sqrt(G / (2.0 * h)) * since - r * speed * late + G * since * late
    assert rows[0, 0] == pytest.approx(slope)


def test_bounces_that_accumulate_are_refused():
    with pytest.raises(dm.JumpError, match="Zeno"):
        dm.orbit(Ball(), [G / 2.0, 0.0], duration=25.0)


@pytest.mark.parametrize("current", [1.5, 1.1, 4.0])
def test_period_and_multiplier_of_a_neuron(current):
    period = math.log(current / (current - 1.0))
    step = dm.FlowMap(
        dm.Flow.from_function(
            lambda v: current - v, states=("v",), events=Neuron.events, name="neuron"
        ),
        period,
        order=8,
        rtol=1e-12,
    )
    value, rows = push(step, np.array([0.3]), np.eye(1))
    assert value == pytest.approx([0.3], abs=1e-9)
    assert rows[0, 0] == pytest.approx(1.0, abs=1e-9)


def test_exponent_of_a_driven_neuron():
    """Between spikes the tangent falls by e^-t, at each it grows by I(t) / (I(t) - 1)."""
    neuron, duration = Neuron(1.2, 0.9, 2.0), 60.0

    def current(t):
        return neuron.current + neuron.swing * math.cos(neuron.rate * t)

    def forced(t):  # the solution that does not decay
        w = neuron.rate
        return neuron.current + neuron.swing * (math.cos(w * t) + w * math.sin(w * t)) / (1 + w * w)

    growth, start, v = 0.0, 0.0, 0.2
    while True:
        times = np.arange(start, duration, 1e-3)
        level = [forced(t) + (v - forced(start)) * math.exp(start - t) - 1.0 for t in times]
        late = np.flatnonzero(np.array(level) > 0.0)
        if not len(late):
            break
        spike = brentq(
            lambda t, start=start, v=v: forced(t) + (v - forced(start)) * math.exp(start - t) - 1.0,
            times[late[0] - 1],
            times[late[0]],
        )
        growth += math.log(abs(current(spike) / (current(spike) - 1.0)))
        start, v = spike, 0.0
    found = dm.lyapunov_spectrum(neuron, [0.2], duration=duration, transient=0.0)
    assert float(found.lyapunov[0]) == pytest.approx(growth / duration - 1.0, abs=1e-7)


@pytest.mark.parametrize("bounce, rate", [(0.8, 2.0), (0.6, 2.8)])
def test_volume_of_an_impact_oscillator(bounce, rate):
    """Each impact multiplies the area of the phase plane by r^2, whatever the orbit."""
    flow, duration = Impact(bounce=bounce, rate=rate), 60.0
    found = dm.lyapunov_spectrum(flow, [0.0, 0.0], duration=duration, transient=0.0)

    def velocity(t, x):
        return [x[1], -x[0] - flow.damping * x[1] + math.cos(rate * t)]

    def wall(t, x):
        return x[0] - flow.wall

    wall.terminal, wall.direction = True, 1.0
    time, x, impacts = 0.0, [0.0, 0.0], 0
    while time < duration:
        part = solve_ivp(velocity, (time, duration), x, events=wall, rtol=1e-8, atol=1e-10)
        time, x = part.t[-1], [part.y[0, -1], -bounce * part.y[1, -1]]
        impacts += part.status == 1
    assert impacts > 10
    expected = 2.0 * impacts * math.log(bounce) / duration - flow.damping
    assert float(found.lyapunov.sum()) == pytest.approx(expected, abs=1e-5)


def test_exponents_of_the_cat_map_as_a_flow():
    found = dm.lyapunov_spectrum(CatMap(), [0.2, 0.3, 0.05], duration=20.0).lyapunov.values
    golden = math.log((3.0 + math.sqrt(5.0)) / 2.0)
    assert found == pytest.approx([golden, 0.0, -golden], abs=2e-2)


def test_both_directions_count_where_none_is_named():
    reset = dm.event(lambda x: x[..., 0], lambda x: (x[..., 0], 0.5 * x[..., 1]))
    spring = dm.Flow.from_function(
        lambda s: dm.stack((s[..., 1], -s[..., 0])), states=("x", "v"), events=(reset,)
    )
    last = dm.orbit(spring, [1.0, 0.0], duration=2.0 * math.pi).x.values[-1]
    assert last == pytest.approx([0.25, 0.0], abs=1e-8)


@pytest.mark.parametrize(
    "when, then, error, words",
    [
        (lambda x: x, lambda x: x, dm.ShapeError, "expected one number"),
        (lambda x: x[..., 0], lambda x: x[..., 0], dm.ShapeError, "the whole state"),
        (lambda x, t: x[..., 0] - t, lambda x: x, TypeError, "does not follow"),
        (lambda x, gain: gain * x[..., 0], lambda x: x, AttributeError, "gain"),
    ],
)
def test_events_that_do_not_fit_are_refused(when, then, error, words):
    flow = dm.Flow.from_function(
        lambda s: dm.stack((s[..., 1], -s[..., 0])), states=2, events=(dm.event(when, then),)
    )
    with pytest.raises(error, match=words):
        dm.orbit(flow, [1.0, 0.5], duration=5.0)


def test_arguments_of_an_event():
    with pytest.raises(TypeError, match="must be a function"):
        dm.event(1.0, lambda x: x)
    with pytest.raises(ValueError, match="direction"):
        dm.event(lambda x: x, lambda x: x, direction=2)
    with pytest.raises(dm.JumpError, match="cannot be undone"):
        dm.orbit(Ball(), [1.0, 0.0], duration=1.0, dt=-0.1)


def test_a_section_of_a_flow_with_events_sees_them():
    """The peaks of a ball that loses nothing: between two of them it bounces once."""
    found = dm.bifurcation(
        Ball(), "bounce", [1.0], x0=[2.0, 0.0], duration=20.0, transient=1.0
    ).x.values.reshape(-1, 2)
    peaks = found[np.isfinite(found).all(axis=1)]
    assert len(peaks) > 10 and abs(peaks - [2.0, 0.0]).max() < 1e-6


class Driven(Neuron):
    """The same neuron with its current as an input."""

    inputs = 1

    def rule(self, x, u):
        return u - x


class Friction(dm.Flow):
    """Dry friction, driven."""

    states, inputs = ("x", "v"), 1

    def rule(self, s, u):
        return s[..., 1], u[..., 0] - s[..., 0] - 0.2 * dm.sign(s[..., 1])


class FrictionInTime(dm.Flow):
    states = ("x", "v")

    def rule(self, s, u, t):
        return s[..., 1], 3.0 * dm.cos(0.7 * t) - s[..., 0] - 0.2 * dm.sign(s[..., 1])


@pytest.mark.parametrize(
    ("driven", "drive", "in_time", "start"),
    [
        (Driven(), lambda t: 1.5 + 0.3 * dm.sin(5.0 * t), None, [0.1]),
        (Driven(), lambda t: 1.5 + 0.4 * dm.cos(2.0 * t), Neuron(1.5, 0.4, 2.0), [0.1]),
        (Friction(), lambda t: 3.0 * dm.cos(0.7 * t), FrictionInTime(), [0.5, 1.0]),
        (Friction(), lambda t: (3.0 * dm.cos(0.7 * t),), FrictionInTime(), [0.5, 1.0]),
    ],
)
def test_a_drive_in_time_is_a_rule_in_time(driven, drive, in_time, start):
    found = dm.orbit(driven, start, duration=20.0, drive=drive).x.values[-1]
    if in_time is None:
        steps = np.linspace(0.0, 20.0, 200_001)  # Euler's, with the reset at a step
        v = start[0]
        for t in steps[:-1]:
            v += 1e-4 * (1.5 + 0.3 * np.sin(5.0 * t) - v)
            v = 0.0 if v >= 1.0 else v
        expected, error = np.array([v]), 2e-2
    else:
        expected, error = dm.orbit(in_time, start, duration=20.0).x.values[-1], 1e-6
    np.testing.assert_allclose(found, expected, atol=error)
