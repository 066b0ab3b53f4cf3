"""What must never happen to a study: killed, stopped, damaged, out of space, run twice. By default few cases; `-m slow` for many.

Two ways to kill: at random times, as it happens; and before each single change of a file, which leaves no moment out.
"""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dynmem.errors import BusyError, DamageError
from dynmem.study import ChangedError, NoSpaceError, Store, Study, failures
from tests.tiny import dynmem, environment, import_study, start, write_packages

CHANGES = ("replace", "fsync", "unlink", "rename", "mkdir")  # calls of os that change what is on the disk, or make it last


@pytest.fixture
def study(tmp_path, monkeypatch):
    return import_study(tmp_path / "code", monkeypatch)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return write_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def unbroken(packages):
    """Bytes of the store after a run in one go."""
    assert dynmem(packages, "run", "tiny", "--output", "unbroken", "--workers", 1).returncode == 0
    return contents(packages / "unbroken")


def square(gain, seed):
    return xr.Dataset({"square": ("axis", [gain**2, seed**2])})


@pytest.fixture
def light():
    """A study of two points that take no time, for runs in this process."""
    return Study("light", "What is a square?", {"gain": [0.5, 2.0], "seed": [3]}, square, {})


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a store, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    }


# ---- R1: killed at any moment ----------------------------------------------------------------------------------------------------


