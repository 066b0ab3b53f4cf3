"""What must never happen to a study: killed, stopped, damaged, out of space, run twice. By default
few cases; `-m slow` for many.

Two ways to kill: at random times, as it happens; and before each single change of a file, which
leaves no moment out.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
import xarray as xr

from dynmem.errors import BusyError
from dynmem.study import ClusterError, Store, Study, failures
from tests.tiny import (
    contents,
    dynmem,
    environment,
    import_study,
    light_study,
    start,
    write_installation,
)

# calls of os that change what is on the disk, or make it last
CHANGES = ("replace", "fsync", "unlink", "rename", "mkdir")


@pytest.fixture
def study(tmp_path, monkeypatch):
    return import_study(tmp_path / "code", monkeypatch)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return write_installation(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def unbroken(packages):
    """Bytes of the store after a run in one go."""
    assert dynmem(packages, "run", "tiny", "--output", "unbroken", "--workers", 1).returncode == 0
    return contents(packages / "unbroken")


@pytest.fixture
def light():
    return light_study()


# ---- R1: killed at any moment --------------------------------------------------------------------


def kill_at_random(packages, unbroken, name, workers, kills, seed):
    times, output = random.Random(seed), packages / name
    for _ in range(kills):
        process = start(
            packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.05
        )
        time.sleep(times.uniform(0.3, 1.6))
        os.killpg(process.pid, signal.SIGKILL) if times.random() < 0.5 else process.kill()
        process.communicate()
    last = dynmem(packages, "run", "tiny", "--output", name, "--workers", 1)
    assert last.returncode == 0, last.stderr
    assert contents(output) == unbroken


def test_killed_at_random_times_the_same_bytes(packages, unbroken):
    kill_at_random(packages, unbroken, "killed", workers=2, kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_times_the_same_bytes_often(packages, unbroken, seed):
    kill_at_random(packages, unbroken, f"often-{seed}", 1 + seed % 2, kills=3, seed=100 + seed)


def run_until(study, output, change: int) -> int:
    """Run in a forked process that kills itself before its n-th change of a file; the wait
    status."""
    with warnings.catch_warnings():
        # a fork of a process with threads: this one only computes small things
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = [change]

    def counted(function):
        def call(*arguments, **more):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return call

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    study.run(output=output)
    os._exit(0)


def test_killed_before_each_change_of_a_file_the_same_bytes(light, tmp_path):
    light.run(output=tmp_path / "whole")
    whole, change = contents(tmp_path / "whole"), 0
    while True:
        output = tmp_path / f"killed-{change}"
        status = run_until(light, output, change)
        light.run(output=output)
        assert contents(output) == whole, f"killed before change {change}"
        if os.WIFEXITED(status):
            break
        change += 1
    assert change > 15


def test_no_worker_outlives_a_killed_run(packages):
    process = start(packages, "run", "tiny", "--output", "orphans", "--workers", 2, TINY_PAUSE=30)
    deadline = time.time() + 20
    while len(workers := children(process.pid)) < 2 and time.time() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    while any(alive(worker) for worker in workers) and time.time() < deadline:
        time.sleep(0.05)
    assert len(workers) >= 2 and not any(alive(worker) for worker in workers)


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [
        int(child)
        for task in tasks
        for child in task.read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- R2: stopped ---------------------------------------------------------------------------------


def stop(packages, unbroken, name, workers, signum, code):
    process = start(packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.4)
    wait_for_points(packages / name / "tiny.points", 2)
    # Ctrl-C reaches the whole group, `kill` one process
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    out, err = process.communicate(timeout=20)
    saved = len(list((packages / name / "tiny.points").glob("*.point")))
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == (
        f"dynmem: stopped; {saved} of 12 points saved; run again to go on"
    )
    again = dynmem(packages, "run", "tiny", "--output", name, "--workers", 1)
    assert (again.returncode, again.stderr) == (0, f"resuming tiny: {saved} of 12 points done\n")
    assert contents(packages / name) == unbroken


def wait_for_points(folder: Path, number: int, seconds: float = 60) -> None:
    deadline = time.time() + seconds
    while len(list(folder.glob("*.point"))) < number:
        assert time.time() < deadline, f"{folder} holds no {number} points"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "workers, signum, code", [(1, signal.SIGTERM, 143), (2, signal.SIGINT, 130)]
)
def test_stopped_it_saves_what_is_finished(packages, unbroken, workers, signum, code):
    stop(packages, unbroken, f"stopped-{workers}", workers, signum, code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers, signum, code", [(1, signal.SIGINT, 130), (2, signal.SIGTERM, 143)] * 4
)
def test_stopped_it_saves_what_is_finished_often(
    packages, unbroken, workers, signum, code, tmp_path
):
    stop(packages, unbroken, f"stopped-{tmp_path.name}", workers, signum, code)


# ---- R3: a worker dies ---------------------------------------------------------------------------


def lose_workers(study, tmp_path, monkeypatch, capsys, place, times):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("TINY_TROUBLE", f"kill:{place}:{times}:{marks}")
    return study.run(output=tmp_path / "lost", workers=2), capsys.readouterr().err


def test_a_point_that_kills_three_workers_is_marked_and_the_rest_is_done(
    study, tmp_path, monkeypatch, capsys
):
    dataset, said = lose_workers(study, tmp_path, monkeypatch, capsys, "1.0,2", 3)
    first, *rest = [line for line in said.splitlines() if line.startswith("worker")]
    assert re.search(r"worker lost, points? .*\b6\b.* tried again", first)
    assert rest == [
        "worker lost, point 6 tried again (2 of 3)",
        "worker lost, point 6 failed: it ended 3 workers",
    ]
    assert [(failure["point"], failure["error"]) for failure in failures(dataset)] == [
        (6, "it ended 3 workers")
    ]
    assert int((dataset.status == "done").sum()) == 11
    whole = study.run(output=tmp_path / "whole")
    xr.testing.assert_identical(study.run(output=tmp_path / "lost"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("times", range(1, 11))
def test_workers_lost_anywhere_cost_nothing(study, tmp_path, monkeypatch, capsys, times):
    whole = study.run(output=tmp_path / "whole")
    dataset, said = lose_workers(study, tmp_path, monkeypatch, capsys, "everywhere", times)
    assert said.count("worker lost") == times
    if not failures(dataset):
        xr.testing.assert_identical(dataset, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_workers_killed_from_outside_cost_nothing(packages, unbroken, seed):
    times, name = random.Random(seed), f"outside-{seed}"
    process = start(packages, "run", "tiny", "--output", name, "--workers", 2, TINY_PAUSE=0.2)
    for _ in range(2):
        time.sleep(times.uniform(0.3, 1.0))
        for worker in children(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert contents(packages / name) == unbroken


# A worker ends: while it measures, while it is idle, at the last point, and, while
# another is idle, at the only point that is left. What follows is the same: all other points done.
ENDS = {
    "busy": ("gain == 1.0", 3, 3),
    "last": ("gain == 3.0 and time.sleep(1.5) is None", 3, 3),
    "twice": ("gain == 2.0", 2, 4),
    "everywhere": ("True", 2, 4),
}
DEADLY = """
import os, signal, time
import xarray
from dynmem.study import Study

