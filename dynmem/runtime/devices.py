"""Devices on which torch computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def as_device(device: Any) -> torch.device | None:
    """A torch device from its name, if torch can use it; None stays None.

    >>> as_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return None
    import torch

    try:
        found = torch.device(device)
        torch.zeros(1, device=found).add(1).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device = {device!r:.60}: must be a device that torch can use here, such as 'cpu' "
            f"({reason:.120})"
        ) from None
    return found
