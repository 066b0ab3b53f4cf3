"""Lyapunov spectra of maps, flows and driven networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...clock import has_times, is_signal
from ...compiler.program import TANGENT_COST, program
from ...compiler.trace import same_structure
from ...drive import default_transient, drive_name, example_input, in_time, read_drive
from ...errors import ShapeError, ShortRunWarning
from ...labels import dataset, describe_system, differing_parameters
from ...orbits import DEFAULT_RTOL, FlowMap, as_map, steps_in, suggest_step, whole_steps
from ...runtime.threads import cores, map_threads, one_thread, over_threads
from ...runtime.validation import generator, number, public
from ...system import Flow, System, as_state, as_system, check_rule, inner
from ...typing import ArrayLike, Drive, Rng
from ..convergence import (
    MAX_LAMINAR_SHARE,
    certainty,
    laminar_share,
    turning_bias,
    unknown_bias,
    within,
)
from .compiled import compiled_growth
from .kaplan_yorke import dimension
from .qr import random_frame
from .sequences import averaged, read_span, recorded, step_system
from .tangent_growth import Growth, Tangents, how_many
from .tangent_orbit import rate_unit

if TYPE_CHECKING:
    from torch.nn import Module
    from xarray import Dataset

THREADED_STATE_SIZE = 128  # states below which the GIL is held for most of a step
RUNNING_POINTS = 200  # times at which the running estimate is kept
MIN_RECORDS = 64  # of growth, before a tolerance may end the run
STEP_ROUNDING = 8 * np.finfo(float).eps  # of the logarithm of growth over one step
TOO_SHORT = (
    "the run is too short: its halves differ by more than its fluctuations explain, or "
    "there are too few records for an error; pass a "
    "longer duration, or a longer transient"
)
INTERMITTENT = (
    "the growth rests for long stretches, the longest of them a large part of the run: exponents "
    "of intermittent orbits scatter by more than the error; compare several starts and durations"
)
SOURCE = (
    "Benettin et al. (1980), Meccanica 15, 9; Geist, Parlitz and Lauterborn (1990), Prog. "
    "Theor. Phys. 83, 875"
)


@public
def lyapunov_spectrum(
    system: System | Module | Callable | Sequence[System],
    x0: ArrayLike | None = None,
    *,
    state: Any = None,
    drive: Drive = None,
    duration: float | None = None,
    transient: float | None = None,
    dt: float | None = None,
    exponents: int | None = None,
    tolerance: float | None = None,
    rng: Rng = 0,
    workers: int | None = None,
) -> Dataset:
    """Lyapunov exponents: lambda_i = lim 1/T ln |growth of the i-th direction|.

    A frame of ``exponents`` directions goes through the tangent of the rule, orthonormalised as
    often as its condition requires, for ``transient`` (orbit and frame both) and then for
    ``duration``. Logarithms are natural; times are in the system's own unit.

    Parameters
    ----------
    system : Map, Flow, torch.nn.Module, callable or list
        A list is returned along the dim ``model``, with a coordinate for each parameter in which
        the systems differ. A module is converted by ``dm.models.from_torch``; with ``state``, one
        that cannot be and a torch function are steps (state, input) -> state, as
        ``dm.models.TorchStep`` takes them.
    x0 : array_like (n,), optional
        Start; by default ``system.initial(rng)``.
    state : tensor, array_like or tuple of these, optional
        Start of a torch function or module, in the shapes that it takes: h, or (h, c).
    drive : float, array_like (steps, inputs) or (inputs,), DataArray or callable, optional
        Input, zero by default: a number is the standard deviation of white noise (of a step of a
        map, of a unit of time of a flow); one row a step, of ``dt`` for a Flow; one input (inputs,)
        that is held; a function of time (of the step, for a Map), such as ``lambda t: dm.sin(t)``;
        samples with times, a DataArray or ``dm.signal``; or a function (rng, steps) -> array. Of
        several sequences, (samples, steps, inputs), the spectra are averaged. A torch tensor is
        read as an array.
    duration : float, optional
        Time over which growth is averaged; by default what the drive holds after the transient.
    transient : float, optional
        Time before that; by default a tenth of the duration, at least 100 steps, and at most half
        of a drive that sets the duration.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map where none is given.
    exponents : int, optional
        How many; by default all n.
    tolerance : float, optional
        Stop once the run has settled and every standard error is below it.
    rng : int or Generator, optional
        Seed of the start, the frame and the noise.
    workers : int, optional
        Threads over a list: by default one a core, and one in all for systems of less than 128
        states, which threads would slow down.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/step or 1/time unit
            Lyapunov exponents, largest first; -inf for a direction that falls into the span of
            those before it, to rounding (a saturated unit, or a missing rank).
        lyapunov_error : (exponent,), 1/step or 1/time unit
            Standard error of the exponents, from the slow fluctuations of growth; of several
            sequences, from their scatter.
        lyapunov_spread : (exponent,), 1/step or 1/time unit [optional]
            Standard deviation over several sequences.
        running : (time, exponent), 1/step or 1/time unit
            Running estimate of the exponents.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension; leading exponents within three errors of 0 count as 0.
        kaplan_yorke_dimension_error : (), 1
            Standard error of the dimension.
        entropy_rate : (), nats/step or nats/time unit
            Sum of the positive exponents (Pesin).
        sum_residual : (), 1/step or 1/time unit
            Sum of the exponents less the mean of ln|det J|, or of the divergence; NaN where not all
            exponents are measured.
        converged : (), 1
            Whether the estimate has settled; where not, the attribute ``warning`` has the reason.

    Raises
    ------
    ShapeError, ValueError, TypeError
        For wrong arguments, and where neither duration nor an array sets the length of the run.
    NotFiniteError
        Where the orbit is lost, with the step.

    Warns
    -----
    ShortRunWarning
        Where the run has not settled.

    References
    ----------
    Benettin et al. (1980), Meccanica 15, 9; Geist, Parlitz and Lauterborn (1990), Prog. Theor.
    Phys. 83, 875; Kaplan and Yorke (1979), Lect. Notes Math. 730, 204.

    Examples
    --------
    >>> import dynmem as dm
    >>> linear = dm.models.Linear(np.diag([1.1, 0.8]))
    >>> found = dm.lyapunov_spectrum(linear, np.zeros(2), duration=100, transient=100)
    >>> [round(float(v), 6) for v in found.lyapunov]
    [0.09531, -0.223144]
    """
    system, x0 = step_system(system, x0, state, drive)
    system = system if isinstance(system, (list, tuple)) else as_system(system, timed=True)
    duration, transient = read_span(system, drive, duration, transient, dt)
    options = {
        "duration": duration,
        "transient": transient,
        "exponents": exponents,
        "dt": dt,
        "tolerance": tolerance,
    }
    sequences = recorded(system, drive)
    if sequences is not None and sequences.ndim == 3:
        found = averaged(
            lambda sequence: measured_spectrum(system, x0, sequence, rng, workers, **options),
            sequences,
        )
    else:
        found = measured_spectrum(system, x0, drive, rng, workers, **options)
    if "warning" in found.attrs:
        warnings.warn(found.attrs["warning"], ShortRunWarning, stacklevel=3)
    return found


def measured_spectrum(
    system,
    x0,
    drive,
    rng,
    workers=None,
    *,
    duration,
    transient,
    exponents,
    dt,
    tolerance=None,
) -> Dataset:
    """What ``lyapunov_spectrum`` returns, without its warning."""
    whole_steps(duration, 1.0)
    options = {
        "duration": duration,
        "transient": transient,
        "exponents": exponents,
        "dt": dt,
        "tolerance": None if tolerance is None else number("tolerance", tolerance, above=0),
    }
    if isinstance(system, (list, tuple)):
        return _ensemble(system, x0, drive, options, rng, workers)
    with one_thread():
        return _spectrum(as_system(system, timed=True), x0, drive, rng, **options)


def _ensemble(systems, x0, drive, options, rng, workers):
    if not systems:
        raise ValueError("an empty list of systems: pass at least one")
    systems = [as_system(system, timed=True) for system in systems]
    flows = [system for system in systems if isinstance(system, Flow)]
    in_clock = any(flow.timed for flow in flows) or (
        bool(flows) and (is_signal(drive) or has_times(drive))
    )
    steppers = systems if in_clock else _of_one_step(systems, x0, drive, options, workers)
    found = _ensemble_spectra(steppers, x0, drive, options, rng, workers)
    for name, values in differing_parameters(systems).items():
        if name not in found.variables and name not in found.dims:
            label = {"units": "1", "long_name": f"parameter {name}"}
            found = found.assign_coords({name: ("model", values, label)})
    return found


def _ensemble_spectra(systems, x0, drive, options, rng, workers):
    import xarray as xr

    own = (
        [rng] * len(systems)
        if isinstance(rng, (int, np.integer))
        else generator(rng).spawn(len(systems))
    )
    if (together := _together(systems, x0, drive, own, workers, **options)) is not None:
        return together
    if workers is None and max(system.size or 0 for system in systems) < THREADED_STATE_SIZE:
        workers = 1
    parts = map_threads(
        lambda pair: _spectrum(pair[0], x0, drive, pair[1], **options),
        list(zip(systems, own, strict=True)),
        workers,
    )
    return xr.concat(parts, "model", combine_attrs="drop_conflicts", join="outer")


def _of_one_step(systems, x0, drive, options, workers):
    """The systems of an ensemble, flows as maps of one step, the shortest that any of them
    needs."""
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
    held, duration = example_input(flows[0], drive), options["duration"] * TANGENT_COST
    if len(sizes) == 1 and same_structure(flows):
        step = suggest_step(
            flows, x0, drive=held, duration=duration * len(flows), workers=workers or cores()
        )
    else:
        step = min(suggest_step(flow, x0, drive=held, duration=duration) for flow in flows)
    return [FlowMap(flow, step, order=8, rtol=DEFAULT_RTOL) for flow in flows]


def _together(systems, x0, drive, seeds, workers, *, duration, transient, exponents, dt, tolerance):
    """An ensemble of one equation, compiled; None where each system has to run by itself."""
    if (
        isinstance(systems[0], Flow)  # with a clock: each has a step of its own
        or inner(systems[0]).timed
        or not same_structure(systems)
        or isinstance(seeds[0], np.random.Generator)
        or callable(drive)
        or np.isscalar(drive)
    ):
        return None
    first, spawned = systems[0], generator(seeds[0]).spawn(3)
    skip, steps, transient = _steps(first, duration, transient)
    x = np.stack(
        [
            _draw_without_advancing(system.initial, spawned[0])
            if x0 is None
            else as_state(system, x0, "x0")
            for system in systems
        ]
    )
    if x.ndim != 2:
        return None
    n, workers = x.shape[1], workers or cores()
    compiled = program(first, n, (skip + steps) * len(systems) * TANGENT_COST)
    if compiled is None:
        return None
    inputs = read_drive(first, drive, skip + steps, spawned[1])
    frame = random_frame(how_many(exponents, n), n, spawned[2])
    growth = compiled_growth(compiled, systems, x, frame, inputs, skip, steps, tolerance, workers)
    if growth is None:
        return None
    parameters = {"duration": duration, "transient": transient, "drive": drive_name(drive)}
    flow = inner(first)
    estimates = _estimates(growth, n, first.dt, transient, workers)
    return _labelled(flow, first.dt, growth, estimates, seeds[0], parameters, ("model",))


def _draw_without_advancing(draw, rng):
    """draw(rng), with the state of the generator restored."""
    state = rng.bit_generator.state
    drawn = draw(rng)
    rng.bit_generator.state = state
    return drawn


def _steps(stepper, duration, transient):
    """Steps of the transient and of the run, and the transient."""
    steps = steps_in(stepper, duration)
    if transient is None:
        transient = default_transient(duration, stepper.dt)
        skip = whole_steps(transient, stepper.dt)
    else:
        skip = steps_in(stepper, transient, "transient")
    if steps < 1:
        raise ValueError(f"duration = {duration} is less than one step of {stepper.dt}")
    return skip, steps, transient


def _spectrum(system, x0, drive, rng, *, duration, transient, exponents, dt, tolerance):
    seeds = generator(rng).spawn(3)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(
            f"x0 has shape {x.shape}: pass one start of shape (n,), or a list of "
            "systems for an ensemble"
        )
    n, k = len(x), how_many(exponents, len(x))
    run = in_time(system, x, drive, dt)
    x, held, work = run.x, example_input(run.system, run.drive), duration * TANGENT_COST
    stepper = as_map(run.system, dt, x, held, work, run.spacing)
    skip, steps, transient = _steps(stepper, duration, transient)
    inputs = run.inputs(stepper, skip + steps, seeds[1])
    check_rule(stepper, x, inputs(0))
    compiled = program(stepper, len(x), (skip + steps) * TANGENT_COST)
    growth = None
    if compiled:
        frame = random_frame(k, n, deepcopy(seeds[2]), run.clock)
        growth = compiled_growth(
            compiled, [stepper], x[None].copy(), frame, inputs, skip, steps, tolerance
        )
    if growth is None:
        tangents = Tangents(stepper, x, k, inputs, seeds[2], skip + steps, run.clock)
        growth = _measured_growth(tangents, skip, steps, tolerance)
    parameters = {"duration": duration, "transient": transient, "drive": drive_name(drive)}
    estimates = _estimates(growth, n, stepper.dt, transient)
    return _labelled(system, stepper.dt, growth, estimates, rng, parameters)


def _measured_growth(run, skip, steps, tolerance, points=RUNNING_POINTS):
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
        may_end = tolerance is not None and i >= len(marks) // 10
        if (
            may_end
            and len(run.record.durations) >= MIN_RECORDS
            and within(tolerance, *certainty(*run.record.arrays()))
        ):
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


def _dimensions(growth, values, error, order, complete):
    """Kaplan-Yorke dimensions of spectra (..., k), and their errors: that of the growth of volume
    by which the dimension changes."""
    shape, k = values.shape[:-1], values.shape[-1]
    growths = growth.growths.reshape(-1, *growth.growths.shape[-2:])
    rows = (a.reshape(-1, k) for a in (values, error, order))
    found = []
    for records, value, err, rank in zip(growths, *rows, strict=True):
        size, weights, dropped = dimension(value, err, complete)
        along = (np.where(weights != 0, records[:, rank], 0.0) @ weights)[:, None]
        spread = certainty(growth.durations, along)[0][0] if weights.any() else 0.0
        found.append((size, np.nan if np.isnan(size) else np.hypot(spread, dropped)))
    sizes, errors = np.array(found).T
    return sizes.reshape(shape), errors.reshape(shape)


def _resting(growth, first, growing):
    """Whether the first exponent, where it is above 0, comes from an orbit with long rests."""
    growths = growth.growths.reshape(-1, *growth.growths.shape[-2:])
    found = [
        bool(grows)
        and len(records) >= MIN_RECORDS
        and laminar_share(growth.durations, records[:, k]) > MAX_LAMINAR_SHARE
        for records, k, grows in zip(growths, np.ravel(first), np.ravel(growing), strict=True)
    ]
    return np.reshape(found, np.shape(first))


def _turning(values, n, transient, duration):
    """``turning_bias`` of each spectrum (..., k) of a system of n states, and ``unknown_bias`` of
    the last exponent."""
    k = values.shape[-1]
    known = [turning_bias(row, transient, duration) for row in values.reshape(-1, k)]
    unknown = np.zeros(values.shape)
    if k < n:
        unknown[..., -1] = unknown_bias(n - k, transient, duration)
    return np.reshape(known, values.shape), unknown


def _certainty(growth, biases, workers):
    """``certainty`` of one system, or of the members of an ensemble on several threads."""
    if growth.growths.ndim == 2:
        return certainty(growth.durations, growth.growths, *biases)
    shape = growth.growths.shape[0], growth.growths.shape[-1]
    error, sure = np.empty(shape), np.empty(shape, bool)

    def part(a, b):
        error[a:b], sure[a:b] = certainty(
            growth.durations, growth.growths[a:b], *(bias[a:b] for bias in biases)
        )

    over_threads(part, len(error), workers)
    return error, sure


@dataclass(frozen=True)
class _Estimates:
    """Numbers of a spectrum: exponents (..., k) with their errors, the running estimate (...,
    times, k), and what follows from them (...)."""

    values: np.ndarray
    error: np.ndarray
    running: np.ndarray
    dimension: np.ndarray
    dimension_error: np.ndarray
    entropy: np.ndarray
    residual: np.ndarray
    settled: np.ndarray
    intermittent: np.ndarray
    broken: np.ndarray  # whether the sum rule is violated
    complete: bool  # whether all n exponents were measured


def _estimates(growth, n, dt, transient, workers=1):
    """Exponents in falling order from the growth of a frame of n states over steps of dt."""
    values = np.where(growth.lost, -np.inf, growth.running[..., -1, :])
    order = np.argsort(-values, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1)
    values = np.take_along_axis(values, order, axis=-1)
    biases = _turning(values, n, transient, growth.durations.sum())
    biases = [np.take_along_axis(bias, rank, axis=-1) for bias in biases]
    error, sure = _certainty(growth, biases, workers)
    error = np.take_along_axis(error, order, axis=-1)
    error = np.where(np.isfinite(values), np.maximum(error, STEP_ROUNDING / abs(dt)), error)
    complete = values.shape[-1] == n
    residual = np.full(growth.residual.shape, np.nan)
    if complete:
        residual = growth.residual / np.maximum(growth.checked, 1) / abs(dt)
    residual = np.where(growth.checked > 0, residual, np.nan)
    size = np.where(np.isfinite(values), np.abs(values), 0.0).sum(axis=-1)
    dimension, dimension_error = _dimensions(growth, values, error, order, complete)
    resting = _resting(growth, order[..., 0], values[..., 0] > error[..., 0])
    known = complete | (values[..., -1] <= 0)
    return _Estimates(
        values,
        error,
        np.take_along_axis(growth.running, order[..., None, :], axis=-1),
        dimension,
        dimension_error,
        np.where(known, np.where(values > 0, values, 0.0).sum(axis=-1), np.nan),
        residual,
        sure.all(axis=-1) & ~resting,
        resting,
        np.abs(residual) > 1e-2 * np.maximum(1.0, size),
        complete,
    )


def _labelled(system, dt, growth, found, rng, parameters, batch=()):
    per, unit = rate_unit(system, dt)
    spectrum = (*batch, "exponent")
    rows = {
        "lyapunov": (spectrum, found.values, per, "Lyapunov exponent"),
        "lyapunov_error": (spectrum, found.error, per, "standard error of the exponent"),
        "running": (
            (*batch, "time", "exponent"),
            found.running,
            per,
            "running estimate of the exponent",
        ),
        "kaplan_yorke_dimension": (batch, found.dimension, "1", "Kaplan-Yorke dimension"),
        "kaplan_yorke_dimension_error": (
            batch,
            found.dimension_error,
            "1",
            "standard error of the Kaplan-Yorke dimension",
        ),
        "entropy_rate": (batch, found.entropy, f"nats/{unit}", "entropy rate by Pesin's formula"),
        "sum_residual": (
            batch,
            found.residual,
            per,
            "sum of the exponents less the mean growth of volume",
        ),
        "converged": (
            batch,
            found.settled & ~found.broken,
            "1",
            "whether the estimate has settled",
        ),
    }
    index = np.arange(1, found.values.shape[-1] + 1)
    coords = {
        "exponent": ("exponent", index, "1", "index of the exponent, largest first"),
        "time": ("time", growth.times, unit, "time since the transient"),
    }
    return dataset(
        rows,
        coords,
        title=f"Lyapunov spectrum of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system) | parameters | {"dt": dt},
        **_notes(growth, found),
    )


def _notes(growth, found):
    notes = {"sum_residual_steps": int(growth.checked.sum()), "qr_interval": int(growth.interval)}
    if not found.complete:
        notes["note"] = (
            "sum_residual needs all exponents; dimension and entropy are NaN where "
            "the exponents measured do not determine them"
        )
    if found.broken.any():
        notes["note"] = (
            "the exponents break the sum rule: the step dt is too long for this "
            "system, pass a shorter one"
        )
    if not np.all(found.settled):
        notes["warning"] = INTERMITTENT if found.intermittent.any() else TOO_SHORT
    if growth.lost.any():
        notes["collapsed"] = (
            f"{int(growth.lost.sum())} directions fell into the span of the "
            "others: their exponents are -inf"
        )
    return notes