def kill_at_random(packages, unbroken, name, workers, kills, seed):
    times, output = random.Random(seed), packages / name
    for _ in range(kills):
        process = start(packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.05)
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
    """Run in a forked process that kills itself before its n-th change of a file; the wait status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork of a process with threads: this one only computes small things
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
    assert change > 20


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
    tasks = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in tasks.read_text().split() if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- R2: stopped -----------------------------------------------------------------------------------------------------------------


def stop(packages, unbroken, name, workers, signum, code):
    process = start(packages, "run", "tiny", "--output", name, "--workers", workers, TINY_PAUSE=0.4)
    wait_for(packages / name / "tiny.points" / "000001.json")
    # Ctrl-C reaches the whole group, `kill` one process
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    out, err = process.communicate(timeout=20)
    saved = len(list((packages / name / "tiny.points").glob("0*.json")))
    assert process.returncode == code
    assert (out, err) == ("", f"dynmem: stopped; {saved} of 12 points saved; run again to go on\n")
    again = dynmem(packages, "run", "tiny", "--output", name, "--workers", 1)
    assert (again.returncode, again.stderr) == (0, f"resuming tiny: {saved} of 12 points done\n")
    assert contents(packages / name) == unbroken


def wait_for(path: Path, seconds: float = 20) -> None:
    deadline = time.time() + seconds
    while not path.exists():
        assert time.time() < deadline, f"{path} did not appear"
        time.sleep(0.01)


@pytest.mark.parametrize("workers, signum, code", [(1, signal.SIGTERM, 143), (2, signal.SIGINT, 130)])
def test_stopped_it_saves_what_is_finished(packages, unbroken, workers, signum, code):
    stop(packages, unbroken, f"stopped-{workers}", workers, signum, code)


@pytest.mark.slow
@pytest.mark.parametrize("workers, signum, code", [(1, signal.SIGINT, 130), (2, signal.SIGTERM, 143)] * 4)
def test_stopped_it_saves_what_is_finished_often(packages, unbroken, workers, signum, code, tmp_path):
    stop(packages, unbroken, f"stopped-{tmp_path.name}", workers, signum, code)


# ---- R3: a worker dies -----------------------------------------------------------------------------------------------------------


def lose_workers(study, tmp_path, monkeypatch, capsys, place, times):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("TINY_TROUBLE", f"kill:{place}:{times}:{marks}")
    return study.run(output=tmp_path / "lost", workers=2), capsys.readouterr().err


def test_a_point_that_kills_three_workers_is_marked_and_the_rest_is_done(study, tmp_path, monkeypatch, capsys):
    dataset, said = lose_workers(study, tmp_path, monkeypatch, capsys, "1.0,2", 3)
    assert said.splitlines() == [
        "worker lost, point 6 tried again (1 of 3)",
        "worker lost, point 6 tried again (2 of 3)",
        "worker lost, point 6 failed: it ended 3 workers",
    ]
    assert [(failure["point"], failure["error"]) for failure in failures(dataset)] == [(6, "it ended 3 workers, the last by signal 9")]
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


def test_workers_that_cannot_start_are_one_sentence(packages):
    code = "from dynmem.study import Study\nimport xarray\ndef f(a): return xarray.Dataset()\nraise SystemExit("
    code += "Study('n', 'q', {'a': [1, 2]}, f).main(['--workers', '2', '--output', 'prompt']))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=packages, env=environment(packages), capture_output=True, text=True)
    assert ran.returncode == 1
    assert "dynmem: 3 worker processes ended before they began (exit code 1): try --workers 1" in ran.stderr


# ---- R4: damage ------------------------------------------------------------------------------------------------------------------


def flip(path: Path, rng) -> None:
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def truncate(path: Path, rng) -> None:
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def delete(path: Path, rng) -> None:
    path.unlink()


def damage(study, tmp_path, how, kinds, times, finished):
    """Damage one file after another: each run refuses, or gives the right bytes; repair and a run always give them."""
    study.run(output=tmp_path / "whole")
    if not finished:
        for path in (tmp_path / "whole").glob("light.nc*"):
            path.unlink()
    rng, refused = np.random.default_rng(0), 0
    files = sorted(path.relative_to(tmp_path / "whole") for kind in kinds for path in (tmp_path / "whole").rglob(kind))
    expected = None
    for number in range(times):
        output = tmp_path / f"damaged-{number}"
        shutil.copytree(tmp_path / "whole", output)
        how(output / files[number % len(files)], rng)
        try:
            study.run(output=output)
        except DamageError as error:
            refused += 1
            assert f"run dynmem repair light --output {output}" in str(error)
            assert Store("light", output).repair()
            study.run(output=output)
        found = study.load(output=output)
        expected = found if expected is None else expected
        xr.testing.assert_identical(found, expected)
        shutil.rmtree(output)
    xr.testing.assert_identical(expected, study.run(output=tmp_path / "right"))
    return refused


DAMAGE = [
    (flip, ["0*.nc"], False, 1.0),
    (flip, ["light.nc"], True, 1.0),
    (flip, ["*.json", "*.sha256"], True, 0.0),
    (flip, ["*.json"], False, 1.0),
    (truncate, ["0*.nc", "0*.json"], False, 1.0),
    (truncate, ["light.nc", "light.nc.sha256"], True, 1.0),
    (delete, ["0*.nc", "0*.json"], False, 0.5),
    (delete, ["*.nc", "*.json", "*.sha256"], True, 0.0),
]


@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 6, finished) >= refused * 6


@pytest.mark.slow
@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data_often(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 60, finished) >= refused * 60


def test_damage_names_the_point_and_repair_removes_only_it(packages, unbroken):
    output = packages / "repaired"
    for name, data in unbroken.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(data)
    (output / "tiny.nc").unlink()
    (output / "tiny.points/000007.nc").write_bytes(b"")
    ran = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    words = "store tiny: point 7 does not match its checksum: run dynmem repair tiny --output repaired"
    assert (ran.returncode, ran.stderr) == (1, f"dynmem: {words}\n")
    mended = dynmem(packages, "repair", "tiny", "--output", "repaired")
    assert (mended.returncode, mended.stdout) == (0, "store tiny: removed point 7; run it again to make it anew\n")
    again = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    assert (again.returncode, again.stderr) == (0, "resuming tiny: 11 of 12 points done\n")
    assert contents(output) == unbroken
    assert Store("tiny", output).repair() == []


def test_a_lost_configuration_does_not_let_points_mix(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    (tmp_path / "tiny.points/configuration.json").write_text("x")
    with pytest.raises(DamageError, match="its configuration does not match its checksum: run dynmem repair"):
        study.run(output=tmp_path)
    assert Store("tiny", tmp_path).repair() == ["configuration.json"]
    with pytest.raises(ChangedError, match="points of another configuration"):
        study.run(output=tmp_path, overrides={"steps": 6})
    assert (study.run(output=tmp_path).status == "done").all()


def test_a_point_in_the_place_of_another_is_noticed(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    for kind in ("nc", "json"):
        shutil.copy(tmp_path / f"tiny.points/000001.{kind}", tmp_path / f"tiny.points/000002.{kind}")
    with pytest.raises(DamageError, match="point 2 does not match"):
        study.run(output=tmp_path)


# ---- R5: disk full ---------------------------------------------------------------------------------------------------------------


def test_full_before_each_write_nothing_is_damaged(light, tmp_path, monkeypatch):
    light.run(output=tmp_path / "whole")
    whole, flush, left = contents(tmp_path / "whole"), os.fsync, [0]

    def full(descriptor):
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for write in range(100):
        left[0] = write
        try:
            light.run(output=tmp_path / str(write))
        except NoSpaceError as error:
            assert str(error) == "no space left; nothing was damaged; free space and run again"
            left[0] = 10**6
            light.run(output=tmp_path / str(write))
            assert contents(tmp_path / str(write)) == whole
        else:
            break
    assert write > 10


SCRIPT = """
mount -t tmpfs -o size={size}k tiny {disk} && {run}; echo "exit $?"
mount -o remount,size=20m {disk} && {run}; echo "exit $?"; cp -r {disk} {out}
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [200, 240, 280, 360, 420, 480])
def test_a_small_disk_fills_and_nothing_is_damaged(packages, tmp_path, size):
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tiny", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("needs a file system of its own (unshare)")
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    command = ["run", "tiny", "--set", "steps=1000", "--set", "gain=0.5,0.9,1.0", "--workers", "1", "--output"]
    assert dynmem(packages, *command, tmp_path / "whole").returncode == 0
    run = f"{sys.executable} -m dynmem {' '.join(command)} {disk} 2>&1"
    script = SCRIPT.format(size=size, disk=disk, out=out, run=run)
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=packages, env=environment(packages), capture_output=True, text=True)
    assert "dynmem: no space left; nothing was damaged; free space and run again\nexit 1\n" in ran.stdout, ran.stdout + ran.stderr
    assert ran.stdout.endswith("exit 0\n"), ran.stdout
    assert contents(out) == contents(tmp_path / "whole")


