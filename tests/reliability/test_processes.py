"""What must never happen to a study: killed, stopped, left by its workers, run twice.

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
import time
from pathlib import Path

import pytest
import xarray as xr

from dynmem.study import Store, failures
from tests.tiny import contents, dynmem, environment, killed_before, listening, start

# ---- R1: killed at any moment --------------------------------------------------------------------


@pytest.mark.promise("R1")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("workers, kills", [(1, 5), (2, 5)])
def test_killed_at_random_times_the_same_bytes(packages, unbroken, case, workers, kills, seed):
    """A kill is a case: what is there is never damaged, and the last run gives the bytes."""
    times, name = random.Random(f"{workers} {seed}"), f"killed-{workers}-{seed}"
    for kill in range(kills):
        process = start(
            packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.1
        )
        time.sleep(times.uniform(0.5, 2.5 if workers == 1 else 4.0))
        os.killpg(process.pid, signal.SIGKILL) if times.random() < 0.5 else process.kill()
        process.communicate()
        with case(f"kill {kill}"):
            assert Store("tiny", packages / name).damaged() == []
    last = dynmem(packages, "run", "tiny", "--output", name, "--workers", 1)
    assert last.returncode == 0, last.stderr
    assert contents(packages / name) == unbroken


@pytest.mark.promise("R1")
def test_killed_before_each_change_of_a_file_the_same_bytes(light, tmp_path, case):
    light.run(output=tmp_path / "whole")
    whole, change, killed = contents(tmp_path / "whole"), 0, True
    while killed:
        output = tmp_path / f"killed-{change}"
        killed = killed_before(change, lambda to=output: light.run(output=to))
        with case(f"before change {change}"):
            light.run(output=output)
            assert contents(output) == whole
        change += 1
    assert change > 15


@pytest.mark.promise("R1")
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


@pytest.mark.parametrize("times", range(1, 11))
def test_workers_lost_anywhere_cost_nothing(study, tmp_path, monkeypatch, capsys, times):
    whole = study.run(output=tmp_path / "whole")
    dataset, said = lose_workers(study, tmp_path, monkeypatch, capsys, "everywhere", times)
    assert said.count("worker lost") == times
    if not failures(dataset):
        xr.testing.assert_identical(dataset, whole)


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


# ---- R6: two at once -----------------------------------------------------------------------------


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


@pytest.mark.parametrize("turn", range(5))
def test_of_several_at_once_one_runs_often(packages, unbroken, turn):
    many_at_once(packages, unbroken, f"several-{turn}", 5)


# ---- S2, S3 --------------------------------------------------------------------------------------
