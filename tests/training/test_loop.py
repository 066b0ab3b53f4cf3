"""The training loop: clipping, warm-up, decay, validation, early stopping, device, callback."""

import json

import numpy as np
import pytest
import torch

from dynmem import models
from dynmem.errors import NotFiniteError
from dynmem.training import Trainable, fit
from dynmem.training.fitting import as_tensors, per_sequence
from dynmem.training.loop import (
    Row,
    Schedule,
    Score,
    Stop,
    descend,
    evaluate,
    torch_threads,
    train,
)
from tests.training.examples import EASY, copy_model, same


class Line(torch.nn.Module):
    """One weight w, whose loss on every sequence is w^2."""

    def __init__(self, start=1.0):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))

    def forward(self, u):
        return self.w.expand(len(u))


BATCH = (torch.zeros(4), torch.zeros(4))


def parabola(outputs, targets):
    return outputs.square()


def test_one_loop_with_and_without_validation():
    """Without a validation set the last weights stay; with one, those of its best evaluation."""
    schedule = Schedule(6, learning_rate=0.4, optimizer="sgd", clip=None, evaluate_every=2)
    last = Line()
    rows, best = train(last, [BATCH] * 6, None, schedule, loss=parabola)
    assert [row.step for row in rows] == [2, 4, 6] and best is rows[-1]
    assert last.w.item() == pytest.approx((1 - 0.8) ** 6)
    np.testing.assert_allclose([row.training_loss for row in rows[:1]], np.mean([1, 0.2**2]))
    scores = iter([Score(3.0, 0.0, 1.0), Score(1.0, 0.0, 1.0), Score(2.0, 0.0, 1.0)])
    kept = Line()
    rows, best = train(kept, [BATCH] * 6, lambda: next(scores), schedule, loss=parabola)
    assert best is rows[1] and kept.w.item() == pytest.approx((1 - 0.8) ** 4)


def test_cosine_rate_follows_its_formula():
    """Plain descent on w: each step multiplies w by 1 - 2 rate."""
    line = Line()
    schedule = Schedule(8, learning_rate=0.1, optimizer="sgd", clip=None, decay="cosine")
    found = [1.0]
    for _ in descend(line, [BATCH] * 8, parabola, schedule):
        found.append(line.w.item())
    rates = 0.5 * 0.1 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(found, np.cumprod([1.0, *(1 - 2 * rates)]), rtol=1e-12)


