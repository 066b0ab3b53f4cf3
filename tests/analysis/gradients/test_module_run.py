"""Gradients of torch modules from outside, held to torch.autograd: whatever they return, whichever
axes they take, in whatever dtype they compute, under whatever switches are set."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm
from dynmem.analysis import gradient_profile, memory_horizon
from dynmem.analysis.gradients.attention_paths import attention_paths
from dynmem.analysis.gradients.depth import layer_gradients
from dynmem.errors import ShapeError

STEPS, FEATURES = 12, 3


class Recurrent(nn.Module):
    """A GRU whose outputs are no chain of layers: less their mean over the features."""

    def __init__(self, batch_first=True, hidden=4):
        super().__init__()
        self.rnn = nn.GRU(FEATURES, hidden, batch_first=batch_first)
        self.head = nn.Linear(hidden, 2)

    def forward(self, u):
        out = self.rnn(u)[0]
        return self.head(out - out.mean(-1, keepdim=True))


class Cast(Recurrent):
    """A cast to float32 in between, as in every Llama- or Mamba-like module."""

    def forward(self, u):
        return self.head(self.rnn(u)[0].to(torch.float32).to(u.dtype))


class OwnStart(Recurrent):
    """Makes its start itself, of the default dtype."""

    def forward(self, u):
        start = torch.zeros(1, len(u), 4)
        out = self.rnn(u, start)[0]
        return self.head(out * out)


class Hard(Recurrent):
    """Runs in float32 alone."""

    def forward(self, u):
        out = self.rnn(u.float())[0]
        return self.head(out - out.mean(-1, keepdim=True))


class Last(Recurrent):
    def forward(self, u):
        return super().forward(u)[:, -1]


class Mean(Recurrent):
    def forward(self, u):
        return super().forward(u).mean(1)


class Scalar(Recurrent):
    """One number a sequence."""

    def forward(self, u):
        return super().forward(u)[:, -1, 0]


class Squeezed(Recurrent):
    """One number a step, (batch, time)."""

    def forward(self, u):
        return super().forward(u)[..., 0]


class Tokens(nn.Module):
    def __init__(self, batch_first=True, last=False):
        super().__init__()
        self.embedding, self.places = nn.Embedding(9, FEATURES), nn.Embedding(50, FEATURES)
        self.rnn, self.last = Recurrent(batch_first), last

    def forward(self, tokens):
        axis = 1 if self.rnn.rnn.batch_first else 0
        places = self.places(torch.arange(tokens.shape[axis]))
        places = places[None] if axis else places[:, None]
        y = self.rnn(self.embedding(tokens) + places)
        return y.select(axis, -1) if self.last else y


class Chain(nn.Module):
    """Symbols through layers that are converted."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, FEATURES)
        self.rnn, self.head = nn.LSTM(FEATURES, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0])


MODULES = {
    "sequences": Recurrent,
    "time first": lambda: Recurrent(False),
    "own start": OwnStart,
    "last step": Last,
    "mean": Mean,
    "one number": Scalar,
    "one number a step": Squeezed,
    "symbols": Tokens,
    "symbols, time first": lambda: Tokens(False),
    "symbols, last": lambda: Tokens(last=True),
    "symbols, converted": Chain,
}


def by_autograd(module, u, dtype=torch.float64):
    """ln(|d y_T / d u_t|_F / sqrt(features)) of one sequence over the lag, from the Jacobian of the
    last output; of symbols, with respect to the embedding's rows."""
    module = module.to(dtype).eval()
    time_first = not getattr(getattr(module, "rnn", module), "batch_first", True)
    time_first = time_first or (isinstance(module, Tokens) and not module.rnn.rnn.batch_first)
    time_first = time_first or (isinstance(module, Recurrent) and not module.rnn.batch_first)
    turned = (lambda a: a[:, None]) if time_first else (lambda a: a[None])
    rows = torch.tensor(u)
    if not rows.is_floating_point():
        rows = module.embedding(rows).detach()

    def last(inputs):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        if hasattr(module, "embedding"):
            hook = module.embedding.register_forward_hook(lambda *_: turned(inputs))
            y = module(turned(torch.tensor(u)))
            hook.remove()
        else:
            y = module(turned(inputs))
        torch.set_default_dtype(before)
        if isinstance(module, Squeezed):
            y = y[..., None]
        if y.ndim == 3:
            y = y[-1] if time_first else y[:, -1]
        return y.reshape(-1)

    J = torch.autograd.functional.jacobian(last, rows.to(dtype))
    return np.log(J.flip(1).norm(dim=(0, 2)).numpy() / np.sqrt(rows.shape[1]))


