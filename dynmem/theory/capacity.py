"""Memory capacity of linear reservoirs on paper: by lag from the kernel, the number of units in
all."""

import numpy as np

from ..labels import dataset
from .checks import count, fraction, number, square_matrix

SOURCE = (
    "Jaeger (2002), GMD report 152; White, Lee and Sompolinsky (2004), Phys. Rev. Lett. 92, 148102"
)


def linear_reservoir_capacity(matrix, inputs, lags, *, longest=None):
    """Memory capacity of x_t = W x_(t-1) + V u_t, lag by lag: the twin of
    ``analysis.memory_capacity``.

    The best readout of u_(t-k) sees the kernel W^k V of that lag against all others: C(k) is the
    leverage of the rows of lag k in the matrix of all W^k V, |q_k|^2 in its decomposition Q R,
    which needs no Gramian and loses no digits to one. sum_k C(k) = N.

    matrix: W (N, N), of spectral radius below 1; inputs: V (N, D); lags: the largest lag; longest:
    the lag at which the kernel is cut (default where it has fallen below rounding). Returns
    capacity(lag), total over these lags, limit over all, rank. Raises ValueError where the spectral
    radius is 1 or above.

    >>> shift = np.diag(np.ones(3), -1)
    >>> linear_reservoir_capacity(shift, np.eye(4)[:, :1], 5).capacity.values.round(9).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    W, V, lags = square_matrix(matrix), np.atleast_2d(np.asarray(inputs, float)), _largest(lags)
    if V.shape[0] != len(W):
        raise ValueError(f"inputs has shape {V.shape}, {len(W)} units need ({len(W)}, inputs)")
    radius = float(np.abs(np.linalg.eigvals(W)).max())
    if radius >= 1:
        raise ValueError(
            f"the spectral radius is {radius:.6g}: a reservoir that forgets its "
            "start has one below 1"
        )
    far = np.log(np.finfo(float).eps) / np.log(max(radius, 1e-8))
    longest = max(lags, len(W) + int(far) if longest is None else count("longest", longest))
    rows, state = [], V
    for _ in range(longest + 1):
        rows.append(state.T)
        state = W @ state
    left, sizes, _ = np.linalg.svd(np.concatenate(rows), full_matrices=False)
    rank = int((sizes > sizes[0] * np.finfo(float).eps * len(W)).sum())
    leverage = (left[:, :rank] ** 2).sum(axis=1).reshape(longest + 1, -1).sum(axis=1)[: lags + 1]
    return _report(leverage, rank, rank, "memory capacity of a linear reservoir", {"matrix": W})


def ring_capacity(units, decay, lags):
    """Memory capacity of a ring, x_t = decay P x_(t-1) + V u_t with a cyclic shift P and one unit
    that hears the input.

    Lags that differ by N meet in one unit, and fall by decay^2 from one to the next: C(k) = (1 -
    decay^(2 N)) decay^(2 N floor(k / N)).

    units N; decay in (0, 1); lags: the largest lag. Returns capacity(lag), total, limit = N, rank.
    Source: White, Lee and Sompolinsky (2004).

    >>> ring_capacity(2, 0.9, 3).capacity.values.round(6).tolist()
    [0.3439, 0.3439, 0.225633, 0.225633]
    """
    units, decay, lags = (
        count("units", units),
        float(fraction("decay", number("decay", decay))[0]),
        _largest(lags),
    )
    turns = decay ** (2 * units)
    capacity = (1 - turns) * turns ** (np.arange(lags + 1) // units)
    return _report(
        capacity, units, units, "memory capacity of a ring", {"units": units, "decay": decay}
    )


def _largest(lags):
    value = number("lags", lags)
    if not (np.isfinite(value) and value >= 0 and value == int(value)):
        raise ValueError(f"lags = {value:g}: pass the largest lag, a whole number of at least 0")
    return int(value)


def _report(capacity, limit, rank, title, parameters):
    variables = {
        "capacity": (
            "lag",
            capacity,
            "1",
            "capacity of a linear readout for the input of that lag",
        ),
        "total": ((), float(capacity.sum()), "1", "memory capacity, the sum over the lags"),
        "limit": ((), float(limit), "1", "memory capacity, the sum over all lags"),
        "rank": ((), rank, "1", "independent outputs, to rounding"),
    }
    return dataset(
        variables,
        {"lag": ("lag", np.arange(len(capacity)), "step", "lag")},
        title=title,
        source=SOURCE,
        parameters=parameters,
    )
