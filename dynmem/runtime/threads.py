"""BLAS on one thread inside sequential loops, the cores over independent work."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from .platform import cores


@cache
def _controller():
    import numpy.linalg  # noqa: F401  the pools must be loaded before they can be found
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread():
    """Context in which BLAS keeps to one thread: numpy's and scipy's pools otherwise fight over the
    cores."""
    return _controller().limit(limits=1, user_api="blas")


def map_threads(function, items, workers=None):
    """[function(item) for item in items] on threads, one a core; numpy and BLAS release the
    GIL while they compute."""
    workers = min(len(items), workers or cores())
    with one_thread():
        if workers == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, items))


def over_threads(part, members, workers):
    """``part(a, b)`` over all of ``members``, in four pieces a thread; compiled code releases the
    GIL."""
    pieces = min(members, 4 * workers if workers > 1 else 1)
    edges = [members * i // pieces for i in range(pieces + 1)] if pieces else [0]
    if workers == 1:
        return part(0, members)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(part, edges[:-1], edges[1:]))


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@contextmanager
def _environment_of_one_thread() -> Iterator[None]:
    """What libraries and processes read when they start."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
