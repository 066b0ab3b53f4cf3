"""What strangers tried: systems and inputs at the edges, each a fault once."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import ConvergenceError, NotFiniteError, ShapeError
from dynmem.analysis import (
    conditional_exponents,
    covariant_vectors,
    echo_state,
    finite_time_exponents,
    fixed_points,
    period_doublings,
    series_exponent,
    zero_one_test,
)


class Blow(dm.Flow):
    states = ("x",)

    def rule(self, x, u):
        return x * x


class Root(dm.Flow):
    states = ("x",)

    def rule(self, x, u):
        return dm.sqrt(x - 2.0)


class Bare(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return np.tanh(x)


def test_some_exponents_are_the_first_of_all():
    system = dm.models.get("gru", units=20, inputs=3, gain=3.0, rng=0)
    whole = dm.lyapunov_spectrum(system, duration=300, drive=0.3).lyapunov
    for k in (1, 2, 10):
        np.testing.assert_allclose(
            dm.lyapunov_spectrum(system, duration=300, drive=0.3, exponents=k).lyapunov,
            whole[:k],
            atol=1e-12,
        )


def test_an_ensemble_of_flows_shares_a_step():
    found = dm.lyapunov_spectrum(
        [dm.systems.get("lorenz63", rho=r) for r in (10.0, 28.0)], duration=5
    )
    assert found.sizes["model"] == 2 and np.isfinite(found.running).all()
    np.testing.assert_allclose(found.lyapunov.sum("exponent"), -41 / 3, atol=1e-6)
    with pytest.raises(ShapeError, match="2, 3 states"):
        dm.lyapunov_spectrum([dm.systems.get("henon"), dm.systems.get("lorenz63")], duration=5)
    with pytest.raises(TypeError, match="maps or flows, not both"):
        dm.lyapunov_spectrum([dm.models.Linear(np.eye(3)), dm.systems.get("lorenz63")], duration=5)


@pytest.mark.parametrize("bias", [-20.0, -30.0, -40.0])
def test_a_gate_that_is_almost_shut_keeps_its_digits(bias):
    cell = dm.models.LSTM(np.zeros((12, 3)), b=np.r_[np.zeros(3), np.full(3, bias), np.zeros(6)])
    measured = dm.lyapunov_spectrum(cell, duration=100).lyapunov[0].item()
    assert measured == pytest.approx(dm.theory.lyapunov_spectrum(cell).lyapunov[0].item(), abs=1e-8)


def test_a_blow_up_names_its_step():
    for system in (Blow(), dm.FlowMap(Blow(), 0.01)):
        with pytest.raises(
            (NotFiniteError, ConvergenceError), match="state not finite at step|into a singularity"
        ):
            dm.lyapunov_spectrum(system, [1.0], duration=10)


def test_what_has_no_derivative_is_refused():
    with pytest.raises(NotFiniteError, match="not finite at the start"):
        dm.lyapunov_spectrum(Root(), [1.0], duration=10)
    for engine in ("dual", "torch", "symbolic"):
        with pytest.raises(NotFiniteError, match=r"Jacobian of Root is not finite at x = \[1\.\]"):
            dm.jacobian(Root(), [1.0], engine=engine)


def test_a_rule_in_numpy_gets_advice():
    for engine in ("dual", "symbolic"):
        assert dm.jacobian(Bare(), [0.0], engine=engine).item() == 1.0
    with pytest.raises(TypeError, match=r"use dm\.sin, dm\.stack and the like"):
        dm.jacobian(Bare(), [0.0], engine="torch")


def test_gradients_whose_squares_overflow():
    network = dm.models.get("linear", units=6, gain=1e160)
    logs = dm.gradient_norms(network, lags=20).log_state_gradient
    np.testing.assert_allclose(
        logs,
        dm.theory.linear_gradient(network.W, np.arange(21)).log_state_gradient,
        rtol=1e-9,
        atol=1e-9,
    )


def test_the_sum_rule_of_small_frames():
    class Product(dm.Map):
        inputs = 100

        def rule(self, x, u):
            return x @ u.reshape(10, 10).T

    for seed in range(3):
        found = dm.lyapunov_spectrum(
            Product(),
            np.zeros(10),
            duration=1000,
            drive=lambda rng, steps: rng.standard_normal((steps, 100)),
            rng=seed,
        )
        assert abs(found.sum_residual) < 1e-10


def test_a_step_that_is_too_long_is_noted():
    found = dm.lyapunov_spectrum(dm.systems.get("lorenz63"), [1.0, 1.0, 20.0], duration=60, dt=0.15)
    assert not found.converged and "too long" in found.attrs["note"]


@pytest.mark.parametrize(
    "options",
    [
        {"duration": "10"},
        {"duration": -1},
        {"duration": 5, "exponents": np.nan},
        {"duration": 5, "drive": "noise"},
        {"duration": 5, "tolerance": -1.0},
        {"duration": 5, "drive": 1.0},
    ],
)
def test_bad_options_get_a_sentence(options):
    with pytest.raises(ValueError, match=r"must be|takes no input"):
        dm.lyapunov_spectrum(dm.systems.get("lorenz63"), **options)


@pytest.mark.parametrize("lags", [-1, 2.5, np.nan, "a", None, []])
def test_bad_lags(lags):
    with pytest.raises(ValueError, match="must be whole numbers"):
        dm.gradient_norms(dm.models.Linear(np.eye(2)), lags=lags)


class Alone(dm.Map):
    """Henon's map for one state alone: of two rows, x[0] is the first state, and not the first
    component of both."""

    states = ("x", "y")

    def rule(self, x, u):
        return dm.stack((1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]))


class Together(dm.Flow):
    """What users write: f(x, A)."""

    f: object = None
    A: np.ndarray = None
    states = ("x", "y")

    def rule(self, x, u):
        return self.f(x, self.A)


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, A: dm.stack((x[1], -x[0])),
        lambda x, A: A @ x,
        lambda x, A: -x if x[..., 0] > 0.0 else x,
        lambda x, A: -x * (x * x).sum(),
    ],
)
def test_a_rule_for_one_state_is_not_fed_many(rule):
    """The orbits of two starts were silently mixed, or the error was Python's."""
    system = Together(rule, np.array([[0.0, 1.0], [-1.0, 0.0]]))
    for call in (
        lambda: dm.lyapunov_spectrum(system, [1.0, 0.0], duration=5),
        lambda: dm.orbit(system, np.eye(2), duration=5, dt=0.1),
        lambda: dm.fixed_points(system),
        lambda: dm.megno(system, np.eye(2), duration=5, dt=0.1),
    ):
        with pytest.raises(
            ShapeError,
            match=r"serves one state.*x\[\.\.\., i\] for a component, "
            r"x @ A.T for a matrix",
        ):
            call()


