"""Jacobians and tangent products of any system: one interface, several engines.

Engines: ``dual`` (dual numbers over numpy, any rule), ``torch`` (``torch.func``), ``symbolic``
(sympy, up to 8 states). They agree to rounding, since all differentiate the same rule. Tangent and
cotangent products never form the Jacobian.
"""

from __future__ import annotations

import math

import numpy as np

from .. import symbolic
from ..arrays import tensors
from ..errors import NotFiniteError, ShapeError
from ..runtime.memory import require_memory
from ..runtime.validation import choice, public
from ..system import System, as_input, as_state, as_system, check_rule, map_arrays
from ..typing import Array, ArrayLike
from .dual import Dual
from .tangents import Forward, Reverse, pull as _pull


def push(system: System, x: Array, rows: Array, u: Array | None = None) -> tuple:
    """Value and tangents (f(x, u), rows J^T) for x (..., n) and rows (k, ..., n), without
    checks."""
    tile = system.tile
    # a megabyte: keep the gates of one tile in the cache
    if tile and len(rows) >= 2 * tile and rows.size > 1 << 17:
        pushed = np.empty_like(rows)
        for start in range(0, len(rows), tile):
            value, pushed[start : start + tile] = _push(system, x, rows[start : start + tile], u)
        return value, pushed
    return _push(system, x, rows, u)


def _push(system, x, rows, u):
    out = system.rule(Dual(x, Forward(rows)), u)
    return (
        (out.value, out.tangent.array())
        if isinstance(out, Dual)
        else (out, np.zeros((rows.shape[0], *np.asarray(out).shape)))
    )


def linearise_rule(function, x):
    """Value of function at the array x, and ``back``: cotangents (k, *out.shape) to cotangents (k,
    *x.shape)."""
    root = Reverse(x.shape)
    out = function(Dual(x, root))
    if not isinstance(out, Dual):
        return np.asarray(out), lambda rows: np.zeros((rows.shape[0], *x.shape))
    return out.value, lambda rows: _pull(out.tangent, rows, root)


@public
def tangent_product(
    system: System,
    x: ArrayLike,
    frame: ArrayLike,
    u: ArrayLike | None = None,
    *,
    wrt: str = "state",
) -> np.ndarray:
    """Forward-mode product of tangent vectors with the Jacobian, frame J^T, without forming J.

    ``jvp`` is the same function under the name of jax and torch.func.

    Parameters
    ----------
    system : Map or Flow
    x : array_like (..., n)
        State.
    frame : array_like (..., k, n)
        Tangent vectors as rows; (..., k, inputs) for ``wrt="input"``.
    u : array_like (..., inputs), optional
        Input; zero by default.
    wrt : {"state", "input"}
        What the rule is differentiated with respect to.

    Returns
    -------
    numpy.ndarray (..., k, n)
        J v for each row v.

    Raises
    ------
    ShapeError
        If a shape does not fit.

    See Also
    --------
    cotangent_product, jacobian

    Examples
    --------
    >>> import dynmem as dm
    >>> linear = dm.models.Linear(np.diag([0.5, 2.0]))
    >>> dm.tangent_product(linear, np.zeros(2), np.eye(2)).tolist()
    [[0.5, 0.0], [0.0, 2.0]]
    """
    function, point = _function(system, x, u, wrt, "state")
    vectors = tensors(frame)
    if vectors.ndim < 2 or vectors.shape[-1] != point.shape[-1]:
        raise ShapeError(
            f"frame has shape {vectors.shape}, expected (..., k, {point.shape[-1]}) "
            "with tangent vectors as rows"
        )
    vectors, point = _same_batch(vectors, point)
    out = function(Dual(point, Forward(np.moveaxis(vectors, -2, 0))))
    if not isinstance(out, Dual):
        out = np.asarray(out)
        return np.zeros((*out.shape[:-1], vectors.shape[-2], out.shape[-1]))
    return np.moveaxis(out.tangent.array(), 0, -2)


