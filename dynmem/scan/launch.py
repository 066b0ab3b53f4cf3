"""Kernels of the scans: compiled when first needed for one precision, cached on disk, run over
blocks of batch x channels on several threads.
"""

from __future__ import annotations

import hashlib
import inspect
import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from ..runtime.jit import machine_code
from ..runtime.threads import cores, over_threads
from ..runtime.validation import integer

LANES = 32  # channels in a block
STEPS_PER_CHUNK = 64
MIN_THREADED_WORK = 1e5  # multiplications below which a second thread costs more than it saves
RULER = re.compile(r"\n# -{90}\n")
_LOCK = threading.Lock()
_KERNELS: dict[tuple, Callable] = {}


def kernel(name: str, dtype: DTypeLike, exact: bool = False) -> Callable:
    """A function of the loops, such as "linear_forward", compiled for float32 or float64."""
    key = name, np.dtype(dtype).name, bool(exact)
    with _LOCK:
        if key not in _KERNELS:
            text = _text(name.partition("_")[0], *key[1:])
            _KERNELS[key] = machine_code(
                f"dynmem_scan_{hashlib.sha256(text.encode()).hexdigest()[:32]}", text, name
            )
        return _KERNELS[key]


@cache
def _text(scan: str, real: str, exact: bool) -> str:
    """The source of the loops of a scan for one precision and one input step."""
    from . import channel_loops, linear_loops, loops, selective_loops

    own = {"linear": linear_loops, "channel": channel_loops, "selective": selective_loops}[scan]
    head, _, shared = RULER.split(inspect.getsource(loops))
    _, body = RULER.split(inspect.getsource(own))
    chosen = f"np.{real}, np.{real.replace('float', 'int')}, {exact}, {LANES}, {STEPS_PER_CHUNK}"
    return "\n".join(
        (head, f"REAL, INTEGER, EXACT, LANES, STEPS_PER_CHUNK = {chosen}", shared, body)
    )


def run(
    kernel: Callable,
    blocks: int,
    work: float,
    threads: int,
    arguments: Sequence,
    space: Sequence[tuple[int, ...]] = (),
    like: DTypeLike | None = None,
) -> None:
    """``kernel(p0, p1, *arguments, *space)`` over all blocks; ``space`` has the shapes of the work
    arrays of each call.
    """

    def part(p0: int, p1: int) -> None:
        kernel(p0, p1, *arguments, *(np.zeros(shape, like) for shape in space))

    over_threads(part, blocks, min(threads, blocks) if work >= MIN_THREADED_WORK else 1)


def threads_to_use(threads: int | None = None) -> int:
    """Number of threads of a scan; by default as many as torch uses.

    One inside a thread or a process that another program has started, since the cores are then
    divided already.

    >>> threads_to_use(2)
    2
    """
    if threads is not None:
        return integer("threads", threads)
    if (
        threading.current_thread() is not threading.main_thread()
        or multiprocessing.parent_process() is not None
    ):
        return 1
    if "torch" in sys.modules:
        return sys.modules["torch"].get_num_threads()
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(stated)) if stated.isdigit() else cores()


def in_lanes(x: np.ndarray) -> np.ndarray:
    """(..., H, N) as blocks of neighbouring channels (..., blocks, N, LANES), zero padded."""
    *lead, H, N = x.shape
    blocks = -(-H // LANES)
    padded = np.zeros((*lead, blocks * LANES, N), x.dtype)
    padded[..., :H, :] = x
    return np.ascontiguousarray(padded.reshape(*lead, blocks, LANES, N).swapaxes(-1, -2))


def from_lanes(x: np.ndarray, H: int) -> np.ndarray:
    """Inverse of ``in_lanes`` for H channels."""
    *lead, blocks, N, lanes = x.shape
    return np.ascontiguousarray(x.swapaxes(-1, -2).reshape(*lead, blocks * lanes, N)[..., :H, :])
