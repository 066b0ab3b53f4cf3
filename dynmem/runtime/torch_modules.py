"""Torch modules that a user brings: recognised, unwrapped, copied, and run with gradients on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ShapeError

# attribute in which a wrapper of torch keeps the module it wraps
WRAPPERS = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
}


def is_module(value: Any) -> bool:
    """Whether a value is a torch.nn.Module, without importing torch for what is none.

    >>> is_module([1.0])
    False
    """
    return hasattr(value, "named_parameters") and hasattr(value, "forward")


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch.Tensor, without importing torch for what is none."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def as_numpy(value: Any) -> Any:
    """The numbers of a torch.Tensor on any device as a numpy array, bfloat16 as float32, which
    numpy has; anything else itself.

    >>> as_numpy([1.0])
    [1.0]
    """
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).resolve_conj().numpy()


def unpacked(value: Any) -> Any:
    """The sequences of a torch PackedSequence as a list of tensors (steps, ...), in the order in
    which they were packed; anything else itself."""
    if type(value).__name__ != "PackedSequence":
        return value
    from torch.nn.utils.rnn import unpack_sequence

    return unpack_sequence(value)


def unwrapped(module: Any) -> Any:
    """The module inside torch.compile, DataParallel and the like; any other module itself."""
    while (inside := WRAPPERS.get(type(module).__name__)) and inside in vars(module) | vars(
        module
    ).get("_modules", {}):
        module = getattr(module, inside)
    return module


def dtype_of(module: Any) -> Any:
    """The dtype of a module's weights; torch's default where it has none."""
    import torch

    return next(
        (p.dtype for p in module.parameters() if p.is_floating_point()), torch.get_default_dtype()
    )


def device_of(module: Any) -> Any:
    """The device of a module's first parameter; None where it has none."""
    return next((p.device for p in module.parameters()), None)


def copied(module: Any, dtype: Any = None, device: Any = None) -> Any:
    """A copy of a module in evaluation mode, its weights constant, in another dtype or on another
    device where one is given. What torch cannot copy, such as a tensor that a module has computed
    and kept, is detached."""
    import torch

    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    with gradients_on():
        twin = copy.deepcopy(module, computed).eval().requires_grad_(False)
        for norm in twin.modules():
            if isinstance(norm, torch.nn.RMSNorm) and norm.eps is None:
                norm.eps = torch.finfo(dtype_of(norm)).eps  # also in another dtype
        return twin.to(device, dtype)


@contextmanager
def gradients_on() -> Iterator[None]:
    """Record gradients, also inside a user's torch.no_grad or torch.inference_mode."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """A default dtype for the tensors that a module makes itself, torch.zeros(...) in its forward;
    restored at the end."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def first_tensor(output: Any) -> Any:
    """What a module returns: a tensor, the first of a tuple, or the logits or last hidden state of
    an output class; anything else as it is."""
    for name in ("logits", "last_hidden_state"):
        if hasattr(output, name):
            return getattr(output, name)
    return output[0] if isinstance(output, (tuple, list)) and len(output) else output


def check_layout(module: Any, shape: tuple[int, ...]) -> None:
    """Refuse data (steps, samples, features) for a module that takes time first: a drive has the
    axes (samples, steps, features) whatever the module takes."""
    inside = unwrapped(module)
    if getattr(inside, "batch_first", True) or len(shape) != 3 or shape[0] <= shape[1]:
        return
    raise ShapeError(
        f"drive of shape {tuple(shape)} is read as (samples, steps, inputs), {shape[0]} sequences "
        f"of {shape[1]} steps, and {type(inside).__name__} takes (steps, samples, inputs): pass "
        "drive.transpose(0, 1); or, if these are the sequences, dm.models.from_torch(module)"
    )
