"""A study small enough to be run, killed and damaged many times, and how to run it as a user
does."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from dynmem.study import Study
from dynmem.study.growth import Keys

ROOT = Path(__file__).parents[1]
UNUSED = ("analysis", "autodiff", "compiler", "datasets", "integrate", "models", "scan", "systems")
UNUSED += ("tasks", "theory", "training", "__pycache__")

SOURCE = '''"""How does a small matrix act?

More words.
"""

import os
import signal
import time

import numpy as np
import xarray as xr

from dynmem.study import Study


def measure(gain, seed, steps):
    trouble(gain, seed)
    rng = np.random.default_rng(seed)
    W, x, norms = gain * rng.normal(size=(24, 24)) / 24**0.5, rng.normal(size=24), []
    for _ in range(steps):
        x = W @ x
        norms.append(np.linalg.norm(x))
    return xr.Dataset(
        {
            "norm": ("step", norms, {"units": "1", "long_name": "length of the state"}),
            "eigenvalue": ("mode", np.linalg.eigvals(W)),
            "grows": ((), bool(norms[-1] > norms[0])),
            "rank": ((), int(np.linalg.matrix_rank(W))),
            "word": ((), "grows" if norms[-1] > norms[0] else "decays"),
        },
        {"step": ("step", np.arange(1, steps + 1), {"units": "1"}), "mode": np.arange(24)},
        {"source": "a test"},
    )


def trouble(gain, seed):
    """What a test sets in the environment: a pause, or an accident at one point, some times."""
    time.sleep(float(os.environ.get("TINY_" + "PAUSE", "0")))
    kind, _, rest = os.environ.get("TINY_" + "TROUBLE", "").partition(":")
    if not kind:
        return
    place, times, marks = rest.split(":")
    if place not in (f"{gain},{seed}", "everywhere"):
        return
    if claimed(marks, int(times)):
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "exit":
            raise SystemExit(3)
        raise ValueError(f"no luck with gain {gain}")


def claimed(marks, times):
    """Whether one of this number of accidents is left; two workers never take the same one."""
    for i in range(times):
        try:
            os.close(os.open(os.path.join(marks, str(i)), os.O_CREAT | os.O_EXCL))
            return True
        except FileExistsError:
            continue
    return False


def finish(dataset):
    return dataset.assign(mean_norm=dataset.norm.mean("seed"))


def summary(dataset):
    return f"largest norm {float(dataset.norm.max()):.3f}"


STUDY = Study(
    "tiny",
    "How does a small matrix act?",
    grid={"gain": [0.5, 1.0, 2.0], "seed": [0, 1, 2, 3]},
    measure=measure,
    settings={"steps": 5},
    quick={"seed": [0], "steps": 2},
    units={"gain": ("1", "gain of the weights")},
    limits={"gain": (0, None), "steps": (1, 10_000), "seed": (0, None)},
    finish=finish,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
'''

FIGURE = '''"""Norms over steps."""

import matplotlib.pyplot as plt


def draw(dataset):
    figure, axes = plt.subplots()
    axes.plot(dataset.step, dataset.norm[0, 0])
    return figure
'''


def square(gain, seed):
    """A measure that takes no time."""
    return xr.Dataset({"square": ("axis", [gain**2, seed**2])})


def light_study() -> Study:
    """A study of two points, for many runs in one process."""
    return Study("light", "What is a square?", {"gain": [0.5, 2.0], "seed": [3]}, square)


def key_of(study: Study, index: int, quick: bool = False) -> str:
    """Name of the file of a point, without its ending."""
    plan = study.plan(quick)
    return Keys(study.name, study.configuration(plan)).key(plan.point(index))


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a store, by name."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_installation(folder: Path) -> Path:
    """A project with the study ``tiny``, and dynmem as it is installed: a copy, so that no edit
    during the tests makes its code differ between runs.

    Only what a study of plain numpy needs: each run takes a fingerprint of every file, and those of
    all of dynmem would take two seconds.
    """
    shutil.copytree(ROOT / "dynmem", folder / "dynmem", ignore=shutil.ignore_patterns(*UNUSED))
    for package in ("studies", "figures"):
        (folder / "dynmem" / package).mkdir()
        for name in ("__init__.py", "vanishing.py"):
            shutil.copy(ROOT / package / name, folder / "dynmem" / package)
    return write_packages(folder)


def write_packages(folder: Path) -> Path:
    """Packages ``studies`` and ``figures`` in a folder, each with ``tiny``."""
    for package, source in (("studies", SOURCE), ("figures", FIGURE)):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("")
        (folder / package / "tiny.py").write_text(source)
    return folder


def import_study(folder: Path, monkeypatch, source: str = SOURCE):
    """STUDY of a module that stands alone in a folder, imported afresh."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny_module.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("tiny_module", None)
    importlib.invalidate_caches()
    # a file changed within the same second would be taken for its own cache
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module("tiny_module").STUDY


def environment(folder: Path, **more) -> dict[str, str]:
    """Environment of a command that finds the packages of ``folder`` and this dynmem."""
    path = os.pathsep.join((str(folder), str(ROOT)))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        **{key: str(value) for key, value in more.items()},
    }


# calls of os that change what is on the disk, or make it last
CHANGES = ("replace", "fsync", "unlink", "rename", "mkdir")


def forked(call: Callable[[], int]) -> int:
    """A fork that calls a function, in silence, and exits with what it returns; its number."""
    with warnings.catch_warnings():
        # a fork of a process with threads: this one only computes small things
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = call()
    finally:
        os._exit(code)


def killed_before(change: int, call: Callable[[], object]) -> bool:
    """Call a function in a fork that kills itself before its n-th change of a file; whether it came
    so far."""
    left = [change]

    def counted(function):
        def counting(*arguments, **more):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return counting

    def doomed() -> int:
        for name in CHANGES:
            setattr(os, name, counted(getattr(os, name)))
        call()
        return 0

    return os.WIFSIGNALED(os.waitpid(forked(doomed), 0)[1])


def listening(process: int) -> set[str]:
    """Addresses on which a process listens, as /proc has them."""
    sockets = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:
                found.add(columns[1].partition(":")[0])
    return found


def restore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, *arguments, **more) -> subprocess.Popen:
    """``dynmem ARGUMENTS`` in a folder, started. It receives Ctrl-C even where the tests run in the
    background of a shell, which ignores it."""
    command = [sys.executable, "-W", "error", "-m", "dynmem", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder, **more),
        start_new_session=True,
        preexec_fn=restore_ctrl_c,
        **streams,
    )


def dynmem(folder: Path, *arguments, **more) -> subprocess.CompletedProcess:
    """``dynmem ARGUMENTS`` in a folder, finished."""
    process = start(folder, *arguments, **more)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def children(process: int) -> list[int]:
    """Worker processes of a run."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [
        int(child)
        for task in tasks
        for child in task.read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def alive(process: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_points(folder: Path, number: int, seconds: float = 90) -> None:
    """Wait until a folder of points holds a number of them."""
    deadline = time.time() + seconds
    while len(list(folder.glob("*.point"))) < number:
        assert time.time() < deadline, f"{folder} holds no {number} points"
        time.sleep(0.01)
