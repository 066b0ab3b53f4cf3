"""What a measure reaches: the text of the user's functions, and the values that they use.

A store is compared by this, so that its points are kept where comments, docstrings, layout or a
neighbour in the file change, and refused where something changes that a point goes through.
Functions of installed packages, dynmem among them, are known by their versions.
"""

from __future__ import annotations

import ast
import dis
import functools
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

from ..runtime.files import checksum

ENVIRONMENT_CALLS = ("environ.get", "getenv")
UNKNOWN = "unknown"  # begins the text of what cannot be compared
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range)
Documented: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
WRAPPERS = (staticmethod, classmethod, property, functools.cached_property)
# attributes of a class that Python makes, and that say nothing more than its other ones
MADE_BY_PYTHON = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__annotations__"),
    *("__match_args__", "__dataclass_params__", "__abstractmethods__", "_abc_impl", "__hash__"),
    "__slotnames__",  # copyreg keeps it once an instance was reduced
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}


@dataclass
class Reach:
    """What was reached.

    Parameters
    ----------
    parts : dict of str to str
        Text of each function and value, by its full name; it begins with ``UNKNOWN`` where it
        cannot be compared, and is never equal then.
    packages : set of str
        Installed packages whose functions are used.
    modules : set of str
        Modules of the user.
    """

    parts: dict[str, str] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


def reached(function: Callable | None) -> Reach:
    """Everything that a function reaches.

    >>> import math
    >>> reached(math.sqrt).parts
    {'math.sqrt': 'math.sqrt'}
    """
    walk = _Walk(function)
    if function is not None and not isinstance(function, FunctionType):
        walk.put(_name_of(function), function)
    elif function is not None:
        walk.function(function)
    return walk.found


def digest(parts: Mapping[str, str]) -> str:
    """Checksum of the parts of a ``Reach``."""
    return checksum("\n".join(f"{name} {parts[name]}" for name in sorted(parts)).encode())


