"""Lazy packages: names are imported when first used, as their ``.pyi`` stub lists them."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from importlib import import_module

import lazy_loader

from ..errors import suggestion

# where a name that the top level does not have is looked for
PACKAGES = ("analysis", "theory", "systems", "models", "tasks", "datasets", "training", "symbolic")


def attach(package: str, file: str) -> tuple[Callable, Callable, list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    A name that it does not have is answered with what was probably meant. ``__all__`` leaves out
    what would shadow a builtin in ``from dynmem import *``.
    """
    load, listing, names = lazy_loader.attach_stub(package, file)
    known = set(names)

    def __getattr__(name: str):
        if name in known or (name.startswith("__") and name.endswith("__")):
            return load(name)
        raise AttributeError(f"{package} has no {name!r}{_meant(package, name, known)}")

    return __getattr__, listing, [name for name in names if not hasattr(builtins, name)]


def _meant(package: str, name: str, known: set[str]) -> str:
    """Where the name is, or which one it was to be."""
    root = package.partition(".")[0]
    for other in PACKAGES if package == root else ():
        module = import_module(f"{root}.{other}")
        if name in getattr(module, "__all__", ()):
            return f": it is {root}.{other}.{name}"
    guess = suggestion(name, known)
    if guess or package != root:
        return guess
    return suggestion(
        name, [f"{other}.{n}" for other in PACKAGES for n in _names(f"{root}.{other}")]
    )


def _names(module: str) -> list[str]:
    return list(getattr(import_module(module), "__all__", ()))