def data_for(name, steps=STEPS):
    rng = np.random.default_rng(3)
    return rng.integers(9, size=steps) if "symbols" in name else rng.standard_normal((steps, 3))


@pytest.mark.parametrize("name", MODULES)
def test_against_autograd(name):
    torch.manual_seed(0)
    module, u = MODULES[name](), data_for(name)
    found = gradient_profile(module, drive=u, lags=STEPS - 1, transient=0)
    expected = by_autograd(module, u)
    np.testing.assert_allclose(found.log_input_gradient, expected, atol=1e-10)
    assert (found.log_floor == -np.inf) == (name == "symbols, converted")


@pytest.mark.parametrize("name", ["sequences", "time first", "last step", "symbols"])
def test_a_batch_of_ones_own_data(name):
    """Several sequences, as tensors in float32 too: the mean of their logarithms."""
    torch.manual_seed(0)
    module = MODULES[name]()
    batch = np.stack([data_for(name), data_for(name)[::-1], np.roll(data_for(name), 3, axis=0)])
    expected = np.mean([by_autograd(module, u.copy()) for u in batch], axis=0)
    found = gradient_profile(module, drive=torch.tensor(batch), lags=STEPS - 1)
    np.testing.assert_allclose(found.log_input_gradient, expected, atol=1e-10)
    assert found.log_input_gradient_error.min() >= 0


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_gradients_switched_off(switch):
    """As outside the block: modules from outside and converted, the other passes of autograd."""
    torch.manual_seed(0)
    u = data_for("sequences")
    stack = dm.models.get("gru", units=4, inputs=3, layers=2, placement="pre", outputs=2)
    attention = dm.models.Attention.random(3, 3, window=STEPS, rng=0)
    calls = (
        lambda: gradient_profile(made, drive=u, lags=9).log_input_gradient,
        lambda: gradient_profile(nn_gru, drive=u, lags=9).log_input_gradient,
        lambda: gradient_profile(stack, drive=u, lags=9).log_input_gradient,
        lambda: attention_paths(attention, drive=u, lags=9).total_gradient,
        lambda: layer_gradients(stack, drive=u).parameter_gradient,
    )
    with switch():
        made, nn_gru = Recurrent(), nn.GRU(3, 4)
        inside = [call().values for call in calls]
    for call, values in zip(calls, inside, strict=True):
        np.testing.assert_array_equal(call().values, values)
        assert np.isfinite(values).all()


def test_casts_to_float32():
    """The gradient as autograd gives it, and the precision said; no cotangents of 1e150."""
    torch.manual_seed(0)
    module, u = Cast(), data_for("sequences")
    found = gradient_profile(module, drive=u, lags=STEPS - 1)
    np.testing.assert_allclose(found.log_input_gradient, by_autograd(module, u), atol=1e-5)
    said = json.loads(found.attrs["parameters"])
    assert (said["dtype"], said["precision"]) == ("float64", "float32")
    assert -130 < float(found.log_floor) < -100
    plain = gradient_profile(Recurrent(), drive=u, lags=3)
    assert json.loads(plain.attrs["parameters"])["precision"] == "float64"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_modules_own_dtype(dtype):
    """A module that runs in float32 alone; half precision is run in float64 where that works."""
    torch.manual_seed(0)
    u = data_for("sequences")
    if dtype is torch.float32:
        module = Hard()
        found = gradient_profile(module, drive=u, lags=STEPS - 1)
        expected = by_autograd(module, u.astype(np.float32), torch.float32)
        np.testing.assert_allclose(found.log_input_gradient, expected, atol=1e-4)
        assert json.loads(found.attrs["parameters"])["dtype"] == "float32"
        return
    module = Recurrent().to(dtype)
    found = gradient_profile(module, drive=u, lags=STEPS - 1)
    np.testing.assert_allclose(found.log_input_gradient, by_autograd(module, u), atol=1e-10)


