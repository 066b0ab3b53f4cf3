"""Diagrams over parameters: where the orbit goes, and whether it is chaotic there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.jacobian import jacobian
from ...compiler.program import program
from ...compiler.trace import same_structure
from ...drive import constant_drive, default_transient
from ...errors import NotFiniteError, ShortRunWarning, suggestion
from ...integrate.discontinuity import jumps
from ...labels import dataset, describe_system
from ...orbits import DEFAULT_RTOL, FlowMap, as_map, steps_in, suggest_step, whole_steps
from ...runtime.memory import require_memory
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, number, public
from ...sections.surface import Maxima, plane
from ...system import Flow, Map, System, as_state, as_system, circles_of, component_index
from ...typing import ArrayLike, Drive, Rng
from ..lyapunov.lyapunov_spectrum import measured_spectrum
from .samples import advance, last_samples

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "May (1976), Nature 261, 459; Feigenbaum (1978), J. Stat. Phys. 19, 25"
PERIOD_TOLERANCE = 1e-6  # relative to the largest component, within which an orbit has come back
REPELLING_MARGIN = 0.01  # of a multiplier above 1: a slow approach to a stable cycle is no repeller
UNSTABLE = -1  # in place of the period of a cycle that no orbit ends on but by rounding
REST_SPEED = 1e-6  # relative to 1 + |x|, below which a flow is at rest
STEPS_BETWEEN_JUMPS = 10  # parts of the step of a flow that jumps, which is long


@public
def bifurcation(
    system: System | Callable[[float], System],
    parameter: str,
    values: ArrayLike,
    *,
    x0: ArrayLike | None = None,
    drive: Drive = None,
    duration: float | None = None,
    transient: float | None = None,
    samples: int = 200,
    section: Any = None,
    dt: float | None = None,
    continuation: bool = False,
    exponents: int = 0,
    rng: Rng = 0,
) -> Dataset:
    """Bifurcation diagram: samples of the attractor for each value of a parameter.

    A Map gives its last states, a Flow its crossings of a Poincaré section; with ``exponents`` also
    its largest Lyapunov exponents.

    Parameters
    ----------
    system : Map, Flow or callable
        A system with a float field of that name (also a FlowMap of such a flow), or a function
        value -> system.
    parameter : str
        Name of the parameter.
    values : array_like (values,)
        Its values.
    x0 : array_like (n,), optional
        Start at each value; by default ``system.initial(rng)``.
    drive : array_like (inputs,), optional
        Input that is held; zero by default.
    duration : float, optional
        Time over which samples are taken, in the system's unit; for a Map ``samples`` steps by
        default, for a Flow required.
    transient : float, optional
        Time before sampling starts; by default a tenth of the duration, at least 100 steps.
    samples : int, optional
        How many samples, the last ones, are kept.
    section : str, int or tuple, optional
        For a Flow: a component (name or index), whose maxima are taken (by default the first); or
        (component, value) for its crossings of that value upwards, (component, value, -1)
        downwards; of a phase, modulo its period.
    dt : float, optional
        Step of a Flow, chosen by its tangent map where none is given.
    continuation : bool, optional
        Start each value where the last one ended, so that a branch is followed (run the values
        backwards for the other one of a hysteresis).
    exponents : int, optional
        How many Lyapunov exponents to measure at each value, over ``duration`` after ``transient``,
        or, with continuation, after the default one.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        x : (parameter, sample, state), 1
            Samples, NaN beyond ``count``. The dim has the parameter's own name.
        count : (parameter,), 1
            Samples taken. A flow at rest is sampled once where maxima are asked for.
        period : (parameter,), 1
            Period in samples, 0 where the orbit does not repeat within half of them, or where the
            cycle of a map is unstable (the attribute ``note`` counts these).
        escaped : (parameter,), 1
            Whether the orbit was lost, so that all its numbers are NaN.
        lyapunov : (parameter, exponent), 1/step or 1/time unit [optional]
            Largest exponents.
        lyapunov_error : (parameter, exponent), 1/step or 1/time unit [optional]
            Standard errors of the exponents.
        converged : (parameter,), 1 [optional]
            Whether the exponents have settled.

    Raises
    ------
    ValueError
        For a parameter that the system does not have, or a Flow without duration.

    Warns
    -----
    ShortRunWarning
        With the number of runs that are too short for their exponents.

    References
    ----------
    May (1976), Nature 261, 459; Feigenbaum (1978), J. Stat. Phys. 19, 25.

    Examples
    --------
    >>> import dynmem as dm
    >>> logistic = dm.systems.get("logistic")
    >>> found = dm.bifurcation(logistic, "r", [2.9, 3.2, 3.5], transient=2000, samples=8)
    >>> found.period.values.tolist()
    [1, 2, 4]
    """
    make = system_factory(system, (parameter,))
    values, samples = parameter_values(parameter, values), integer("samples", samples)
    exponents = integer("exponents", exponents, 0)
    require_memory(24 * len(values) * samples, f"samples = {samples} a value", "pass fewer")
    systems = [make(**{parameter: value}) for value in values]
    first = systems[0]
    if isinstance(first, Flow) and duration is None:
        raise ValueError(
            f"{type(first).__name__} is a Flow: pass duration, the time over which "
            "to sample its section"
        )
    span = samples * abs(getattr(first, "dt", 1.0)) if duration is None else duration
    start = first.initial(generator(rng)) if x0 is None else as_state(first, x0, "x0")
    held = constant_drive(first, drive)
    with one_thread():
        time = (0.1 * span if transient is None else transient) + span
        steppers, compiled = _steppers(systems, start, _map_step(first, dt), held, time)
        if transient is None:
            steps = [abs(stepper.dt) for stepper in steppers if stepper]
            transient = default_transient(span, max(steps, default=0.0))
            transient = transient if isinstance(first, Flow) else float(round(transient))
        elif stepper := next(filter(None, steppers), None):
            steps_in(stepper, transient, "transient")
        sampling = _Sampling(compiled, transient, duration, samples, section, held)
        rows = sampling.rows(systems, steppers, start, continuation)
    runs = {"exponents": exponents, "dt": dt, "rng": rng}
    runs |= {"transient": transient, "duration": span}
    spectra = _exponents_of_rows(
        systems, rows, start, continuation, None if drive is None else held, runs
    )
    if exponents:
        _warn_if_short(spectra[:, 2, 0] == 1.0, np.array([end is None for *_, end in rows]))
    options = {
        "transient": transient,
        "duration": duration,
        "continuation": continuation,
        "section": None if section is None else str(section),
    }
    return _diagram(first, parameter, values, rows, spectra, samples, len(start), options, rng)


@public
def parameter_map(
    system: System | Callable[..., System],
    values: Mapping[str, ArrayLike],
    *,
    x0: ArrayLike | None = None,
    drive: Drive = None,
    duration: float,
    transient: float | None = None,
    exponents: int = 1,
    dt: float | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Largest Lyapunov exponents over a grid of parameters: where in their space there is chaos.

    Parameters
    ----------
    system : Map, Flow or callable
        As in ``bifurcation``; a function takes the parameters by name.
    values : dict of {str: array_like}
        Values of one or more parameters.
    x0 : array_like (n,), optional
        Start; by default ``system.initial(rng)``.
    drive : array_like (inputs,), optional
        Input that is held; zero by default.
    duration, transient : float
        As in ``lyapunov_spectrum``.
    exponents : int, optional
        How many exponents.
    dt : float, optional
        Step of a Flow, chosen by its tangent map where none is given.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        lyapunov : (parameter, ..., exponent), 1/step or 1/time unit
            Largest exponents, one dim for each parameter.
        lyapunov_error : (parameter, ..., exponent), 1/step or 1/time unit
            Standard errors of the exponents.
        converged : (parameter, ...), 1
            Whether the exponents have settled.
        escaped : (parameter, ...), 1
            Whether the orbit was lost, so that the numbers are NaN; the attribute ``note`` counts
            these.

    Raises
    ------
    ValueError
        For values that are no dict, or a parameter that the system does not have.

    Warns
    -----
    ShortRunWarning
        With the number of runs that are too short for their exponents.

    References
    ----------
    Gallas (1993), Phys. Rev. Lett. 70, 2714.

    Examples
    --------
    >>> import dynmem as dm
    >>> grid = {"a": [0.2, 1.4, 3.0], "b": [0.3]}
    >>> found = dm.analysis.parameter_map(dm.systems.get("henon"), grid, duration=300)
    >>> found.escaped.values[:, 0].tolist(), bool(found.lyapunov[1, 0, 0] > 0.3)
    ([False, False, True], True)
    """
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"values = {values!r:.60}: pass a dict {{parameter: values}}")
    make = system_factory(system, tuple(values))
    axes = {name: parameter_values(name, v) for name, v in values.items()}
    exponents = integer("exponents", exponents)
    shape = tuple(len(v) for v in axes.values())
    systems = [make(**dict(zip(axes, point, strict=True))) for point in product(*axes.values())]
    first = systems[0]
    options = {"duration": duration, "transient": transient, "exponents": exponents}
    held = None if drive is None else constant_drive(first, drive)
    spectra = _spectra(systems, x0, held, options | {"dt": dt, "rng": rng})
    found, error, settled = np.moveaxis(spectra.reshape(*shape, 3, exponents), -2, 0)
    escaped, dims, converged = np.isnan(found).all(axis=-1), tuple(axes), settled[..., 0] == 1.0
    _warn_if_short(converged, escaped)
    per = _rate_unit(first)
    rows = {
        "lyapunov": ((*dims, "exponent"), found, per, "Lyapunov exponent"),
        "lyapunov_error": ((*dims, "exponent"), error, per, "standard error of the exponent"),
        "converged": (dims, converged, "1", "whether the exponents have settled"),
        "escaped": (dims, escaped, "1", "whether the orbit was lost"),
    }
    coords = {name: (name, v, "1", f"parameter {name}") for name, v in axes.items()}
    return dataset(
        rows,
        coords | _exponent_axis(exponents),
        title=f"exponents of {type(first).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=_fixed_parameters(first, dims) | {"duration": duration, "transient": transient},
        **_note(escaped),
    )


