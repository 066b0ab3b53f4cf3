"""Linear channels over whole sequences: convolution by FFT, and blocks of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import concat, namespace, stack, steps, transpose
from ..typing import Array
from .cell import one_batch_of_steps

STEPS_PER_BLOCK = 128


def fourier(x: Array) -> Any:
    """numpy.fft or torch.fft."""
    if namespace(x).__name__ == "Torch":
        import torch

        return torch.fft
    return np.fft


def causal_convolution(kernel: Array, u: Array) -> Array:
    """sum_j kernel_j u_(t-j) over the last axis of both, of one length T, by FFT, zero padded.

    >>> causal_convolution(np.array([1.0, 0.5, 0.0]), np.array([1.0, 1.0, 1.0])).round(12).tolist()
    [1.0, 1.5, 1.5]
    """
    fft, length = fourier(u), u.shape[-1]
    return fft.irfft(fft.rfft(kernel, 2 * length) * fft.rfft(u, 2 * length), 2 * length)[
        ..., :length
    ]


def blockwise(A: Array, B: Array, C: Array, u: Array, x: Array) -> tuple[Array, Array]:
    """Outputs (..., T, H) of C x and last state (..., H n) of channels x_t = A x_(t-1) + B u_t.

    A (H, n, n), B (H, n), C (H, n), u (..., T, H), x (..., H n). Inside a block of up to
    ``STEPS_PER_BLOCK`` steps the input acts by convolution, for all blocks at once; its effect on
    the state at the end and the state's on the outputs are matrices (n, block), so that one step
    remains for each block. The blocks are of powers of two, the last of one step.
    """
    (H, n), T = B.shape, u.shape[-2]
    x, u = one_batch_of_steps(x, u)
    lead = u.shape[:-2]
    x, u = x.reshape(-1, H, n).swapaxes(0, 1), u.reshape(-1, H).T.reshape(H, -1, T)
    outputs, done = [], 0
    blocks: list[Any] = _blocks(A, B, C, min(T, STEPS_PER_BLOCK))
    for size, *block in reversed(blocks):
        count = (T - done) // size
        if count:
            y, x = _through(size, *block, u=u[..., done : done + count * size], x=x)
            outputs.append(y)
            done += count * size
    y = concat(outputs).reshape(H, -1).T.reshape(*lead, T, H)
    return y, x.swapaxes(0, 1).reshape(*lead, H * n)


def _blocks(A, B, C, longest):
    """For each size 1, 2, 4 ... up to ``longest``: the size, A^size, what the block's inputs add to
    the state (H, n, size), latest input last, what the state before it adds to its outputs (H,
    size, n), and the kernel (H, size)."""
    found, size, reach, seen = [], 1, B[..., None], C[:, None] @ A
    while True:
        kernel = concat(
            ((C[:, None] @ B[..., None])[..., 0], (seen[:, : size - 1] @ B[..., None])[..., 0])
        )
        found.append((size, A, reach, seen, kernel))
        if 2 * size > longest:
            return found
        reach, seen = concat((A @ reach, reach)), concat((seen, seen @ A), axis=1)
        A, size = A @ A, 2 * size


def _through(size, power, reach, seen, kernel, u, x):
    """Outputs (H, batch, T) and last state (H, batch, n) of inputs u (H, batch, T), T a multiple of
    the block's size."""
    H, batch, T = u.shape
    blocks = u.reshape(H, -1, size)
    added = (blocks @ transpose(reach)).reshape(H, batch, T // size, -1)
    starts = []
    for each in steps(added):
        starts.append(x)
        x = x @ transpose(power) + each
    before = stack(starts, axis=-2).reshape(H, -1, x.shape[-1])
    return (causal_convolution(kernel[:, None], blocks) + before @ transpose(seen)).reshape(
        H, batch, T
    ), x
