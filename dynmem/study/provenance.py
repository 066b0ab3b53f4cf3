"""What made a store: fingerprints of the code, and the versions beneath it.

A fingerprint is taken of the parsed program, so that comments, docstrings and layout may change and
a night's points stay valid.
"""

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
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache(maxsize=512)
def fingerprint(source: str, without: frozenset[str] = frozenset()) -> str:
    """Checksum of a program without its docstrings, comments and layout, and without the top-level
    names of ``without``.

    >>> fingerprint("x = 1  # one") == fingerprint("x=1")
    True
    """
    tree = ast.parse(textwrap.dedent(source))
    tree.body = [node for node in tree.body if not _defines(node, without)]
    _forget_docstrings(tree)
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _forget_docstrings(node: ast.AST) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    for inner in node.body:
        if isinstance(inner, DOCUMENTED):
            _forget_docstrings(inner)


def _defines(node: ast.stmt, names: frozenset[str]) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name in names
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in names for target in node.targets
    )


def code(measure: Callable, *later: Callable | None) -> dict[str, str]:
    """Fingerprints of the file of ``measure`` (with its siblings that it imports) and of dynmem.

    The grid and the functions ``later``, which only read what was measured, are left out: they are
    compared on their own.
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
    """Files of the same package that the file of ``measure`` imports, directly or through each
    other."""
    module = sys.modules[measure.__module__]
    package = module.__package__ or ""
    found, waiting = {}, [Path(inspect.getfile(measure))]
    while package and waiting:
        for name in _imports(waiting.pop().read_text(encoding="utf-8"), package):
            spec = importlib.util.find_spec(name)
            if name not in found and spec is not None and spec.origin:
                found[name] = Path(spec.origin)
                waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def _imports(source: str, package: str) -> set[str]:
    """Full names of what a file imports from ``package``: modules, and perhaps names in its
    ``__init__``.

    >>> sorted(_imports("from . import gates; from studies.orthogonal import measure; import numpy", "studies"))
    ['studies.gates', 'studies.orthogonal']
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= (
                {base, *(f"{base}.{alias.name}" for alias in node.names)}
                if base == package
                else {base}
            )
    return {name for name in names if name.startswith(package + ".")}


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