class _Walk:
    """A walk from function to function; each object is visited once."""

    def __init__(self, start: Any) -> None:
        self.found = Reach()
        self.start = _module_of(start) or ""
        self.home = self.start.partition(".")[0]
        self.open: list[int] = []  # containers that are being described, against cycles
        self.seen: dict[int, Any] = {}  # held, so that no id is used twice

    def own(self, module: str | None) -> bool:
        """Whether a module is the user's, and not that of an installed package."""
        if not module or module in sys.builtin_module_names:
            return False
        root = module.partition(".")[0]
        if root == "dynmem":
            return module.startswith("dynmem.studies")
        if root in (self.home, "__main__"):
            return True
        return root not in sys.stdlib_module_names and not _installed(module)

    def keep_module(self, name: str | None) -> None:
        if name in sys.modules:
            self.found.modules.add(str(name))

    def label(self, module: str | None) -> str:
        """Name of a module in the parts; that of the measure is called by its file, however the
        study was started."""
        if module != self.start:
            return module or ""
        main = sys.modules.get("__main__") if module == "__main__" else None
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        return (spec.name if spec else Path(file).stem if file else module).rpartition(".")[2]

    def put(self, name: str, value: Any) -> None:
        """Keep a value by its name; functions, classes and modules keep themselves."""
        text = self.text(value)
        if not isinstance(value, (FunctionType, type, ModuleType)):
            self.found.parts[name] = text

    def first_visit(self, value: Any) -> bool:
        return id(value) not in self.seen and self.seen.setdefault(id(value), value) is value

    # ---- functions, classes, modules

    def function(self, function: FunctionType) -> None:
        # a decorated function has the module of the one inside, and the globals of its own
        home = function.__globals__.get("__name__")
        if not self.own(home):
            self.package(home)
            if hasattr(function, "__wrapped__"):
                self.text(function.__wrapped__)
        elif self.first_visit(function):
            self.keep_module(home)
            name = f"{self.label(function.__module__)}.{function.__qualname__}"
            self.found.parts[name], node = source(function)
            self.around(name, function)
            for variable in _environment(node):
                text = repr(os.environ.get(variable))
                self.found.parts[f"environment variable {variable}"] = text

    def around(self, name: str, function: FunctionType) -> None:
        """Closure, defaults and globals of a function."""
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.put(f"{name}: {free}", cell.cell_contents)
            except ValueError:
                continue  # not assigned yet
        defaults: dict[Any, Any] = dict(enumerate(function.__defaults__ or ()))
        defaults |= function.__kwdefaults__ or {}
        for key, value in defaults.items():
            if type(value) not in PLAIN:  # plain ones stand in the text
                self.put(f"{name}: default {key}", value)
        names = {used for inner in _codes(code) for used in inner.co_names}
        for used in sorted(names & function.__globals__.keys()):
            value = function.__globals__[used]
            if isinstance(value, ModuleType):
                self.module(value, names)
            else:
                self.put(f"{self.label(function.__module__)}.{used}", value)
        for module in _imports(code, function.__globals__.get("__package__") or ""):
            self.imported(module, names)

    def module(self, module: ModuleType, names: set[str]) -> None:
        """The attributes of a module of the user that a function may use, by their names."""
        if not self.own(module.__name__):
            self.package(module.__name__)
            return
        for name in sorted(names & vars(module).keys()):
            value = vars(module)[name]
            if isinstance(value, ModuleType):
                if self.first_visit(value) or not self.own(value.__name__):
                    self.module(value, names)
            else:
                self.put(f"{self.label(module.__name__)}.{name}", value)

    def imported(self, module: str, names: set[str]) -> None:
        """What a function imports when it runs."""
        if not self.own(module):
            self.package(module)
            return
        try:
            self.module(importlib.import_module(module), names)
        except Exception as error:
            self.found.parts[module] = f"{UNKNOWN}: {type(error).__name__} in its import"

    def package(self, module: str | None) -> None:
        root = (module or "builtins").partition(".")[0]
        if root not in sys.stdlib_module_names:
            self.found.packages.add(root)

    def klass(self, cls: type) -> None:
        if not self.own(cls.__module__):
            self.package(cls.__module__)
            return
        if not self.first_visit(cls):
            return
        self.keep_module(cls.__module__)
        made = "__dataclass_fields__" in vars(cls)
        for name, value in vars(cls).items():
            if isinstance(value, FunctionType) and made and value.__code__.co_filename[0] == "<":
                continue  # a method that the dataclass wrote: its fields say the same
            full = f"{self.label(cls.__module__)}.{cls.__qualname__}.{name}"
            if name == "__dataclass_fields__":
                defaults: dict[int | str, Any] = {
                    key: (f.default, f.default_factory) for key, f in value.items()
                }
                self.put(full, defaults)
            elif isinstance(value, WRAPPERS):
                for inner in ("fget", "fset", "func", "__func__"):
                    if isinstance(getattr(value, inner, None), FunctionType):
                        self.function(getattr(value, inner))
            elif name not in MADE_BY_PYTHON and type(value).__name__ != "member_descriptor":
                self.put(full, value)
        for base in cls.__bases__:
            self.klass(base)

    # ---- values

    def text(self, value: Any) -> str:
        """A value as text that is equal for equal values."""
        if type(value) in PLAIN:
            return repr(value)
        if isinstance(value, ModuleType):
            self.module(value, set(vars(value)) if self.own(value.__name__) else set())
            return f"module {value.__name__}"
        if isinstance(value, FunctionType):
            self.function(value)
            return f"function {self.label(value.__module__)}.{value.__qualname__}"
        if isinstance(value, type):
            self.klass(value)
            return f"class {self.label(value.__module__)}.{value.__qualname__}"
        if id(value) in self.open:
            return "(itself)"
        self.open.append(id(value))
        try:
            return self.structure(value)
        except Exception as error:  # whatever a foreign object does when it is asked what it holds
            reason = str(error) or type(error).__name__
            return f"{UNKNOWN} {uuid.uuid4()}: {type(value).__name__}, {reason}"
        finally:
            self.open.pop()

    def structure(self, value: Any) -> str:
        if type(value) in (list, tuple):
            return f"{type(value).__name__}[{', '.join(map(self.text, value))}]"
        if type(value) in (set, frozenset):
            return f"set[{', '.join(sorted(map(self.text, value)))}]"
        if type(value) is dict:
            rows = (f"{self.text(key)}: {self.text(item)}" for key, item in value.items())
            return f"{{{', '.join(rows)}}}"
        if isinstance(value, partial):
            inside = (value.func, value.args, value.keywords)
            return f"partial({', '.join(map(self.text, inside))})"
        if isinstance(value, MethodType):
            return f"{self.text(value.__func__)} of {self.text(value.__self__)}"
        for inner in ("py_func", "__wrapped__"):  # numba.njit, functools.lru_cache
            if callable(value) and hasattr(value, inner):
                return self.text(getattr(value, inner))
        if hasattr(value, "__array__") and hasattr(value, "dtype"):
            return self.array(value)
        if type(value).__module__.startswith("dynmem.study."):
            return f"study {getattr(value, 'name', '')}"
        if inspect.isroutine(value) or not hasattr(value, "__reduce_ex__"):
            self.package(getattr(value, "__module__", None))
            return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
        made = value.__reduce_ex__(2)
        self.klass(type(value))
        if isinstance(made, str):  # a name: numpy's ufuncs, members of an Enum
            return f"{_module_of(value)}.{made}"
        make, arguments, *more = made
        state = [list(part) if isinstance(part, Iterator) else part for part in more]
        return f"made by {self.text(make)}({self.text(arguments)}, {self.text(state)})"

    def array(self, value: Any) -> str:
        """An array of numpy, torch or xarray."""
        import numpy as np

        if hasattr(value, "detach"):
            value = value.detach().cpu()
        values = np.asarray(value)
        if values.dtype.kind == "O":
            return self.text(values.tolist())
        kind = f"{type(value).__name__} {values.dtype} {values.shape}"
        return f"{kind} {checksum(np.ascontiguousarray(values).tobytes())[:16]}"


