"""Systems from a user's own trained torch modules."""

import numpy as np

from ..system import System
from .convert_layers import array_of, as_map, layers_of, own_forward
from .convert_transformer import TRANSFORMERS, transformer
from .gated import GRU, LSTM
from .network import Network
from .rnn import Relu, Tanh

KNOWN = (
    "nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.Conv1d, nn.Linear, "
    "nn.LayerNorm, nn.RMSNorm, nn.ReLU, nn.Tanh, nn.GELU, "
    f"nn.Sequential of these, nn.{', nn.'.join(TRANSFORMERS)}"
)


def from_torch(module, *, window=None):
    """System of a torch module, weights copied in float64: a layer, or a Network where there are
    several.

    Takes nn.RNN (tanh or relu), nn.LSTM, nn.GRU and their cells, with or without biases. The state
    of a Network is the layers' states one after another, for an LSTM (h, c) of each layer. Dropout
    between layers acts in training only and is left out.

    Takes nn.MultiheadAttention, nn.TransformerEncoderLayer and nn.TransformerEncoder as they are
    used with a causal mask: Attention, Block and Network of Blocks. ``window`` is the longest
    sequence they will see: their cache holds so many keys and values, and in a longer one forgets
    the oldest, which torch would not.

    Takes nn.Conv1d, nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.ReLU, nn.Tanh, nn.GELU and
    nn.Sequential of these, in which nn.Identity and nn.Dropout are left out and a recurrent module
    may come last. A Conv1d is read as causal: padded by (k-1) d zeros on the left (nn.ZeroPad1d
    before it), which are the state zero; or without padding, where torch leaves out the outputs
    that would need them, so that its first output is ours after (k-1) d more steps. Weight
    normalisation by torch.nn.utils.parametrizations is worked out.

    Raises TypeError for other modules and for subclasses with a forward of their own, and
    ValueError for bidirectional ones and for projections, which no causal rule of this shape
    represents, for padding that reads the future, strides, layers that would mix time with
    features, for attention without a window, with kdim, add_bias_kv or add_zero_attn, and for
    activations and norms that are not ours.

    >>> import torch
    >>> from_torch(torch.nn.GRU(3, 5, num_layers=2)).size
    10
    """
    from torch import nn

    if isinstance(module, System):
        raise TypeError(f"{type(module).__name__} is a dynmem system already: use it as it is")
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
        if layers := layers_of(module, lambda part: from_torch(part, window=window)):
            return as_map(layers)
        raise TypeError(
            f"from_torch takes {KNOWN}, got {type(module).__name__}: write its "
            "equation as a dm.Map in five lines"
        )
    own_forward(module, kind)
    if getattr(module, "bidirectional", False):
        raise ValueError(
            "a bidirectional network reads the future, so it has no rule x_t = "
            "f(x_(t-1), u_t): convert one direction"
        )
    if getattr(module, "proj_size", 0):
        raise ValueError(
            f"proj_size = {module.proj_size}: projections are not represented: train "
            "with proj_size=0"
        )
    layers = tuple(_cell(module, layer) for layer in range(getattr(module, "num_layers", 1)))
    return layers[0] if len(layers) == 1 else Network(layers)


def _cell(module, layer):
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