def system_factory(system: Any, names: tuple[str, ...]) -> Callable[..., System]:
    """A function of parameter values, by these names, that returns the system."""
    if callable(system) and not isinstance(system, System):
        if isinstance(system, type):
            as_system(system)
        return lambda **values: as_system(
            system(*values.values()) if len(values) == 1 else system(**values)
        )
    system = as_system(system)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise TypeError(
            f"parameter = {wrong[0]!r:.60}: must be the name of a parameter, in quotes; its values "
            "are the argument after it"
        )
    within = next((f.name for f in fields(system) if isinstance(getattr(system, f.name), Flow)), "")
    inner = getattr(system, within) if isinstance(system, Map) and within else system
    known = {f.name: getattr(inner, f.name) for f in fields(inner) if f.init}
    floats = {f.name for f in fields(inner) if f.type in (float, "float")}
    swept = [
        name
        for name, value in known.items()
        if isinstance(value, Real) and (name in floats or not isinstance(value, (bool, int)))
    ]
    for name in names:
        if name not in swept:
            raise ValueError(
                f"{type(inner).__name__} has no float parameter {name!r}{suggestion(name, swept)}: "
                f"it has {', '.join(swept) or 'none'}; or pass a function value -> system"
            )
    if inner is not system:
        return lambda **values: replace(system, **{within: replace(inner, **values)})
    return lambda **values: replace(system, **values)


def parameter_values(name: str, values: ArrayLike) -> np.ndarray:
    """Values of a parameter as an array of finite floats."""
    try:
        found = np.atleast_1d(np.asarray(values, float))
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(
            f"values of {name} = {values!r:.60}: pass at least one finite number, in a list or a "
            "vector"
        )
    return found


def _map_step(system, dt):
    """The step asked for; None for a Map, which has its own and refuses another."""
    if isinstance(system, Flow):
        return dt
    as_map(system, dt)
    return None


def _steppers(systems, x, dt, u, time):
    """A map for each system, None where its orbit diverges at once, and the compiled step of all
    of them where compilation pays."""
    flows = isinstance(systems[0], Flow)
    steppers = []
    try:
        step = (
            suggest_step(systems, x, drive=u, duration=time * len(systems))
            if flows and dt is None
            else dt
        )
        if flows and dt is None and jumps(systems[0], len(x)):
            step /= STEPS_BETWEEN_JUMPS  # a section is looked for between two states
        steppers = [
            as_map(system, None, x, u)
            if step is None
            else FlowMap(system, step, order=8, rtol=DEFAULT_RTOL)
            if dt is None
            else FlowMap(system, step)
            for system in systems
        ]
    except NotFiniteError:  # of one of them: each gets a step of its own
        for system in systems:
            try:
                steppers.append(as_map(system, None, x, u, time))
            except NotFiniteError:
                steppers.append(None)
    first = next((stepper for stepper in steppers if stepper), None)
    if first is None or not same_structure(systems):
        return steppers, None
    compiled = program(first, len(x), time * len(systems) / abs(first.dt))
    return steppers, None if compiled is None or compiled.baked else compiled


