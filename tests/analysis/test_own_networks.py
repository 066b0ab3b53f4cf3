"""What users bring, start to end: a trained classifier from a checkpoint, a block of their own; the
first useful result within five lines."""

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


def test_a_block_of_torch_in_depth_and_time():
    """nn.TransformerEncoder: converted with its window, every analysis follows."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    system = dm.models.from_torch(encoder, window=12)
    paths = dm.analysis.attention_paths(system, drive=torch.randn(12, 8), lags=11)
    assert np.isfinite(paths.total_gradient).all()
