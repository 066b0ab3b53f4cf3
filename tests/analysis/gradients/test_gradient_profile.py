"""Gradient profiles of whole models: held to the exact sweep, to full Jacobians by torch, to closed
forms, and to the probes' own error."""

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm
from dynmem.analysis import forgetting, gradient_norms, gradient_profile, memory_horizon
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import GRU, LSTM, Linear, Network, Orthogonal, Relu, Tanh
from tests.reference import ForcedDuffing

MODELS = {
    "linear": lambda: Linear.random(5, 2, rng=0, bias_sd=0.2),
    "tanh": lambda: Tanh.random(6, 2, rng=0, gain=1.4, bias_sd=0.2),
    "relu": lambda: Relu.random(6, 2, rng=3, gain=1.2, bias_sd=0.3),
    "lstm": lambda: LSTM.random(4, 3, rng=0, forget_bias=1.0),
    "gru": lambda: GRU.random(4, 3, rng=0, bias_sd=0.3),
    "readout": lambda: dm.models.get("lstm", units=3, inputs=2, layers=2, outputs=2, rng=0),
    "stack": lambda: dm.models.get(
        "gru", units=4, inputs=2, layers=3, outputs=2, rng=0, placement="pre", feedforward=5
    ),
    "mixed": lambda: Network(
        (Tanh.random(4, 2, rng=1), GRU.random(3, 4, rng=2)), np.ones((1, 3)), np.array([0.1])
    ),
    "duffing": lambda: dm.FlowMap(ForcedDuffing(), 0.2),
}


@pytest.mark.parametrize("name", MODELS)
def test_as_many_probes_as_outputs_are_exact(name):
    """The same logarithms as the sweep that pulls every product through the rule, on the same run;
    over cuts and several runs."""
    system = MODELS[name]()
    u = np.random.default_rng(4).standard_normal((22, system.inputs))
    for options in ({"lags": 280}, {"lags": 12, "samples": 3}, {"lags": 12, "drive": u}):
        options = {"drive": 0.7, "transient": 9, "rng": 2} | options
        found, expected = gradient_profile(system, **options), gradient_norms(system, **options)
        np.testing.assert_allclose(found.log_input_gradient, expected.log_input_gradient, atol=1e-9)
        assert ("log_input_gradient_error" in found) == ("samples" in options)
        if "samples" in options:
            np.testing.assert_allclose(
                found.log_input_gradient_error, expected.log_input_gradient_error, atol=1e-9
            )
    assert gradient_profile(system, drive=0.7, lags=0, rng=2).log_input_gradient == pytest.approx(
        gradient_norms(system, drive=0.7, lags=0, rng=2).log_input_gradient.item(), abs=1e-9
    )
    sparse = gradient_profile(system, drive=0.7, lags=[9, 2, 5, 2], transient=9, rng=2)
    assert sparse.lag.values.tolist() == [2, 5, 9] and sparse.log_floor == -np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 3.0])
def test_no_underflow_and_no_overflow(factor, dtype):
    """factor^lag sqrt(2) of two equal units; 0.5^3000 is e^-2079, and float32 ends at e^-103."""
    cell = Linear(factor * np.eye(2), np.ones((2, 1)))
    found = gradient_profile(cell, lags=3000, dtype=dtype)
    expected = np.arange(3001) * np.log(factor) + 0.5 * np.log(2)
    np.testing.assert_allclose(
        found.log_input_gradient, expected, atol=1e-8 if dtype == "float64" else 1e-3
    )


def test_a_fall_within_one_segment_is_cut_again():
    """1e-4 a step leaves float32 after nine steps, float64 after 75; 1e-40 after one."""
    for factor, dtype in (
        (1e-4, "float32"),
        (1e-4, "float64"),
        (1e-40, "float64"),
        (1e30, "float64"),
        (1e30, "float32"),
    ):
        found = gradient_profile(Linear(factor * np.eye(1), np.ones((1, 1))), lags=150, dtype=dtype)
        np.testing.assert_allclose(
            found.log_input_gradient, np.arange(151) * np.log(factor), rtol=1e-5
        )


def test_a_memory_that_ends_is_zero():
    """A shift register of three forgets exactly, in the middle of a segment."""
    found = gradient_profile(Linear(np.diag(np.ones(2), -1), np.eye(3)[:, :1]), lags=300)
    assert (
        found.input_gradient.values[:4].tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0])
        and (found.log_input_gradient[3:] == -np.inf).all()
    )
    assert memory_horizon(found, of="input").horizon == 3


