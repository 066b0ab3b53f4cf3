"""Torch's own kernels for whole sequences of a recurrent cell, tanh, relu, LSTM or GRU.

They hold no equation of ours: they take the tensors of the cell as they are, and a test holds them
to the rule.
"""

import torch
from torch.nn.functional import pad

# has_biases, num_layers, dropout, train, bidirectional, batch_first
OPTIONS = (True, 1, 0.0, True, False, True)


def rnn_tanh(cell, u, x, kernel=torch.rnn_tanh):
    """Outputs (batch, T, N) and last state (batch, N) of a tanh network."""
    h, last = kernel(
        u, x[None].contiguous(), (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *OPTIONS
    )
    return h, last[0]


def rnn_relu(cell, u, x):
    """The same for a rectified network."""
    return rnn_tanh(cell, u, x, torch.rnn_relu)


def lstm(cell, u, x):
    """The same for an LSTM."""
    n = cell.units
    start = [part[None].contiguous() for part in (x[..., :n], x[..., n:])]
    h, last, c = torch.lstm(u, start, (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *OPTIONS)
    return h, torch.cat((last[0], c[0]), dim=-1)


def gru(cell, u, x):
    """The same for a GRU."""
    # torch has a second bias for all gates, only that of n stands alone
    inner = pad(cell.c, (2 * cell.units, 0))
    h, last = torch.gru(u, x[None].contiguous(), (cell.V, cell.W, cell.b, inner), *OPTIONS)
    return h, last[0]
