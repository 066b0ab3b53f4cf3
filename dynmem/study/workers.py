"""Points measured one after another or by several processes, with the same bits: every point runs
on one thread.

A pool of the standard library loses all its tasks when one process dies. Here each worker has its
own pipe, so a dead one costs only its own point, which is tried again.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from ..runtime.threads import _environment_of_one_thread

TRIALS = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one point: the bytes of its Dataset, or the error."""

    payload: bytes | None
    error: str = ""
    traceback: str = ""


def outcomes(
    call: Callable[..., bytes], points: Mapping[int, Mapping], workers: int, say: Callable
) -> Iterator[tuple[int, Outcome]]:
    """Call ``call(point)`` for each point, in this process or in ``workers`` others, and yield the
    outcomes as they come."""
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
    """Outcome of one call: an error is kept in words, an interruption passes."""
    try:
        # what a measure prints must not mix with what the command prints
        with redirect_stdout(sys.stderr):
            return Outcome(call(point))
    except (Exception, SystemExit) as error:
        return Outcome(None, f"{type(error).__name__}: {error}", traceback.format_exc())


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch to one thread, libraries loaded meanwhile included: two threads
    add in another order."""
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


def _serial(call, points) -> Iterator[tuple[int, Outcome]]:
    with one_thread():
        for index, point in points.items():
            yield index, attempt(call, point)


# ---- several processes ---------------------------------------------------------------------------


def _work(connection: Connection, call: Callable[..., bytes]) -> None:
    """A worker's life: say that it is ready, then answer points until there are none."""
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
    """A parent that was killed leaves no worker computing for nobody."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


class _Worker:
    """A process, our end of its pipe, and the point it has in hand."""

    def __init__(self, call):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, call), daemon=True)
        self.index = None
        with _quiet_start():
            self.process.start()
        theirs.close()

    def give(self, index: int, point: Mapping) -> None:
        self.index = index
        # a worker that died while idle: the next read finds the end of its pipe
        with suppress(OSError):
            self.connection.send(point)

    def answer(self):
        """What the worker sent; raises EOFError or OSError when it is dead."""
        return self.connection.recv()

    def end(self, patience: float = 0.1) -> str:
        """Close the pipe, which ends an idle worker, stop the process if it goes on, and say how it
        ended."""
        self.connection.close()
        self.process.join(patience)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Start a process on one thread and deaf to Ctrl-C, which the parent answers for all."""
    resource_tracker.ensure_running()  # its start would undo the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _environment_of_one_thread():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _parallel(call, points, workers, say) -> Iterator[tuple[int, Outcome]]:
    crew = _Crew(call, points, say)
    try:
        yield from crew.run(workers)
    finally:
        crew.end()


class _Crew:
    """The workers, the points that wait, and how often each point lost its worker."""

    def __init__(self, call, points, say):
        self.call, self.points, self.say = call, points, say
        self.waiting = deque(points)
        self.losses, self.stillborn = Counter(), 0
        self.workers: list[_Worker] = []

    def run(self, number: int) -> Iterator[tuple[int, Outcome]]:
        while self.waiting or self.busy():
            while len(self.workers) < min(number, len(self.waiting) + len(self.busy())):
                self.workers.append(_Worker(self.call))
            for connection in wait([worker.connection for worker in self.workers]):
                yield from self.hear(
                    next(worker for worker in self.workers if worker.connection is connection)
                )

    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.index is not None]

    def hear(self, worker: _Worker) -> Iterator[tuple[int, Outcome]]:
        """Take a worker's answer, or bury it, and hand out the next point."""
        try:
            outcome = worker.answer()
        except (EOFError, OSError):
            yield from self.bury(worker)
            return
        index, worker.index = worker.index, None
        self.stillborn = 0
        if self.waiting:
            following = self.waiting.popleft()
            worker.give(following, self.points[following])
        if index is not None:
            yield index, outcome

    def bury(self, worker: _Worker) -> Iterator[tuple[int, Outcome]]:
        self.workers.remove(worker)
        end, index = worker.end(patience=5), worker.index
        if index is None:
            self.stillborn += 1
            if self.stillborn >= TRIALS:
                raise ChildProcessError(
                    f"{TRIALS} worker processes ended before they began ({end}): try --workers 1"
                )
            return
        self.losses[index] += 1
        if self.losses[index] < TRIALS:
            self.say(f"worker lost, point {index} tried again ({self.losses[index]} of {TRIALS})")
            self.waiting.appendleft(index)
        else:
            self.say(f"worker lost, point {index} failed: it ended {TRIALS} workers")
            yield index, Outcome(None, f"it ended {TRIALS} workers, the last by {end}")

    def end(self) -> None:
        for worker in self.workers:
            worker.end()
