"""Provenance of a store: fingerprints of the code, and the versions of what computes.

A fingerprint is taken of the parsed program, so that comments, docstrings and layout may change
while the points of a long run stay valid.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import inspect
import platform
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

# Prefixes of the files of dynmem that cannot change a measured number. An installed dynmem holds
# studies/ and figures/, a checkout does not: both must have the same fingerprint.
NOT_NUMERICAL = (
    "__main__.py",
    "cli",
    "figures/",
    "plotting",
    "runtime/checkout.py",
    "runtime/files.py",
    "studies/",
    "study/",
)
Documented: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@lru_cache(maxsize=512)
def fingerprint(source: str, without: frozenset[str] = frozenset()) -> str:
    """Checksum of a program without its docstrings, comments and layout, and without the top-level
    names of ``without``.

    >>> fingerprint("x = 1  # one") == fingerprint("x=1")
    True
    """
    tree = ast.parse(textwrap.dedent(source))
    tree.body = [node for node in tree.body if not _defines(node, without)]
    _remove_docstrings(tree)
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _remove_docstrings(node: Documented) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    for inner in node.body:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            _remove_docstrings(inner)


def _defines(node: ast.stmt, names: frozenset[str]) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name in names
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in names for target in node.targets
    )


def code(measure: Callable, *later: Callable | None) -> dict[str, str]:
    """Fingerprints of the file of ``measure`` (with its siblings that it imports) and of dynmem.

    The grid and the functions ``later``, which only read what was measured, are left out: they are
    compared separately.
    """
    without = frozenset(
        {"STUDY", *(function.__name__ for function in later if function is not None)}
    )
    try:
        own = [fingerprint(Path(inspect.getfile(measure)).read_text(encoding="utf-8"), without)]
        own += [
            fingerprint(path.read_text(encoding="utf-8"), frozenset({"STUDY"}))
            for path in siblings(measure)
        ]
    except (OSError, TypeError):
        own = [function_code(measure)]  # written at a prompt or in a notebook
    package = Path(__file__).parents[1]
    files = sorted(
        path
        for path in package.rglob("*.py")
        if not path.relative_to(package).as_posix().startswith(NOT_NUMERICAL)
    )
    whole = [
        f"{path.relative_to(package).as_posix()} {fingerprint(path.read_text(encoding='utf-8'))}"
        for path in files
    ]
    return {"study": _join(own), "dynmem": _join(whole)}


def function_code(function: Callable | None) -> str:
    """Fingerprint of one function; ``none`` without one, ``unknown`` where its source cannot be
    read."""
    if function is None:
        return "none"
    try:
        return fingerprint(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError):
        return "unknown"


def _join(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def siblings(measure: Callable) -> list[Path]:
    """Files that the file of ``measure`` imports, directly or through each other: of its package,
    or where it belongs to none, of its folder."""
    module = sys.modules[measure.__module__]
    package, start = module.__package__ or "", Path(inspect.getfile(measure))
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        for name in _imports(waiting.pop().read_text(encoding="utf-8"), package):
            path = _file_of(name) if package else start.parent / f"{name.replace('.', '/')}.py"
            if name not in found and path is not None and path.is_file():
                found[name] = path
                waiting.append(path)
    return [found[name] for name in sorted(found)]


def _file_of(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin else None


def _imports(source: str, package: str) -> set[str]:
    """Full names of what a file imports from ``package``: modules, and perhaps names in its
    ``__init__``. Of no package (""): every module that it imports.

    >>> sorted(_imports("from . import gates; from studies.norms import f; import os", "studies"))
    ['studies.gates', 'studies.norms']
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= (
                {base, *(f"{base}.{alias.name}" for alias in node.names)}
                if base == package
                else {base}
            )
    return {name for name in names if name.startswith(f"{package}.")} if package else names


def versions() -> dict[str, str]:
    """Versions of Python, dynmem and the libraries that compute."""
    from .. import __version__

    found = {"python": platform.python_version(), "dynmem": __version__}
    for package in ("numpy", "scipy", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found
