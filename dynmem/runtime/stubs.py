"""Write the stubs that list what each package exports: ``python -m dynmem.runtime.stubs``.

A module exports its functions decorated with ``@public`` and the names in its ``__all__``. The stub
of the root is written by hand, since it is a choice.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUBMODULES = {"models": ("hippo",)}  # modules that are used by their own name
PACKAGES = (
    "analysis",
    "datasets",
    "models",
    "outcomes",
    "scan",
    "systems",
    "tasks",
    "theory",
    "training",
)


def exports(path: Path) -> list[str]:
    """Names that a module exports."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            names |= {node.name} if "public" in decorators else set()
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names |= set(ast.literal_eval(node.value))
    return sorted(names, key=_order)


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, functions: the order of ruff and isort."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def stub(package: str) -> str:
    """Text of the stub of a package of dynmem."""
    folder = ROOT / package
    lines = [f"from . import {name} as {name}\n" for name in SUBMODULES.get(package, ())]
    for path in sorted(folder.rglob("*.py")):
        if path.name.startswith("_") or not (names := exports(path)):
            continue
        module = ".".join(path.relative_to(folder).with_suffix("").parts)
        listed = [f"    {name} as {name},\n" for name in names]
        line = f"from .{module} import " + ", ".join(f"{name} as {name}" for name in names)
        lines.append(
            f"{line}\n" if len(line) <= 100 else f"from .{module} import (\n{''.join(listed)})\n"
        )
    return "".join(lines)


def main() -> None:
    """Write every stub that is out of date."""
    for package in PACKAGES:
        path, text = ROOT / package / "__init__.pyi", stub(package)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT.parent)}")


if __name__ == "__main__":
    main()
