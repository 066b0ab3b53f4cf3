"""A study on a Dask cluster that was started by hand: real schedulers and workers, as processes on
loopback, which are killed. The bytes are those of one process."""

import json
import random
import subprocess
import sys
import time

import pytest

from dynmem.study import Store
from tests.tiny import contents, dynmem, environment, listening, start

STARTED = 60  # seconds for a process of Dask to begin, on a busy machine


class Cluster:
    """``dask scheduler`` and ``dask worker`` on loopback."""

    def __init__(self, folder, workers=2):
        self.folder, self.processes, self.workers = folder, [], []
        self.file = folder / "scheduler.json"
        self.scheduler = None
        self.start_scheduler()
        for _ in range(workers):
            self.start_worker()

    def run(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.folder,
            env=environment(self.folder, PYTHONWARNINGS="ignore"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def start_scheduler(self):
        self.file.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self.run("scheduler", *options, "--scheduler-file", str(self.file))
        deadline = time.time() + STARTED
        while not (self.file.exists() and self.file.read_text().endswith("}")):
            assert time.time() < deadline
            time.sleep(0.05)

    def start_worker(self):
        options = (
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--no-nanny",
            "--dashboard-address",
            "127.0.0.1:0",
        )
        worker = self.run("worker", *options, "--scheduler-file", str(self.file))
        self.workers.append(worker)

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(packages, tmp_path):
    made = Cluster(packages)
    yield made
    made.end()


def saved(folder):
    return len(list((folder / "tiny.points").glob("*.point")))


def wait_for(folder, number):
    deadline = time.time() + STARTED
    while saved(folder) < number:
        assert time.time() < deadline, f"{folder} holds no {number} points"
        time.sleep(0.02)


@pytest.mark.promise("R10")
def test_address_and_scheduler_file_give_the_bytes_of_one_process(packages, unbroken, cluster):
    for name, where in (("address", cluster.address), ("file", cluster.file)):
        ran = dynmem(packages, "run", "tiny", "--output", name, "--cluster", where)
        assert ran.returncode == 0, ran.stderr
        assert contents(packages / name) == unbroken


def test_no_scheduler_is_one_sentence(packages):
    ran = dynmem(packages, "run", "tiny", "--output", "nobody", "--cluster", "tcp://127.0.0.1:1")
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("dynmem: no Dask scheduler answers at tcp://127.0.0.1:1 (")


@pytest.mark.promise("R3")
@pytest.mark.parametrize("seed", range(2))
def test_killed_workers_cost_nothing(packages, unbroken, cluster, seed, case):
    choice, name = random.Random(seed), f"workers-{seed}"
    process = start(
        *(packages, "run", "tiny", "--output", name, "--cluster", cluster.address),
        TINY_PAUSE=0.3,
    )
    for number in (1, 4, 8):
        wait_for(packages / name, number)
        with case(number):
            cluster.workers.pop(choice.randrange(2)).kill()
            cluster.start_worker()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert contents(packages / name) == unbroken, out


@pytest.mark.promise("R1")
def test_a_killed_scheduler_ends_the_run_which_goes_on_elsewhere(packages, unbroken, cluster):
    process = start(
        *(packages, "run", "tiny", "--output", "scheduler", "--cluster", cluster.address),
        TINY_PAUSE=0.5,
        DYNMEM_PATIENCE="5",
    )
    wait_for(packages / "scheduler", 2)
    cluster.scheduler.kill()
    _, err = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "dynmem: no Dask scheduler for" in err and "run again to go on" in err
    cluster.end()
    other = Cluster(packages)
    try:
        again = dynmem(packages, "run", "tiny", "--output", "scheduler", "--cluster", other.address)
    finally:
        other.end()
    assert again.returncode == 0, again.stderr
    assert contents(packages / "scheduler") == unbroken


@pytest.mark.promise("R1")
def test_thirty_kills_end_with_the_same_bytes(packages, unbroken, case):
    """Of the run, of a worker while it measures, and of one while nothing runs; twice of the
    scheduler, after which there is another."""
    choice, cluster, clusters = random.Random(1), Cluster(packages), []
    store = Store("tiny", packages / "thirty")

    def kill(process):
        process.kill()
        process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        with case(process.args[3:4]):
            assert store.damaged() == []

    try:
        for turn in range(10):
            process = start(
                *(packages, "run", "tiny", "--output", "thirty", "--cluster", cluster.address),
                TINY_PAUSE=0.5,
            )
            time.sleep(choice.uniform(1.5, 4.0))
            if turn % 4 == 3:
                kill(cluster.scheduler)
                clusters.append(cluster)
                cluster = Cluster(packages)
            else:
                kill(cluster.workers.pop(0))
                cluster.start_worker()
            kill(process)
            kill(cluster.workers.pop(0))
            cluster.start_worker()
        last = dynmem(packages, "run", "tiny", "--output", "thirty", "--cluster", cluster.address)
    finally:
        for one in (*clusters, cluster):
            one.end()
    assert last.returncode == 0, last.stderr
    assert contents(packages / "thirty") == unbroken


@pytest.mark.promise("S6")
def test_a_cluster_by_hand_listens_where_it_was_told(cluster, case):
    for process in cluster.processes:
        with case(process.pid):
            deadline = time.time() + STARTED
            while not (found := listening(process.pid)) and time.time() < deadline:
                time.sleep(0.1)
            assert found == {"0100007F"}  # 127.0.0.1
