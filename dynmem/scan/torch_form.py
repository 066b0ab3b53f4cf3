"""The scans in torch's own operations, for tensors that are not on the processor.

The compiled loops run on the processor alone. What stands here takes the same recurrence on any
device, in log2 T passes over all states at once; autograd keeps these, log2 T times as much as
the states, where the compiled scans keep every 64th.
"""

from __future__ import annotations

import torch
from torch import Tensor


def takes_torch(tensor: Tensor) -> bool:
    """Whether the compiled loops cannot read this tensor."""
    return tensor.device.type != "cpu"


def linear(a: Tensor, b: Tensor, x0: Tensor) -> Tensor:
    """States x_t = a_t x_(t-1) + b_t, (batch, T, ...), of a (1 or batch, 1 or T, ...), b (batch, T,
    ...) and x0 (batch, ...).

    After pass k, b_t is the contribution of the last 2^k inputs, and a_t the product of as many
    factors (Hillis and Steele 1986, Comm. ACM 29, 1170).
    """
    b = torch.cat((b[:, :1] + a[:, :1] * x0[:, None], b[:, 1:]), dim=1)
    steady, done = a.shape[1] == 1, 1
    while done < b.shape[1]:
        late = a if steady else a[:, done:]
        b = torch.cat((b[:, :done], b[:, done:] + late * b[:, :-done]), dim=1)
        a = a * a if steady else torch.cat((a[:, :done], late * a[:, :-done]), dim=1)
        done *= 2
    return b


def channel(a: Tensor, b: Tensor, c: Tensor, u: Tensor, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (batch, T, H) and last state (batch, H, N) of ``channel_scan``."""
    x = linear(a[None, None], b * u[..., None], x0)
    return (c * x).sum(-1).real, x[:, -1]


def selective(
    delta: Tensor, A: Tensor, B: Tensor, C: Tensor, u: Tensor, x0: Tensor, exact: bool
) -> tuple[Tensor, Tensor]:
    """Outputs (batch, T, H) and last state (batch, H, N) of ``selective_scan``."""
    step = delta[..., None]
    held = step
    if exact:
        moving = A != 0
        held = torch.where(
            moving,
            torch.expm1(step * A) / torch.where(moving, A, 1.0),
            step + 0.5 * A * step**2,  # with its slope in A
        )
    x = linear(torch.exp(step * A), held * B[:, :, None] * u[..., None], x0)
    return (C[:, :, None] * x).sum(-1), x[:, -1]
