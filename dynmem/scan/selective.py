"""The scan of selective channels, whose coefficients are computed inside and whose states are not
kept."""

from functools import cache

import numpy as np

from ..errors import ShapeError
from .arguments import alike, expect, is_torch, ready, recorded, spread
from .launch import CHUNK, LANES, from_lanes, in_lanes, kernel, run, threads_to_use


def selective_scan(delta, A, B, C, u, x0=None, exact=False, *, threads=None):
    """Outputs of channels whose step and whose input and output vectors change with the inputs
    (Mamba's S6).

        x_(t,h,n) = exp(d A) x_(t-1,h,n) + d B_(t,n) u_(t,h),   y_(t,h) = sum_n C_(t,n) x_(t,h,n),
        d = delta_(t,h), A = A_(h,n)

    With ``exact``, the input is held over the step, (exp(d A) - 1)/A in place of d, of which d is
    the first term: Euler's step, as published.

    Parameters: delta and u (..., T, H); A (H, N), negative for a memory that fades; B and C (...,
    T, N); the state x0 before the first step, (..., H, N), at rest if None. All real, arrays or
    torch tensors, in single or double precision; one in double makes all double. Gradients reach
    all. States are kept every 64 steps and computed anew in the backward pass, so that memory is of
    the order of the inputs'. ``threads`` is as torch has it if None; no bit depends on it. Returns
    the outputs (..., T, H) and the last state (..., H, N).

    Raises ShapeError for shapes that do not fit and for a sequence without steps; TypeError for
    half precision and complex numbers.

    Source: Gu and Dao (2023), "Mamba", algorithm 2 and eq. 4; their code takes Euler's step for the
    input.

    >>> T = np.ones((3, 1))
    >>> y, _ = selective_scan(np.log(2) * T, -np.ones((1, 1)), T, T, T, exact=True)
    >>> y[:, 0].round(12).tolist()
    [0.5, 0.75, 0.875]
    """
    threads = threads_to_use(threads)
    delta, A, B, C, u, x0 = alike(
        {"delta": delta, "A": A, "B": B, "C": C, "u": u, "x0": x0}
    ).values()
    expect("A", A, (None, None), "(H, N)")
    H, N = A.shape
    if u.ndim < 2 or u.shape[-1] != H or 0 in u.shape or N == 0:
        raise ShapeError(
            f"u has shape {tuple(u.shape)}, expected (..., T, {H}) with at least one step, for "
            f"{H} channels of {N} states"
        )
    lead, T = tuple(u.shape[:-2]), u.shape[-2]
    delta = spread("delta", delta, u.shape, "the shape of u").reshape((-1, T, H))
    B, C = (
        spread(name, x, (*lead, T, N), "(..., T, N)").reshape((-1, T, N))
        for name, x in (("B", B), ("C", C))
    )
    x0 = None if x0 is None else spread("x0", x0, (*lead, H, N), "(..., H, N)").reshape((-1, H, N))
    u3 = u.reshape((-1, T, H))
    if is_torch(u):
        x0 = A.new_zeros((len(u3), H, N)) if x0 is None else x0
        options = {
            "exact": bool(exact),
            "threads": threads,
            "keep": recorded(delta, A, B, C, u3, x0),
        }
        y, last, _ = _scan()(options, delta, A, B, C, u3, x0)
    else:
        y, last, _ = forward(
            delta,
            A,
            B,
            C,
            u3,
            np.zeros((len(u3), H, N), A.dtype) if x0 is None else x0,
            bool(exact),
            threads,
        )
    return y.reshape(u.shape), last.reshape((*lead, H, N))


def forward(delta, A, B, C, u, x0, exact, threads, keep=False):
    """Outputs (batch, T, H), last state (batch, H, N) and the states kept for ``backward``."""
    (batch, T, H), N, rates = u.shape, A.shape[1], _rates(A)
    delta, B, C, u = map(ready, (delta, B, C, u))
    x, y = in_lanes(x0).reshape(-1, N, LANES), np.empty_like(u)
    marks = np.empty((len(x), -(-T // CHUNK) if keep else 0, N, LANES), u.dtype)
    arguments = (*rates, delta, u, B, C, x, y, marks)
    run(
        kernel("selective_forward", u.dtype, exact),
        len(x),
        16 * u.size * N,
        threads,
        arguments,
        ((CHUNK, LANES),) * 4,
        u.dtype,
    )
    return y, from_lanes(x.reshape(batch, -1, N, LANES), H), marks


def backward(delta, A, B, C, u, marks, g, glast, exact, threads):
    """Gradients of delta, A, B, C, u and x0 from those of the outputs and of the last state."""
    (batch, _, H), N, rates = u.shape, A.shape[1], _rates(A)
    adjoint, ddelta, du = in_lanes(glast).reshape(-1, N, LANES), np.empty_like(u), np.empty_like(u)
    dA, dB, dC = (
        np.zeros((len(adjoint), N, LANES)),
        *np.zeros((2, len(rates[0]), *B.shape), u.dtype),
    )
    arguments = (*rates, delta, u, B, C, g, marks, adjoint, ddelta, du, dA, dB, dC)
    space = *((CHUNK, LANES),) * 8, (CHUNK + 1, LANES), (2, LANES)
    run(
        kernel("selective_backward", u.dtype, exact),
        len(adjoint),
        40 * u.size * N,
        threads,
        arguments,
        space,
        u.dtype,
    )
    dA = from_lanes(dA.reshape(batch, -1, N, LANES).sum(0), H).astype(A.dtype)
    return ddelta, dA, dB.sum(0), dC.sum(0), du, from_lanes(adjoint.reshape(batch, -1, N, LANES), H)


def _rates(A):
    """A and 1/A, 0 where A is 0, in lanes."""
    A = in_lanes(A)
    return A, np.divide(1, A, out=np.zeros_like(A), where=A != 0)


@cache
def _scan():
    from .autograd import as_function

    return as_function(
        "selective_scan", forward, backward, lambda tensors, outputs: (*tensors[:5], outputs[2])
    )
