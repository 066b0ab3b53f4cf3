"""What users bring, start to end: a trained classifier from a checkpoint, a block of their own; the
first useful result within five lines."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import dynmem as dm


class Classifier(nn.Module):
    """Symbols, an LSTM, one label a sequence."""

    def __init__(self, symbols=5, hidden=12, classes=2):
        super().__init__()
        self.embedding = nn.Embedding(symbols, 6)
        self.lstm = nn.LSTM(6, hidden, batch_first=True)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(hidden, classes)

    def forward(self, tokens):
        return self.head(self.drop(self.lstm(self.embedding(tokens))[0][:, -1]))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A classifier trained in plain torch to tell the first symbol of a sequence, and its data."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("own") / "classifier.pt"
    model, tokens = Classifier(), torch.randint(5, (256, 8))
    labels = (tokens[:, 0] > 1).long()
    for step in range(120):  # by the sign of the gradient: torch.optim takes seconds to load
        weights = list(model.parameters())
        loss = functional.cross_entropy(model(tokens), labels)
        with torch.no_grad():
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight -= 0.02 * 0.97**step * slope.sign()
    with torch.no_grad():
        assert (model.eval()(tokens).argmax(-1) == labels).float().mean() > 0.95
    torch.save(model.state_dict(), path)
    return path, tokens


def test_a_trained_classifier_from_a_checkpoint(checkpoint):
    path, tokens = checkpoint

    net = Classifier()
    net.load_state_dict(torch.load(path, weights_only=True))
    profile = dm.gradient_profile(net, drive=tokens[:20], lags=7)
    spectrum = dm.lyapunov_spectrum(net, drive=tokens[:3], transient=0, exponents=2)
    states = dm.orbit(net, np.zeros(24), drive=np.eye(5)[tokens[0]], duration=8)

    # it was taught to remember the first symbol: its gradient there has grown
    torch.manual_seed(0)
    fresh = dm.gradient_profile(Classifier(), drive=tokens[:20], lags=7).log_input_gradient
    assert profile.log_input_gradient[7] > fresh[7] + 0.5
    assert dm.memory_horizon(profile).horizon_lower_bound > 0
    with torch.no_grad():
        logits = net.eval()(tokens[:1])[0].numpy()
    system = dm.models.from_torch(net)
    y = system.output(states.to_array().values.reshape(-1, system.size)[-1], np.eye(5)[0])
    assert spectrum.sizes["exponent"] == 2 and spectrum.attrs["samples"] == 3
    np.testing.assert_allclose(y, logits, atol=1e-5)
    with pytest.raises(TypeError, match="load_state_dict"):
        dm.models.from_torch(torch.load(path, weights_only=True))


class Packed(nn.Module):
    """Time-major, two layers, a norm, and padding that the LSTM does not see."""

    def __init__(self):
        super().__init__()
        self.emb, self.encoder = nn.Embedding(9, 5, padding_idx=0), nn.LSTM(5, 7, 2, dropout=0.3)
        self.norm, self.out = nn.LayerNorm(7), nn.Sequential(nn.ReLU(), nn.Linear(7, 4))

    def forward(self, ids):
        lengths = (ids != 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.emb(ids).transpose(0, 1), lengths, enforce_sorted=False
        )
        return self.out(self.norm(self.encoder(packed)[1][0][-1]))


def by_autograd(run, u, lags):
    """ln of the norm of d y / d u_(T-lag) over the square root of the inputs, of u (steps, k)."""
    J = torch.autograd.functional.jacobian(run, u)
    return np.log(J.flip(1).norm(dim=(0, 2)).numpy()[: lags + 1] / np.sqrt(u.shape[1]))


@pytest.mark.parametrize("kept", ["state_dict", "model"])
def test_a_checkpoint_in_a_dict_of_a_module_that_packs(tmp_path, kept):
    """The training script's own dict, {"state_dict": ..., "epoch": ...}, half precision or not."""
    torch.manual_seed(0)
    torch.save({kept: Packed().state_dict(), "epoch": 7}, tmp_path / "best.pt")
    net, tokens = Packed(), torch.randint(1, 9, (4, 15))

    net.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True)[kept])
    profile = dm.gradient_profile(net, drive=tokens, lags=14)
    spectrum = dm.lyapunov_spectrum(net.encoder, drive=net.emb(tokens), exponents=3)
    points = dm.fixed_points(net.encoder, starts=50)

    double = copy.deepcopy(net).double().eval()

    def run(u):
        return double.out(double.norm(double.encoder(u[:, None])[1][0][-1]))[0]

    expected = [by_autograd(run, double.emb(ids).detach(), 14) for ids in tokens]
    np.testing.assert_allclose(profile.log_input_gradient, np.mean(expected, 0), atol=1e-10)
    assert spectrum.sizes["exponent"] == 3 and spectrum.attrs["samples"] == 4
    assert points.sizes["point"] >= 1 and float(points.residual.max()) < 1e-12
    half = dm.gradient_profile(copy.deepcopy(net).half(), drive=tokens, lags=14)
    np.testing.assert_allclose(half.log_input_gradient, profile.log_input_gradient, atol=0.05)


