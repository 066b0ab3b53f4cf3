"""Entry of a dataset in the registry: the function that makes it, and facts known beforehand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True)
class Entry:
    """A dataset by the function that makes it.

    Parameters
    ----------
    make : callable
        Function of keyword options that returns the Dataset.
    goal : str
        What a model is to predict, as the attribute ``goal`` of the Dataset.
    licence : str
        Licence of the data.
    law : str
        Equation, or what the data obey.
    floor : str
        Meaning of the least error that any model can reach.

    Examples
    --------
    >>> def zeros(*, samples=3):
    ...     '''Zeros, for a test.'''
    >>> Entry(zeros, "forecast", "none needed", "x = 0", "zero").options
    {'samples': 3}
    """

    make: Callable[..., Dataset]
    goal: str
    licence: str
    law: str
    floor: str

    @property
    def about(self) -> str:
        """First sentence of the docstring of the function."""
        return " ".join((self.make.__doc__ or "").strip().partition("\n\n")[0].split())

    @property
    def options(self) -> dict[str, Any]:
        """Options with their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters}

    def __call__(self, **options: Any) -> Dataset:
        return self.make(**options)