@public
def cotangent_product(
    system: System,
    x: ArrayLike,
    rows: ArrayLike,
    u: ArrayLike | None = None,
    *,
    wrt: str = "state",
) -> np.ndarray:
    """Reverse-mode product of gradients with the Jacobian, rows J, without forming J.

    ``vjp`` is the same function under the name of jax and torch.func.

    Parameters
    ----------
    system : Map or Flow
    x : array_like (..., n)
        State.
    rows : array_like (..., k, n)
        Gradients with respect to the result of the rule, as rows.
    u : array_like (..., inputs), optional
        Input; zero by default.
    wrt : {"state", "input"}
        What the rule is differentiated with respect to.

    Returns
    -------
    numpy.ndarray (..., k, n) or (..., k, inputs)
        v^T J for each row v.

    Raises
    ------
    ShapeError
        If a shape does not fit.

    See Also
    --------
    tangent_product, jacobian

    Examples
    --------
    >>> import dynmem as dm
    >>> shift = dm.models.Linear(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> dm.cotangent_product(shift, np.zeros(2), np.eye(2)).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    function, point = _function(system, x, u, wrt, "state")
    gradients, n = tensors(rows), np.shape(x)[-1]
    if gradients.ndim < 2 or gradients.shape[-1] != n:
        raise ShapeError(
            f"rows have shape {gradients.shape}, expected (..., k, {n}) with gradients as rows"
        )
    gradients, point = _same_batch(gradients, point)
    _, back = linearise_rule(function, point)
    return np.moveaxis(back(np.moveaxis(gradients, -2, 0)), 0, -2)


def _same_batch(rows, point):
    """rows (..., k, n) and point (..., n) with their leading axes spread over one batch."""
    batch = np.broadcast_shapes(rows.shape[:-2], point.shape[:-1])
    return np.broadcast_to(rows, (*batch, *rows.shape[-2:])), np.broadcast_to(
        point, (*batch, point.shape[-1])
    )


@public
def jacobian(
    system: System,
    x: ArrayLike,
    u: ArrayLike | None = None,
    *,
    wrt: str = "state",
    of: str = "state",
    engine: str = "dual",
) -> np.ndarray:
    """Jacobian of a rule at a state, J_ij = d f_i / d x_j.

    For a Map J propagates a small difference by one step; for a Flow it is the gradient of the
    velocity.

    Parameters
    ----------
    system : Map or Flow
    x : array_like (..., n)
        State, or a batch of states.
    u : array_like (..., inputs), optional
        Input; zero by default.
    wrt : {"state", "input"}
        What to differentiate with respect to.
    of : {"state", "output"}
        The rule, or the output y(x, u).
    engine : {"dual", "torch", "symbolic"}
        Dual numbers over numpy, torch.func, or sympy (up to 8 states).

    Returns
    -------
    numpy.ndarray (..., n, n)
        (..., n, inputs) for ``wrt="input"``, (..., outputs, n) for ``of="output"``.

    Raises
    ------
    ShapeError
        If x or u does not fit.
    NotFiniteError
        If x, u or a derivative is not finite.
    TypeError
        If the rule does not run on the engine.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.jacobian(dm.systems.get("henon"), [0.5, 0.0]).round(3).tolist()
    [[-1.4, 1.0], [0.3, 0.0]]
    """
    engines = {"dual": _by_duals, "torch": _by_torch, "symbolic": _by_symbols}
    choice("engine", engine, engines)
    system = as_system(system)
    shape = np.shape(x)
    if shape:
        require_memory(
            3 * 8 * math.prod(shape) * shape[-1],  # the identity, its image, and their sum
            f"a Jacobian of {shape[-1]} states at {math.prod(shape[:-1])} points",
            "pass fewer points, or dm.jvp for products with single directions",
        )
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = engines[engine](system, x, u, wrt, of)
    except (RuntimeError, AttributeError, TypeError) as error:
        if engine == "dual" or isinstance(error, NotImplementedError):
            raise
        reason = (str(error).splitlines() or [""])[0]
        raise TypeError(
            f"the rule of {type(system).__name__} does not run on {engine}: use "
            "dm.sin, dm.stack and the like in place of "
            f"numpy's functions ({reason})"
        ) from error
    if not np.isfinite(found).all():
        reason = (
            "the rule has no derivative there, or overflows"
            if engine == "dual"
            else f"{engine} differentiates branches that are not taken and roots of 0 that do not "
            "move, engine='dual' does not; or the rule has no derivative there, or overflows"
        )
        raise NotFiniteError(
            f"the Jacobian of {type(system).__name__} is not finite at x = "
            f"{np.array2string(tensors(x), threshold=8)}: {reason}"
        )
    return found


def divergence(system, x, u=None):
    """Trace of the Jacobian at x, shape (...): the rate at which a Flow's volumes grow."""
    return np.trace(jacobian(system, x, u), axis1=-2, axis2=-1)


