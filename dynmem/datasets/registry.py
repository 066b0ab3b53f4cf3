"""Datasets by name: the tables of the modules, merged when a name is first asked for."""

import inspect
from functools import cache
from importlib import import_module
from os import PathLike

from ..errors import UnknownNameError

# each ends with DATASETS = {name: function of options that returns a Dataset}
MODULES = ("orbits", "neural", "text", "speech")


@cache
def table() -> dict:
    """Function that makes each dataset, by name."""
    merged = {}
    for module in MODULES:
        own = import_module(f".{module}", __package__).DATASETS
        if both := sorted(set(merged) & set(own)):
            raise ValueError(
                f"{', '.join(both)} stands in two tables of datasets: rename one in {module}.py"
            )
        merged |= own
    return merged


def names() -> list[str]:
    """Names of the datasets that ``load`` makes."""
    return sorted(table())


def maker(name):
    """The function that makes a dataset; UnknownNameError brings the names there are."""
    if not isinstance(name, str) or name not in table():
        error = UnknownNameError("dataset", name, table())
        error.args = (f"{error}{_meant(name)}",)
        raise error
    return table()[name]


def _meant(name):
    """What to do with the name of something else."""
    from ..tasks import TASKS

    if isinstance(name, PathLike) or (isinstance(name, str) and name.endswith((".nc", ".zarr"))):
        return "; a file is opened by dm.datasets.open"
    return (
        f"; {name} is a task: dm.tasks.get({name!r}).sample(count) is its Dataset"
        if isinstance(name, str) and name in TASKS
        else ""
    )


def options(name) -> dict:
    """What ``load`` takes for a dataset: its options with their defaults.

    >>> options("lorenz63")["samples"]
    20000
    """
    made = maker(name)
    if hasattr(made, "options"):
        return dict(made.options)
    return {p.name: p.default for p in inspect.signature(made).parameters.values()}


def about(name) -> str:
    """The dataset of this name in a line.

    >>> about("logistic")
    "orbit: Logistic map x' = r x (1 - x) (May 1976); at r = 4 its exponent is ln 2 exactly."
    """
    made = maker(name)
    return made.about if hasattr(made, "about") else made.__doc__.partition("\n\n")[0]


def load(name, /, *, cache=False, **given):
    """The dataset of this name, an ``xarray.Dataset``; the same options and seed give the same
    bits.

    Options are those of ``options(name)``. With ``cache`` it is kept in the user's cache folder and
    read from there the next time, unless dynmem has changed or the file no longer matches its
    checksum. The attributes hold the name, the options and what made it.

    Raises UnknownNameError, TypeError for an option that it does not take, ValueError for a value
    that cannot be, ImportError naming the extra to install where the data comes with one.

    >>> d = load("lorenz63", samples=1000)
    >>> d.x.dims, d.sizes["time"], d.attrs["dataset"]
    (('time', 'state'), 1000, 'lorenz63')
    """
    known = options(name)
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(
            f"{name} takes no option {', '.join(unknown)}: it takes {', '.join(known) or 'none'}"
        )
    if cache:
        from .cache import cached

        return cached(name, given, lambda: _made(name, given))
    return _made(name, given)


def _made(name, given):
    dataset = maker(name)(**given)
    dataset.attrs |= called(name, given)
    return dataset


def called(name, given) -> dict:
    """Attributes that say how a dataset was asked for: its name, and all options, the defaults
    too."""
    from ..labels import as_json

    return {
        "dataset": name,
        "options": as_json(getattr(maker(name), "settings", options(name)) | given),
    }
