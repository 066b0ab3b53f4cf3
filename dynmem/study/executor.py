"""Where points are measured: in this process, on local workers, or on an existing Dask cluster.

The outcomes are the same bits everywhere: each point is measured by ``worker.work`` or its like,
alone in its process, on one thread.
"""

from __future__ import annotations

import logging
import queue
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .point import Outcome, Task, error_text
from .worker import one_thread, work

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_ATTEMPTS = 3  # workers that one point may end
MAX_STARTS = 3  # of a local cluster, where a worker ends before it has begun
BATCH_SECONDS = 0.2  # a task costs Dask about 10 ms, so that quick points travel together
MAX_BATCH = 256
BATCH_BYTES = 16e6
PATIENCE = 60  # seconds without a worker, or without the scheduler, before a run gives up

Point: TypeAlias = Mapping[str, Any]
Outcomes: TypeAlias = Generator[tuple[int, Outcome], None, None]


class ClusterError(ConnectionError):
    """The workers or the scheduler of a Dask cluster cannot be reached, or cannot do the work."""


def in_process(
    task: Task, indices: Sequence[int], point: Callable[[int], Point], begin: Callable[[int], None]
) -> Outcomes:
    """Measure points one after another in this process; ``begin`` is told the index of each."""
    with one_thread():
        for index in indices:
            begin(index)
            yield index, task(point(index))


def on_cluster(
    task: Task,
    payload: bytes,
    indices: Sequence[int],
    point: Callable[[int], Point],
    client: Client,
    say: Callable[[str], None],
) -> Outcomes:
    """Measure points on the workers of a Dask cluster and yield outcomes as they arrive;
    ``payload`` is the task, pickled."""
    farm = _Farm(client, task, payload, indices, point, say)
    try:
        yield from farm.outcomes()
    finally:
        farm.cancel()


def pickled(task: Task, modules: Iterable[str] = ()) -> bytes:
    """The task as bytes. Functions of a notebook or a script travel with it, and those of these
    modules."""
    import cloudpickle

    with ExitStack() as undo:
        for name in sorted({*modules} - {"__main__"}):
            module = sys.modules[name]
            cloudpickle.register_pickle_by_value(module)
            undo.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            return cloudpickle.dumps(task)
        except Exception as error:
            raise ClusterError(
                f"the measure cannot be sent to workers ({error_text(error)}): make what it uses "
                "inside of it, or run in this process, with workers=1 (--workers 1)"
            ) from None


# ---- clusters ------------------------------------------------------------------------------------


@contextmanager
def local_client(workers: int, say: Callable[[str], None]) -> Iterator[Client]:
    """Client of a new cluster of worker processes, one thread each, that listens on loopback."""
    import dask
    from distributed import Client

    settings = {
        "distributed.scheduler.allowed-failures": 0,  # attempts are counted here
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.admin.log-format": "%(message)s",
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        stack.enter_context(_main_hidden())
        cluster = _started_cluster(workers, say)
        stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        _announce(client, say)
        yield client


def _started_cluster(workers: int, say: Callable[[str], None]) -> Any:
    """A cluster whose workers have all begun; started again where one ended before."""
    from distributed import LocalCluster

    start = 1
    while True:
        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
                preload=["dynmem.study.worker"],
            )
        except RuntimeError as error:
            if start == MAX_STARTS:
                raise ClusterError(
                    f"worker processes ended before they began ({error}), {MAX_STARTS} times: "
                    "try --workers 1"
                ) from None
            start += 1
            say("a worker ended before it began: the workers are started again")


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Workers do not run the script that started the run: its functions travel with the task, and a
    script without ``if __name__ == "__main__"`` would start itself again in each of them."""
    main = vars(sys.modules["__main__"])
    before: dict[str, Any] = {
        name: main.pop(name) for name in ("__file__", "__spec__") if name in main
    }
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(before)


@contextmanager
def existing_client(cluster: Any, say: Callable[[str], None]) -> Iterator[Client]:
    """Client of an existing cluster: the address or the scheduler file of one, a ``Client``, or a
    cluster object such as ``dask_jobqueue.SLURMCluster``."""
    from distributed import Client

    if isinstance(cluster, Client):
        yield cluster
        return
    where: dict[str, Any] = {"address": cluster}
    if isinstance(cluster, (str, Path)) and Path(cluster).is_file():
        where = {"scheduler_file": str(cluster)}
    try:
        client = Client(**where, set_as_default=False, timeout=10)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {cluster} ({error_text(error)}): start one with `dask "
            "scheduler`, and give its address or its scheduler file"
        ) from None
    with client:
        _announce(client, say)
        yield client


def _announce(client: Client, say: Callable[[str], None]) -> None:
    """Print the dashboard's address, where there is one: it needs bokeh."""
    from importlib.util import find_spec

    if find_spec("bokeh") and client.dashboard_link:
        say(f"dashboard: {client.dashboard_link}")


# ---- points on a cluster -------------------------------------------------------------------------


@dataclass
class _Batch:
    """Points that travel together, and the future of their outcomes."""

    indices: Sequence[int]
    future: Future