def test_a_map_for_one_state_serves_one():
    alone, henon = Alone(), dm.systems.get("henon")
    found, expected = (
        dm.lyapunov_spectrum(system, [0.1, 0.1], duration=20, transient=2).lyapunov
        for system in (alone, henon)
    )
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(
        dm.orbit(alone, [0.1, 0.1], duration=3).x,
        dm.orbit(henon, [0.1, 0.1], duration=3).x,
        atol=1e-14,
    )
    with pytest.raises(ShapeError, match="serves one state"):
        dm.orbit(alone, [[0.1, 0.1], [0.2, 0.1]], duration=3)


def test_parameters_that_are_no_numbers_are_named():
    with pytest.raises(NotFiniteError, match="velocity of Lorenz63.*rho=nan"):
        dm.lyapunov_spectrum(dm.systems.flows.Lorenz63(rho=np.nan), duration=5)
    with pytest.raises(
        ShapeError,
        match=r"rule of Lorenz63 returned.*an array \(rho\) must fit "
        r"it, and several systems are a list",
    ):
        dm.lyapunov_spectrum(dm.systems.flows.Lorenz63(rho=np.array([10.0, 28.0])), duration=5)


LOGISTIC = dm.orbit(dm.systems.get("logistic", r=3.97), [0.3], duration=1500).x.values[:, 0]


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_a_series_in_any_unit(scale):
    """The 0-1 test called chaos of size 1e-200 regular, and gave NaN for 1e200."""
    assert (
        pytest.approx(zero_one_test(LOGISTIC).K.item(), abs=1e-9)
        == zero_one_test(scale * LOGISTIC).K
    )
    plain, scaled = (series_exponent(x, surrogates=3) for x in (LOGISTIC, scale * LOGISTIC))
    assert scaled.lyapunov == pytest.approx(plain.lyapunov.item(), abs=1e-9)
    np.testing.assert_allclose(scaled.divergence, plain.divergence + np.log(scale), atol=1e-9)


