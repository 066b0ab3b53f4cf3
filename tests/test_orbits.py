"""Flows as maps: order of convergence against scipy, steps, orbits, and what happens when a state
is lost."""

import time

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynmem as dm
from dynmem.errors import ConvergenceError, NotFiniteError, ShapeError
from dynmem.orbits import FlowMap, as_map, orbit, suggest_step, trajectory, whole_steps
from tests.reference import ForcedDuffing, Henon, Logistic, Lorenz, Lorenz96, Pendulum, row


def exact(flow, x, duration, u=None):
    u = None if u is None else np.asarray(u)
    return solve_ivp(
        lambda t, y: flow.rule(y, u), (0, duration), x, method="DOP853", rtol=1e-12, atol=1e-13
    ).y[:, -1]


@pytest.mark.parametrize("order, steps", [(4, (32, 64)), (8, (8, 16))])
@pytest.mark.parametrize("name, duration", [("pendulum", 2.0), ("lorenz", 0.25), ("duffing", 2.0)])
def test_order_of_convergence(name, duration, order, steps):
    flow, x, u = row(name)
    truth = exact(flow, x, duration, u)
    errors = [np.linalg.norm(FlowMap(flow, duration, n, order).rule(x, u) - truth) for n in steps]
    assert errors[1] < 3e-5
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=1.2 if order == 8 else 0.5)


def test_substeps_compose_and_backward_steps_return():
    flow, x, _ = row("lorenz")
    one = FlowMap(flow, 0.01)
    np.testing.assert_allclose(
        FlowMap(flow, 0.03, substeps=3).rule(x, None),
        one.rule(one.rule(one.rule(x, None), None), None),
        atol=1e-13,
    )
    np.testing.assert_allclose(FlowMap(flow, -0.01).rule(one.rule(x, None), None), x, atol=1e-6)


def test_a_linear_flow_is_its_exponential():
    from scipy.linalg import expm

    A = np.random.default_rng(0).standard_normal((3, 3))

    class Own(dm.Flow):
        A: np.ndarray = None
        states = ("a", "b", "c")

        def rule(self, x, u):
            return x @ self.A.T

    np.testing.assert_allclose(
        dm.jacobian(FlowMap(Own(A), 0.5, order=8, substeps=4), np.zeros(3)),
        expm(0.5 * A),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        dm.jacobian(FlowMap(Own(A), 0.5, substeps=200), np.zeros(3)), expm(0.5 * A), atol=1e-10
    )


def test_suggest_step_resolves_the_tangent_map():
    for name in ("pendulum", "lorenz", "duffing", "lorenz96"):
        flow, x, u = row(name)
        step = suggest_step(flow, x, drive=u)
        assert 1e-4 < step <= 0.1
        coarse, fine = (dm.jacobian(FlowMap(flow, step, n, 8), x, u) for n in (1, 4))
        assert np.linalg.norm(coarse - fine) / np.linalg.norm(fine) / step < 1e-6
    assert suggest_step(Lorenz(sigma=1000.0, rho=2800.0)) < 1e-3


def test_as_map():
    assert as_map(Henon()) is not None
    assert as_map(Pendulum(), 0.2).dt == 0.2
    assert 0 < as_map(Pendulum()).dt <= 0.1
    with pytest.raises(ValueError, match="leave dt out"):
        as_map(Henon(), 0.5)
    with pytest.raises(ValueError, match="dt = "):
        as_map(Pendulum(), 0)


