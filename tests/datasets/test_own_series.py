"""Own series as Datasets: parts that share no sample, statistics of the training part, floors with
a closed form, and all that an orbit can do."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import dynmem as dm
from dynmem.datasets import from_series, part
from dynmem.datasets.own_series import LEAST_SAMPLES
from dynmem.errors import ShapeError
from dynmem.training.forecaster import WARMUP_STEPS
from dynmem.training.orbit_data import scales, stretches

PARTS = ("train", "validation", "test")
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(600, 2))


def driven(noise, memory):
    """x' = memory x + noise of unit variance: an autoregressive series."""
    x = np.zeros_like(noise)
    for t in range(1, len(noise)):
        x[t] = memory * x[t - 1] + noise[t]
    return x


def test_the_shortest_part_has_room_for_a_step_that_is_scored():
    """``datasets`` cannot import the warm-up of a forecaster from the floor above."""
    assert LEAST_SAMPLES == WARMUP_STEPS + 3


@given(
    st.lists(st.integers(170, 400), min_size=1, max_size=5),
    st.sampled_from(["time", "series", None]),
    st.integers(0, 5),
    st.integers(21, 22),
)
@settings(max_examples=25, deadline=None)
def test_windows_of_different_parts_share_no_sample(lengths, split, gap, steps):
    if split == "series" and len(lengths) < 3:
        return
    values = np.random.default_rng(1).permutation(sum(lengths)).astype(float)
    ends = np.cumsum(lengths)
    own = np.split(values, ends[:-1])
    data = from_series(own, split=split, gap=gap)
    task = dm.training.task_of(data, steps=steps, every=3)
    mean, scale = task.scales["mean"], task.scales["scale"]
    seen = []
    for inputs, targets in ((task.inputs_array, task.targets), task.validation, task.test):
        last = inputs[:, -1:] + task.scales["gain"] * targets[:, -1:]  # what the last step predicts
        windows = np.rint(mean + scale * np.concatenate((inputs, last), 1))[..., 0].astype(int)
        position = np.argsort(values.astype(int))[windows]
        assert (np.diff(position, axis=1) == 1).all()  # contiguous
        series = np.searchsorted(ends, position, side="right")
        assert (series == series[:, :1]).all()  # in one series
        seen.append(set(position.ravel().tolist()))
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    if split == "series" or (split is None and len(lengths) >= 3):
        for index in range(len(lengths)):
            assert len(set(data.split.values[data.series_index.values == index].tolist())) == 1


