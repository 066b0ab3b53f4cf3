"""Indicators that separate chaos from order sooner than an exponent does: GALI, the volume of
deviation vectors, and MEGNO."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import COLLAPSED, program
from ...errors import ShapeError
from ...integrate.energy import CONSERVING_RTOL, conserved_energy, warn_of_drift
from ...labels import dataset, describe_system
from ...orbits import as_map, not_finite, steps_in
from ...runtime.threads import cores, one_thread
from ...runtime.validation import generator, integer, public
from ...system import Map, System, as_state, as_system, check_batch
from ...typing import ArrayLike, Rng
from .qr import random_frame
from .tangent_orbit import rate_unit

if TYPE_CHECKING:
    from xarray import Dataset

GALI_SOURCE = "Skokos, Bountis and Antonopoulos (2007), Physica D 231, 30"
MEGNO_SOURCE = (
    "Cincotta and Simo (2000), Astron. Astrophys. Suppl. 147, 205; Cincotta, Giordano "
    "and Simo (2003), Physica D 182, 151"
)
MAX_FACTOR_NUMBERS = 1 << 20  # of the factors of a stretch, 8 MiB
STEPS_PER_STRETCH = 256  # without compilation
CONSERVED_CHECKS = 64  # times at which the conserved quantity is compared
MAX_REGULAR_MEGNO = 2.5  # mean MEGNO below which chaos cannot be separated from order


@public
def gali(
    system: System,
    x0: ArrayLike | None = None,
    *,
    duration: float,
    vectors: int = 2,
    dt: float | None = None,
    points: int = 500,
    rng: Rng = 0,
    workers: int | None = None,
) -> Dataset:
    """Generalised alignment index GALI_k(t) = |w_1 ^ ... ^ w_k|, the volume of k deviation vectors.

    Each vector is scaled to length 1. Chaos: it falls as exp(-[(lambda_1 - lambda_2) + ... +
    (lambda_1 - lambda_k)] t). Order on a torus of N dimensions: it stays for k <= N (in flows) and
    falls as a power of t beyond. Computed from the triangular factors of an orthonormal frame, in
    logarithms: it neither underflows nor is lost in rounding at 1e-16.

    Parameters
    ----------
    system : Map or Flow
        An autonomous system.
    x0 : array_like (..., n), optional
        Leading axes are starts, run side by side; by default ``system.initial(rng)``.
    duration : float
        Time, in the system's unit.
    vectors : int, optional
        Number k of vectors.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map at the first start where none is
        given.
    points : int, optional
        Times kept.
    rng : int or Generator, optional
        Seed of the start and the vectors.
    workers : int, optional
        Threads over the starts; by default one a core.

    Returns
    -------
    xarray.Dataset
        gali : (time,), 1
            The index; with starts (time, batch0, ...).
        log_gali : (time,), 1
            Its natural logarithm, -inf where vectors coincide exactly.
        lost : (), step or time unit
            Time at which a start of several became infinite, inf where it did not; the values are
            NaN from there.

    Raises
    ------
    NotFiniteError
        Where the orbit, or every one of several, is lost, with the step.
    ShapeError
        For more vectors than states.
    ValueError
        For a system with inputs.

    References
    ----------
    Skokos, Bountis and Antonopoulos (2007), Physica D 231, 30.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.gali(dm.models.Linear(np.diag([2.0, 0.5])), np.zeros(2), duration=50)
    >>> round(float(found.log_gali[-1]) / 50, 1)
    -1.4
    """
    run = _plan(system, x0, duration, dt, points, rng, vectors)
    deviations = _Deviations(run, workers or cores())
    # the vectors in the frame, rows of length 1
    C = np.broadcast_to(np.eye(run.k), (len(run.x), run.k, run.k))
    log, kept = np.zeros(len(run.x)), _Samples(run.marks)
    for L in deviations.factors():
        logs = np.empty(L.shape[:2])
        for t, step in enumerate(L):
            C = C @ step
            length = np.sqrt((C * C).sum(axis=-1))
            # a lost vector: the logarithm of its zero on the diagonal is -inf
            length = np.where(length == 0.0, 1.0, length)
            log = (
                log
                + _log(np.diagonal(step, axis1=-2, axis2=-1)).sum(axis=-1)
                - np.log(length).sum(axis=-1)
            )
            C, logs[t] = C / length[..., None], log
        kept.add(logs)
    values = kept.array()
    variables = {
        "gali": (np.exp(values), "1", f"GALI of {run.k} vectors"),
        "log_gali": (values, "1", f"natural logarithm of GALI of {run.k} vectors"),
        "lost": deviations.lost_row(),
    }
    title = "generalised alignment index"
    return _labelled(run, variables, title, GALI_SOURCE, rng, {"vectors": run.k})


@public
def megno(
    system: System,
    x0: ArrayLike | None = None,
    *,
    duration: float,
    dt: float | None = None,
    points: int = 500,
    conserved: Callable | None = None,
    rng: Rng = 0,
    workers: int | None = None,
) -> Dataset:
    """MEGNO: mean exponential growth of nearby orbits, Y(t) = 2/t int_0^t (|w|'/|w|) s ds.

    w is one tangent vector. Order: Y oscillates about 2 and its mean over time tends to 2 (0 for a
    stable isochronous motion, where w does not grow); chaos: Y grows as lambda_1 t and the mean as
    lambda_1 t / 2. The integral runs in logarithms, by the middle of each step (for maps Cincotta
    et al. 2003 weight with its end: that differs by lambda_1, or by ln(t)/t).

    Parameters
    ----------
    system : Map or Flow
        An autonomous system.
    x0 : array_like (..., n), optional
        Leading axes are starts, run side by side: a map of hundreds is one call; by default
        ``system.initial(rng)``.
    duration : float
        Time, in the system's unit.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map at the first start where none is
        given.
    points : int, optional
        Times kept.
    conserved : callable, optional
        Function of the states (m, n) to (m,), whose change shows the accuracy of the run; by
        default the energy of a system that conserves one, with a DriftWarning where it changes by
        more than 1e-4. A Flow with an energy is integrated to 1e-11 a step.
    rng : int or Generator, optional
        Seed of the start and the vector.
    workers : int, optional
        Threads over the starts; by default one a core.

    Returns
    -------
    xarray.Dataset
        megno : (time,), 1
            Y; with starts (time, batch0, ...).
        mean_megno : (time,), 1
            Its mean over time.
        lyapunov : (), 1/step or 1/time unit
            Growth of the vector over the whole time.
        lyapunov_time : (), step or time unit
            t / (2 (mean - 2)); inf where the mean ends below 2.5: times longer than the run cannot
            be separated from order.
        lost : (), step or time unit
            Time at which a start of several became infinite, inf where it did not; the values are
            NaN from there.
        conserved_error : (), 1 [optional]
            Largest relative change of ``conserved``, or of the energy, at 64 times of the run.

    Raises
    ------
    NotFiniteError
        Where the orbit, or every one of several, is lost, with the step.
    ValueError
        For a system with inputs.

    References
    ----------
    Cincotta and Simo (2000), Astron. Astrophys. Suppl. 147, 205; Cincotta, Giordano and Simo
    (2003), Physica D 182, 151.

    Examples
    --------
    >>> import dynmem as dm
    >>> shear = dm.models.Linear(np.array([[1.0, 1.0], [0.0, 1.0]]))
    >>> round(float(dm.megno(shear, np.zeros(2), duration=1000).mean_megno[-1]), 1)
    2.0
    """
    run = _plan(system, x0, duration, dt, points, rng, 1)
    deviations = _Deviations(run, workers or cores(), conserved or conserved_energy(system))
    kept = _Samples(run.marks)
    time, growth, weighted, summed = 0.0, *np.zeros((3, len(run.x)))
    for L in deviations.factors():
        logs = _log(L[..., 0, 0])
        times = time + run.step * np.arange(1, len(L) + 1)[:, None]
        weighted = weighted + np.cumsum(logs * (2.0 * times - run.step), axis=0)
        values = weighted / times
        sums = summed + run.step * np.cumsum(values, axis=0)
        kept.add(np.stack((values, sums / times), axis=1))
        growth = growth + logs.sum(axis=0)
        weighted, summed, time = weighted[-1], sums[-1], times[-1, 0]
    values = kept.array()
    per, unit = run.units
    growth_name = "growth of the tangent vector over the whole time"
    lyapunov_time = _lyapunov_time(time, values[-1, 1])
    variables = {
        "megno": (values[:, 0], "1", "MEGNO"),
        "mean_megno": (values[:, 1], "1", "mean MEGNO"),
        "lyapunov": (growth / time, per, growth_name),
        "lyapunov_time": (lyapunov_time, unit, "Lyapunov time from the mean MEGNO"),
    }
    if deviations.conserved:
        if conserved is None:
            warn_of_drift(system, deviations.conserved_error)
        name = "largest relative change of the conserved quantity"
        variables["conserved_error"] = (deviations.conserved_error, "1", name)
    variables["lost"] = deviations.lost_row()
    return _labelled(run, variables, "MEGNO", MEGNO_SOURCE, rng, {})


def _log(values):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _lyapunov_time(time, mean):
    """1/lambda from mean MEGNO = 2 + lambda t/2, inf up to 2.5."""
    chaotic = mean > MAX_REGULAR_MEGNO
    return np.where(
        np.isnan(mean),
        np.nan,
        np.where(chaotic, 0.5 * time / np.where(chaotic, mean - 2.0, 1.0), np.inf),
    )


@dataclass(frozen=True)
class _Plan:
    """Starts x (m, n), their shape, the frame of tangent vectors (k, n) of all, the map, and the
    steps that are kept."""

    system: System
    stepper: Map
    x: np.ndarray
    batch: tuple
    frame: np.ndarray
    duration: float
    steps: int
    marks: np.ndarray

    k = property(lambda self: len(self.frame))
    step = property(lambda self: abs(self.stepper.dt))
    units = property(lambda self: rate_unit(self.system, self.step))


def _plan(system, x0, duration, dt, points, rng, vectors):
    system = as_system(system)
    if system.inputs:
        raise ValueError(
            f"{type(system).__name__} takes an input: indicators are defined for autonomous systems"
        )
    seeded = generator(rng)
    start = system.initial(seeded) if x0 is None else as_state(system, x0, "x0")
    check_batch(system, start)
    k, points, n = integer("vectors", vectors), integer("points", points), start.shape[-1]
    if k > n:
        raise ShapeError(
            f"vectors = {vectors}: a state of {n} components has no more than "
            f"{n} independent directions"
        )
    stepper = as_map(system, dt, start, duration=duration)
    if stepper is not system and dt is None and conserved_energy(system):
        stepper = replace(stepper, rtol=CONSERVING_RTOL)
    steps = steps_in(stepper, duration)
    if steps < 1:
        raise ValueError(f"duration = {duration} is less than one step of {stepper.dt}")
    marks = np.unique(np.linspace(0, steps, min(points, steps) + 1).astype(int))[1:]
    x, frame = start.reshape(-1, n).astype(float), random_frame(k, n, seeded)
    return _Plan(system, stepper, x, start.shape[:-1], frame, duration, steps, marks)


@dataclass
class _Deviations:
    """Tangent vectors along the orbits of a plan, which starts are lost and when, and the drift of
    a conserved quantity."""

    plan: _Plan
    workers: int
    conserved: Callable | None = None
    lost: np.ndarray = field(init=False)
    conserved_error: np.ndarray = field(init=False)

    def __post_init__(self):
        self.lost = np.full(len(self.plan.x), np.inf)
        self.conserved_error = np.zeros(len(self.plan.x))

    def factors(self) -> Iterator[np.ndarray]:
        """Triangular factors of consecutive stretches, each of shape (steps, m, k, k); NaN from
        where a start is lost."""
        plan = self.plan
        x, frames = plan.x, np.tile(plan.frame, (len(plan.x), 1, 1))
        level: Any = self.conserved(x) if self.conserved else None
        compiled = program(plan.stepper, x.shape[1], plan.steps * len(x))
        stretch = STEPS_PER_STRETCH
        if compiled:
            stretch = max(1, MAX_FACTOR_NUMBERS // (len(x) * plan.k**2))
        if self.conserved:
            stretch = min(stretch, -(-plan.steps // CONSERVED_CHECKS))
        for start in range(0, plan.steps, stretch):
            count = min(stretch, plan.steps - start)
            with one_thread():
                x, frames, L = advance(plan.stepper, x, frames, count, compiled, self.workers)
            self._note_lost(L, start)
            x[np.isfinite(self.lost)] = np.nan
            if self.conserved:
                with np.errstate(invalid="ignore"):
                    scale = np.where(level == 0.0, 1.0, np.abs(level))
                    change = np.abs(self.conserved(x) - level) / scale
                self.conserved_error = np.maximum(self.conserved_error, change)
            yield L

    def _note_lost(self, L, start):
        """Record which starts were lost; an error where none is left."""
        bad, plan = ~np.isfinite(L).all(axis=(-2, -1)), self.plan
        if not bad.any():
            return
        first = np.where(bad.any(axis=0), bad.argmax(axis=0) + start + 1, np.inf)
        self.lost = np.minimum(self.lost, first * plan.step)
        if np.isfinite(self.lost).all():
            raise not_finite(plan.stepper, round(np.max(self.lost) / plan.step), plan.steps)

    def lost_row(self):
        return self.lost, self.plan.units[1], "time at which the orbit became infinite"


@dataclass
class _Samples:
    """Values at the steps ``marks``, counted from 1, of a sequence that comes in parts."""

    marks: np.ndarray
    kept: list = field(default_factory=list)
    done: int = 0

    def add(self, values):
        """Keep, of the values (steps, ...) of the next steps, those at the marks."""
        here = (self.marks > self.done) & (self.marks <= self.done + len(values))
        self.kept += [values[i] for i in self.marks[here] - self.done - 1]
        self.done += len(values)

    def array(self):
        return np.array(self.kept)


def _labelled(run, variables, title, source, rng, parameters):
    """Dataset of entries (values, units, long_name), of shape (m,) or (time, m)."""
    dims, rows = ("time", *(f"batch{i}" for i in range(len(run.batch)))), {}
    for name, (values, *label) in variables.items():
        shape = (*np.shape(values)[:-1], *run.batch)
        own = dims if np.ndim(values) == 2 else dims[1:]
        rows[name] = (own, np.reshape(values, shape), *label)
    options = {"duration": run.duration, "dt": run.stepper.dt}
    return dataset(
        rows,
        {"time": ("time", run.marks * run.step, run.units[1], "time")},
        title=f"{title} of {type(run.system).__name__}",
        source=source,
        parameters=describe_system(run.system) | options | parameters,
        seed=rng,
    )


def advance(
    system: Map,
    x: np.ndarray,
    frame: np.ndarray,
    steps: int,
    compiled: Any = None,
    workers: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States and orthonormal frames after some steps of a Map, and the triangular factors of each
    step.

    x (m, n), frame (m, k, n) with tangent vectors as rows; the factors L, shape (steps, m, k, k),
    lower triangular, hold frame_before J^T = L frame_after, NaN from the step at which a start was
    lost; that touches no other start. ``compiled`` is the compiled step, where there is one.
    """
    if compiled:
        after, frames = x.copy(), frame.copy()
        result = compiled.run(
            system, after, frames, steps, every=1, keep=("factors",), workers=workers
        )
        if not (result.status[:, 0] == COLLAPSED).any():
            L = np.moveaxis(result.factors, 0, 1)
            for i in np.flatnonzero(result.status[:, 0]):
                L[result.status[i, 1] - 1 :, i] = np.nan
            return after, frames, L
    L, rows = np.zeros((steps, *frame.shape[:2], frame.shape[1])), np.moveaxis(frame, 1, 0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for t in range(steps):
            x, rows = push(system, x, rows)
            rows = orthonormal(rows, L[t])
            L[t][~np.isfinite(x).all(axis=-1)] = np.nan
    return x, np.ascontiguousarray(np.moveaxis(rows, 0, 1)), L


def orthonormal(rows: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Orthonormal frame of rows (k, ..., n) by Gram and Schmidt, twice; the factor is written to L
    (..., k, k). Lost rows become 0."""
    frame = np.empty_like(rows)
    for i, row in enumerate(rows):
        scale = np.abs(row).max(axis=-1, keepdims=True)
        scale = np.where(scale > 0.0, scale, 1.0)
        row = row / scale
        for _ in range(2 if i else 0):
            for j in range(i):
                share = (frame[j] * row).sum(axis=-1, keepdims=True)
                L[..., i, j] += (share * scale)[..., 0]
                row = row - share * frame[j]
        length = np.sqrt((row * row).sum(axis=-1, keepdims=True))
        length = np.where(length > 1e-15, length, np.where(np.isnan(length), length, 0.0))
        L[..., i, i] = (length * scale)[..., 0]
        frame[i] = row / np.where(length > 0.0, length, np.inf)
        frame[i][np.isnan(length[..., 0])] = np.nan
    return frame
