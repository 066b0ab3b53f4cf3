"""The scan of selective channels, which computes its coefficients inside and keeps no states."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

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
def selective_scan(
    delta: Array,
    A: Array,
    B: Array,
    C: Array,
    u: Array,
    x0: Array | None = None,
    exact: bool = False,
    *,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Outputs of channels whose step, input and output vectors change with the inputs (Mamba's S6).

        x_(t,h,n) = exp(d A) x_(t-1,h,n) + d B_(t,n) u_(t,h),   y_(t,h) = sum_n C_(t,n) x_(t,h,n),
        d = delta_(t,h), A = A_(h,n)

    Parameters
    ----------
    delta : array_like or Tensor (..., T, H)
        Steps.
    A : array_like or Tensor (H, N)
        Rates, negative for a memory that fades.
    B, C : array_like or Tensor (..., T, N)
        Input and output vectors.
    u : array_like or Tensor (..., T, H)
        Inputs.
    x0 : array_like or Tensor (..., H, N), optional
        State before the first step; None for 0.
    exact : bool, optional
        Whether the input is held over the step, (exp(d A) - 1)/A in place of d, of which d is the
        first term: Euler's step, as published.
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
        For half precision, complex numbers, and tensors on different devices.

    Notes
    -----
    Gradients reach all arguments. States are kept every 64 steps and recomputed in the backward
    pass, so that memory is of the order of the inputs'.

    The compiled loops run on the processor alone. Tensors on another device take the same
    recurrence in torch's operations, which keep all states for the backward pass, log2 T times.

    References
    ----------
    Gu and Dao (2023), Mamba, arXiv:2312.00752, algorithm 2 and eq. 4; their code takes Euler's step
    for the input.

    Examples
    --------
    >>> import dynmem as dm
    >>> T = np.ones((3, 1))
    >>> y, _ = dm.scan.selective_scan(np.log(2) * T, -np.ones((1, 1)), T, T, T, exact=True)
    >>> y[:, 0].round(12).tolist()
    [0.5, 0.75, 0.875]
    """
    threads = threads_to_use(threads)
    delta, A, B, C, u, x0 = to_one_precision(
        {"delta": delta, "A": A, "B": B, "C": C, "u": u, "x0": x0}
    ).values()
    require_shape("A", A, (None, None), "(H, N)")
    H, N = A.shape
    if u.ndim < 2 or u.shape[-1] != H or 0 in u.shape or N == 0:
        raise ShapeError(
            f"u has shape {tuple(u.shape)}, expected (..., T, {H}) with at least one step, for "
            f"{H} channels of {N} states"
        )
    lead, T = tuple(u.shape[:-2]), u.shape[-2]
    delta = broadcast("delta", delta, u.shape, "the shape of u").reshape((-1, T, H))
    B, C = (
        broadcast(name, x, (*lead, T, N), "(..., T, N)").reshape((-1, T, N))
        for name, x in (("B", B), ("C", C))
    )
    x0 = (
        None
        if x0 is None
        else broadcast("x0", x0, (*lead, H, N), "(..., H, N)").reshape((-1, H, N))
    )
    u3 = u.reshape((-1, T, H))
    if is_torch(u):
        x0 = A.new_zeros((len(u3), H, N)) if x0 is None else x0
        if torch_form().takes_torch(u):
            y, last = torch_form().selective(delta, A, B, C, u3, x0, bool(exact))
        else:
            keep = needs_gradient(delta, A, B, C, u3, x0)
            options = {"exact": bool(exact), "threads": threads, "keep": keep}
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


def forward(
    delta: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray,
    exact: bool,
    threads: int,
    keep: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs (batch, T, H), last state (batch, H, N) and the states kept for ``backward``."""
    (batch, T, H), N, rates = u.shape, A.shape[1], _rates(A)
    delta, B, C, u = map(as_writable, (delta, B, C, u))
    x, y = in_lanes(x0).reshape(-1, N, LANES), np.empty_like(u)
    marks = np.empty((len(x), -(-T // STEPS_PER_CHUNK) if keep else 0, N, LANES), u.dtype)
    arguments = (*rates, delta, u, B, C, x, y, marks)
    run(
        kernel("selective_forward", u.dtype, exact),
        len(x),
        16 * u.size * N,
        threads,
        arguments,
        ((STEPS_PER_CHUNK, LANES),) * 4,
        u.dtype,
    )
    return y, from_lanes(x.reshape(batch, -1, N, LANES), H), marks


def backward(
    delta: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    u: np.ndarray,
    marks: np.ndarray,
    g: np.ndarray,
    glast: np.ndarray,
    exact: bool,
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Gradients of delta, A, B, C, u and x0 from those of the outputs and of the last state."""
    (batch, _, H), N, rates = u.shape, A.shape[1], _rates(A)
    adjoint, ddelta, du = in_lanes(glast).reshape(-1, N, LANES), np.empty_like(u), np.empty_like(u)
    dA = np.zeros((len(adjoint), N, LANES))
    dB, dC = np.zeros((2, len(rates[0]), *B.shape), u.dtype)
    arguments = (*rates, delta, u, B, C, g, marks, adjoint, ddelta, du, dA, dB, dC)
    space = *((STEPS_PER_CHUNK, LANES),) * 8, (STEPS_PER_CHUNK + 1, LANES), (2, LANES)
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
def _scan() -> Callable:
    from .autograd import as_function

    return as_function(
        "selective_scan", forward, backward, lambda tensors, outputs: (*tensors[:5], outputs[2])
    )