class _Farm:
    """The points that wait, the batches that run, and how many workers each point has ended.

    No more batches run than there are workers: a batch that waits behind another on a worker would
    share the blame for its end.
    """

    def __init__(
        self,
        client: Client,
        task: Task,
        payload: bytes,
        indices: Sequence[int],
        point: Callable[[int], Point],
        say: Callable[[str], None],
    ) -> None:
        self.client, self.point, self.say = client, point, say
        self.task, self.fail = payload, task.failure
        self.waiting = deque(indices)
        self.again: deque = deque()  # points whose worker was lost: each travels alone
        self.running: dict[str, _Batch] = {}
        self.arrived: queue.SimpleQueue = queue.SimpleQueue()
        self.losses: Counter = Counter()
        self.size, self.workers = 1, 0
        self.counted = self.seen = time.monotonic()

    def outcomes(self) -> Outcomes:
        while self.waiting or self.again or self.running:
            self.fill()
            try:
                future = self.arrived.get(timeout=0.2)
            except queue.Empty:
                self.count_workers()
                continue
            if batch := self.running.pop(str(future.key), None):
                yield from self.receive(batch)

    def fill(self) -> None:
        """Send batches to the workers that have none."""
        if time.monotonic() - self.counted > 2 or not self.workers:
            self.count_workers()
        while len(self.running) < self.workers and (self.waiting or self.again):
            if self.again:
                self.send([self.again.popleft()])
            else:  # the last points are shared by all workers
                number = min(self.size, 1 + len(self.waiting) // (2 * self.workers))
                self.send([self.waiting.popleft() for _ in range(number)])

    def send(self, indices: Sequence[int]) -> None:
        points = [dict(self.point(index)) for index in indices]
        future = self.client.submit(work, self.task, points, pure=False)
        self.running[str(future.key)] = _Batch(indices, future)
        future.add_done_callback(self.arrived.put)

    def count_workers(self) -> None:
        """Number of workers that are alive now; an error where there has been none for long."""
        self.counted = time.monotonic()
        try:
            self.workers = len(self.client.nthreads()) if self.client.status == "running" else 0
        except (OSError, TimeoutError):
            self.workers = 0
        if self.workers:
            self.seen = self.counted
        elif self.counted - self.seen > PATIENCE or self.client.status == "closed":
            what = "worker" if self.client.status == "running" else "scheduler"
            raise ClusterError(
                f"no Dask {what} for {self.counted - self.seen:.0f} s: what is finished is saved; "
                "mend the cluster and run again to go on"
            )

    def receive(self, batch: _Batch) -> Outcomes:
        """Outcomes of a batch; a batch whose worker was lost is tried again."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            found: Sequence[Outcome] = batch.future.result(timeout=PATIENCE)
        except KilledWorker as error:
            yield from self.lose(batch, 1 + (error.allowed_failures or 0))
        except (CancelledError, TimeoutError, OSError):
            self.again.extend(batch.indices)  # the scheduler was lost: nobody's fault
            self.workers = 0
        except Exception as error:
            raise ClusterError(
                f"a worker cannot do the work ({error_text(error)}): it needs the same dynmem and "
                "the same packages as this process"
            ) from error
        else:
            self.measure_pace(found)
            yield from zip(batch.indices, found, strict=True)

    def measure_pace(self, found: Sequence[Outcome]) -> None:
        """Size of the next batches: what takes ``BATCH_SECONDS``, and is no larger than memory."""
        seconds = sum(outcome.seconds for outcome in found) / len(found)
        size = max(len(outcome.data) for outcome in found)
        room = min(BATCH_SECONDS / max(seconds, 1e-4), BATCH_BYTES / max(size, 1), MAX_BATCH)
        # grows slowly: the first points need not be like those that follow
        self.size = max(1, min(int(room), 4 * self.size))

    def lose(self, batch: _Batch, times: int) -> Outcomes:
        """Count a lost worker. Of several points the culprit is not known: each is tried alone."""
        self.workers = 0  # count them anew
        if len(batch.indices) > 1:
            self.losses.update(batch.indices)
            names = ", ".join(map(str, batch.indices))
            self.say(f"worker lost, points {names} tried again, each alone (1 of {MAX_ATTEMPTS})")
            self.again.extend(batch.indices)
            return
        (index,) = batch.indices
        self.losses[index] += times
        if self.losses[index] < MAX_ATTEMPTS:
            self.say(
                f"worker lost, point {index} tried again ({self.losses[index]} of {MAX_ATTEMPTS})"
            )
            self.again.append(index)
        else:
            self.say(f"worker lost, point {index} failed: it ended {MAX_ATTEMPTS} workers")
            yield index, self.fail(self.point(index), f"it ended {MAX_ATTEMPTS} workers")

    def cancel(self) -> None:
        """Withdraw what has not begun; a point that is being measured ends on its own."""
        if self.running and self.client.status == "running":
            self.client.cancel([batch.future for batch in self.running.values()], force=True)
        self.running.clear()
