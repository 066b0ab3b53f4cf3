"""Training: kernels against the rule, clipping, seeds, verdicts, and files that cannot run code."""

import contextlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import xarray as xr

import dynmem as dm
from dynmem import models, tasks
from dynmem.errors import DamageError, NotFiniteError, ShapeError, UnknownNameError
from dynmem.training import Samples, Trainable, checkpoint, fit, fitting, load, save
from dynmem.training.trainable import leaves, rebuilt

CELLS = ["linear", "tanh", "relu", "orthogonal", "lstm", "gru"]
EASY = tasks.Copy(delay=1, symbols=2, length=1)
EASY_FIT = {"steps": 150, "learning_rate": 1e-2}


@dataclass(frozen=True, eq=False)
class Pair(dm.Map):
    """A user's own map: two coupled numbers, with a matrix, a list of vectors, a mask of whole
    numbers and a plain number."""

    K: np.ndarray
    shifts: tuple
    mask: np.ndarray
    damping: float = 0.1
    label: str = "mine"
    states = ("a", "b")
    inputs = 1

    def rule(self, x, u):
        return (1 - self.damping) * dm.tanh(
            x @ self.K.T + self.shifts[0] + self.shifts[1] * self.mask + u
        )


def pair():
    return Pair(
        np.array([[0.5, 0.2], [-0.3, 0.4]]),
        (np.array([0.1, 0.0]), np.array([1.0, 2.0])),
        np.array([1, 0]),
    )


def small(name, layers=1, outputs=None, inputs=4, **options):
    """A small random model with every bias at work."""
    model = models.get(
        name, units=5, inputs=inputs, layers=layers, outputs=outputs, rng=1, bias_sd=0.5, **options
    )
    rng = np.random.default_rng(2)
    return rebuilt(
        model,
        {path: rng.standard_normal(5) for path, _ in leaves(model) if path.split(".")[-1] == "c"},
    )


def copy_model(name="gru", task=EASY, units=8, **options):
    return models.get(name, units=units, inputs=task.inputs, outputs=task.outputs, rng=0, **options)


def everything(trainable, u, x0):
    """Outputs, final state and all gradients of one pass."""
    outputs, final = trainable.run(x0, u)
    mixed = torch.randn(
        outputs.shape, generator=torch.Generator().manual_seed(0), dtype=outputs.dtype
    )
    loss = (mixed * outputs).sum() + final.square().sum()
    return [outputs, final, *torch.autograd.grad(loss, [u, x0, *trainable.weights().values()])]


# ---- Trainable -----------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_fused_path_is_the_rule_forward_and_backward(name, layers, outputs):
    model = small(name, layers, outputs)
    u = torch.randn(3, 9, 4, dtype=torch.float64, requires_grad=True)
    x0 = torch.randn(3, model.size, dtype=torch.float64, requires_grad=True)
    pairs = zip(
        *(
            everything(Trainable(model, torch.float64, fused=fused), u, x0)
            for fused in (True, False)
        ),
        strict=True,
    )
    for fused, plain in pairs:
        assert fused.shape == plain.shape
        assert (fused - plain).abs().max() <= 1e-12 * max(1.0, plain.abs().max())


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
# another kernel than in double precision
def test_fused_path_is_the_rule_in_single_precision(name):
    model, u = small(name, outputs=3), torch.randn(3, 50, 4)
    torch.testing.assert_close(
        Trainable(model)(u), Trainable(model, fused=False)(u), rtol=1e-4, atol=1e-5
    )


