"""Covariant Lyapunov vectors: the directions that the dynamics carries into each other, and the
angles between them."""

import numpy as np
from scipy.linalg import lapack

from ...errors import ConvergenceError
from ...labels import dataset, describe_system
from ...runtime.threads import one_thread
from ...runtime.validation import integer
from ...system import Flow
from ..convergence import certainty
from .tangent_orbit import default_transient, drive_name, rate_unit, start

SOURCE = (
    "Ginelli et al. (2007), Phys. Rev. Lett. 99, 130601; Ginelli et al. (2013), J. Phys. A "
    "46, 254005"
)


def covariant_vectors(
    system,
    x0=None,
    *,
    duration,
    transient=None,
    backward=None,
    exponents=None,
    samples=1000,
    stride=1,
    drive=None,
    dt=None,
    memory=2.0,
    rng=0,
):
    """Covariant Lyapunov vectors v_i(t): J v_i(t) is parallel to v_i(t + dt), and grows on average
    with the exponent lambda_i.

    An orthonormal frame Q goes forward, J Q_t = Q_(t+1) R_t (Ginelli et al. 2007); then triangular
    coefficients go backward, C_t = R_t^-1 C_(t+1) D_t with D such that each column has length 1,
    and v = Q C. ``transient`` settles the frame, ``backward`` (a further time at the end, by
    default as long as the transient) the coefficients.

    Parameters
    ----------
    system : a Map or Flow. ``x0``, ``exponents``, ``drive``, ``dt``, ``rng`` as in
    ``lyapunov_spectrum``; all times in the system's unit.
    transient : default a tenth of the duration.
    samples : at most so many times, evenly spread, at which vectors are returned; ``local_growth``
    and ``lyapunov`` use every step.
    stride : steps between two QRs, each of which keeps a factor of exponents^2 numbers.
    memory : gigabytes that may be taken.

    Returns a Dataset: ``vector(time, exponent, state)`` of length 1, ``x(time, state)``,
    ``local_growth(time, exponent)`` over the block that starts there, ``lyapunov(exponent)`` the
    mean growth with ``lyapunov_error``; ``angle(time, exponent, other)`` and
    ``subspace_angle(time)``, the smallest angle between a growing and a shrinking direction (NaN,
    and said so, where either is missing), in radians from 0 to pi/2; for a Flow that runs free
    ``neutral_angle(time)`` between the velocity and the vector whose exponent is nearest to zero;
    ``unsettled(exponent)``, the angle between vectors of two backward passes from different ends.

    Raises MemoryError, before it starts, for what does not fit; ConvergenceError where a direction
    is lost for good (exponent -inf): there is no way back through such a step.

    >>> import dynmem as dm
    >>> found = covariant_vectors(dm.models.Linear(np.array([[2.0, 1.0], [0.0, 0.5]])), duration=20, transient=60)
    >>> abs(found.vector[0]).values.round(6).tolist()  # the eigenvectors (1, 0) and (-2, 3)
    [[1.0, 0.0], [0.5547, 0.83205]]
    """
    _check(samples, stride)
    transient = default_transient(duration, transient)
    backward = transient if backward is None else backward
    times = {"transient": transient, "duration": duration, "backward": backward}
    with one_thread():
        run, (skip, *counts) = start(
            system, x0, drive, rng, exponents=exponents, dt=dt, times=times
        )
        blocks, settle = (count // stride for count in counts)
        if blocks < 1:
            raise ValueError(
                f"duration = {duration} is less than one block of {stride} step(s) "
                f"of {run.stepper.dt}"
            )
        every = -(-blocks // samples)
        _check_memory(run.frame.shape, blocks, settle, every, memory)
        run.skip(skip)
        states, frames, factors = _forward(run, blocks, every, stride)
        ends = [factors_of for _, _, factors_of in run.go(settle, stride)]
        C, unsettled = _settle(ends, run.frame.shape[0], np.random.default_rng(rng))
        kept, logs = _backward(C, factors, every)
    vectors = kept @ frames
    label, notes = _labels(run, states, vectors, logs, every, stride, unsettled)
    when = np.arange(0, blocks, every) * stride * abs(run.stepper.dt)
    return dataset(
        label,
        _coordinates(run, when),
        title=f"covariant vectors of {type(run.system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(run.system)
        | times
        | {"drive": drive_name(drive), "dt": run.stepper.dt, "stride": stride},
        **notes,
    )


def _check(samples, stride):
    for name, value in (("samples", samples), ("stride", stride)):
        integer(name, value, 1)


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
    for x, Q, L in run.go(blocks, stride):
        first = -done % every
        states.append(x[first::every].copy())
        frames.append(Q[first::every].copy())
        factors[done : done + len(L)] = L
        done += len(L)
    return np.concatenate(states), np.concatenate(frames), factors


def _settle(ends, k, rng):
    """Coefficients (k, k) that have forgotten where the backward pass began, and the angle (k,) to
    those of another beginning."""
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
    per, _ = rate_unit(run)
    block = stride * abs(run.stepper.dt)
    durations = np.full(len(logs), block)
    values, error = logs.mean(axis=0) / block, certainty(durations, logs)[0]
    subspace, note = _between(vectors, values, error, durations.sum())
    label = {
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
    if isinstance(run.system, Flow) and not run.system.inputs:
        velocity = run.system.rule(states, None)
        velocity = velocity / np.maximum(np.linalg.norm(velocity, axis=-1, keepdims=True), 1e-300)
        neutral = vectors[:, int(np.abs(values).argmin())]
        label["neutral_angle"] = (
            "time",
            _angle(np.vecdot(neutral, velocity)),
            "rad",
            "angle between the neutral vector and the velocity",
        )
    return label, {"note": note} if note else {}


def _between(vectors, values, error, time):
    """Smallest principal angle between the growing and the shrinking vectors, and a note where
    there is none.

    An exponent counts as neutral where it cannot be told from 0: within three standard errors, or
    within 2/time, since a neutral direction's length may change by a factor of that order.
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
    k, n = run.frame.shape
    index = np.arange(1, k + 1)
    return {
        "time": ("time", when, rate_unit(run)[1], "time since the transient"),
        "exponent": ("exponent", index, "1", "index of the vector, fastest first"),
        "other": ("other", index, "1", "index of the other vector"),
        "state": (
            "state",
            list(run.system.states) or [f"x{i}" for i in range(n)],
            "1",
            "component of the state",
        ),
    }
