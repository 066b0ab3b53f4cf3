"""The scan of diagonal state-space channels, which keeps no state of all steps."""

from functools import cache

import numpy as np

from ..errors import ShapeError
from .arguments import alike, expect, is_torch, ready, recorded, spread
from .launch import CHUNK, LANES, from_lanes, in_lanes, kernel, run, threads_to_use


def channel_scan(a, b, c, u, x0=None, *, threads=None):
    """Outputs of single-input, single-output channels, each with N complex modes of its own.

        x_(t,h,n) = a_hn x_(t-1,h,n) + b_hn u_(t,h),   y_(t,h) = Re sum_n c_hn x_(t,h,n)

    Parameters: a, b, c (H, N), complex and discretised; inputs u (..., T, H), real; the state x0
    before the first step, (..., H, N), at rest if None. Arrays or torch tensors in single or double
    precision; one in double makes all double. Gradients reach a, b, c, u and x0. States are kept
    every 64 steps and computed anew in the backward pass, so that memory is of the order of the
    inputs'. ``threads`` is as torch has it if None; no bit depends on it. Returns the outputs (...,
    T, H) and the last state (..., H, N).

    Raises ShapeError for shapes that do not fit and for a sequence without steps; TypeError for
    half precision and complex inputs.

    Source: Gu et al. (2022), "On the parameterization and initialization of diagonal state space
    models", eq. 3. Twice the real part of a mode stands for a conjugate pair: put the 2 into c.

    >>> one = np.ones((1, 1))
    >>> y, x = channel_scan(0.5 * one, one, 2 * one, np.ones((4, 1)))
    >>> y[:, 0].tolist(), x.tolist()
    ([2.0, 3.0, 3.5, 3.75], [[(1.875+0j)]])
    """
    threads = threads_to_use(threads)
    a, b, c, u, x0 = alike(
        {"a": a, "b": b, "c": c, "u": u, "x0": x0}, complex=("a", "b", "c", "x0")
    ).values()
    expect("a", a, (None, None), "(H, N)")
    H, N = a.shape
    expect("b", b, (H, N), "(H, N) of a")
    expect("c", c, (H, N), "(H, N) of a")
    if u.ndim < 2 or u.shape[-1] != H or 0 in u.shape or N == 0:
        raise ShapeError(
            f"u has shape {tuple(u.shape)}, expected (..., T, {H}) with at least one step, for "
            f"{H} channels of {N} modes"
        )
    lead = tuple(u.shape[:-2])
    x0 = None if x0 is None else spread("x0", x0, (*lead, H, N), "(..., H, N)").reshape((-1, H, N))
    u3 = u.reshape((-1, *u.shape[-2:]))
    if is_torch(u):
        x0 = a.new_zeros((len(u3), H, N)) if x0 is None else x0
        options = {"threads": threads, "keep": recorded(a, b, c, u3, x0)}
        y, last, _ = _scan()(options, a, b, c, u3, x0)
    else:
        y, last, _ = forward(
            a, b, c, u3, np.zeros((len(u3), H, N), a.dtype) if x0 is None else x0, threads
        )
    return y.reshape(u.shape), last.reshape((*lead, H, N))


def forward(a, b, c, u, x0, threads, keep=False):
    """Outputs (batch, T, H), last state (batch, H, N) and the states kept for ``backward``."""
    (batch, T, H), N, k = u.shape, a.shape[1], _coefficients(a, b, c)
    u = ready(u)
    xr, xi = (in_lanes(part).reshape(-1, N, LANES) for part in (x0.real, x0.imag))
    marks, y = (
        np.empty((len(xr), -(-T // CHUNK) if keep else 0, 2, N, LANES), u.dtype),
        np.empty_like(u),
    )
    piece = (CHUNK, LANES)
    run(
        kernel("channel_forward", u.dtype),
        len(xr),
        4 * u.size * N,
        threads,
        (k, u, xr, xi, y, marks),
        (piece, piece),
        u.dtype,
    )
    return y, _joined(xr, xi, batch, H), marks


def backward(a, b, c, u, marks, g, glast, threads):
    """Gradients of a, b, c (H, N), u (batch, T, H) and x0 (batch, H, N) from those of the outputs
    and of the last state."""
    (batch, _, H), N, k = u.shape, a.shape[1], _coefficients(a, b, c)
    lr, li = (in_lanes(part).reshape(-1, N, LANES) for part in (glast.real, glast.imag))
    du, dk = np.empty_like(u), np.zeros((len(lr), 6, N, LANES))
    piece, longer = (CHUNK, LANES), (CHUNK + 1, LANES)
    run(
        kernel("channel_backward", u.dtype),
        len(lr),
        16 * u.size * N,
        threads,
        (k, u, g, marks, lr, li, du, dk),
        (*(piece,) * 5, longer, longer, (8, LANES)),
        u.dtype,
    )
    parts = from_lanes(dk.reshape(batch, -1, 6, N, LANES).sum(0).swapaxes(0, 1), H)
    return *((parts[::2] + 1j * parts[1::2]).astype(a.dtype)), du, _joined(lr, li, batch, H)


def _coefficients(a, b, c):
    """Real and imaginary parts of a, b, c as (blocks, 6, N, LANES)."""
    parts = in_lanes(np.stack([part for z in (a, b, c) for part in (z.real, z.imag)]))
    return np.ascontiguousarray(parts.swapaxes(0, 1))


def _joined(real, imaginary, batch, H):
    """State (batch, H, N) of its parts in lanes."""
    return from_lanes(
        (real + 1j * imaginary)
        .astype(np.result_type(real.dtype, np.complex64))
        .reshape(batch, -1, *real.shape[1:]),
        H,
    )


@cache
def _scan():
    from .autograd import as_function

    return as_function(
        "channel_scan", forward, backward, lambda tensors, outputs: (*tensors[:4], outputs[2])
    )
