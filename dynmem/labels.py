"""Label arrays: ``dataset`` makes an ``xarray.Dataset`` with units, long names and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .system import System, inner, plain_value
from .typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset


def dataset(
    variables: Mapping[str, tuple],
    coords: Mapping[str, tuple] | None = None,
    *,
    title: str,
    source: str,
    parameters: Mapping | None = None,
    seed: Any = None,
    **attributes: Any,
) -> Dataset:
    """Dataset of variables and coordinates ``{name: (dims, values, units, long_name)}``.

    Parameters
    ----------
    variables, coords : dict of (dims, values, units, long_name)
        Real numbers, truth values or strings. A complex result is two variables, NAME_real and
        NAME_imag (``complex_parts``), since netCDF has no complex type.
    title, source : str
        Title, and the reference.
    parameters : dict, optional
        Stored as JSON: systems by name and parameters, large arrays by their shape.
    seed : int, Generator, str or None
        Stored as ``as_seed`` returns it; left out for None.
    **attributes
        Further attributes.

    Returns
    -------
    xarray.Dataset
        The variables, with the attributes title, source, parameters, seed and dynmem_version.

    Raises
    ------
    TypeError
        If a variable or coordinate is complex.

    Examples
    --------
    >>> d = dataset({"chi": ((), 0.9, "1", "susceptibility")}, title="demo", source="none")
    >>> d.chi.attrs["units"], json.loads(d.attrs["parameters"])
    ('1', {})
    """
    import xarray as xr

    from . import __version__

    def label(name: str, entry: tuple) -> xr.Variable:
        dims, values, units, long_name = entry
        if np.iscomplexobj(values):
            raise TypeError(
                f"{name} is complex, and netCDF holds real numbers only: pass {name}_real and "
                f"{name}_imag, as labels.complex_parts makes them"
            )
        return xr.Variable(dims, values, {"units": units, "long_name": long_name})

    attributes = {
        "title": title,
        "source": source,
        "parameters": as_json(parameters or {}),
        "dynmem_version": __version__,
        **attributes,
    }
    if seed is not None:
        attributes["seed"] = as_seed(seed)
    return xr.Dataset(
        {name: label(name, entry) for name, entry in variables.items()},
        {name: label(name, entry) for name, entry in (coords or {}).items()},
        attributes,
    )


def as_json(parameters: Mapping) -> str:
    """Parameters as JSON: systems by name and parameters, large arrays by their shape.

    >>> as_json({"gain": np.float64(0.9), "weights": np.zeros((30, 30))})
    '{"gain": 0.9, "weights": "array(30, 30)"}'
    """
    return json.dumps(
        {name: plain_value(value) for name, value in parameters.items()}, sort_keys=True
    )


def as_seed(rng: Any) -> int | str:
    """What a Dataset stores of ``rng``: the seed, or a note where a Generator or None was given.

    A note is returned as it is, so that calling the function twice changes nothing.

    >>> as_seed(np.int64(3)), as_seed(as_seed(np.random.default_rng(3))), as_seed(None)
    (3, 'a Generator passed by the caller', 'none: drawn anew each time')
    """
    if isinstance(rng, (int, np.integer)):
        return int(rng)
    if rng is None:
        return "none: drawn anew each time"
    return rng if isinstance(rng, str) else f"a {type(rng).__name__} passed by the caller"


def describe_system(system: System) -> dict:
    """Class name, number of units (of a network) and parameters of a system, for the attribute
    ``parameters`` of a Dataset."""
    units = getattr(system, "units", None)
    named = {"units": units} if isinstance(units, int) else {}
    return {"system": type(system).__name__, **named, **system.parameters}


def complex_parts(
    name: str, dims: str | tuple[str, ...], values: ArrayLike, units: str, long_name: str
) -> dict[str, Any]:
    """Rows NAME_real and NAME_imag of a complex variable: netCDF has no complex type.

    >>> list(complex_parts("eigenvalue", "mode", np.array([1j]), "1", "eigenvalue"))
    ['eigenvalue_real', 'eigenvalue_imag']
    """
    return {
        f"{name}_real": (dims, np.real(values), units, f"{long_name}, real part"),
        f"{name}_imag": (dims, np.imag(values), units, f"{long_name}, imaginary part"),
    }


def differing_parameters(systems: Sequence[System]) -> dict:
    """Values of each parameter (numbers or strings) in which systems of a list differ, by name;
    ``system`` holds the names of their classes where these differ.

    A parameter that some of the systems lack is left out; a FlowMap counts by its flow.

    >>> from dynmem.systems import get
    >>> differing_parameters([get("henon", a=a) for a in (1.0, 1.4)])
    {'a': array([1. , 1.4])}
    """
    flows = [inner(system) for system in systems]
    columns = {"system": [type(system).__name__ for system in flows]}
    for name in flows[0].parameters:
        if all(name in system.parameters for system in flows):
            columns[name] = [getattr(system, name) for system in flows]
    found = {}
    for name, column in columns.items():
        values = np.array(column) if all(np.ndim(v) == 0 for v in column) else np.empty(0)
        if values.dtype.kind in "biufU" and len(set(values.tolist())) > 1:
            found[name] = values
    return found


def step_length(result: Dataset) -> float | None:
    """Time of one step, the parameter ``dt`` of a result; None where it has none.

    >>> step_length(dataset({}, title="demo", source="none", parameters={"dt": 0.25}))
    0.25
    """
    found = json.loads(result.attrs.get("parameters", "{}")).get("dt")
    return float(found) if isinstance(found, (int, float)) else None


def unit_factor(given: str, wanted: str, dt: float | None = None) -> float:
    """Factor from one unit to another: steps of ``dt`` to units of time, bits to nats, ms to years.

    Parameters
    ----------
    given, wanted : str
        Units, or one unit over another ("nats/step").
    dt : float, optional
        Time of one step.

    Returns
    -------
    float
        The number by which a value in ``given`` is multiplied.

    Raises
    ------
    ValueError
        Where they cannot be converted, with what is missing.

    Examples
    --------
    >>> unit_factor("1/time unit", "1/step", dt=0.25), unit_factor("s", "ms")
    (0.25, 1000.0)
    """
    if given == wanted:
        return 1.0
    factor, dimensions = 1.0, []
    for unit, sign in ((given, 1), (wanted, -1)):
        names = unit.split("/")
        if len(names) > 2 or not set(names) <= _SCALES.keys():
            raise ValueError("no conversion is known")
        parts = [_SCALES[name] for name in names]
        sizes = [dt if size is None else size for _, size in parts]
        if None in sizes and {"step", "time unit"} <= {*given.split("/"), *wanted.split("/")}:
            raise ValueError("the time of a step is not known: give one of them the parameter dt")
        numbers = [1.0 if size is None else size for size in sizes]
        factor *= (numbers[0] / (numbers[1] if len(numbers) > 1 else 1.0)) ** sign
        dimensions.append([kind for kind, _ in parts])
    if dimensions[0] != dimensions[1]:
        raise ValueError("these are not units of one kind")
    return factor


# kind of a unit and its size, None for that of a step
_SCALES: dict[str, tuple[str, float | None]] = {
    **dict.fromkeys(("1", "nat", "nats"), ("number", 1.0)),
    **dict.fromkeys(("bit", "bits"), ("number", float(np.log(2.0)))),
    **dict.fromkeys(("step", "steps"), ("time", None)),
    "time unit": ("time", 1.0),
    "ms": ("physical time", 1e-3),
    "s": ("physical time", 1.0),
    "h": ("physical time", 3600.0),
    "day": ("physical time", 86400.0),
    "year": ("physical time", 365.25 * 86400.0),
}