def _module_of(value: Any) -> str | None:
    return getattr(value, "__module__", None) or type(value).__module__


def _name_of(value: Any) -> str:
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{_module_of(value)}.{name}"


@lru_cache(maxsize=1024)
def _installed(module: str) -> bool:
    """Whether a module belongs to Python or to an installed package."""
    found = sys.modules.get(module)
    spec = getattr(found, "__spec__", None) or (None if found else _spec(module))
    origin = getattr(found, "__file__", None) or getattr(spec, "origin", None)
    if not origin or origin in ("built-in", "frozen"):
        return found is None and spec is None
    paths = sysconfig.get_paths()
    roots = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(Path(origin).is_relative_to(root) for root in roots) or "site-packages" in origin


def _spec(module: str) -> Any:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


# ---- text of a function --------------------------------------------------------------------------


def source(function: FunctionType) -> tuple[str, ast.AST | None]:
    """Text of a function without docstrings, comments and layout, and its tree; a checksum of its
    bytecode where the file holds another text by now, or none."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    tree, codes = _parsed("".join(lines), code.co_filename)
    if code in codes:
        nodes = [node for node in ast.walk(tree) if _defines(node, code)]
        if len(nodes) == 1:
            return _text(ast.unparse(nodes[0])), nodes[0]
    return f"bytecode {sys.implementation.cache_tag} {checksum(_bytecode(code).encode())}", None


@lru_cache(maxsize=64)
def _parsed(text: str, file: str) -> tuple[ast.Module, frozenset[CodeType]]:
    try:
        tree = ast.parse(text)
        return tree, frozenset(_codes(compile(text, file, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):
        return ast.Module([], []), frozenset()


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of the functions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _defines(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        first = node.decorator_list[0] if node.decorator_list else node
        return node.name == code.co_name and first.lineno == code.co_firstlineno
    return False


def _text(program: str) -> str:
    tree = ast.parse(program)
    _remove_docstrings(tree)
    return ast.unparse(tree)


def _remove_docstrings(node: Documented) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    for inner in node.body:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            _remove_docstrings(inner)


def _bytecode(code: CodeType) -> str:
    """What a code object does, without lines and file names."""
    constants = [
        _bytecode(c)
        if isinstance(c, CodeType)
        else repr(sorted(map(repr, c)) if isinstance(c, frozenset) else c)
        for c in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return repr((code.co_code.hex(), constants, names, shape))


def _imports(code: CodeType, package: str) -> Iterator[str]:
    """Modules that a function imports when it runs."""
    for inner in _codes(code):
        before: list[Any] = [0, 0]
        for step in dis.get_instructions(inner):
            if step.opname == "IMPORT_NAME":
                level = before[-2] if isinstance(before[-2], int) else 0
                yield _absolute("." * level + (step.argval or ""), package)
            before.append(step.argval)


def _absolute(name: str, package: str) -> str:
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return name


def _environment(node: ast.AST | None) -> Iterator[str]:
    """Names of environment variables in ``os.environ["A"]``, ``os.environ.get("A")`` and
    ``os.getenv("A")``."""
    for inner in ast.walk(node) if node else ():
        key: ast.AST | None = None
        if isinstance(inner, ast.Subscript) and ast.unparse(inner.value).endswith("environ"):
            key = inner.slice
        elif isinstance(inner, ast.Call) and ast.unparse(inner.func).endswith(ENVIRONMENT_CALLS):
            key = inner.args[0] if inner.args else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value
