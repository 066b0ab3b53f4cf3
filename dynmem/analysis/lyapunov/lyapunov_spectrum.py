"""Lyapunov spectra of maps, flows and driven networks."""

import warnings
from copy import deepcopy

import numpy as np

from ...compiler.program import TANGENT, program
from ...compiler.trace import same_structure
from ...errors import ShapeError, ShortRunWarning
from ...labels import dataset, describe_system
from ...orbits import FlowMap, as_map, suggest_step, whole_steps
from ...runtime.threads import cores, one_thread, over_threads, spread
from ...runtime.validation import number
from ...system import Flow, as_state, as_system
from ..convergence import certainty, met
from ..drive import example_input, read_drive
from .compiled import machine_growth
from .qr import random_frame
from .tangent_growth import Growth, Tangents, how_many

# states below which Python's own work, which threads cannot share, takes most of a step
THREADED = 128
TOO_SHORT = (
    "the run is too short: its halves differ by more than its fluctuations explain, or "
    "there are too few records for an error; pass a "
    "longer duration, or a longer transient"
)
SOURCE = (
    "Benettin et al. (1980), Meccanica 15, 9; Geist, Parlitz and Lauterborn (1990), Prog. "
    "Theor. Phys. 83, 875"
)


def lyapunov_spectrum(
    system,
    x0=None,
    *,
    duration,
    transient=None,
    exponents=None,
    drive=None,
    dt=None,
    tolerance=None,
    rng=0,
    workers=None,
):
    """Lyapunov exponents, natural logarithms per unit of time: lambda_i = lim 1/T ln |growth of the
    i-th direction|.

    A frame of ``exponents`` directions (all n by default) goes through the tangent of the rule,
    orthonormalised as often as its condition asks, for ``transient`` (default a tenth of duration;
    orbit and frame both) and then for ``duration``. A Flow is integrated by Runge-Kutta with step
    ``dt``, chosen by its tangent map where none is given; times are in the system's own unit.

    Parameters
    ----------
    system : a Map or Flow, or a list of them, returned along the dim ``model`` and run on
        ``workers`` threads: by default one a core, and one in all for systems of less than 128
        states, which threads would slow down.
    x0 : start (n,); by default ``system.initial(rng)``.
    drive : input: None (zero), a number (standard deviation of white noise), an array (steps,
    inputs), or a function (rng, steps) -> array.
    tolerance : stop once the run has settled and every standard error is below it.

    Returns a Dataset: ``lyapunov(exponent)``, ``lyapunov_error(exponent)`` from the slow
    fluctuations of growth, ``running(time, exponent)``, ``kaplan_yorke_dimension``,
    ``entropy_rate`` (Pesin: the sum of the positive ones), ``sum_residual`` (their sum less the
    mean of ln|det J|, or of the divergence; NaN, and said so, where not all exponents were asked
    for), ``converged``. A direction that falls into the span of those before it, to rounding, has
    the exponent -inf: a saturated unit, or a rank that is missing. A run that has not settled says
    so in ``converged``, in the attribute ``warning``, and by a ShortRunWarning.

    Raises ShapeError, ValueError for bad input, NotFiniteError with the step where the orbit is
    lost.

    >>> import dynmem as dm
    >>> result = lyapunov_spectrum(dm.models.Linear(np.diag([1.1, 0.8])), np.zeros(2), duration=100, transient=100)
    >>> [round(float(v), 6) for v in result.lyapunov]
    [0.09531, -0.223144]
    """
    found = measured_spectrum(
        system,
        x0,
        drive,
        rng,
        workers,
        duration=duration,
        transient=transient,
        exponents=exponents,
        dt=dt,
        tolerance=tolerance,
    )
    if "warning" in found.attrs:
        warnings.warn(found.attrs["warning"], ShortRunWarning, stacklevel=2)
    return found


def measured_spectrum(
    system, x0, drive, rng, workers=None, *, duration, transient, exponents, dt, tolerance=None
):
    """What ``lyapunov_spectrum`` returns, for those who say themselves where it has not settled."""
    whole_steps(duration, 1.0)
    options = {
        "duration": duration,
        "transient": transient,
        "exponents": exponents,
        "dt": dt,
        "tolerance": tolerance,
    }
    if isinstance(system, (list, tuple)):
        return _ensemble(system, x0, drive, options, rng, workers)
    with one_thread():
        return _spectrum(as_system(system), x0, drive, rng, **options)


def _ensemble(systems, x0, drive, options, rng, workers):
    import xarray as xr

    if not systems:
        raise ValueError("an empty list of systems: pass at least one")
    systems = _alike(systems, x0, drive, options, workers)
    own = (
        [rng] * len(systems)
        if isinstance(rng, (int, np.integer))
        else np.random.default_rng(rng).spawn(len(systems))
    )
    if (together := _together(systems, x0, drive, own, workers, **options)) is not None:
        return together
    if workers is None and max(system.size or 0 for system in systems) < THREADED:
        workers = 1
    parts = spread(
        lambda pair: _spectrum(pair[0], x0, drive, pair[1], **options),
        list(zip(systems, own, strict=True)),
        workers,
    )
    return xr.concat(parts, "model", combine_attrs="drop_conflicts", join="outer")


