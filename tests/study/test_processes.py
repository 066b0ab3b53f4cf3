"""A study that is killed, stopped, left by a worker or run twice: one of each. The folder
tests/reliability does it often, with processes of their own."""

import json
import os
import signal
import threading
import time

import pytest
import xarray as xr

from dynmem import cli
from dynmem.errors import BusyError
from dynmem.study import ClusterError, Store, Study
from tests.tiny import contents, forked, killed_before, light_study, listening


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Bytes of a store after a run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    light_study().run(output=folder)
    return contents(folder)


def saved(folder):
    return len(list(folder.glob("*.points/*.point")))


@pytest.mark.promise("R1")
@pytest.mark.parametrize("change", [1, 6, 12])
def test_killed_before_a_change_of_a_file_the_same_bytes(whole, tmp_path, capsys, change):
    light = light_study()
    assert killed_before(change, lambda: light.run(output=tmp_path))
    cli.main(["status", "--output", str(tmp_path)])
    assert "ended without a word: run it again" in capsys.readouterr().out or change < 3
    light.run(output=tmp_path)
    assert contents(tmp_path) == whole


@pytest.mark.promise("R2")
@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_saves_what_is_finished(study, tmp_path, monkeypatch, capsys, signum, code):
    monkeypatch.setenv("TINY_PAUSE", "0.1")
    run = ["--output", str(tmp_path / "out"), "--workers", "1"]
    process = forked(lambda: study.main(run))
    while saved(tmp_path / "out") < 2:
        time.sleep(0.01)
    os.kill(process, signum)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == code
    left = saved(tmp_path / "out")
    monkeypatch.setenv("TINY_PAUSE", "0")
    assert study.main(run) == 0 and 2 <= left < 12
    assert f"resuming tiny: {left} of 12 points done" in capsys.readouterr().err


def deadly(gain, marks):
    """Ends its worker once, at the first point that comes; what listens beyond loopback."""
    try:
        os.close(os.open(os.path.join(marks, "mark"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        processes = (os.getpid(), os.getppid()) if marks.endswith("workers") else ()
        beyond = {address for one in processes for address in listening(one)} - {"0100007F"}
        return xr.Dataset({"x": 2 * gain, "beyond": len(beyond)})
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.promise("R3")
def test_a_lost_worker_costs_nothing(tmp_path, capsys):
    def run(folder, workers):
        (tmp_path / folder).mkdir()
        os.close(os.open(tmp_path / folder / "mark", os.O_CREAT)) if workers == 1 else None
        grid = {"gain": [1.0, 2.0, 3.0]}
        own = Study("deadly", "q", grid, lambda gain: deadly(gain, str(tmp_path / folder)))
        return own.run(output=tmp_path / folder / "out", workers=workers)

    found = run("workers", 2)
    assert capsys.readouterr().err.count("worker lost") == 1
    # the numbers are those of one process, and nothing has listened beyond loopback
    xr.testing.assert_equal(found, run("one", 1))
    assert not found.beyond.any()


def test_a_measure_that_cannot_travel_is_one_sentence(tmp_path):
    lock = threading.Lock()
    study = Study("local", "q", {"gain": [1.0, 2.0]}, lambda gain: lock and xr.Dataset())
    with pytest.raises(ClusterError, match=r"cannot be sent to workers.*lock.*--workers 1"):
        study.run(output=tmp_path, workers=2)


@pytest.mark.promise("R6")
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


@pytest.mark.promise("R6")
def test_a_dead_holder_is_succeeded(study, tmp_path):
    def die():
        with Store("tiny", tmp_path).lock():
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WIFSIGNALED(os.waitpid(forked(die), 0)[1])
    assert (tmp_path / ".tiny.lock").read_text().startswith('{"process"')
    assert (study.run(output=tmp_path).status == "done").all()


@pytest.mark.promise("S3")
def test_a_store_holds_nothing_that_could_run(whole):
    for name, data in whole.items():
        if name.endswith(".nc"):
            assert data.startswith(b"\x89HDF\r\n\x1a\n")
        elif name.endswith(".point"):
            digest, header = data.partition(b"\n")[0].split(b" ", 1)
            assert len(digest) == 64 and json.loads(header)["study"] == "light"
        else:
            data.decode()  # text: JSON lines and checksums
