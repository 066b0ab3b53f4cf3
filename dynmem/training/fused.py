"""Sequences through a system: its rule step by step, or one fused torch kernel where torch has one for the cell.

The kernels hold no equation of ours: they take the tensors of the cell as they are, and a test holds them to the rule.
"""

import torch
from torch.nn.functional import pad

from ..models import GRU, LSTM, Network, Relu, Tanh


def unroll(system, u, x):
    """Outputs (batch, steps, outputs) and final state of a Map: its rule step by step on u (batch, steps, inputs) from x (batch, n).

    >>> from dynmem.system import map_arrays
    >>> halving = map_arrays(Tanh(torch.eye(2) / 2, torch.zeros(2, 1)), torch.from_numpy)
    >>> unroll(halving, torch.zeros(4, 3, 1).double(), torch.ones(4, 2).double())[0].shape
    torch.Size([4, 3, 2])
    """
    states, driven = [], system.inputs > 0
    for now in u.unbind(1):  # not u[:, t]: the backward pass of each such slice fills a tensor as long as the sequence
        x = system.rule(x, now if driven else None)
        states.append(x)
    return system.output(torch.stack(states, dim=1), u if driven else None), x


def fuse(system, u, x):
    """Outputs and final state as ``unroll`` gives them, by a fused kernel in each layer that has one."""
    if type(system) is not Network:
        return _layer(system, u, x)
    final = []
    for layer, part in zip(system.layers, system.parts(x), strict=True):
        drive = u
        u, after = _layer(layer, u, part)
        final.append(after)
    # The readout is the Network's own equation: it is asked of the last layer alone, whose state behind h it does not look at.
    top = object.__new__(Network)
    for name, value in (("layers", (layer,)), ("R", system.R), ("a", system.a)):
        object.__setattr__(top, name, value)
    return top.output(pad(u, (0, layer.size - u.shape[-1])), drive), torch.cat(final, dim=-1)


def has_kernel(system):
    """Whether torch has a fused kernel for this very kind of cell; a class derived from it may have another rule."""
    if type(system) in (Tanh, Relu):
        return isinstance(system.leak, float) and system.leak == 1.0
    return type(system) in (LSTM, GRU)


def _layer(cell, u, x):
    if not has_kernel(cell):
        return unroll(cell, u, x)
    return _KERNELS[type(cell)](cell, u, x)


def _rnn(kernel):
    def run(cell, u, x):
        h, last = kernel(u, x[None].contiguous(), (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *_OPTIONS)
        return h, last[0]

    return run


def _lstm(cell, u, x):
    n = cell.units
    start = [part[None].contiguous() for part in (x[..., :n], x[..., n:])]
    h, last, c = torch.lstm(u, start, (cell.V, cell.W, cell.b, torch.zeros_like(cell.b)), *_OPTIONS)
    return h, torch.cat((last[0], c[0]), dim=-1)


def _gru(cell, u, x):
    inner = pad(cell.c, (2 * cell.units, 0))  # torch has a second bias for all gates, only that of n stands alone
    h, last = torch.gru(u, x[None].contiguous(), (cell.V, cell.W, cell.b, inner), *_OPTIONS)
    return h, last[0]


_OPTIONS = (True, 1, 0.0, True, False, True)  # has_biases, num_layers, dropout, train, bidirectional, batch_first
_KERNELS = {Tanh: _rnn(torch.rnn_tanh), Relu: _rnn(torch.rnn_relu), LSTM: _lstm, GRU: _gru}
