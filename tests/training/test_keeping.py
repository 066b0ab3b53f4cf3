"""Checkpoints of a training: the best is never replaced by a worse one, and a training goes on with
the same bits."""

import errno
import os
import warnings

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem import models
from dynmem.errors import DamageError, NotFiniteError
from dynmem.training import checkpoint, fit, fit_forecaster, keeping, load, save
from tests.training.examples import EASY, Pair, copy_model, pair, same

OPTIONS = {"evaluate_every": 10, "validation_size": 16, "stop": False, "learning_rate": 1e-2}
rng = np.random.default_rng(0)
U = rng.standard_normal((40, 6, 4))
SAMPLES = (U, U[..., :3].argmax(-1))


def equal(a, b):
    """Whether two histories agree bit by bit."""
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("task", [EASY, SAMPLES], ids=["a law", "arrays"])
def test_50_and_50_steps_are_100(optimizer, task, tmp_path):
    options = OPTIONS | {"optimizer": optimizer, "warmup": 70, "batch": 8, "rng": 3}
    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    whole, history = fit(copy_model(), task, steps=100, **options)
    first, _ = fit(copy_model(), task, steps=50, **options, **kept)
    both, continued = fit(copy_model(), task, steps=100, **options, **kept)
    assert same(both, whole) and equal(continued, history) and not same(first, whole)
    assert continued.best_step == history.best_step and same(load(tmp_path / "run.pt"), whole)


@pytest.mark.parametrize("cuts", [(7, 100), (20, 33, 100), (99, 100), (100, 100)])
def test_where_a_training_is_cut_leaves_no_trace(cuts, tmp_path):
    """Also between two evaluations: the last step of a part is evaluated, for what it returns, and
    counts in the whole as if it were not."""
    whole, history = fit(copy_model(), EASY, steps=100, **OPTIONS)
    for steps in cuts:
        kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
        both, continued = fit(copy_model(), EASY, steps=steps, **OPTIONS, **kept)
    assert same(both, whole) and equal(continued, history)


@pytest.mark.parametrize("generator", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_generator_goes_on(generator, tmp_path):
    def run(steps, **kept):
        drawing = np.random.Generator(generator(5))
        return fit(copy_model(), EASY, steps=steps, rng=drawing, **OPTIONS, **kept)[0]

    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    run(10, **kept)
    assert same(run(20, **kept), run(20))


def test_a_training_that_ctrl_c_ended_goes_on(tmp_path):
    """From its last evaluation; two layers in double precision, one of them partly fixed."""

    def press(step, row):
        if step == 30:
            raise KeyboardInterrupt

    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    model = models.Network(
        (models.get("gru", units=4, inputs=4), models.get("lstm", units=4, inputs=4)),
        rng.standard_normal((3, 4)),
    )
    options = OPTIONS | {"dtype": "float64", "fixed": "layers.1.W"}
    with pytest.warns(UserWarning, match="interrupted after step 30"):
        fit(model, EASY, steps=60, callback=press, **options, **kept)
    found, _ = fit(model, EASY, steps=60, **options, **kept)
    assert same(found, fit(model, EASY, steps=60, **options)[0])


@pytest.mark.parametrize("forcing", [1, 4])
def test_a_forecaster_goes_on(forcing, tmp_path):
    """Teacher forcing, the rate of its cosine, its windows and its noise."""
    data = dm.datasets.load("henon", samples=1000)
    options = {"units": 4, "batch": 4, "window": 24, "noise": 0.01, "forcing": forcing, "steps": 30}
    whole, history = fit_forecaster("gru", data, **options)
    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    part, first = fit_forecaster(
        "gru", data, callback=lambda step, row: step == 13, **options, **kept
    )
    assert first.ended == "callback" and first.sizes["step"] == 13 and first.best_step == 13
    both, continued = fit_forecaster("gru", data, **options, **kept)
    assert same(both, whole) and equal(continued, history) and not same(part, whole)
    assert same(load(tmp_path / "run.pt"), whole)


def test_a_better_checkpoint_is_never_replaced(tmp_path):
    """The start is a candidate: five steps at a rate of 2 spoil what was learned."""
    path = tmp_path / "best.pt"
    good, history = fit(copy_model(), EASY, steps=100, checkpoint=path, **OPTIONS)
    bytes_before = path.read_bytes()
    spoiling = OPTIONS | {"learning_rate": 2.0, "clip": None, "evaluate_every": 1}
    after, spoiled = fit(load(path), EASY, steps=5, checkpoint=path, **spoiling)
    assert same(after, good) and spoiled.best_step == 0
    assert spoiled.start_loss == pytest.approx(float(history.validation_loss.min()), rel=1e-6)
    assert float(spoiled.validation_loss.min()) > 10 * spoiled.start_loss
    assert path.read_bytes() == bytes_before
    with pytest.warns(UserWarning, match="was left as it is: its validation loss"):
        _, other = fit(copy_model(), EASY, steps=5, checkpoint=path, **spoiling)
    assert path.read_bytes() == bytes_before and "was left as it is" in other.checkpoint
    better, _ = fit(load(path), EASY, steps=50, checkpoint=path, **OPTIONS)
    assert same(load(path), better) and not same(better, good)


def test_a_better_forecaster_is_never_replaced(tmp_path):
    data = dm.datasets.load("henon", samples=1000)
    options = {"units": 8, "batch": 8, "window": 30, "forcing": 1, "checkpoint": tmp_path / "f.pt"}
    good, _ = fit_forecaster("gru", data, steps=60, learning_rate=2e-2, **options)
    after, history = fit_forecaster(good, data, steps=5, learning_rate=3.0, **options)
    assert same(after, good) and history.best_step == 0 and same(load(tmp_path / "f.pt"), good)


def test_files_that_hold_something_else_are_refused_before_training(tmp_path):
    path = tmp_path / "other.pt"
    options = {"steps": 1, "validation_size": 8, "checkpoint": path}
    save(models.get("gru", units=3, inputs=7, outputs=2), path)
    with pytest.raises(ValueError, match="holds a Network that cannot be compared.*another path"):
        fit(copy_model(), EASY, **options)
    with pytest.raises(ValueError, match="holds a model alone.*load"):
        fit(copy_model(), EASY, resume=True, **options)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamageError, match="damaged"):
        fit(copy_model(), EASY, **options)
    with pytest.raises(ValueError, match="resume = True: pass checkpoint"):
        fit(copy_model(), EASY, steps=1, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 3}, "batch 64, now 3"),
        ({"learning_rate": 1.0}, "learning_rate 0.01, now 1.0"),
        ({"rng": 1}, "validation set"),
        ({"dtype": "float64"}, "dtype torch.float32, now torch.float64"),
        ({"fixed": "layers"}, "weights"),
    ],
)
def test_another_training_does_not_go_on(change, words, tmp_path):
    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    fit(copy_model(), EASY, steps=10, **OPTIONS, **kept)
    with pytest.raises(ValueError, match=f"is of another training .*{words}.*resume=False"):
        fit(copy_model(), EASY, steps=20, **OPTIONS | change, **kept)


