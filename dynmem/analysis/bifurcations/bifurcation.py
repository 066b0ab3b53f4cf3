"""Diagrams over parameters: where the orbit goes, and whether it is chaotic there."""

import warnings
from dataclasses import fields, replace
from itertools import product
from numbers import Real

import numpy as np

from ...compiler.program import program
from ...compiler.trace import same_structure
from ...errors import NotFiniteError, ShortRunWarning
from ...labels import dataset, describe_system
from ...orbits import FlowMap, as_map, suggest_step, whole_steps
from ...runtime.threads import one_thread
from ...runtime.validation import integer, number
from ...system import Flow, System, as_input, as_state, as_system, component_index
from ..lyapunov.lyapunov_spectrum import measured_spectrum
from .poincare import Section, sampled, settled

SOURCE = "May (1976), Nature 261, 459; Feigenbaum (1978), J. Stat. Phys. 19, 25"
SAME = 1e-6  # distance, relative to the largest component, within which an orbit has come back
REST = 1e-6  # speed, relative to 1 + |x|, at which a flow is at rest


def bifurcation(
    system,
    parameter,
    values,
    *,
    transient,
    duration=None,
    samples=200,
    section=None,
    x0=None,
    u=None,
    dt=None,
    continuation=False,
    exponents=0,
    rng=0,
):
    """Bifurcation diagram: samples of the attractor for each value of a parameter.

    A Map gives its last states, a Flow its crossings of a section. Optionally the largest exponents
    stand beside them.

    Parameters
    ----------
    system : a Map or Flow with a float field of that name (also a FlowMap of such a flow), or a
    function value -> system.
    transient, duration : time before sampling starts, and over which samples (at most the last
        ``samples``) are taken, in the system's unit; for a Map duration is ``samples`` steps by
        default, for a Flow it must be given.
    section : for a Flow: a component (name or index), whose maxima are taken (by default the
        first); or (component, value) for its crossings of that value upwards, (component, value,
        -1) downwards.
    continuation : start each value where the last one ended, so that a branch is followed (run the
        values backwards for the other one of a hysteresis); otherwise each starts at x0, by default
        ``system.initial(rng)``.
    exponents : how many Lyapunov exponents to measure at each value, over ``duration`` after
        ``transient``, or, with continuation, after a tenth of it.
    u : input (inputs,) that is held.

    Returns a Dataset over the parameter's own name: ``x(parameter, sample, state)``, NaN beyond
    ``count(parameter)`` samples; ``period(parameter)`` in samples, 0 where the orbit does not
    repeat within half of them; ``escaped(parameter)``: the orbit was lost, all its numbers are NaN,
    and ``note`` counts these; ``lyapunov(parameter, exponent)`` with ``lyapunov_error`` and
    ``converged``, of which a ShortRunWarning counts the others. A flow that has come to rest is
    sampled once, at rest, where maxima are asked for.

    >>> import dynmem as dm
    >>> found = bifurcation(dm.systems.get("logistic"), "r", [2.9, 3.2, 3.5], transient=2000, samples=8)
    >>> found.period.values.tolist()
    [1, 2, 4]
    """
    make = maker(system, (parameter,))
    values, samples = numbers(parameter, values), integer("samples", samples, 1)
    exponents = integer("exponents", exponents, 0)
    first = make(**{parameter: values[0]})
    if isinstance(first, Flow) and duration is None:
        raise ValueError(
            f"{type(first).__name__} is a Flow: pass duration, the time over which "
            "to sample its section"
        )
    start = first.initial(rng) if x0 is None else as_state(first, x0, "x0")
    systems, rows, x = [make(**{parameter: value}) for value in values], [], start
    held = as_input(first, u) if u is not None else np.zeros(first.inputs) if first.inputs else None
    with one_thread():
        time = transient + (
            samples * abs(getattr(first, "dt", 1.0)) if duration is None else duration
        )
        steppers, made = _steppers(systems, start, _map_step(first, dt), held, time)
        for system, stepper in zip(systems, steppers, strict=True):
            kept, period, end = _row(
                system, stepper, made, x, transient, duration, samples, section, held
            )
            rows.append((kept, period, end))
            x = end if continuation and end is not None else start
    spectra = _beside(
        systems,
        rows,
        start,
        continuation,
        u,
        {
            "exponents": exponents,
            "dt": dt,
            "rng": rng,
            "transient": transient,
            "duration": duration or samples * abs(getattr(first, "dt", 1.0)),
        },
    )
    if exponents:
        _say_short(spectra[:, 2, 0] == 1.0, np.array([end is None for *_, end in rows]))
    options = {
        "transient": transient,
        "duration": duration,
        "continuation": continuation,
        "section": None if section is None else str(section),
    }
    return _diagram(first, parameter, values, rows, spectra, samples, len(start), options, rng)


