"""Forecasters trained by gradient descent with sparse teacher forcing."""

import time

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.training import fit_forecaster
from dynmem.training.forecast_skill import learned_dynamics, valid_time
from dynmem.training.forecaster import WARMUP_STEPS, untrained_forecaster
from dynmem.training.orbit_data import forcing_interval
from dynmem.training.teacher_forcing import Forced, judging_windows


def test_forcing_interval_is_a_doubling_time(lorenz):
    assert forcing_interval(lorenz) == round(np.log(2) / 0.02)
    with pytest.raises(ValueError, match="no Lyapunov time"):
        forcing_interval(
            lorenz.assign_attrs(
                {k: v for k, v in lorenz.attrs.items() if k != "lyapunov_time"}
            ).pipe(lambda d: d.drop_attrs().assign_attrs(sampling_step=1.0))
        )


def test_the_truth_is_read_every_forcing_steps(lorenz):
    loop = untrained_forecaster(dm.models.get("lstm", units=4, inputs=3, outputs=3, rng=1), lorenz)
    z = torch.as_tensor(loop.standard(lorenz.x.values[:60]))[None]
    sparse = Forced(loop.model, loop.gain, 7, "float64")(z)[0].detach().numpy()
    x = np.concatenate((np.zeros(8), np.zeros(3)))
    for t in range(60):
        if t < WARMUP_STEPS or (t - WARMUP_STEPS) % 7 == 0:
            x[8:] = z[0, t]
        x = loop.rule(x, None)
        np.testing.assert_allclose(sparse[t], x[8:], atol=1e-12)
    dense = Forced(loop.model, loop.gain, 1, "float64")
    np.testing.assert_allclose(
        dense(z).detach(), Forced(loop.model, loop.gain, 1, "float64").eval()(z).detach()
    )
    assert not np.allclose(dense(z)[0].detach(), sparse)


@pytest.mark.parametrize("forcing", [1, None])
def test_training_lowers_the_loss_with_the_same_bits(lorenz, forcing):
    model = dm.models.get("gru", units=8, inputs=3, outputs=3)
    runs = [
        fit_forecaster(
            model, lorenz, steps=20, forcing=forcing, batch=8, window=60, learning_rate=1e-2
        )
        for _ in range(2)
    ]
    assert runs[0][1].identical(runs[1][1])
    loss = runs[0][1].training_loss.values
    assert loss[-5:].mean() < 0.8 * loss[:3].mean()
    again, _ = fit_forecaster(runs[0][0], lorenz, steps=1, forcing=1, batch=8)
    np.testing.assert_array_equal(again.mean, runs[0][0].mean)


def test_trained_by_name_with_a_verdict_of_the_test(lorenz):
    """A forecast better than standing still by the required margin is learned; after one step none
    is."""
    trained, history = fit_forecaster(
        "gru", lorenz, units=16, steps=60, forcing=1, batch=16, window=50, learning_rate=2e-2
    )
    assert trained.model.size == 16 and history.floor == 1.0 and history.pass_ratio == 0.1
    assert history.learned == 1 and history.test_loss + 2 * history.test_loss_error < 0.1
    _, history = fit_forecaster("gru", lorenz, units=16, steps=1, forcing=1, batch=16, window=50)
    assert history.learned == 0 and history.test_loss > 0.5


def test_callback_and_device_of_a_forecaster(lorenz):
    seen = []
    options = {"units": 4, "steps": 3, "forcing": 1, "batch": 2, "window": 30}
    plain, history = fit_forecaster("gru", lorenz, **options)
    moved, _ = fit_forecaster(
        "gru", lorenz, device="cpu", callback=lambda step, row: seen.append((step, row)), **options
    )
    np.testing.assert_array_equal(plain.model.R, moved.model.R)
    assert [step for step, _ in seen] == [1, 2, 3]
    assert [row["training_loss"] for _, row in seen] == history.training_loss.values.tolist()
    assert set(seen[0][1]) == {"training_loss", "gradient_norm"}
    assert set(history) == {
        "training_loss",
        "gradient_norm",
        "test_loss",
        "test_loss_error",
        "learned",
    }


