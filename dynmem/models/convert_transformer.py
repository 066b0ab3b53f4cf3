"""Systems from torch's attention: nn.MultiheadAttention, nn.TransformerEncoderLayer,
nn.TransformerEncoder, used causally."""

import numpy as np

from ..runtime.validation import integer
from .attention import Attention
from .convert_layers import array_of, norm_of, own_forward
from .network import Network
from .residual import Block, FeedForward

TRANSFORMERS = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


def transformer(module, window):
    """Attention, Block or Network of one of ``TRANSFORMERS``, with a cache of ``window`` steps;
    ``from_torch`` is the door to it."""
    from torch import nn

    if window is None:
        raise ValueError(
            f"{type(module).__name__} sees every step before: pass window=, the "
            "longest sequence it will see (its cache holds so many "
            "keys and values). It is taken with a causal mask; without one it reads "
            "the future and has no rule"
        )
    window = integer("window", window, 1)
    if isinstance(module, nn.MultiheadAttention):
        return _attention(module, window)
    if isinstance(module, nn.TransformerEncoderLayer):
        return _block(module, window)
    own_forward(module, nn.TransformerEncoder)
    for layer in module.layers:
        if not isinstance(layer, nn.TransformerEncoderLayer):
            raise TypeError(
                "the layers of a TransformerEncoder must be "
                f"nn.TransformerEncoderLayer, got {type(layer).__name__}: write it as "
                "a "
                "dm.Map in five lines"
            )
    blocks = tuple(_block(layer, window) for layer in module.layers)
    return Network(blocks if module.norm is None else (*blocks, norm_of(module.norm)))


def _attention(module, window):
    from torch import nn

    own_forward(module, nn.MultiheadAttention)
    if not module._qkv_same_embed_dim:
        raise ValueError(
            f"kdim = {module.kdim} and vdim = {module.vdim}: keys and values come "
            "from the input itself here, so train with both equal "
            f"to embed_dim = {module.embed_dim}"
        )
    if module.bias_k is not None or module.add_zero_attn:
        raise ValueError(
            "add_bias_kv and add_zero_attn put a key into every sequence that no "
            "input made, which a cache does not hold: train "
            "without them"
        )
    biases = (
        np.zeros(3 * module.embed_dim)
        if module.in_proj_bias is None
        else array_of(module.in_proj_bias)
    )
    out = module.out_proj
    return Attention(
        *np.split(array_of(module.in_proj_weight), 3),
        array_of(out.weight),
        *np.split(biases, 3),
        _bias(out, module.embed_dim),
        heads=module.num_heads,
        window=window,
    )


def _block(layer, window):
    from torch import nn

    own_forward(layer, nn.TransformerEncoderLayer)
    first, second = layer.linear1, layer.linear2
    for part in (first, second):
        own_forward(part, nn.Linear)
    feedforward = FeedForward(
        array_of(first.weight),
        _bias(first, first.out_features),
        array_of(second.weight),
        _bias(second, second.out_features),
        _activation(layer.activation),
    )
    norms = norm_of(layer.norm1), norm_of(layer.norm2)
    return Block(
        _attention(layer.self_attn, window),
        feedforward,
        norms,
        "pre" if layer.norm_first else "post",
    )


def _activation(function):
    from torch import nn
    from torch.nn import functional

    if function is functional.relu or type(function) is nn.ReLU:
        return "relu"
    if function is functional.gelu or (
        type(function) is nn.GELU and function.approximate == "none"
    ):
        return "gelu"
    raise ValueError(
        f"activation {getattr(function, '__name__', function)} is not represented: "
        "train with relu or the exact gelu"
    )


def _bias(linear, width):
    return np.zeros(width) if linear.bias is None else array_of(linear.bias)
