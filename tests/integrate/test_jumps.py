"""Flows whose velocity or state jumps: against Floquet theory, closed forms and smooth limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.linalg import expm
from scipy.optimize import brentq

import dynmem as dm
from dynmem.autodiff.jacobian import linearise_rule, push
from dynmem.integrate.discontinuity import jumps


class Relay(dm.Flow):
    """Relay feedback of a third order lag."""

    strength: float = 4.0
    damping: float = 3.0
    states = ("x", "y", "z")

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return y, z, -self.damping * z - 3.0 * y - x - self.strength * dm.sign(x)


class Bang(dm.Flow):
    strength: float = 1.0
    states = ("x", "v")

    def rule(self, s, u):
        return s[..., 1], -self.strength * dm.sign(s[..., 0])


class Sawtooth(dm.Flow):
    states = ("x", "y", "z")

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return y, z, -0.6 * z - y + 1.2 * (((x + 1.0) % 2.0) - 1.0)


class Staircase(dm.Flow):
    """v' = -floor(x + 1/2) - v / 5: two neighbours of the sawtooth, one with where."""

    states = ("x", "v")

    def rule(self, s, u):
        return s[..., 1], -dm.floor(s[..., 0] + 0.5) - 0.2 * s[..., 1]


class TwoSprings(dm.Flow):
    """A spring on one side and a weaker, pre-stressed one on the other."""

    states = ("x", "v")

    def rule(self, s, u):
        x, v = s[..., 0], s[..., 1]
        return v, dm.where((x > 0.0) & (v < 10.0), -x - 1.0, 0.5 - 2.0 * x)


class Friction(dm.Flow):
    """Stick-slip oscillator on a belt."""

    states = ("x", "v")

    def rule(self, s, u):
        return s[..., 1], -s[..., 0] - 0.5 * dm.sign(s[..., 1] - 0.1)


def relay_floquet_exponents(strength, damping):
    """Of the symmetric cycle of x''' + damping x'' + 3 x' + x = -strength sign(x): over half a
    period the state changes its sign (Tsypkin 1984, Relay Control Systems)."""
    A = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -3.0, -damping]])
    b = np.array([0.0, 0.0, -strength])

    def start(time):  # s(time) = -s(0) with x > 0 in between
        flow, rest = expm(A * time), np.linalg.solve(A, b)
        return np.linalg.solve(flow + np.eye(3), -(flow - np.eye(3)) @ rest)

    half = brentq(lambda time: start(time)[0], 0.5, 10.0, xtol=1e-14)
    end = -start(half)
    before, after = A @ end + b, A @ end - b
    saltation = np.eye(3) + np.outer(after - before, [1.0, 0.0, 0.0]) / before[0]
    return np.sort(np.log(np.abs(np.linalg.eigvals(saltation @ expm(A * half)))) / half)[::-1]


@pytest.mark.parametrize("strength, damping", [(4.0, 3.0), (1.0, 3.0), (4.0, 2.0)])
def test_relay_exponents_are_those_of_floquet_theory(strength, damping):
    found = dm.lyapunov_spectrum(Relay(strength, damping), [0.5, 0.0, 0.0], duration=200.0)
    assert found.lyapunov.values == pytest.approx(
        relay_floquet_exponents(strength, damping), abs=8e-3
    )
    assert abs(float(found.sum_residual)) < 1e-9


def test_relay_floquet_exponents_of_the_issue():
    assert relay_floquet_exponents(4.0, 3.0) == pytest.approx([0.0, -0.5202, -2.4796], abs=5e-4)


@pytest.mark.parametrize("dt", [None, 0.1, 0.37])
@pytest.mark.parametrize("strength, start", [(1.0, [1.0, 0.0]), (2.5, [-0.3, 0.4])])
def test_energy_of_a_constant_force_towards_a_point(strength, start, dt):
    x, v = dm.orbit(Bang(strength), start, duration=50.0, dt=dt).x.values.T
    energy = strength * abs(x) + 0.5 * v * v
    assert energy == pytest.approx(np.full(len(x), energy[0]), rel=1e-10)


def test_a_start_on_the_surface_crosses_it():
    last = dm.orbit(Bang(), [0.0, 1.0], duration=3.0).x.values[-1]
    assert last == pytest.approx([-0.5, 0.0], abs=1e-9)  # a period of 4, a quarter before its end


def test_sawtooth_has_a_neutral_direction_and_its_divergence():
    found = dm.lyapunov_spectrum(Sawtooth(), [0.5, 0.0, 0.0], duration=300.0).lyapunov.values
    assert abs(found).min() < 5e-3
    assert found.sum() == pytest.approx(-0.6, abs=1e-6)  # n . f is continuous: no jump of volume


