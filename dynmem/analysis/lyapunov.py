"""Lyapunov spectra of maps, flows and driven networks."""

import numpy as np

from ..errors import ShapeError
from ..flow import FlowMap, as_map, suggest_step, whole_steps
from ..labels import dataset, describe_system
from ..system import Flow, as_input, as_state, as_system
from .growth import Tangents, example_input, make_drive
from .threads import one_thread, spread

THREADED = 128  # states below which Python's own work, which threads cannot share, takes most of a step
SOURCE = "Benettin et al. (1980), Meccanica 15, 9; Geist, Parlitz and Lauterborn (1990), Prog. Theor. Phys. 83, 875"


def lyapunov_spectrum(system, x0=None, *, duration, transient=None, exponents=None, drive=None, dt=None, tolerance=None, rng=0,
                      workers=None):
    """Lyapunov exponents, natural logarithms per unit of time: lambda_i = lim 1/T ln |growth of the i-th direction|.

    A frame of ``exponents`` directions (all n by default) goes through the tangent of the rule, orthonormalised as often as its
    condition asks, for ``transient`` (default a tenth of duration; orbit and frame both) and then for ``duration``. A Flow is integrated
    by Runge-Kutta with step ``dt``, chosen by its tangent map where none is given; times are in the system's own unit.

    Parameters
    ----------
    system : a Map or Flow, or a list of them, returned along the dim ``model`` and run on ``workers`` threads: by default one a core,
        and one in all for systems of less than 128 states, which threads would slow down.
    x0 : start (n,); by default ``system.initial(rng)``.
    drive : input: None (zero), a number (standard deviation of white noise), an array (steps, inputs), or a function (rng, steps) -> array.
    tolerance : stop once every standard error is below it.

    Returns a Dataset: ``lyapunov(exponent)``, ``standard_error(exponent)`` from the scatter of blocks, ``running(time, exponent)``,
    ``kaplan_yorke_dimension``, ``entropy_rate`` (Pesin: the sum of the positive ones), ``sum_residual`` (their sum less the mean of
    ln|det J|, or of the divergence; NaN, and said so, where not all exponents were asked for), ``converged``. A direction that falls into
    the span of those before it, to rounding, has the exponent -inf: a saturated unit, or a rank that is missing.

    Raises ShapeError, ValueError for bad input, NotFiniteError with the step where the orbit is lost.

    >>> import dynmem as dm
    >>> result = lyapunov_spectrum(dm.models.Linear(np.diag([1.1, 0.8])), np.zeros(2), duration=100, transient=100)
    >>> [round(float(v), 6) for v in result.lyapunov]
    [0.09531, -0.223144]
    """
    options = {"duration": duration, "transient": transient, "exponents": exponents, "dt": dt, "tolerance": tolerance}
    if isinstance(system, (list, tuple)):
        return _ensemble(system, x0, drive, options, rng, workers)
    with one_thread():
        return _spectrum(as_system(system), x0, drive, rng, **options)


def _ensemble(systems, x0, drive, options, rng, workers):
    import xarray as xr

    if not systems:
        raise ValueError("an empty list of systems: pass at least one")
    systems = _alike(systems, x0, drive, options)
    if workers is None and max(system.size or 0 for system in systems) < THREADED:
        workers = 1
    own = [rng] * len(systems) if isinstance(rng, (int, np.integer)) else np.random.default_rng(rng).spawn(len(systems))
    parts = spread(lambda pair: _spectrum(pair[0], x0, drive, pair[1], **options), list(zip(systems, own, strict=True)), workers)
    return xr.concat(parts, "model", combine_attrs="drop_conflicts", join="outer")


def _alike(systems, x0, drive, options):
    """The systems of an ensemble, with one number of exponents, and flows with one step, the shortest that any of them wants."""
    systems = [as_system(system) for system in systems]
    sizes = {system.size if x0 is None else np.shape(x0)[-1] for system in systems}
    if options["exponents"] is None and len(sizes) > 1:
        raise ShapeError(f"the systems have {', '.join(map(str, sorted(sizes)))} states: pass exponents=k, or systems of one size")
    flows = [system for system in systems if isinstance(system, Flow)]
    if options["dt"] is not None or not flows:
        return systems
    if len(flows) < len(systems):
        raise TypeError("an ensemble holds maps or flows, not both: pass dm.FlowMap(flow, dt) in place of each flow")
    step = min(suggest_step(flow, x0, example_input(flow, drive)) for flow in flows)
    return [FlowMap(flow, step, order=8) for flow in flows]


def _spectrum(system, x0, drive, rng, *, duration, transient, exponents, dt, tolerance):
    seeds = np.random.default_rng(rng).spawn(3)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,), or a list of systems for an ensemble")
    k = _count(exponents, len(x))
    stepper = as_map(system, dt, x, example_input(system, drive))
    steps = whole_steps(duration, stepper.dt)
    transient = 0.1 * duration if transient is None else transient
    skip = whole_steps(transient, stepper.dt, "transient")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance = {tolerance}: must be positive, the standard error at which to stop")
    if steps < 1:
        raise ValueError(f"duration = {duration} is less than one step of {stepper.dt}")
    run = Tangents(stepper, x, k, _inputs(stepper, drive, skip + steps, seeds[1]), seeds[2], skip + steps)
    run.advance(skip)
    run.measuring = True
    times, sums, stopped = _measure(run, skip, steps, tolerance)
    return _report(system, stepper, run, times, sums, stopped, rng, {"duration": duration, "transient": transient, "drive": drive})


def _count(exponents, n):
    k = n if exponents is None else exponents
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= n:
        raise ValueError(f"exponents = {exponents}: must be a whole number from 1 to {n}, the number of states")
    return int(k)