def test_a_lost_direction_has_no_error():
    class Copied(dm.Map):
        states = ("x", "y")

        def rule(self, x, u):
            p = x[..., 0]
            return dm.stack((4.0 * p * (1.0 - p), p))

    found = finite_time_exponents(Copied(), [0.3, 0.2], duration=200, window=5)
    assert (
        found.lyapunov[1] == -np.inf
        and found.lyapunov_error[1] == 0.0
        and found.lyapunov_error[0] > 0.0
    )


def test_a_whole_number_as_the_default_of_a_float():
    """``r: float = 3`` is how users write it."""

    class Parabola(dm.Map):
        r: float = 3
        states = ("x",)

        def rule(self, x, u):
            return self.r * x * (1.0 - x)

    assert dm.bifurcation(Parabola(), "r", [2.9, 3.2], transient=2000).period.values.tolist() == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: covariant_vectors(dm.systems.get("henon"), duration="a"),
            "duration = 'a': must be a finite time",
        ),
        (lambda: covariant_vectors(dm.systems.get("henon"), duration=-1), "duration = -1: must be"),
        (
            lambda: covariant_vectors(dm.systems.get("henon"), duration=10, samples=np.nan),
            "samples = nan: must be a whole number",
        ),
        (
            lambda: finite_time_exponents(dm.systems.get("henon"), duration=np.nan, window=2),
            "duration = nan: must be",
        ),
        (
            lambda: zero_one_test(LOGISTIC, frequencies="a"),
            "frequencies = 'a': must be a whole number",
        ),
        (lambda: series_exponent(LOGISTIC, delay=np.nan), "delay = nan: must be a whole number"),
        (
            lambda: series_exponent(LOGISTIC, surrogates=-1),
            "surrogates = -1: must be a whole number",
        ),
        (lambda: series_exponent(LOGISTIC, dt="a"), "dt = 'a'"),
        (
            lambda: conditional_exponents(dm.systems.get("henon"), responding=["y"], duration=0),
            "duration = 0 is less than one step",
        ),
        (
            lambda: conditional_exponents(
                dm.systems.get("henon"), responding=["y"], duration=9, exponents="a"
            ),
            "exponents = 'a': must be a whole number",
        ),
        (
            lambda: echo_state(dm.models.Tanh.random(2, 1), duration=0),
            "duration = 0 is less than one step",
        ),
        (
            lambda: echo_state(dm.models.Tanh.random(2, 1), np.zeros((1, 2)), duration=9),
            "at least two copies",
        ),
        (
            lambda: echo_state(dm.models.Tanh.random(2, 1), duration=9, spread=np.nan),
            "spread = nan",
        ),
        (
            lambda: echo_state(dm.models.Tanh.random(2, 1), duration=9, replicas="a"),
            "replicas = 'a': must be a whole number",
        ),
        (lambda: fixed_points(dm.systems.get("henon"), box=3), "box = 3: pass .low, high."),
        (lambda: fixed_points(dm.systems.get("henon"), box=("a", "b")), "pass .low, high."),
        (
            lambda: fixed_points(dm.systems.get("henon"), starts=np.nan),
            "starts = nan: must be a whole number",
        ),
        (
            lambda: fixed_points(dm.systems.get("henon"), tolerance="a"),
            "tolerance = 'a'",
        ),
        (
            lambda: period_doublings(dm.systems.get("logistic"), "r", 2.9, 3.6, doublings=1.5),
            "doublings = 1.5: must be a whole number",
        ),
        (
            lambda: dm.bifurcation(
                dm.systems.get("lorenz63"),
                "rho",
                [28.0],
                transient=1,
                duration=1,
                dt=0.01,
                section=7,
            ),
            "component 7: Lorenz63 has 3",
        ),
        (
            lambda: dm.bifurcation(
                dm.systems.get("lorenz63"),
                "rho",
                [28.0],
                transient=1,
                duration=1,
                dt=0.01,
                section=("z", np.nan),
            ),
            "section = nan",
        ),
        (
            lambda: dm.bifurcation(
                dm.systems.get("logistic"), "r", [3.2], transient=1, samples="a"
            ),
            "samples = 'a': must be a whole number",
        ),
        (
            lambda: dm.lyapunov_spectrum(dm.systems.get("henon"), duration=9, tolerance="a"),
            "tolerance = 'a'",
        ),
        (
            lambda: dm.FlowMap(dm.systems.get("lorenz63"), dt="a"),
            "dt = 'a': must be a finite number",
        ),
        (
            lambda: dm.lyapunov_spectrum([dm.systems.get("lorenz63")] * 2, duration="a"),
            "duration = 'a': must be a finite time",
        ),
        (
            lambda: dm.lyapunov_spectrum(
                dm.models.Tanh.random(2, 1), duration=9, drive=1j * np.ones((99, 1))
            ),
            "drive is complex",
        ),
        (
            lambda: dm.orbit(dm.systems.get("lorenz63"), duration=1, rtol=np.nan),
            "rtol = nan: must be from 2.0e-14 to 1",
        ),
        (lambda: dm.orbit(dm.systems.get("lorenz63"), duration=1, rtol=0.0), "rtol = 0.0: must be"),
        (lambda: dm.orbit(dm.systems.get("lorenz63"), duration=1, rtol="a"), "rtol = 'a': must be"),
        (lambda: dm.systems.get("lorenz63", rho="28"), "rho = '28': must be a finite number"),
        (lambda: dm.systems.get("lorenz63", rho=None), "rho = None: must be a finite number"),
    ],
)
def test_what_makes_no_sense_is_named(call, message):
    """Each ended in an error of Python's or numpy's own, or in a silent NaN."""
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_drive_that_is_lost_is_named():
    with pytest.raises(NotFiniteError, match="the drive returned NaN or infinity at step 3"):
        dm.lyapunov_spectrum(
            dm.models.Tanh.random(2, 1),
            duration=9,
            drive=lambda rng, steps: np.where(np.arange(steps) == 3, np.inf, 0.0)[:, None],
        )


def test_both_integrators_run_backward():
    """A negative dt with ``rtol`` once ran forward in silence."""
    lorenz, x = dm.systems.get("lorenz63"), [1.0, 1.0, 20.0]
    adaptive, fixed = (
        dm.orbit(lorenz, x, duration=0.5, dt=-0.01, rtol=rtol) for rtol in (1e-11, None)
    )
    np.testing.assert_allclose(adaptive.time, fixed.time, atol=1e-12)
    np.testing.assert_allclose(adaptive.x, fixed.x, rtol=1e-4)
    back = dm.orbit(lorenz, adaptive.x[-1], duration=0.5, rtol=1e-11).x[-1]
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_a_jacobian_that_is_lost_is_named_as_such():
    class Edge(dm.Map):
        states = ("x",)

        def rule(self, x, u):
            return dm.sqrt(x)

    with pytest.raises(NotFiniteError, match="Jacobian not finite at step 1 of 50"):
        dm.lyapunov_spectrum(Edge(), [0.0], duration=50, transient=0)
