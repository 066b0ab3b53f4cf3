"""Find studies and figures by name: those of dynmem, and those of the project in this folder.

A project is a folder with its own ``studies/`` (and ``figures/``). Its files stand next to those of
dynmem and replace none: a name that both have must be given as a path. Nothing is imported before
it is asked for.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError
from .command import is_own
from .parameters import ConfigurationError
from .store import check_name

if TYPE_CHECKING:
    from .study import Study

KINDS = {"studies": "study", "figures": "figure"}  # folder: what one file in it holds
REQUIRED = {"studies": "STUDY", "figures": "draw"}  # name that each file defines


@dataclass(frozen=True)
class Entry:
    """A file that holds a study or draws a figure, not yet imported.

    ``name`` is what a user types; ``root`` is the folder from which ``module`` is imported, None
    for dynmem's own.
    """

    kind: str
    name: str
    path: Path
    module: str
    root: Path | None = None

    def about(self) -> str:
        """First line of the docstring, read without importing the file."""
        return first_line(self.path.read_text(encoding="utf-8"))

    def load(self) -> ModuleType:
        """The imported module. Raises ConfigurationError where it does not define what it must."""
        if self.root is None:
            module = importlib.import_module(self.module)
        else:
            module = self._imported(self._importable_name(self.root))
        if not hasattr(module, REQUIRED[self.kind]):
            wanted = {
                "studies": "STUDY = Study(...)",
                "figures": "a function draw(dataset) that returns a matplotlib Figure",
            }
            raise ConfigurationError(
                [f"{self.path} holds no {KINDS[self.kind]}: it must define {wanted[self.kind]}"]
            )
        return module

    def _imported(self, name: str) -> ModuleType:
        """The module of a user's file; what it raises becomes one sentence with file and line."""
        try:
            return importlib.import_module(name)
        except SyntaxError as error:
            file, line, words = error.filename or self.path, error.lineno, f"{error.msg}"
        except SystemExit:
            file, line = self.path, None
            words = 'it ends the program on import: put that below if __name__ == "__main__":'
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and not is_own(error.name):
                raise  # a package that is not installed has a message of its own
            frames = traceback.extract_tb(error.__traceback__)
            own = [one for one in frames if Path(one.filename).parent == self.path.parent]
            file, line = (own or frames)[-1].filename, (own or frames)[-1].lineno
            kind = "" if isinstance(error, ConfigurationError) else f"{type(error).__name__}: "
            words = f"{kind}{error}"
        place = f", line {line}" if line else ""
        raise ConfigurationError([f"{file}{place}: {words}"])

    def _importable_name(self, root: Path) -> str:
        """Name under which this file is imported, its folder put on sys.path, which worker
        processes inherit.

        ``studies.mine`` in a project, unless another ``studies`` is on the path before it (that of
        a clone of dynmem on PYTHONPATH); then ``mine``.
        """
        other = root / "dynmem" / "__init__.py"
        own = Path(__file__).parents[1] / "__init__.py"
        if other.is_file() and not other.samefile(own):
            raise ConfigurationError(
                [
                    f"{root} holds another dynmem than the one that runs ({own.parent}): worker "
                    f"processes would import it; run {sys.executable} -m dynmem in {root}"
                ]
            )
        if "." in self.path.stem:
            raise ConfigurationError(
                [f"{self.path} cannot be imported: give the file a name without dots"]
            )
        for name, folder in ((self.module, root), (self.path.stem, self.path.parent)):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            importlib.invalidate_caches()
            found = importlib.util.find_spec(name)
            if found is not None and found.origin and self.path.samefile(found.origin):
                return name
        taken = f" is that of {found.origin}" if found else " leads to another folder"
        raise ConfigurationError(
            [f"{self.path} cannot be imported: the name {name}{taken}; rename the file"]
        )


# ---- finding files -------------------------------------------------------------------------------


def entries(kind: str) -> dict[str, Entry]:
    """Studies or figures by the name that finds each: dynmem's, then the project's.

    Where both have a file of one name, that of the project is listed by its path.
    """
    own = {
        path.stem: Entry(kind, path.stem, path, f"dynmem.{kind}.{path.stem}") for path in _own(kind)
    }
    found = dict(own)
    for path in _project(kind):
        name = path.stem if path.stem not in own else f"{kind}/{path.name}"
        found[name] = Entry(kind, name, path, f"{kind}.{path.stem}", path.parents[1])
    return dict(sorted(found.items()))


def find(kind: str, name: str) -> Entry:
    """The entry of a name, or of the path of a file that ends in ``.py``.

    Raises UnknownNameError, and ConfigurationError for a missing file and for a name that dynmem
    and the project both have.
    """
    if isinstance(name, str) and name.endswith(".py"):
        return _entry_of_path(kind, name)
    known = entries(kind)
    if hint := path_hint(name) if name not in known else "":
        raise UnknownNameError(KINDS[kind], name, known, hint=hint)
    if check_name(name) not in known:
        raise UnknownNameError(KINDS[kind], name, known)
    clash = known.get(f"{kind}/{name}.py")
    if clash is not None:
        raise ConfigurationError(
            [
                f"{name} is the name of two {kind}, {known[name].path} of dynmem and {clash.path}: "
                f"rename yours, or give its path, {clash.name}"
            ]
        )
    return known[name]


