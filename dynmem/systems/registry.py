"""Systems by name."""

from ..errors import UnknownNameError
from .chaos import Henon, Logistic, Lorenz63

SYSTEMS = {"henon": Henon, "logistic": Logistic, "lorenz63": Lorenz63}


def names() -> list[str]:
    """Names of the systems that ``get`` makes."""
    return sorted(SYSTEMS)


def get(name, **parameters):
    """A system by name, with other parameters where they are given.

    >>> get("lorenz63", rho=20.0).rho
    20.0
    """
    if name not in SYSTEMS:
        raise UnknownNameError("system", name, SYSTEMS)
    return SYSTEMS[name](**parameters)
