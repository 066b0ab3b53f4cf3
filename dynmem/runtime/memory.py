"""What a call will need, said before it starts: Linux overcommits, and would kill the process
later; a run of 1e15 steps would not end."""

from __future__ import annotations

import math

from .platform import free_memory

STEP_SECONDS = 1e-8  # of the quickest compiled maps; others take longer
SMALL_BYTES = 2**24  # for which free memory, half a millisecond to read, is not read
MOST_SECONDS = 100 * 86400.0


def require_memory(needed: float, what: str, remedy: str) -> None:
    """Raise MemoryError where ``needed`` bytes are more than are free.

    >>> require_memory(1e18, "an orbit of 1e17 steps", "take fewer")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    MemoryError: an orbit of 1e17 steps: needs about 1e+03 PB of memory, ... are free: take fewer
    """
    if needed > SMALL_BYTES and needed > (free := free_memory()):
        raise MemoryError(
            f"{what}: needs about {size(needed)} of memory, {size(free)} are free: {remedy}"
        )


def require_time(steps: float, what: str, remedy: str) -> None:
    """Raise ValueError where so many steps would take more than a hundred days even at the 10 ns
    of the quickest map.

    >>> require_time(1e16, "duration = 1e16", "take less")
    Traceback (most recent call last):
    ...
    ValueError: duration = 1e16 would take more than 1.2e+03 days, at 10 ns a step: take less
    """
    if steps * STEP_SECONDS > MOST_SECONDS:
        days = steps * STEP_SECONDS / 86400
        raise ValueError(f"{what} would take more than {days:.2g} days, at 10 ns a step: {remedy}")


def size(number: float) -> str:
    """A number of bytes, with its unit.

    >>> size(380e9), size(2000)
    ('380 GB', '2 kB')
    """
    power = min(int(math.log10(max(number, 1)) // 3), 5)
    return f"{number / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
