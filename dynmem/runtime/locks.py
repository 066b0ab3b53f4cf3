"""A file that one process holds at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .platform import lock, open_own


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Descriptor of a file, held by this process alone; BlockingIOError where another holds it. The
    lock of a process that ended is released by the system."""
    try:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(f"{path} is a link: remove it, or use another folder") from None
        raise
    try:
        lock(descriptor, path.parent)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process, or this one, holds the file."""
    if not path.is_file() or path.is_symlink():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        lock(descriptor, path.parent)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
