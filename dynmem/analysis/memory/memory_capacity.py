"""Memory capacity: how much of its past input a state holds, by linear readouts of a run, and for
linear systems exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...drive import default_transient
from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...linear import LinearSystem
from ...runtime.memory import require_memory
from ...runtime.validation import choice, generator, integer, number, public
from ...system import Map, as_state, as_system
from ...typing import ArrayLike, Rng

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Jaeger (2002), GMD report 152; Dambre, Verstraeten, Schrauwen and Massar (2012), Sci. "
    "Rep. 2, 514"
)
DISTRIBUTIONS = {
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "normal": lambda rng, shape: rng.standard_normal(shape),
}
# factors that give u^2 - 1 unit variance: Legendre's and Hermite's second polynomial
SQUARE_FACTORS = {"uniform": np.sqrt(1.25), "normal": np.sqrt(0.5)}

LONG_NAMES = {
    "capacity": "capacity of a linear readout for the input of that lag",
    "total": "memory capacity, the sum over the lags",
    "rank": "independent outputs, to rounding",
}


@public
def memory_capacity(
    system: Map,
    x0: ArrayLike | None = None,
    *,
    lags: int,
    drive: float = 1.0,
    steps: int = 20_000,
    transient: int | None = None,
    distribution: str = "uniform",
    degree: int = 1,
    blocks: int = 10,
    rng: Rng = 0,
) -> Dataset:
    """Measure how well a linear readout of a driven system reconstructs its input of each lag.

    The capacity of lag k is the coefficient of determination of the best readout,

        C(k) = R^2 of w . y_t + a for u_(t-k),    0 <= C(k) <= 1,

    and the memory capacity is sum_k C(k), at most the number of outputs. Lag 0 is the input that
    has just entered (Jaeger's lags begin with the one after). The inputs are independent; of
    several inputs each has its own capacity, and C(k) is their sum.

    Parameters
    ----------
    system : Map
        A system with inputs.
    x0 : array_like (n,), optional
        Start.
    lags : int
        Largest lag, in steps.
    drive : float
        Standard deviation of the input, whose mean is 0.
    steps : int
        Steps of the regression, after the transient.
    transient : int, optional
        Steps before; by default a tenth of ``steps``, at least 100.
    distribution : {"uniform", "normal"}
        Of the input.
    degree : {1, 2}
        2 adds the capacities of the second polynomials, Legendre's or Hermite's (Dambre et al.
        2012): of u_(t-k)^2 and of u_(t-k) u_(t-l), of a system with one input.
    blocks : int
        Blocks of the jackknife.
    rng : int, Generator or None
        Of the input, and of the start where none is given.

    Returns
    -------
    xarray.Dataset
        capacity : (lag,), 1
            C(k), its bias removed.
        capacity_error : (lag,), 1
            Standard error.
        total : (), 1
            Memory capacity, the sum over the lags.
        total_error : (), 1
            Standard error.
        rank : (), 1
            Number of independent outputs, to rounding: the bound of the total.
        quadratic_capacity : (lag, second_lag), 1 [optional]
            Capacity of degree 2 for second_lag >= lag, 0 elsewhere.
        quadratic_total : (), 1 [optional]
            Its sum over all pairs.
        quadratic_total_error : (), 1 [optional]
            Standard error.

    Raises
    ------
    ValueError
        If the system has no input, or if there are too few steps.
    NotFiniteError
        If the outputs become infinite or NaN.

    Notes
    -----
    A readout of N numbers fits T samples of noise with R^2 = N/T. This bias is removed, 1 - (1 -
    R^2) (T - 1)/(T - N - 1), so that lags beyond the memory add nothing to the total on average.
    The errors come from a jackknife over ``blocks``: correct for the total, up to 1.5 times too
    large for a single lag beyond the memory.

    References
    ----------
    Jaeger (2002), GMD report 152. Dambre, Verstraeten, Schrauwen and Massar (2012), Sci. Rep. 2,
    514.

    Examples
    --------
    >>> import dynmem as dm
    >>> cell = dm.models.get("linear", units=10, inputs=1, gain=0.9, init="orthogonal")
    >>> bool(abs(dm.analysis.memory_capacity(cell, lags=200).total - 10) < 0.2)
    True
    """
    system = as_system(system, Map)
    longest, steps = integer("lags", lags, 0), integer("steps", steps)
    if transient is None:
        transient = round(default_transient(steps, 1.0))
    transient, blocks = integer("transient", transient, 0), integer("blocks", blocks, 2)
    drive = number("drive", drive, above=0)
    choice("distribution", distribution, DISTRIBUTIONS)
    choice("degree", degree, (1, 2))
    _check_inputs(system, degree)
    columns = system.inputs * (longest + 1) * (1 if degree == 1 else longest + 2)
    require_memory(
        8 * (transient + longest + steps) * (columns + 3 * system.inputs + 2 * system.outputs),
        f"{columns} targets over steps = {steps}",
        "pass fewer steps, or fewer lags",
    )
    draws = generator(rng)
    noise = DISTRIBUTIONS[distribution](draws, (transient + longest + steps, system.inputs))
    outputs = _outputs(system, drive * noise, x0, draws)[-steps:]
    targets, pairs = _targets(noise, longest, steps, distribution, degree)
    needed = blocks * (outputs.shape[1] + 2)
    if steps < needed:
        raise ValueError(
            f"steps = {steps}: a readout of {outputs.shape[1]} outputs in {blocks} "
            f"blocks needs at least {needed} steps"
        )
    capacity, left_out, rank = _jackknife(outputs, targets, blocks)
    options = {
        "steps": steps,
        "transient": transient,
        "drive": drive,
        "distribution": distribution,
        "degree": degree,
        "blocks": blocks,
    }
    variables, coords = _capacity_variables(capacity, left_out, rank, pairs, longest, system.inputs)
    return dataset(
        variables,
        coords,
        title=f"memory capacity of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system) | options,
        seed=rng,
    )


def _check_inputs(system, degree):
    if not system.inputs:
        raise ValueError(
            f"{type(system).__name__} takes no inputs, so it has no memory capacity: give it "
            "some (inputs=1)"
        )
    if degree == 2 and system.inputs > 1:
        raise ValueError(
            f"degree 2 is measured for one input, {type(system).__name__} has "
            f"{system.inputs}: pass degree=1"
        )


def _outputs(system, inputs, x0, rng):
    """Outputs (steps, outputs) of one run."""
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = np.asarray(system.run(x, inputs)[0], float)
    if not np.isfinite(outputs).all():
        raise NotFiniteError(
            f"the outputs of {type(system).__name__} are not finite: lower "
            "drive, or pass a stable system"
        )
    return outputs


def _targets(noise, longest, steps, distribution, degree):
    """Targets of the readouts (steps, targets), of unit variance: u_(t-k) of each lag and input,
    then the second polynomials of the pairs."""
    end = len(noise)
    late = np.stack([noise[end - steps - lag : end - lag] for lag in range(longest + 1)], axis=1)
    targets, pairs = [late.reshape(steps, -1)], []
    if degree == 2:
        late = late[..., 0]
        pairs = [(k, l) for k in range(longest + 1) for l in range(k, longest + 1)]
        targets += [
            SQUARE_FACTORS[distribution] * (late[:, k] ** 2 - 1)
            if k == l
            else late[:, k] * late[:, l]
            for k, l in pairs
        ]
        targets = [targets[0], np.stack(targets[1:], axis=1)]
    return np.concatenate(targets, axis=1), pairs


def _jackknife(outputs, targets, blocks):
    """Capacities (targets,) of all blocks, those (blocks, targets) with one block left out, and the
    rank of the outputs.

    Each block keeps the triangle of its QR decomposition, so that regressions over any of them lose
    no more digits than one over all.
    """
    n, centred = outputs.shape[1], (outputs - outputs.mean(axis=0), targets - targets.mean(axis=0))
    joined = np.concatenate(centred, axis=1)
    parts = np.array_split(joined, blocks)
    triangles = [np.linalg.qr(part, mode="r") for part in parts]
    whole, rank = _capacities(triangles, n, len(joined))
    left_out = [
        _capacities(triangles[:i] + triangles[i + 1 :], n, len(joined) - len(parts[i]))[0]
        for i in range(blocks)
    ]
    return whole, np.array(left_out), rank


def _capacities(triangles, n, steps):
    """Adjusted R^2 of every target on the first n columns, from the triangles of their blocks."""
    triangle = np.linalg.qr(np.concatenate(triangles), mode="r")
    left, sizes, _ = np.linalg.svd(triangle[:n, :n])
    floor = sizes[0] * np.finfo(float).eps * max(steps, n)
    rank = int((sizes > floor).sum()) if sizes[0] > 0 else 0
    explained = ((left[:, :rank].T @ triangle[:n, n:]) ** 2).sum(axis=0)
    total = (triangle[:, n:] ** 2).sum(axis=0)
    return 1 - (1 - explained / total) * (steps - 1) / (steps - rank - 1), rank


def _capacity_variables(capacity, left_out, rank, pairs, longest, inputs):
    """Variables and coordinates, the errors from the capacities with one block left out."""
    blocks, linear = len(left_out), (longest + 1) * inputs

    def error(values):
        return np.sqrt((blocks - 1) / blocks * ((values - values.mean(axis=0)) ** 2).sum(axis=0))

    by_lag, by_lag_left_out = (
        values[..., :linear].reshape(*values.shape[:-1], longest + 1, inputs).sum(axis=-1)
        for values in (capacity, left_out)
    )
    total_error = error(by_lag_left_out.sum(axis=-1))
    variables = {
        "capacity": ("lag", by_lag, "1", LONG_NAMES["capacity"]),
        "capacity_error": ("lag", error(by_lag_left_out), "1", "standard error of the capacity"),
        "total": ((), by_lag.sum(), "1", LONG_NAMES["total"]),
        "total_error": ((), total_error, "1", "standard error of the memory capacity"),
        "rank": ((), rank, "1", LONG_NAMES["rank"]),
    }
    coords = {"lag": ("lag", np.arange(longest + 1), "step", "lag")}
    if pairs:
        square = np.zeros((longest + 1, longest + 1))
        square[tuple(np.transpose(pairs))] = capacity[linear:]
        quadratic_error = error(left_out[:, linear:].sum(axis=-1))
        variables |= {
            "quadratic_capacity": (
                ("lag", "second_lag"),
                square,
                "1",
                "capacity for the second polynomial of the inputs of two lags",
            ),
            "quadratic_total": (
                (),
                capacity[linear:].sum(),
                "1",
                "capacity of degree 2, the sum over all pairs",
            ),
            "quadratic_total_error": (
                (),
                quadratic_error,
                "1",
                "standard error of the capacity of degree 2",
            ),
        }
        second = np.arange(longest + 1)
        coords["second_lag"] = ("second_lag", second, "step", "lag of the other input")
    return variables, coords


@public
def linear_capacity(system: LinearSystem, *, lags: int, noise: float = 0.0) -> Dataset:
    """Memory capacity of a linear system from its Gramian, exactly.

    The limit of ``memory_capacity`` for endless runs,

        C(k) = trace K_k^T (S + noise^2 I)^-1 K_k,    K_k = C A^k B (+ D at k = 0),
        S = sum_k K_k K_k^T = C (P - B B^T) C^T + K_0 K_0^T,

    with the controllability Gramian P. Without noise the sum over all lags is the number of
    independent outputs.

    Parameters
    ----------
    system : LinearSystem
        Discrete and stable, say of ``dm.linearize``.
    lags : int
        Largest lag, in steps.
    noise : float
        Standard deviation of white noise on each output, in units of the input's.

    Returns
    -------
    xarray.Dataset
        capacity : (lag,), 1
            C(k).
        total : (), 1
            Sum over these lags.
        limit : (), 1
            Sum over all lags.
        rank : (), 1
            Number of independent outputs; what is below rounding in S counts as dependent.

    Raises
    ------
    TypeError
        If the system is no LinearSystem.
    ValueError
        If it is continuous or not stable, or has no input.

    References
    ----------
    White, Lee and Sompolinsky (2004), Phys. Rev. Lett. 92, 148102. Jaeger (2002), GMD report 152,
    theorem 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> line = dm.LinearSystem(np.diag([0.9]), np.ones((1, 1)), dt=1.0)
    >>> dm.analysis.linear_capacity(line, lags=3).capacity.values.round(4).tolist()
    [0.19, 0.1539, 0.1247, 0.101]
    """
    if not isinstance(system, LinearSystem):
        raise TypeError(
            f"linear_capacity takes a LinearSystem, got {type(system).__name__}: pass "
            "dm.linearize(system, x)"
        )
    if not np.asarray(system.B).shape[1]:
        raise ValueError("the system takes no inputs, so it has no memory capacity")
    longest, noise = integer("lags", lags, 0), number("noise", noise, least=0)
    require_memory(
        64 * (longest + 1) * max(1, system.B.shape[1]), f"lags = {longest}", "pass fewer"
    )
    kernel, P = system.kernel(longest + 1), system.gramian()
    B, C = np.asarray(system.B), np.asarray(system.C)
    first = C @ B + system.D
    variance = C @ (P - B @ B.conj().T) @ C.conj().T + first @ first.conj().T
    scale = np.sqrt(np.diagonal(variance).real.clip(0.0))
    scale = np.where(scale > 0, scale, 1.0)  # an output that no input reaches
    sizes, modes = np.linalg.eigh(variance / np.outer(scale, scale))
    kept = (sizes > np.finfo(float).eps * len(sizes) * sizes[-1]) & (sizes > 0)
    noisy = variance + noise**2 * np.eye(len(variance))
    if noise:
        limit = float(np.trace(np.linalg.solve(noisy, variance)).real)
        sizes, modes = np.linalg.eigh(noisy / np.outer(scale, scale))
    else:
        limit = float(kept.sum())
        sizes, modes = sizes[kept], modes[:, kept]
    whitened = np.einsum("om,koi->kmi", (modes / scale[:, None]).conj(), kernel)
    capacity = (np.abs(whitened / np.sqrt(sizes)[:, None]) ** 2).sum(axis=(1, 2))
    variables = {
        "capacity": ("lag", capacity, "1", LONG_NAMES["capacity"]),
        "total": ((), capacity.sum(), "1", LONG_NAMES["total"]),
        "limit": ((), limit, "1", "memory capacity, the sum over all lags"),
        "rank": ((), int(kept.sum()), "1", LONG_NAMES["rank"]),
    }
    return dataset(
        variables,
        {"lag": ("lag", np.arange(longest + 1), "step", "lag")},
        title="memory capacity of a linear system",
        source=SOURCE,
        parameters={"A": system.A, "noise": noise},
    )
