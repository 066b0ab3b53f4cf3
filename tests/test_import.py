"""What `import dynmem` loads, and the floors: a file imports only from floors below its own."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import dynmem

ROOT = Path(dynmem.__file__).parent
HEAVY = ("torch", "xarray", "sympy", "matplotlib", "numba", "pandas", "dask", "h5netcdf", "scipy")
FLOORS = ["errors", "room", "files", "arrays", "counting", "pushpull", "dual", "system", "labels", "symbolic", "trace", "tangent", "dop853",
          "runge_kutta", "assembly", "stepping", "machine", "kernels", "compiled", "scan", "flow", "linear", "check", "models", "systems", "analysis",
          "theory", "tasks", "datasets", "training", "study", "comparison", "plotting", "cli", "__main__"]


def loaded(*arguments):
    """Heavy modules that a fresh interpreter has loaded at the end of a run of ``python -X importtime ARGUMENTS``."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr[-2000:]
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
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
        if name not in dynmem.__dict__ and not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists():
            assert getattr(dynmem, name) is not None


def imported(path):
    """Floors a file imports from, functions included: (floor, line)."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            parts = (*base, *(node.module or "").split(".")) if node.module else base
            for first in [parts[0]] if parts else [alias.name for alias in node.names]:
                yield first, node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dynmem":
            rest = node.module.split(".")[1:]
            for first in rest[:1] or [alias.name for alias in node.names]:
                yield first, node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("dynmem."):
                    yield alias.name.split(".")[1], node.lineno


FILES = [str(p.relative_to(ROOT)) for p in sorted(ROOT.rglob("*.py")) if p != ROOT / "__init__.py"]


@pytest.mark.parametrize("name", FILES)
def test_floors(name):
    path = ROOT / name
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert own in FLOORS, f"{own} has no floor: give it one in this file"
    for floor, line in imported(path):
        if floor == own or floor == "__version__":
            continue
        assert floor in FLOORS, f"{path.name}:{line} imports {floor}, which has no floor"
        assert FLOORS.index(floor) < FLOORS.index(own), f"{path.name}:{line}: {own} imports {floor}, which lies above it"


@pytest.mark.parametrize("name", sorted({str(Path(f).with_suffix("")).replace("/", ".").removesuffix(".__init__") for f in FILES} - {"__main__"}))
def test_every_file_imports(name):
    """Also those that no name at the top leads to before it is used."""
    importlib.import_module(f"dynmem.{name}")