# ---- R6: two at once -------------------------------------------------------------------------------------------------------------


def test_a_second_run_is_told_who_holds_the_store(study, tmp_path):
    with (
        Store("tiny", tmp_path).lock(),
        pytest.raises(BusyError, match=rf"^study tiny is being run by process {os.getpid()} since \d{{4}}-"),
    ):
        study.run(output=tmp_path)
    assert (study.run(output=tmp_path).status == "done").all()


def test_a_dead_holder_is_succeeded(study, tmp_path):
    code = f"import os; from dynmem.study import Store\nwith Store('tiny', {str(tmp_path)!r}).lock(): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(tmp_path)).returncode == -signal.SIGKILL
    assert (tmp_path / ".tiny.lock").read_text().startswith("process ")
    assert (study.run(output=tmp_path).status == "done").all()


def many_at_once(packages, unbroken, name, number):
    processes = [start(packages, "run", "tiny", "--output", name, "--workers", 1, TINY_PAUSE=0.05) for _ in range(number)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert sum(code == 0 for _, code in ended) >= 1
    for err, code in ended:
        assert code == 0 or (code == 1 and "study tiny is being run by" in err), err
    assert contents(packages / name) == unbroken


def test_of_several_at_once_one_runs(packages, unbroken):
    many_at_once(packages, unbroken, "several", 2)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(5))
def test_of_several_at_once_one_runs_often(packages, unbroken, turn):
    many_at_once(packages, unbroken, f"several-{turn}", 5)


# ---- S2, S3 ----------------------------------------------------------------------------------------------------------------------


def test_a_store_holds_nothing_that_could_run(unbroken):
    for name, data in unbroken.items():
        if name.endswith(".nc"):
            assert data.startswith(b"\x89HDF\r\n\x1a\n")
        else:
            data.decode()  # text: JSON lines and checksums
