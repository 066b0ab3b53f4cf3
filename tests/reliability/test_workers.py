"""Workers that die, and what listens (R3, S6)."""

import os
import re
import signal
import time

import pytest
import xarray as xr

from dynmem.study import Study, failures
from tests.tiny import children, contents, listening, start, wait_for_points

# ---- R3: a worker dies ---------------------------------------------------------------------------


def mark(folder, name) -> bool:
    """Whether this is the first to leave a mark of this name."""
    try:
        os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def mortal(folder, deaths):
    """A measure that ends its worker: ``deaths`` has the number of times for each gain."""

    def measure(gain):
        for number in range(deaths.get(gain, 0)):
            if mark(folder, f"{gain}-{number}"):
                os.kill(os.getpid(), signal.SIGKILL)
        return xr.Dataset({"x": gain**0.5})

    return measure


@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    "deaths",
    [
        dict.fromkeys(map(float, range(0, 16, 2)), 1),  # every second point, once
        {15.0: 2, 0.0: 2},  # the first and the last point, twice each
    ],
    ids=["every second point", "ends"],
)
def test_lost_workers_cost_nothing(tmp_path, capsys, case, deaths):
    grid = {"gain": list(map(float, range(16)))}
    study = Study("mortal", "q", grid, mortal(str(tmp_path), deaths))
    found = study.run(output=tmp_path / "out", workers=2)
    said = capsys.readouterr().err
    for gain in deaths:
        for number in range(deaths[gain]):
            with case(f"{gain}, {number}"):
                assert (tmp_path / f"{gain}-{number}").exists()
                assert found.x.sel(gain=gain) == gain**0.5
    assert said.count("worker lost") <= sum(deaths.values()) and not failures(found)
    xr.testing.assert_equal(found.x, found.gain**0.5)


def lose_workers(study, tmp_path, monkeypatch, capsys, place, times):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("TINY_TROUBLE", f"kill:{place}:{times}:{marks}")
    return study.run(output=tmp_path / "lost", workers=2), capsys.readouterr().err


@pytest.mark.promise("R3")
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


@pytest.mark.promise("R3")
def test_workers_killed_from_outside_cost_nothing(packages, unbroken, case):
    """While they measure, while they are idle, and while they begin."""
    process = start(packages, "run", "tiny", "--output", "outside", "--workers", 2, TINY_PAUSE=1.0)
    wait_for_points(packages / "outside" / "tiny.points", 1)
    for kill in range(4):
        with case(kill):
            deadline = time.time() + 60
            while not (workers := children(process.pid)) and time.time() < deadline:
                time.sleep(0.05)
            os.kill(workers[kill % len(workers)], signal.SIGKILL)
        time.sleep(0.7)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert contents(packages / "outside") == unbroken


@pytest.mark.promise("R3")
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


# ---- S6: nothing listens beyond loopback ---------------------------------------------------------


@pytest.mark.promise("S6")
def test_nothing_listens_beyond_loopback(packages, case):
    process = start(packages, "run", "tiny", "--output", "local", "--workers", 2, TINY_PAUSE=0.5)
    wait_for_points(packages / "local" / "tiny.points", 1)
    processes = [process.pid, *children(process.pid)]
    found = {one: listening(one) for one in processes}
    process.kill()
    process.communicate()
    assert len(processes) >= 3
    for one, addresses in found.items():
        with case(one):
            assert addresses <= {"0100007F"}  # 127.0.0.1
    assert set().union(*found.values())