def test_callback_reads_the_rows_of_the_history():
    seen = []
    _, history = fit(
        copy_model(),
        EASY,
        steps=7,
        evaluate_every=3,
        validation_size=8,
        callback=lambda step, row: seen.append((step, row)),
    )
    assert [step for step, _ in seen] == history.step.values.tolist() == [3, 6, 7]
    for name in ("training_loss", "gradient_norm", "validation_loss", "validation_accuracy"):
        assert [row[name] for _, row in seen] == history[name].values.tolist()

    def interrupt(step, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(copy_model(), EASY, steps=7, validation_size=8, callback=interrupt)


def test_device_is_checked_and_leaves_the_bits():
    options = {"steps": 5, "validation_size": 8}
    (plain, _), (moved, _) = (fit(copy_model(), EASY, device=d, **options) for d in (None, "cpu"))
    assert same(plain, moved)
    for device in ("gpu", "cuda:99", 3.5, "meta"):
        with pytest.raises(ValueError, match=f"device = {device!r}: must be a device"):
            fit(copy_model(), EASY, steps=1, device=device)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tanh", "gru", "lru", "s4d", "mamba", "attention"])
def test_a_gpu_trains_to_the_same_losses(name):
    options = {"steps": 5, "validation_size": 8, "dtype": "float64", "evaluate_every": 1}
    (_, here), (_, there) = (
        fit(copy_model(name), EASY, device=d, **options) for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(there.validation_loss, here.validation_loss, rtol=1e-9)


def test_stop_needs_evaluations_in_a_row():
    def rows(*losses):
        return [Row(i, 0.0, 0.0, Score(loss, 0.1, 1.0)) for i, loss in enumerate(losses)]

    stop = Stop(1.0)
    assert stop.reached(rows(5.0, 0.7, 0.7, 0.7))
    assert not stop.reached(rows(0.7, 0.7)) and not stop.reached(rows(0.7, 0.81, 0.7))
    assert not Stop(float("nan")).reached(rows(0.0, 0.0, 0.0))
    assert not stop.reached([Row(i, 0.0, 0.0, None) for i in range(5)])


def test_threads_are_held_and_given_back():
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert fit(copy_model(), EASY, steps=2, validation_size=8)[1].threads == 1
    assert torch.get_num_threads() == before


def steps_taken(clip, count=5, warmup=0):
    """Lengths of the steps of plain gradient descent at learning rate 1, and the norms that were
    reported."""
    net = Trainable(copy_model(), "float64")
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(20.0)  # far from any optimum: large gradients
    batches = [as_tensors(EASY, EASY.arrays(8, i), torch.float64) for i in range(count)]
    schedule = Schedule(count, learning_rate=1.0, optimizer="sgd", clip=clip, warmup=warmup)
    lengths, norms = [], []
    before = torch.nn.utils.parameters_to_vector(net.parameters()).clone()
    for _, norm in descend(net, batches, per_sequence(EASY), schedule):
        after = torch.nn.utils.parameters_to_vector(net.parameters()).clone()
        lengths.append(float((after - before).detach().norm()))
        norms.append(norm)
        before = after
    return np.array(lengths), np.array(norms)


def test_clipping_bounds_the_step():
    lengths, norms = steps_taken(1e-2)
    assert (norms > 1e-2).all()  # norms are those before clipping
    np.testing.assert_allclose(lengths, 1e-2, rtol=1e-3)
    lengths, norms = steps_taken(None)
    np.testing.assert_allclose(lengths, norms, rtol=1e-6)
    lengths, norms = steps_taken(1e6)
    np.testing.assert_allclose(lengths, norms, rtol=1e-6)


def test_warmup_raises_the_rate_in_a_straight_line():
    lengths, _ = steps_taken(1e-2, count=6, warmup=4)
    np.testing.assert_allclose(
        lengths, 1e-2 * np.array([0.25, 0.5, 0.75, 1.0, 1.0, 1.0]), rtol=1e-3
    )
    lengths, norms = steps_taken(None, warmup=1)
    np.testing.assert_allclose(lengths, norms, rtol=1e-6)


def test_warmup_is_recorded_and_changes_the_start_alone():
    (_, plain), (_, warm) = (
        fit(copy_model(), EASY, steps=3, validation_size=8, warmup=warmup) for warmup in (0, 1000)
    )
    assert json.loads(warm.attrs["parameters"])["warmup"] == 1000
    rng = np.random.default_rng(0).spawn(2)[1]  # draws the validation set of ``fit`` at seed 0
    validation = as_tensors(EASY, EASY.arrays(8, rng), torch.float32)
    before = evaluate(Trainable(copy_model()), validation, per_sequence(EASY)).loss
    assert abs(warm.validation_loss[-1] - before) < 0.01 * abs(plain.validation_loss[-1] - before)


def test_a_lost_loss_stops_with_its_step():
    inputs, targets = np.ones((10, 40, 1)), np.ones((10, 40, 1))
    model = models.Network((models.Linear(np.array([[1e4]]), np.ones((1, 1))),), np.ones((1, 1)))
    with pytest.raises(
        NotFiniteError,
        match=r"loss not finite at step 1 of 7 \(Network, adam, "
        r"learning_rate=0.1, clip=1.0\): lower",
    ):
        fit(model, (inputs, targets), steps=7, learning_rate=0.1)


def test_a_lost_gradient_stops_before_the_weights_are_lost():
    def rough(outputs, targets):
        return (outputs * 0.0).abs().sqrt().sum((1, 2))  # its slope at 0 is infinite

    with pytest.raises(NotFiniteError, match="gradient not finite at step 1 of 3"):
        fit(copy_model(), EASY, steps=3, loss=rough)


def test_early_stop_and_its_absence():
    options = {"steps": 400, "learning_rate": 2e-2, "evaluate_every": 20, "validation_size": 32}
    _, stopped = fit(copy_model(), EASY, **options)
    assert stopped.attrs["steps"] < 400
    last = stopped.isel(step=slice(-3, None))
    assert (last.validation_loss + 2 * last.validation_loss_error < 0.02 * EASY.floor).all()
    assert (
        fit(copy_model(), EASY, **options | {"steps": stopped.attrs["steps"] + 20}, stop=False)[
            1
        ].steps
        == stopped.attrs["steps"] + 20
    )
    assert fit(copy_model(), EASY, **options, stop=0.5)[1].attrs["steps"] < stopped.attrs["steps"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_descends(optimizer):
    rate = 0.5 if optimizer == "sgd" else 1e-2
    _, history = fit(
        copy_model(), EASY, steps=60, optimizer=optimizer, learning_rate=rate, validation_size=64
    )
    assert history.validation_loss[-1] < EASY.floor


def test_progress_goes_to_stderr_and_only_where_requested(capsys):
    fit(copy_model(), EASY, steps=3, validation_size=8)
    assert capsys.readouterr() == ("", "")
    fit(copy_model(), EASY, steps=3, validation_size=8, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "0/3" in err
