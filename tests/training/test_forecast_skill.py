"""Valid times, and the dynamics that were learned, of a model that knows the law."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.training.forecast_skill import learned_dynamics, state_distance, valid_time
from dynmem.training.forecaster import untrained_forecaster


class Perfect(dm.Map):
    """A model without memory that knows the Henon map: its output is the increment, in units of
    the gain."""

    inputs = outputs = 2
    size = 0
    states = ()

    def __init__(self, data):
        made = untrained_forecaster(dm.models.get("tanh", units=1, inputs=2, outputs=2), data)
        object.__setattr__(self, "scales", (made.mean, made.scale, made.gain))

    def rule(self, x, u):
        return x

    def output(self, x, u):
        mean, scale, gain = self.scales
        y = mean + scale * u
        following = dm.stack((1.0 - 1.4 * y[..., 0] * y[..., 0] + y[..., 1], 0.3 * y[..., 0]))
        return (following - y) / scale / gain


def test_a_model_that_knows_the_law_forecasts_to_rounding():
    data = dm.datasets.load("henon", samples=3000)
    perfect = untrained_forecaster(Perfect(data), data)
    times = valid_time(perfect, data, starts=20, warmup=2, longest=20.0)
    assert times.still_valid == 1.0 and float(times.error[:3].max()) < 1e-13
    # errors of rounding grow at lambda_1 = 0.419 a step: after 20 Lyapunov times by e^20 = 5e8
    assert 1e-11 < float(times.error[-1].mean()) < 1e-4
    found = learned_dynamics(perfect, data, times=400.0)
    np.testing.assert_allclose(
        found.lyapunov, found.true_lyapunov, atol=5 * float(found.lyapunov_error.max()) + 2e-3
    )
    assert float(found.state_distance) < 1.5 * float(found.state_distance_floor)


def test_distances():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3))
    assert state_distance(x, x) == 0.0
    assert state_distance(x, 0.1 * x) > state_distance(x, 0.9 * x)
    assert np.isfinite(state_distance(x, x + 100.0))


def test_too_short_a_part_says_how_many_are_needed(esn, lorenz):
    with pytest.raises(ValueError, match="load more samples"):
        valid_time(esn, lorenz.isel(time=slice(0, 20_000)), starts=50)


GRU = dm.models.get("gru", units=2, inputs=3, outputs=3)

WRONG = dm.datasets.load("hopfield_recall", trials=10, units=5, stored=2)


BAD = [
    (lambda d: valid_time(GRU, d), TypeError, "expected a Forecaster, .* got Network"),
    (lambda d: valid_time(untrained_forecaster(GRU, d), 3), ShapeError, "got int"),
    (
        lambda d: valid_time(untrained_forecaster(GRU, d), d, part="tests"),
        UnknownNameError,
        "no part is called 'tests'",
    ),
    (
        lambda d: valid_time(
            untrained_forecaster(GRU, d), d, starts=1, warmup=0, longest=0.0, threshold=-1
        ),
        ValueError,
        "starts = 1.*\nwarmup = 0.*\nthreshold = -1.*\nlongest = 0.0",
    ),
    (
        lambda d: valid_time(untrained_forecaster(GRU, d), dm.datasets.load("henon", samples=500)),
        ShapeError,
        "has 3 components and the orbit 2",
    ),
    (lambda d: learned_dynamics(GRU, d), TypeError, "expected a Forecaster"),
    (
        lambda d: learned_dynamics(untrained_forecaster(GRU, d), WRONG),
        ShapeError,
        "a forecast needs",
    ),
    (
        lambda d: learned_dynamics(untrained_forecaster(GRU, d), d, times=-1, bins=1, warmup=0),
        ValueError,
        "warmup = 0.*\nbins = 1.*\ntimes = -1",
    ),
    (
        lambda d: learned_dynamics(untrained_forecaster(GRU, d), d, exponents=4),
        ValueError,
        "states 3 exponents",
    ),
    (
        lambda d: learned_dynamics(
            untrained_forecaster(GRU, d), d.assign_attrs(lyapunov_time=None)
        ),
        ValueError,
        "neither a lyapunov_time",
    ),
    (
        lambda d: learned_dynamics(
            untrained_forecaster(GRU, d),
            d.drop_attrs().assign_attrs(sampling_step=0.02, lyapunov_time=1.1),
        ),
        ValueError,
        "states no exponents",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_says_what_to_do(lorenz, call, error, message):
    with pytest.raises(error, match=message):
        call(lorenz)
