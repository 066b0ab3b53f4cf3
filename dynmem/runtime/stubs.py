"""Write the stubs that list what each package exports: ``python -m dynmem.runtime.stubs``.

A module exports its functions decorated with ``@public`` and the names in its ``__all__``. The stub
of the root is written by hand, since it is a choice.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "datasets", "models", "scan", "systems", "tasks", "theory", "training")


def exports(path: Path) -> list[str]:
    """Names that a module exports, sorted."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            names |= {node.name} if "public" in decorators else set()
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names |= set(ast.literal_eval(node.value))
    return sorted(names)


def stub(package: str) -> str:
    """Text of the stub of a package of dynmem."""
    folder, lines = ROOT / package, []
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


def main() -> int:
    """Write every stub that is out of date; 1 where there was one."""
    changed = 0
    for package in PACKAGES:
        path, text = ROOT / package / "__init__.pyi", stub(package)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT.parent)}")
            changed = 1
    return changed


if __name__ == "__main__":
    sys.exit(main())