def test_mixed_layers_leaks_and_own_cells_take_the_rule_where_torch_has_no_kernel():
    class Mine(models.Tanh):
        def rule(self, x, u):
            return 0.5 * super().rule(x, u)

    layers = (
        models.LSTM.random(5, 4),
        models.Orthogonal.random(6, 5, nonlinearity="modrelu"),
        models.GRU.random(3, 6),
        models.Tanh.random(4, 3, leak=1.0),
        Mine.random(4, 4),
    )
    model = models.Network(layers, np.ones((2, 4)))
    u, x0 = (
        torch.randn(2, 7, 4, dtype=torch.float64),
        torch.randn(2, model.size, dtype=torch.float64),
    )
    for fused, plain in zip(
        *(Trainable(model, torch.float64, fused=f).run(x0, u) for f in (True, False)), strict=True
    ):
        torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)
    leaky = models.Tanh.random(3, 4, leak=0.3)
    torch.testing.assert_close(
        Trainable(leaky, torch.float64)(u), Trainable(leaky, torch.float64, fused=False)(u)
    )


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_run_free(name):
    model = small(name, 2, inputs=0)
    u, x0 = torch.zeros(2, 6, 0, dtype=torch.float64), torch.randn(model.size, dtype=torch.float64)
    for fused, plain in zip(
        *(Trainable(model, torch.float64, fused=f).run(x0, u) for f in (True, False)), strict=True
    ):
        torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_torch_and_numpy_walk_the_same_orbit(name):
    model = small(name, outputs=2)
    u, x = np.random.default_rng(0).standard_normal((6, 4)), np.linspace(-1, 1, model.size)
    outputs, final = Trainable(model, torch.float64).run(x, u[None])
    for t in range(6):
        x = model.rule(x, u[t])
        np.testing.assert_allclose(
            outputs[0, t].detach().numpy(), model.output(x, u[t]), rtol=1e-12, atol=1e-12
        )
    np.testing.assert_allclose(final[0].detach().numpy(), x, rtol=1e-12, atol=1e-12)


def test_parameters_are_the_float_arrays_and_frozen_gives_them_back():
    net = Trainable(pair(), "float64", train=("damping",))
    assert (
        set(net.weights())
        == {"K", "shifts.0", "shifts.1", "damping"}
        == {n.replace("/", ".") for n, _ in net.named_parameters()}
    )
    loss = net(torch.ones(1, 5, 1)).square().sum()
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
    with torch.no_grad():
        net.weights()["damping"].add_(0.25)
        net.weights()["shifts.1"].mul_(3.0)
    back = net.frozen()
    assert (
        type(back) is Pair
        and back.damping == pytest.approx(0.35)
        and isinstance(back.damping, float)
        and back.label == "mine"
    )
    assert back.shifts[1].tolist() == [3.0, 6.0] and back.mask.dtype == pair().mask.dtype
    # the original is left alone
    assert pair().damping == 0.1 and net.system.shifts[1].tolist() == [1.0, 2.0]


def test_fixed_arrays_stay_and_names_are_checked():
    model = small("lstm", 2, 3)
    assert "layers.0.W" in Trainable(model).weights()
    assert not any(path.endswith("W") for path in Trainable(model, fixed="W").weights())
    assert {"layers.1.W", "R", "a"} < set(Trainable(model, fixed=("layers.0",)).weights())
    assert not any(
        path.startswith("layers.0") for path in Trainable(model, fixed=("layers.0",)).weights()
    )
    with pytest.raises(
        UnknownNameError,
        match=r"no array is called 'w': choose one of R, a, "
        r"layers\.0\.V",
    ):
        Trainable(model, fixed="w")
    with pytest.raises(
        UnknownNameError, match="no plain number of Pair is called 'gain': choose one of damping"
    ):
        Trainable(pair(), train=("gain",))


def test_a_flow_trains_through_its_map_and_says_so_where_it_stands_alone():
    @dataclass(frozen=True, eq=False)
    class Decay(dm.Flow):
        rate: np.ndarray
        states = ("x", "y")

        def rule(self, x, u):
            return -self.rate * x

    flow = Decay(np.array([1.0, 2.0]))
    assert set(Trainable(dm.FlowMap(flow, 0.1)).weights()) == {"flow.rate"}
    outputs = Trainable(dm.FlowMap(flow, 0.1), "float64")(torch.zeros(1, 10, 0), np.ones(2))
    np.testing.assert_allclose(outputs[0, -1].detach(), np.exp([-1.0, -2.0]), rtol=1e-4)
    with pytest.raises(TypeError, match="FlowMap"):
        Trainable(flow)


