"""Systems by name: the tables of the modules, merged when a name is first asked for."""

from dataclasses import MISSING, fields
from functools import cache
from importlib import import_module

from ..errors import UnknownNameError

# each ends with SYSTEMS = {name: class}
MODULES = ("maps", "flows", "extended", "planets", "neural")


@cache
def table() -> dict:
    """Class of each system by name."""
    merged = {}
    for module in MODULES:
        own = import_module(f".{module}", __package__).SYSTEMS
        if both := sorted(set(merged) & set(own)):
            raise ValueError(
                f"{', '.join(both)} stands in two tables of systems: rename one in {module}.py"
            )
        merged |= own
    return merged


def names() -> list[str]:
    """Names of the systems that ``get`` makes."""
    return sorted(table())


def get(name, **parameters):
    """A system by name, with other parameters where they are given. Raises UnknownNameError, and
    TypeError for one it does not take.

    >>> get("lorenz63", rho=20.0).rho
    20.0
    """
    made = _class(name)
    taken = [field.name for field in fields(made) if field.init]
    if unknown := sorted(set(parameters) - set(taken)):
        raise TypeError(
            f"{name} takes no parameter {', '.join(unknown)}: it takes {', '.join(taken) or 'none'}"
        )
    for field in fields(made):
        if isinstance(field.default, float) and isinstance(
            value := parameters.get(field.name, 0.0), (str, bytes, type(None))
        ):
            raise TypeError(
                f"{field.name} = {value!r}: {name} takes a number, by default {field.default}"
            )
    return made(**parameters)


def describe(name) -> dict:
    """What a system is: its first sentence, kind, parameters with their defaults, source, and known
    exponents (None without).

    >>> about = describe("henon")
    >>> about["kind"], about["parameters"], about["known"].exponents
    ('Map', {'a': 1.4, 'b': 0.3}, (0.41922, -1.62319))
    """
    from ..system import Map

    made = _class(name)
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(made) if f.init}
    return {
        "name": name,
        "summary": (made.__doc__ or "").strip().partition("\n\n")[0],
        "kind": "Map" if issubclass(made, Map) else "Flow",
        "parameters": defaults,
        "source": made.source,
        "known": known_exponents(name),
    }


def about(name) -> str:
    """The first sentence on a system."""
    return describe(name)["summary"]


def known_exponents(name):
    """Exponents of a system at its default parameters with their source, a ``Known``, or None where
    none are known.

    >>> known_exponents("lorenz63").exponents[0]
    0.9056
    """
    return _class(name).known


def _class(name):
    if not isinstance(name, str) or name not in table():
        raise UnknownNameError("system", name, table())
    return table()[name]
