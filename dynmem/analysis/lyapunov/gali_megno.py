"""Indicators that tell chaos from order sooner than an exponent does: GALI, the volume of deviation
vectors, and MEGNO."""

import numpy as np

from ...autodiff.jacobian import push
from ...compiler.program import COLLAPSED, program
from ...errors import ShapeError
from ...labels import dataset, describe_system
from ...orbits import as_map, not_finite, whole_steps
from ...runtime.threads import cores, one_thread
from ...runtime.validation import integer
from ...system import Flow, as_state, as_system, check_batch
from .qr import random_frame

GALI_SOURCE = "Skokos, Bountis and Antonopoulos (2007), Physica D 231, 30"
MEGNO_SOURCE = (
    "Cincotta and Simo (2000), Astron. Astrophys. Suppl. 147, 205; Cincotta, Giordano "
    "and Simo (2003), Physica D 182, 151"
)
ROOM = 1 << 20  # numbers held at once


def gali(system, x0=None, *, duration, vectors=2, dt=None, points=500, rng=0, workers=None):
    """Generalised alignment index GALI_k(t) = |w_1 ^ ... ^ w_k|, the volume of k deviation vectors,
    each scaled to length 1.

    Chaos: it falls as exp(-[(lambda_1 - lambda_2) + ... + (lambda_1 - lambda_k)] t). Order on a
    torus of N dimensions: it stays for k <= N (in flows) and falls as a power of t beyond. Computed
    from the triangular factors of an orthonormal frame, in logarithms: it neither underflows nor
    drowns in rounding at 1e-16.

    Parameters: x0 (..., n), leading axes are starts, run side by side; ``duration`` in the system's
    time; ``vectors`` k; ``dt`` the step of a Flow, chosen by its tangent map at the first start
    where none is given; ``points`` the number of times kept; ``workers`` threads over the starts,
    by default one a core.

    Returns a Dataset: ``gali(time, ...)``, ``log_gali(time, ...)`` (natural; -inf where vectors
    coincide exactly), ``lost(...)``, the time at which a start of several became infinite (its
    values are NaN from there), inf where it did not. Raises NotFiniteError with the step where the
    orbit (or every orbit) is lost, ShapeError, ValueError. Source: Skokos, Bountis and Antonopoulos
    (2007), Physica D 231, 30.

    >>> import dynmem as dm
    >>> round(float(gali(dm.models.Linear(np.diag([2.0, 0.5])), np.zeros(2), duration=50).log_gali[-1]) / 50, 1)
    -1.4
    """
    run = _Run(system, x0, duration, dt, points, rng, vectors, workers)
    # the vectors in the frame, rows of length 1
    C = np.broadcast_to(np.eye(run.k), (len(run.x), run.k, run.k))
    log = np.zeros(len(run.x))
    for L in run.factors():
        logs = np.empty(L.shape[:2])
        for t, step in enumerate(L):
            C = C @ step
            length = np.sqrt((C * C).sum(axis=-1))
            # a vector that is gone: its zero on the diagonal says so
            length = np.where(length == 0.0, 1.0, length)
            log = (
                log
                + _log(np.diagonal(step, axis1=-2, axis2=-1)).sum(axis=-1)
                - np.log(length).sum(axis=-1)
            )
            C, logs[t] = C / length[..., None], log
        run.keep(logs)
    values = np.array(run.kept)
    variables = {
        "gali": (np.exp(values), "1", f"GALI of {run.k} vectors"),
        "log_gali": (values, "1", f"natural logarithm of GALI of {run.k} vectors"),
    }
    return run.report(variables, "generalised alignment index", GALI_SOURCE, {"vectors": run.k})


