"""Linear readouts by ridge regression: the closed form of what gradient descent would look for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..models.network import Network
from ..runtime.validation import all_errors, generator, integer, number, public
from ..typing import ArrayLike, Rng
from .forecaster import Forecaster, as_model, untrained_forecaster
from .orbit_data import values

if TYPE_CHECKING:
    from xarray import Dataset


@public
def ridge_readout(
    network: Network,
    inputs: ArrayLike,
    targets: ArrayLike,
    *,
    washout: int = 100,
    ridge: float = 1e-6,
) -> Network:
    """The network with the readout that minimises a squared error, solved for.

    The readout y = R h + a minimises sum |y - target|^2 + ridge |R|^2 over the steps after the
    washout: R = Y' H (H' H + ridge I)^-1 of the states H and the targets Y less their means.
    Nothing else changes.

    Parameters
    ----------
    network : Network
        With a readout.
    inputs : array_like (..., T, inputs)
        Inputs from rest.
    targets : array_like (..., T, outputs)
        Targets at each step.
    washout : int
        First steps of each sequence, which still depend on the start.
    ridge : float
        Penalty.

    Returns
    -------
    Network

    Raises
    ------
    ShapeError
        Where the arrays do not fit, or the network has no readout.
    NotFiniteError
        Where the states diverge.
    ValueError
        For a washout or ridge that cannot be.

    References
    ----------
    Jaeger (2001), GMD report 148; Hoerl and Kennard (1970), Technometrics 12, 55.

    Examples
    --------
    >>> import dynmem as dm
    >>> u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    >>> esn = dm.models.get("esn", units=40, inputs=1, outputs=1, input_gain=0.1)
    >>> echo = dm.training.ridge_readout(esn, u[2:], u[:-2])  # the input two steps before
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
    with all_errors() as check:
        washout = check(integer, "washout", washout, 0, u.shape[-2] - 1)
        ridge = check(number, "ridge", ridge, least=0)
    start = np.broadcast_to(np.zeros(network.size), (*u.shape[:-2], network.size))
    h = replace(network, R=None, a=None).run(start, u)[0][..., washout:, :]
    h, y = h.reshape(-1, h.shape[-1]), y[..., washout:, :].reshape(-1, y.shape[-1])
    if not np.isfinite(h).all():
        raise NotFiniteError("the states became infinite or NaN: lower the spectral radius")
    middle, centre = h.mean(0), y.mean(0)
    apart = h - middle
    R = np.linalg.solve(apart.T @ apart + ridge * np.eye(apart.shape[1]), apart.T @ (y - centre)).T
    return replace(network, R=R, a=centre - R @ middle)


@public
def echo_state_forecaster(
    model: Network | str,
    data: Dataset,
    *,
    units: int = 300,
    washout: int = 100,
    ridge: float = 1e-6,
    noise: float = 1e-3,
    rng: Rng = 0,
) -> Forecaster:
    """A ``Forecaster`` whose readout is solved for, on the training part: the cheap baseline.

    Parameters
    ----------
    model : Network or str
        A network with a readout, such as
        ``dm.models.get("esn", units=300, inputs=3, outputs=3)``, or a name.
    data : xarray.Dataset
        An orbit x(time, state).
    units : int
        Units of a model that is named.
    washout : int
        First steps, which still depend on the start.
    ridge : float
        Penalty.
    noise : float
        Standard deviation of white noise on the inputs, in standard deviations of the data, which
        keeps the closed loop from drifting off the attractor.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, and the noise.

    Returns
    -------
    Forecaster

    Raises
    ------
    ValueError
        For options that cannot be.
    ShapeError
        For what is not an orbit, or a model that does not fit it.

    References
    ----------
    Jaeger and Haas (2004), Science 304, 78.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=1000)
    >>> dm.training.echo_state_forecaster("esn", data, units=50).outputs
    2
    """
    with all_errors() as check:
        noise = check(number, "noise", noise, least=0)
        ridge = check(number, "ridge", ridge, least=0)
        drawing = check(generator, rng)
    y = values(data, "train")
    components = y.shape[1]
    network = as_model(model, components, components, units, drawing.spawn(1)[0])
    forecaster = untrained_forecaster(network, data)
    z, targets = forecaster.targets(y)
    disturbed = z + noise * drawing.standard_normal(z.shape)
    # what leads from the disturbed value to the true next one
    targets = targets + (z - disturbed) / forecaster.gain
    solved = ridge_readout(network, disturbed, targets, washout=washout, ridge=ridge)
    return replace(forecaster, model=solved)
