"""Covariant Lyapunov vectors: the directions that the dynamics carries into each other, and the
angles between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from ...drive import drive_name
from ...errors import ConvergenceError
from ...labels import dataset, describe_system
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...system import Flow, System
from ...typing import ArrayLike, Drive, Rng
from ..convergence import certainty
from .tangent_orbit import rate_unit, start_orbit

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Ginelli et al. (2007), Phys. Rev. Lett. 99, 130601; Ginelli et al. (2013), J. Phys. A "
    "46, 254005"
)


@public
def covariant_vectors(
    system: System,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    duration: float,
    transient: float | None = None,
    backward: float | None = None,
    dt: float | None = None,
    exponents: int | None = None,
    samples: int = 1000,
    stride: int = 1,
    memory: float = 2.0,
    rng: Rng = 0,
) -> Dataset:
    """Covariant Lyapunov vectors v_i(t): J v_i(t) is parallel to v_i(t + dt).

    Each grows on average with its exponent lambda_i. An orthonormal frame Q goes forward, J Q_t =
    Q_(t+1) R_t (Ginelli et al. 2007); then triangular coefficients go backward, C_t = R_t^-1
    C_(t+1) D_t with D such that each column has length 1, and v = Q C. ``transient`` settles the
    frame, ``backward`` the coefficients.

    Parameters
    ----------
    system : Map or Flow
        The system.
    x0 : array_like (n,), optional
        Start; by default ``system.initial(rng)``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as in ``lyapunov_spectrum``.
    duration : float
        Time over which vectors are returned.
    transient : float, optional
        Time before that; by default a tenth of the duration, at least 100 steps.
    backward : float, optional
        Further time at the end; by default as long as the transient.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map where none is given.
    exponents : int, optional
        How many vectors; by default all n.
    samples : int, optional
        Times, evenly spread, at which vectors are returned, at most; ``local_growth`` and
        ``lyapunov`` use every step.
    stride : int, optional
        Steps between two QRs, each of which keeps a factor of exponents^2 numbers.
    memory : float, optional
        Gigabytes that may be allocated.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        vector : (time, exponent, state), 1
            Covariant vectors, of length 1.
        x : (time, state), 1
            States.
        local_growth : (time, exponent), 1/step or 1/time unit
            Growth of the vector over the block that starts there.
        lyapunov : (exponent,), 1/step or 1/time unit
            Mean growth of the vector.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            Standard error of the mean growth.
        angle : (time, exponent, other), rad
            Angle between two vectors, from 0 to pi/2.
        subspace_angle : (time,), rad
            Smallest angle between a growing and a shrinking direction; NaN, with the attribute
            ``note``, where either is missing.
        unsettled : (exponent,), rad
            Angle between vectors of two backward passes from different ends.
        neutral_angle : (time,), rad [optional]
            For an autonomous Flow: angle between the velocity and the vector whose exponent is
            nearest to 0.

    Raises
    ------
    MemoryError
        Before it starts, for what does not fit.
    ConvergenceError
        Where a direction is lost for good (exponent -inf): such a step has no inverse.
    NotFiniteError
        Where the orbit is lost, with the step.

    References
    ----------
    Ginelli et al. (2007), Phys. Rev. Lett. 99, 130601; Ginelli et al. (2013), J. Phys. A 46,
    254005.

    Examples
    --------
    >>> import dynmem as dm
    >>> linear = dm.models.Linear(np.array([[2.0, 1.0], [0.0, 0.5]]))
    >>> found = dm.covariant_vectors(linear, duration=20, transient=60)
    >>> abs(found.vector[0]).values.round(6).tolist()  # the eigenvectors (1, 0) and (-2, 3)
    [[1.0, 0.0], [0.5547, 0.83205]]
    """
    samples, stride = integer("samples", samples), integer("stride", stride)
    memory = number("memory", memory, above=0)
    backward = transient if backward is None else backward
    with one_thread():
        run, (skip, *counts), times = start_orbit(
            system,
            x0,
            drive,
            rng,
            exponents=exponents,
            dt=dt,
            times={"transient": transient, "duration": duration, "backward": backward},
        )
        blocks, settle = (count // stride for count in counts)
        if blocks < 1:
            raise ValueError(
                f"duration = {duration} is less than one block of {stride} step(s) "
                f"of {run.stepper.dt}"
            )
        every = -(-blocks // samples)
        _check_memory(run.frame.shape, blocks, settle, every, memory)
        run.advance(skip)
        states, frames, factors = _forward(run, blocks, every, stride)
        ends = [factors_of for _, _, factors_of in run.advance_blocks(settle, stride)]
        C, unsettled = _settle(ends, run.frame.shape[0], generator(rng))
        kept, logs = _backward(C, factors, every)
    n = run.size  # the time is no component of a vector
    rows, notes = _labels(
        run, states[:, :n], (kept @ frames)[..., :n], logs, every, stride, unsettled
    )
    when = np.arange(0, blocks, every) * stride * abs(run.stepper.dt)
    return dataset(
        rows,
        _coordinates(run, when),
        title=f"covariant vectors of {type(run.system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(run.system)
        | times
        | {"drive": drive_name(drive), "dt": run.stepper.dt, "stride": stride},
        **notes,
    )


def _check_memory(shape, blocks, settle, every, memory):
    (k, n), kept = shape, -(-blocks // every)
    needed = 8e-9 * ((blocks + settle) * k * k + 2 * kept * (k * n + k * k))
    if needed > memory:
        raise MemoryError(
            f"covariant vectors need about {needed:.3g} GB for {blocks + settle} "
            f"factors of {k} x {k} and {kept} sets of vectors, "
            f"memory is {memory:g} GB: pass a larger stride, fewer exponents or "
            "samples, or more memory"
        )


def _forward(run, blocks, every, stride):
    """States and frames of every ``every``-th block, factors of all."""
    k = len(run.frame)
    states, frames, factors, done = [], [], np.empty((blocks, k, k)), 0
    for x, Q, L in run.advance_blocks(blocks, stride):
        first = -done % every
        states.append(x[first::every].copy())
        frames.append(Q[first::every].copy())
        factors[done : done + len(L)] = L
        done += len(L)
    return np.concatenate(states), np.concatenate(frames), factors


def _settle(ends, k, rng):
    """Coefficients (k, k) that no longer depend on where the backward pass began, and the angle
    (k,) to those of another beginning."""
    both = np.concatenate([np.eye(k) + np.tril(rng.standard_normal((k, k))) for _ in range(2)])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    for L in (L for factors in reversed(ends) for L in factors[::-1]):
        both = _back(both, L)[0]
    return both[:k], _angle(np.vecdot(both[:k], both[k:]))


def _backward(C, factors, every):
    """Coefficients at the start of every ``every``-th block, and the logarithms (m, k) of the
    growth over each block."""
    kept, logs = [], np.empty((len(factors), len(C)))
    for block in range(len(factors) - 1, -1, -1):
        C, logs[block] = _back(C, factors[block])
        if block % every == 0:
            kept.append(C)
    return np.array(kept[::-1]), logs


def _back(C, L):
    """Rows C (r, k) through one block backward: C L^-1 with rows of length 1, and the logarithm of
    what they grow by forward."""
    before, failed = lapack.dtrtrs(L.T, C.T, lower=0)  # C_before L = C: L^T is upper triangular
    lengths = np.linalg.norm(before, axis=0)
    if failed or not np.isfinite(lengths).all():
        raise ConvergenceError(
            "a direction is lost along the orbit (its exponent is -inf): "
            "covariant vectors exist only where the tangent map "
            "can be inverted; pass exponents=k to leave the lost directions out"
        )
    return (before / lengths).T, -np.log(lengths)


def _angle(cosine):
    """Angle in [0, pi/2] between directions whose product is known."""
    return np.arccos(np.minimum(np.abs(cosine), 1.0))


def _labels(run, states, vectors, logs, every, stride, unsettled):
    per, _ = rate_unit(run.system, run.stepper.dt)
    block = stride * abs(run.stepper.dt)
    durations = np.full(len(logs), block)
    values, error = logs.mean(axis=0) / block, certainty(durations, logs)[0]
    subspace, note = _between(vectors, values, error, durations.sum())
    rows = {
        "vector": (("time", "exponent", "state"), vectors, "1", "covariant vector"),
        "x": (("time", "state"), states, "1", "state"),
        "local_growth": (
            ("time", "exponent"),
            logs[::every] / block,
            per,
            "growth of the vector over one block",
        ),
        "lyapunov": ("exponent", values, per, "mean growth of the vector"),
        "lyapunov_error": ("exponent", error, per, "standard error of the mean growth"),
        "angle": (
            ("time", "exponent", "other"),
            _angle(vectors @ np.swapaxes(vectors, 1, 2)),
            "rad",
            "angle between two vectors",
        ),
        "subspace_angle": (
            "time",
            subspace,
            "rad",
            "smallest angle between a growing and a shrinking direction",
        ),
        "unsettled": (
            "exponent",
            unsettled,
            "rad",
            "angle between vectors of two backward passes, at the end of the window",
        ),
    }
    if isinstance(run.system, Flow) and not (run.system.inputs or run.system.timed):
        velocity = run.system.rule(states, None)
        velocity = velocity / np.maximum(np.linalg.norm(velocity, axis=-1, keepdims=True), 1e-300)
        neutral = vectors[:, int(np.abs(values).argmin())]
        rows["neutral_angle"] = (
            "time",
            _angle(np.vecdot(neutral, velocity)),
            "rad",
            "angle between the neutral vector and the velocity",
        )
    return rows, {"note": note} if note else {}


def _between(vectors, values, error, time):
    """Smallest principal angle between the growing and the shrinking vectors, and a note where
    there is none.

    An exponent counts as neutral within three standard errors of 0, or within 2/time, since the
    length of a neutral direction may change by a factor of that order.
    """
    doubt = np.maximum(3.0 * np.where(np.isfinite(error), error, 0.0), 2.0 / time)
    up, down = values > doubt, values < -doubt
    if not up.any() or not down.any():
        missing = "growing" if not up.any() else "shrinking"
        return np.full(
            len(vectors), np.nan
        ), f"no direction is certainly {missing}: subspace_angle is NaN"
    bases = [np.linalg.qr(np.swapaxes(vectors[:, chosen], 1, 2))[0] for chosen in (up, down)]
    cosine = np.linalg.svd(np.swapaxes(bases[0], 1, 2) @ bases[1], compute_uv=False)[:, 0]
    return _angle(cosine), ""


def _coordinates(run, when):
    k, n = len(run.frame), run.size
    index = np.arange(1, k + 1)
    return {
        "time": (
            "time",
            when,
            rate_unit(run.system, run.stepper.dt)[1],
            "time since the transient",
        ),
        "exponent": ("exponent", index, "1", "index of the vector, fastest first"),
        "other": ("other", index, "1", "index of the other vector"),
        "state": (
            "state",
            list(run.system.states) or [f"x{i}" for i in range(n)],
            "1",
            "component of the state",
        ),
    }