def test_statistics_are_those_of_the_training_part():
    x = NOISE * [1.0, 100.0] + [5.0, -3.0]
    x[450:] += 1e3  # whatever comes later has no say
    data = from_series(x, gap=0)
    trained = x[:420]
    np.testing.assert_allclose(data["mean"], trained.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data["scale"], trained.std(0), rtol=1e-12)
    known = scales(data)
    np.testing.assert_array_equal(known["mean"], data["mean"])
    np.testing.assert_array_equal(known["scale"], data["scale"])
    z = dm.datasets.scaled(data, part(data, "train").x)
    np.testing.assert_allclose([z.mean(0), z.std(0)], [[0, 0], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(dm.datasets.unscaled(data, z), trained, rtol=1e-12)


def test_increments_of_several_series_do_not_cross_their_borders():
    far = [driven(RNG.normal(size=(200, 1)), 0.5) + 1e4 * i for i in range(4)]
    data = from_series(far, split="time")
    moved = np.concatenate([np.diff(y, axis=0) for y in stretches(data, "train")])
    assert scales(data)["gain"] == pytest.approx(moved.std() / data["scale"].values, rel=1e-12)


@pytest.mark.parametrize("memory", [0.9, 0.5, 0.0])
def test_the_floor_of_autoregressive_noise(memory):
    """The best forecast is memory x; its error has variance 1 and the series 1/(1 - memory^2)."""
    x = driven(np.random.default_rng(2).normal(size=20_000), memory)
    expected = np.sqrt(1.0 - memory**2)
    assert from_series(x).attrs["floor"] == pytest.approx(expected, rel=0.02)


def test_the_floor_of_a_walk_a_map_and_a_series_with_memory():
    walk = np.cumsum(np.random.default_rng(3).normal(size=5000))
    data = from_series(walk)
    moved = np.diff(walk[data.split.values == 2])
    assert data.attrs["floor"] <= np.sqrt(np.mean(moved**2)) / data["scale"].item() * 1.001
    henon = dm.datasets.load("henon", samples=1000)
    assert from_series(henon.x).attrs["floor"] < 1e-5  # a quadratic map of what is there
    assert from_series(henon.x[:, 0]).attrs["floor"] > 0.2  # of which one component is not enough


def test_an_own_series_does_what_an_orbit_does(tmp_path):
    orbit = dm.datasets.load("henon", samples=600)
    frame = pd.DataFrame(orbit.x.values, columns=["x", "y"])
    frame.to_csv(tmp_path / "own.csv", index=False)
    data = from_series(tmp_path / "own.csv", units="V", time_units="s", dt=0.5)
    path = dm.datasets.save(data, tmp_path / "own.nc")
    with dm.datasets.open(path) as again:
        assert again.identical(data)
        forecaster, history = dm.fit("tanh", again, units=8, steps=2, progress=False)
    assert forecaster.dt == 0.5 and history.attrs["dataset_floor"] == data.attrs["floor"]
    assert history.attrs["title"] == "training of Network on the own.csv"
    echo = dm.training.echo_state_forecaster("esn", data, units=50)
    assert dm.training.valid_time(echo, data, starts=5, warmup=20, longest=5).mean_valid_time > 1
    _, found = dm.training.fit_forecaster("tanh", data, steps=2, forcing=1, units=4)
    assert np.isfinite(found.test_loss)
    text = dm.datasets.summary(data)
    assert "parts" in text and "persistence" in text and "0.5 s" in text
    same = dm.analysis.series_exponent(data.x.sel(state="x"), surrogates=0).lyapunov
    assert same == dm.analysis.series_exponent(orbit.x[:, 0], surrogates=0).lyapunov


def test_short_series_take_shorter_windows():
    data = from_series(NOISE[:180], gap=0)
    assert dm.training.task_of(data).steps == 26
    _, history = dm.training.fit_forecaster("tanh", data, steps=1, forcing=1, units=4)
    assert np.isfinite(history.test_loss)
    with pytest.raises(ShapeError, match="at least 23.*a smaller gap"):
        from_series(NOISE[:180], gap=20)


def test_what_takes_one_series_says_how_to_choose_it():
    data = from_series([NOISE[:200], NOISE[200:400], NOISE[400:]], split="time")
    with pytest.raises(ShapeError, match=r"data.isel\(time=data.series_index == 0\)"):
        dm.training.echo_state_forecaster("esn", data, units=10)
    one = data.isel(time=data.series_index == 0)
    assert dm.training.echo_state_forecaster("esn", one, units=10).outputs == 2
    _, history = dm.training.fit_forecaster("tanh", data, steps=1, forcing=1, units=4)
    assert np.isfinite(history.test_loss)


def test_a_csv_file_to_a_forecast_in_three_lines(tmp_path):
    """The first useful result of a user with a series in a file: two sines in noise, of which the
    present value tells little and the last ones tell most."""
    t = np.arange(600)
    x = np.sin(0.9 * t) + np.sin(0.41 * t) + 0.05 * RNG.normal(size=600)
    dates = pd.date_range("2024-01-01", periods=600, freq="h")
    pd.DataFrame({"date": dates, "load": x}).to_csv(tmp_path / "load.csv", index=False)

    data = dm.datasets.from_series(tmp_path / "load.csv", units="MW")
    forecaster, history = dm.fit("gru", data, units=12, steps=80, batch=16, learning_rate=3e-2)
    assert history.test_loss < 0.1  # of the variance of an increment
    read = data.x.values[-100:-1]
    forecast = forecaster.output(forecaster.warmed_up(read), None)
    ahead = forecaster.output(forecaster.rule(forecaster.warmed_up(read), None), None)
    assert forecast == pytest.approx(read[-1], abs=1e-9)  # begins at the last value, in MW
    assert abs(ahead - data.x.values[-1]) < 0.4 * x.std()
    assert data.attrs["floor"] > 0.5  # the present value alone leaves half the variance
