"""What `import dynmem` loads, and the floors: a file imports only from floors below its own."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dynmem

ROOT = Path(dynmem.__file__).parent
HEAVY = ("torch", "xarray", "sympy", "matplotlib", "numba", "pandas", "dask", "h5netcdf", "scipy")
# Lowest first: a file imports from its own floor and from those before it.
FLOORS = [
    "errors",
    "typing",
    "runtime",
    "arrays",
    "functions",
    "system",
    "events",
    "clock",
    "drive",
    "symbolic",
    "autodiff",
    "labels",
    "integrate",
    "compiler",
    "scan",
    "orbits",
    "sections",
    "linear",
    "contract",
    "comparison",
    "display",
    "tables",
    "models",
    "systems",
    "tasks",
    "analysis",
    "theory",
    "datasets",
    "training",
    "study",
    "plotting",
    "outcomes",
    "cli",
    "__main__",
]
INSIDE_ANALYSIS = [
    "convergence",
    "lyapunov",
    "stability",
    "bifurcations",
    "gradients",
    "memory",
    "series",
    "cost",
]


def loaded(*arguments):
    """Heavy modules that a fresh interpreter has loaded at the end of a run of ``python -X
    importtime ARGUMENTS``."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT.parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    return sorted(names & set(HEAVY))


def test_import_is_light():
    assert loaded("-c", "import dynmem") == []


def test_help_is_light():
    pytest.importorskip("dynmem.cli")
    for arguments in (["--help"], ["--version"]):
        assert loaded("-m", "dynmem", *arguments) == []


def test_an_equation_needs_numpy_alone():
    code = "import dynmem as dm; dm.jacobian(dm.models.get('lstm', units=3, rng=0), [0.1] * 6)"
    assert loaded("-c", code) == []


def test_every_public_name_exists():
    for name in dynmem.__all__:
        if (
            name not in dynmem.__dict__
            and not (ROOT / name).exists()
            and not (ROOT / f"{name}.py").exists()
        ):
            assert getattr(dynmem, name) is not None


def module_of(path):
    """Dotted name below dynmem: ``analysis.lyapunov.qr``; a package for its ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_of(path): path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"
}


def imported(name):
    """(module, line, whether at the top of the file) of each module of dynmem that a file
    imports."""
    path = FILES[name]
    package = path.relative_to(ROOT).parts[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dynmem":
            base = node.module.split(".")[1:]
        else:
            continue
        base = [part for part in base if part]
        for alias in node.names:
            for candidate in (".".join([*base, alias.name]), ".".join(base)):
                if candidate in FILES:
                    yield candidate, node.lineno
                    break


EDGES = {name: sorted(set(imported(name))) for name in FILES}


def climbs(floors, below=""):
    """Imports that go up a list of floors, or that have no floor."""
    for name, edges in EDGES.items():
        for target, line in edges:
            own, other = (n.removeprefix(below).partition(".")[0] for n in (name, target))
            if not (name.startswith(below) and target.startswith(below)) or own == other:
                continue
            if own not in floors or other not in floors or floors.index(other) > floors.index(own):
                yield f"{name}:{line} imports {target}"


def test_floors():
    assert not list(climbs(FLOORS))


def test_floors_inside_analysis():
    assert not list(climbs(INSIDE_ANALYSIS, "analysis."))


def test_no_two_files_import_each_other():
    """Also round three or more files: a depth-first search over all imports, those inside functions
    too."""
    done, path = set(), []

    def visit(name):
        assert name not in path, (
            f"circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        )
        if name not in done:
            path.append(name)
            for target, _ in EDGES[name]:
                if target != name:
                    visit(target)
            done.add(path.pop())

    for name in FILES:
        visit(name)


def test_no_module_shadows_a_name_that_its_package_exports():
    for package in [
        "dynmem",
        *(f"dynmem.{name}" for name in FILES if FILES[name].name == "__init__.py"),
    ]:
        exported = set(getattr(importlib.import_module(package), "__all__", ()))
        modules = {
            name.rpartition(".")[2]
            for name in FILES
            if f"dynmem.{name}".rpartition(".")[0] == package
        }
        assert not {
            name
            for name in exported & modules
            if not isinstance(getattr(importlib.import_module(package), name), ModuleType)
        }


def test_every_file_imports():
    """Also those that no name at the top leads to before it is used."""
    for name in FILES:
        if name != "__main__":
            importlib.import_module(f"dynmem.{name}")