def _point(system, x, u, wrt, of):
    """State and input, checked and spread over one batch; a driven system without an input is taken
    at zero input."""
    as_system(system)
    x, u = as_state(system, x), as_input(system, u)
    choice("wrt", wrt, ("state", "input"))
    choice("of", of, ("state", "output"))
    if wrt == "input" and u is None:
        raise ShapeError(
            "a Jacobian with respect to the input needs u, of shape (..., "
            f"{system.inputs}): {type(system).__name__} "
            + ("takes no input" if not system.inputs else "got None")
        )
    if u is None and system.inputs:
        u = np.zeros(system.inputs)
    if u is not None:
        batch = np.broadcast_shapes(x.shape[:-1], u.shape[:-1])
        x, u = np.broadcast_to(x, (*batch, x.shape[-1])), np.broadcast_to(u, (*batch, u.shape[-1]))
    if of == "state":
        check_rule(system, x, u)
    return x, u


def _function(system, x, u, wrt, of):
    """The rule (or output) as a function of one argument, and the point to differentiate at."""
    x, u = _point(system, x, u, wrt, of)
    call = system.rule if of == "state" else system.output
    return (
        (lambda point: call(point, u), x) if wrt == "state" else (lambda point: call(x, point), u)
    )


def _by_duals(system, x, u, wrt, of):
    function, point = _function(system, x, u, wrt, of)
    eye = np.eye(point.shape[-1])[(slice(None),) + (None,) * (point.ndim - 1)]
    out = function(
        Dual(point, Forward(np.broadcast_to(eye, (point.shape[-1], *point.shape)).copy()))
    )
    if not isinstance(out, Dual):
        return np.zeros((*np.asarray(out).shape, point.shape[-1]))
    return np.moveaxis(np.broadcast_to(out.tangent.array(), (point.shape[-1], *out.shape)), 0, -1)


def _by_torch(system, x, u, wrt, of):
    import torch

    x, u = _point(system, x, u, wrt, of)
    twin = map_arrays(system, as_tensor)
    call = twin.rule if of == "state" else twin.output
    flat = [
        None if a is None else as_tensor(a).reshape(math.prod(a.shape[:-1]), a.shape[-1])
        for a in (x, u)
    ]
    derivative = torch.func.jacrev(call, argnums=0 if wrt == "state" else 1)
    stacked = torch.stack(
        [derivative(*(None if a is None else a[i] for a in flat)) for i in range(len(flat[0]))]
    )
    return stacked.reshape(*x.shape[:-1], *stacked.shape[1:]).numpy()


def as_tensor(array):
    """A copy of a numpy array as a torch tensor; matrices of integers become float64, or torch
    would not multiply by them."""
    import torch

    whole = array.dtype.kind in "biu" and array.ndim < 2  # these may be indices
    return torch.from_numpy(
        np.array(
            array, dtype=array.dtype if whole or array.dtype.kind == "c" else np.float64, order="C"
        )
    )


def _by_symbols(system, x, u, wrt, of):
    if of == "output":
        raise ValueError(
            "engine 'symbolic' differentiates the rule: use engine='dual' for the output"
        )
    x, u = _point(system, x, u, wrt, of)
    return symbolic.evaluate(symbolic.jacobian(system, wrt=wrt, size=x.shape[-1]), system, x, u)


jvp, vjp = tangent_product, cotangent_product  # the names of jax and torch.func
