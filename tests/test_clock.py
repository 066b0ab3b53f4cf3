"""Time in a rule and in a drive, against closed forms and systems whose phase is a state."""

import math
import warnings

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError


class Tanh(dm.Map):
    states = ("x",)
    inputs = 1

    def rule(self, x, u):
        return dm.tanh(1.5 * x + u)


class Leaky(dm.Flow):
    states = ("x",)
    inputs = 1

    def rule(self, x, u):
        return -x + u


class Pendulum(dm.Flow):
    strength: float = 1.5
    states = ("angle", "velocity")

    def rule(self, x, u, t):
        drive = self.strength * dm.cos(2.0 * t / 3.0)
        return x[..., 1], -dm.sin(x[..., 0]) - 0.5 * x[..., 1] + drive


class PhasePendulum(dm.Flow):
    states = ("angle", "velocity", "time")

    def rule(self, x, u):
        drive = 1.5 * dm.cos(2.0 * x[..., 2] / 3.0)
        return x[..., 1], -dm.sin(x[..., 0]) - 0.5 * x[..., 1] + drive, 1.0 + 0.0 * x[..., 2]


class TorquePendulum(dm.Flow):
    states = ("angle", "velocity")
    inputs = 1

    def rule(self, x, u):
        return x[..., 1], -dm.sin(x[..., 0]) - 0.5 * x[..., 1] + u[..., 0]


class Growing(dm.Map):
    states = ("x", "y")

    def rule(self, x, u, t):
        return dm.stack(((0.5 + 0.4 * dm.sin(t)) * x[..., 0], 0.3 * x[..., 1] + t))


def slow_sine(step):
    return np.sin(2 * np.pi * step / 1500)


def leaky_after(time, frequency=2.0):
    """x(t) of x' = -x + sin(w t), x(0) = 0."""
    w, decay = frequency, np.exp(-time)
    return (np.sin(w * time) - w * np.cos(w * time) + w * decay) / (1 + w * w)


def test_a_function_of_the_step_is_the_array_of_its_values():
    """It was called for 1,024 steps at a time, and started anew each time."""
    u = slow_sine(np.arange(6000))
    x, logs = 0.0, 0.0
    for value in u:
        x = np.tanh(1.5 * x + value)
        logs += np.log(1.5 * (1.0 - x * x))
    for drive in (
        u[:, None],
        slow_sine,
        lambda step: math.sin(2 * math.pi * step / 1500),
        lambda step: np.array([slow_sine(step)]),
        lambda rng, steps: slow_sine(np.arange(steps))[:, None],
    ):
        found = dm.lyapunov_spectrum(Tanh(), [0.0], drive=drive, duration=6000, transient=0)
        np.testing.assert_allclose(found.lyapunov, logs / 6000, rtol=1e-12)


@pytest.mark.parametrize("frequency", [1e-3, 2.0, 30.0, 400.0])
def test_a_flow_takes_a_function_of_time_at_every_stage(frequency):
    found = dm.orbit(Leaky(), [0.0], duration=40, drive=lambda t: dm.sin(frequency * t))
    assert abs(found.x[-1].item() - leaky_after(40.0, frequency)) < 1e-8
    assert found.time[-1] == 40.0


@pytest.mark.parametrize(
    ("drive", "error"),
    [
        (lambda t: np.sin(2.0 * t), 1e-10),
        (lambda t: (np.sin(2.0 * t),), 1e-10),
        (lambda t: np.array([np.sin(2.0 * t)]), 1e-10),
        (lambda t: np.interp(t, np.linspace(0, 40, 4001), np.sin(np.linspace(0, 80, 4001))), 1e-5),
        (dm.signal(np.sin(0.02 * np.arange(4001)), dt=0.01, interpolation="held"), 5e-3),
        (dm.signal(np.sin(0.02 * np.arange(4001)), dt=0.01), 1e-5),
        (dm.signal(np.sin(0.02 * np.arange(4001)), dt=0.01, interpolation="cubic"), 2e-7),
        (xr.DataArray(np.sin(0.2 * np.arange(500)), {"time": 0.1 * np.arange(500)}, "time"), 1e-3),
    ],
)
@pytest.mark.filterwarnings("ignore::dynmem.errors.SlowWarning")  # np.interp
def test_ways_to_write_one_input_of_a_flow(drive, error):
    found = dm.orbit(Leaky(), [0.0], duration=40, drive=drive)
    assert abs(found.x[-1].item() - leaky_after(40.0)) < error