def test_orthogonal_stays_orthogonal():
    task = tasks.Copy(delay=3, symbols=2, length=1)
    trained, _ = fit(
        copy_model("orthogonal", task, nonlinearity="modrelu"), task, steps=30, learning_rate=0.1
    )
    W = trained.layers[0].W
    np.testing.assert_allclose(W @ W.T, np.eye(8), atol=1e-13)
    assert abs(W - copy_model("orthogonal", task, nonlinearity="modrelu").layers[0].W).max() > 0.01


def test_lost_weights_are_refused():
    net = Trainable(pair())
    with torch.no_grad():
        net.weights()["K"][0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="K of Pair holds NaN or infinity after training"):
        net.frozen()


@pytest.mark.parametrize(
    ("u", "x0", "message"),
    [
        (torch.zeros(2, 3), None, r"u has shape \(2, 3\), LSTM takes \(batch, steps, 4\)"),
        (torch.zeros(2, 3, 5), None, r"u has shape \(2, 3, 5\)"),
        (torch.zeros(2, 0, 4), None, "at least one step"),
        (torch.zeros(0, 2, 4), None, "at least one sequence"),
        (
            torch.zeros(2, 3, 4),
            torch.zeros(5),
            r"x0 has shape \(5,\), expected \(10,\) or \(2, 10\)",
        ),
        (torch.zeros(2, 3, 4), torch.zeros(3, 10), r"x0 has shape \(3, 10\)"),
    ],
)
def test_wrong_shapes_say_what_fits(u, x0, message):
    with pytest.raises(ShapeError, match=message):
        Trainable(small("lstm"))(u, x0)


def test_a_map_without_named_states_needs_a_start():
    class Free(dm.Map):
        def rule(self, x, u):
            return 0.5 * x

    assert Trainable(Free())(torch.zeros(1, 2, 0), [1.0]).flatten().tolist() == [0.5, 0.25]
    with pytest.raises(ShapeError, match="pass x0"):
        Trainable(Free())(torch.zeros(1, 2, 0))
    with pytest.raises(ValueError, match="dtype = 'float16': must be float32 or float64"):
        Trainable(Free(), "float16")


