"""Length of the shortest gradient path from an input to a later output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.jacobian import jacobian
from ...drive import drive_name
from ...errors import ShapeError
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.validation import generator, public
from ...system import Map, as_system
from ...typing import ArrayLike, Drive, Rng
from .window import lag_axis, read_transient, read_window

if TYPE_CHECKING:
    from xarray import Dataset

# states whose Jacobians give the pattern of zeros: at one state units of a ReLU may be at rest
STATES_FOR_SUPPORT = 4


@public
def path_length(
    system: Map,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = 1.0,
    lags: ArrayLike,
    transient: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Count the steps of the shortest gradient path from the input u_(T-lag) to the output y_T.

    A step is a row of the Jacobian of the rule or the output that computes: a row that copies one
    component, as in a shift register, is free, and so is entering. Attention takes 1 whatever the
    lag, a recurrence lag, dilated convolutions the number of layers that must be crossed (Vaswani
    et al. 2017, table 1); a readout of a recurrent state takes one more. Which entries of the
    Jacobians are zero is read from the last states of a driven orbit. Theory:
    ``dm.theory.path_length``.

    Parameters
    ----------
    system : Map
        A system with inputs, of at most a few thousand state components.
    x0 : array_like (n,), optional
        Start; by default ``system.initial``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input of that orbit, as for ``gradient_norms``.
    lags : int or array_like of int
        Largest lag, or the lags wanted, in steps.
    transient : int, optional
        Steps before the window, which has three more than the largest lag; by default a tenth of
        it, at least 100, or all rows of an array before it.
    rng : int, Generator or None
        Of start and noise.

    Returns
    -------
    xarray.Dataset
        path_length : (lag,), step
            Steps of the shortest path; infinite where there is none.

    Raises
    ------
    ShapeError
        If the system has no input.

    References
    ----------
    Vaswani et al. (2017), NeurIPS, section 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> tanh, attention = dm.models.Tanh.random(3, 2), dm.models.Attention.random(2, 2, window=6)
    >>> dm.analysis.path_length(tanh, lags=[0, 1, 7]).path_length.values.tolist()
    [0.0, 1.0, 7.0]
    >>> dm.analysis.path_length(attention, lags=[0, 1, 5, 6]).path_length.values.tolist()
    [0.0, 1.0, 1.0, inf]
    """
    system, wanted = as_system(system, Map), lag_axis(lags)
    if not system.inputs:
        raise ShapeError(f"{type(system).__name__} takes no input: a gradient path begins at one")
    longest = int(wanted[-1])
    # longest + STATES_FOR_SUPPORT steps after the transient, so that every cache is full
    window = longest + STATES_FOR_SUPPORT - 1
    transient = read_transient(transient, window, system, drive)
    x, inputs = read_window(system, x0, drive, transient, window, generator(rng))
    u = np.asarray(inputs)
    states = trajectory(system, x, len(u), u)
    A, B, C, D = (
        _support(system, states, u, wrt, of)
        for of in ("state", "output")
        for wrt in ("state", "input")
    )
    cost, output_cost = _row_costs(A, B), _row_costs(C, D)
    distance = _least_distance(C, output_cost)  # of each component of x_T from y_T
    found = [0.0 if D.any() else _least_distance(B, distance).min(initial=np.inf)]
    for _ in range(longest):
        distance = _least_distance(A, distance + cost)
        found.append(_least_distance(B, distance).min(initial=np.inf))
    values = np.array(found)[wanted]
    return dataset(
        {"path_length": ("lag", values, "step", "steps of the shortest gradient path")},
        {"lag": ("lag", wanted, "step", "lag")},
        title=f"path length of {type(system).__name__}",
        source="Vaswani et al. (2017), section 4",
        parameters=describe_system(system) | {"transient": transient, "drive": drive_name(drive)},
        seed=rng,
    )


def _support(system, states, inputs, wrt, of):
    """A Jacobian with zeros only where it has them at each of the last states."""
    support = 0.0
    for i in range(STATES_FOR_SUPPORT):
        x = states[-1 - i - (of == "state")]
        found = jacobian(system, x, inputs[-1 - i], wrt=wrt, of=of)
        support = np.where(found != 0, found, support)
    return support


def _row_costs(*parts):
    """Cost of each row: 0 where it is a copy of one component, 1 where it computes."""
    row = np.concatenate(parts, axis=1)
    return 1.0 - ((np.count_nonzero(row, axis=1) == 1) & (row.sum(axis=1) == 1.0))


def _least_distance(matrix, distance):
    """For each column the least distance among the rows that it reaches."""
    return np.where(matrix != 0, distance[:, None], np.inf).min(axis=0)
