"""The closed loop of a forecaster as a map."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.training.forecaster import Forecaster, untrained_forecaster


def test_the_closed_loop_is_the_open_one_fed_by_hand(lorenz):
    model = dm.models.get("gru", units=5, inputs=3, outputs=3, rng=1)
    loop = untrained_forecaster(model, lorenz)
    y = lorenz.x.values[:50]
    x = loop.warmed_up(y)
    h, z = model.initial() * 0.0, None
    for value in y[:-1]:
        h = model.rule(h, loop.standard(value))
    np.testing.assert_allclose(x[:5], h, atol=1e-14)
    z = loop.standard(y[-1])
    for _ in range(10):
        h = model.rule(h, z)
        z = z + loop.gain * model.output(h, z)
    run = dm.orbit(loop, x, duration=10 * loop.dt).x.values[-1]
    np.testing.assert_allclose(run, np.concatenate((h, z)), atol=1e-13)
    np.testing.assert_allclose(loop.output(run, None), loop.mean + loop.scale * z, atol=1e-12)


GRU = dm.models.get("gru", units=2, inputs=3, outputs=3)


BAD = [
    (
        lambda d: Forecaster(
            dm.models.get("gru", units=2, inputs=3), np.ones(3), np.ones(3), np.ones(3)
        ),
        ShapeError,
        "as many of each",
    ),
    (
        lambda d: Forecaster(
            dm.models.get("gru", units=2, inputs=3, outputs=3), np.ones(2), np.ones(3), np.ones(3)
        ),
        ShapeError,
        "mean has shape",
    ),
    (
        lambda d: untrained_forecaster(
            dm.models.get("gru", units=2, inputs=3, outputs=3), d.drop_vars("x")
        ),
        ShapeError,
        "load an orbit",
    ),
    (
        lambda d: Forecaster(GRU, np.ones(3), np.zeros(3), np.ones(3)),
        NotFiniteError,
        "scale = .*above 0",
    ),
    (
        lambda d: Forecaster(GRU, np.ones(3), np.ones(3), np.ones(3), dt=0.0),
        ValueError,
        "dt = 0.0: must be a finite number above 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_says_what_to_do(lorenz, call, error, message):
    with pytest.raises(error, match=message):
        call(lorenz)