def test_orbits():
    result = orbit(Henon(), [0.1, 0.2], duration=3)
    assert result.x.dims == ("time", "state") and list(result.state.values) == ["x", "y"]
    np.testing.assert_allclose(result.x[1], Henon().rule(np.array([0.1, 0.2]), None))
    fixed, adaptive = (
        orbit(Lorenz(), [1.0, 1.0, 1.0], duration=1.0, dt=0.01, rtol=rtol) for rtol in (None, 1e-11)
    )
    np.testing.assert_allclose(adaptive.time, fixed.time)
    np.testing.assert_allclose(adaptive.x, fixed.x, atol=2e-3)
    np.testing.assert_allclose(adaptive.x[-1], exact(Lorenz(), np.ones(3), 1.0), atol=1e-8)
    assert orbit(Lorenz(), duration=1.0, dt=0.3, rtol=1e-6).time.values.tolist() == pytest.approx(
        [0, 0.3, 0.6, 0.9, 1.0]
    )
    assert (
        orbit(Lorenz(), duration=0, rtol=1e-6).sizes["time"]
        == orbit(Lorenz(), duration=0).sizes["time"]
        == 1
    )
    assert orbit(Lorenz96(), np.ones((2, 5)), duration=0.1, dt=0.01).x.shape == (11, 2, 5)


def test_orbits_of_driven_flows():
    u = np.sin(np.arange(20) / 3)[:, None]
    flow, x = ForcedDuffing(), np.array([0.1, 0.2])
    states = orbit(flow, x, duration=2.0, dt=0.1, drive=u).x.values
    expected = x
    for held in u:  # the input is held over a step
        expected = exact(flow, expected, 0.1, held)
    np.testing.assert_allclose(states[-1], expected, atol=1e-5)
    for rtol in (None, 1e-10):
        for drive, held in (([0.3], [0.3]), (None, [0.0])):
            last = orbit(flow, x, duration=2.0, dt=0.1, drive=drive, rtol=rtol).x[-1]
            np.testing.assert_allclose(last, exact(flow, x, 2.0, held), atol=1e-5)
    with pytest.raises(ShapeError, match="drive has shape .20, 1., the run needs .30, 1."):
        orbit(flow, x, duration=3.0, dt=0.1, drive=u)
    adaptive = orbit(flow, x, duration=2.0, dt=0.1, drive=u, rtol=1e-10).x[-1]
    np.testing.assert_allclose(adaptive, expected, atol=1e-7)


def test_the_same_seed_gives_the_same_orbit():
    assert orbit(Lorenz(), duration=1, dt=0.01, rng=3).identical(
        orbit(Lorenz(), duration=1, dt=0.01, rng=3)
    )


class Square(dm.Flow):
    """dx/dt = gain x^2 reaches infinity at t = 1 / (gain x0)."""

    gain: float = 1.0
    states = ("x",)

    def rule(self, x, u):
        return self.gain * x**2


class Broken(Square):
    def rule(self, x, u):
        return dm.sqrt(0.5 - x)  # not a number beyond 1/2


class Undefined(Square):
    def rule(self, x, u):
        return x * np.nan


class Exploding(Square):
    def rule(self, x, u):
        return dm.exp(10 * x * x)


@pytest.mark.parametrize(
    "flow", [Square(), Undefined(), Exploding(), Broken()], ids=lambda f: type(f).__name__
)
@pytest.mark.parametrize(
    "options", [{"dt": 0.01}, {}, {"rtol": 1e-9}], ids=["fixed", "suggested", "adaptive"]
)
def test_a_lost_orbit_reports_where(flow, options):
    start = time.process_time()
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            (NotFiniteError, ConvergenceError),
            match=r"at step \d+ of|step \d+ of|not finite|falls into a singularity",
        ),
    ):
        orbit(flow, [1.0 if type(flow) is not Broken else 0.4], duration=5.0, **options)
    assert time.process_time() - start < 5


def test_the_step_at_which_the_state_was_lost():
    # below 0 it leaves, at first slowly
    for x, steps in ((2.0, 60), (2.0, 64), (2.0, 1000), (-1e-36, 200), (-1e-75, 1000)):
        state, first = np.array([x]), 0
        with np.errstate(over="ignore", invalid="ignore"):
            while np.isfinite(state).all():
                state, first = Logistic().rule(state, None), first + 1
        with pytest.raises(
            NotFiniteError,
            match=rf"state not finite at step {first} of {steps} "
            r"\(r=4\): start elsewhere",
        ):
            trajectory(Logistic(), np.array([x]), steps)
    assert first > 128


class Relay(dm.Flow):
    """Sliding along x = 0."""

    states = ("x",)

    def rule(self, x, u):
        return -dm.sign(x)