@pytest.mark.parametrize("samples, steps, count", [(3000, 40, 64), (500, 40, 23), (60, 50, 2)])
def test_windows_that_judge_a_forecast_score_no_step_twice(samples, steps, count):
    """Else they are no independent sample, and the error of their mean is too small; of less than
    two there would be none."""
    _, targets = judging_windows([torch.arange(float(samples))[:, None]], steps)
    seen = targets[:, WARMUP_STEPS:, 0].flatten().tolist()
    assert len(seen) == count * (steps - WARMUP_STEPS)
    assert count == 2 or len(set(seen)) == len(seen)


@pytest.mark.slow  # 5000 steps of gradient descent: one to two minutes of one processor
def test_a_gru_learns_lorenz():
    data = dm.datasets.load("lorenz63", samples=40_000)
    began = time.process_time()
    trained, history = fit_forecaster(
        dm.models.get("gru", units=64, inputs=3, outputs=3),
        data,
        steps=5000,
        forcing=1,
        window=50,
        learning_rate=5e-3,
    )
    assert time.process_time() - began < 1200  # ten minutes of two cores
    assert float(history.training_loss[-50:].median()) < 1e-4  # single steps of so high a rate jump
    times = valid_time(trained, data, starts=60, longest=12.0)
    assert float(times.mean_valid_time) > 4.0
    found = learned_dynamics(trained, data, times=300.0, exponents=2)
    assert abs(float(found.lyapunov[0]) / 0.9056 - 1) < 0.1  # Sprott (2003)
    assert abs(float(found.lyapunov[1])) < 0.03
    assert float(found.state_distance) < 2 * float(found.state_distance_floor)


GRU = dm.models.get("gru", units=2, inputs=3, outputs=3)

WRONG = dm.datasets.load("hopfield_recall", trials=10, units=5, stored=2)


BAD = [
    (
        lambda d: fit_forecaster(dm.models.get("gru", units=2, inputs=3, outputs=3), d, steps=0),
        ValueError,
        "steps = 0",
    ),
    (
        lambda d: fit_forecaster(dm.models.get("gru", units=2, inputs=3, outputs=3), d, window=10),
        ValueError,
        "window = 10",
    ),
    (
        lambda d: fit_forecaster(
            dm.models.get("gru", units=2, inputs=3, outputs=3), d, window=10**6
        ),
        ShapeError,
        "too few for windows",
    ),
    (lambda d: fit_forecaster(GRU, 3), ShapeError, "a forecast needs x.time, state.*got int"),
    (
        lambda d: fit_forecaster(GRU, WRONG),
        ShapeError,
        "a forecast needs x.time, state.*got a Dataset of activity, .*patterns",
    ),
    (
        lambda d: fit_forecaster(GRU, d, rng="a"),
        ValueError,
        "rng = 'a': pass a whole number of at least 0",
    ),
    (lambda d: fit_forecaster("grru", d), UnknownNameError, "no model is called 'grru'"),
    (lambda d: fit_forecaster(3, d), TypeError, "Map"),
    (
        lambda d: fit_forecaster(GRU, d, learning_rate=-1, noise="a", clip=0),
        ValueError,
        "learning_rate = -1: .*\nclip = 0.*\nnoise = 'a': must be",
    ),
    (lambda d: fit_forecaster(GRU, d, units=0), ValueError, "units = 0"),
    (lambda d: fit_forecaster(GRU, d, dtype="int8"), ValueError, "must be float32 or float64"),
    (lambda d: fit_forecaster(GRU, d, forcing=0), ValueError, "forcing = 0"),
    (
        lambda d: fit_forecaster(
            untrained_forecaster(GRU, d), dm.datasets.load("henon", samples=500), forcing=1
        ),
        ShapeError,
        "has 3 components and the orbit 2",
    ),
    (
        lambda d: dm.fit(untrained_forecaster(GRU, d), d, steps=1),
        TypeError,
        "dm.training.fit_forecaster",
    ),
    (
        lambda d: fit_forecaster(GRU, dm.datasets.load("lorenz63", samples=1000, rho=[20.0, 28.0])),
        ShapeError,
        r"data.isel\(parameter=0\)",
    ),
    (lambda d: forcing_interval(3), ShapeError, "got int"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_says_what_to_do(lorenz, call, error, message):
    with pytest.raises(error, match=message):
        call(lorenz)
