"""BLAS on one thread inside sequential loops, the cores over independent work."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def _controller():
    import numpy.linalg  # noqa: F401  the pools must be loaded before they can be found
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def cores():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread():
    """Context in which BLAS keeps to one thread: numpy's and scipy's pools otherwise fight over the cores."""
    return _controller().limit(limits=1, user_api="blas")


def spread(function, items, workers=None):
    """[function(item) for item in items] on threads, one a core; BLAS and numpy let go of the interpreter while they compute."""
    workers = min(len(items), workers or cores())
    with one_thread():
        if workers == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, items))