def test_a_time_major_module_at_rest():
    """k ln 0.5: zero input shows nothing of the order of axes, random input does."""

    class Wrapped(nn.Module):
        def __init__(self, batch_first):
            super().__init__()
            self.rnn = nn.RNN(1, 1, bias=False, batch_first=batch_first)
            self.rnn.weight_ih_l0.data.fill_(1.0)
            self.rnn.weight_hh_l0.data.fill_(0.5)

        def forward(self, u):
            return torch.sin(self.rnn(u)[0])

    for batch_first in (False, True):
        for drive in (np.zeros((9, 1)), np.zeros((4, 9, 1)), np.zeros((9, 9, 1))):
            found = gradient_profile(Wrapped(batch_first), drive=drive, lags=3)
            np.testing.assert_allclose(
                found.log_input_gradient, np.arange(4) * np.log(0.5), atol=1e-12
            )
            axes = json.loads(found.attrs["parameters"])["axes"]
            assert axes == ("batch, time" if batch_first else "time, batch")


class Noisy(Recurrent):
    def forward(self, u):
        return super().forward(u) + 1e-3 * torch.randn(len(u), u.shape[1], 1, dtype=u.dtype)


class AlwaysDropped(Recurrent):
    def forward(self, u):
        return nn.functional.dropout(super().forward(u), 0.5, training=True)


class Mixing(Recurrent):
    def forward(self, u):
        return super().forward(u - u.mean(0, keepdim=True))


class OwnTable(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.unused = nn.Parameter(torch.randn(9, 3)), nn.Embedding(9, 3)

    def forward(self, tokens):
        return self.table[tokens]


@pytest.mark.parametrize(
    "make, options, error, text",
    [
        (Noisy, {}, ValueError, "gives different outputs for the same input: take the noise out"),
        (AlwaysDropped, {}, ValueError, "different outputs for the same input"),
        (Mixing, {}, ShapeError, "Mixing mixes the sequences of a batch"),
        (Last, {"ends": 2, "lags": 4}, ValueError, "one output for a sequence, leave ends out"),
        (OwnTable, {"drive": data_for("symbols")}, TypeError, "reach no calls of an nn.Embedding"),
        (
            lambda: nn.GRU(3, 4),
            {"drive": np.zeros((200, 4, 3))},
            ShapeError,
            r"200 sequences of 4 steps, .* pass drive.transpose\(0, 1\)",
        ),
    ],
)
def test_refusals(make, options, error, text):
    with pytest.raises(error, match=text):
        gradient_profile(make(), **({"drive": data_for("sequences"), "lags": 9} | options))


def test_hooks_are_honoured_from_outside():
    """A hook that doubles the output doubles the gradient."""
    module, u = Recurrent(), data_for("sequences")
    plain = gradient_profile(module, drive=u, lags=5)
    module.register_forward_hook(lambda m, i, o: 2 * o)
    twice = gradient_profile(module, drive=u, lags=5)
    np.testing.assert_allclose(twice.input_gradient, 2 * plain.input_gradient, rtol=1e-12)


def test_horizon_of_a_profile():
    """The gradient that is there: of a profile that of the input."""
    cell = dm.models.Linear(0.9 * np.eye(2), np.eye(2))
    profile = gradient_profile(cell, drive=1.0, lags=50)
    assert float(memory_horizon(profile).horizon) == pytest.approx(-1 / np.log(0.9))
    assert dm.analysis.forgetting(profile).law == "exponential"
    both = dm.gradient_norms(cell, drive=1.0, lags=50)
    assert memory_horizon(both).attrs["title"] == "memory horizon, state gradient"
    assert float(memory_horizon(profile, of="input").horizon) == pytest.approx(9.4912, abs=1e-4)
