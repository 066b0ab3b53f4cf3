"""Own labelled sequences through ``fit``: what is scored is what a loop over the sequences, each
alone and without padding, scores."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch.nn import functional
from torch.nn.utils.rnn import pack_sequence

import dynmem as dm
from dynmem.datasets import from_sequences
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.training.fitting import per_sequence
from dynmem.training.sequence_task import Marked
from dynmem.training.trainable import Trainable

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(2, 11, 60)
ROWS = [RNG.normal(size=(n, 3)) for n in LENGTHS]
CLASSES = RNG.integers(0, 3, 60)
QUICK = {"units": 4, "steps": 2, "batch": 8, "progress": False}


def asked(kind):
    """Targets of each kind, as lists without padding."""
    return {
        "class": CLASSES,
        "classes": [RNG.integers(0, 3, n) for n in LENGTHS],
        "value": [row.sum(0)[:2] for row in ROWS],
        "values": [np.cumsum(row[:, :2], 0) for row in ROWS],
    }[kind]


@pytest.mark.parametrize("kind", ["class", "classes", "value", "values"])
def test_the_loss_is_that_of_a_loop_over_sequences_without_padding(kind):
    targets = asked(kind)
    data = from_sequences(ROWS, targets)
    task = dm.training.task_of(data)
    model = dm.models.get("gru", units=5, inputs=3, outputs=task.outputs, rng=1)
    module = Trainable(model, "float64")
    inputs, marked = task.parts[2]
    loss = per_sequence(task)(module(inputs), torch.as_tensor(marked))
    expected, right = [], []
    for i in np.flatnonzero(data.split.values == 2):
        u = (ROWS[i] - data.input_mean.values) / data.input_scale.values
        y = module(u[None])[0]
        target = np.asarray(targets[i])
        if kind in ("class", "value"):
            y, target = y[-1:], target[None]
        if kind.startswith("class"):
            expected.append(functional.cross_entropy(y, torch.as_tensor(target)).item())
            right.append((y.argmax(-1).numpy() == target).mean())
        else:
            z = (target - data.target_mean.values) / data.target_scale.values
            expected.append((y - torch.as_tensor(z)).square().mean().item())
            right.append((np.abs(y.detach().numpy() - z) < 0.08).mean())
    np.testing.assert_allclose(loss.detach(), expected, rtol=1e-12)
    outputs = module(inputs).detach().numpy()
    assert task.mean_loss(outputs, marked) == pytest.approx(np.mean(expected), rel=1e-12)
    assert task.accuracy(outputs, marked) == pytest.approx(np.mean(right), rel=1e-12)


@pytest.mark.parametrize("kind", ["class", "values"])
def test_what_is_not_scored_has_no_say(kind):
    """Outputs beyond a sequence, whatever they are, change neither loss nor gradient."""
    task = dm.training.task_of(from_sequences(ROWS, asked(kind)))
    _, marked = task.parts[0]
    targets = torch.as_tensor(marked)
    outputs = torch.randn(*targets.shape[:2], task.outputs, dtype=torch.float64)
    scored = torch.as_tensor(task.scored_steps(marked))
    other = torch.where(scored[..., None], outputs, 1e6)
    losses, slopes = [], []
    for each in (outputs, other):
        each = each.clone().requires_grad_()
        found = per_sequence(task)(each, targets)
        found.sum().backward()
        losses.append(found.detach())
        slopes.append(each.grad)
    assert torch.equal(losses[0], losses[1]) and torch.equal(slopes[0], slopes[1])
    assert (slopes[0][scored] != 0).any() and not slopes[0][~scored].any()


@pytest.mark.parametrize("kind", ["class", "classes", "value", "values"])
@pytest.mark.parametrize("model", ["gru", "s4d", "attention", "tcn"])
def test_every_kind_of_answer_trains(kind, model):
    data = from_sequences(ROWS, asked(kind))
    trained, history = dm.fit(model, data, **QUICK)
    classes = kind.startswith("class")
    assert np.isfinite(history.test_loss) and ("test_accuracy" in history) == classes
    assert history.floor == data.attrs["floor"] == history.dataset_floor
    assert history.dataset_floor_meaning == data.attrs["floor_meaning"]
    settings = json.loads(history.attrs["parameters"])
    assert settings["task_test"] == (data.split == 2).sum() and settings["task_steps"] == 10
    assert trained.inputs == 3 and trained.outputs == (3 if classes else 2)


X = RNG.normal(size=(50, 10, 3))
PAIRS = {  # what a user passes as a pair of arrays, and the outputs of the network
    "classes of sequences": (X, RNG.integers(0, 2, 50), 2),
    "values of sequences": (X, X.sum((1, 2)), 1),
    "vectors of sequences": (X, X.sum(1), 3),
    "lists of unequal length": (ROWS, CLASSES.tolist(), 3),
    "unequal, classes a step": (ROWS, [(row[:, 0] > 0).astype(int) for row in ROWS], 2),
    "unequal, values a step": (ROWS, [np.cumsum(row, 0) for row in ROWS], 3),
    "packed": (pack_sequence([torch.tensor(row) for row in ROWS], False), CLASSES, 3),
    "packed, of one length": (pack_sequence(list(torch.tensor(X))), X.sum(1), 3),
    "torch": (torch.tensor(X), torch.tensor(RNG.integers(0, 2, 50)), 2),
    "symbols": (RNG.integers(0, 5, (50, 10)), RNG.integers(0, 2, 50), 2),
}


@pytest.mark.parametrize(("inputs", "targets", "outputs"), PAIRS.values(), ids=list(PAIRS))
def test_plain_arrays_of_any_of_these_kinds_train(inputs, targets, outputs):
    trained, history = dm.fit("gru", (inputs, targets), **QUICK)
    assert trained.outputs == outputs and np.isfinite(history.test_loss)


def test_plain_arrays_that_need_more_say_which_function_takes_it():
    padded = np.where(np.arange(10) < 7, 1, -100) * np.ones((50, 1), int)
    with pytest.raises(ValueError, match=r"from_sequences\(inputs, targets, ignore_index=-100\)"):
        dm.fit("gru", (X, padded), **QUICK)
    with pytest.raises(ValueError, match="targets of this kind have the loss mean_sq"):
        dm.fit("gru", (X, X[:, 0, 0]), loss="cross_entropy", **QUICK)
    _, history = dm.fit("gru", (X, X[:, 0, 0]), loss="mean_squared_error", **QUICK)
    assert np.isfinite(history.test_loss)
    with pytest.raises(ShapeError, match=r"\(50,\) or \(50, outputs\) for one answer a sequence"):
        dm.fit("gru", (X, X[:40, 0, 0]), **QUICK)


def test_a_batch_is_drawn_from_the_training_part_and_evaluations_from_the_others():
    data = from_sequences(ROWS, CLASSES)
    task = dm.training.task_of(data)
    assert isinstance(task, Marked)
    trained = {row.tobytes() for row in task.parts[0][0]}
    assert {row.tobytes() for row in task.arrays(300)[0]} == trained
    validation, test = task.held_out((100, 5), 0)
    assert len(validation[1]) == (data.split == 1).sum() and len(test[1]) == 5
    assert not {row.tobytes() for row in (*validation[0], *test[0])} & trained
    assert task.sample(3).sizes["sample"] == 3 and repr(task.weights.sum()) != "0"
    with pytest.raises(ShapeError, match="as arrays"):
        task.mean_loss(np.zeros((3, 10, 2)), np.zeros((3, 10), int))


def remembered(lengths, rng):
    """Sequences of noise whose class is the sign of their first input."""
    inputs = [np.random.default_rng(i).normal(size=(n, 1)) for i, n in enumerate(lengths)]
    first = rng.choice([-1.0, 1.0], len(lengths))
    for row, sign in zip(inputs, first, strict=True):
        row[0] = 2.0 * sign
    return inputs, np.where(first > 0, "up", "down")


def test_own_labelled_sequences_of_unequal_length_in_three_lines():
    inputs, names = remembered(RNG.integers(6, 13, 300), RNG)

    data = dm.datasets.from_sequences(inputs, labels=names)
    trained, history = dm.fit("gru", data, units=12, steps=200, batch=32, learning_rate=2e-2)
    assert history.learned == 1 and history.test_accuracy > 0.95
    assert history.floor == pytest.approx(np.log(2), rel=0.1)

    u = dm.datasets.scaled(data, inputs[7], "inputs")  # a sequence of her own, without padding
    outputs, _ = trained.run(np.zeros(trained.size), u)
    assert data.class_name.values[outputs[-1].argmax()] == names[7]


def test_a_model_that_reads_the_last_steps_alone_has_not_learned():
    inputs, names = remembered(RNG.integers(9, 13, 300), RNG)
    data = dm.datasets.from_sequences(inputs, labels=names)
    blind = dm.models.get("tcn", units=8, inputs=1, outputs=2, layers=2, kernel=2, rng=0)
    _, history = dm.fit(blind, data, steps=60, batch=32, learning_rate=1e-2, progress=False)
    assert history.learned == 0 and history.test_loss > 0.8 * history.floor


def test_values_come_back_in_their_unit():
    """A sum over a sequence of unequal length is a line in the state of a linear network."""
    inputs = [RNG.normal(3.0, 2.0, size=(n, 1)) for n in RNG.integers(3, 9, 200)]
    targets = np.array([1000.0 * row.sum() for row in inputs])
    data = from_sequences(inputs, targets, target_units="mV")
    trained, history = dm.fit("gru", data, units=12, steps=250, batch=32, learning_rate=2e-2)
    assert history.learned == 1 and history.test_loss < 0.1
    i = int(np.flatnonzero(data.split.values == 2)[0])
    outputs, _ = trained.run(np.zeros(trained.size), dm.datasets.scaled(data, inputs[i], "inputs"))
    found = dm.datasets.unscaled(data, outputs[-1])[0]
    assert found == pytest.approx(targets[i], abs=0.5 * targets.std())


def test_what_is_no_task_says_how_own_data_becomes_one(tmp_path):
    """A series, a frame, a file: refused by ``fit`` with the function that takes it."""
    series = RNG.normal(size=300)
    for given, error in (
        (series, TypeError),
        (pd.DataFrame({"v": series}), TypeError),
        (xr.DataArray(series, dims="time"), TypeError),
        (xr.Dataset({"v": ("time", series)}), ShapeError),
        ("own.csv", ValueError),
        (str(tmp_path / "own.nc"), ValueError),
    ):
        with pytest.raises(error, match="dm.datasets.from_series"):
            dm.fit("gru", given, **QUICK)
    with pytest.raises(ShapeError, match="dm.datasets.from_series"):
        dm.training.fit_forecaster("gru", xr.Dataset({"v": ("time", series)}), steps=1)
    with pytest.raises(UnknownNameError, match="own series is read by dm.datasets.from_series"):
        dm.datasets.load("own.csv")
