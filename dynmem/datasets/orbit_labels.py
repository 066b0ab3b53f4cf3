"""Label orbits: variables, coordinates and attributes of the Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..labels import as_seed, dataset, describe_system
from ..system import Map, System
from ..systems.equations import equation
from ..typing import ArrayLike
from .orbit_blocks import Integration
from .orbit_plan import STEP_TOLERANCE, Plan
from .splits import MEANINGS, marks

if TYPE_CHECKING:
    from xarray import Dataset

# units of state and time, where they are not pure numbers
UNITS = {
    "outer_solar_system": ("AU, AU/year", "year"),
    "wong_wang": ("1", "s"),
}
FLOOR_MEANING = (
    "least error of a forecast, in standard deviations of each component: the observation noise"
)


def datasets(integration: Integration, attributes: dict[str, Any]) -> Iterator[Dataset]:
    """The dataset in blocks along time, with these attributes besides."""
    first = 0
    for block in integration.blocks():
        made = labelled(integration, *block, first=first)
        made.attrs |= attributes
        first += made.sizes["time"]
        yield made


def labelled(
    integration: Integration, x: np.ndarray, clean: np.ndarray | None = None, *, first: int = 0
) -> Dataset:
    """Dataset of states ([parameter,] time, state) whose time begins at the sample ``first``."""
    plan = integration.plan
    state_unit, time_unit = _units(plan)
    variables = _variables(plan, x, state_unit, time_unit)
    if clean is not None:
        variables |= _noise(integration, clean, state_unit)
    samples = np.arange(first, first + np.shape(x)[-2])
    system = plan.systems[0]
    varied = {name: values.tolist() for name, values in plan.values.items()}
    made = dataset(
        variables,
        _coordinates(plan, samples, time_unit),
        title=f"orbit of {type(system).__name__}",
        source=system.source,
        parameters=describe_system(system) | varied,
        seed=as_seed(plan.rng),
        goal="forecast",
        **facts(plan),
    )
    made.split.attrs |= MEANINGS
    return made


def _units(plan: Plan) -> tuple[str, str]:
    """Units of the state and of time."""
    step = plan.maps[0]
    discrete = isinstance(plan.systems[0], Map) and step.dt == 1
    return UNITS.get(plan.name, ("1", "step" if discrete else "time unit"))


def _variables(plan: Plan, x: np.ndarray, state_unit: str, time_unit: str) -> dict[str, tuple]:
    lead = ("parameter",) if plan.several else ()
    rates = _rows([each.exponents for each in plan.timescales])
    errors = _rows([each.errors for each in plan.timescales])
    return {
        "x": (
            (*lead, "time", "state"),
            x,
            state_unit,
            "state as observed" if plan.noise else "state",
        ),
        "lyapunov": (
            (*lead, "exponent"),
            rates if plan.several else rates[0],
            f"1/{time_unit}",
            "Lyapunov exponent",
        ),
        "lyapunov_error": (
            (*lead, "exponent"),
            errors if plan.several else errors[0],
            f"1/{time_unit}",
            "error of the Lyapunov exponent",
        ),
    }


def _noise(integration: Integration, clean: np.ndarray, unit: str) -> dict[str, tuple]:
    """States without noise, and the standard deviation of the noise."""
    lead = ("parameter",) if integration.plan.several else ()
    return {
        "clean": ((*lead, "time", "state"), clean, unit, "state without observation noise"),
        "noise": (
            (*lead, "state"),
            integration.noise_deviation,
            unit,
            "standard deviation of the observation noise",
        ),
    }


def _coordinates(plan: Plan, samples: np.ndarray, time_unit: str) -> dict[str, tuple]:
    n = plan.systems[0].size or 0
    count = max(len(each.exponents) for each in plan.timescales)
    names = list(plan.systems[0].states) or [f"x{i}" for i in range(n)]
    return {
        "time": ("time", samples * plan.dt, time_unit, "time since the first sample"),
        "state": ("state", names, "1", "component of the state"),
        "exponent": (
            "exponent",
            np.arange(1, count + 1),
            "1",
            "index of the exponent, largest first",
        ),
        "split": ("time", marks(samples, plan.ends), "1", "part that the sample belongs to"),
        **{k: ("parameter", v, "1", f"parameter {k}") for k, v in plan.values.items()},
    }


def facts(plan: Plan) -> dict[str, Any]:
    """Attributes: exponents, Lyapunov times, noise, floor, law."""
    scales, system = plan.timescales, plan.systems[0]
    how = (
        "iterated by dynmem"
        if isinstance(system, Map)
        else "integrated by dynmem: Runge-Kutta of order 8 (Dormand and Prince), error below "
        f"{STEP_TOLERANCE:g} a unit of time"
    )
    transients = [steps * each.dt for each, steps in zip(plan.maps, plan.transients, strict=True)]
    found: dict[str, Any] = {
        "sampling_step": float(plan.dt),
        "transient": listed(transients),
        "exponents_source": "; ".join(dict.fromkeys(each.source for each in scales)),
        "made_by": how,
        "licence": "none needed: computed",
        "floor": float(plan.noise),
        "floor_meaning": FLOOR_MEANING,
        "chance": 1.0,
        "chance_meaning": "error of the forecast that is always the mean, in the same unit",
        "signal_to_noise": f"{1 / plan.noise:g} ({-20 * np.log10(plan.noise):.1f} dB)"
        if plan.noise
        else "no observation noise",
    }
    if not plan.several:  # of several, the variable lyapunov holds them
        found["exponents"] = listed(scales[0].exponents)
    if any(each.chaotic for each in scales):
        found["lyapunov_time"] = listed([each.unit if each.chaotic else np.inf for each in scales])
    if not all(each.chaotic for each in scales):
        found["characteristic_time"] = listed(
            [np.nan if each.chaotic else each.unit for each in scales]
        )
    return found | law(system)


def law(system: System) -> dict[str, str]:
    """Equation of a system as the attributes ``law`` and, of a small system, ``law_latex``."""
    written = equation(system)
    return {"law": written["text"]} | (
        {"law_latex": written["latex"]} if "latex" in written else {}
    )


def listed(numbers: ArrayLike) -> Any:
    """Numbers as an attribute that is read back as it was: netCDF has no list of one."""
    plain = np.asarray(numbers, dtype=np.float64).tolist()
    return plain if len(plain) != 1 else plain[0]


def _rows(arrays: list[np.ndarray]) -> np.ndarray:
    """Rows of numbers of unequal length as one array, NaN where there is none."""
    out = np.full((len(arrays), max(len(a) for a in arrays)), np.nan)
    for row, a in zip(out, arrays, strict=True):
        row[: len(a)] = a
    return out
