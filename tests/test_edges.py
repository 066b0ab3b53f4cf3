"""What strangers tried: systems and inputs at the edges, each a fault once."""

from dataclasses import dataclass

import numpy as np
import pytest

import dynmem as dm
from dynmem import NotFiniteError, ShapeError


@dataclass(frozen=True, eq=False)
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
        np.testing.assert_allclose(dm.lyapunov_spectrum(system, duration=300, drive=0.3, exponents=k).lyapunov, whole[:k], atol=1e-12)


def test_an_ensemble_of_flows_shares_a_step():
    found = dm.lyapunov_spectrum([dm.systems.get("lorenz63", rho=r) for r in (10.0, 28.0)], duration=5)
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
        with pytest.raises(NotFiniteError, match="state not finite at step"):
            dm.lyapunov_spectrum(system, [1.0], duration=10)


def test_what_has_no_derivative_is_refused():
    with pytest.raises(NotFiniteError, match="not finite at the start"):
        dm.lyapunov_spectrum(Root(), [1.0], duration=10)
    for engine in ("dual", "torch", "symbolic"):
        with pytest.raises(NotFiniteError, match=r"Jacobian of Root is not finite at x = \[1\.\]"):
            dm.jacobian(Root(), [1.0], engine=engine)


def test_a_rule_in_numpy_is_told_what_to_use():
    assert dm.jacobian(Bare(), [0.0]).item() == 1.0
    for engine in ("torch", "symbolic"):
        with pytest.raises(TypeError, match=r"use dm\.sin, dm\.stack and their kin"):
            dm.jacobian(Bare(), [0.0], engine=engine)


def test_gradients_whose_squares_overflow():
    network = dm.models.get("linear", units=6, gain=1e160)
    logs = dm.gradient_norms(network, lags=20).log_state_gradient
    np.testing.assert_allclose(logs, dm.theory.linear_gradient(network.W, np.arange(21)).log_state_gradient, rtol=1e-9, atol=1e-9)


def test_the_sum_rule_of_small_frames():
    class Product(dm.Map):
        inputs = 100

        def rule(self, x, u):
            return x @ u.reshape(10, 10).T

    for seed in range(3):
        found = dm.lyapunov_spectrum(Product(), np.zeros(10), duration=1000, drive=lambda rng, steps: rng.standard_normal((steps, 100)), rng=seed)
        assert abs(found.sum_residual) < 1e-10


def test_a_step_that_is_too_long_is_said():
    found = dm.lyapunov_spectrum(dm.systems.get("lorenz63"), [1.0, 1.0, 20.0], duration=60, dt=0.15)
    assert not found.converged and "too long" in found.attrs["note"]


@pytest.mark.parametrize("options", [{"duration": "10"}, {"duration": None}, {"duration": 5, "exponents": np.nan}, {"duration": 5, "drive": "noise"},
                                     {"duration": 5, "tolerance": -1.0}, {"duration": 5, "drive": 1.0}])
def test_bad_options_get_a_sentence(options):
    with pytest.raises(ValueError, match=r"must be|takes no input"):
        dm.lyapunov_spectrum(dm.systems.get("lorenz63"), **options)


@pytest.mark.parametrize("lags", [-1, 2.5, np.nan, "a", None, []])
def test_bad_lags(lags):
    with pytest.raises(ValueError, match="must be whole numbers"):
        dm.gradient_norms(dm.models.Linear(np.eye(2)), lags=lags)


class Alone(dm.Map):
    """Henon's map for one state alone: of two rows, x[0] is the first state, and not the first component of both."""

    states = ("x", "y")

    def rule(self, x, u):
        return dm.stack((1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]))


@dataclass(frozen=True, eq=False)
class Together(dm.Flow):
    """What users write: f(x, A)."""

    f: object = None
    A: np.ndarray = None
    states = ("x", "y")

    def rule(self, x, u):
        return self.f(x, self.A)


@pytest.mark.parametrize("rule", [
    lambda x, A: dm.stack((x[1], -x[0])),
    lambda x, A: A @ x,
    lambda x, A: -x if x[..., 0] > 0.0 else x,
    lambda x, A: -x * (x * x).sum(),
])
def test_a_rule_for_one_state_is_not_fed_many(rule):
    """The orbits of two starts were silently mixed, or the error was Python's."""
    system = Together(rule, np.array([[0.0, 1.0], [-1.0, 0.0]]))
    for call in (lambda: dm.lyapunov_spectrum(system, [1.0, 0.0], duration=5), lambda: dm.orbit(system, np.eye(2), duration=5, dt=0.1),
                 lambda: dm.fixed_points(system), lambda: dm.megno(system, np.eye(2), duration=5, dt=0.1)):
        with pytest.raises(ShapeError, match=r"serves one state.*x\[\.\.\., i\] for a component, x @ A.T for a matrix"):
            call()


def test_a_map_for_one_state_serves_one():
    alone, henon = Alone(), dm.systems.get("henon")
    found = dm.lyapunov_spectrum(alone, [0.1, 0.1], duration=20).lyapunov
    np.testing.assert_allclose(found, dm.lyapunov_spectrum(henon, [0.1, 0.1], duration=20).lyapunov, atol=1e-9)
    np.testing.assert_array_equal(dm.orbit(alone, [0.1, 0.1], duration=3).x, dm.orbit(henon, [0.1, 0.1], duration=3).x)
    with pytest.raises(ShapeError, match="serves one state"):
        dm.orbit(alone, [[0.1, 0.1], [0.2, 0.1]], duration=3)


def test_parameters_that_are_no_numbers_are_named():
    with pytest.raises(NotFiniteError, match="velocity of Lorenz63.*rho=nan"):
        dm.lyapunov_spectrum(dm.systems.flows.Lorenz63(rho=np.nan), duration=5)
    with pytest.raises(ShapeError, match=r"rule of Lorenz63 returned.*an array \(rho\) must fit it, and several systems are a list"):
        dm.lyapunov_spectrum(dm.systems.flows.Lorenz63(rho=np.array([10.0, 28.0])), duration=5)
