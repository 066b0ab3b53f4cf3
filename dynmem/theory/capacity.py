"""Memory capacity of linear reservoirs: by lag from the kernel, the number of units in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..labels import dataset
from ..linear import LinearSystem
from ..models import Linear, Network
from ..runtime.validation import integer, number, public
from ..system import System
from .results import lag_coordinate

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Jaeger (2002), GMD report 152; White, Lee and Sompolinsky (2004), Phys. Rev. Lett. 92, 148102"
)


@public
def memory_capacity(
    system: System | LinearSystem, *, lags: int, longest: int | None = None
) -> Dataset:
    """Memory capacity of x_t = A x_(t-1) + B u_t, lag by lag.

    The best readout of u_(t-k) sees the kernel A^k B of that lag against all others: C(k) is the
    leverage of the rows of lag k in the matrix of all A^k B, norm(q_k)^2 in its decomposition Q R,
    which needs no Gramian and loses no digits to one. sum_k C(k) = N. The twin of
    ``dm.analysis.memory_capacity`` and of ``linear_capacity`` without noise.

    Parameters
    ----------
    system : Linear, Network or LinearSystem
        A Linear cell, alone or as the one layer of a Network, or a discrete LinearSystem whose
        output is its state; of spectral radius below 1.
    lags : int
        The largest lag.
    longest : int, optional
        The lag at which the kernel is cut, by default where it has fallen below rounding.

    Returns
    -------
    xarray.Dataset
        capacity : (lag,), 1
            Capacity of a linear readout for the input of that lag.
        total : (), 1
            Memory capacity, the sum over these lags.
        limit : (), 1
            The sum over all lags.
        rank : (), 1
            Independent outputs, to rounding.

    Raises
    ------
    TypeError
        For a system that is not linear.
    ValueError
        Where the spectral radius is 1 or above, or there is no input.

    References
    ----------
    Jaeger (2002), GMD report 152; White, Lee and Sompolinsky (2004), Phys. Rev. Lett. 92, 148102.

    Examples
    --------
    >>> import dynmem as dm
    >>> line = dm.models.Linear(np.diag(np.ones(3), -1), np.eye(4)[:, :1])
    >>> dm.theory.memory_capacity(line, lags=5).capacity.values.round(9).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    A, B = _state_and_input(system)
    lags = integer("lags", lags, 0)
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    if radius >= 1:
        raise ValueError(
            f"the spectral radius is {radius:.6g}, expected one below 1: the reservoir must "
            "forget its start"
        )
    fade = np.log(np.finfo(float).eps) / np.log(max(radius, 1e-8))
    cut = len(A) + int(fade) if longest is None else integer("longest", longest)
    cut = max(lags, cut)
    rows, state = [], B
    for _ in range(cut + 1):
        rows.append(state.T)
        state = A @ state
    left, sizes, _ = np.linalg.svd(np.concatenate(rows), full_matrices=False)
    rank = int((sizes > sizes[0] * np.finfo(float).eps * len(A)).sum())
    leverage = (left[:, :rank] ** 2).sum(axis=1).reshape(cut + 1, -1).sum(axis=1)[: lags + 1]
    return _report(leverage, rank, rank, "memory capacity of a linear reservoir", {"matrix": A})


def _state_and_input(system: Any) -> tuple[np.ndarray, np.ndarray]:
    """Matrices A and B of a linear system."""
    if isinstance(system, Network) and len(system.layers) == 1 and system.R is None:
        system = system.layers[0]
    known = type(system) is Linear or (isinstance(system, LinearSystem) and system.dt is not None)
    if not known:
        raise TypeError(
            "the capacity is known of a Linear cell or a discrete LinearSystem, got "
            f"{type(system).__name__}: measure it with dm.analysis.memory_capacity"
        )
    if type(system) is Linear:
        leak, W = system.leak, system.W
        A = W if leak == 1 else (1 - leak) * np.eye(system.units) + leak * W
        B = leak * np.asarray(system.V)
    else:
        if not np.array_equal(system.C, np.eye(len(system.A))) or np.any(system.D):
            raise ShapeError(
                "the LinearSystem has an output other than its state: expected C = I and D = 0, "
                "or measure it with dm.analysis.linear_capacity"
            )
        A, B = system.A, system.B
    if not B.shape[1]:
        raise ValueError(f"{type(system).__name__} takes no input, expected at least one")
    return A, B


@public
def ring_capacity(units: int, decay: float, *, lags: int) -> Dataset:
    """Memory capacity of a ring, x_t = decay P x_(t-1) + V u_t.

    P is a cyclic shift and one unit has the input. Lags that differ by N meet in one unit, and fall
    by decay^2 from one to the next:

        C(k) = (1 - decay^(2 N)) decay^(2 N floor(k / N)).

    Parameters
    ----------
    units : int
        Number N of units.
    decay : float
        Factor of a step, strictly between 0 and 1.
    lags : int
        The largest lag.

    Returns
    -------
    xarray.Dataset
        capacity : (lag,), 1
            Capacity of a linear readout for the input of that lag.
        total : (), 1
            Memory capacity, the sum over these lags.
        limit : (), 1
            The sum over all lags, N.
        rank : (), 1
            Independent outputs, N.

    Raises
    ------
    ValueError
        Where an argument is out of its range.

    References
    ----------
    White, Lee and Sompolinsky (2004), Phys. Rev. Lett. 92, 148102.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.ring_capacity(2, 0.9, lags=3).capacity.values.round(6).tolist()
    [0.3439, 0.3439, 0.225633, 0.225633]
    """
    units, lags = integer("units", units), integer("lags", lags, 0)
    decay = number("decay", decay, above=0, below=1)
    turns = decay ** (2 * units)
    capacity = (1 - turns) * turns ** (np.arange(lags + 1) // units)
    return _report(
        capacity, units, units, "memory capacity of a ring", {"units": units, "decay": decay}
    )


def _report(capacity: np.ndarray, limit: float, rank: int, title: str, parameters: dict) -> Dataset:
    text = "capacity of a linear readout for the input of that lag"
    variables = {
        "capacity": ("lag", capacity, "1", text),
        "total": ((), float(capacity.sum()), "1", "memory capacity, the sum over the lags"),
        "limit": ((), float(limit), "1", "memory capacity, the sum over all lags"),
        "rank": ((), rank, "1", "independent outputs, to rounding"),
    }
    return dataset(
        variables,
        lag_coordinate(np.arange(len(capacity))),
        title=title,
        source=SOURCE,
        parameters=parameters,
    )
