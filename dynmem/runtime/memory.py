"""Check memory before allocating: Linux overcommits, and would kill the process later."""

import math
import os


def require_memory(size, what, remedy):
    """Raise MemoryError where ``size`` bytes are more than this machine has.

    >>> require_memory(1e18, "an exabyte", "take fewer")
    Traceback (most recent call last):
    ...
    MemoryError: an exabyte take 1e+09 GB of memory, more than this machine has: take fewer
    """
    if size > memory():
        raise MemoryError(
            f"{what} take {float(size) / 1e9:.3g} GB of memory, more than this "
            f"machine has: {remedy}"
        )


def memory():
    """Bytes of memory of this machine; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf
