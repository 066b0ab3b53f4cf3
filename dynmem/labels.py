"""Labels at the doors: arrays become an ``xarray.Dataset`` that explains itself."""

import json

import numpy as np

from .system import System, _plain, inner


def dataset(variables, coords=None, *, title, source, parameters=None, seed=None, **attributes):
    """Dataset of ``{name: (dims, values, units, long_name)}``, for variables and coordinates alike.

    The attributes hold the title, the source (reference), the parameters as JSON, the seed and
    dynmem's version.

    >>> d = dataset({"chi": ((), 0.9, "1", "susceptibility")}, title="demo", source="none")
    >>> d.chi.attrs["units"], json.loads(d.attrs["parameters"])
    ('1', {})
    """
    import xarray as xr

    from . import __version__

    def label(entry):
        dims, values, units, long_name = entry
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
        {k: label(v) for k, v in variables.items()},
        {k: label(v) for k, v in (coords or {}).items()},
        attributes,
    )


def as_json(parameters) -> str:
    """Parameters as JSON; systems and arrays as plain records."""
    return json.dumps({k: describe(v) for k, v in parameters.items()}, sort_keys=True)


def describe(value):
    """A value as JSON can hold it: a system by its name and parameters, a large array by its
    shape."""
    return _plain(value)


def as_seed(rng):
    """What a store records of ``rng``: the integer, or words on the generator that was handed in;
    of such words, themselves.

    >>> as_seed(np.int64(3)), as_seed(as_seed(np.random.default_rng(3))), as_seed(None)
    (3, 'a Generator passed by the caller', 'none: drawn anew each time')
    """
    if isinstance(rng, (int, np.integer)):
        return int(rng)
    if rng is None:
        return "none: drawn anew each time"
    return rng if isinstance(rng, str) else f"a {type(rng).__name__} passed by the caller"


def not_a_seed(rng):
    """A sentence on an ``rng`` that gives no random numbers, a list of one; empty where it does."""
    try:
        np.random.default_rng(rng)
    except (TypeError, ValueError):
        return [f"rng = {rng!r:.60}: pass a whole number of at least 0, or a numpy Generator"]
    return []


def describe_system(system: System) -> dict:
    """Name and parameters of a system, for the attributes of a Dataset."""
    return {"system": type(system).__name__, **system.parameters}


def complex_parts(name: str, dims, values, units: str, long_name: str) -> dict:
    """Rows NAME_real and NAME_imag of a complex variable: netCDF-4 has no complex numbers.

    >>> list(complex_parts("eigenvalue", "mode", np.array([1j]), "1", "eigenvalue"))
    ['eigenvalue_real', 'eigenvalue_imag']
    """
    return {
        f"{name}_real": (dims, np.real(values), units, f"{long_name}, real part"),
        f"{name}_imag": (dims, np.imag(values), units, f"{long_name}, imaginary part"),
    }


def differing_parameters(systems) -> dict:
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
