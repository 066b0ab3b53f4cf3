"""Kernels of the scans: compiled when first needed for one precision, kept on disk, run over blocks
of batch x channels on several threads."""

import hashlib
import inspect
import multiprocessing
import os
import re
import sys
import threading
from functools import cache

import numpy as np

from ..runtime.jit import machine_code
from ..runtime.threads import cores, over_threads

LANES, CHUNK = 32, 64  # channels in a block; steps in a piece
ENOUGH = 1e5  # multiplications below which a second thread costs more than it saves
_LOCK = threading.Lock()
_KERNELS = {}


def kernel(name, dtype, exact=False):
    """A function of ``loops`` as machine code for float32 or float64."""
    key = name, np.dtype(dtype).name, bool(exact)
    with _LOCK:
        if key not in _KERNELS:
            text = _text(*key[1:])
            _KERNELS[key] = machine_code(
                f"dynmem_scan_{hashlib.sha256(text.encode()).hexdigest()[:32]}", text, name
            )
        return _KERNELS[key]


@cache
def _text(real, exact):
    """The text of ``loops`` for one precision and one input step."""
    from . import loops

    head, _, body = re.split(r"\n# -{90}\n", inspect.getsource(loops))
    chosen = f"np.{real}, np.{real.replace('float', 'int')}, {exact}, {LANES}, {CHUNK}"
    return "\n".join((head, f"REAL, INTEGER, EXACT, LANES, CHUNK = {chosen}", body))


def run(kernel, blocks, work, threads, arguments, space=(), like=None):
    """``kernel(p0, p1, *arguments, *space)`` over all blocks; ``space`` names the shapes of what
    each call needs for itself."""

    def part(p0, p1):
        kernel(p0, p1, *arguments, *(np.zeros(shape, like) for shape in space))

    over_threads(part, blocks, min(threads, blocks) if work >= ENOUGH else 1)


def threads_to_use(threads=None):
    """Threads of a scan: as many as said, else as torch has; one inside a thread or a process that
    someone else has started, since the cores are then divided already.

    >>> threads_to_use(2)
    2
    """
    if threads is not None:
        if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
            raise ValueError(
                f"threads = {threads!r}: must be a whole number of at least 1, or None for as "
                "many as torch has"
            )
        return int(threads)
    if (
        threading.current_thread() is not threading.main_thread()
        or multiprocessing.parent_process() is not None
    ):
        return 1
    if "torch" in sys.modules:
        return sys.modules["torch"].get_num_threads()
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(stated)) if stated.isdigit() else cores()


def in_lanes(x):
    """(..., H, N) as blocks of neighbouring channels (..., blocks, N, LANES), the last one filled
    up with zeros."""
    *lead, H, N = x.shape
    blocks = -(-H // LANES)
    padded = np.zeros((*lead, blocks * LANES, N), x.dtype)
    padded[..., :H, :] = x
    return np.ascontiguousarray(padded.reshape(*lead, blocks, LANES, N).swapaxes(-1, -2))


def from_lanes(x, H):
    """The way back of ``in_lanes``."""
    *lead, blocks, N, lanes = x.shape
    return np.ascontiguousarray(x.swapaxes(-1, -2).reshape(*lead, blocks * lanes, N)[..., :H, :])
