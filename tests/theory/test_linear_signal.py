"""The memory signal in closed form is that of a backward pass, and falls as the theory says."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import ShapeError

COPY = dm.tasks.Copy(symbols=3, length=2, scored="recalled")
LINEAR = [
    ("linear", {"gain": 0.9}),
    ("linear", {"leak": 0.5, "bias_sd": 0.3}),
    ("orthogonal", {}),
    ("lru", {}),
    ("lru", {"layers": 2, "gamma": "trained"}),
    ("s5", {}),
    ("s4d", {"modes": 2}),
    ("s4", {"modes": 4}),
]
TASKS = [
    COPY,
    dm.tasks.Copy(symbols=2, length=3),
    dm.tasks.Copy(layout="graves", bits=2, length=2),
    dm.tasks.DelayedMatch(symbols=3, distractors=0),
]


def model(name, task=COPY, **options):
    return dm.models.get(name, units=4, inputs=task.inputs, outputs=task.outputs, **options)


def assert_twins(net, task, delays):
    theory = dm.theory.memory_signal(net, task, delays=delays)
    measured = dm.memory_signal(net, task, delays=delays, probes=10_000)
    assert theory.sizes == measured.sizes and set(theory) == set(measured)
    for name, found in theory.items():
        assert found.dims == measured[name].dims, name
        assert found.attrs == measured[name].attrs, name
    assert theory.mode.equals(measured.mode) and theory.delay.equals(measured.delay)
    np.testing.assert_allclose(theory.signal, measured.signal, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(theory.noise, measured.noise, rtol=1e-10)
    np.testing.assert_allclose(theory.snr_squared, measured.snr_squared, rtol=1e-9, atol=1e-24)


@pytest.mark.parametrize(("name", "options"), LINEAR, ids=str)
def test_linear_models(name, options):
    assert_twins(model(name, **options), COPY, [2, 5, 40])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.name}-{task.loss}")
def test_every_listed_task(task):
    assert_twins(model("lru", task), task, [3, 9])


def test_squared_errors():
    rng = np.random.default_rng(0)
    task = dm.training.Samples(rng.standard_normal((6, 8, 3)), rng.standard_normal((6, 8, 2)))
    net = dm.models.get("linear", units=4, inputs=3, outputs=2, gain=0.8)
    assert_twins(net, task, None)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_without_scores(heads):
    net = model("attention", sharpness=0.0, window=9, heads=heads)
    assert_twins(net, COPY, [1, 3, 5, 30])
    theory = dm.theory.memory_signal(net, COPY, delays=[3, 30])
    assert (theory.signal.sel(delay=30) == 0).all()  # beyond the window


def test_no_linear_model_can_compare_two_symbols():
    task = dm.tasks.DelayedMatch(symbols=3, distractors=0)
    found = dm.theory.memory_signal(model("lru", task), task, delays=[3, 9])
    assert (found.snr_squared <= found.snr_squared_error).all()


def test_diagonal_models_forget_by_their_modes_and_orthogonal_ones_not():
    task = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
    rng = np.random.default_rng(0)
    cell = dm.models.Linear(0.8 * np.eye(3), rng.standard_normal((3, 4)))
    net = dm.models.Network((cell,), rng.standard_normal((3, 3)))
    found = dm.theory.memory_signal(net, task, delays=[40, 50]).signal.squeeze().values
    # s_A grows by the factor lag, 51 against 41, beside 0.8^10
    assert 0.8**10 < found[1] / found[0] < 0.8**10 * 51 / 41
    turning = model("orthogonal", task)
    far = dm.theory.memory_signal(turning, task, delays=[10, 1000]).snr_squared.squeeze()
    assert 0.1 < float(far[1] / far[0]) < 10


def test_what_is_not_linear_is_refused():
    for name, options in (("tanh", {}), ("gru", {}), ("attention", {}), ("tcn", {})):
        with pytest.raises(TypeError, match="dm.memory_signal"):
            dm.theory.memory_signal(model(name, **options), COPY)
    with pytest.raises(ValueError, match="too many sequences"):
        dm.theory.memory_signal(
            dm.models.get("linear", units=3, inputs=2, outputs=1), dm.tasks.Adding()
        )
    with pytest.raises(ShapeError, match="requires"):
        dm.theory.memory_signal(dm.models.get("linear", units=3, inputs=2), COPY)