def test_a_layer_without_a_state():
    dense = dm.models.Dense.random(3, 2)
    found = gradient_profile(dense, drive=1.0, lags=300)
    assert (
        found.input_gradient[0] == pytest.approx(np.linalg.norm(dense.V) / np.sqrt(2))
        and (found.input_gradient[1:] == 0).all()
    )


def test_float32_where_autograd_gives_zero():
    """An ordinary network of 0.28 nats a step: plain autograd in float32 keeps about a third of
    1,000 lags, the profile all of them."""
    cell = Tanh.random(32, 4, rng=0, gain=0.8)
    rounded = gradient_profile(
        cell, drive=0.3, lags=1000, probes=32, dtype="float32"
    ).log_input_gradient
    exact = gradient_profile(cell, drive=0.3, lags=1000, probes=32).log_input_gradient
    assert exact[-1] < -200 and np.isfinite(rounded).all()
    assert abs(rounded - exact).max() < 0.02


def test_the_error_of_the_probes_is_true():
    """Over many draws the profile scatters about the exact one as its error says, at early lags
    (many directions) and at late ones (one)."""
    cell = Tanh.random(40, 3, rng=0, gain=1.2)
    lags = [0, 1, 3, 10, 100]
    u = 0.5 * np.random.default_rng(0).standard_normal((150, 3))
    exact = gradient_norms(cell, drive=u, lags=lags, x0=np.zeros(40)).log_input_gradient.values
    draws = [
        gradient_profile(cell, drive=u, lags=lags, x0=np.zeros(40), probes=12, rng=seed)
        for seed in range(40)
    ]
    z = np.array([(d.log_input_gradient - exact) / d.log_input_gradient_error for d in draws])
    assert (
        abs(np.median(z, axis=0)).max() < 0.6
        and (abs(z) < 2).mean() > 0.85
        and (abs(z) < 0.3).mean() < 0.4
    )
    found = np.array([d.log_input_gradient.values for d in draws])
    assert abs(found.mean(axis=0) - exact).max() < 4 * found.std(axis=0).max() / np.sqrt(40) + 0.01
    slopes = [
        forgetting(
            gradient_profile(cell, drive=u, lags=100, x0=np.zeros(40), rng=s),
            of="input",
            min_lag=40,
        ).slope.item()
        for s in range(3)
    ]
    np.testing.assert_allclose(
        slopes,
        forgetting(
            gradient_norms(cell, drive=u, lags=100, x0=np.zeros(40)), of="input", min_lag=40
        ).slope,
        atol=2e-3,
    )


def test_ends_of_one_run_stand_for_many_runs():
    """A linear network has one profile wherever it ends; a driven one the same law within the
    scatter."""
    line = Linear.random(4, 2, rng=0, gain=0.9)
    one, many = (
        gradient_profile(line, drive=1.0, lags=40),
        gradient_profile(line, drive=1.0, lags=40, ends=5),
    )
    np.testing.assert_allclose(one.log_input_gradient, many.log_input_gradient, atol=1e-9)
    assert many.log_input_gradient_error.max() < 1e-9
    cell = Tanh.random(20, 2, rng=0, gain=1.3)
    ends, samples = (
        gradient_profile(cell, drive=0.8, lags=60, probes=20, rng=1, **{name: 24})
        for name in ("ends", "samples")
    )
    error = np.hypot(ends.log_input_gradient_error, samples.log_input_gradient_error)
    assert (abs(ends.log_input_gradient - samples.log_input_gradient) < 5 * error + 1e-9).all()


def test_several_sequences():
    cell, u = Tanh.random(5, 2, rng=0), np.random.default_rng(1).standard_normal((3, 80, 2))
    together = gradient_profile(cell, drive=u, lags=30, x0=np.zeros(5))
    apart = np.mean(
        [
            gradient_norms(cell, drive=each, lags=30, x0=np.zeros(5)).log_input_gradient
            for each in u
        ],
        axis=0,
    )
    np.testing.assert_allclose(together.log_input_gradient, apart, atol=1e-10)


class Attention(nn.Module):
    """Causal self-attention of two layers, as torch writes it."""

    def __init__(self, width=4, causal=True):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 2, 8, batch_first=True)
        self.encoder, self.causal = (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            causal,
        )

    def forward(self, u):
        mask = (
            nn.Transformer.generate_square_subsequent_mask(u.shape[1], dtype=u.dtype)
            if self.causal
            else None
        )
        return self.encoder(u, mask=mask)


