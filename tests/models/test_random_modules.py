"""Random compositions of torch's layers: whatever dynmem returns for one is what torch returns, or
what torch.autograd returns, to the precision that it states."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional

import dynmem as dm

STEPS = 9
KINDS = (
    *("linear", "rnn", "gru", "lstm", "norm", "rms", "activation"),
    *("attention", "conv", "residual", "function"),
)

# Below it a gradient of factors of order 1 is rounding: LayerNorm over two features is +-1 whatever
# they are, and autograd has 0 or 1e-17 for its slope, by the order of the sums.
ROUNDING = 1e-13


class Recurrent(nn.Module):
    """The outputs of a recurrent layer, either order of axes inside."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, u):
        if self.layer.batch_first:
            return self.layer(u)[0]
        return self.layer(u.transpose(0, 1))[0].transpose(0, 1)


class Causal(nn.Module):
    """A convolution padded on the left, of features that come last."""

    def __init__(self, width, out, kernel, dilation):
        super().__init__()
        self.layer = nn.Conv1d(width, out, kernel, dilation=dilation)
        self.reach = (kernel - 1) * dilation

    def forward(self, u):
        return self.layer(functional.pad(u.transpose(1, 2), (self.reach, 0))).transpose(1, 2)


class Attending(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, u):
        mask = nn.Transformer.generate_square_subsequent_mask(u.shape[1], dtype=u.dtype)
        return self.layer(u, mask)


class Residual(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, u):
        return u + self.layer(u)


class Function(nn.Module):
    """A function without a module: some are activations that dynmem has, some nothing like it."""

    FUNCTIONS = {
        "tanh": torch.tanh,
        "relu": functional.relu,
        "gelu": lambda z: functional.gelu(z, approximate="tanh"),
        "silu": functional.silu,
        "half": lambda z: 0.5 * z,
        "sine": torch.sin,
        "clamp": lambda z: z.clamp(-3.0, 3.0),
        "shift": lambda z: functional.pad(z, (0, 0, 1, 0))[:, :-1],
        "cumulative mean": lambda z: z.cumsum(1) / torch.arange(1, z.shape[1] + 1)[None, :, None],
        "cast": lambda z: z.to(torch.float32).to(z.dtype),
        "flip": lambda z: z.flip(1),
    }

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, u):
        return self.FUNCTIONS[self.name](u)


class Net(nn.Module):
    def __init__(self, layers, read, time_first):
        super().__init__()
        self.layers, self.read, self.time_first = nn.ModuleList(layers), read, time_first

    def forward(self, u):
        u = u.transpose(0, 1) if self.time_first else u
        for layer in self.layers:
            u = layer(u)
        if self.read != "sequence":
            return u[:, -1] if self.read == "last" else u.mean(1)
        return u.transpose(0, 1) if self.time_first else u


@st.composite
def modules(draw):
    """A module and its number of features."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    width = first = draw(st.sampled_from((2, 4)))
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(KINDS))
        out = draw(st.sampled_from((2, 4)))
        batch_first = draw(st.booleans())
        if kind == "linear":
            layers.append(nn.Linear(width, out, bias=draw(st.booleans())))
        elif kind in ("rnn", "gru", "lstm"):
            options = {
                "rnn": {"nonlinearity": draw(st.sampled_from(("tanh", "relu")))},
                "lstm": {"proj_size": draw(st.sampled_from((0, 1)))},
            }.get(kind, {})
            options |= {"num_layers": draw(st.integers(1, 2)), "batch_first": batch_first}
            layer = getattr(nn, kind.upper())(width, out, **options)
            out = options.get("proj_size") or out
            layers.append(Recurrent(layer))
        elif kind == "conv":
            layers.append(Causal(width, out, draw(st.integers(1, 3)), draw(st.integers(1, 2))))
        else:
            out = width
            if kind == "attention" and width % 2 == 0:
                block = nn.TransformerEncoderLayer(
                    width,
                    2,
                    5,
                    batch_first=True,
                    norm_first=draw(st.booleans()),
                    activation=draw(st.sampled_from(("relu", "gelu"))),
                )
                layers.append(Attending(block))
            elif kind == "residual":
                layers.append(Residual(nn.Sequential(nn.Linear(width, width), nn.Tanh())))
            elif kind == "function":
                layers.append(Function(draw(st.sampled_from(sorted(Function.FUNCTIONS)))))
            elif kind in ("norm", "rms"):
                eps = draw(st.sampled_from((1e-6, 1e-5, 1e-2)))
                layers.append((nn.LayerNorm if kind == "norm" else nn.RMSNorm)(width, eps=eps))
            else:
                made = draw(
                    st.sampled_from(
                        (nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Softplus, nn.ELU)
                    )
                )
                layers.append(made())
        width = out
    read = draw(st.sampled_from(("sequence", "sequence", "last", "mean")))
    return Net(layers, read, draw(st.booleans())), first


def check(module, width, seed):
    """The profile against autograd, and the converted system against torch, on data of any size."""
    rng = np.random.default_rng(seed)
    u = 10.0 ** rng.uniform(-1, 1) * rng.standard_normal((STEPS, width))
    double = module.double().eval()

    def last(rows):
        y = double(rows[:, None] if module.time_first else rows[None])
        if y.ndim == 3:
            return (y[-1, 0] if module.time_first else y[0, -1]).reshape(-1)
        return y[0]

    J = torch.autograd.functional.jacobian(last, torch.tensor(u))
    with np.errstate(divide="ignore"):
        expected = np.log(J.flip(1).norm(dim=(0, 2)).numpy() / np.sqrt(width))
    module.float()
    found = dm.gradient_profile(module, drive=u, lags=STEPS - 1, transient=0)
    single = json.loads(found.attrs["parameters"]).get("precision") == "float32"
    # below this a gradient is the rounding of what cancels
    least = max(expected.max() - (10 if single else 25), np.log(ROUNDING))
    seen = np.maximum(found.log_input_gradient, least), np.maximum(expected, least)
    np.testing.assert_allclose(*seen, atol=1e-2 if single else 1e-6)
    try:
        system = dm.models.from_torch(module, window=STEPS)
    except (TypeError, ValueError):
        return
    with torch.no_grad():
        rows = torch.tensor(u)
        y = module.double()(rows[:, None] if module.time_first else rows[None])
    ours = system.run(np.zeros(system.size), u)[0]
    if y.ndim == 3:
        torchs = (y[:, 0] if module.time_first else y[0]).numpy()
    else:
        ours, torchs = ours[-1:], y.numpy()
    np.testing.assert_allclose(ours, torchs, atol=1e-8 * np.abs(torchs).max())
    if np.isfinite(expected).all() and system.inputs:
        options = {"drive": u, "lags": STEPS - 1, "transient": 0}
        norms = dm.gradient_norms(system, np.zeros(system.size), **options)
        np.testing.assert_allclose(np.maximum(norms.log_input_gradient, least), seen[1], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(modules(), st.integers(0, 2**16))
def test_random_compositions(made, seed):
    check(*made, seed)


@pytest.mark.slow  # 200 modules
@settings(max_examples=200, deadline=None)
@given(modules(), st.integers(0, 2**16))
def test_many_random_compositions(made, seed):
    check(*made, seed)
