"""The scan of diagonal state-space channels, which does not store the states of all steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..runtime.validation import public
from ..typing import Array
from .arguments import (
    as_writable,
    broadcast,
    is_torch,
    needs_gradient,
    require_shape,
    to_one_precision,
    torch_form,
)
from .launch import LANES, STEPS_PER_CHUNK, from_lanes, in_lanes, kernel, run, threads_to_use


@public
def channel_scan(
    a: Array, b: Array, c: Array, u: Array, x0: Array | None = None, *, threads: int | None = None
) -> tuple[Array, Array]:
    """Outputs of single-input, single-output channels, each with N complex modes of its own.

        x_(t,h,n) = a_hn x_(t-1,h,n) + b_hn u_(t,h),   y_(t,h) = Re sum_n c_hn x_(t,h,n)

    Parameters
    ----------
    a, b, c : array_like or Tensor (H, N)
        Complex coefficients of the discrete channels.
    u : array_like or Tensor (..., T, H)
        Real inputs.
    x0 : array_like or Tensor (..., H, N), optional
        State before the first step; None for 0.
    threads : int, optional
        Number of threads, by default as many as torch uses; no bit depends on it.

    Returns
    -------
    y : numpy.ndarray or Tensor (..., T, H)
        Outputs. One argument in double precision makes all double.
    x : numpy.ndarray or Tensor (..., H, N)
        Last state.

    Raises
    ------
    ShapeError
        For shapes that do not fit, and for a sequence without steps.
    TypeError
        For half precision, complex inputs, and tensors on different devices.

    Notes
    -----
    Gradients reach a, b, c, u and x0. States are kept every 64 steps and recomputed in the backward
    pass, so that memory is of the order of the inputs'. Twice the real part of a mode stands for a
    conjugate pair: put the 2 into c.

    The compiled loops run on the processor alone. Tensors on another device take the same
    recurrence in torch's operations, which keep all states for the backward pass, log2 T times.

    References
    ----------
    Gu et al. (2022), On the parameterization and initialization of diagonal state space models, eq.
    3.

    Examples
    --------
    >>> import dynmem as dm
    >>> one = np.ones((1, 1))
    >>> y, x = dm.scan.channel_scan(0.5 * one, one, 2 * one, np.ones((4, 1)))
    >>> y[:, 0].tolist(), x.tolist()
    ([2.0, 3.0, 3.5, 3.75], [[(1.875+0j)]])
    """
    threads = threads_to_use(threads)
    a, b, c, u, x0 = to_one_precision(
        {"a": a, "b": b, "c": c, "u": u, "x0": x0}, complex=("a", "b", "c", "x0")
    ).values()
    require_shape("a", a, (None, None), "(H, N)")
    H, N = a.shape
    require_shape("b", b, (H, N), "(H, N) of a")
    require_shape("c", c, (H, N), "(H, N) of a")
    if u.ndim < 2 or u.shape[-1] != H or 0 in u.shape or N == 0:
        raise ShapeError(
            f"u has shape {tuple(u.shape)}, expected (..., T, {H}) with at least one step, for "
            f"{H} channels of {N} modes"
        )
    lead = tuple(u.shape[:-2])
    x0 = (
        None
        if x0 is None
        else broadcast("x0", x0, (*lead, H, N), "(..., H, N)").reshape((-1, H, N))
    )
    u3 = u.reshape((-1, *u.shape[-2:]))
    if is_torch(u):
        x0 = a.new_zeros((len(u3), H, N)) if x0 is None else x0
        if torch_form().takes_torch(u):
            y, last = torch_form().channel(a, b, c, u3, x0)
        else:
            options = {"threads": threads, "keep": needs_gradient(a, b, c, u3, x0)}
            y, last, _ = _scan()(options, a, b, c, u3, x0)
    else:
        y, last, _ = forward(
            a, b, c, u3, np.zeros((len(u3), H, N), a.dtype) if x0 is None else x0, threads
        )
    return y.reshape(u.shape), last.reshape((*lead, H, N))


def forward(
    a: Any, b: Any, c: Any, u: Any, x0: Any, threads: int, keep: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs (batch, T, H), last state (batch, H, N) and the states kept for ``backward``."""
    (batch, T, H), N, k = u.shape, a.shape[1], _coefficients(a, b, c)
    u = as_writable(u)
    xr, xi = (in_lanes(part).reshape(-1, N, LANES) for part in (x0.real, x0.imag))
    marks, y = (
        np.empty((len(xr), -(-T // STEPS_PER_CHUNK) if keep else 0, 2, N, LANES), u.dtype),
        np.empty_like(u),
    )
    piece = (STEPS_PER_CHUNK, LANES)
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


def backward(
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    u: np.ndarray,
    marks: np.ndarray,
    g: np.ndarray,
    glast: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Gradients of a, b, c (H, N), u (batch, T, H) and x0 (batch, H, N) from those of the outputs
    and of the last state.
    """
    (batch, _, H), N, k = u.shape, a.shape[1], _coefficients(a, b, c)
    lr, li = (in_lanes(part).reshape(-1, N, LANES) for part in (glast.real, glast.imag))
    du, dk = np.empty_like(u), np.zeros((len(lr), 6, N, LANES))
    piece, longer = (STEPS_PER_CHUNK, LANES), (STEPS_PER_CHUNK + 1, LANES)
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
def _scan() -> Callable:
    from .autograd import as_function

    return as_function(
        "channel_scan", forward, backward, lambda tensors, outputs: (*tensors[:4], outputs[2])
    )