CASES = [
    (Relay(), [0.5, 0.0, 0.0]),
    (Bang(), [1.0, 0.0]),
    (Sawtooth(), [0.5, 0.0, 0.0]),
    (Staircase(), [2.2, 0.3]),
    (TwoSprings(), [1.0, 0.0]),
]


@pytest.mark.parametrize("flow, start", CASES, ids=lambda case: type(case).__name__)
@pytest.mark.parametrize("options", [{"order": 8, "rtol": 1e-10}, {"substeps": 50}])
def test_tangents_are_differences_forward_and_in_reverse(flow, start, options):
    step, x = dm.FlowMap(flow, 5.0, **options), np.array(start)
    value, rows = push(step, x, np.eye(len(x)))
    again, back = linearise_rule(lambda x: step.rule(x, None), x)
    assert value == pytest.approx(step.rule(x, None), abs=1e-8) == again
    assert back(np.eye(len(x))) == pytest.approx(rows.T, abs=1e-8)
    width = 1e-6
    for i, way in enumerate(np.eye(len(x))):
        ends = [step.rule(x + side * width * way, None) for side in (1.0, -1.0)]
        assert rows[i] == pytest.approx((ends[0] - ends[1]) / (2.0 * width), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 3.0), st.floats(-1.0, 1.0), st.floats(0.3, 2.0), st.floats(-0.4, 0.4))
def test_saltation_is_the_limit_of_a_smooth_jump(strength, push_, speed, drag):
    """x'' = push - drag x' + strength s(x) crosses x = 0 from below: with s = tanh(x / eps)
    the tangent map is that of s = sign to O(eps)."""
    if speed * speed < 2.0 * 0.3 * (abs(push_) + strength) + 0.1:  # it turns back before
        return

    def system(switch):
        return dm.Flow.from_function(
            lambda x: dm.stack(
                (x[..., 1], push_ - drag * x[..., 1] + strength * switch(x[..., 0]))
            ),
            states=("x", "v"),
        )

    x, eps = np.array([-0.3, speed]), 1e-3
    steps = [
        dm.FlowMap(system(s), 0.7, order=8, rtol=1e-10)
        for s in (dm.sign, lambda a: dm.tanh(a / eps))
    ]
    (sharp, rows), (soft, smooth) = (push(step, x, np.eye(2)) for step in steps)
    allowed = 10.0 * eps * (1.0 + strength) ** 2
    assert abs(sharp - soft).max() < allowed and abs(rows - smooth).max() < allowed


def test_a_pulse_is_met_however_short():
    pulse = dm.Flow.from_function(
        lambda n, t: dm.where((t > 5.0) & (t < 5.02), 1.0, 0.0)[..., None] * (1.0 - n) - n,
        states=("n",),
    )
    last = float(dm.orbit(pulse, [0.0], duration=10.0).x[-1, 0])
    assert last == pytest.approx(0.5 * (1.0 - math.exp(-0.04)) * math.exp(-4.98), rel=1e-6)


@pytest.mark.parametrize("start", [[1.0, 0.0], [-2.0, 0.3]])
def test_sliding_is_refused_by_name(start):
    with pytest.raises(dm.JumpError, match="sliding"):
        dm.orbit(Friction(), start, duration=30.0)
    with pytest.raises(dm.JumpError, match="sliding"):
        dm.lyapunov_spectrum(Friction(), start, duration=30.0)


def test_which_flows_jump():
    assert all(jumps(flow, len(start)) for flow, start in CASES)
    turned = dm.Flow.from_function(
        lambda s: dm.stack((0.0 * s[..., 0] + 1.0, dm.sin(s[..., 0] % (2.0 * np.pi)))), states=2
    )
    ramp = dm.Flow.from_function(lambda x: dm.where(x > 0.3, x - 0.3, 0.0) - x, states=1)
    for smooth in (turned, ramp, dm.systems.get("lorenz63"), dm.systems.get("chua")):
        assert not jumps(smooth, smooth.size)


@pytest.mark.parametrize(
    "analysis, name",
    [
        (lambda flow, x: dm.gali(flow, x, duration=20.0), "gali"),
        (lambda flow, x: dm.megno(flow, x, duration=20.0), "megno"),
        (lambda flow, x: dm.covariant_vectors(flow, x, duration=20.0), "lyapunov"),
        (lambda flow, x: dm.bifurcation(flow, "strength", [3.0], x0=x, duration=20.0), "x"),
    ],
)
def test_analyses_take_a_flow_that_jumps(analysis, name):
    assert np.isfinite(analysis(Relay(), [0.5, 0.0, 0.0])[name]).any()


def test_a_batch_is_a_loop():
    step = dm.FlowMap(Relay(), 2.0, order=8, rtol=1e-10)
    x = np.random.default_rng(0).standard_normal((2, 3, 3))
    together = step.rule(x, None)
    for i in np.ndindex(2, 3):
        assert (step.rule(x[i], None) == together[i]).all()