def _alike(systems, x0, drive, options, workers):
    """The systems of an ensemble, with one number of exponents, and flows with one step, the
    shortest that any of them wants."""
    systems = [as_system(system) for system in systems]
    sizes = {system.size if x0 is None else np.shape(x0)[-1] for system in systems}
    if options["exponents"] is None and len(sizes) > 1:
        raise ShapeError(
            f"the systems have {', '.join(map(str, sorted(sizes)))} states: pass "
            "exponents=k, or systems of one size"
        )
    flows = [system for system in systems if isinstance(system, Flow)]
    if not flows:
        return systems
    if len(flows) < len(systems):
        raise TypeError(
            "an ensemble holds maps or flows, not both: pass dm.FlowMap(flow, dt) in "
            "place of each flow"
        )
    if options["dt"] is not None:
        return [FlowMap(flow, options["dt"]) for flow in flows]
    held, duration = example_input(flows[0], drive), options["duration"] * TANGENT
    if len(sizes) == 1 and same_structure(flows):
        step = suggest_step(
            flows, x0, held, duration=duration * len(flows), workers=workers or cores()
        )
    else:
        step = min(suggest_step(flow, x0, held, duration=duration) for flow in flows)
    return [FlowMap(flow, step, order=8) for flow in flows]


def _together(systems, x0, drive, seeds, workers, *, duration, transient, exponents, dt, tolerance):
    """An ensemble of one equation by machine code; None where it has to go one by one."""
    if (
        not same_structure(systems)
        or isinstance(seeds[0], np.random.Generator)
        or callable(drive)
        or np.isscalar(drive)
    ):
        return None
    first, spawned = systems[0], np.random.default_rng(seeds[0]).spawn(3)
    skip, steps = _steps(first, duration, transient)
    x = np.stack(
        [
            _again(system.initial, spawned[0]) if x0 is None else as_state(system, x0, "x0")
            for system in systems
        ]
    )
    made = (
        program(first, x.shape[-1], (skip + steps) * len(systems) * TANGENT)
        if x.ndim == 2
        else None
    )
    if made is None:
        return None
    k = how_many(exponents, x.shape[1])
    inputs = read_drive(first, drive, skip + steps, spawned[1])
    growth = machine_growth(
        made,
        systems,
        x,
        random_frame(k, x.shape[1], spawned[2]),
        inputs,
        skip,
        steps,
        tolerance,
        workers or cores(),
    )
    if growth is None:
        return None
    parameters = {"duration": duration, "transient": transient, "drive": drive}
    return _report(
        getattr(first, "flow", first),
        first,
        growth,
        x.shape[1],
        seeds[0],
        parameters,
        ("model",),
        workers or cores(),
    )


def _again(draw, rng):
    """draw(rng), after which the generator is as it was."""
    state = rng.bit_generator.state
    drawn = draw(rng)
    rng.bit_generator.state = state
    return drawn


def _steps(stepper, duration, transient):
    """Steps of the transient and of the run."""
    steps = whole_steps(duration, stepper.dt)
    skip = whole_steps(0.1 * duration if transient is None else transient, stepper.dt, "transient")
    if steps < 1:
        raise ValueError(f"duration = {duration} is less than one step of {stepper.dt}")
    return skip, steps


def _spectrum(system, x0, drive, rng, *, duration, transient, exponents, dt, tolerance):
    seeds = np.random.default_rng(rng).spawn(3)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(
            f"x0 has shape {x.shape}: pass one start of shape (n,), or a list of "
            "systems for an ensemble"
        )
    k = how_many(exponents, len(x))
    if tolerance is not None and not number("tolerance", tolerance) > 0:
        raise ValueError(
            f"tolerance = {tolerance}: must be positive, the standard error at which to stop"
        )
    stepper = as_map(system, dt, x, example_input(system, drive), duration * TANGENT)
    skip, steps = _steps(stepper, duration, transient)
    inputs, made = (
        read_drive(stepper, drive, skip + steps, seeds[1]),
        program(stepper, len(x), (skip + steps) * TANGENT),
    )
    growth = None
    if made:
        growth = machine_growth(
            made,
            [stepper],
            x[None].copy(),
            random_frame(k, len(x), deepcopy(seeds[2])),
            inputs,
            skip,
            steps,
            tolerance,
        )
    if growth is None:
        growth = _measure(
            Tangents(stepper, x, k, inputs, seeds[2], skip + steps), skip, steps, tolerance
        )
    return _report(
        system,
        stepper,
        growth,
        len(x),
        rng,
        {"duration": duration, "transient": transient, "drive": drive},
    )


