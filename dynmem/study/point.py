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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ShortRunWarning
from ..runtime import netcdf
from ..runtime.files import canonical, checksum
from .encoding import encode_point, file_bytes
from .growth import key

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True)
class Outcome:
    """Result of one point: the bytes of its file, whether it failed, and how long it took."""

    data: bytes
    failed: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """What every point of a run shares: ``task(point)`` measures one.

    Parameters
    ----------
    study : str
        Name of the study.
    measure : callable
        Its measure.
    axes : tuple of str
        Names of the axes.
    settings, defaults : mapping
        Parameters that are the same at every point; defaults of the measure, which it is not given.
    code : str
        Checksum of what the measure reaches.
    versions : mapping
        Versions of everything that computes.
    packages : tuple of str
        Packages that the measure uses; where given, a worker compares its versions.
    """

    study: str
    measure: Callable[..., Dataset]
    axes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] | None = None

    def __call__(self, point: Mapping[str, Any]) -> Outcome:
        """Outcome of one point: an error is kept as text, an interruption is raised."""
        start = time.perf_counter()
        try:
            # what a measure prints must not mix with what the command prints
            with redirect_stdout(sys.stderr):
                dataset = self.measured(point)
            header, data = encode_point(dataset, not_finite(dataset))
        except (Exception, SystemExit) as error:
            return self.failure(
                point, error_text(error), printable(traceback.format_exc()), start=start
            )
        made = file_bytes({**self.head(point), **header}, data)
        return Outcome(made, False, time.perf_counter() - start)

    def failure(
        self, point: Mapping[str, Any], error: str, trace: str = "", start: float | None = None
    ) -> Outcome:
        """Outcome of a point that failed."""
        header = {**self.head(point), "error": error, "traceback": trace, "variables": []}
        data = file_bytes({**header, "sha256": checksum(b"")}, b"")
        return Outcome(data, True, 0.0 if start is None else time.perf_counter() - start)

    def head(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What the file of a point says of itself."""
        parameters = {**self.defaults, **self.settings, **point}
        return {
            "key": key(self.study, parameters, self.code),
            "study": self.study,
            "parameters": parameters,
            "code": self.code,
            "versions": versions_mark(self.versions),
        }

    def measured(self, point: Mapping[str, Any]) -> Dataset:
        """Dataset of one point. Warnings of short runs are silenced: it holds the variables
        ``converged`` and ``warning``."""
        with isolated(seed_of({**self.defaults, **self.settings, **point})):
            warnings.simplefilter("ignore", ShortRunWarning)
            # a measure may change a list that it is given
            dataset = self.measure(**point, **copy.deepcopy(dict(self.settings)))
            return check_point(dataset, self.axes)


def versions_mark(versions: Mapping[str, str]) -> str:
    """Short checksum of versions, by which a point knows them."""
    return checksum(canonical(versions).encode())[:12]


def check_point(dataset: Any, axes: Sequence[str]) -> Dataset:
    """The Dataset of one point without the coordinates of the grid; an error where names clash or
    something cannot be stored and read without loss."""
    import xarray as xr

    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"measure returned a {type(dataset).__name__}: it must return an xarray.Dataset"
        )
    clash = [
        name for name in (*axes, "status") if name in dataset.dims or name in dataset.data_vars
    ]
    if clash:
        raise ValueError(
            f"measure returned {', '.join(clash)}, which the grid adds: leave it out "
            "or give it another name"
        )
    dataset = dataset.drop_vars([name for name in axes if name in dataset.coords])
    if wrong := netcdf.problems(dataset):
        raise TypeError(f"measure returned what cannot be stored: {'; '.join(wrong)}")
    return dataset


def not_finite(dataset: Dataset) -> list[str]:
    """Names of the variables that hold NaN or infinity."""
    import numpy as np

    return [
        str(name)
        for name, v in dataset.data_vars.items()
        if v.dtype.kind in "fc" and not np.isfinite(v.values).all()
    ]


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
            undo.callback(finder.remove)
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

    def remove(self) -> None:
        """Watch no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.name or (spec := self.finder.find_spec(fullname, path)) is None:
            return None
        self.remove()
        execute: Any = spec.loader.exec_module

        def execute_and_call(module: ModuleType) -> None:
            execute(module)
            self.call(module)

        spec.loader.exec_module = execute_and_call
        return spec
