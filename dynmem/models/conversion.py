"""Systems from a user's own trained torch modules."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.torch_modules import copied, default_dtype, is_module, unwrapped
from ..runtime.validation import public
from ..system import Map, System
from .convert_layers import LAYERS, array_of, as_map, kind_of, layers_of, own_forward
from .convert_module import (
    ATTENTION,
    BATCH,
    RECURRENT,
    TOLERANCE,
    composition,
    disagreement,
    probe_steps,
)
from .convert_transformer import transformer
from .gated import GRU, LSTM
from .projected import ProjectedLSTM
from .rnn import Relu, Tanh

if TYPE_CHECKING:
    from torch import nn

CONVERTIBLE_MODULES = (
    f"nn.{', nn.'.join((*RECURRENT, *LAYERS, *ATTENTION))} and nn.Sequential of these"
)
CELLS = ("RNNCell", "LSTMCell", "GRUCell")


@public
def from_torch(module: nn.Module, *, window: int | None = None) -> Map:
    """System of a torch module, its weights copied in float64.

    Parameters
    ----------
    module : torch.nn.Module
        nn.RNN (tanh or relu), nn.LSTM, nn.GRU or their cells; nn.MultiheadAttention,
        nn.TransformerEncoderLayer or nn.TransformerEncoder; nn.Embedding, nn.Conv1d, nn.Linear,
        nn.LayerNorm, nn.RMSNorm, and the activations ReLU, Tanh, GELU (both), SiLU, Sigmoid,
        Softplus, ELU and LeakyReLU; nn.Sequential of these, in which a recurrent module may come
        last; or a module of your own whose forward calls such layers one after another, with
        activations between them. nn.Dropout and nn.Identity are left out; torch.compile,
        DataParallel and dynmem's Trainable are unwrapped.
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
        For another module, with the part that stood in the way and what to pass instead; for a hook
        that changes weights or outputs; and for a state_dict, which holds no equation.
    ValueError
        For what no causal rule represents: bidirectional modules, padding that reads the future,
        strides, layers that mix time with features, attention without a window; and for kdim,
        add_bias_kv, add_zero_attn, and activations that dynmem does not have.
    NotFiniteError
        For weights that hold NaN or infinity.

    Notes
    -----
    The state of a Network is the layers' states one after another, for an LSTM (h, c) of each
    layer. Attention is converted as it is used with a causal mask. A Conv1d is read as causal:
    padded by (k-1) d zeros on the left (nn.ZeroPad1d before it), which are the state zero; or
    without padding, where torch leaves out the outputs that would need them, so that its first
    output is ours after (k-1) d more steps. Weight normalisation by torch.nn.utils.parametrizations
    is evaluated. An nn.Embedding reads one-hot rows, or symbols as integers (``Embedding``).

    A module of your own, and one with forward hooks, is run in float64 on random input, a copy of
    it in evaluation mode (a hook that records sees these runs), and refused where it differs from
    its system by more than 1e-9. Of a module that returns the last output alone, the system has the
    output of every step.

    Examples
    --------
    >>> import dynmem as dm
    >>> import torch
    >>> dm.models.from_torch(torch.nn.GRU(3, 5, num_layers=2)).size
    10
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = torch.nn.LSTM(3, 5, batch_first=True)
    ...         self.readout = torch.nn.Linear(5, 2)
    ...     def forward(self, u):
    ...         return self.readout(torch.relu(self.rnn(u)[0]))
    >>> [type(layer).__name__ for layer in dm.models.from_torch(Net()).layers]
    ['LSTM', 'Activation', 'Dense']
    """
    if isinstance(module, System):
        raise TypeError(f"{type(module).__name__} is a dynmem system already: pass it as it is")
    if isinstance(module, Mapping):
        raise TypeError(
            "a state_dict holds weights and no equation: build the module, call "
            "module.load_state_dict(state_dict), and pass the module"
        )
    if isinstance(module, (str, PathLike)):
        raise TypeError(
            f"{str(module)!r:.60} is no module: build it, call "
            "module.load_state_dict(torch.load(path, weights_only=True)), and pass the module"
        )
    if isinstance(module, type) or not is_module(module):
        got = f"the class {module.__name__}: pass an instance" if isinstance(module, type) else ""
        raise TypeError(
            f"from_torch takes {CONVERTIBLE_MODULES}, got {got or type(module).__name__}"
        )
    inside: Any = unwrapped(module)
    if hasattr(inside, "frozen"):
        return inside.frozen()
    converted = _convert(inside, window)
    _check_hooks(inside, converted, window)
    return converted


def _convert(module: Any, window: int | None) -> Map:
    def convert(part: Any) -> Map:
        return _convert(part, window)

    if kind_of(module, ATTENTION):
        return transformer(module, window)
    if kind_of(module, RECURRENT):
        return _recurrent(module)
    if parts := layers_of(module, convert):
        return as_map(parts)
    # the classes of torch that are left have equations of their own
    own = not type(module).__module__.startswith("torch.nn.modules") or kind_of(
        module, ("Sequential", "ModuleList")
    )
    if own and (found := composition(module, convert, window)) is not None:
        return found
    scripted = type(module).__module__.startswith("torch.jit")
    advice = (
        "pass the module that torch.jit was given"
        if scripted
        else "pass it to dm.gradient_profile, which takes any module, or write its equation as a "
        "class derived from dm.Map"
    )
    raise TypeError(
        f"from_torch takes {CONVERTIBLE_MODULES}, and modules of your own that call these one "
        f"after another, got {type(module).__name__}: {advice}"
    )


def _check_hooks(module: Any, system: Map, window: int | None) -> None:
    """Refuse a module with a forward hook that changes its output."""
    import torch

    hooked = [
        f"net.{name}" if name else "its own"
        for name, part in module.named_modules()
        if part._forward_hooks or (name and part._forward_pre_hooks)
    ]
    if not hooked:
        return
    with torch.no_grad(), default_dtype(torch.float64):
        twin, draw = copied(module, torch.float64, "cpu"), torch.Generator().manual_seed(0)
        shape = BATCH, 1 if kind_of(module, CELLS) else probe_steps(window), system.inputs
        u = torch.randn(shape, generator=draw, dtype=torch.float64)
        if kind_of(module, ("Embedding",)):
            u = torch.randint(system.inputs, shape[:2], generator=draw)
        orders = (u, u.mT) if u.ndim == 3 else (u,)
        error = min(disagreement(_as_called(twin), system, each) for each in orders)
    if not error <= TOLERANCE:
        raise TypeError(
            f"a forward hook ({', '.join(hooked)}) changes what {type(module).__name__} returns, "
            "and its system would not: remove the hook (handle.remove()), or pass the module to "
            "dm.gradient_profile, which runs it as it is"
        )


def _as_called(module: Any) -> Any:
    """A module of torch as a function of (batch, time, features) alone: attention with its causal
    mask, a cell on a sequence of one step."""
    import torch

    if kind_of(module, CELLS):
        return lambda u: module(u[:, 0])
    if not kind_of(module, ATTENTION):
        return module
    first = module.layers[0] if hasattr(module, "layers") else module
    batch_first = getattr(first, "self_attn", first).batch_first
    names = {"MultiheadAttention": "attn_mask", "TransformerEncoderLayer": "src_mask"}
    name = names.get(kind_of(module, ATTENTION).__name__, "mask")
    copies = 3 if name == "attn_mask" else 1

    def run(u: Any) -> Any:
        mask = torch.ones(u.shape[1], u.shape[1]).triu(1).bool()
        return module(*[u if batch_first else u.transpose(0, 1)] * copies, **{name: mask})

    return run


def _recurrent(module: Any) -> Map:
    """The map of nn.RNN, nn.LSTM, nn.GRU or their cells."""
    own_forward(module, kind_of(module, RECURRENT))
    if getattr(module, "bidirectional", False):
        raise ValueError(
            "a bidirectional network reads the future, so it has no rule x_t = f(x_(t-1), u_t): "
            "convert one direction, or pass the module to dm.gradient_profile"
        )
    layers = tuple(_cell(module, layer) for layer in range(getattr(module, "num_layers", 1)))
    return as_map(layers)


def _cell(module: Any, layer: int) -> Map:
    suffix = f"_l{layer}" if hasattr(module, "num_layers") else ""
    V, W = (array_of(getattr(module, f"weight_{part}{suffix}")) for part in ("ih", "hh"))
    b_in, b_rec = (
        array_of(getattr(module, f"bias_{part}{suffix}")) if module.bias else np.zeros(len(W))
        for part in ("ih", "hh")
    )
    from torch import nn

    if getattr(module, "proj_size", 0):
        P = array_of(getattr(module, f"weight_hr{suffix}"))
        return ProjectedLSTM(W, V, b_in + b_rec, P)
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return LSTM(W, V, b_in + b_rec)
    if isinstance(module, (nn.GRU, nn.GRUCell)):
        n = W.shape[1]
        return GRU(
            W, V, np.concatenate([b_in[: 2 * n] + b_rec[: 2 * n], b_in[2 * n :]]), b_rec[2 * n :]
        )
    return {"tanh": Tanh, "relu": Relu}[module.nonlinearity](W, V, b_in + b_rec)