@dataclass(frozen=True)
class _Sampling:
    """How the attractor is sampled at each value of the parameter."""

    compiled: Any
    transient: float
    duration: float | None
    samples: int
    section: Any
    u: np.ndarray | None

    def rows(self, systems, steppers, start, continuation):
        """(samples, their period, the state at the end) for each system, None where the orbit is
        lost."""
        rows, x = [], start
        for system, stepper in zip(systems, steppers, strict=True):
            kept, period, end = self._row(system, stepper, x)
            rows.append((kept, period, end))
            x = end if continuation and end is not None else start
        return rows

    def _row(self, system, stepper, x):
        if stepper is None:
            return None, 0, None
        skipped = whole_steps(self.transient, stepper.dt, "transient")
        steps = self.samples if self.duration is None else steps_in(stepper, self.duration)
        section = _section(system, self.section, self.u, len(x))
        try:
            x = advance(self.compiled, stepper, x, skipped, self.u)
            kept, end = last_samples(
                self.compiled, stepper, x, max(1, steps), section, self.u, self.samples
            )
        except NotFiniteError:
            return None, 0, None
        # what maxima there were belong to the way to rest
        if isinstance(section, Maxima) and _at_rest(system, end, self.u):
            return end[None], 1, end
        period = _period(kept, circles_of(system, len(x)))
        if period and section is None and _repels(system, kept[-period:], self.u):
            period = UNSTABLE
        return kept, period, end


def _section(system, section, u, n):
    """The section of a flow; None for a map."""
    if not isinstance(system, Flow):
        if section is not None:
            raise ValueError(
                f"{type(system).__name__} is a Map: its states are sampled, leave section out"
            )
        return None
    is_plane = isinstance(section, (tuple, list))
    if is_plane and len(section) not in (2, 3):
        raise ValueError(
            f"section = {section}: pass a component, (component, value) or (component, value, -1)"
        )
    component, value, direction = (*section, 1)[:3] if is_plane else (section or 0, None, 1)
    if not is_plane:
        return Maxima(system, component_index(system, component, n), u)
    component_index(system, component, n)
    return plane(system, component, number("section", value), direction, None, n)


def _at_rest(system, x, u):
    return np.linalg.norm(system.rule(x, u)) < REST_SPEED * (1.0 + np.linalg.norm(x))


def _exponents_of_rows(systems, rows, start, continuation, u, options):
    """Exponents, errors and whether they have settled (values, 3, k), NaN where the orbit was lost:
    from one start, or from where each row ended."""
    found = np.full((len(systems), 3, options["exponents"]), np.nan)
    kept = [i for i, row in enumerate(rows) if row[2] is not None]
    if not options["exponents"] or not kept:
        return found
    if continuation:
        options = options | {"transient": None}
        found[kept] = [_spectra([systems[i]], rows[i][2], u, options)[0] for i in kept]
    else:
        found[kept] = _spectra([systems[i] for i in kept], start, u, options)
    return found


def _spectra(systems, x, u, options):
    """Exponents, their errors, and 1 where they have settled (systems, 3, k), NaN where the orbit
    is lost: all together, or in halves where one is lost."""
    drive = None if u is None else (lambda _, steps: np.broadcast_to(u, (steps, len(u))))
    try:
        found = measured_spectrum(systems if len(systems) > 1 else systems[0], x, drive, **options)
    except NotFiniteError:
        if len(systems) == 1:
            return np.full((1, 3, options["exponents"]), np.nan)
        middle = len(systems) // 2
        return np.concatenate(
            [_spectra(part, x, u, options) for part in (systems[:middle], systems[middle:])]
        )
    rows = np.stack(
        [
            *np.broadcast_arrays(
                found.lyapunov, found.lyapunov_error, found.converged.values[..., None]
            )
        ],
        axis=-2,
    )
    return rows if len(systems) > 1 else rows[None]