def _measure(run, skip, steps, tolerance, points=200):
    """Growth over ``steps`` after ``skip``, in up to ``points`` stretches, or until the tolerance
    is met."""
    run.advance(skip)
    run.measuring = True
    marks = np.unique(np.linspace(0, steps, min(points, steps) + 1).astype(int))[1:]
    times, sums = [], []
    for i, mark in enumerate(marks):
        run.advance(skip + mark)
        times.append(run.record.time)
        sums.append(run.record.total / run.record.time)
        enough = tolerance is not None and i >= len(marks) // 10 and len(run.record.durations) >= 64
        if enough and met(*certainty(*run.record.arrays()), tolerance):
            break
    durations, growths = run.record.arrays()
    return Growth(
        durations,
        growths,
        np.array(times),
        np.array(sums),
        run.lost,
        np.array(run.residual),
        np.array(run.checked),
        run.interval,
    )


def _certainty(growth, workers):
    """``certainty`` of one system, or of the members of an ensemble on several threads."""
    if growth.growths.ndim == 2:
        return certainty(growth.durations, growth.growths)
    shape = growth.growths.shape[0], growth.growths.shape[-1]
    error, sure = np.empty(shape), np.empty(shape, bool)

    def part(a, b):
        error[a:b], sure[a:b] = certainty(growth.durations, growth.growths[a:b])

    over_threads(part, len(error), workers)
    return error, sure


def _report(system, stepper, growth, n, rng, parameters, batch=(), workers=1):
    values = np.where(growth.lost, -np.inf, growth.running[..., -1, :])
    order = np.argsort(-values, axis=-1, kind="stable")
    error, sure = _certainty(growth, workers)
    values, error = (np.take_along_axis(a, order, axis=-1) for a in (values, error))
    running = np.take_along_axis(growth.running, order[..., None, :], axis=-1)
    settled = sure.all(axis=-1)
    complete = values.shape[-1] == n
    residual = (
        growth.residual / np.maximum(growth.checked, 1) / abs(stepper.dt)
        if complete
        else np.full(growth.residual.shape, np.nan)
    )
    residual = np.where(growth.checked > 0, residual, np.nan)
    broken = np.abs(residual) > 1e-2 * np.maximum(
        1.0, np.where(np.isfinite(values), np.abs(values), 0.0).sum(axis=-1)
    )
    dimension = np.reshape(
        [kaplan_yorke(v, complete) for v in values.reshape(-1, values.shape[-1])], values.shape[:-1]
    )
    entropy = (
        np.where(values > 0, values, 0.0).sum(axis=-1)
        if complete
        else np.where(values[..., -1] <= 0, values.clip(0.0).sum(axis=-1), np.nan)
    )
    per = "1/step" if not isinstance(system, Flow) and stepper.dt == 1 else "1/time unit"
    label = {
        "lyapunov": ((*batch, "exponent"), values, per, "Lyapunov exponent"),
        "lyapunov_error": ((*batch, "exponent"), error, per, "standard error of the exponent"),
        "running": ((*batch, "time", "exponent"), running, per, "running estimate of the exponent"),
        "kaplan_yorke_dimension": (batch, dimension, "1", "Kaplan-Yorke dimension"),
        "entropy_rate": (batch, entropy, f"nats{per[1:]}", "entropy rate by Pesin's formula"),
        "sum_residual": (
            batch,
            residual,
            per,
            "sum of the exponents less the mean growth of volume",
        ),
        "converged": (batch, settled & ~broken, "1", "whether the estimate has settled"),
    }
    coords = {
        "exponent": (
            "exponent",
            np.arange(1, values.shape[-1] + 1),
            "1",
            "index of the exponent, largest first",
        ),
        "time": ("time", growth.times, per[2:], "time since the transient"),
    }
    drive = parameters["drive"]
    parameters["drive"] = drive if drive is None or np.isscalar(drive) else type(drive).__name__
    return dataset(
        label,
        coords,
        title=f"Lyapunov spectrum of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system) | parameters | {"dt": stepper.dt},
        **_notes(growth, complete, broken, settled),
    )


def _notes(growth, complete, broken, settled):
    notes = {"sum_residual_steps": int(growth.checked.sum()), "qr_interval": int(growth.interval)}
    if not complete:
        notes["note"] = (
            "sum_residual needs all exponents; dimension and entropy are NaN where "
            "the exponents asked for do not settle them"
        )
    if broken.any():
        notes["note"] = (
            "the exponents break the sum rule: the step dt is too long for this "
            "system, pass a shorter one"
        )
    if not np.all(settled):
        notes["warning"] = TOO_SHORT
    if growth.lost.any():
        notes["collapsed"] = (
            f"{int(growth.lost.sum())} directions fell into the span of the "
            "others: their exponents are -inf"
        )
    return notes


def kaplan_yorke(values, complete=True):
    """Kaplan-Yorke dimension of exponents in falling order: j + (lambda_1 + ... +
    lambda_j)/|lambda_(j+1)|, at most their number.

    NaN where the spectrum is incomplete and its sum has not yet turned negative. (Kaplan and Yorke
    1979; Frederickson et al. 1983.)

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
