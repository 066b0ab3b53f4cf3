"""A linear readout by ridge regression: the closed form of what gradient descent would look for."""

from dataclasses import replace

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..models.network import Network


def ridge_readout(network, inputs, targets, *, washout=100, ridge=1e-6):
    """The network with the readout y = R h + a that minimises sum |y - target|^2 + ridge |R|^2 over
    the steps after the washout.

    R = Y' H (H' H + ridge I)^-1 of the states H and the targets Y less their means; nothing else
    changes. network: a ``Network`` with a readout; inputs (..., T, inputs), targets (..., T,
    outputs); washout: first steps of each sequence, which still carry the start.

    Raises ShapeError where the arrays do not fit, NotFiniteError where the states are lost.
    Source: Jaeger (2001), GMD report 148; Hoerl and Kennard (1970), Technometrics 12, 55.

    >>> import dynmem as dm
    >>> u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    >>> esn = dm.models.get("esn", units=40, inputs=1, outputs=1, input_gain=0.1)
    >>> echo = ridge_readout(esn, u[2:], u[:-2])  # what came two steps before
    >>> bool(np.abs(echo.run(np.zeros(40), u[2:])[0][100:] - u[100:-2]).max() < 0.05)
    True
    """
    if not isinstance(network, Network) or network.R is None:
        raise ShapeError(
            f"{type(network).__name__} has no readout to solve for: make it with "
            "dm.models.get(..., outputs=k)"
        )
    u, y = np.asarray(inputs, float), np.asarray(targets, float)
    if (
        u.ndim < 2
        or u.shape[:-1] != y.shape[:-1]
        or u.shape[-1] != network.inputs
        or y.shape[-1] != network.outputs
    ):
        raise ShapeError(
            f"inputs {u.shape} and targets {y.shape} do not fit: pass (..., T, "
            f"{network.inputs}) and (..., T, {network.outputs})"
        )
    if not 0 <= washout < u.shape[-2] or not ridge >= 0:
        raise ValueError(
            f"washout = {washout}, ridge = {ridge}: pass fewer than the "
            f"{u.shape[-2]} steps, and a number of at least 0"
        )
    start = np.broadcast_to(np.zeros(network.size), (*u.shape[:-2], network.size))
    h = replace(network, R=None, a=None).run(start, u)[0][..., washout:, :]
    h, y = h.reshape(-1, h.shape[-1]), y[..., washout:, :].reshape(-1, y.shape[-1])
    if not np.isfinite(h).all():
        raise NotFiniteError("the states became infinite or NaN: lower the spectral radius")
    middle, centre = h.mean(0), y.mean(0)
    apart = h - middle
    R = np.linalg.solve(apart.T @ apart + ridge * np.eye(apart.shape[1]), apart.T @ (y - centre)).T
    return replace(network, R=R, a=centre - R @ middle)