class Block(nn.Module):
    """A GPT-2-like block: causal attention and a feed-forward layer, each on a residual stream."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads, self.qkv = heads, nn.Linear(width, 3 * width)
        self.out, self.up, self.down = (
            nn.Linear(width, width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, u):
        parts = self.qkv(self.before(u)).chunk(3, -1)
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        u = u + self.out(mixed.transpose(1, 2).flatten(2))
        return u + self.down(functional.gelu(self.up(self.after(u)), approximate="tanh"))


def test_a_block_of_ones_own():
    torch.manual_seed(0)

    block, batch = Block(), torch.randn(3, 40, 8)
    profile = dm.gradient_profile(block, drive=batch, lags=30)
    horizon = dm.memory_horizon(profile)

    assert float(horizon.horizon) < 1  # the residual stream passes the present on, and it alone
    double = block.double()
    J = torch.autograd.functional.jacobian(lambda u: double(u[None])[0, -1], batch[0].double())
    one = dm.gradient_profile(block.float(), drive=batch[0], lags=30)
    expected = np.log(J.flip(1).norm(dim=(0, 2)).numpy()[:31] / np.sqrt(8))
    np.testing.assert_allclose(one.log_input_gradient, expected, atol=1e-10)


class MaskedBlock(nn.Module):
    """The same of nn.MultiheadAttention, with its mask in a buffer and without biases."""

    def __init__(self, width=12, heads=3, steps=32):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attention = nn.MultiheadAttention(width, heads, 0.1, bias=False, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )
        self.register_buffer("mask", torch.ones(steps, steps).triu(1).bool())

    def forward(self, u):
        h, steps = self.before(u), u.shape[1]
        u = u + self.attention(h, h, h, attn_mask=self.mask[:steps, :steps])[0]
        return u + self.mlp(self.after(u))


class Language(nn.Module):
    """Symbols, positions, two blocks, and a readout that shares its weights with the symbols."""

    def __init__(self):
        super().__init__()
        self.symbols, self.positions = nn.Embedding(11, 12), nn.Embedding(32, 12)
        self.blocks, self.readout = (
            nn.ModuleList(MaskedBlock() for _ in range(2)),
            nn.Linear(12, 11),
        )
        self.readout.weight = self.symbols.weight

    def of(self, u):
        u = u + self.positions(torch.arange(u.shape[1]))
        for block in self.blocks:
            u = block(u)
        return self.readout(u)

    def forward(self, tokens):
        return self.of(self.symbols(tokens))


def test_a_block_with_a_mask_and_a_model_of_symbols():
    torch.manual_seed(1)
    block, batch = MaskedBlock(), torch.randn(2, 20, 12)
    language, tokens = Language(), torch.randint(11, (25,))

    profile = dm.gradient_profile(block, drive=batch, lags=19)
    of_symbols = dm.gradient_profile(language, drive=tokens, lags=24)

    double = copy.deepcopy(block).double().eval()
    expected = [by_autograd(lambda v: double(v[None])[0, -1], u.double(), 19) for u in batch]
    np.testing.assert_allclose(profile.log_input_gradient, np.mean(expected, 0), atol=1e-10)
    double = copy.deepcopy(language).double().eval()
    u = double.symbols(tokens).detach()
    expected = by_autograd(lambda v: double.of(v[None])[0, -1], u, 24)
    np.testing.assert_allclose(of_symbols.log_input_gradient, expected, atol=1e-10)
    coarse = dm.gradient_profile(block.bfloat16(), drive=batch.bfloat16(), lags=19)
    np.testing.assert_allclose(coarse.log_input_gradient, profile.log_input_gradient, atol=0.2)


def test_a_block_of_torch_in_depth_and_time():
    """nn.TransformerEncoder: converted with its window, every analysis follows."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    system = dm.models.from_torch(encoder, window=12)
    paths = dm.analysis.attention_paths(system, drive=torch.randn(12, 8), lags=11)
    assert np.isfinite(paths.total_gradient).all()