def parameter_map(
    system, values, *, duration, transient=None, exponents=1, x0=None, u=None, dt=None, rng=0
):
    """Largest Lyapunov exponents over a grid of parameters: where in their space the system is
    chaotic.

    ``system`` as in ``bifurcation`` (a function takes the parameters by name); ``values`` is a dict
    {parameter: values} of one or more; the other options are those of ``lyapunov_spectrum``, with
    an input u that is held.

    Returns a Dataset over the parameters: ``lyapunov(..., exponent)``, ``lyapunov_error(...,
    exponent)``, ``converged(...)``, of which a ShortRunWarning counts the others, ``escaped(...)``
    where the orbit was lost and the numbers are NaN; ``note`` counts these.

    >>> import dynmem as dm
    >>> found = parameter_map(dm.systems.get("henon"), {"a": [0.2, 1.4, 3.0], "b": [0.3]}, duration=300)
    >>> found.escaped.values[:, 0].tolist(), bool(found.lyapunov[1, 0, 0] > 0.3)
    ([False, False, True], True)
    """
    if not isinstance(values, dict) or not values:
        raise ValueError(f"values = {values!r}: pass a dict {{parameter: values}}")
    make, axes = (
        maker(system, tuple(values)),
        {name: numbers(name, v) for name, v in values.items()},
    )
    exponents = integer("exponents", exponents, 1)
    shape = tuple(len(v) for v in axes.values())
    systems = [make(**dict(zip(axes, point, strict=True))) for point in product(*axes.values())]
    first, options = (
        systems[0],
        {
            "duration": duration,
            "transient": transient,
            "exponents": exponents,
            "dt": dt,
            "rng": rng,
        },
    )
    found, error, settled = np.moveaxis(
        _spectra(systems, x0, u, options).reshape(*shape, 3, exponents), -2, 0
    )
    escaped, dims, converged = np.isnan(found).all(axis=-1), tuple(axes), settled[..., 0] == 1.0
    _say_short(converged, escaped)
    per = _per(first)
    label = {
        "lyapunov": ((*dims, "exponent"), found, per, "Lyapunov exponent"),
        "lyapunov_error": ((*dims, "exponent"), error, per, "standard error of the exponent"),
        "converged": (dims, converged, "1", "whether the exponents have settled"),
        "escaped": (dims, escaped, "1", "whether the orbit was lost"),
    }
    coords = {name: (name, v, "1", f"parameter {name}") for name, v in axes.items()}
    coords["exponent"] = (
        "exponent",
        np.arange(1, exponents + 1),
        "1",
        "index of the exponent, largest first",
    )
    return dataset(
        label,
        coords,
        title=f"exponents of {type(first).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=_others(first, dims) | {"duration": duration, "transient": transient},
        **_note(escaped),
    )


def maker(system, names):
    """A function that makes the system for given values of the parameters of these names."""
    if callable(system) and not isinstance(system, System):
        if isinstance(system, type):
            as_system(system)
        return lambda **values: as_system(
            system(*values.values()) if len(values) == 1 else system(**values)
        )
    system = as_system(system)
    inner = system.flow if isinstance(system, FlowMap) else system
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
                f"{type(inner).__name__} has no float parameter {name!r}: it has "
                f"{', '.join(swept) or 'none'}; or pass a function "
                "value -> system"
            )
    if isinstance(system, FlowMap):
        return lambda **values: replace(system, flow=replace(inner, **values))
    return lambda **values: replace(system, **values)


def numbers(name, values):
    """Values of a parameter as an array of finite floats."""
    values = np.atleast_1d(np.asarray(values, float))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"values of {name}: pass at least one finite number, in a list or a vector"
        )
    return values


def _map_step(system, dt):
    """The step asked for; None for a Map, which has its own and refuses another."""
    if isinstance(system, Flow):
        return dt
    as_map(system, dt)
    return None


