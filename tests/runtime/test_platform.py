"""What differs between systems, simulated: modules and signals that are not there, locks of
Windows, memory of a control group, mounts of a network."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import xarray as xr

import dynmem as dm
from dynmem.errors import BusyError
from dynmem.runtime import platform
from dynmem.runtime.locks import is_locked, locked
from dynmem.study.run import Stopped, stoppable
from dynmem.study.store import BadNameError, Store

# An interpreter as Windows or macOS has it: without the modules and the functions that are not
# there. Packages of others are imported before, since they choose their own code by the system.
IMPORTS = """
import importlib, os, pkgutil, signal, sys
for name in ("numpy", "scipy.linalg", "torch", "xarray", "sympy", "numba", "h5netcdf",
             "distributed",
             "matplotlib.pyplot", "pandas", "psutil", "cloudpickle", "lazy_loader", "tqdm.auto"):
    importlib.import_module(name)
sys.platform = {system!r}
gone = {{"win32": (["fcntl", "resource", "termios", "pwd", "grp"],
                   ["sched_getaffinity", "O_NOFOLLOW", "O_CLOEXEC", "fork", "sysconf", "getuid",
                    "mkfifo", "statvfs", "fchmod", "fchown", "killpg", "getpgid", "setsid"],
                   ["SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "pthread_sigmask"]),
        "darwin": ([], ["sched_getaffinity", "memfd_create"], []),
        "emscripten": (["fcntl", "msvcrt"], ["sched_getaffinity", "fork"],
                       ["SIGTERM", "SIGKILL"])}}[{system!r}]
for name in gone[0]:
    sys.modules[name] = None
for owner, names in ((os, gone[1]), (signal, gone[2])):
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)
import dynmem
for found in pkgutil.walk_packages(dynmem.__path__, "dynmem."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from dynmem.runtime import platform
print(len(platform.stop_signals()), platform.cores() > 0, platform.fcntl is None)
"""


@pytest.mark.slow  # a fresh interpreter imports everything: six seconds each
@pytest.mark.parametrize(
    ("system", "expected"),
    [("win32", "2 True True"), ("darwin", "2 True False"), ("emscripten", "1 True True")],
)
def test_every_module_is_imported_where_there_are_no_posix_modules(system, expected):
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(system=system)], capture_output=True, text=True
    )
    assert ran.stdout.strip() == expected, ran.stderr[-2000:]


class Msvcrt:
    """Byte locks of Windows, of one table for all descriptors of this process."""

    LK_NBLCK = 2

    def __init__(self):
        self.held = {}

    def locking(self, descriptor, mode, count):
        assert mode == self.LK_NBLCK and count == 1
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == platform.FAR
        key = os.fstat(descriptor).st_ino
        owner = self.held.get(key)
        if owner is not None and owner != descriptor and _is_open(owner, key):
            raise PermissionError(errno.EACCES, "Permission denied")
        self.held[key] = descriptor


def _is_open(descriptor, inode):
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False


@pytest.fixture
def windows(monkeypatch):
    """The locks and the flags of Windows."""
    monkeypatch.setattr(platform, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt())
    for name in ("O_NOFOLLOW", "O_CLOEXEC"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "O_BINARY", 0, raising=False)


def test_a_byte_is_locked_on_windows(windows, tmp_path):
    path = tmp_path / "a.lock"
    with locked(path) as descriptor:
        os.write(descriptor, b"{}")
        assert is_locked(path) and path.read_bytes() == b"{}"
        with pytest.raises(BlockingIOError), locked(path):
            pass
    assert not is_locked(path)


def test_a_link_is_not_followed_where_there_is_no_flag_for_it(windows, tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    (tmp_path / "a.lock").symlink_to(tmp_path / "thesis.tex")
    with pytest.raises(OSError, match="is a link: remove it"), locked(tmp_path / "a.lock"):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "all of it"


def square(gain):
    return xr.Dataset({"square": ((), gain**2, {"units": "1"})})


# names of folders that Windows, macOS and users bring: a drive letter is a plain name here
FOLDERS = [
    *("C:\\Users\\me", "My Documents", "Zoë/ünï çødé", "结果"),
    *("a'b\"c", "x" * 200, "~", "%TEMP%"),
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_study_runs_in_a_folder_of_any_name(folder, tmp_path, windows):
    study = dm.Study("demo", "A square?", {"gain": [1.0, 2.0]}, square)
    found = study.run(output=tmp_path / folder, workers=1)
    assert found.square.values.tolist() == [1.0, 4.0]
    xr.testing.assert_identical(found, study.load(output=tmp_path / folder))


@pytest.mark.parametrize("name", ["con", "NUL", "aux.v2", "Com1", "lpt9.x.y"])
def test_a_name_that_is_a_device_of_windows_is_refused(name, tmp_path):
    with pytest.raises(BadNameError, match="is a device of Windows"):
        Store(name, tmp_path)


def test_a_name_that_holds_one_is_none(tmp_path):
    assert Store("console", tmp_path).name == "console"
    assert Store("my-nul.aux", tmp_path).name == "my-nul.aux"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(code, monkeypatch, tmp_path):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(platform.fcntl, "flock", flock)
    with pytest.raises(OSError, match="has no locks .*use a folder on another"):
        dm.Study("demo", "A square?", {"gain": [1.0]}, square).run(output=tmp_path, workers=1)


@pytest.mark.parametrize(
    ("kind", "options", "local"),
    [
        ("ext4", "rw,relatime", False),
        ("nfs4", "rw,vers=4.2,local_lock=none", False),
        ("nfs", "rw,vers=3,nolock,local_lock=all", True),
        ("nfs", "rw,vers=3,local_lock=flock", True),
        ("cifs", "rw,nobrl", True),
        ("cifs", "rw,vers=3.1.1", False),
        ("fuse.sshfs", "rw", True),
    ],
)
def test_locks_that_end_at_this_machine_are_said(
    kind, options, local, monkeypatch, tmp_path, capsys
):
    mounts = [("/", "ext4", "rw"), (str(tmp_path), kind, options), ("/proc", "proc", "rw,nolock")]
    monkeypatch.setattr(
        psutil,
        "disk_partitions",
        lambda all: [SimpleNamespace(mountpoint=m, fstype=f, opts=o) for m, f, o in mounts],
    )
    study = dm.Study("demo", "A square?", {"gain": [1.0]}, square)
    study.run(output=tmp_path / "new", workers=1)
    assert (
        "locks end at this machine: run the study on one machine" in capsys.readouterr().err
    ) is (local)


def test_a_folder_that_no_mount_is_known_of_is_taken(monkeypatch, tmp_path):
    for partitions in ([], OSError("no /proc")):

        def listed(all, partitions=partitions):
            if isinstance(partitions, OSError):
                raise partitions
            return partitions

        monkeypatch.setattr(psutil, "disk_partitions", listed)
        assert platform.reach_of_locks(tmp_path) == ""


def test_a_second_run_is_told_of_the_first_on_windows(windows, tmp_path):
    store = Store("demo", tmp_path)
    with (
        store.lock(),
        pytest.raises(BusyError, match=f"being run by process {os.getpid()} since"),
        store.lock(),
    ):
        pass


# ---- signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_and_the_handler_before_it_comes_back(name):
    signum = getattr(signal, name)
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stop, stoppable():
        signal.raise_signal(signum)
    assert stop.value.signum == signum and signal.getsignal(signum) is before


def test_ctrl_break_of_windows_stops_too(monkeypatch):
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGUSR1)


def test_a_system_without_a_signal_has_the_others(monkeypatch):
    monkeypatch.delattr(signal, "SIGTERM")
    assert platform.stop_signals() == [signal.SIGINT]
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGINT)


def test_another_thread_changes_no_handler():
    before, found = signal.getsignal(signal.SIGINT), []

    def run():
        with stoppable():
            platform.ignore_interrupts()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before] and signal.getsignal(signal.SIGINT) is before


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- memory and disk


def group(root, path, limit, used, cached, version):
    """Files of a control group."""
    folder = root / path if version == 2 else root / "memory" / path
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_control_group_holds(version, tmp_path, monkeypatch):
    lines = {1: "4:memory,cpu:/job/7\n3:cpuset:/\n", 2: "0::/job/7\n"}[version]
    (tmp_path / "cgroup").write_text(lines)
    monkeypatch.setattr(
        platform,
        "Path",
        lambda path: tmp_path / "cgroup" if path == "/proc/self/cgroup" else Path(path),
    )
    group(tmp_path, "job/7", 1000, 900, 300, version)
    group(tmp_path, "job", "max" if version == 2 else 2**63 - 4096, 10, 0, version)
    assert list(platform._group_free(tmp_path)) == [400]
    group(tmp_path, "job", 950, 900, 0, version)  # the job as a whole has less
    assert sorted(platform._group_free(tmp_path)) == [50, 400]


def test_without_control_groups_the_memory_of_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "Path", lambda _: tmp_path / "none")
    assert 0 < platform.free_memory() <= psutil.virtual_memory().total


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert platform.free_disk(tmp_path / "a" / "b") == pytest.approx(
        platform.free_disk(tmp_path), rel=0.1
    )
