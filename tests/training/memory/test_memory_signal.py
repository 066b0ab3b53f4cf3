"""``memory_signal``: a loop over sequences by autograd, exact zeros, unbiased samples, null
training."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import dynmem as dm
from dynmem.errors import ShapeError
from dynmem.tasks import Task
from dynmem.training import null_fit

COPY = dm.tasks.Copy(symbols=3, length=2, scored="recalled")


class Readout(nn.Module):
    """A user's own module: an embedding, an LSTM, a readout."""

    def __init__(self, inputs=5, outputs=4, units=6):
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.Linear(inputs, units)
        self.cell = nn.LSTM(units, units, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.readout = nn.Linear(units, outputs)

    def forward(self, u):
        return self.readout(self.drop(self.cell(torch.tanh(self.encoder(u)))[0]))


def by_a_loop(module, task, batch):
    """Signal of each mode, noise and SNR^2 from one backward pass for each sequence and output."""
    inputs, targets, p = task.sequences()
    u = torch.tensor(task.encode(inputs))
    weights = [w for w in module.parameters() if w.requires_grad]
    losses = {
        "cross_entropy": lambda y, t: functional.cross_entropy(y, t.long(), reduction="none"),
        "binary_cross_entropy": lambda y, t: functional.binary_cross_entropy_with_logits(
            y, t.double(), reduction="none"
        ).mean(-1),
        "mean_squared_error": lambda y, t: ((y - t) ** 2).mean(-1),
    }
    scored = np.flatnonzero(task.weights)
    gradients, jacobians = [], []
    for i in range(len(p)):
        y = module(u[i : i + 1])[0]
        loss = losses[task.loss](y[scored], torch.tensor(targets[i][scored])).mean()
        gradients.append(torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True))
        jacobians.append(
            {
                (step, k): torch.autograd.grad(
                    y[step, k], weights, retain_graph=True, allow_unused=True
                )
                for step in range(task.steps)[task.recalled]
                for k in range(task.outputs)
            }
        )
    slope = {"cross_entropy": 1.0, "binary_cross_entropy": 1 / task.outputs}.get(
        task.loss, 2 / task.outputs
    )
    found = {}
    variances = []
    for j, w in enumerate(weights):
        each = torch.stack([torch.zeros_like(w) if g[j] is None else g[j] for g in gradients])
        mean = sum(q * g for q, g in zip(p, each, strict=True))
        variances.append(
            sum(q * ((g - mean) ** 2).sum() for q, g in zip(p, each, strict=True)).item() / batch
        )
    for name, part in task.modes(inputs, targets).items():
        part = part - np.einsum("i,itk->tk", p, part)
        squares = []
        for j, w in enumerate(weights):
            s = torch.zeros_like(w)
            for i, table in enumerate(jacobians):
                for (step, k), g in table.items():
                    if g[j] is not None:
                        s -= slope * p[i] * part[i, step, k] * g[j] / len(scored)
            squares.append((s**2).sum().item())
        ratio = sum(
            s / (v / w.numel())
            for s, v, w in zip(squares, variances, weights, strict=True)
            if v > 1e-20 * max(variances)  # the bias of keys moves nothing, but for rounding
        )
        found[name] = np.sqrt(sum(squares)), ratio
    return found, np.sqrt(sum(variances))


EXACT = [
    ("tanh", COPY),
    ("gru", COPY),
    ("lru", dm.tasks.Copy(symbols=2, length=2, scored="all")),
    ("linear", dm.tasks.Copy(layout="graves", bits=2, length=2)),
    ("lstm", dm.tasks.DelayedMatch(symbols=3, distractors=0)),
    ("attention", dm.tasks.DelayedMatch(symbols=3, distractors=0)),
    ("tanh", dm.tasks.Parity(steps=4, scored="all")),
]


@pytest.mark.parametrize(("name", "task"), EXACT, ids=lambda value: str(value)[:40])
def test_it_is_what_a_loop_over_sequences_gives(name, task):
    task = task.with_delay(4)
    found = dm.memory_signal(name, task, units=4, batch=10, probes=1000, rng=5)
    model = dm.models.get(name, units=4, inputs=task.inputs, outputs=task.outputs, rng=5)
    expected, noise = by_a_loop(dm.Trainable(model, "float64"), task, 10)
    assert found.exact == 1 and found.mode.values.tolist() == list(expected)
    for mode, (signal, ratio) in expected.items():
        at = found.sel(mode=mode).squeeze()
        assert float(at.signal) == pytest.approx(signal, rel=1e-10)
        assert float(at.snr_squared) == pytest.approx(ratio, rel=1e-10)
    assert float(found.noise.squeeze()) == pytest.approx(noise, rel=1e-10)


