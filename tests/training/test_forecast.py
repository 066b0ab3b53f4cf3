"""Forecasts: the closed loop as a map, readouts in closed form, valid times, and the dynamics that
were learned."""

import time

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import DamageError, NotFiniteError, ShapeError, UnknownNameError
from dynmem.training import fit_forecaster, forecast as module, load, save
from dynmem.training.forecast import (
    Forecaster,
    echo_state_forecaster,
    forcing_interval,
    learned_dynamics,
    state_distance,
    valid_time,
)
from dynmem.training.readout import ridge_readout
from dynmem.training.teacher_forcing import WARMUP, Forced, _tested


@pytest.fixture(scope="module")
def lorenz():
    return dm.datasets.load("lorenz63", samples=24_000)


@pytest.fixture(scope="module")
def esn(lorenz):
    model = dm.models.get(
        "esn", units=300, inputs=3, outputs=3, spectral_radius=0.5, input_gain=0.3
    )
    return echo_state_forecaster(model, lorenz, ridge=1e-7, noise=1e-4)


class Perfect(dm.Map):
    """A model without memory that knows the Henon map: what it should say is the increment, in
    units of the gain."""

    inputs = outputs = 2
    size = 0
    states = ()

    def __init__(self, data):
        made = module.forecaster(dm.models.get("tanh", units=1, inputs=2, outputs=2), data)
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
    perfect = module.forecaster(Perfect(data), data)
    times = valid_time(perfect, data, starts=20, warm=2, longest=20.0)
    assert times.still_valid == 1.0 and float(times.error[:3].max()) < 1e-13
    # errors of rounding grow at lambda_1 = 0.419 a step: after 20 Lyapunov times by e^20 = 5e8
    assert 1e-11 < float(times.error[-1].mean()) < 1e-4
    found = learned_dynamics(perfect, data, times=400.0)
    np.testing.assert_allclose(
        found.lyapunov, found.true_lyapunov, atol=5 * float(found.lyapunov_error.max()) + 2e-3
    )
    assert float(found.state_distance) < 1.5 * float(found.state_distance_floor)


def test_the_closed_loop_is_the_open_one_fed_by_hand(lorenz):
    model = dm.models.get("gru", units=5, inputs=3, outputs=3, rng=1)
    loop = module.forecaster(model, lorenz)
    y = lorenz.x.values[:50]
    x = loop.warmed(y)
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


def test_forcing_interval_is_a_doubling_time(lorenz):
    assert forcing_interval(lorenz) == round(np.log(2) / 0.02)
    with pytest.raises(ValueError, match="no Lyapunov time"):
        forcing_interval(
            lorenz.assign_attrs(
                {k: v for k, v in lorenz.attrs.items() if k != "lyapunov_time"}
            ).pipe(lambda d: d.drop_attrs().assign_attrs(sampling_step=1.0))
        )


def test_forced_steps_are_as_said(lorenz):
    loop = module.forecaster(dm.models.get("lstm", units=4, inputs=3, outputs=3, rng=1), lorenz)
    z = torch.as_tensor(loop.standard(lorenz.x.values[:60]))[None]
    sparse = Forced(loop.model, loop.gain, 7, "float64")(z)[0].detach().numpy()
    x = np.concatenate((np.zeros(8), np.zeros(3)))
    for t in range(60):
        if t < WARMUP or (t - WARMUP) % 7 == 0:
            x[8:] = z[0, t]
        x = loop.rule(x, None)
        np.testing.assert_allclose(sparse[t], x[8:], atol=1e-12)
    dense = Forced(loop.model, loop.gain, 1, "float64")
    np.testing.assert_allclose(
        dense(z).detach(), Forced(loop.model, loop.gain, 1, "float64").eval()(z).detach()
    )
    assert not np.allclose(dense(z)[0].detach(), sparse)


@pytest.mark.parametrize("forcing", [1, None])
def test_teaching_lowers_the_loss_with_the_same_bits(lorenz, forcing):
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


def test_taught_by_name_with_a_verdict_of_the_test(lorenz):
    """Who forecasts better than to stand still, by the margin that is asked, has learned; after one
    step none has."""
    taught, history = fit_forecaster(
        "gru", lorenz, units=16, steps=60, forcing=1, batch=16, window=50, learning_rate=2e-2
    )
    assert taught.model.size == 16 and history.floor == 1.0 and history.asked == 0.1
    assert history.learned == 1 and history.test_loss + 2 * history.test_error < 0.1
    _, history = fit_forecaster("gru", lorenz, units=16, steps=1, forcing=1, batch=16, window=50)
    assert history.learned == 0 and history.test_loss > 0.5
    assert echo_state_forecaster("esn", lorenz, units=20).model.size == 20