def test_the_order_of_the_interpolation():
    """Halving the time between samples divides the error by 2, 4 and 16."""
    for kind, order in (("held", 1), ("linear", 2), ("cubic", 4)):
        errors = []
        for dt in (0.1, 0.05):
            times = np.arange(round(20 / dt) + 1) * dt
            drive = dm.signal(np.sin(np.pi * times), dt=dt, interpolation=kind)
            found = dm.orbit(Leaky(), [0.0], duration=20, drive=drive).x[-1].item()
            errors.append(abs(found - leaky_after(20.0, np.pi)))
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_rows_of_a_flow_need_the_length_of_a_step():
    rows = np.sin(0.02 * np.arange(4000))[:, None]
    with pytest.raises(ShapeError, match=r"pass dt=..., or drive=dm\.signal"):
        dm.orbit(Leaky(), [0.0], duration=40, drive=rows)
    held = dm.orbit(Leaky(), [0.0], duration=40, drive=rows, dt=0.01).x[-1].item()
    assert held == pytest.approx(-0.1504, abs=5e-5)
    for duration in (39.0, 41.0):
        with pytest.raises(ShapeError, match=r"needs \((3900|4100), 1\)"):
            dm.orbit(Leaky(), [0.0], duration=duration, drive=rows, dt=0.01)
    with pytest.raises(ShapeError, match="drive ends 40 after its first sample"):
        dm.orbit(Leaky(), [0.0], duration=41, drive=dm.signal(rows, dt=40 / 3999))


def test_samples_that_are_no_input_are_refused():
    sample = np.sin(np.arange(50.0))
    times = np.arange(50.0)
    gap = np.where(sample > 0.9, np.nan, sample)
    for drive, message in (
        (xr.DataArray(sample, {"time": times**2}, "time"), "equal steps"),
        (xr.DataArray(sample, {"time": times.astype("M8[s]")}, "time"), "make them numbers"),
        (xr.DataArray(gap, {"time": times}, "time"), "interpolate_na"),
        (xr.DataArray(np.ones((50, 2)), {"time": times}, ("time", "u")), "1 inputs"),
        (lambda t: np.array([t, t, t]), r"drive\(t\) returned shape"),
    ):
        with pytest.raises((ValueError, NotFiniteError), match=message):
            dm.orbit(Leaky(), [0.0], duration=20, drive=drive)
    with pytest.raises(ValueError, match="takes no input"):
        dm.orbit(dm.systems.get("lorenz63"), duration=2.0, drive=np.sin)


def test_white_noise_on_a_flow_does_not_depend_on_the_step():
    """Ornstein and Uhlenbeck's process x' = -x + s noise has the variance s^2/2."""
    for dt in (0.2, 0.05):
        x = dm.orbit(Leaky(), [0.0], duration=4000.0, drive=0.7, dt=dt).x[200:]
        assert float(x.var()) == pytest.approx(0.7**2 / 2, rel=0.1)


@pytest.mark.parametrize("duration", [60.0, 3000.0])  # numpy, compiled
def test_exponents_of_a_rule_in_time_are_those_of_its_phase(duration):
    """Without the exponent 0 of the phase; the sum is that of the divergence."""
    timed = dm.lyapunov_spectrum(Pendulum(), [0.1, 0.0], duration=duration)
    assert timed.sizes["exponent"] == 2 and abs(timed.sum_residual) < 1e-9
    along = dm.lyapunov_spectrum(
        TorquePendulum(), [0.1, 0.0], duration=duration, drive=lambda t: 1.5 * dm.cos(2.0 * t / 3.0)
    )
    np.testing.assert_allclose(along.lyapunov, timed.lyapunov, rtol=1e-9)
    assert timed.lyapunov.sum() == pytest.approx(-0.5, abs=1e-9)


def test_a_chaotic_pendulum_by_clock_and_by_phase():
    timed = dm.lyapunov_spectrum(Pendulum(), [0.1, 0.0], duration=4000.0)
    phase = dm.lyapunov_spectrum(PhasePendulum(), [0.1, 0.0, 0.0], duration=4000.0)
    error = 4 * float(timed.lyapunov_error[0] + phase.lyapunov_error[0])
    assert abs(timed.lyapunov[0] - phase.lyapunov[0]) < error


def test_orbits_of_rules_in_time():
    found = dm.orbit(Pendulum(), [0.1, 0.0], duration=20.0)
    phase = dm.orbit(PhasePendulum(), [0.1, 0.0, 0.0], duration=20.0)
    np.testing.assert_allclose(found.x, phase.x[:, :2], rtol=1e-10)
    assert found.state.values.tolist() == ["angle", "velocity"]
    steps = dm.orbit(Growing(), [1.0, 0.0], duration=3).x.values
    np.testing.assert_allclose(steps[1], [0.5, 0.0])
    np.testing.assert_allclose(steps[2], [0.5 * (0.5 + 0.4 * np.sin(1.0)), 1.0])