def _inputs(system, drive, steps, rng):
    if drive is not None and not np.isscalar(drive) and not callable(drive):
        drive = as_input(system, drive, "drive")
        if drive.ndim != 2 or len(drive) < steps:
            raise ShapeError(f"drive has shape {drive.shape}, the run needs ({steps}, {system.inputs}): transient and duration together")
    return make_drive(system, drive, rng)


def _measure(run, skip, steps, tolerance, points=200):
    """Advance in up to ``points`` stretches; running sums at their ends, and whether the tolerance was met."""
    marks = np.unique(np.linspace(0, steps, min(points, steps) + 1).astype(int))[1:]
    times, sums = [], []
    for i, mark in enumerate(marks):
        run.advance(skip + mark)
        times.append(run.record.time)
        sums.append(run.record.total / run.record.time)
        if tolerance is not None and i >= len(marks) // 10 and len(run.record.durations) >= 64:
            error = standard_error(*run.record.arrays())
            if np.all(error[np.isfinite(error)] < tolerance):
                return times, sums, True
    return times, sums, False


def _report(system, stepper, run, times, sums, stopped, rng, parameters):
    durations, growths = run.record.arrays()
    with np.errstate(invalid="ignore"):
        values = np.where(run.lost, -np.inf, sums[-1])
        order = np.argsort(-values, kind="stable")
        error = np.where(run.lost, 0.0, standard_error(durations, growths))
    complete = len(values) == len(run.x)
    residual = _residual(run, complete, stepper)
    broken = np.abs(residual) > 1e-2 * max(1.0, np.abs(values[np.isfinite(values)]).sum())
    per = "1/step" if not isinstance(system, Flow) and stepper.dt == 1 else "1/time unit"
    label = {
        "lyapunov": ("exponent", values[order], per, "Lyapunov exponent"),
        "standard_error": ("exponent", error[order], per, "standard error of the exponent"),
        "running": (("time", "exponent"), np.array(sums)[:, order], per, "running estimate of the exponent"),
        "kaplan_yorke_dimension": ((), kaplan_yorke(values[order], complete), "1", "Kaplan-Yorke dimension"),
        "entropy_rate": ((), _entropy(values[order], complete), f"nats{per[1:]}", "entropy rate by Pesin's formula"),
        "sum_residual": ((), residual, per, "sum of the exponents less the mean growth of volume"),
        "converged": ((), _converged(stopped, np.array(sums)[:, order], error[order]) and not broken, "1", "whether the estimate has settled"),
    }
    coords = {"exponent": ("exponent", np.arange(1, len(values) + 1), "1", "index of the exponent, largest first"),
              "time": ("time", np.array(times), per[2:], "time since the transient")}
    notes = {"sum_residual_steps": run.checked, "qr_interval": run.interval}
    if not complete:
        notes["note"] = "sum_residual needs all exponents; dimension and entropy are NaN where the exponents asked for do not settle them"
    if broken:
        notes["note"] = "the exponents break the sum rule: the step dt is too long for this system, pass a shorter one"
    if run.lost.any():
        notes["collapsed"] = f"{int(run.lost.sum())} directions fell into the span of the others: their exponents are -inf"
    drive = parameters["drive"]
    parameters["drive"] = drive if drive is None or np.isscalar(drive) else type(drive).__name__
    return dataset(label, coords, title=f"Lyapunov spectrum of {type(system).__name__}", source=SOURCE, seed=rng,
                   parameters=describe_system(system) | parameters | {"dt": stepper.dt}, **notes)


def standard_error(durations, growths, blocks=32):
    """Standard error of growth per time, shape (k,), from the scatter of ``blocks`` consecutive blocks; inf where there are too few."""
    used = len(durations) // blocks * blocks
    if used == 0:
        return np.full(growths.shape[1], np.inf)
    time = durations[-used:].reshape(blocks, -1).sum(axis=1)
    with np.errstate(invalid="ignore"):
        rates = growths[-used:].reshape(blocks, -1, growths.shape[1]).sum(axis=1) / time[:, None]
        mean = (time[:, None] * rates).sum(axis=0) / time.sum()
        scatter = (time[:, None] * (rates - mean) ** 2).sum(axis=0) / time.sum()
    return np.sqrt(scatter / (blocks - 1))


def _converged(stopped, running, error):
    """True where the tolerance was met, or where the second half of the run stays within three standard errors of the end."""
    half, end = running[len(running) // 2], running[-1]
    settled = np.isneginf(end)
    finite = np.isfinite(half) & np.isfinite(end) & np.isfinite(error)
    settled[finite] = np.abs(half[finite] - end[finite]) <= 3.0 * error[finite] + 1e-9
    return bool(stopped or settled.all())


def kaplan_yorke(values, complete=True):
    """Kaplan-Yorke dimension of exponents in falling order: j + (lambda_1 + ... + lambda_j)/|lambda_(j+1)|, at most their number.

    NaN where the spectrum is incomplete and its sum has not yet turned negative. (Kaplan and Yorke 1979; Frederickson et al. 1983.)

    >>> round(float(kaplan_yorke(np.array([0.9056, 0.0, -14.5723]))), 4)
    2.0621
    """
    sums = np.cumsum(values)
    if values[0] < 0:
        return 0.0
    if sums[-1] >= 0:
        return float(len(values)) if complete else np.nan
    j = int(np.argmax(sums < 0))
    return j + (sums[j - 1] / abs(values[j]) if np.isfinite(values[j]) else 0.0)


def _entropy(values, complete):
    return float(values[values > 0].sum()) if complete or values[-1] <= 0 else np.nan


def _residual(run, complete, stepper):
    return run.residual / (run.checked * abs(stepper.dt)) if complete and run.checked else np.nan


