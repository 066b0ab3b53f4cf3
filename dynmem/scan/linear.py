"""The scan of x <- a x + b, element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..runtime.validation import public
from ..typing import Array
from .arguments import as_writable, broadcast, is_torch, to_one_precision, torch_form
from .launch import kernel, run, threads_to_use


@public
def linear_scan(
    a: Array, b: Array, x0: Array | None = None, *, threads: int | None = None
) -> Array:
    """All states of a diagonal linear recurrence.

        x_t = a_t x_(t-1) + b_t

    Parameters
    ----------
    a : array_like or Tensor (n,) or (..., T, n)
        Factors, for all steps or for each.
    b : array_like or Tensor (..., T, n)
        Inputs.
    x0 : array_like or Tensor (..., n), optional
        State before the first step; None for 0.
    threads : int, optional
        Number of threads, by default as many as torch uses; no bit depends on it.

    Returns
    -------
    numpy.ndarray or Tensor (..., T, n)
        States. One argument in double precision makes all double, a complex one all complex.

    Raises
    ------
    ShapeError
        For shapes that do not fit, and for a sequence without steps.
    TypeError
        For half precision, and for tensors on different devices.

    Notes
    -----
    Gradients reach a, b and x0; the backward pass is the adjoint recurrence, from the last step to
    the first.

    The compiled loops run on the processor alone. Tensors on another device take the same
    recurrence in torch's operations, which keep all states for the backward pass, log2 T times.

    References
    ----------
    Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML, eq. 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.scan.linear_scan([0.5], np.ones((4, 1)))[:, 0].tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    threads = threads_to_use(threads)
    a, b, x0 = to_one_precision({"a": a, "b": b, "x0": x0}, complex=None).values()
    if b.ndim < 2 or 0 in b.shape:
        raise ShapeError(
            f"b has shape {tuple(b.shape)}, expected (..., T, n) with at least one step and one "
            "component"
        )
    lead, (T, n) = tuple(b.shape[:-2]), b.shape[-2:]
    fixed = a.ndim == 1
    a = broadcast("a", a, (n,) if fixed else b.shape, "(n,) or (..., T, n)").reshape(
        (1, 1, n) if fixed else (-1, T, n)
    )
    x0 = None if x0 is None else broadcast("x0", x0, (*lead, n), "(..., n)").reshape((-1, n))
    b3 = b.reshape((-1, T, n))
    if is_torch(b):
        x0 = b.new_zeros((len(b3), n)) if x0 is None else x0
        if torch_form().takes_torch(b):
            return torch_form().linear(a, b3, x0).reshape(b.shape)
        return _scan()({"threads": threads}, a, b3, x0)[0].reshape(b.shape)
    x0 = np.zeros((len(b3), n), b.dtype) if x0 is None else x0
    return forward(a, b3, x0, threads)[0].reshape(b.shape)


def forward(a: Any, b: Any, x0: Any, threads: int) -> tuple[np.ndarray]:
    """States (batch, T, n), in a tuple, of a (1 or batch, 1 or T, n) and b (batch, T, n)."""
    out = np.empty_like(b, order="C")
    x = _real(x0).copy()
    width, blocks = _blocks(x)
    run(
        kernel("linear_forward", x.dtype),
        blocks,
        out.size,
        threads,
        (width, b.dtype.kind == "c", _real(a), _real(b), x, _real(out)),
    )
    return (out,)


def backward(
    a: np.ndarray, x0: np.ndarray, states: np.ndarray, g: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of a, b (batch, T, n) and x0 (batch, n) from the gradient g of the states."""
    fixed, db, adjoint = (
        a.shape[:2] == (1, 1) and g.shape[:2] != (1, 1),
        np.empty_like(g, order="C"),
        np.zeros_like(_real(x0)),
    )
    da = np.zeros((len(g), 1, g.shape[2]) if fixed else g.shape, g.dtype)
    total = np.zeros(adjoint.shape if fixed else (0, 0))
    width, blocks = _blocks(adjoint)
    arguments = (
        width,
        g.dtype.kind == "c",
        *map(_real, (a, x0, states, g)),
        adjoint,
        _real(db),
        _real(da),
        total,
    )
    run(kernel("linear_backward", adjoint.dtype), blocks, 2 * g.size, threads, arguments)
    if fixed:
        da = total.sum(0).view(np.result_type(g.dtype, np.float64)).astype(g.dtype).reshape(a.shape)
    return da, db, adjoint.view(g.dtype)


def _real(x):
    """A complex array as a real one with pairs in its last axis."""
    x = as_writable(x)
    return x.view(x.real.dtype)


def _blocks(x, least=64, enough=4):
    """Width of the blocks of components, and their number: some for each core, none too narrow."""
    batch, n = x.shape
    width = max(least, -(-n // -(-enough // batch) // least) * least)
    return width, batch * -(-n // width)


@cache
def _scan() -> Callable:
    from .autograd import as_function

    return as_function(
        "linear_scan",
        forward,
        backward,
        lambda tensors, outputs: (tensors[0], tensors[2], outputs[0]),
    )
