"""Maps of torch's attention, used causally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.validation import integer
from ..system import Map
from .attention import Attention
from .convert_layers import activation_of, array_of, norm_of, own_forward
from .network import Network
from .residual import ACTIVATIONS, Block, FeedForward

if TYPE_CHECKING:
    from torch import nn


def transformer(module: Any, window: int | None) -> Map:
    """Attention, Block or Network of torch's modules, with a cache of ``window`` steps."""
    from torch import nn

    if window is None:
        raise ValueError(
            f"{type(module).__name__} attends to every earlier step: pass window=, the longest "
            "sequence it will read (its cache holds so many keys and values), to from_torch. It is "
            "converted as used with a causal mask; without one it reads the future and has no rule"
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
                "the layers of a TransformerEncoder must be nn.TransformerEncoderLayer, got "
                f"{type(layer).__name__}: write it as a class derived from dm.Map"
            )
    blocks = tuple(_block(layer, window) for layer in module.layers)
    return Network(blocks if module.norm is None else (*blocks, norm_of(module.norm)))


def _attention(module: Any, window: int) -> Attention:
    from torch import nn

    own_forward(module, nn.MultiheadAttention)
    if not module._qkv_same_embed_dim:
        raise ValueError(
            f"kdim = {module.kdim} and vdim = {module.vdim}: keys and values must come from the "
            f"input itself, train with both equal to embed_dim = {module.embed_dim}"
        )
    if module.bias_k is not None or module.add_zero_attn:
        raise ValueError(
            "add_bias_kv and add_zero_attn add a key to every sequence that comes from no input, "
            "which a cache does not hold: train without them"
        )
    biases = (
        np.zeros(3 * module.embed_dim)
        if module.in_proj_bias is None
        else array_of(module.in_proj_bias)
    )
    out = module.out_proj
    Wq, Wk, Wv = np.split(array_of(module.in_proj_weight), 3)
    bq, bk, bv = np.split(biases, 3)
    return Attention(
        Wq,
        Wk,
        Wv,
        array_of(out.weight),
        bq,
        bk,
        bv,
        _bias(out, module.embed_dim),
        heads=module.num_heads,
        window=window,
    )


def _block(layer: Any, window: int) -> Block:
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


def _activation(function: Any) -> str:
    """The name of an activation: of a module, or of a function with its values."""
    import torch
    from torch import nn

    if isinstance(function, nn.Module):
        found = activation_of(function)
    else:
        z = torch.linspace(-20.0, 20.0, 801, dtype=torch.float64)
        with torch.no_grad():
            values = function(z)
        found = next(
            (name for name, ours in ACTIVATIONS.items() if torch.allclose(ours(z), values, 1e-9)),
            None,
        )
    if found is None:
        raise ValueError(
            f"activation {getattr(function, '__name__', type(function).__name__)} of a "
            f"TransformerEncoderLayer is not one of {', '.join(ACTIVATIONS)}: write the layer as a "
            "class derived from dm.Map, or pass it to dm.gradient_profile"
        )
    return found


def _bias(linear: nn.Linear, width: int) -> np.ndarray:
    return np.zeros(width) if linear.bias is None else array_of(linear.bias)
