"""Measure points in this process or in several, with the same bits: every point runs on one thread.

A pool of the standard library loses all its tasks when one process dies. Here each worker has its
own pipe, so that a dead worker costs only its own point, which is tried again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from ..runtime.threads import _environment_of_one_thread

MAX_ATTEMPTS = 3  # worker processes that one point may end


@dataclass(frozen=True)
class Outcome:
    """Result of one point: the bytes of its Dataset, or the error."""

    payload: bytes | None
    error: str = ""
    traceback: str = ""


def outcomes(
    call: Callable[..., bytes], points: Mapping[int, Mapping], workers: int, say: Callable
) -> Generator[tuple[int, Outcome], None, None]:
    """Call ``call(point)`` for each point, in this process or in ``workers`` others, and yield the
    outcomes as they arrive."""
    if workers == 1:
        return _serial(call, points)
    try:
        pickle.dumps(call)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ChildProcessError(
            f"worker processes cannot find the measure ({error}): put it at "
            "the top level, or use one worker"
        ) from None
    return _parallel(call, points, workers, say)


def attempt(call: Callable[..., bytes], point: Mapping) -> Outcome:
    """Outcome of one call: an error is kept as text, an interruption is raised."""
    try:
        # what a measure prints must not mix with what the command prints
        with redirect_stdout(sys.stderr):
            return Outcome(call(point))
    except (Exception, SystemExit) as error:
        return Outcome(None, f"{type(error).__name__}: {error}", traceback.format_exc())


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread, also in libraries that are loaded meanwhile: two
    threads add in another order."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    try:
        with _environment_of_one_thread(), threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def _serial(
    call: Callable[..., bytes], points: Mapping[int, Mapping]
) -> Generator[tuple[int, Outcome], None, None]:
    with one_thread():
        for index, point in points.items():
            yield index, attempt(call, point)


# ---- several processes ---------------------------------------------------------------------------


def _work(connection: Connection, call: Callable[..., bytes]) -> None:
    """Main loop of a worker: report that it is ready, then measure points until there are none."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)
    with one_thread():
        try:
            connection.send(None)
            while (point := connection.recv()) is not None:
                connection.send(attempt(call, point))
        except (EOFError, OSError):
            return


def _end_with_parent() -> None:
    """End with the parent, so that a killed run leaves no worker behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _Worker:
    """A worker process, this end of its pipe, and the point that it measures."""

    def __init__(self, call: Callable[..., bytes]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, call), daemon=True)
        self.index: int | None = None
        with _quiet_start():
            self.process.start()
        theirs.close()

    def send(self, index: int, point: Mapping) -> None:
        self.index = index
        # a worker that died while idle: the next read finds the end of its pipe
        with suppress(OSError):
            self.connection.send(point)

    def receive(self) -> Outcome | None:
        """The worker's outcome; raises EOFError or OSError when it is dead."""
        return self.connection.recv()

    def end(self, patience: float = 0.1) -> str:
        """Close the pipe, which ends an idle worker, kill the process if it is still there after
        ``patience`` seconds, and return how it ended."""
        self.connection.close()
        self.process.join(patience)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Start a process on one thread, with SIGINT blocked: the parent handles it."""
    resource_tracker.ensure_running()  # its start would undo the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _environment_of_one_thread():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _parallel(
    call: Callable[..., bytes], points: Mapping[int, Mapping], workers: int, say: Callable
) -> Generator[tuple[int, Outcome], None, None]:
    pool = _Pool(call, points, say)
    try:
        yield from pool.run(workers)
    finally:
        pool.end()


class _Pool:
    """The workers, the waiting points, and how many workers each point has ended."""

    def __init__(
        self, call: Callable[..., bytes], points: Mapping[int, Mapping], say: Callable
    ) -> None:
        self.call, self.points, self.say = call, points, say
        self.waiting = deque(points)
        self.losses: Counter = Counter()
        self.failed_starts = 0
        self.workers: list[_Worker] = []

    def run(self, number: int) -> Generator[tuple[int, Outcome], None, None]:
        while self.waiting or self.busy():
            while len(self.workers) < min(number, len(self.waiting) + len(self.busy())):
                self.workers.append(_Worker(self.call))
            for connection in wait([worker.connection for worker in self.workers]):
                yield from self.receive(
                    next(worker for worker in self.workers if worker.connection is connection)
                )

    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.index is not None]

    def receive(self, worker: _Worker) -> Generator[tuple[int, Outcome], None, None]:
        """Read a worker's outcome and send it the next point; handle a dead worker."""
        try:
            outcome = worker.receive()
        except (EOFError, OSError):
            yield from self.replace_dead(worker)
            return
        index, worker.index = worker.index, None
        self.failed_starts = 0
        if self.waiting:
            following = self.waiting.popleft()
            worker.send(following, self.points[following])
        if index is not None and outcome is not None:
            yield index, outcome

    def replace_dead(self, worker: _Worker) -> Generator[tuple[int, Outcome], None, None]:
        """Remove a dead worker; its point is tried again, or fails after ``MAX_ATTEMPTS``."""
        self.workers.remove(worker)
        end, index = worker.end(patience=5), worker.index
        if index is None:
            self.failed_starts += 1
            if self.failed_starts >= MAX_ATTEMPTS:
                raise ChildProcessError(
                    f"{MAX_ATTEMPTS} worker processes ended before they began ({end}): "
                    "try --workers 1"
                )
            return
        self.losses[index] += 1
        if self.losses[index] < MAX_ATTEMPTS:
            self.say(
                f"worker lost, point {index} tried again ({self.losses[index]} of {MAX_ATTEMPTS})"
            )
            self.waiting.appendleft(index)
        else:
            self.say(f"worker lost, point {index} failed: it ended {MAX_ATTEMPTS} workers")
            yield index, Outcome(None, f"it ended {MAX_ATTEMPTS} workers, the last by {end}")

    def end(self) -> None:
        for worker in self.workers:
            worker.end()