def test_a_system_of_the_users_own_goes_on(tmp_path):
    class Own(Pair):
        outputs = 2

    task = (rng.standard_normal((20, 5, 1)), rng.standard_normal((20, 5, 2)))
    own = Own(*(getattr(pair(), name) for name in ("K", "shifts", "mask")))
    options = {"evaluate_every": 5, "train": "damping", "checkpoint": tmp_path / "own.pt"}
    fit(own, task, steps=10, **options)
    both, _ = fit(own, task, steps=20, resume=True, **options)
    whole, _ = fit(own, task, steps=20, **options | {"checkpoint": None})
    assert same(both, whole)


@pytest.mark.parametrize("fails", ["once", "always"])
def test_a_full_disk_loses_no_weights(fails, tmp_path, monkeypatch):
    path, sync, count = tmp_path / "run.pt", os.fsync, []

    def full(descriptor):
        count.append(1)
        if fails == "always" or len(count) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    whole, _ = fit(copy_model(), EASY, steps=40, **OPTIONS)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="cannot be written.*No space left.*goes on"):
        trained, history = fit(copy_model(), EASY, steps=40, checkpoint=path, **OPTIONS)
    assert same(trained, whole)
    if fails == "once":
        assert same(load(path), whole) and history.checkpoint == str(path)
    else:
        assert os.listdir(tmp_path) == [] and "could not be written" in history.checkpoint


def test_a_lost_training_leaves_its_best_weights_in_the_file(tmp_path):
    def breaks(step, row):
        if step == 20:
            raise NotFiniteError("lost")

    with pytest.raises(NotFiniteError, match="lost.*of step 20, are error") as lost:
        fit(
            copy_model(), EASY, steps=40, callback=breaks, checkpoint=tmp_path / "run.pt", **OPTIONS
        )
    assert same(load(tmp_path / "run.pt"), lost.value.trained)


def test_a_file_is_written_for_what_is_better_and_twice_a_minute(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(keeping, "write", lambda *arguments: written.append(arguments[2]["step"]))
    options = OPTIONS | {"learning_rate": 1e-9, "checkpoint": tmp_path / "run.pt"}
    _, history = fit(copy_model(), EASY, steps=50, **options)
    better = np.minimum.accumulate([history.start_loss, *history.validation_loss.values])
    assert len(written) <= 1 + np.count_nonzero(np.diff(better)) + 1


def test_no_code_runs_from_the_file_of_a_training(tmp_path):
    path = tmp_path / "run.pt"
    fit(copy_model(), EASY, steps=10, checkpoint=path, **OPTIONS)
    payload = torch.load(path, weights_only=True)
    payload["training"]["weights"]["last/R"] = payload["training"]["weights"]["last/R"] + 1
    torch.save(payload, path)
    with pytest.raises(DamageError, match="does not match its checksum"):
        checkpoint.read_training(path)
    payload["training"] = {"weights": {}, "record": "{", "sha256": ""}
    torch.save(payload, path)
    with pytest.raises(DamageError):
        fit(copy_model(), EASY, steps=10, checkpoint=path, resume=True, **OPTIONS)


@pytest.mark.gpu
def test_a_training_goes_on_on_a_gpu(tmp_path):
    options = OPTIONS | {"device": "cuda"}
    kept = {"checkpoint": tmp_path / "run.pt", "resume": True}
    fit(copy_model(), EASY, steps=20, **options, **kept)
    both, _ = fit(copy_model(), EASY, steps=40, **options, **kept)
    whole, _ = fit(copy_model(), EASY, steps=40, **options)
    with warnings.catch_warnings():
        for a, b in zip(both.layers, whole.layers, strict=True):
            np.testing.assert_allclose(a.W, b.W, rtol=1e-4)
