"""One point, measured in isolation: its own seed, its own copy of the settings, and nothing left
behind for the next one."""

from __future__ import annotations

import copy
import importlib.machinery
import os
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ShortRunWarning
from ..runtime.files import canonical, checksum, encode
from .combine import check_point

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True)
class Outcome:
    """Result of one point: the bytes of its Dataset, or the error; and how long it took."""

    payload: bytes | None
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """What every point of a run shares: ``task(point)`` measures one."""

    measure: Callable[..., Dataset]
    settings: Mapping[str, Any]
    axes: tuple[str, ...]

    def __call__(self, point: Mapping[str, Any]) -> Outcome:
        """Outcome of one point: an error is kept as text, an interruption is raised."""
        start = time.perf_counter()
        try:
            # what a measure prints must not mix with what the command prints
            with redirect_stdout(sys.stderr):
                payload = self.measured(point)
        except (Exception, SystemExit) as error:
            words, trace = error_text(error), printable(traceback.format_exc())
            return Outcome(None, words, trace, time.perf_counter() - start)
        return Outcome(payload, seconds=time.perf_counter() - start)

    def measured(self, point: Mapping[str, Any]) -> bytes:
        """One point as the bytes of its file. Warnings of short runs are silenced: the Dataset
        holds the variables ``converged`` and ``warning``."""
        with isolated(seed_of({**self.settings, **point})):
            warnings.simplefilter("ignore", ShortRunWarning)
            # a measure may change a list that it is given
            dataset = self.measure(**point, **copy.deepcopy(dict(self.settings)))
            return encode(check_point(dataset, self.axes))


def seed_of(parameters: Mapping[str, Any]) -> int:
    """Seed of the global generators at a point: it depends on the parameters alone, neither on the
    order of the points nor on the process."""
    return int(checksum(canonical(parameters).encode())[:8], 16)


def error_text(error: BaseException) -> str:
    """Type and message of an exception, also where the message cannot be made.

    >>> error_text(ValueError("a\\0b"))
    'ValueError: a\\\\x00b'
    """
    try:
        words = str(error)
    except Exception as second:
        words = f"(its message raises {type(second).__name__})"
    return printable(f"{type(error).__name__}: {words}")


def printable(text: str) -> str:
    """A text that any file and terminal takes: NUL and half surrogates are written out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seed the generators of ``random``, numpy and torch, and put back afterwards what a measure
    may have changed: these, warning filters, floating-point errors, environment, folder."""
    import numpy as np

    folder, environment = os.getcwd(), dict(os.environ)
    python, legacy = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(), np.errstate(), _torch_seeded(seed):
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
        os.chdir(folder)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    """Torch with this seed and on one thread, also where it is imported only now."""
    torch = sys.modules.get("torch")
    with ExitStack() as undo:
        if torch is None:
            finder = _OnImport("torch", lambda module: module.manual_seed(seed))
            sys.meta_path.insert(0, finder)
            undo.callback(lambda: finder in sys.meta_path and sys.meta_path.remove(finder))
        else:
            undo.callback(torch.set_rng_state, torch.get_rng_state())
            undo.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.manual_seed(seed)
        yield


@dataclass(eq=False)
class _OnImport(MetaPathFinder):
    """Calls a function with a module as soon as it is imported."""

    name: str
    call: Callable[[ModuleType], object]
    finder: Any = field(default=importlib.machinery.PathFinder)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.name or (spec := self.finder.find_spec(fullname, path)) is None:
            return None
        sys.meta_path.remove(self)
        execute: Any = spec.loader.exec_module

        def execute_and_call(module: ModuleType) -> None:
            execute(module)
            self.call(module)

        spec.loader.exec_module = execute_and_call
        return spec