def path_hint(name: str) -> str:
    """What to type for a file whose path was given without its ending; empty where there is
    none."""
    file = f"{name}.py"
    return f"a file is given by its path, {file}" if Path(file).is_file() else ""


def _entry_of_path(kind: str, name: str) -> Entry:
    path = Path(name).absolute()
    if not path.is_file():
        raise ConfigurationError([f"there is no file {name}"])
    for entry in entries(kind).values():
        if entry.path.samefile(path):
            return Entry(kind, name, entry.path, entry.module, entry.root)
    parts, folder = [path.stem], path.parent
    while folder.name in KINDS or (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return Entry(kind, name, path, ".".join(parts), folder)


def _own(kind: str) -> list[Path]:
    """Files of ``dynmem.studies`` or ``dynmem.figures``."""
    spec = importlib.util.find_spec(f"dynmem.{kind}")
    folders = (spec.submodule_search_locations if spec else None) or []
    return [path for folder in folders for path in _files(kind, Path(folder))]


def _project(kind: str) -> list[Path]:
    """Files of the folder ``studies`` or ``figures`` here, unless it is that of dynmem itself."""
    folder = Path.cwd() / kind
    own = {path.resolve() for path in _own(kind)}
    return [path for path in _files(kind, folder) if path.resolve() not in own]


def _files(kind: str, folder: Path) -> Iterator[Path]:
    """Files of a folder that define what this kind requires, or that cannot be parsed."""
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_") and _defines(path, REQUIRED[kind]):
            yield path


def _defines(path: Path, name: str) -> bool:
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError):
        return True  # listed with what is wrong with it
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        else:
            names = []
        if name in names:
            return True
    return False


def first_line(source: str) -> str:
    """First line of a program's docstring.

    >>> first_line("'''How long?'''")
    'How long?'
    """
    try:
        return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    except SyntaxError as error:
        return f"(cannot be read: line {error.lineno})"


# ---- the four verbs ------------------------------------------------------------------------------


def names() -> list[str]:
    """Names of the studies: those of dynmem, and those of the project in the current folder.

    Examples
    --------
    >>> "vanishing" in names()
    True
    """
    return list(entries("studies"))


def about(name: str) -> str:
    """The question of a study, in one line; its file is read, not imported.

    Parameters
    ----------
    name : str
        Name of a study, or path of a Python file that defines one.

    Returns
    -------
    str
        First line of the docstring.

    Raises
    ------
    UnknownNameError
        There is no such study.

    Examples
    --------
    >>> about("vanishing")
    'How fast do gradients vanish or explode in a plain recurrent network?'
    """
    return find("studies", name).about()


def get(name: str) -> Study:
    """A study by name.

    Parameters
    ----------
    name : str
        Name of a study of dynmem or of the project in the current folder, or path of a Python file
        that defines ``STUDY``.

    Returns
    -------
    Study
        The study, with ``run`` and ``load``.

    Raises
    ------
    UnknownNameError
        There is no such study.
    ConfigurationError
        The file does not exist, defines no study, or dynmem and the project both have the name.

    Examples
    --------
    >>> get("vanishing").grid["seed"]
    [0, 1, 2]
    """
    from .study import Study

    entry = find("studies", name)
    study = entry.load().STUDY
    if not isinstance(study, Study):
        raise ConfigurationError(
            [f"{entry.path}: STUDY must be a dm.Study(...), it is {study!r:.60}"]
        )
    if entry.root is not None and name == entry.path.stem != study.name:
        raise ConfigurationError(
            [
                f"{entry.path} calls its study {study.name!r}: give both the same name, by which "
                "its results and its figure are found"
            ]
        )
    return study


def describe(name: str) -> dict[str, Any]:
    """What a study asks and measures.

    Parameters
    ----------
    name : str
        As for ``get``.

    Returns
    -------
    dict
        name, about (the question), description, axes and settings (values, limits, units and
        long name of each), quick (what a quick run replaces), points (of a full and of a quick
        run), source, file, example.

    Raises
    ------
    UnknownNameError, ConfigurationError
        As ``get``.

    Examples
    --------
    >>> facts = describe("vanishing")
    >>> facts["points"], facts["settings"]["units"]["value"], facts["settings"]["units"]["limits"]
    ({'full': 30, 'quick': 4}, 400, [2, 4096])
    """
    study, entry = get(name), find("studies", name)
    text = ast.get_docstring(ast.parse(entry.path.read_text(encoding="utf-8"))) or ""
    facts = study.describe()
    return {
        "name": facts.pop("name"),
        "about": facts.pop("about"),
        "description": text.partition("\n\n")[2],
        **facts,
        "file": str(entry.path),
        "example": f"dynmem run {entry.name} --quick",
    }
