"""What differs between Linux, macOS and Windows, kept in one place: locks, signals, folders that
are flushed, free disk and free memory, processors, and the options of a file that is opened."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
NO_FOLDER_FLUSH = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP}
FAR = 2**30  # Windows locks bytes, which nobody else can read then: one that is never written
# File systems whose locks may end at this machine, and the options of a mount that make them so.
LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock", "nobrl"}
LOCAL_LOCK_SYSTEMS = {"fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "9p", "afs"}
UNLIMITED = 1 << 60  # what control groups state for no limit is above it


# ---- files


def open_own(path: Path, flags: int, mode: int = 0o644) -> int:
    """Descriptor of a file that is no link, and that a child process does not inherit."""
    safe = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return os.open(path, flags | safe, mode)


def flush_folder(folder: Path) -> None:
    """A rename outlives a power cut only once its folder has reached the disk; Windows opens no
    folders, and keeps its own journal."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(descriptor)


def lock(descriptor: int, folder: Path) -> None:
    """Lock an open file for this process; BlockingIOError where another holds it, OSError where
    the file system of the folder has no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_byte(descriptor)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise OSError(
                f"the file system of {folder} has no locks ({os.strerror(error.errno)}): "
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
    os.lseek(descriptor, 0, os.SEEK_SET)


def reach_of_locks(folder: Path) -> str:
    """A sentence where locks in a folder hold on this machine alone; empty where they reach every
    machine that has the folder.

    Linux turns ``flock`` on NFS and SMB into locks of the server, unless the mount says otherwise;
    some file systems over a network have none.
    """
    kind, options = _mount(folder)
    chosen = sorted(LOCAL_LOCKS & set(options.split(",")))
    if kind in LOCAL_LOCK_SYSTEMS or chosen:
        how = f"{kind} ({', '.join(chosen)})" if chosen else kind
        return (
            f"{folder} is on {how}, whose locks end at this machine: run the study on one machine "
            "at a time"
        )
    return ""


def _mount(folder: Path) -> tuple[str, str]:
    """File system and options of the mount that holds a folder; empty where that is not known."""
    import psutil

    try:
        real = Path(os.path.realpath(folder))
        parts = [p for p in psutil.disk_partitions(all=True) if real.is_relative_to(p.mountpoint)]
    except (OSError, RuntimeError):
        return "", ""
    if not parts:
        return "", ""
    # of two mounts on one folder the later one is seen
    found = max(enumerate(parts), key=lambda item: (len(Path(item[1].mountpoint).parts), item[0]))
    return found[1].fstype, found[1].opts


def free_disk(folder: Path) -> int:
    """Free bytes where a folder is, or will be."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


# ---- signals


def stop_signals() -> list[signal.Signals]:
    """Signals that ask a process to end and that it can answer: SIGINT everywhere, SIGTERM where
    there is one, SIGBREAK on Windows."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@contextmanager
def answering(signals: Iterable[int], answer: Callable[[int, Any], None]) -> Iterator[None]:
    """Call ``answer(signum, frame)`` on these signals; one that is already ignored (nohup, a
    background job) stays ignored. Outside of the main thread nothing is changed."""
    before: dict[int, Any] = {}
    try:
        for signum in signals:
            handler = signal.getsignal(signum)
            if handler in (signal.SIG_IGN, None):
                continue
            try:
                before[signum] = signal.signal(signum, answer)
            except ValueError:  # another thread than the main one, or no such signal here
                break
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def ignore_interrupts() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the process that started this."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # another thread than the main one
        return


# ---- processors and memory


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes of memory that this process can still use: of the machine, or what the limit of its
    control group (a container, a batch job) leaves."""
    import psutil

    return min(psutil.virtual_memory().available, *_group_free(Path("/sys/fs/cgroup")), UNLIMITED)


def _group_free(root: Path) -> Iterator[int]:
    """What the limits of this process's control groups leave, of each of them; nothing outside of
    Linux."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":  # version 2: one tree
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            base = root / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = base / path.strip("/")
        for folder in (inside, *inside.parents):  # a limit of a group above holds too
            if folder.is_relative_to(base) and (free := _free_in(folder, *names)) is not None:
                yield free


def _free_in(folder: Path, limit_file: str, used_file: str, cached_name: str) -> int | None:
    try:
        limit = int((folder / limit_file).read_text())  # "max" where there is none
        if limit >= UNLIMITED:
            return None
        used = int((folder / used_file).read_text())
        rows = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # pages of files that nobody reads now count as used, and are given up when asked for
    return max(0, limit - used + int(rows.get(cached_name, 0)))
