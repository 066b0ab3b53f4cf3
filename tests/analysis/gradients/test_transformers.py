"""Real architectures with random weights, held to torch.autograd: Llama, Mamba, Mamba-2, GPT-2,
RWKV, xLSTM and BERT as the package transformers builds them. Nothing is downloaded."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm

pytestmark = [
    pytest.mark.slow,  # transformers takes seconds to load
    pytest.mark.filterwarnings("ignore"),  # of another package's own calls
]
STEPS, VOCABULARY, WIDTH = 10, 30, 16
SIZES = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2}


@pytest.fixture(scope="module")
def transformers():
    found = pytest.importorskip(
        "transformers", reason="needs transformers: pip install 'dynmem[transformers]'"
    )
    found.logging.set_verbosity_error()
    return found


MODELS = {
    "Llama": {"intermediate_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2},
    "Mamba": {"state_size": 4},
    "Mamba2": {"state_size": 4, "head_dim": 8, "num_heads": 4, "n_groups": 1},
    "GPT2": {"n_embd": WIDTH, "n_layer": 2, "n_head": 2, "n_positions": 32},
    "Rwkv": {"attention_hidden_size": WIDTH, "context_length": 32},
    "xLSTM": {"num_heads": 2},
    "Bert": {"intermediate_size": 32, "num_attention_heads": 2},
}
# what a cast to float32 in a forward leaves of the logarithm
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}


def log_sizes(J):
    """ln(|J_t|_F / sqrt(width)) over the lag, of a Jacobian (outputs, steps, width)."""
    return np.log(J.flip(1).norm(dim=(0, 2)).numpy() / np.sqrt(J.shape[2]))


def in_double(function, *arguments):
    torch.set_default_dtype(torch.float64)
    try:
        return function(*arguments)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", MODELS)
def test_models_that_read_symbols(transformers, name):
    """With respect to the embedding, against the Jacobian by the model's own ``inputs_embeds``."""
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY} if name == "GPT2" else SIZES
    model = getattr(transformers, f"{name}Model")(
        getattr(transformers, f"{name}Config")(**sizes, **MODELS[name])
    )
    tokens = np.random.default_rng(0).integers(VOCABULARY, size=STEPS)
    found = dm.gradient_profile(model, drive=tokens, lags=STEPS - 1, probes=WIDTH)
    double = model.double().eval()
    rows = double.get_input_embeddings()(torch.tensor(tokens)).detach()
    options = {} if name == "Bert" else {"use_cache": False}
    J = in_double(
        torch.autograd.functional.jacobian,
        lambda rows: double(inputs_embeds=rows[None], **options)[0][0, -1],
        rows,
    )
    precision = json.loads(found.attrs["parameters"])["precision"]
    np.testing.assert_allclose(
        found.log_input_gradient, log_sizes(J), atol=TOLERANCE[precision], rtol=0
    )
    assert precision == ("float64" if name in ("GPT2", "Bert") else "float32")
    assert np.isfinite(found.log_input_gradient).all()


class LlamaBlock(nn.Module):
    """A decoder layer with its rotary angles."""

    def __init__(self, model):
        super().__init__()
        self.layer, self.rotary = model.layers[0], model.rotary_emb

    def forward(self, h):
        angles = self.rotary(h, torch.arange(h.shape[1])[None])
        y = self.layer(h, position_embeddings=angles)
        return y[0] if isinstance(y, tuple) else y


BLOCKS = {
    "Llama": LlamaBlock,
    "GPT2": lambda model: model.h[0],
    "Mamba": lambda model: model.layers[0].mixer,
    "Rwkv": lambda model: model.blocks[0],
}


def block(transformers, name):
    """The first block of a model, which alone gives the weights their first values."""
    sizes = {"vocab_size": VOCABULARY} if name == "GPT2" else SIZES
    model = getattr(transformers, f"{name}Model")(
        getattr(transformers, f"{name}Config")(**sizes, **MODELS[name])
    )
    return BLOCKS[name](model)


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(transformers, name):
    torch.manual_seed(0)
    module = block(transformers, name)
    for weight in module.parameters():
        if weight.ndim > 1 and not float(weight.detach().abs().sum()):
            nn.init.normal_(weight, std=0.1)
    u = np.random.default_rng(0).standard_normal((3, STEPS, WIDTH))
    found = dm.gradient_profile(module, drive=u, lags=STEPS - 1, probes=WIDTH)
    double = module.double().eval()

    def last(h):
        y = double(h[None])
        return (y[0] if isinstance(y, tuple) else y)[0, -1]

    each = [
        log_sizes(in_double(torch.autograd.functional.jacobian, last, torch.tensor(one)))
        for one in u
    ]
    precision = json.loads(found.attrs["parameters"])["precision"]
    np.testing.assert_allclose(
        found.log_input_gradient, np.mean(each, axis=0), atol=TOLERANCE[precision], rtol=0
    )


def test_a_block_in_five_lines(transformers):
    """As a user would: the horizon of a GPT-2 block on data of one's own."""
    module = block(transformers, "GPT2")
    batch = torch.randn(4, 40, WIDTH)
    profile = dm.gradient_profile(module, drive=batch, lags=30)
    horizon = dm.memory_horizon(profile)
    assert profile.log_input_gradient.shape == (31,) and float(horizon.horizon) < 1
