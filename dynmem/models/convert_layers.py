"""Maps of torch layers that keep no state, or a window of their inputs, and of nn.Sequential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.torch_modules import dtype_of
from ..system import Map
from .convolution import Convolution
from .network import Network
from .residual import Activation, Dense, Embedding, Norm

if TYPE_CHECKING:
    from torch import Tensor, nn

# torch's activations by name: that of dynmem, and the attributes for which they are the same
ACTIVATION_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "ReLU": ("relu", {}),
    "Tanh": ("tanh", {}),
    "GELU": ("gelu", {"approximate": "none"}),
    "SiLU": ("silu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softplus": ("softplus", {"beta": 1.0}),
    "ELU": ("elu", {"alpha": 1.0}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.01}),
}
LAYERS = ("Embedding", "Conv1d", "Linear", "LayerNorm", "RMSNorm", *ACTIVATION_MODULES)
IGNORED = ("Identity", "Dropout", "Dropout1d", "AlphaDropout")  # in evaluation mode


def kind_of(module: Any, names: Sequence[str]) -> Any:
    """The class of torch.nn, of those named, that a module is an instance of, or None."""
    from torch import nn

    return next((kind for name in names if isinstance(module, kind := getattr(nn, name))), None)


def layers_of(module: nn.Module, convert: Callable[[nn.Module], Map]) -> list[Map] | None:
    """The maps of a torch module, one after another; ``convert`` converts other modules.

    None for a module that is neither nn.Sequential nor one of ``LAYERS``.
    """
    from torch import nn

    kind = kind_of(module, ("Sequential", *LAYERS))
    if kind is None:
        return None
    own_forward(module, kind)
    flat = _flat(module)
    _check_axes(flat)
    for part in flat[:-1]:
        if isinstance(part, nn.RNNBase):
            raise ValueError(
                f"nn.{type(part).__name__} returns a pair, which nn.Sequential cannot pass on: "
                "convert the parts, from_torch(net[0]) and so on, and join them by "
                "dm.models.Network"
            )
    return maps_of(flat, convert)


def maps_of(flat: Sequence[nn.Module | str], convert: Callable[[nn.Module], Map]) -> list[Map]:
    """The maps of modules, and of activations by name, one after another."""
    from torch import nn

    maps: list[Any] = []
    padding = None
    for part in flat:
        if isinstance(part, str):
            maps.append(part)
            continue
        if isinstance(part, nn.ConstantPad1d):
            padding = _left(part)
            continue
        if padding is not None and not isinstance(part, nn.Conv1d):
            raise ValueError(
                f"padding before nn.{type(part).__name__}: pad on the left, directly before an "
                "nn.Conv1d"
            )
        maps.append(_layer(part, padding) or convert(part))
        padding = None
    if padding is not None:
        raise ValueError("padding after the last layer: remove it")
    return _with_widths(maps)


def as_map(layers: Sequence[Map]) -> Map:
    """One map of several: itself, or a Network, of whose layers none is a Network."""
    flat: list[Map] = []
    for layer in layers:
        flat += layer.layers if isinstance(layer, Network) and layer.R is None else [layer]
    return flat[0] if len(flat) == 1 else Network(tuple(flat))


def own_forward(module: nn.Module, kind: Any) -> None:
    """Refuse a module whose equation may differ from that of its kind in torch."""
    if type(module).forward is not kind.forward or "forward" in vars(module):
        raise TypeError(
            f"{type(module).__name__} has a forward of its own, so its equation may not be that "
            f"of nn.{kind.__name__}: write it as a class derived from dm.Map, or pass it to "
            "dm.gradient_profile, which takes any module"
        )
    if module._forward_pre_hooks:
        raise TypeError(
            f"nn.{kind.__name__} has a hook before its forward, which may change its weights: "
            "remove it first (torch.nn.utils.remove_weight_norm, torch.nn.utils.prune.remove), "
            "or use torch.nn.utils.parametrizations"
        )


def _flat(module: nn.Module) -> list[nn.Module]:
    """The modules inside nested nn.Sequential, without nn.Identity and nn.Dropout."""
    from torch import nn

    if isinstance(module, nn.Sequential):
        own_forward(module, nn.Sequential)
        return [inner for part in module for inner in _flat(part)]
    return [] if kind_of(module, IGNORED) else [module]


def _check_axes(flat: Sequence[nn.Module]) -> None:
    """Refuse convolutions, with time on the last axis, next to layers with features there."""
    from torch import nn

    others = [
        part for part in flat if not kind_of(part, ("Conv1d", "ConstantPad1d", *ACTIVATION_MODULES))
    ]
    if others and any(isinstance(part, nn.Conv1d) for part in flat):
        raise ValueError(
            f"nn.Conv1d has time on the last axis and nn.{type(others[0]).__name__} features, so "
            "that an nn.Sequential of both mixes them: use nn.Conv1d of kernel_size 1 for a "
            "linear map of the channels, or convert the parts and join them by dm.models.Network"
        )


def _layer(module: Any, padding: int | None) -> Map | str | None:
    """The map of one layer, the name of an activation, or None."""
    from torch import nn

    if isinstance(module, nn.Conv1d):
        return _convolution(module, padding)
    if isinstance(module, nn.Linear):
        own_forward(module, nn.Linear)
        V = array_of(module.weight)
        return Dense(V, np.zeros(len(V)) if module.bias is None else array_of(module.bias))
    if isinstance(module, nn.Embedding):
        return _embedding(module)
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        return norm_of(module)
    return activation_of(module)


def activation_of(module: Any) -> str | None:
    """The name of an activation, None for another module."""
    kind = kind_of(module, tuple(ACTIVATION_MODULES))
    if kind is None:
        return None
    own_forward(module, kind)
    name, options = ACTIVATION_MODULES[kind.__name__]
    if kind.__name__ == "GELU" and module.approximate == "tanh":
        return "gelu_tanh"
    for option, value in options.items():
        if getattr(module, option) != value:
            raise ValueError(
                f"nn.{kind.__name__}({option}={getattr(module, option)!r}) is not one of the "
                f"activations of dynmem, which has {option}={value!r}: write it as a class derived "
                "from dm.Map"
            )
    return name


def _embedding(module: Any) -> Embedding:
    from torch import nn

    own_forward(module, nn.Embedding)
    if module.max_norm is not None:
        raise ValueError(
            f"max_norm = {module.max_norm} changes the weights of nn.Embedding as it reads them: "
            "set max_norm = None"
        )
    return Embedding(array_of(module.weight))


def norm_of(module: Any) -> Norm:
    """Layer norm or root-mean-square norm, with gain one and offset zero where torch has none."""
    import torch
    from torch import nn

    kind = next((kind for kind in (nn.LayerNorm, nn.RMSNorm) if isinstance(module, kind)), None)
    if kind is None:
        raise TypeError(
            f"a norm must be nn.LayerNorm or nn.RMSNorm, got {type(module).__name__}: write it as "
            "a class derived from dm.Map"
        )
    own_forward(module, kind)
    if len(module.normalized_shape) != 1:
        raise ValueError(
            f"nn.{kind.__name__} over {tuple(module.normalized_shape)}: a norm must be over the "
            "last axis alone"
        )
    width, offset = module.normalized_shape[0], getattr(module, "bias", None)
    gain = np.ones(width) if module.weight is None else array_of(module.weight)
    return Norm(
        gain,
        np.zeros(width) if offset is None else array_of(offset),
        "layer" if kind is nn.LayerNorm else "rms",
        # by default nn.RMSNorm adds the rounding of its dtype
        torch.finfo(dtype_of(module)).eps if module.eps is None else module.eps,
    )


def _convolution(module: Any, left: int | None) -> Convolution:
    from torch import nn

    own_forward(module, nn.Conv1d)
    kernel, dilation, stride, groups = (
        module.kernel_size[0],
        module.dilation[0],
        module.stride[0],
        module.groups,
    )
    reach = (kernel - 1) * dilation
    padding = (
        {"valid": 0, "same": reach}[module.padding]
        if isinstance(module.padding, str)
        else module.padding[0]
    )
    if stride != 1:
        raise ValueError(
            f"stride = {stride}: a causal map has one output for each input: use stride=1"
        )
    if padding:
        raise ValueError(
            f"padding = {module.padding!r} at the end of a sequence reads the future: set "
            f"padding=0 and put nn.ZeroPad1d(({reach}, 0)) before"
        )
    if left not in (None, reach):
        raise ValueError(
            f"padding by {left} on the left of an nn.Conv1d of kernel {kernel} and dilation "
            f"{dilation}: the causal one is ({reach}, 0)"
        )
    # a parametrisation is evaluated in float64 too
    weight = array_of(deepcopy(module).double().weight)
    V = np.zeros((len(weight), kernel, module.in_channels))
    rows, columns = len(weight) // groups, weight.shape[1]
    for i in range(groups):
        V[i * rows : (i + 1) * rows, :, i * columns : (i + 1) * columns] = weight[
            i * rows : (i + 1) * rows
        ].swapaxes(1, 2)
    return Convolution(V, None if module.bias is None else array_of(module.bias), dilation)


def _left(pad: nn.ConstantPad1d) -> int:
    """Number of zeros put before a sequence."""
    from torch import nn

    own_forward(
        pad, nn.ConstantPad1d if type(pad).forward is nn.ConstantPad1d.forward else nn.ZeroPad1d
    )
    left, right = pad.padding
    if right or left < 0 or pad.value:
        raise ValueError(
            f"padding by {pad.padding} with {pad.value}: must be zeros on the left, (p, 0), for a "
            "causal map"
        )
    return left


def _with_widths(maps: list) -> list[Map]:
    """The activations as maps, as wide as their neighbours."""
    widths: list[Any] = [
        None if isinstance(part, str) else (part.inputs, part.outputs) for part in maps
    ]
    known = [i for i, width in enumerate(widths) if width]
    if not known:
        raise ValueError(
            "an nn.Sequential without a layer that has weights: its width is unknown, add an "
            "nn.Linear or nn.Conv1d"
        )
    for i, part in enumerate(maps):
        if isinstance(part, str):
            before = [j for j in known if j < i]
            maps[i] = Activation(widths[before[-1]][1] if before else widths[known[0]][0], part)
    return maps


def array_of(tensor: Tensor) -> np.ndarray:
    """The weights of a tensor, copied to a float64 array."""
    if tensor.is_complex():
        raise TypeError(
            "complex weights are not supported: split them into real and imaginary parts"
        )
    return tensor.detach().cpu().double().numpy().copy()
