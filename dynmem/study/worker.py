"""What runs in a worker process: points, one at a time, each on one thread."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ..runtime.platform import ignore_interrupts
from ..runtime.threads import _environment_of_one_thread
from . import provenance
from .growth import version_changes
from .point import Outcome, Task

# The seeds of a point are those of its process: on a worker with several threads the points take
# turns.
_turn = threading.Lock()


def work(task: bytes, points: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Outcomes of some points; ``task`` is a pickled ``Task``."""
    import dask

    call = _unpickle(task)
    # xarray and dask inside of a measure work as outside of a cluster
    with _turn, one_thread(), dask.config.set(scheduler="synchronous"):
        return [call(point) for point in points]


@lru_cache(maxsize=2)
def _unpickle(task: bytes) -> Task:
    # from the process that started the run; a cluster runs whatever its clients send
    call: Task = pickle.loads(task)  # noqa: S301
    if call.packages is not None:
        here = provenance.versions(call.packages)
        if differ := version_changes(call.versions, here):
            raise RuntimeError("; ".join(differ).replace("in the store", "where the run started"))
    return call


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread, also in libraries that are loaded meanwhile: two
    threads add in another order."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    try:
        with _environment_of_one_thread(), threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def dask_setup(worker: object) -> None:
    """Called by Dask in a new local worker: Ctrl-C reaches every process of a terminal, and is for
    the one that started the run."""
    ignore_interrupts()
