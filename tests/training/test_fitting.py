"""``fit``: what is learned, the history, seeds, the best weights, and what is refused."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

import dynmem as dm
from dynmem import models, tasks
from dynmem.errors import ShapeError
from dynmem.training import Trainable, fit, fitting
from dynmem.training.fitting import as_tensors, per_sequence
from dynmem.training.trainable import leaves
from tests.training.examples import EASY, EASY_FIT, copy_model


@pytest.fixture(scope="module")
def easy():
    """A GRU that has learned the easiest copy, and its history."""
    return fit(copy_model(), EASY, **EASY_FIT)


def test_an_easy_task_is_learned_and_the_system_goes_on(easy):
    trained, history = easy
    assert history.learned == 1 and history.floor == EASY.floor
    inputs, targets = EASY.arrays(200, 5)
    outputs = Trainable(trained, "float64")(EASY.encode(inputs)).detach().numpy()
    assert (
        EASY.mean_loss(outputs, targets) < 0.5 * EASY.floor
        and EASY.accuracy(outputs, targets) > 0.95
    )
    assert dm.jacobian(trained, np.zeros(8), np.zeros(EASY.inputs)).shape == (8, 8)


def test_history_explains_itself(easy, tmp_path):
    history = easy[1]
    assert set(history) == {
        "training_loss",
        "validation_loss",
        "validation_loss_error",
        "validation_accuracy",
        "gradient_norm",
        "test_loss",
        "test_loss_error",
        "test_accuracy",
        "learned",
    }
    assert all(
        v.dims == (() if name.startswith("test_") or name == "learned" else ("step",))
        for name, v in history.items()
    )
    assert all(
        v.attrs["units"] and v.attrs["long_name"] and np.isfinite(v).all() for v in history.values()
    )
    assert (
        history.step.values.tolist() == [50, 100, 150]
        and history.attrs["steps"] == 150
        and history.attrs["seed"] == 0
    )
    parameters = json.loads(history.attrs["parameters"])
    assert (
        parameters["task"] == "copy"
        and parameters["task_delay"] == 1
        and parameters["learning_rate"] == 1e-2
    )
    assert "seconds" not in str(history.attrs)
    history.to_netcdf(tmp_path / "history.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "history.nc", engine="h5netcdf").identical(history)


def test_no_memory_is_never_called_learned():
    model = copy_model("tanh", task := tasks.Copy(delay=30))
    _, history = fit(model, task, steps=60, evaluate_every=30, validation_size=64)
    assert history.learned == 0 and history.validation_loss[-1] > 0.5 * history.floor


@pytest.mark.parametrize("name", ["lstm", "orthogonal"])
def test_same_seed_same_bits_and_no_global_seed_touched(name):
    def run(seed):
        trained, history = fit(
            copy_model(name), EASY, steps=12, evaluate_every=5, validation_size=32, rng=seed
        )
        return [value for _, value in leaves(trained) if isinstance(value, np.ndarray)], history

    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    (first, history), (again, second), (other, _) = run(3), run(3), run(4)
    assert all(
        np.array_equal(a, b) for a, b in zip(first, again, strict=True)
    ) and history.identical(second)
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert np.array_equal(np.random.get_state()[1], numpy_state) and torch.equal(
        torch.get_rng_state(), torch_state
    )


def test_the_best_weights_come_back():
    trained, history = fit(
        copy_model(),
        EASY,
        steps=60,
        evaluate_every=3,
        learning_rate=0.1,
        validation_size=32,
        stop=False,
        rng=2,
    )
    held = EASY.arrays(32, np.random.default_rng(2).spawn(2)[1])
    outputs = Trainable(trained, "float64")(EASY.encode(held[0])).detach().numpy()
    best = int(np.argmin(history.validation_loss.values))
    assert history.best_step == history.step[best]
    assert EASY.mean_loss(outputs, held[1]) == pytest.approx(
        float(history.validation_loss[best]), rel=1e-3
    )


@pytest.mark.parametrize(
    "task",
    [EASY, tasks.Copy(3, scored="recalled"), tasks.Copy(3, "graves"), tasks.Adding(9)],
    ids=str,
)
def test_losses_are_those_of_the_task(task):
    arrays = task.arrays(20, 1)
    u, targets = as_tensors(task, arrays, torch.float64)
    assert u.shape == (20, task.steps, task.inputs)
    outputs = torch.randn(20, task.steps, task.outputs, dtype=torch.float64)
    losses = per_sequence(task)(outputs, targets)
    assert losses.shape == (20,) and float(losses.mean()) == pytest.approx(
        task.mean_loss(outputs.numpy(), arrays[1]), rel=1e-12
    )
    fit(copy_model("gru", task), task, steps=2, validation_size=8)


def test_every_bad_option_at_once():
    with pytest.raises(ValueError) as caught:
        fit(
            copy_model(),
            EASY,
            steps=0,
            batch=2.5,
            learning_rate=-1,
            optimizer="adamm",
            clip=0,
            evaluate_every=None,
            validation_size=True,
            threads=0,
            stop=2,
            warmup=-1,
            dtype="int8",
            device="gpu",
            rng="a",
        )
    lines = str(caught.value).splitlines()
    names = (
        "steps learning_rate warmup evaluate_every clip optimizer batch validation_size "
        "threads dtype device rng stop"
    )
    assert [line.split(" = ")[0] for line in lines] == names.split()
    for stop in ("half", None, float("nan"), -0.1, 1.0):
        with pytest.raises(ValueError, match=f"stop = {stop!r}"):
            fit(copy_model(), EASY, steps=1, stop=stop)
    with pytest.raises(TypeError, match="fit takes no argument 'learning_rat'.*learning_rate"):
        fit(copy_model(), EASY, steps=1, learning_rat=1)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "run_training", lambda *_: pytest.fail("trained first"))
    for path, advice in (
        (tmp_path / "absent" / "x.pt", "there is no folder .*absent, make it first"),
        (tmp_path, "is a folder"),
        (5, "checkpoint = 5: must be the path of a file"),
        ("", "must be the path"),
    ):
        with pytest.raises(ValueError, match=advice):
            fit(copy_model(), EASY, steps=1, checkpoint=path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ValueError, match="is not writable"):
        fit(copy_model(), EASY, steps=1, checkpoint=tmp_path / "x.pt")


def test_misfits_name_the_option_to_set():
    with pytest.raises(
        ShapeError,
        match=r"takes 3 inputs, the task gives 4: make it with "
        r"dm.models.get\(..., inputs=4\)",
    ):
        fit(models.get("gru", units=3, inputs=3, outputs=3), EASY, steps=1)
    with pytest.raises(
        ShapeError,
        match=r"gives 8 outputs, the task requires 3: make it with "
        r"dm.models.get\(..., outputs=3\)",
    ):
        fit(models.get("gru", units=8, inputs=4), EASY, steps=1)
    with pytest.raises(TypeError, match=r"arrays \(inputs, targets\), got int"):
        fit(copy_model(), 3, steps=1)
    with pytest.raises(ValueError, match="the task brings its own loss"):
        fit(copy_model(), EASY, steps=1, loss="mean_squared_error")
    with pytest.raises(ShapeError, match="one loss a sequence"):
        fit(copy_model(), EASY, steps=1, loss=lambda outputs, targets: outputs.mean())
    with pytest.raises(ValueError, match="nothing to train"):
        fit(copy_model(), EASY, steps=1, fixed=("layers", "R", "a"))


def test_a_loss_of_the_users_own_has_no_verdict():
    _, history = fit(
        copy_model(), EASY, steps=4, validation_size=8, loss=lambda y, t: y.square().mean((1, 2))
    )
    assert np.isnan(history.floor) and history.learned == 0


def test_importing_the_package_does_not_load_torch():
    code = (
        "import sys, dynmem; dynmem.training; assert 'torch' not in sys.modules; dynmem.fit; "
        "assert callable(dynmem.fit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