@pytest.mark.parametrize("name", ["gru", "s4d", "esn"])
def test_a_forecaster_comes_back_from_its_file(lorenz, name, tmp_path):
    """The same bits, and so the same free run."""
    kept, _ = fit_forecaster(name, lorenz, units=4, steps=2, forcing=1, batch=2, window=30)
    save(kept, tmp_path / "f.pt", lambda_1=0.9)
    found = load(tmp_path / "f.pt")
    assert isinstance(found, Forecaster) and found.dt == kept.dt and found.states == kept.states
    heard = lorenz.x.values[:50]
    starts = [system.warmed(heard) for system in (kept, found)]
    np.testing.assert_array_equal(*starts)
    np.testing.assert_array_equal(
        *(dm.orbit(system, starts[0], duration=100 * kept.dt).x.values for system in (kept, found))
    )
    again = load(tmp_path / "f.pt", like=kept)
    np.testing.assert_array_equal(again.gain, kept.gain)
    data = bytearray((tmp_path / "f.pt").read_bytes())
    data[data.index(kept.gain.tobytes())] ^= 1
    (tmp_path / "f.pt").write_bytes(data)
    with pytest.raises(DamageError):
        load(tmp_path / "f.pt")


def test_fit_keeps_the_forecaster_on_disk(tmp_path):
    task = dm.training.task_of(dm.datasets.load("henon", samples=600), steps=30)
    trained, history = dm.fit(
        "gru",
        task,
        units=4,
        steps=4,
        evaluate_every=2,
        checkpoint=tmp_path / "best.pt",
        progress=False,
    )
    found = load(tmp_path / "best.pt")
    np.testing.assert_array_equal(found.model.R, trained.model.R)
    assert found.dt == 1.0 and history.best_step in (2, 4)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"dt": "a"}, "dt = 'a'"),
        ({"dt": -1.0}, "dt = -1.0"),
        ({"mean": 3}, "cannot be: mean has shape"),
        ({"model": None}, "cannot be"),
    ],
)
def test_a_record_of_a_forecaster_that_cannot_be(lorenz, change, words, tmp_path):
    """Right in its checksum, wrong in what it says."""
    import json

    from dynmem.training import checkpoint

    kept = module.forecaster(dm.models.get("tanh", units=2, inputs=3, outputs=3), lorenz)
    described = checkpoint.describe(kept)
    described["fields"] |= change
    record = json.dumps({"system": described, "facts": {}}, sort_keys=True)
    arrays = {
        name: torch.from_numpy(v.copy())
        for name, v in checkpoint.leaves(kept)
        if isinstance(v, np.ndarray)
    }
    torch.save(
        {"weights": arrays, "record": record, "sha256": checkpoint.digest(arrays, record)},
        tmp_path / "f.pt",
    )
    with pytest.raises(DamageError, match=words):
        load(tmp_path / "f.pt")


def test_distances():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3))
    assert state_distance(x, x) == 0.0
    assert state_distance(x, 0.1 * x) > state_distance(x, 0.9 * x)
    assert np.isfinite(state_distance(x, x + 100.0))


@pytest.mark.slow  # 5000 steps of gradient descent: one to two minutes of one processor
def test_a_gru_learns_lorenz():
    data = dm.datasets.load("lorenz63", samples=40_000)
    began = time.process_time()
    taught, history = fit_forecaster(
        dm.models.get("gru", units=64, inputs=3, outputs=3),
        data,
        steps=5000,
        forcing=1,
        window=50,
        learning_rate=5e-3,
    )
    assert time.process_time() - began < 1200  # ten minutes of two cores
    assert float(history.training_loss[-50:].median()) < 1e-4  # single steps of so high a rate jump
    times = valid_time(taught, data, starts=60, longest=12.0)
    assert float(times.mean_valid_time) > 4.0
    found = learned_dynamics(taught, data, times=300.0, exponents=2)
    assert abs(float(found.lyapunov[0]) / 0.9056 - 1) < 0.1  # Sprott (2003)
    assert abs(float(found.lyapunov[1])) < 0.03
    assert float(found.state_distance) < 2 * float(found.state_distance_floor)


