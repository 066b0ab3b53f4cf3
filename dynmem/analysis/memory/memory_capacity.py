"""How much of its past input a state holds: memory capacity, lag by lag, measured by linear
readouts and exactly for linear systems."""

import numpy as np

from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...linear import LinearSystem
from ...runtime.validation import integer, number
from ...system import Map, as_state, as_system

SOURCE = (
    "Jaeger (2002), GMD report 152; Dambre, Verstraeten, Schrauwen and Massar (2012), Sci. "
    "Rep. 2, 514"
)
DRAWS = {
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "normal": lambda rng, shape: rng.standard_normal(shape),
}
# u^2 - 1 times it has unit variance: Legendre's and Hermite's second polynomial
SQUARES = {"uniform": np.sqrt(1.25), "normal": np.sqrt(0.5)}


def memory_capacity(
    system,
    *,
    lags,
    steps=20_000,
    transient=1000,
    drive=1.0,
    distribution="uniform",
    degree=1,
    blocks=10,
    x0=None,
    rng=0,
):
    """Memory capacity of a driven system: how well a linear readout of its output gives back the
    input of each lag.

    C(k) = R^2 of the best readout w . y_t + a of u_(t-k), between 0 and 1; total sum_k C(k), at
    most the number of outputs. Lag 0 is the input that has just entered (Jaeger's lags begin with
    the one after). Inputs are independent, of mean 0 and standard deviation ``drive``; of several
    inputs each has its own capacity, and C(k) is their sum.

    A readout of N numbers fits T samples of pure noise with R^2 = N/T: this is taken off, 1 - (1 -
    R^2) (T - 1) / (T - N - 1), so that lags beyond the memory add nothing to the total on average.
    Errors come from a jackknife over ``blocks``, true for the total, up to 1.5 times too large for
    a single lag beyond the memory.

    Parameters: system, a Map; lags, the largest lag; steps after the transient; distribution,
    "uniform" or "normal"; degree 2 adds the capacities of the second polynomials, Legendre's or
    Hermite's (Dambre et al. 2012): of u_(t-k)^2 and of u_(t-k) u_(t-l), of a system with one input.

    Returns a Dataset: capacity(lag), capacity_error(lag), total, total_error, rank (of the outputs,
    to rounding), and for degree 2 quadratic_capacity(lag, second_lag), for second_lag >= lag and 0
    elsewhere, quadratic_total, quadratic_total_error. Raises ValueError where there is no input or
    too few steps, NotFiniteError where the run blows up.

    >>> import dynmem as dm
    >>> cell = dm.models.get("linear", units=10, inputs=1, gain=0.9, init="orthogonal")
    >>> bool(abs(memory_capacity(cell, lags=200).total - 10) < 0.2)
    True
    """
    system, longest, steps = (
        as_system(system, Map),
        integer("lags", lags, 0),
        integer("steps", steps, 1),
    )
    transient, blocks = integer("transient", transient, 0), integer("blocks", blocks, 2)
    _check(system, drive, distribution, degree)
    draws = np.random.default_rng(rng)
    noise = DRAWS[distribution](draws, (transient + longest + steps, system.inputs))
    outputs = _outputs(system, float(drive) * noise, x0, draws)[-steps:]
    targets, pairs = _targets(noise, longest, steps, distribution, degree)
    needed = blocks * (outputs.shape[1] + 2)
    if steps < needed:
        raise ValueError(
            f"steps = {steps}: a readout of {outputs.shape[1]} outputs in {blocks} "
            f"blocks needs at least {needed} steps"
        )
    capacity, left_out, rank = _jackknife(outputs, targets, blocks)
    linear = (longest + 1) * system.inputs
    return _report(
        system,
        capacity,
        left_out,
        rank,
        linear,
        pairs,
        longest,
        {
            "steps": steps,
            "transient": transient,
            "drive": drive,
            "distribution": distribution,
            "degree": degree,
            "blocks": blocks,
        },
        rng,
    )


def _check(system, drive, distribution, degree):
    if not system.inputs:
        raise ValueError(
            f"{type(system).__name__} takes no inputs, so it remembers none: give it "
            "some (inputs=1)"
        )
    if not (np.isfinite(number("drive", drive)) and drive > 0):
        raise ValueError(
            f"drive = {drive!r:.60}: the standard deviation of the input must be a "
            "finite number above 0"
        )
    if distribution not in DRAWS:
        raise ValueError(f"distribution = {distribution!r}: must be uniform or normal")
    if degree not in (1, 2):
        raise ValueError(f"degree = {degree!r}: must be 1 or 2")
    if degree == 2 and system.inputs > 1:
        raise ValueError(
            f"degree 2 is measured for one input, {type(system).__name__} has "
            f"{system.inputs}: take degree=1"
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
            "drive, or take a stable system"
        )
    return outputs