def test_exponents_of_a_map_in_time():
    t = np.arange(400)
    expected = [np.log(0.5 + 0.4 * np.sin(t[100:])).mean(), np.log(0.3)]
    for system in (Growing(), [Growing(), Growing()]):
        found = dm.lyapunov_spectrum(system, [1.0, 0.0], duration=300, transient=100).lyapunov
        np.testing.assert_allclose(np.atleast_2d(found)[0], expected, rtol=1e-9)


def test_covariant_vectors_of_a_rule_in_time_have_no_time():
    found = dm.covariant_vectors(Pendulum(), [0.1, 0.0], duration=100.0)
    assert found.vector.shape[1:] == (2, 2) and found.x.shape[1:] == (2,)
    np.testing.assert_allclose(np.linalg.norm(found.vector, axis=-1), 1.0, rtol=1e-12)


def test_what_does_not_follow_time_says_so():
    for call in (
        lambda: dm.fixed_points(Pendulum()),
        lambda: dm.jacobian(Pendulum(), [0.0, 0.0]),
        lambda: dm.gali(Pendulum(), duration=100.0),
        lambda: dm.spectral_abscissa(Pendulum(), [0.0, 0.0]),
    ):
        with pytest.raises(TypeError, match=r"depends on time.*dm\.StroboscopicMap.*dm\.at_time"):
            call()
    with pytest.raises(TypeError, match=r"depends on time: pass dm\.at_time"):
        Pendulum().rule(np.zeros(2), None)


def test_one_time():
    frozen = dm.at_time(Pendulum(), 0.75 * np.pi)
    np.testing.assert_allclose(dm.jacobian(frozen, [0.0, 0.0]), [[0.0, 1.0], [-1.0, -0.5]])
    with pytest.raises(TypeError, match="does not depend on time"):
        dm.at_time(Leaky(), 0.0)


class Cosine(dm.Flow):
    rate: float = 1.0
    states = ("x",)

    def rule(self, x, u, t):
        return -self.rate * x + dm.cos(t)[..., None]


def test_a_strobed_flow_is_a_map():
    """x' = -a x + cos t has the cycle (a cos t + sin t)/(1 + a^2), of multiplier e^(-2 pi a)."""
    for phase in (0.0, 1.0):
        strobed = dm.StroboscopicMap(Cosine(0.5), 2 * np.pi, phase)
        found = dm.fixed_points(strobed)
        expected = (0.5 * np.cos(phase) + np.sin(phase)) / 1.25
        np.testing.assert_allclose(found.x, [[expected]], rtol=1e-9)
        multiplier = dm.jacobian(strobed, found.x.values[0]).item()
        assert multiplier == pytest.approx(np.exp(-np.pi), rel=1e-9)
    found = dm.lyapunov_spectrum(dm.StroboscopicMap(Cosine(0.5), 2 * np.pi), duration=200)
    assert found.lyapunov.item() * 2 * np.pi == pytest.approx(-np.pi, rel=1e-6)
    with pytest.raises(TypeError, match="does not depend on time"):
        dm.StroboscopicMap(Leaky(), 1.0)


def test_functions_of_time():
    def driven(state, u, t, damping=0.5):
        angle, velocity = state
        return velocity, -damping * velocity - dm.sin(angle) + u * dm.cos(t)

    def plain(x, t):
        return -x + dm.cos(t)

    system = dm.Flow.from_function(driven, states=("angle", "velocity"))
    assert system.timed and system.inputs == 1
    assert dm.orbit(system, [0.1, 0.0], duration=5.0, drive=[1.0]).x.shape[1] == 2
    found = dm.orbit(dm.Flow.from_function(plain, states=("x",)), [0.5], duration=7.0)
    assert found.x[-1].item() == pytest.approx((np.cos(7.0) + np.sin(7.0)) / 2, abs=1e-9)


class Decay(dm.Flow):
    states = ("x",)

    def rule(self, x, u):
        return -x


@pytest.mark.parametrize("duration", [1.234, 0.04, 2 * np.pi, 1e-3, 17.0])
@pytest.mark.parametrize("dt", [None, 0.01, -0.01])
def test_an_orbit_ends_at_the_time_that_was_asked_for(duration, dt):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dm.orbit(Decay(), [1.0], duration=duration, dt=dt)
    end = duration if dt is None or dt > 0 else -duration
    assert found.time[-1].item() == pytest.approx(end, rel=1e-14)
    assert found.x[-1].item() == pytest.approx(np.exp(-end), rel=1e-9 if dt is None else 1e-8)