GRU = dm.models.get("gru", units=2, inputs=3, outputs=3)
WRONG = dm.datasets.load("hopfield_recall", trials=10, units=5, stored=2)
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
        lambda d: module.forecaster(
            dm.models.get("gru", units=2, inputs=3, outputs=3), d.drop_vars("x")
        ),
        ShapeError,
        "load an orbit",
    ),
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
        "rng = 'a': pass a seed, a whole number of at least 0",
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
            module.forecaster(GRU, d), dm.datasets.load("henon", samples=500), forcing=1
        ),
        ShapeError,
        "has 3 components and the orbit 2",
    ),
    (
        lambda d: dm.fit(module.forecaster(GRU, d), d, steps=1),
        TypeError,
        "dm.training.fit_forecaster",
    ),
    (
        lambda d: fit_forecaster(GRU, dm.datasets.load("lorenz63", samples=1000, rho=[20.0, 28.0])),
        ShapeError,
        r"data.isel\(parameter=0\)",
    ),
    (lambda d: echo_state_forecaster(GRU, 3), ShapeError, "got int"),
    (lambda d: echo_state_forecaster(GRU, d, rng="a"), ValueError, "rng = 'a'"),
    (
        lambda d: echo_state_forecaster(GRU, d, noise=-1, ridge="a"),
        ValueError,
        "noise = -1: .*\nridge = 'a': must be a number of at least 0",
    ),
    (
        lambda d: echo_state_forecaster(dm.models.get("esn", units=4, inputs=3), d),
        ShapeError,
        "as many of each",
    ),
    (lambda d: valid_time(GRU, d), TypeError, "expected a Forecaster, .* got Network"),
    (lambda d: valid_time(module.forecaster(GRU, d), 3), ShapeError, "got int"),
    (
        lambda d: valid_time(module.forecaster(GRU, d), d, name="tests"),
        UnknownNameError,
        "no part is called 'tests'",
    ),
    (
        lambda d: valid_time(
            module.forecaster(GRU, d), d, starts=1, warm=0, longest=0.0, threshold=-1
        ),
        ValueError,
        "starts = 1.*\nwarm = 0.*\nthresh",
    ),
    (
        lambda d: valid_time(module.forecaster(GRU, d), dm.datasets.load("henon", samples=500)),
        ShapeError,
        "has 3 components and the orbit 2",
    ),
    (lambda d: learned_dynamics(GRU, d), TypeError, "expected a Forecaster"),
    (lambda d: learned_dynamics(module.forecaster(GRU, d), WRONG), ShapeError, "a forecast needs"),
    (
        lambda d: learned_dynamics(module.forecaster(GRU, d), d, times=-1, bins=1, warm=0),
        ValueError,
        "warm = 0.*\nbins = 1.*\ntimes = -1",
    ),
    (
        lambda d: learned_dynamics(module.forecaster(GRU, d), d, exponents=4),
        ValueError,
        "states 3 exponents",
    ),
    (
        lambda d: learned_dynamics(module.forecaster(GRU, d), d.assign_attrs(lyapunov_time=None)),
        ValueError,
        "neither a lyapunov_time",
    ),
    (
        lambda d: learned_dynamics(
            module.forecaster(GRU, d),
            d.drop_attrs().assign_attrs(sampling_step=0.02, lyapunov_time=1.1),
        ),
        ValueError,
        "states no exponents",
    ),
    (
        lambda d: Forecaster(GRU, np.ones(3), np.zeros(3), np.ones(3)),
        NotFiniteError,
        "scale = .*above 0",
    ),
    (
        lambda d: Forecaster(GRU, np.ones(3), np.ones(3), np.ones(3), dt=0.0),
        ValueError,
        "dt = 0.0: must be a positive number",
    ),
    (lambda d: forcing_interval(3), ShapeError, "got int"),
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
    (
        lambda d: dm.models.get("esn", units=4, spectral_radius="a"),
        ValueError,
        "spectral_radius = 'a'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_says_what_to_do(lorenz, call, error, message):
    with pytest.raises(error, match=message):
        call(lorenz)


def test_too_short_a_part_says_how_many_are_needed(esn, lorenz):
    with pytest.raises(ValueError, match="load more samples"):
        valid_time(esn, lorenz.isel(time=slice(0, 20_000)), starts=50)


@pytest.mark.parametrize("samples, steps, count", [(3000, 40, 64), (500, 40, 23), (60, 50, 2)])
def test_windows_that_judge_a_forecast_score_no_step_twice(samples, steps, count):
    """Else they are no independent sample, and the error of their mean is too small; of less than
    two there would be none."""
    seen = []

    def measure(said, true):
        seen.extend(true[:, WARMUP:, 0].flatten().tolist())
        return true[:, 0, 0]

    _tested(lambda heard: heard, torch.arange(float(samples))[:, None], steps, measure)
    assert len(seen) == count * (steps - WARMUP) and (count == 2 or len(set(seen)) == len(seen))
