"""Readouts in closed form, and echo-state networks that forecast."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import ShapeError
from dynmem.training.forecast_skill import learned_dynamics, valid_time
from dynmem.training.readout import echo_state_forecaster, ridge_readout


def test_ridge_is_the_minimum(lorenz):
    u = lorenz.x.values[:400] / 10.0
    net = dm.models.get("esn", units=20, inputs=3, outputs=3, rng=2, leak=0.7)
    made = ridge_readout(net, u[:-1], u[1:], washout=50, ridge=1e-2)

    def cost(R, a):
        h = made.layers[0].run(np.zeros(20), u[:-1])[0][50:]
        return np.sum((h @ R.T + a - u[51:]) ** 2) + 1e-2 * np.sum(R**2)

    best, rng = cost(made.R, made.a), np.random.default_rng(0)
    for _ in range(10):
        assert cost(made.R + 1e-3 * rng.standard_normal(made.R.shape), made.a) > best
        assert cost(made.R, made.a + 1e-3 * rng.standard_normal(3)) > best


def test_a_named_model_is_drawn(lorenz):
    assert echo_state_forecaster("esn", lorenz, units=20).model.size == 20


def test_reservoir_forgets_its_start_and_has_its_radius():
    reservoir = dm.models.ESN.random(60, 2, rng=3, spectral_radius=0.8)
    assert dm.spectral_radius(reservoir.W) == pytest.approx(0.8)
    u = np.random.default_rng(0).standard_normal((200, 2))
    ends = [reservoir.run(x, u)[1] for x in np.random.default_rng(1).standard_normal((2, 60))]
    np.testing.assert_allclose(*ends, atol=1e-12)


def test_echo_state_network_learns_lorenz(esn, lorenz):
    times = valid_time(esn, lorenz, starts=40, longest=12.0)
    assert float(times.mean_valid_time) > 4.0 + 3 * float(times.mean_valid_time_error)
    found = learned_dynamics(esn, lorenz, times=150.0, exponents=2)
    assert abs(float(found.lyapunov[0]) - 0.9056) < 0.09 + 2 * float(found.lyapunov_error[0])
    assert abs(float(found.lyapunov[1])) < 0.06  # a flow has an exponent of 0
    assert float(found.state_distance) < 2 * float(found.state_distance_floor)
    assert abs(found.spread_ratio - 1).max() < 0.1


GRU = dm.models.get("gru", units=2, inputs=3, outputs=3)


BAD = [
    (
        lambda d: dm.models.get("esn", units=4, spectral_radius="a"),
        ValueError,
        "spectral_radius = 'a'",
    ),
    (lambda d: echo_state_forecaster(GRU, 3), ShapeError, "got int"),
    (lambda d: echo_state_forecaster(GRU, d, rng="a"), ValueError, "rng = 'a'"),
    (
        lambda d: echo_state_forecaster(GRU, d, noise=-1, ridge="a"),
        ValueError,
        "noise = -1: .*\nridge = 'a': must be a finite number of at least 0",
    ),
    (
        lambda d: echo_state_forecaster(dm.models.get("esn", units=4, inputs=3), d),
        ShapeError,
        "as many of each",
    ),
    (
        lambda d: ridge_readout(
            dm.models.get("esn", units=4, inputs=1), np.ones((9, 1)), np.ones((9, 1))
        ),
        ShapeError,
        "no readout",
    ),
    (
        lambda d: ridge_readout(
            dm.models.get("esn", units=4, inputs=1, outputs=1), np.ones((9, 2)), np.ones((9, 1))
        ),
        ShapeError,
        "do not fit",
    ),
    (
        lambda d: ridge_readout(
            dm.models.get("esn", units=4, inputs=1, outputs=1),
            np.ones((9, 1)),
            np.ones((9, 1)),
            washout=9,
        ),
        ValueError,
        "washout",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_says_what_to_do(lorenz, call, error, message):
    with pytest.raises(error, match=message):
        call(lorenz)