def test_a_users_module_and_squared_errors():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((7, 5, 3)), rng.standard_normal((7, 5, 2))
    task = dm.training.Samples(*data)
    module = Readout(3, 2)
    found = dm.memory_signal(module, task, probes=6, batch=3)
    expected, noise = by_a_loop(Readout(3, 2).double().eval(), task, 3)
    assert found.snr_squared.item() == pytest.approx(expected["answer"][1], rel=1e-6)  # float32
    assert found.noise.item() == pytest.approx(noise, rel=1e-6)
    assert next(module.parameters()).dtype == torch.float32 and module.training  # is left alone


def test_few_directions_are_unbiased_and_their_error_covers():
    task = COPY.with_delay(3)
    model = dm.models.get("tanh", units=4, inputs=task.inputs, outputs=task.outputs)
    exact = dm.memory_signal(model, task, probes=8).squeeze()  # 9 sequences
    z = []
    for seed in range(30):
        one = dm.memory_signal(model, task, probes=4, rng=seed).squeeze()
        z.append((one.snr_squared - exact.snr_squared) / one.snr_squared_error)
    assert exact.exact == 1 and one.exact == 0
    assert np.mean(np.abs(z) < 1) > 0.5 and np.mean(np.abs(z) < 3) > 0.93


class Unlisted(dm.tasks.Copy):
    """Copy that does not list its sequences: it is sampled."""

    def sequences(self):
        return None


def test_a_sample_is_unbiased_and_its_error_covers():
    shape = {"delay": 2, "symbols": 2, "length": 2, "scored": "recalled"}
    model = dm.models.get("tanh", units=4, inputs=4, outputs=3, rng=11)
    exact = dm.memory_signal(model, dm.tasks.Copy(**shape), probes=99).squeeze()
    found = [
        dm.memory_signal(model, Unlisted(**shape), sequences=64, rng=seed) for seed in range(40)
    ]
    assert exact.exact == 1 and found[0].exact == 0
    for name in ("snr_squared", "noise"):
        values = np.array([one[name].values.squeeze() for one in found])
        mean, error = values.mean(0), values.std(0) / np.sqrt(len(found))
        # a ratio of estimates is biased by 1 / (groups - 1) / weights at most
        assert np.all(np.abs(mean - exact[name].values) < 4 * error + 0.03 * mean), name
    z = np.array(
        [
            (one.snr_squared.squeeze() - exact.snr_squared) / one.snr_squared_error.squeeze()
            for one in found
        ]
    )
    assert np.mean(np.abs(z) < 1) > 0.45 and np.mean(np.abs(z) < 3) > 0.9


BEYOND = [
    ("tcn", {"kernel": 4}, dm.tasks.Copy(symbols=2, length=2, scored="recalled")),
    ("attention", {"window": 6}, dm.tasks.Copy(symbols=2, length=2)),
    ("tcn", {"kernel": 4}, dm.tasks.DelayedMatch(symbols=3)),
    ("attention", {"window": 3}, dm.tasks.NBack(symbols=3, steps=9)),
    ("tcn", {"kernel": 4}, dm.tasks.AssociativeRecall(pairs=2, keys=3, values=2, queries=1)),
    ("tcn", {"kernel": 2}, dm.tasks.Parity()),
]


@pytest.mark.parametrize(("name", "options", "task"), BEYOND, ids=lambda value: str(value)[:30])
def test_it_is_exactly_0_beyond_a_receptive_field_or_window(name, options, task):
    model = dm.models.get(name, units=4, inputs=task.inputs, outputs=task.outputs, **options)
    far = 30 if task.name != "selective_copy" else 40
    if task.name == "selective_copy":  # symbols lie up to the step before the recall: never hidden
        return
    found = dm.memory_signal(model, task, delays=[2, far], sequences=64)
    assert (found.snr_squared.sel(delay=far) == 0).all() and (
        found.signal.sel(delay=far) == 0
    ).all()
    assert (found.snr_squared.sel(delay=2) != 0).all()


def test_the_first_value_of_adding_is_hidden_and_the_second_is_not():
    model = dm.models.get("tcn", units=4, inputs=2, outputs=1, kernel=2)
    found = dm.memory_signal(model, "adding", delays=[40], sequences=64).squeeze()
    assert float(found.snr_squared.sel(mode="first")) == 0
    assert float(found.snr_squared.sel(mode="second")) != 0


@pytest.mark.parametrize(
    "task",
    [
        "adding",
        "associative_recall",
        "delayed_match",
        "flip_flop",
        "induction",
        "n_back",
        "parity",
        "selective_copy",
    ],
)
def test_every_task_has_a_delay(task):
    found = dm.memory_signal("tanh", task, delays=[4, 6], units=3, sequences=32)
    assert found.delay.values.tolist() == [4, 6]
    assert np.isfinite(found.snr_squared).all() and (found.noise > 0).all()
    assert found.snr_squared.attrs["units"] == "1" and found.attrs["title"]


