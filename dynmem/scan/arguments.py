"""Arguments of the scans: numpy or torch arrays brought to one precision and shape."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import namespace
from ..errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor

COMPLEX = {"float32": "complex64", "float64": "complex128"}
PRECISIONS = (*COMPLEX, *COMPLEX.values())


def torch_form() -> Any:
    """The scans in torch's own operations; torch is imported when first needed."""
    from . import torch_form

    return torch_form


def is_torch(*arrays: Any) -> bool:
    """Whether one of the arguments is a torch tensor."""
    return namespace(*(a for a in arrays if a is not None)).__name__ == "Torch"


def to_one_precision(arrays: dict[str, Any], complex: Container[str] | None = ()) -> dict[str, Any]:
    """The arguments by name, None included, as arrays or tensors of one precision.

    Those named in ``complex`` become complex; with None all do if one is. Raises TypeError for a
    precision that the scans do not have. Arrays follow the tensors to their device.
    """
    given = {name: a for name, a in arrays.items() if a is not None}
    converted = _tensors(given) if is_torch(*given.values()) else _arrays(given)
    kinds = {name: str(a.dtype).removeprefix("torch.") for name, a in converted.items()}
    for name, kind in kinds.items():
        if kind not in PRECISIONS:
            raise TypeError(
                f"{name} is {kind}: a scan runs in float32, float64, complex64 or complex128. "
                f"Half precision loses the state of a long memory: convert with {name}.float() "
                f"(numpy: {name}.astype('float32')), and the result back"
            )
    double = any(kind in ("float64", "complex128") for kind in kinds.values())
    real = "float64" if double else "float32"
    if complex is None:
        complex = arrays if any(kind.startswith("complex") for kind in kinds.values()) else ()
    return {
        name: _cast(converted[name], COMPLEX[real] if name in complex else real, name)
        if name in converted
        else None
        for name in arrays
    }


def _arrays(given):
    arrays = {name: np.asarray(a) for name, a in given.items()}
    return {
        name: a.astype(np.float64) if a.dtype.kind in "biu" else a for name, a in arrays.items()
    }


def _tensors(given):
    import torch

    places = {name: a.device for name, a in given.items() if isinstance(a, torch.Tensor)}
    if len(set(places.values())) > 1:
        where = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise TypeError(f"{where}: a scan runs on one device, pass all of them on the same")
    device = next(iter(places.values()))
    return {name: torch.as_tensor(a, device=device) for name, a in given.items()}


def _cast(a, kind, name):
    if "complex" in str(a.dtype) and not kind.startswith("complex"):
        raise TypeError(
            f"{name} is complex, expected real numbers: pass {name}.real, or two scans of the parts"
        )
    if hasattr(a, "is_floating_point"):
        import torch

        return a.to(getattr(torch, kind))
    return a.astype(kind, copy=False)


def require_shape(name: str, a: Any, shape: tuple[int | None, ...], words: str) -> None:
    """Raise ShapeError unless the array has this shape; None stands for any length."""
    if a.ndim != len(shape) or any(
        want not in (None, have) for want, have in zip(shape, a.shape, strict=True)
    ):
        raise ShapeError(
            f"{name} has shape {tuple(a.shape)}, expected {words} = "
            f"{tuple('any' if s is None else s for s in shape)}"
        )


def broadcast(name: str, a: Any, shape: tuple[int, ...], words: str) -> Any:
    """The array broadcast to a shape; ShapeError where it does not fit."""
    fits = a.ndim <= len(shape) and all(
        have in (1, want) for have, want in zip(a.shape[::-1], shape[::-1], strict=False)
    )
    if not fits or a.shape[-1:] != tuple(shape[-1:]):
        raise ShapeError(
            f"{name} has shape {tuple(a.shape)}, expected {words} = {tuple(shape)}, or what "
            "spreads to it over the batch"
        )
    return a.expand(shape) if hasattr(a, "expand") else np.broadcast_to(a, shape)


def as_writable(x: np.ndarray) -> np.ndarray:
    """The array in C order and not read-only, as numba's signatures require."""
    return np.require(x, requirements=("C", "W"))


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether a backward pass may follow."""
    import torch

    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor as a numpy array in C order, without a copy where possible."""
    return tensor.detach().resolve_conj().resolve_neg().contiguous().numpy()