# ---- fit -----------------------------------------------------------------------------------------


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
        "held_out_loss",
        "held_out_error",
        "accuracy",
        "gradient_norm",
        "test_loss",
        "test_error",
        "test_accuracy",
    }
    assert all(
        v.dims == (() if name.startswith("test_") else ("step",)) for name, v in history.items()
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
    _, history = fit(model, task, steps=60, evaluate_every=30, held_out=64)
    assert history.learned == 0 and history.held_out_loss[-1] > 0.5 * history.floor


@pytest.mark.parametrize("name", CELLS)
def test_same_seed_same_bits_and_no_global_seed_touched(name):
    def run(seed):
        trained, history = fit(
            copy_model(name), EASY, steps=12, evaluate_every=5, held_out=32, rng=seed
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


def test_threads_are_held_and_given_back():
    before = torch.get_num_threads()
    with fitting.torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert fit(copy_model(), EASY, steps=2, held_out=8)[1].threads == 1
    assert torch.get_num_threads() == before


def steps_taken(clip, count=5, warmup=0):
    """Lengths of the steps of plain gradient descent at learning rate 1, and the norms that were
    reported."""
    net = Trainable(copy_model(), "float64")
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(20.0)  # far from any optimum: large gradients
    batches = [fitting.as_tensors(EASY, EASY.arrays(8, i), torch.float64) for i in range(count)]
    descending = fitting.descend(
        net,
        torch.optim.SGD(net.parameters(), lr=1.0),
        batches,
        fitting.per_sequence(EASY),
        clip,
        warmup=warmup,
    )
    lengths, norms = [], []
    before = torch.nn.utils.parameters_to_vector(net.parameters()).clone()
    for _, norm in descending:
        after = torch.nn.utils.parameters_to_vector(net.parameters()).clone()
        lengths.append(float((after - before).detach().norm()))
        norms.append(norm)
        before = after
    return np.array(lengths), np.array(norms)


def test_clipping_bounds_the_step():
    lengths, norms = steps_taken(1e-2)
    assert (norms > 1e-2).all()  # norms are told before clipping
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


def test_warmup_is_told_and_changes_the_start_alone():
    (_, plain), (_, warm) = (
        fit(copy_model(), EASY, steps=3, held_out=8, warmup=warmup) for warmup in (0, 1000)
    )
    assert json.loads(warm.attrs["parameters"])["warmup"] == 1000
    before = fitting.evaluate(Trainable(copy_model()), *held_out(8), fitting.per_sequence(EASY))[0]
    assert abs(warm.held_out_loss[-1] - before) < 0.01 * abs(plain.held_out_loss[-1] - before)


def held_out(count):
    """The held-out sequences that ``fit`` draws at seed 0, and their task."""
    rng = np.random.default_rng(0).spawn(2)[1]
    return fitting.as_tensors(EASY, EASY.arrays(count, rng), torch.float32), EASY


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
    options = {"steps": 400, "learning_rate": 2e-2, "evaluate_every": 20, "held_out": 32}
    _, stopped = fit(copy_model(), EASY, **options)
    assert stopped.attrs["steps"] < 400
    last = stopped.isel(step=slice(-3, None))
    assert (last.held_out_loss + 2 * last.held_out_error < 0.02 * EASY.floor).all()
    assert (
        fit(copy_model(), EASY, **options | {"steps": stopped.attrs["steps"] + 20}, stop=False)[
            1
        ].steps
        == stopped.attrs["steps"] + 20
    )
    assert fit(copy_model(), EASY, **options, stop=0.5)[1].attrs["steps"] < stopped.attrs["steps"]


def test_the_best_weights_come_back():
    trained, history = fit(
        copy_model(),
        EASY,
        steps=60,
        evaluate_every=3,
        learning_rate=0.1,
        held_out=32,
        stop=False,
        rng=2,
    )
    held = EASY.arrays(32, np.random.default_rng(2).spawn(2)[1])
    outputs = Trainable(trained, "float64")(EASY.encode(held[0])).detach().numpy()
    best = int(np.argmin(history.held_out_loss.values))
    assert history.best_step == history.step[best]
    assert EASY.mean_loss(outputs, held[1]) == pytest.approx(
        float(history.held_out_loss[best]), rel=1e-3
    )


@pytest.mark.parametrize(
    "task",
    [EASY, tasks.Copy(3, scored="recalled"), tasks.Copy(3, "graves"), tasks.Adding(9)],
    ids=str,
)
def test_losses_are_those_of_the_task(task):
    arrays = task.arrays(20, 1)
    u, targets = fitting.as_tensors(task, arrays, torch.float64)
    assert u.shape == (20, task.steps, task.inputs)
    outputs = torch.randn(20, task.steps, task.outputs, dtype=torch.float64)
    losses = fitting.per_sequence(task)(outputs, targets)
    assert losses.shape == (20,) and float(losses.mean()) == pytest.approx(
        task.mean_loss(outputs.numpy(), arrays[1]), rel=1e-12
    )
    fit(copy_model("gru", task), task, steps=2, held_out=8)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_descends(optimizer):
    rate = 0.5 if optimizer == "sgd" else 1e-2
    _, history = fit(
        copy_model(), EASY, steps=60, optimizer=optimizer, learning_rate=rate, held_out=64
    )
    assert history.held_out_loss[-1] < EASY.floor


def test_progress_goes_to_stderr_and_only_where_asked(capsys):
    fit(copy_model(), EASY, steps=3, held_out=8)
    assert capsys.readouterr() == ("", "")
    fit(copy_model(), EASY, steps=3, held_out=8, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "0/3" in err


# ---- a user's own arrays -------------------------------------------------------------------------


def test_values_of_a_users_own():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((100, 12, 2))
    truth = Trainable(
        models.Network(
            (models.Linear(np.array([[0.5]]), np.array([[1.0, -1.0]])),), np.ones((1, 1))
        ),
        "float64",
    )
    y = truth(u).detach().numpy()
    model = models.get("linear", units=1, inputs=2, outputs=1, rng=1, gain=0.1)
    trained, history = fit(model, (u, y), steps=400, learning_rate=2e-2, rng=1)
    assert (
        history.learned == 1
        and history.floor == pytest.approx(y.var())
        and "accuracy" not in history
    )
    assert trained.layers[0].W.item() == pytest.approx(0.5, abs=0.02)


def test_symbols_of_a_users_own():
    symbols = np.random.default_rng(0).integers(3, size=(60, 8))
    delayed = np.roll(symbols, 1, axis=1)
    delayed[:, 0] = 0
    model = models.get("gru", units=12, inputs=3, outputs=3, rng=0)
    _, history = fit(model, (symbols, delayed), steps=200, learning_rate=2e-2)
    assert history.learned == 1 and float(history.accuracy[-1]) > 0.95
    share = np.bincount(delayed.ravel()) / delayed.size
    assert (
        history.floor == pytest.approx(-(share * np.log(share)).sum())
        and Samples(symbols, delayed).chance == share.max()
    )
    bits = Samples(
        symbols[..., None], (delayed[..., None] == 0).astype(float), "binary_cross_entropy"
    )
    assert bits.floor == pytest.approx(
        -share[0] * np.log(share[0]) - (1 - share[0]) * np.log(1 - share[0])
    )
    assert bits.chance == pytest.approx(max(share[0], 1 - share[0]))


def test_parts_of_a_users_arrays_are_disjoint():
    x = np.arange(50.0).reshape(50, 1, 1)
    parts = Samples(x, x).split(0)
    assert sorted(np.concatenate([part.targets.ravel() for part in parts])) == list(range(50))
    # to train on, to choose the weights by, to judge them
    assert [len(part.targets) for part in parts] == [40, 5, 5]
    with pytest.raises(ShapeError, match="cut them into windows"):
        fit(models.get("gru", units=3, inputs=1, outputs=1), (x[:2], x[:2]), steps=1)


X = np.zeros((4, 5, 2))


@pytest.mark.parametrize(
    ("arrays", "loss", "message"),
    [
        ((X, X[:3]), None, "inputs .* and targets .* do not fit"),
        ((X, X[:, :4]), None, "do not fit"),
        ((X[:0], X[:0]), None, "do not fit"),
        ((X[..., 0], X), None, "inputs have shape"),
        ((X, X[..., 0]), None, "mean_squared_error needs numbers"),
        ((X, X), "cross_entropy", "cross_entropy needs whole numbers"),
        ((X, np.full((4, 5), 2)), None, "class 2 occurs among the targets"),
        ((X, X + 0.5), "binary_cross_entropy", "must be 0 or 1"),
        ((X, X), "hinge", "loss = 'hinge': choose one of"),
        ((X * np.nan, X), None, "inputs must be finite"),
    ],
)
def test_arrays_that_cannot_be_trained_on(arrays, loss, message):
    with pytest.raises((ValueError, NotFiniteError), match=message):
        fit(models.get("gru", units=3, inputs=2, outputs=2), arrays, steps=1, loss=loss)


# ---- what fit refuses ----------------------------------------------------------------------------


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
            held_out=True,
            threads=0,
            stop=2,
            warmup=-1,
        )
    lines = str(caught.value).splitlines()
    assert (
        len(lines) == 10
        and "warmup = -1: must be at least 0" in lines
        and "learning_rate = -1: must be a positive number" in lines
    )
    assert "optimizer = 'adamm': choose one of adam, adamw, rmsprop, sgd" in lines
    for stop in ("half", None, float("nan"), -0.1, 1.0):
        with pytest.raises(
            ValueError, match="stop = .*: must be True, False or a share of the floor below 1"
        ):
            fit(copy_model(), EASY, steps=1, stop=stop)


def test_a_checkpoint_that_cannot_be_written_is_told_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "descend", lambda *_: pytest.fail("trained first"))
    for path, advice in (
        (tmp_path / "absent" / "x.pt", "there is no folder .*absent, make it first"),
        (tmp_path, "is a folder"),
        (5, "checkpoint = 5: must be the path of a file"),
        ("", "must be the path"),
    ):
        with pytest.raises(ValueError, match=advice):
            fit(copy_model(), EASY, steps=1, checkpoint=path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ValueError, match="cannot be written to"):
        fit(copy_model(), EASY, steps=1, checkpoint=tmp_path / "x.pt")


def test_a_system_without_plain_numbers_says_so():
    with pytest.raises(
        UnknownNameError, match="no plain number of GRU is called 'foo': there is none"
    ):
        Trainable(small("gru"), train=("foo",))


def test_misfits_name_the_option_to_set():
    with pytest.raises(
        ShapeError,
        match=r"takes 3 inputs, the task gives 4: make it with "
        r"dm.models.get\(..., inputs=4\)",
    ):
        fit(models.get("gru", units=3, inputs=3, outputs=3), EASY, steps=1)
    with pytest.raises(
        ShapeError,
        match=r"gives 8 outputs, the task asks 3: make it with "
        r"dm.models.get\(..., outputs=3\)",
    ):
        fit(models.get("gru", units=8, inputs=4), EASY, steps=1)
    with pytest.raises(TypeError, match=r"arrays \(inputs, targets\), got int"):
        fit(copy_model(), 3, steps=1)
    with pytest.raises(ValueError, match="the task brings its own loss"):
        fit(copy_model(), EASY, steps=1, loss="mean_squared_error")
    with pytest.raises(ShapeError, match="one loss a sequence"):
        fit(copy_model(), EASY, steps=1, loss=lambda outputs, targets: outputs.mean())
    with pytest.raises(TypeError, match="Map"):
        fit(torch.nn.GRU(4, 3), EASY, steps=1)
    with pytest.raises(ValueError, match="nothing to train"):
        fit(copy_model(), EASY, steps=1, fixed=("layers", "R", "a"))


def test_a_loss_of_the_users_own_has_no_verdict():
    _, history = fit(
        copy_model(), EASY, steps=4, held_out=8, loss=lambda y, t: y.square().mean((1, 2))
    )
    assert np.isnan(history.floor) and history.learned == 0


# ---- checkpoints ---------------------------------------------------------------------------------


def same(a, b):
    first, second = dict(leaves(a)), dict(leaves(b))
    return (
        type(a) is type(b)
        and first.keys() == second.keys()
        and all(np.array_equal(first[k], second[k]) for k in first)
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_checkpoints_come_back_equal(name, layers, tmp_path):
    options = {"leak": 0.5} if name == "tanh" else {}
    for outputs in (None, 3):
        model = small(name, layers, outputs, **options)
        save(model, tmp_path / "model.pt")
        assert same(load(tmp_path / "model.pt"), model)


def test_fit_keeps_the_best_on_disk(tmp_path):
    path = tmp_path / "best.pt"
    trained, history = fit(
        copy_model(), EASY, steps=20, evaluate_every=5, held_out=16, checkpoint=path
    )
    assert same(load(path), trained) and os.listdir(tmp_path) == ["best.pt"]
    _, record = checkpoint.read(path)
    assert record["facts"]["step"] == history.best_step and record["facts"]["seed"] == 0
    assert set(torch.load(path, weights_only=True)) == {"weights", "record", "sha256"}


def test_a_users_own_system_needs_one_like_it(tmp_path):
    path, mine = tmp_path / "pair.pt", rebuilt(pair(), {"damping": 0.7, "K": np.eye(2)})
    save(mine, path)
    with pytest.raises(TypeError, match="holds a Pair, no model of dynmem: pass like="):
        load(path)
    assert same(load(path, like=pair()), mine)
    with pytest.raises(ShapeError, match=r"which GRU with .* cannot take"):
        load(path, like=small("gru"))


def test_bits_that_flipped_and_ends_that_are_missing_are_noticed(tmp_path):
    path, rng = tmp_path / "model.pt", np.random.default_rng(0)
    model = small("gru", 1, 3)
    save(model, path)
    whole = path.read_bytes()
    for at in rng.integers(8 * len(whole), size=200):
        broken = bytearray(whole)
        broken[at // 8] ^= 1 << (at % 8)
        path.write_bytes(broken)
        with contextlib.suppress(DamageError):
            assert same(load(path), model)  # padding between the parts means nothing
    for size in rng.integers(len(whole), size=100):
        path.write_bytes(whole[:size])
        with pytest.raises(DamageError):
            load(path)


def test_changed_numbers_are_noticed(tmp_path):
    path = tmp_path / "model.pt"
    save(small("gru"), path)
    payload = torch.load(path, weights_only=True)
    payload["weights"]["W"][0, 0] += 1e-9
    torch.save(payload, path)
    with pytest.raises(DamageError, match="does not match its checksum"):
        load(path)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "inside"])
def test_no_code_runs_from_a_checkpoint(form, tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "marker"
    bomb = Bomb(marker)
    if form == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif form == "inside":
        torch.save({"weights": {"W": bomb}, "record": "{}", "sha256": ""}, path)
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(DamageError, match="refused: checkpoint holds objects other than tensors"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "payload",
    [torch.zeros(3), {"W": torch.zeros(3)}, [1, 2], {"weights": 1, "record": "{}", "sha256": ""}],
)
def test_other_files_are_not_checkpoints(payload, tmp_path):
    torch.save(payload, tmp_path / "other.pt")
    with pytest.raises(DamageError, match="not a dynmem checkpoint"):
        load(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")


def sealed(path, weights, record):
    """A file of a checkpoint's form whose checksum is right."""
    torch.save(
        {"weights": weights, "record": record, "sha256": checkpoint.digest(weights, record)}, path
    )


def gru_fields(**changes):
    return {
        "system": {"kind": "GRU", "fields": checkpoint.describe(small("gru"))["fields"] | changes},
        "facts": {},
    }


@pytest.mark.parametrize(
    "record",
    [
        "no JSON",
        "5",
        "[]",
        "{}",
        "[" * 100_000,
        '{"system": 5, "facts": {}}',
        '{"system": [5], "facts": {}}',
        '{"system": null, "facts": {}}',
        '{"system": {"entries": []}, "facts": {}}',
        '{"system": {"array": []}, "facts": {}}',
        '{"system": {"kind": "GRU"}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": 5}, "facts": {}}',
        '{"system": {"kind": ["GRU"], "fields": {}}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": {}}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": {"W": {"array": 3}}}, "facts": {}}',
        json.dumps(gru_fields(foo=1)),
        json.dumps(gru_fields(W=5)),
        json.dumps(gru_fields(W="W")),
        json.dumps(gru_fields(V=None)),
        json.dumps(gru_fields(b={"array": [1]})),
        json.dumps(gru_fields(b={"entries": [1]})),
        '{"system": {"kind": "Network", "fields": {"layers": '
        + '{"entries": [' * 300
        + "5"
        + "]}" * 300
        + '}}, "facts": {}}',
    ],
)
def test_odd_records_are_not_checkpoints(record, tmp_path):
    weights = {name: torch.from_numpy(value.copy()) for name, value in leaves(small("gru"))}
    sealed(tmp_path / "odd.pt", weights, record)
    for like in (None, small("gru")):
        with pytest.raises(DamageError, match="odd.pt is not a dynmem checkpoint"):
            load(tmp_path / "odd.pt", like=like)


def test_odd_weights_are_not_checkpoints(tmp_path):
    weights = {name: torch.from_numpy(value.copy()) for name, value in leaves(small("gru"))}
    lost, nan = (
        {k: v for k, v in weights.items() if k != "b"},
        weights | {"b": weights["b"] * torch.nan},
    )
    for odd in (
        weights | {"foo": torch.zeros(1)},
        lost,
        nan,
        {},
        weights | {"W": weights["W"][:-1]},
    ):
        sealed(tmp_path / "odd.pt", odd, json.dumps(gru_fields()))
        with pytest.raises(DamageError, match="odd.pt is not a dynmem checkpoint"):
            load(tmp_path / "odd.pt")
    torch.save(
        {"weights": {"W": torch.zeros(2, dtype=torch.bfloat16)}, "record": "{}", "sha256": ""},
        tmp_path / "odd.pt",
    )
    with pytest.raises(DamageError, match="does not match"):
        load(tmp_path / "odd.pt")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save(small("gru"), path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(small("lstm"), path)
    assert same(load(path), small("gru")) and os.listdir(tmp_path) == ["model.pt"]


# ---- doors ---------------------------------------------------------------------------------------


def test_the_doors_of_the_package_do_not_load_torch():
    code = (
        "import sys, dynmem; dynmem.training; assert 'torch' not in sys.modules; dynmem.fit; "
        "assert callable(dynmem.fit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
