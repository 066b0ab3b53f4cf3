"""Maps of torch layers that keep no state, or a window of their inputs, and of nn.Sequential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..system import Map
from .convolution import Convolution
from .network import Network
from .residual import NORM_EPSILON, Activation, Dense, Norm

if TYPE_CHECKING:
    from torch import Tensor, nn


def layers_of(module: nn.Module, convert: Callable[[nn.Module], Map]) -> list[Map] | None:
    """The maps of a torch module, one after another; ``convert`` makes those of other modules.

    None for a module that is not among these: nn.Sequential, nn.Conv1d, nn.Linear, nn.LayerNorm,
    nn.RMSNorm, nn.ReLU, nn.Tanh, nn.GELU.
    """
    from torch import nn

    kinds = (
        nn.Sequential,
        nn.Conv1d,
        nn.Linear,
        nn.LayerNorm,
        nn.RMSNorm,
        nn.ReLU,
        nn.Tanh,
        nn.GELU,
    )
    kind = next((kind for kind in kinds if isinstance(module, kind)), None)
    if kind is None:
        return None
    own_forward(module, kind)
    maps, padding, flat = [], None, _flat(module)
    _check_axes(flat)
    for place, part in enumerate(flat):
        if isinstance(part, nn.ConstantPad1d):
            padding = _left(part)
            continue
        if padding is not None and not isinstance(part, nn.Conv1d):
            raise ValueError(
                f"padding before nn.{type(part).__name__}: pad on the left, directly before an "
                "nn.Conv1d"
            )
        maps.append(_layer(part, padding) or _last(part, convert, place == len(flat) - 1))
        padding = None
    if padding is not None:
        raise ValueError("padding after the last layer: remove it")
    return _with_widths(maps)


def as_map(layers: Sequence[Map]) -> Map:
    """One map of several: itself, or a Network."""
    return layers[0] if len(layers) == 1 else Network(tuple(layers))


def own_forward(module: nn.Module, kind: Any) -> None:
    """Refuse a module whose equation may differ from that of its kind in torch."""
    if type(module).forward is not kind.forward or "forward" in vars(module):
        raise TypeError(
            f"{type(module).__name__} has a forward of its own, so its equation may not be that "
            f"of nn.{kind.__name__}: write it as a class derived from dm.Map"
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
    return [] if isinstance(module, (nn.Identity, nn.Dropout, nn.Dropout1d)) else [module]


def _check_axes(flat: Sequence[nn.Module]) -> None:
    """Refuse convolutions, with time on the last axis, next to layers with features there."""
    from torch import nn

    others = [
        part
        for part in flat
        if not isinstance(part, (nn.Conv1d, nn.ConstantPad1d, nn.ReLU, nn.Tanh, nn.GELU))
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
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        return norm_of(module)
    for kind in (nn.ReLU, nn.Tanh, nn.GELU):
        if isinstance(module, kind):
            own_forward(module, kind)
            if getattr(module, "approximate", "none") != "none":
                raise ValueError(
                    f"nn.GELU(approximate={module.approximate!r}) is not supported: use "
                    "approximate='none'"
                )
            return kind.__name__.lower()
    return None


def _last(module: nn.Module, convert: Callable[[nn.Module], Map], last: bool) -> Map:
    """The map of any other layer, which torch can only hold at the end."""
    from torch import nn

    if not last and isinstance(module, nn.RNNBase):
        raise ValueError(
            f"nn.{type(module).__name__} returns a pair, which nn.Sequential cannot pass on: "
            "convert the parts and join them by dm.models.Network"
        )
    return convert(module)


def norm_of(module: Any) -> Norm:
    """Layer norm or root-mean-square norm, with gain one and offset zero where torch has none."""
    from torch import nn

    kind = next((kind for kind in (nn.LayerNorm, nn.RMSNorm) if isinstance(module, kind)), None)
    if kind is None:
        raise TypeError(
            f"a norm must be nn.LayerNorm or nn.RMSNorm, got {type(module).__name__}: write it as "
            "a class derived from dm.Map"
        )
    own_forward(module, kind)
    if module.eps != NORM_EPSILON or len(module.normalized_shape) != 1:
        raise ValueError(
            f"nn.{kind.__name__} over {tuple(module.normalized_shape)} with eps = {module.eps}: "
            f"norms must be over the last axis with eps = {NORM_EPSILON}"
        )
    width, offset = module.normalized_shape[0], getattr(module, "bias", None)
    gain = np.ones(width) if module.weight is None else array_of(module.weight)
    return Norm(
        gain,
        np.zeros(width) if offset is None else array_of(offset),
        "layer" if kind is nn.LayerNorm else "rms",
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
