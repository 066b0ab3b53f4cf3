"""Systems by name."""

from dataclasses import fields

from ..errors import UnknownNameError
from .chaos import Henon, Logistic, Lorenz63

SYSTEMS = {"henon": Henon, "logistic": Logistic, "lorenz63": Lorenz63}


def names() -> list[str]:
    """Names of the systems that ``get`` makes."""
    return sorted(SYSTEMS)


def get(name, **parameters):
    """A system by name, with other parameters where they are given. Raises UnknownNameError, and TypeError for one it does not take.

    >>> get("lorenz63", rho=20.0).rho
    20.0
    """
    if name not in SYSTEMS:
        raise UnknownNameError("system", name, SYSTEMS)
    taken = [field.name for field in fields(SYSTEMS[name]) if field.init]
    if unknown := sorted(set(parameters) - set(taken)):
        raise TypeError(f"{name} takes no parameter {', '.join(unknown)}: it takes {', '.join(taken)}")
    return SYSTEMS[name](**parameters)