class First(nn.Module):
    """The outputs of a recurrent module, without its state."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, u):
        return self.module(u)[0]


class Opaque(First):
    """The same less its mean over the features: no chain of layers."""

    def forward(self, u):
        out = self.module(u)[0]
        return out - out.mean(-1, keepdim=True)


MODULES = {
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2, enable_nested_tensor=False
    ),
    "causal encoder": Attention,
    "lstm": lambda: nn.LSTM(4, 3, num_layers=2, batch_first=True),
    "gru": lambda: nn.GRU(4, 3),
    "rnn, relu": lambda: nn.RNN(4, 3, nonlinearity="relu"),
    "lstm, both ways": lambda: nn.LSTM(4, 3, bidirectional=True, batch_first=True),
    "lstm, projected": lambda: nn.LSTM(4, 3, proj_size=2, batch_first=True),
    "wrapped lstm": lambda: First(nn.LSTM(4, 3, batch_first=True)),
    "opaque lstm": lambda: Opaque(nn.LSTM(4, 3, batch_first=True)),
    "sequential": lambda: nn.Sequential(
        nn.Linear(4, 5),
        nn.Tanh(),
        First(nn.GRU(5, 3, batch_first=True)),
        nn.LayerNorm(3),
        nn.Linear(3, 2),
    ),
}


def full_jacobian(module, u, lags):
    """ln(|d y_T / d u_(T-lag)|_F / sqrt(inputs)) from the whole Jacobian of the last output."""
    module = module.double().eval()

    def last(inputs):
        out = module(inputs[:, None] if not getattr(module, "batch_first", True) else inputs[None])
        out = out[0] if isinstance(out, tuple) else out
        return out[-1, 0] if not getattr(module, "batch_first", True) else out[0, -1]

    J = torch.autograd.functional.jacobian(last, torch.tensor(u))
    return np.log(J.flip(1).norm(dim=(0, 2)).numpy()[lags] / np.sqrt(u.shape[1]))


@pytest.mark.parametrize("name", MODULES)
def test_from_outside(name):
    """Against torch.autograd.functional.jacobian, no equation needed; the module itself is left as
    it was."""
    torch.manual_seed(0)
    module, u = MODULES[name](), np.random.default_rng(3).standard_normal((12, 4))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    found = gradient_profile(module, drive=u, lags=11, transient=0)
    assert module.training and all(
        torch.equal(v, before[k]) and v.dtype == torch.float32
        for k, v in module.state_dict().items()
    )
    assert all(p.requires_grad for p in module.parameters())
    np.testing.assert_allclose(
        found.log_input_gradient, full_jacobian(module, u, np.arange(12)), atol=1e-10
    )
    outside = ("encoder", "causal encoder", "lstm, both ways", "opaque lstm")
    assert (found.log_floor == -np.inf) == (name not in outside)


class Whole(First):
    """The same outputs, by a sum that no chain of layers has."""

    def forward(self, u):
        out = self.module(u)[0]
        return out + 0.0 * u.sum(-1, keepdim=True) + 1.0


def test_a_module_that_cannot_be_cut_says_where_it_ends():
    """0.28 nats a step in one pass of float32: 0 below its floor, and no claim beyond; in float64
    twice 1,000 nats are there."""
    cell = nn.RNN(4, 32, batch_first=True)
    with torch.no_grad():
        cell.weight_hh_l0.copy_(torch.tensor(Tanh.random(32, gain=0.8).W))
    u = 0.3 * np.random.default_rng(0).standard_normal((1001, 4))
    cut = gradient_profile(cell, drive=u, lags=1000, transient=0, probes=32)
    whole = gradient_profile(Whole(cell), drive=u, lags=1000, probes=32)
    np.testing.assert_allclose(whole.log_input_gradient, cut.log_input_gradient, atol=1e-6)
    small = gradient_profile(Whole(cell), drive=u, lags=1000, probes=32, dtype="float32")
    assert small.log_floor < -100 and (small.log_input_gradient == -np.inf).sum() > 300
    kept = np.isfinite(small.log_input_gradient)
    assert (
        abs(small.log_input_gradient - cut.log_input_gradient)[kept].max() < 0.05
        and not np.isnan(small.log_input_gradient).any()
    )


def test_trained_models_and_drives():
    model = dm.models.get("gru", units=4, inputs=2, outputs=1, rng=0)
    trained = dm.Trainable(model, "float64")
    np.testing.assert_allclose(
        gradient_profile(trained, drive=1.0, lags=20).log_input_gradient,
        gradient_norms(model, drive=1.0, lags=20, x0=np.zeros(4)).log_input_gradient,
        atol=1e-10,
    )
    found = gradient_profile(
        First(nn.GRU(2, 3, batch_first=True)),
        drive=lambda rng, steps: rng.standard_normal((steps, 2)),
        lags=20,
        samples=3,
    )
    assert found.log_input_gradient_error.min() > 0 and np.isfinite(found.log_input_gradient).all()
    assert (
        found.identical(gradient_profile(model, drive=1.0, lags=2)) is False
        and found.attrs["seed"] == 0
    )
    assert dm.gradient_profile is gradient_profile
    isometry = gradient_profile(Orthogonal.random(30, 2, rng=0), drive=1.0, lags=500, probes=10)
    np.testing.assert_allclose(
        isometry.log_input_gradient,
        isometry.log_input_gradient[0],
        atol=5 * isometry.log_input_gradient_error.max(),
    )


class Time(nn.Module):
    def forward(self, u):
        return u.sum(dim=1)


class Mixing(nn.Module):
    def forward(self, u):
        return u.cumsum(dim=0).cumsum(dim=1)


class Halved(nn.Module):
    def forward(self, u):
        return u[:, ::2]


class Named(nn.Module):
    def forward(self, u):
        return {"y": u}


class Broken(nn.Module):
    def forward(self, u):
        return u / 0.0


ARRAY = np.ones((20, 2))


@pytest.mark.parametrize(
    "model, options, error, text",
    [
        (Tanh.random(3), {}, ValueError, "Tanh takes no inputs"),
        (np.eye(2), {}, TypeError, "expected a dynmem"),
        (Tanh.random(3, 1), {"probes": 0}, ValueError, "probes = 0"),
        (Tanh.random(3, 1), {"samples": 1.5}, ValueError, "samples = 1.5"),
        (Tanh.random(3, 1), {"ends": True}, ValueError, "ends = True"),
        (Tanh.random(3, 1), {"lags": -1}, ValueError, "whole numbers of steps"),
        (
            Tanh.random(3, 1),
            {"dtype": "float16"},
            ValueError,
            "dtype = 'float16'",
        ),
        (Tanh.random(3, 1), {"drive": np.ones((4, 1))}, ShapeError, r"need at least \(11, 1\)"),
        (Tanh.random(3, 1), {"drive": ARRAY}, ShapeError, "drive has 2 inputs, Tanh takes 1"),
        (
            Tanh.random(3, 1),
            {"drive": np.ones((2, 20, 1)), "samples": 3},
            ValueError,
            "drive has 2 sequences",
        ),
        (Tanh.random(3, 1), {"x0": np.zeros(2)}, ShapeError, "Tanh has 3 states"),
        (
            Linear(1e5 * np.eye(2), np.ones((2, 1)), np.ones(2)),
            {"lags": 200, "transient": 0},
            NotFiniteError,
            "state of Linear is not finite",
        ),
        (
            Opaque(nn.GRU(2, 3, batch_first=True)),
            {},
            ShapeError,
            r"drive of a torch module must be an "
            r"array .* at least 11 steps, got "
            r"None",
        ),
        (
            Opaque(nn.GRU(2, 3, batch_first=True)),
            {"drive": ARRAY[:5]},
            ShapeError,
            r"got shape \(5, 2\)",
        ),
        (
            Opaque(nn.GRU(2, 3, batch_first=True)),
            {"drive": ARRAY, "x0": np.zeros(3)},
            ValueError,
            "x0 and dt belong to systems",
        ),
        (
            Opaque(nn.GRU(2, 3, batch_first=True)),
            {"drive": np.nan * ARRAY},
            NotFiniteError,
            "drive holds NaN",
        ),
        (
            Time(),
            {"drive": ARRAY, "ends": 2, "lags": 5},
            ValueError,
            "Time has one output for a sequence",
        ),
        (Halved(), {"drive": ARRAY}, ShapeError, r"it gave shape \(1, 10, 2\)"),
        (Mixing(), {"drive": ARRAY}, ShapeError, "Mixing mixes the sequences of a batch"),
        (Broken(), {"drive": ARRAY}, NotFiniteError, "output of Broken is not finite"),
        (
            Opaque(nn.GRU(3, 2, batch_first=True)),
            {"drive": ARRAY},
            ShapeError,
            r"Opaque does not take an input \(1, 20, 2\), \(batch, time, features\), .*: input",
        ),
        (nn.Linear(3, 2), {"drive": ARRAY}, ShapeError, "drive has 2 inputs, Dense takes 3"),
        (Named(), {"drive": ARRAY}, TypeError, "Named returned dict: it must return a tensor"),
    ],
)
def test_bad_input(model, options, error, text):
    with pytest.raises(error, match=text):
        gradient_profile(model, **({"lags": 10} | options))