def measure(gain, marks):
    if {when} and len(os.listdir(marks)) < {times}:
        open(os.path.join(marks, str(time.time_ns())), "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return xarray.Dataset({{"x": gain}})

study = Study(
    "deadly", "q", {{"gain": [0.0, 1.0, 2.0, 3.0]}}, measure, settings={{"marks": {marks!r}}}
)
found = study.run(output={output!r}, workers=2)
print(int((found.status == "done").sum()))
"""


@pytest.mark.slow  # each starts workers several times
@pytest.mark.parametrize("name", ENDS)
def test_whenever_a_worker_ends_the_rest_is_done(tmp_path, name):
    when, times, done = ENDS[name]
    marks = tmp_path / "marks"
    marks.mkdir()
    code = DEADLY.format(when=when, times=times, marks=str(marks), output=str(tmp_path / "out"))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert int(ran.stdout) == done, ran.stderr


@pytest.mark.slow  # starts workers twice
def test_a_worker_that_ends_while_it_is_idle_costs_nothing(packages, unbroken):
    """The only other worker measures for seconds; then the idle one is needed again."""
    process = start(packages, "run", "tiny", "--output", "idle", "--workers", 2, TINY_PAUSE=0.3)
    wait_for_points(packages / "idle" / "tiny.points", 3)
    for worker in children(process.pid):
        os.kill(worker, signal.SIGKILL)
        time.sleep(0.1)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert contents(packages / "idle") == unbroken


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


def test_nothing_listens_beyond_loopback(packages):
    process = start(packages, "run", "tiny", "--output", "local", "--workers", 2, TINY_PAUSE=0.3)
    wait_for_points(packages / "local" / "tiny.points", 1)
    processes = [process.pid, *children(process.pid)]
    found = set().union(*map(listening, processes))
    process.kill()
    process.communicate()
    assert len(processes) >= 3 and found == {"0100007F"}  # 127.0.0.1


def test_status_says_where_a_study_stands(packages):
    def status(name="state"):
        ran = dynmem(packages, "status", "--output", name, "--json")
        assert ran.returncode == 0, ran.stderr
        (row,) = json.loads(ran.stdout)
        return row

    assert dynmem(packages, "status", "--output", "state").stdout == "no study has run in state\n"
    process = start(packages, "run", "tiny", "--output", "state", "--workers", 1, TINY_PAUSE=0.4)
    wait_for_points(packages / "state" / "tiny.points", 2)
    row = status()
    assert (row["state"], row["process"], row["points"]) == ("running", process.pid, 12)
    assert row["done"] >= 2 and 0 < row["seconds_left"] < 60
    process.kill()
    process.communicate()
    row = status()
    assert row["state"] == "broken" and "ended without a word: run it again" in row["words"]
    process = start(packages, "run", "tiny", "--output", "state", "--workers", 1, TINY_PAUSE=0.4)
    wait_for_points(packages / "state" / "tiny.points", row["done"] + 1)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert status()["state"] == "stopped"
    assert dynmem(packages, "run", "tiny", "--output", "state", "--workers", 1).returncode == 0
    assert dynmem(packages, "status", "--output", "state").stdout == (
        "tiny  done     12 of 12 points\n"
    )
    assert dynmem(packages, "status", "nobody", "--output", "state").returncode == 1


def test_a_script_without_a_guard_runs_on_workers(packages):
    """Without `if __name__ == "__main__"` it would start itself again in each worker."""
    (packages / "unguarded.py").write_text(
        "import xarray\nfrom dynmem.study import Study\n"
        "def f(a): return xarray.Dataset({'x': 2 * a})\n"
        "raise SystemExit(Study('n', 'q', {'a': [1, 2]}, f).main(['--workers', '2']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "unguarded.py"],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "results: results/n.nc\n"), ran.stderr


def test_a_measure_of_a_notebook_goes_to_the_workers(packages):
    """There is no file that a worker could import: neither measure nor its helper."""
    code = (
        "from dynmem.study import Study; import xarray\n"
        "def double(a): return 2 * a\n"
        "def f(a): return xarray.Dataset({'x': double(a)})\n"
        "print(Study('n', 'q', {'a': [1, 2]}, f).run(output='cell', workers=2).x.values.tolist())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "[2, 4]\n", ran.stderr


def test_a_measure_that_cannot_travel_is_one_sentence(tmp_path):
    lock = threading.Lock()
    study = Study("local", "q", {"gain": [1.0, 2.0]}, lambda gain: lock and xr.Dataset())
    with pytest.raises(ClusterError, match=r"cannot be sent to workers.*lock.*--workers 1"):
        study.run(output=tmp_path, workers=2)


# ---- R6: two at once -----------------------------------------------------------------------------


def test_a_second_run_is_told_who_holds_the_store(study, tmp_path):
    with (
        Store("tiny", tmp_path).lock(),
        pytest.raises(
            BusyError,
            match=rf"^study tiny is being run by process {os.getpid()} since "
            rf"\d{{4}}-",
        ),
    ):
        study.run(output=tmp_path)
    assert (study.run(output=tmp_path).status == "done").all()


def test_a_dead_holder_is_succeeded(study, tmp_path):
    code = (
        "import os; from dynmem.study import Store\nwith Store('tiny', "
        f"{str(tmp_path)!r}).lock(): os.kill(os.getpid(), 9)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment(tmp_path)).returncode
        == -signal.SIGKILL
    )
    assert (tmp_path / ".tiny.lock").read_text().startswith('{"process"')
    assert (study.run(output=tmp_path).status == "done").all()


def many_at_once(packages, unbroken, name, number):
    processes = [
        start(packages, "run", "tiny", "--output", name, "--workers", 1, TINY_PAUSE=0.05)
        for _ in range(number)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert sum(code == 0 for _, code in ended) >= 1, ended
    for err, code in ended:
        assert code == 0 or (code == 1 and "study tiny is being run by" in err), err
    assert contents(packages / name) == unbroken


def test_of_several_at_once_one_runs(packages, unbroken):
    many_at_once(packages, unbroken, "several", 2)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(5))
def test_of_several_at_once_one_runs_often(packages, unbroken, turn):
    many_at_once(packages, unbroken, f"several-{turn}", 5)


# ---- S2, S3 --------------------------------------------------------------------------------------


def test_a_store_holds_nothing_that_could_run(unbroken):
    for name, data in unbroken.items():
        if name.endswith(".nc"):
            assert data.startswith(b"\x89HDF\r\n\x1a\n")
        elif name.endswith(".point"):
            digest, header = data.partition(b"\n")[0].split(b" ", 1)
            assert len(digest) == 64 and json.loads(header)["study"] == "tiny"
        else:
            data.decode()  # text: JSON lines and checksums
