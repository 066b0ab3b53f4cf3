"""Kills, stops and runs at the same time (R1, R2, R6).

Two ways to kill: at random times, as it happens; and before each single change of a file, which
leaves no moment out.
"""

import os
import random
import signal
import sys
import time

import pytest

from dynmem.study import Store
from tests.tiny import (
    alive,
    children,
    contents,
    dynmem,
    forked,
    import_study,
    killed_before,
    start,
    wait_for_points,
)

MANY = ("--set", "seed=" + ",".join(map(str, range(20))))  # 60 points

# ---- R1: killed at any moment --------------------------------------------------------------------


@pytest.mark.promise("R1")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_fifteen_times_the_same_bytes(packages, case, workers):
    """A kill is a case: what it leaves is whole, and the run behind the last gives the bytes."""
    assert dynmem(packages, "run", "tiny", "--output", f"w{workers}", *MANY, "--workers", 1)
    times, name = random.Random(workers), f"killed-{workers}"
    for kill in range(15):
        command = ("run", "tiny", "--output", name, *MANY, "--workers", workers)
        process = start(packages, *command, TINY_PAUSE=0.15)
        time.sleep(times.uniform(0.3, 2.5 if workers == 1 else 6.0))
        os.killpg(process.pid, signal.SIGKILL) if times.random() < 0.5 else process.kill()
        process.communicate()
        with case(f"kill {kill}"):
            assert Store("tiny", packages / name).damaged() == []
    last = dynmem(packages, "run", "tiny", "--output", name, *MANY, "--workers", 1)
    assert last.returncode == 0, last.stderr
    assert contents(packages / name) == contents(packages / f"w{workers}")


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


# ---- R2: stopped ---------------------------------------------------------------------------------


@pytest.mark.promise("R2")
@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_it_saves_what_is_finished(packages, unbroken, workers, signum, code):
    name = f"stopped-{workers}-{code}"
    process = start(packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.4)
    wait_for_points(packages / name / "tiny.points", 2)
    # Ctrl-C reaches the whole group, `kill` one process
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    saved = len(list((packages / name / "tiny.points").glob("*.point")))
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == (
        f"dynmem: stopped; {saved} of 12 points saved; run again to go on"
    )
    again = dynmem(packages, "run", "tiny", "--output", name, "--workers", 1)
    assert (again.returncode, again.stderr) == (0, f"resuming tiny: {saved} of 12 points done\n")
    assert contents(packages / name) == unbroken


@pytest.mark.promise("R2")
def test_stopped_at_any_moment_it_goes_on(study, tmp_path, monkeypatch, capsys, case):
    study.run(output=tmp_path / "whole")
    whole, times = contents(tmp_path / "whole"), random.Random(0)
    monkeypatch.setenv("TINY_PAUSE", "0.03")
    for number in range(12):
        output = tmp_path / str(number)
        run = ["--output", str(output), "--workers", "1"]
        process = forked(lambda run=run: study.main(run))
        wait_for_points(output / "tiny.points", 1)
        time.sleep(times.uniform(0.0, 0.25))
        signum = times.choice((signal.SIGINT, signal.SIGTERM))
        os.kill(process, signum)
        with case(number):
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            assert code == 128 + signum
            assert study.main(run) == 0 and contents(output) == whole


# ---- R6: two at once -----------------------------------------------------------------------------


@pytest.mark.promise("R6")
@pytest.mark.parametrize("turn", range(4))
def test_of_five_at_once_one_runs(tmp_path, monkeypatch, capsys, case, turn):
    """Each of the five is a case: it runs, or says that another does."""
    study = import_study(tmp_path / "code", monkeypatch)
    study.run(output=tmp_path / "whole")
    monkeypatch.setenv("TINY_PAUSE", "0.02")
    run = ["--output", str(tmp_path / "out"), "--workers", "1"]

    def one() -> int:
        with open(tmp_path / f"{os.getpid()}.log", "w") as sys.stderr:
            return study.main(run)

    processes = [forked(one) for _ in range(5)]
    codes = {p: os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes}
    assert 0 in codes.values()
    for process, code in codes.items():
        with case(process):
            words = (tmp_path / f"{process}.log").read_text()
            assert code == 0 or (code == 1 and "study tiny is being run by process" in words)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.promise("R6")
def test_two_commands_at_once(packages, unbroken, case):
    processes = [
        start(packages, "run", "tiny", "--output", "two", "--workers", 1, TINY_PAUSE=0.3)
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=90)[1], process.returncode) for process in processes]
    for err, code in ended:
        with case(code):
            assert code == 0 or (code == 1 and "study tiny is being run by" in err), err
    assert contents(packages / "two") == unbroken