def megno(system, x0=None, *, duration, dt=None, points=500, conserved=None, rng=0, workers=None):
    """Mean exponential growth of nearby orbits: Y(t) = 2/t int_0^t (|w|'/|w|) s ds, and its mean
    over time.

    w is one tangent vector. Order: Y wavers about 2 and the mean tends to 2 (0 for a stable
    isochronous motion, where w does not grow); chaos: Y grows as lambda_1 t and the mean as
    lambda_1 t / 2. The integral runs in logarithms, by the middle of each step (for maps Cincotta
    et al. 2003 weigh with its end: that differs by lambda_1, or by ln(t)/t).

    Parameters: x0 (..., n), leading axes are starts, run side by side: a map of hundreds is one
    call; ``duration`` in the system's time; ``dt`` the step of a Flow, chosen by its tangent map at
    the first start where none is given; ``points`` the number of times kept; ``conserved`` a
    function of the states (m, n) to (m,), such as the energy, whose change tells how far the run
    can be trusted; ``workers`` threads over the starts, by default one a core.

    Returns a Dataset: ``megno(time, ...)``, ``mean_megno(time, ...)``, ``lyapunov(...)`` = growth
    over time, ``lyapunov_time(...)`` = t / (2 (mean - 2)), inf where the mean ends below 2.5: times
    longer than the run cannot be told from order; ``lost(...)``, the time at which a start of
    several became infinite (its values are NaN from there), inf where it did not; with
    ``conserved``, ``conserved_error(...)``, its largest relative change at 64 times of the run.
    Raises NotFiniteError with the step where the orbit (or every orbit) is lost, ShapeError,
    ValueError.

    >>> import dynmem as dm
    >>> found = megno(dm.models.Linear(np.array([[1.0, 1.0], [0.0, 1.0]])), np.zeros(2), duration=1000)
    >>> round(float(found.mean_megno[-1]), 1)
    2.0
    """
    run = _Run(system, x0, duration, dt, points, rng, 1, workers, conserved)
    time, growth, weighted, summed = 0.0, *np.zeros((3, len(run.x)))
    for L in run.factors():
        logs = _log(L[..., 0, 0])
        times = time + run.step * np.arange(1, len(L) + 1)[:, None]
        weighted = weighted + np.cumsum(logs * (2.0 * times - run.step), axis=0)
        values = weighted / times
        sums = summed + run.step * np.cumsum(values, axis=0)
        run.keep(np.stack((values, sums / times), axis=1))
        growth, weighted, summed, time = (
            growth + logs.sum(axis=0),
            weighted[-1],
            sums[-1],
            times[-1, 0],
        )
    values = np.array(run.kept)
    variables = {
        "megno": (values[:, 0], "1", "MEGNO"),
        "mean_megno": (values[:, 1], "1", "mean MEGNO"),
        "lyapunov": (growth / time, run.per, "growth of the tangent vector over the whole time"),
        "lyapunov_time": (
            _lyapunov_time(time, values[-1, 1]),
            run.unit,
            "Lyapunov time from the mean MEGNO",
        ),
    }
    if conserved:
        variables["conserved_error"] = (
            run.drift,
            "1",
            "largest relative change of the conserved quantity",
        )
    return run.report(variables, "MEGNO", MEGNO_SOURCE, {})


def _log(values):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _lyapunov_time(time, mean):
    """1/lambda from mean MEGNO = 2 + lambda t/2, inf up to 2.5, where it cannot be told from
    order."""
    chaotic = mean > 2.5
    return np.where(
        np.isnan(mean),
        np.nan,
        np.where(chaotic, 0.5 * time / np.where(chaotic, mean - 2.0, 1.0), np.inf),
    )


