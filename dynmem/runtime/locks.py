"""A file that one process holds at a time. What differs between systems stands here."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
FAR = 2**30  # Windows locks bytes, which nobody else can read then: one that is never written


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Descriptor of a file, held by this process alone; BlockingIOError where another holds it. The
    lock of a process that ended is released by the system."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(f"{path} is a link: remove it, or use another folder") from None
        raise
    try:
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process, or this one, holds the file."""
    if not path.is_file() or path.is_symlink():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        _lock(descriptor, path)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, path: Path) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_byte(descriptor)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise OSError(
                f"the file system of {path.parent} has no locks ({os.strerror(error.errno)}): "
                "two runs could not be kept apart; use a folder on another"
            ) from None
        raise


def _lock_byte(descriptor: int) -> None:
    import msvcrt

    os.lseek(descriptor, FAR, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        raise BlockingIOError(errno.EAGAIN, "held by another process") from error
