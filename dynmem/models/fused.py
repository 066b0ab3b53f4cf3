"""Torch's own kernels for whole sequences of a recurrent cell, tanh, relu, LSTM or GRU.

They hold no equation of ours: they take the tensors of the cell as they are, and a test compares
them with the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

if TYPE_CHECKING:
    from .cell import Cell

Pair: TypeAlias = tuple[Tensor, Tensor]

# has_biases, num_layers, dropout, train, bidirectional, batch_first
RNN_OPTIONS = (True, 1, 0.0, True, False, True)


def rnn_tanh(cell: Cell, x: Tensor, u: Tensor, kernel: Callable = torch.rnn_tanh) -> Pair:
    """Outputs (batch, T, N) and last state (batch, N) of a tanh network from x (batch, N), for
    inputs u (batch, T, D).
    """
    h, last = kernel(
        u, x[None].contiguous(), (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *RNN_OPTIONS
    )
    return h, last[0]


def rnn_relu(cell: Cell, x: Tensor, u: Tensor) -> Pair:
    """The same for a rectified network."""
    return rnn_tanh(cell, x, u, torch.rnn_relu)


def lstm(cell: Cell, x: Tensor, u: Tensor) -> Pair:
    """The same for an LSTM, whose state is (h, c)."""
    n = cell.units
    start = [part[None].contiguous() for part in (x[..., :n], x[..., n:])]
    h, last, c = torch.lstm(
        u, start, (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *RNN_OPTIONS
    )
    return h, torch.cat((last[0], c[0]), dim=-1)


def gru(cell: Cell, x: Tensor, u: Tensor) -> Pair:
    """The same for a GRU."""
    # torch has a second bias for all gates, only that of n stands alone
    inner = pad(cell.c, (2 * cell.units, 0))
    h, last = torch.gru(u, x[None].contiguous(), (cell.V, cell.W, cell.b, inner), *RNN_OPTIONS)
    return h, last[0]