class _Run:
    """Starts, clock and the times kept of an indicator's run."""

    def __init__(self, system, x0, duration, dt, points, rng, vectors, workers, conserved=None):
        self.system, self.rng, self.workers = as_system(system), rng, workers or cores()
        if self.system.inputs:
            raise ValueError(
                f"{type(system).__name__} takes an input: indicators are known for "
                "systems that run free"
            )
        generator = np.random.default_rng(rng)
        start = self.system.initial(generator) if x0 is None else as_state(self.system, x0, "x0")
        check_batch(self.system, start)
        self.k, points, n = (
            integer("vectors", vectors, 1),
            integer("points", points, 1),
            start.shape[-1],
        )
        if self.k > n:
            raise ShapeError(
                f"vectors = {vectors}: a state of {n} components has no more than "
                f"{n} independent directions"
            )
        self.stepper = as_map(self.system, dt, start, duration=duration)
        self.step, self.steps, self.duration = (
            abs(self.stepper.dt),
            whole_steps(duration, self.stepper.dt),
            duration,
        )
        if self.steps < 1:
            raise ValueError(f"duration = {duration} is less than one step of {self.stepper.dt}")
        self.marks = np.unique(np.linspace(0, self.steps, min(points, self.steps) + 1).astype(int))[
            1:
        ]
        self.times, self.dims = (
            self.marks * self.step,
            ("time", *(f"batch{i}" for i in range(start.ndim - 1))),
        )
        self.batch, self.x = start.shape[:-1], start.reshape(-1, start.shape[-1]).astype(float)
        # the same for all starts
        self.frame = np.tile(random_frame(self.k, start.shape[-1], generator), (len(self.x), 1, 1))
        self.conserved, self.drift = conserved, np.zeros(len(self.x))
        self.level = conserved(self.x) if conserved else None
        self.lost, self.kept, self.done = np.full(len(self.x), np.inf), [], 0
        discrete = not isinstance(self.system, Flow) and self.step == 1
        self.unit, self.per = ("step", "1/step") if discrete else ("time unit", "1/time unit")

    def factors(self):
        """Triangular factors of consecutive stretches, each of shape (steps, m, k, k); NaN from
        where a start is lost."""
        made = program(self.stepper, self.x.shape[1], self.steps * len(self.x))
        stretch = max(1, ROOM // (len(self.x) * self.k**2)) if made else 256
        stretch = min(stretch, -(-self.steps // 64)) if self.conserved else stretch
        for start in range(0, self.steps, stretch):
            with one_thread():
                self.x, self.frame, L = advance(
                    self.stepper,
                    self.x,
                    self.frame,
                    min(stretch, self.steps - start),
                    made,
                    self.workers,
                )
            self._watch(L, start)
            if self.conserved:
                with np.errstate(invalid="ignore"):
                    change = np.abs(self.conserved(self.x) - self.level) / np.where(
                        self.level == 0.0, 1.0, np.abs(self.level)
                    )
                self.drift = np.maximum(self.drift, change)
            yield L

    def _watch(self, L, start):
        """Note which starts were lost; an error where none is left."""
        bad = ~np.isfinite(L).all(axis=(-2, -1))
        if not bad.any():
            return
        first = np.where(bad.any(axis=0), bad.argmax(axis=0) + start + 1, np.inf)
        self.lost = np.minimum(self.lost, first * self.step)
        self.x[np.isfinite(self.lost)] = np.nan
        if np.isfinite(self.lost).all():
            raise not_finite(self.stepper, round(np.max(self.lost) / self.step), self.steps)

    def keep(self, values):
        """Of the values (steps, ...) of the steps since the last call, keep those at the marks."""
        index = (
            self.marks[(self.marks > self.done) & (self.marks <= self.done + len(values))]
            - self.done
            - 1
        )
        self.kept += [values[i] for i in index]
        self.done += len(values)

    def report(self, variables, title, source, parameters):
        """Dataset of entries (values, units, long_name), of shape (m,) or (time, m)."""
        variables["lost"] = (self.lost, self.unit, "time at which the orbit became infinite")
        shaped = {}
        for name, (values, *rest) in variables.items():
            dims = self.dims if np.ndim(values) == 2 else self.dims[1:]
            shaped[name] = (dims, np.reshape(values, (*np.shape(values)[:-1], *self.batch)), *rest)
        coords = {"time": ("time", self.times, self.unit, "time")}
        parameters = (
            describe_system(self.system)
            | {"duration": self.duration, "dt": self.stepper.dt}
            | parameters
        )
        return dataset(
            shaped,
            coords,
            title=f"{title} of {type(self.system).__name__}",
            source=source,
            parameters=parameters,
            seed=self.rng,
        )


def advance(system, x, frame, steps, made=None, workers=1):
    """States and orthonormal frames after some steps of a Map, and the triangular factors of each
    step.

    x (m, n), frame (m, k, n) with tangent vectors as rows; the factors L, shape (steps, m, k, k),
    lower triangular, hold frame_before J^T = L frame_after, NaN from the step at which a start was
    lost; that touches no other start. ``made`` is the system's program in machine code, where there
    is one.
    """
    if made:
        after, frames = x.copy(), frame.copy()
        result = made.run(system, after, frames, steps, every=1, keep=("factors",), workers=workers)
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


def orthonormal(rows, L):
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
