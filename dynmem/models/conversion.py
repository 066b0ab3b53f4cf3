"""Systems from a user's own trained torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.validation import public
from ..system import Map, System
from .convert_layers import array_of, as_map, layers_of, own_forward
from .convert_transformer import TRANSFORMERS, transformer
from .gated import GRU, LSTM
from .network import Network
from .rnn import Relu, Tanh

if TYPE_CHECKING:
    from torch import nn

CONVERTIBLE_MODULES = (
    "nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.Conv1d, nn.Linear, "
    "nn.LayerNorm, nn.RMSNorm, nn.ReLU, nn.Tanh, nn.GELU, nn.Sequential of these, "
    f"nn.{', nn.'.join(TRANSFORMERS)}"
)


@public
def from_torch(module: nn.Module, *, window: int | None = None) -> Map:
    """System of a torch module, its weights copied in float64.

    Parameters
    ----------
    module : torch.nn.Module
        nn.RNN (tanh or relu), nn.LSTM, nn.GRU or their cells; nn.MultiheadAttention,
        nn.TransformerEncoderLayer or nn.TransformerEncoder; nn.Conv1d, nn.Linear, nn.LayerNorm,
        nn.RMSNorm, nn.ReLU, nn.Tanh, nn.GELU; or nn.Sequential of these, in which a recurrent
        module may come last. nn.Dropout and nn.Identity are left out.
    window : int, optional
        Longest sequence that attention will read, required for it: its cache holds so many keys and
        values, and forgets the oldest in a longer one, which torch would not.

    Returns
    -------
    Map
        A layer, or a Network where there are several.

    Raises
    ------
    TypeError
        For another module, and for one with a forward or a hook of its own.
    ValueError
        For what no causal rule represents: bidirectional modules, padding that reads the future,
        strides, layers that mix time with features, attention without a window; and for
        projections, kdim, add_bias_kv, add_zero_attn, and activations and norms that dynmem does
        not have.
    NotFiniteError
        For weights that hold NaN or infinity.

    Notes
    -----
    The state of a Network is the layers' states one after another, for an LSTM (h, c) of each
    layer. Attention is converted as it is used with a causal mask. A Conv1d is read as causal:
    padded by (k-1) d zeros on the left (nn.ZeroPad1d before it), which are the state zero; or
    without padding, where torch leaves out the outputs that would need them, so that its first
    output is ours after (k-1) d more steps. Weight normalisation by torch.nn.utils.parametrizations
    is evaluated.

    Examples
    --------
    >>> import dynmem as dm
    >>> import torch
    >>> dm.models.from_torch(torch.nn.GRU(3, 5, num_layers=2)).size
    10
    """
    from torch import nn

    if isinstance(module, System):
        raise TypeError(f"{type(module).__name__} is a dynmem system already: pass it as it is")
    if any(isinstance(module, getattr(nn, name)) for name in TRANSFORMERS):
        return transformer(module, window)
    kind = next(
        (
            kind
            for kind in (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
            if isinstance(module, kind)
        ),
        None,
    )
    if kind is None:
        if parts := layers_of(module, lambda part: from_torch(part, window=window)):
            return as_map(parts)
        raise TypeError(
            f"from_torch takes {CONVERTIBLE_MODULES}, got {type(module).__name__}: write its "
            "equation as a class derived from dm.Map"
        )
    own_forward(module, kind)
    if getattr(module, "bidirectional", False):
        raise ValueError(
            "a bidirectional network reads the future, so it has no rule x_t = f(x_(t-1), u_t): "
            "convert one direction"
        )
    if getattr(module, "proj_size", 0):
        raise ValueError(
            f"proj_size = {module.proj_size}: projections are not supported, train with proj_size=0"
        )
    layers = tuple(_cell(module, layer) for layer in range(getattr(module, "num_layers", 1)))
    return layers[0] if len(layers) == 1 else Network(layers)


def _cell(module: Any, layer: int) -> Map:
    suffix = f"_l{layer}" if hasattr(module, "num_layers") else ""
    V, W = (array_of(getattr(module, f"weight_{part}{suffix}")) for part in ("ih", "hh"))
    b_in, b_rec = (
        array_of(getattr(module, f"bias_{part}{suffix}")) if module.bias else np.zeros(len(W))
        for part in ("ih", "hh")
    )
    from torch import nn

    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return LSTM(W, V, b_in + b_rec)
    if isinstance(module, (nn.GRU, nn.GRUCell)):
        n = W.shape[1]
        return GRU(
            W, V, np.concatenate([b_in[: 2 * n] + b_rec[: 2 * n], b_in[2 * n :]]), b_rec[2 * n :]
        )
    return {"tanh": Tanh, "relu": Relu}[module.nonlinearity](W, V, b_in + b_rec)