def _targets(noise, longest, steps, distribution, degree):
    """What is to be remembered (steps, targets), of unit variance: u_(t-k) of each lag and input,
    then the second polynomials of the pairs."""
    end = len(noise)
    late = np.stack([noise[end - steps - lag : end - lag] for lag in range(longest + 1)], axis=1)
    targets, pairs = [late.reshape(steps, -1)], []
    if degree == 2:
        late = late[..., 0]
        pairs = [(k, l) for k in range(longest + 1) for l in range(k, longest + 1)]
        targets += [
            SQUARES[distribution] * (late[:, k] ** 2 - 1) if k == l else late[:, k] * late[:, l]
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
    n, joined = (
        outputs.shape[1],
        np.concatenate([outputs - outputs.mean(axis=0), targets - targets.mean(axis=0)], axis=1),
    )
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
    rank = (
        int((sizes > sizes[0] * np.finfo(float).eps * max(steps, n)).sum()) if sizes[0] > 0 else 0
    )
    explained = ((left[:, :rank].T @ triangle[:n, n:]) ** 2).sum(axis=0)
    total = (triangle[:, n:] ** 2).sum(axis=0)
    return 1 - (1 - explained / total) * (steps - 1) / (steps - rank - 1), rank


def _report(system, capacity, left_out, rank, linear, pairs, longest, told, seed):
    """The Dataset, the errors from the capacities with one block left out."""
    blocks = len(left_out)

    def error(values):
        return np.sqrt((blocks - 1) / blocks * ((values - values.mean(axis=0)) ** 2).sum(axis=0))

    by_lag = [
        values[..., :linear].reshape(*values.shape[:-1], longest + 1, system.inputs).sum(axis=-1)
        for values in (capacity, left_out)
    ]
    variables = {
        "capacity": (
            "lag",
            by_lag[0],
            "1",
            "capacity of a linear readout for the input of that lag, bias taken off",
        ),
        "capacity_error": ("lag", error(by_lag[1]), "1", "standard error of the capacity"),
        "total": ((), by_lag[0].sum(), "1", "memory capacity, the sum over the lags"),
        "total_error": (
            (),
            error(by_lag[1].sum(axis=-1)),
            "1",
            "standard error of the memory capacity",
        ),
        "rank": ((), rank, "1", "independent outputs, to rounding: the bound of the total"),
    }
    coords = {"lag": ("lag", np.arange(longest + 1), "step", "lag")}
    if pairs:
        square = np.zeros((longest + 1, longest + 1))
        square[tuple(np.transpose(pairs))] = capacity[linear:]
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
                error(left_out[:, linear:].sum(axis=-1)),
                "1",
                "standard error of the capacity of degree 2",
            ),
        }
        coords["second_lag"] = (
            "second_lag",
            np.arange(longest + 1),
            "step",
            "lag of the other input",
        )
    return dataset(
        variables,
        coords,
        title=f"memory capacity of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system) | told,
        seed=seed,
    )


def linear_capacity(system, *, lags, noise=0.0):
    """Memory capacity of a linear system, exactly, from its Gramian: the limit of
    ``memory_capacity`` for endless runs.

    C(k) = trace K_k^T (S + noise^2 I)^-1 K_k,  K_k = C A^k B (+ D at k = 0),  S = sum_k K_k K_k^T =
    C (P - B B^T) C^T + K_0 K_0^T,

    with the controllability Gramian P. Without noise the sum over all lags is the number of
    outputs, as far as these are independent (White, Lee and Sompolinsky 2004; Jaeger 2002, theorem
    1).

    Parameters: system, a discrete, stable LinearSystem (``dm.linearize``); lags, the largest lag;
    noise, standard deviation of white noise on each output, in units of the input's.

    Returns capacity(lag), total (over these lags), limit (over all), rank. What is below rounding
    in S counts as missing: ``rank``. Raises ValueError where the system is continuous or not
    stable, or has no input.

    >>> import dynmem as dm
    >>> line = dm.LinearSystem(np.diag([0.9]), np.ones((1, 1)), dt=1.0)
    >>> linear_capacity(line, lags=3).capacity.values.round(4).tolist()
    [0.19, 0.1539, 0.1247, 0.101]
    """
    if not isinstance(system, LinearSystem):
        raise TypeError(
            f"linear_capacity takes a LinearSystem, got {type(system).__name__}: pass "
            "dm.linearize(system, x)"
        )
    if not system.B.shape[1]:
        raise ValueError("the system takes no inputs, so it remembers none")
    longest = integer("lags", lags, 0)
    if not (np.isfinite(number("noise", noise)) and noise >= 0):
        raise ValueError(f"noise = {noise!r:.60}: must be a finite number of at least 0")
    kernel, C = system.kernel(longest + 1), system.C
    first = C @ system.B + system.D
    P = system.gramian()
    variance = C @ (P - system.B @ system.B.conj().T) @ C.conj().T + first @ first.conj().T
    scale = np.sqrt(np.diagonal(variance).real.clip(0.0))
    scale = np.where(scale > 0, scale, 1.0)  # an output that hears nothing
    sizes, modes = np.linalg.eigh(variance / np.outer(scale, scale))
    kept = (sizes > np.finfo(float).eps * len(sizes) * sizes[-1]) & (sizes > 0)
    noisy = variance + noise**2 * np.eye(len(variance))
    sizes, modes = (
        (sizes[kept], modes[:, kept])
        if not noise
        else np.linalg.eigh(noisy / np.outer(scale, scale))
    )
    whitened = (
        np.einsum("om,koi->kmi", (modes / scale[:, None]).conj(), kernel) / np.sqrt(sizes)[:, None]
    )
    capacity = (np.abs(whitened) ** 2).sum(axis=(1, 2))
    limit = (
        float(kept.sum()) if not noise else float(np.trace(np.linalg.solve(noisy, variance)).real)
    )
    variables = {
        "capacity": (
            "lag",
            capacity,
            "1",
            "capacity of a linear readout for the input of that lag",
        ),
        "total": ((), capacity.sum(), "1", "memory capacity, the sum over the lags"),
        "limit": ((), limit, "1", "memory capacity, the sum over all lags"),
        "rank": ((), int(kept.sum()), "1", "independent outputs, to rounding"),
    }
    return dataset(
        variables,
        {"lag": ("lag", np.arange(longest + 1), "step", "lag")},
        title="memory capacity of a linear system",
        source=SOURCE,
        parameters={"A": system.A, "noise": float(noise)},
    )
