"""The scan of x <- a x + b, element by element."""

from functools import cache

import numpy as np

from ..errors import ShapeError
from .arguments import alike, is_torch, ready, spread
from .launch import kernel, run, threads_to_use


def linear_scan(a, b, x0=None, *, threads=None):
    """All states of a diagonal linear recurrence.

        x_t = a_t x_(t-1) + b_t

    Parameters: b (..., T, n); a (n,) for all steps, or (..., T, n) for each; the state x0 before
    the first step, (..., n), at rest if None. Arrays or torch tensors, real or complex, in single
    or double precision; one in double makes all double, one complex makes all complex. Gradients
    reach a, b and x0. ``threads`` is as torch has it if None; no bit depends on it. Returns the
    states (..., T, n).

    Raises ShapeError for shapes that do not fit and for a sequence without steps; TypeError for
    half precision.

    Source: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences", eq.
    4; the backward pass is the adjoint recurrence, from the last step to the first.

    >>> linear_scan(np.array([0.5]), np.ones((4, 1)))[:, 0].tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    threads = threads_to_use(threads)
    a, b, x0 = alike({"a": a, "b": b, "x0": x0}, complex=None).values()
    if b.ndim < 2 or 0 in b.shape:
        raise ShapeError(
            f"b has shape {tuple(b.shape)}, expected (..., T, n) with at least one step and one "
            "component"
        )
    lead, (T, n) = tuple(b.shape[:-2]), b.shape[-2:]
    fixed = a.ndim == 1
    a = spread("a", a, (n,) if fixed else b.shape, "(n,) or (..., T, n)").reshape(
        (1, 1, n) if fixed else (-1, T, n)
    )
    x0 = None if x0 is None else spread("x0", x0, (*lead, n), "(..., n)").reshape((-1, n))
    b3 = b.reshape((-1, T, n))
    if is_torch(b):
        x0 = b.new_zeros((len(b3), n)) if x0 is None else x0
        return _scan()({"threads": threads}, a, b3, x0)[0].reshape(b.shape)
    x0 = np.zeros((len(b3), n), b.dtype) if x0 is None else x0
    return forward(a, b3, x0, threads)[0].reshape(b.shape)


def forward(a, b, x0, threads):
    """States (batch, T, n), alone in a tuple, from arrays a (1 or batch, 1 or T, n), b (batch, T,
    n) and x0 (batch, n)."""
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


def backward(a, x0, states, g, threads):
    """Gradients of a (as a), b (batch, T, n) and x0 (batch, n) from the gradient g of the
    states."""
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
    x = ready(x)
    return x.view(x.real.dtype)


def _blocks(x, least=64, enough=4):
    """Width of the blocks that the components are cut into, and their number: some for each core,
    none narrower than is quick."""
    batch, n = x.shape
    width = max(least, -(-n // -(-enough // batch) // least) * least)
    return width, batch * -(-n // width)


@cache
def _scan():
    from .autograd import as_function

    return as_function(
        "linear_scan",
        forward,
        backward,
        lambda tensors, outputs: (tensors[0], tensors[2], outputs[0]),
    )
