import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.theory.conversions import MEASURES

units = dm.theory.memory_units
LAGS = st.floats(1.0, 1e6)


@pytest.mark.parametrize("name", list(MEASURES))
@given(lag=LAGS)
def test_there_and_back(name, lag):
    measure = MEASURES[name]
    back = measure.to_lag(measure.from_lag(np.float64(lag)))
    assert float(back) == pytest.approx(lag, rel=1e-8)


def test_an_exponential_memory_by_its_definition():
    found = units(12.5, "time_scale")
    assert math.exp(-float(found.half_life) / 12.5) == pytest.approx(0.5)
    assert float(found.factor) ** 12.5 == pytest.approx(math.exp(-1.0))
    assert math.exp(float(found.lyapunov) * 12.5) == pytest.approx(math.exp(-1.0))


@pytest.mark.parametrize("radius", [0.5, 0.9, 0.99])
def test_a_radius_is_the_horizon_that_is_measured(radius):
    measured = dm.memory_horizon(dm.models.Linear(radius * np.eye(3)), lags=500)
    found = units(radius, "factor")
    assert float(found.lag) == pytest.approx(float(measured.horizon), rel=1e-6)
    assert float(units(measured).lag) == float(measured.horizon)


@pytest.mark.parametrize("window", [4, 8, 32])
def test_a_window_is_the_longest_delay_with_any_signal(window):
    # of one symbol: of two, the later one tells something of both from a lag shorter by one
    task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    model = dm.models.get(
        "attention", units=4, heads=2, inputs=task.inputs, outputs=task.outputs, window=window
    )
    last = int(units(window, "window", task=task).delay)
    signal = dm.memory_signal(model, task, delays=[last, last + 1]).signal.sum("mode")
    assert (signal.values[:, 0] > 0).tolist() == [True, False]


@pytest.mark.parametrize(("kernel", "layers"), [(2, 1), (3, 3), (8, 2)])
def test_a_receptive_field_is_the_longest_delay_with_any_signal(kernel, layers):
    task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    shape = {"kernel": kernel, "layers": layers, "init": "he"}
    model = dm.models.get("tcn", units=6, inputs=task.inputs, outputs=task.outputs, **shape)
    field = dm.analysis.receptive_field(model.layers[0] if layers == 1 else model)
    last = int(units(field, "receptive_field", task=task).delay)
    signal = dm.memory_signal(model, task, delays=[last, last + 1]).signal.sum("mode")
    assert (signal.values[:, 0] > 0).tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "options", "delay", "lag"),
    [
        ("copy", {"length": 1}, 30, 31),
        ("copy", {"length": 2}, 30, 32),
        ("adding", {}, 100, 99),
        ("n_back", {}, 3, 3),
        ("delayed_match", {}, 12, None),
        ("flip_flop", {}, 8, None),
    ],
)
def test_delays_of_tasks(name, options, delay, lag):
    task = dm.tasks.get(name, **options)
    found = units(delay, "delay", task=task)
    assert float(found.lag) == (lag or task.with_delay(delay).dependency)
    assert float(found.delay) == delay


def test_no_delay_and_every_delay():
    task = dm.tasks.get("copy", length=2)
    assert units([0.0, 5.0, np.inf], "lag", task=task).delay.values.tolist() == [0.0, 3.0, np.inf]
    assert float(units(0.0, "delay", task=task).lag) == 0.0


def test_characters_through_a_tokenizer():
    text = dm.datasets.load("text", vocabulary=300)
    ratio = float(text.characters_per_token.sel(part="held_out")[-1])
    found = units([9, 101], "window", characters_per_token=text)
    np.testing.assert_allclose(found.characters, [8 * ratio, 100 * ratio])
    assert found.characters.attrs["units"] == "character"


def test_units_travel_with_a_dataset():
    leaky = dm.models.Linear(np.diag([0.5, 0.2]), leak=0.25)
    spectrum = dm.theory.lyapunov_spectrum(leaky)
    per_step = float(spectrum.lyapunov[0]) * 0.25
    assert float(units(spectrum, "lyapunov", dt=0.25).lag) == pytest.approx(-1.0 / per_step)
    assert float(units(spectrum, "lyapunov", dt=0.25).time) == pytest.approx(-0.25 / per_step)
    scale = dm.theory.time_scale(spectrum, dt=0.25)
    assert float(units(scale).lag) == pytest.approx(-1.0 / per_step)


def test_values_that_cannot_be():
    with pytest.raises(ValueError, match="window = -3: must be at least 0"):
        units(-3, "window")
    with pytest.raises(NotFiniteError, match="horizon holds NaN"):
        units([1.0, np.nan], "horizon")
    with pytest.raises(ShapeError, match="one number, or a list"):
        units(np.ones((2, 2)), "horizon")
    with pytest.raises(TypeError, match="pass task="):
        units(30, "delay")
    with pytest.raises(ValueError, match="did you mean half_life"):
        units(30, "half_lif")
    with pytest.raises(TypeError, match="has no option 'delay'"):
        units(30, "delay", task=dm.tasks.get("questions"))
    with pytest.raises(ValueError, match="pass of="):
        units(dm.tasks.get("copy").sample(2))
    with pytest.raises(TypeError, match="no characters_per_token"):
        units(30, "window", characters_per_token=dm.tasks.get("copy").sample(2))