def _warn_if_short(converged, escaped):
    """Warn once, with the number of runs that have not settled."""
    if short := int((~converged & ~escaped).sum()):
        warnings.warn(
            f"{short} of {converged.size} runs are too short for their exponents, or "
            "their step is too long (converged is False there): "
            "pass a longer duration or transient, or a shorter dt",
            ShortRunWarning,
            stacklevel=4,  # the caller of the public function, which @public wraps,
        )


def _period(x, circles):
    """Least number of samples after which the orbit repeats, on the circles of a phase modulo its
    period; 0 where it does not within half of them."""
    if circles is not None:  # a phase has come back where its turn has
        turn = 2.0 * np.pi * x[:, np.isfinite(circles)] / circles[np.isfinite(circles)]
        x = np.hstack([x[:, ~np.isfinite(circles)], np.sin(turn), np.cos(turn)])
    size = PERIOD_TOLERANCE * max(np.abs(x).max(initial=0.0), 1e-300)
    for p in range(1, len(x) // 2 + 1):
        if np.abs(x[p:] - x[:-p]).max() < size:
            return p
    return 0


def _repels(system, cycle, u):
    """Whether a cycle (period, n) of a map is unstable: no orbit ends there but by rounding, or
    from a start on it."""
    product = np.eye(cycle.shape[1])
    for step in jacobian(system, cycle, u):
        product = step @ product
    return np.abs(np.linalg.eigvals(product)).max() > 1.0 + REPELLING_MARGIN


def _diagram(system, parameter, values, sampled, spectra, samples, n, options, rng):
    exponents = spectra.shape[-1]
    x, count, period = (
        np.full((len(values), samples, n), np.nan),
        np.zeros(len(values), int),
        np.zeros(len(values), int),
    )
    for i, (kept, repeats, _) in enumerate(sampled):
        if kept is not None:
            x[i, : len(kept)], count[i], period[i] = kept, len(kept), max(0, repeats)
    escaped = np.array([kept is None for kept, *_ in sampled])
    unstable = sum(repeats == UNSTABLE for _, repeats, _ in sampled)
    rows = {
        "x": ((parameter, "sample", "state"), x, "1", "state on the attractor"),
        "count": (parameter, count, "1", "samples taken"),
        "period": (parameter, period, "1", "period in samples, 0 where none was seen"),
        "escaped": (parameter, escaped, "1", "whether the orbit was lost"),
    }
    coords = {
        parameter: (parameter, values, "1", f"parameter {parameter}"),
        "sample": ("sample", np.arange(samples), "1", "sample"),
        "state": (
            "state",
            list(system.states) or [f"x{i}" for i in range(n)],
            "1",
            "component of the state",
        ),
    }
    if exponents:
        per, dims = _rate_unit(system), (parameter, "exponent")
        settled = spectra[:, 2, 0] == 1.0
        rows |= {
            "lyapunov": (dims, spectra[:, 0], per, "Lyapunov exponent"),
            "lyapunov_error": (dims, spectra[:, 1], per, "standard error of the exponent"),
            "converged": (parameter, settled, "1", "whether the exponents have settled"),
        }
        coords |= _exponent_axis(exponents)
    return dataset(
        rows,
        coords,
        title=f"bifurcation diagram of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=_fixed_parameters(system, (parameter,)) | options,
        **_note(escaped, unstable),
    )


def _exponent_axis(exponents):
    index = np.arange(1, exponents + 1)
    return {"exponent": ("exponent", index, "1", "index of the exponent, largest first")}


def _rate_unit(system):
    return "1/time unit" if isinstance(system, Flow) or system.dt != 1 else "1/step"


def _fixed_parameters(system, swept):
    """Name and parameters of a system, without those that are varied."""
    return {name: value for name, value in describe_system(system).items() if name not in swept}


def _note(escaped, unstable=0):
    """Attribute ``note``: orbits that were lost, and those that ended on an unstable cycle."""
    notes = []
    if escaped.any():
        notes.append(
            f"{int(escaped.sum())} of {escaped.size} orbits were lost: their numbers are NaN"
        )
    if unstable:
        notes.append(
            f"{unstable} of {escaped.size} orbits ended on an unstable cycle, and have no period: "
            "they started there, or rounding led there (a map that shifts binary digits, such as "
            "2 x mod 1, leaves none of a double after 53 steps; take 1.9999 for 2)"
        )
    return {"note": "; ".join(notes)} if notes else {}
