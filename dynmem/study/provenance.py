"""Versions of everything that computes, and what measured a store."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ..runtime.files import checksum

# What dynmem computes with, directly or through each other; packages of the extras where they are
# installed.
NUMERICAL = ("numpy", "scipy", "torch", "numba", "llvmlite", "sympy", "mpmath", "xarray", "pandas")
EXTRAS = ("scikit-learn", "jplephem", "skyfield-data", "aeon", "tokenizers")
# Parts of dynmem that cannot change a measured number. An installed dynmem holds studies/ and
# figures/, a checkout does not: both must have the same version.
NOT_NUMERICAL = (
    "__main__.py",
    "cli",
    "figures/",
    "plotting",
    "runtime/checkout.py",
    "studies/",
    "study/",
)


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python, dynmem, the libraries that it computes with, and ``packages``, which are
    given by the names under which they are imported."""
    found = {"python": platform.python_version(), "dynmem": dynmem_version()}
    names = {name for package in packages for name in _distributions().get(package, [])}
    for name in (*NUMERICAL, *EXTRAS, *sorted(names - {"dynmem"})):
        version = _version(name)
        if version is not None:
            found[name.lower()] = version
    return found


@lru_cache(maxsize=256)
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@lru_cache(maxsize=1)
def dynmem_version() -> str:
    """Version of dynmem with a checksum of the code that computes, which a checkout may change."""
    from .. import __version__

    package = Path(__file__).parents[1]
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    lines = [
        f"{name} {checksum(files[name].read_bytes())}"
        for name in sorted(files)
        if not name.startswith(NOT_NUMERICAL)
    ]
    return f"{__version__} (code {checksum(chr(10).join(lines).encode())[:12]})"
