"""Datasets by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError, suggestion
from ..runtime.registry import Registry
from ..runtime.validation import public

if TYPE_CHECKING:
    from xarray import Dataset

    from .entry import Entry
    from .orbits import Orbits

__all__ = ["load", "names"]

# each ends with DATASETS = {name: entry}
MODULES = ("orbits", "ephemeris", "neural", "synaptic", "text", "speech")
ALIASES = {
    "de421": "solar_system",
    "planets": "solar_system",
    "prompts": "telephone_prompts",
    "vowels": "japanese_vowels",
}


@cache
def table() -> dict[str, Entry | Orbits]:
    """Entry of each dataset by name: the tables of the modules, merged at first use."""
    merged: dict[str, Entry | Orbits] = {}
    for module in MODULES:
        own = import_module(f".{module}", __package__).DATASETS
        if both := sorted(set(merged) & set(own)):
            raise ValueError(
                f"{', '.join(both)}: in two tables of datasets, rename one in {module}.py"
            )
        merged |= own
    return merged


@cache
def _registry() -> Registry[Entry | Orbits]:
    from ..systems.registry import ALIASES as systems

    return Registry("dataset", table, systems | ALIASES)


def resolve(name: str) -> str:
    """Listed name of a name or alias. Raises UnknownNameError, with what to do with the name of
    something else."""
    try:
        return _registry().resolve(name)
    except UnknownNameError as error:
        error.args = (f"{error}{_hint(name)}",)
        raise


def entry(name: str) -> Entry | Orbits:
    """Entry of a dataset. Raises UnknownNameError."""
    return table()[resolve(name)]


def _hint(name: object) -> str:
    if isinstance(name, PathLike) or (isinstance(name, str) and name.endswith((".nc", ".zarr"))):
        return "; a file is opened by dm.datasets.open"
    if isinstance(name, str) and name.endswith((".csv", ".tsv", ".txt")):
        return "; your own series is read by dm.datasets.from_series, your text by from_text"
    return ""


def names() -> list[str]:
    """Names of the datasets that ``load`` returns.

    Returns
    -------
    list of str
        In alphabetical order, without aliases.

    Examples
    --------
    >>> import dynmem as dm
    >>> {"henon", "solar_system", "text"} <= set(dm.datasets.names())
    True
    """
    return _registry().names()


@public
def options(name: str) -> dict[str, Any]:
    """Options of a dataset with their defaults.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    dict
        Default of each option that ``load`` takes.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.datasets.options("lorenz63")["samples"]
    20000
    """
    return dict(entry(name).options)


@public
def about(name: str) -> str:
    """One sentence on a dataset.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    str
        What it is.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.datasets.about("logistic")
    'Orbit of logistic: Logistic map, chaotic with the exponent ln 2 at r = 4.'
    """
    return entry(name).about


@public
def describe(name: str) -> dict[str, Any]:
    """Facts about a dataset, before it is loaded; ``summary`` is the text on a loaded one.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    dict
        ``name``, ``about`` (a sentence), ``options`` (defaults by name), ``goal`` (what a model is
        to predict), ``licence``, ``law`` (equation) and ``floor`` (meaning of the least error that
        any model can reach).

    Raises
    ------
    UnknownNameError
        For a name that is unknown.
    TypeError
        For a Dataset.

    Examples
    --------
    >>> import dynmem as dm
    >>> facts = dm.datasets.describe("henon")
    >>> facts["goal"], facts["law"]
    ('forecast', "x' = -a*x**2 + y + 1.0, y' = b*x")
    """
    if hasattr(name, "dims"):
        raise TypeError("describe takes the name of a dataset: pass a Dataset to summary")
    found = entry(name)
    facts = {key: getattr(found, key) for key in ("about", "options", "goal", "licence")}
    return {"name": resolve(name), **facts, "law": found.law, "floor": found.floor}


def load(name: str, /, *, cache: bool = False, **given: Any) -> Dataset:
    """A dataset by name; the same options and seed give the same bits.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.
    cache : bool
        Whether to keep it in the user's cache folder, and to read it from there the next time,
        unless dynmem has changed or the file no longer matches its checksum.
    **given
        Options of ``options(name)`` that differ from their defaults.

    Returns
    -------
    xarray.Dataset
        x : (time, state), unit of the system
            States of an orbit; other datasets have variables of their own, see
            ``dm.datasets.summary``.
        split : (time), 1
            Part that each sample belongs to.

        The attributes hold name, options, goal, licence, law and floor.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.
    TypeError
        For an option that the dataset does not take.
    ValueError
        For a value that is out of its bounds.
    ImportError
        Naming the extra to install, where the data come with a package that is missing.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("lorenz63", samples=1000)
    >>> data.x.dims, data.sizes["time"], data.attrs["dataset"]
    (('time', 'state'), 1000, 'lorenz63')
    """
    name = resolve(name)
    check_options(name, given)
    if cache:
        from .cache import cached

        return cached(name, given, lambda: _made(name, given))
    return _made(name, given)


def check_options(name: str, given: dict[str, Any]) -> None:
    """Raise TypeError for options that a dataset does not take."""
    known = options(name)
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(
            f"{name} takes no option {', '.join(unknown)}{suggestion(unknown[0], known)}: "
            f"it takes {', '.join(known) or 'none'}"
        )


def _made(name: str, given: dict[str, Any]) -> Dataset:
    dataset = entry(name)(**given)
    dataset.attrs |= request(name, given)
    return dataset


def request(name: str, given: dict[str, Any]) -> dict[str, str]:
    """Attributes that record the name and all options, the defaults too."""
    from ..labels import as_json

    found = entry(name)
    return {"dataset": name, "options": as_json(getattr(found, "settings", found.options) | given)}