class Echo(Task):
    """A user's own task: say the number that was shown ``lag`` steps ago."""

    def __init__(self, lag):
        object.__setattr__(self, "lag", lag)

    name, title, source = "echo", "echo task", "a user's own"
    loss, inputs, outputs, chance, floor = "mean_squared_error", 1, 1, None, 1.0
    recalled = slice(-1, None)
    steps = property(lambda self: self.lag + 1)
    dependency = property(lambda self: self.lag)
    parameters = property(lambda self: {"lag": self.lag})

    def draw(self, count, rng):
        u = rng.standard_normal((count, self.steps, 1))
        y = np.zeros_like(u)
        y[:, -1] = u[:, 0]
        return u, y


def test_a_users_task_as_a_function_of_the_delay():
    model = dm.models.get("linear", units=6, inputs=1, outputs=1, gain=0.7, init="orthogonal")
    found = dm.memory_signal(model, Echo, delays=[1, 4, 7], sequences=4096)
    assert found.delay.values.tolist() == [1, 4, 7]
    # |A^d| = 0.7^d for every direction, so that s of the readout falls as it does
    signal = found.snr_squared.squeeze().values
    assert signal[0] > 5 * signal[1] > 10 * signal[2] * 0.5
    with pytest.raises(TypeError, match="no option 'delay'"):
        dm.memory_signal(model, Echo(3), delays=[1, 4])


def test_null_steps_measure_along_a_null_training():
    task = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
    options = {"units": 4, "learning_rate": 1e-2, "rng": 4}
    found = dm.memory_signal("tanh", task, delays=[3], null_steps=[0, 2, 8], **options)
    assert found.null_step.values.tolist() == [0, 2, 8]
    untrained = dm.memory_signal("tanh", task, delays=[3], **options)
    np.testing.assert_allclose(
        found.snr_squared[:, :, 0], untrained.snr_squared[:, :, 0], rtol=1e-6
    )
    assert not np.allclose(found.snr_squared[:, :, 2], found.snr_squared[:, :, 0], rtol=0.02)
    again = dm.memory_signal("tanh", task, delays=[3], null_steps=[0, 2, 8], **options)
    assert found.identical(again)
    averaged = dm.memory_signal(
        "tanh", task, delays=[3], null_steps=4, null_runs=3, null_delay=2, **options
    )
    assert averaged.snr_squared.shape == (1, 1, 1) and averaged.snr_squared_error.item() > 0


def test_nothing_is_learned_from_targets_drawn_apart():
    task = dm.tasks.Copy(delay=1, symbols=2, length=1, scored="recalled")
    options = {"steps": 150, "units": 8, "learning_rate": 1e-2}
    steps = []
    trained, history = null_fit("gru", task, callback=lambda k, _: steps.append(k), **options)
    _, learned = dm.fit("gru", task, **options)
    assert isinstance(trained, dm.models.Network) and steps == list(range(151))
    assert float(history.training_loss[-20:].mean()) > 0.95 * task.floor
    assert float(learned.test_loss) < 0.5 * task.floor
    # but the means are: the blank is never the answer
    assert float(history.training_loss[0]) > 1.2 * float(history.training_loss[-1])


def test_a_users_module_is_trained_as_a_copy():
    module, task = Readout(), dm.tasks.Copy(delay=2, symbols=3, length=1)
    before = [w.clone() for w in module.parameters()]
    trained, history = null_fit(module, task, steps=3)
    assert type(trained) is Readout and history.sizes == {"step": 3}
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert not torch.equal(before[0], next(trained.parameters()))


class Swapped(nn.Module):
    """Takes (time, batch, features), as torch does by default."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNN(5, 4)

    def forward(self, u):
        return self.cell(u)[0]


def test_what_does_not_fit_is_refused():
    task = dm.tasks.Copy(delay=2, symbols=3, length=1)
    with pytest.raises(ShapeError, match="mixes the sequences"):
        dm.memory_signal(Swapped(), task)
    with pytest.raises(ShapeError, match="requires"):
        dm.memory_signal(Readout(outputs=7), task)
    with pytest.raises(ShapeError, match="does not take the inputs"):
        dm.memory_signal(Readout(inputs=2), task)
    with pytest.raises(TypeError, match="no sequence model"):
        dm.memory_signal(3, task)
    with pytest.raises(ValueError, match="null_steps"):
        dm.memory_signal("gru", task, null_steps=[-1])
    with pytest.raises(TypeError, match="did you mean delays"):
        dm.memory_signal("gru", task, delay=3)
