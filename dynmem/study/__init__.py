"""Studies: a grid of parameters, a function that measures one point, and a store that survives what
may happen to it."""

from ..runtime.files import NoSpaceError, load, save
from .parameters import ConfigurationError, Plan
from .run import Stopped
from .store import ChangedError, Store
from .study import Study, failures

__all__ = [
    "Study",
    "Plan",
    "Store",
    "load",
    "save",
    "failures",
    "ConfigurationError",
    "ChangedError",
    "NoSpaceError",
    "Stopped",
]