@pytest.mark.parametrize("duration", [2.0, 2000.0])  # numpy, compiled
@pytest.mark.parametrize("system", [Relay()])
def test_the_adaptive_path_has_an_end(system, duration):
    start = [1.0, 0.0][: system.size]
    with pytest.raises((ConvergenceError, NotFiniteError)):
        dm.lyapunov_spectrum(system, start, duration=duration)


def test_a_rule_that_forgets_its_axis_is_refused():
    class Flat(dm.Map):
        states = ("x",)

        def rule(self, x, u):
            return 3.0 * x[..., 0]

    for call in (
        lambda: orbit(Flat(), [0.1], duration=5),
        lambda: trajectory(Flat(), np.array([0.1]), 5),
    ):
        with pytest.raises(
            ShapeError,
            match=r"returned shape \(\) for a state of shape \(1,\): "
            r"stack",
        ):
            call()


def test_options():
    for bad in ({"dt": 0}, {"dt": np.nan}, {"substeps": 0}, {"substeps": 1.5}, {"order": 5}):
        with pytest.raises(ValueError, match=r"must be|a step must"):
            FlowMap(Pendulum(), **{"dt": 0.1, **bad})
    with pytest.raises(TypeError, match="Henon is a Map and a Flow is needed"):
        FlowMap(Henon(), 0.1)
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="must be a finite time of at least 0"):
            orbit(Henon(), duration=bad)
    assert whole_steps(1.0, 0.1) == 10


class Spring(dm.Flow):
    """x' = w (x_2, -x_1)."""

    w: float = 1.0
    size = 2

    def rule(self, x, u):
        return dm.stack((self.w * x[..., 1], -self.w * x[..., 0]))


@pytest.mark.parametrize(("w", "place"), [(20.0, 0), (160.0, 1), (400.0, 39)])
def test_the_step_of_an_ensemble_is_that_of_its_most_demanding_member(w, place):
    """Also where the members that are tried first are at rounding, so that their error does not
    fall any more."""
    flows = [Spring(w if i == place else 1.0) for i in range(40)]
    steps = [suggest_step(f, [1.0, 0.0], duration=1e4) for f in (flows, Spring(w))]
    assert steps[0] == steps[1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda h: dm.orbit(h, duration=10.5), "duration = 10.5 is no whole number of steps.*Map"),
        (lambda h: dm.orbit(h, duration=0.4), "less than one step"),
        (
            lambda h: dm.lyapunov_spectrum(h, duration=50, transient=7.5),
            "transient = 7.5 .*7 or 8",
        ),
        (lambda h: dm.bifurcation(h, "a", [1.1], transient=10.5), "transient = 10.5 .* 10 or 11"),
        (lambda h: dm.gali(h, duration=10.5), "duration = 10.5"),
        (lambda h: dm.orbit(h, duration="10"), "duration = '10': must be a finite time"),
        (lambda h: dm.orbit(h, duration=[10, 20]), "must be a finite time"),
        (lambda h: dm.orbit(h, duration=10, rtol=1e-6), "rtol = 1e-06 for Henon, a Map"),
    ],
)
def test_a_map_takes_whole_steps(call, words):
    with pytest.raises(ValueError, match=words):
        call(dm.systems.get("henon"))


def test_whole_floats_and_flows_are_left_alone():
    assert dm.orbit(dm.systems.get("henon"), duration=10.0).sizes["time"] == 11
    assert dm.orbit(dm.systems.get("lorenz63"), duration=1.03, dt=0.1).sizes["time"] == 12
    default = dm.bifurcation(dm.systems.get("henon"), "a", [1.1], samples=1005, exponents=1)
    assert np.isfinite(default.lyapunov).all()  # a tenth of 1005 steps is none of ours


def test_rounding_is_no_fraction_of_a_step():
    henon = dm.systems.get("henon")
    assert 0.07 * 100 != 7  # 7.000000000000001
    found = dm.lyapunov_spectrum(henon, duration=700, transient=0.07 * 100)
    assert found.lyapunov.notnull().all()