def _steppers(systems, x, dt, u, time):
    """A map for each system, None where its orbit blows up at once, and machine code for all of
    them where it pays."""
    flows = isinstance(systems[0], Flow)
    steppers = []
    try:
        step = (
            suggest_step(systems, x, u, duration=time * len(systems))
            if flows and dt is None
            else dt
        )
        steppers = [
            as_map(system, None, x, u)
            if step is None
            else FlowMap(system, step, order=8 if dt is None else 4)
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
    made = program(first, len(x), time * len(systems) / abs(first.dt))
    return steppers, None if made is None or made.baked else made


def _row(system, stepper, made, x, transient, duration, samples, section, u):
    """One value: samples, their period, and the state at the end; None where the orbit is lost."""
    if stepper is None:
        return None, 0, None
    settle = whole_steps(transient, stepper.dt, "transient")
    steps = samples if duration is None else whole_steps(duration, stepper.dt)
    cut = _section(system, section, u, len(x))
    try:
        kept, end = sampled(
            made, stepper, settled(made, stepper, x, settle, u), max(1, steps), cut, u, samples
        )
    except NotFiniteError:
        return None, 0, None
    # what maxima there were belong to the way to rest
    if cut is not None and cut.value is None and _at_rest(system, end, u):
        return end[None], 1, end
    return kept, _period(kept), end


def _section(system, section, u, n):
    """The section of a flow; None for a map."""
    if not isinstance(system, Flow):
        if section is not None:
            raise ValueError(
                f"{type(system).__name__} is a Map: its states are sampled, leave section out"
            )
        return None
    plane = isinstance(section, (tuple, list))
    if plane and len(section) not in (2, 3):
        raise ValueError(
            f"section = {section}: pass a component, (component, value) or (component, value, -1)"
        )
    component, value, direction = (*section, 1)[:3] if plane else (section or 0, None, 1)
    if plane and not np.isfinite(number("section", value)):
        raise ValueError(f"section = {section}: the value of the crossing must be finite")
    return Section(
        system, component_index(system, component, n), value, 1 if direction > 0 else -1, u
    )


def _at_rest(system, x, u):
    return np.linalg.norm(system.rule(x, u)) < REST * (1.0 + np.linalg.norm(x))


def _beside(systems, rows, start, continuation, u, options):
    """Exponents, errors and whether they have settled (values, 3, k) beside the samples, NaN where
    the orbit was lost: from one start, or from where each row ended."""
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
    drive = (
        None
        if u is None
        else (lambda _, steps: np.broadcast_to(as_input(systems[0], u), (steps, systems[0].inputs)))
    )
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


def _say_short(converged, escaped):
    """Warn, once, of the runs that have not settled."""
    if short := int((~converged & ~escaped).sum()):
        warnings.warn(
            f"{short} of {converged.size} runs are too short for their exponents, or "
            "their step is too long (converged is False there): "
            "pass a longer duration or transient, or a shorter dt",
            ShortRunWarning,
            stacklevel=3,
        )


def _period(x):
    """Least number of samples after which the orbit repeats, 0 where it does not within half of
    them."""
    size = SAME * max(np.abs(x).max(initial=0.0), 1e-300)
    for p in range(1, len(x) // 2 + 1):
        if np.abs(x[p:] - x[:-p]).max() < size:
            return p
    return 0


def _diagram(system, parameter, values, rows, spectra, samples, n, options, rng):
    exponents = spectra.shape[-1]
    x, count, period = (
        np.full((len(values), samples, n), np.nan),
        np.zeros(len(values), int),
        np.zeros(len(values), int),
    )
    for i, (kept, repeats, _) in enumerate(rows):
        if kept is not None:
            x[i, : len(kept)], count[i], period[i] = kept, len(kept), repeats
    escaped = np.array([kept is None for kept, *_ in rows])
    label = {
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
        label["lyapunov"] = (
            (parameter, "exponent"),
            spectra[:, 0],
            _per(system),
            "Lyapunov exponent",
        )
        label["lyapunov_error"] = (
            (parameter, "exponent"),
            spectra[:, 1],
            _per(system),
            "standard error of the exponent",
        )
        label["converged"] = (
            parameter,
            spectra[:, 2, 0] == 1.0,
            "1",
            "whether the exponents have settled",
        )
        coords["exponent"] = (
            "exponent",
            np.arange(1, exponents + 1),
            "1",
            "index of the exponent, largest first",
        )
    return dataset(
        label,
        coords,
        title=f"bifurcation diagram of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=_others(system, (parameter,)) | options,
        **_note(escaped),
    )


def _per(system):
    return "1/time unit" if isinstance(system, Flow) or system.dt != 1 else "1/step"


def _others(system, swept):
    """Name and parameters of a system but for those that are swept."""
    return {name: value for name, value in describe_system(system).items() if name not in swept}


def _note(escaped):
    return (
        {"note": f"{int(escaped.sum())} of {escaped.size} orbits were lost: their numbers are NaN"}
        if escaped.any()
        else {}
    )
