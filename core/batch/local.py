"""Worker processes on this machine. One that is killed is replaced, and its scan done again."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any

from core.batch.deadline import TIMED_OUT
from core.batch.job import BatchJob, ScanTask
from core.errors import LungLensError
from core.system import (
    PROGRAM_FOLDER,
    THREADS_VARIABLE,
    ShouldCancel,
    cpu_count,
    give_way,
    raise_if_cancelled,
)

OnEnded = Callable[[ScanTask], None]
"""Called once work on a scan has come to an end, whose record then lies in its folder."""

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_END = 10.0
_MOST_DEAD_STARTS = 3
_THREAD_VARIABLES = (
    THREADS_VARIABLE,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def run_on_processes(
    job: BatchJob,
    tasks: Sequence[ScanTask],
    *,
    workers: int,
    less_urgent: bool = False,
    on_ended: OnEnded,
    should_cancel: ShouldCancel,
) -> int:
    """Works through all tasks; returns how many worker processes were lost on the way.

    Raises:
        LungLensError: workers do not start, or cannot do any scan.
        Cancelled: the person asked to stop; what was half-done does not count.
    """
    with job.paths.log.open("ab") as log:
        pool = _WorkerPool(job, tasks, min(workers, len(tasks)), log, less_urgent=less_urgent)
        try:
            pool.work(on_ended, should_cancel)
        finally:
            pool.close()
    return pool.lost


class _Worker:
    """One process, and the scan it was given."""

    def __init__(self, job: BatchJob, threads: int, log: IO[bytes], events: _Events) -> None:
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        self.task: ScanTask | None = None
        self.ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.batch.worker"],
            cwd=PROGRAM_FOLDER,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        self._tell(job.to_json())
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def _listen(self, events: _Events) -> None:
        """Passes on the messages of the process, and its end, also where it was killed."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                events.put((self, json.loads(line)))
        self._process.wait()
        events.put((self, None))

    def give(self, task: ScanTask) -> None:
        """Hands over a scan; a process that is gone says so by its end."""
        self.task = task
        self._tell(json.dumps(task.to_json_dict()))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    @property
    def process_id(self) -> int:
        """What the system knows the process by."""
        return self._process.pid

    @property
    def timed_out(self) -> bool:
        """Whether the process has ended because its scan took too long."""
        return self._process.poll() == TIMED_OUT

    def end(self) -> None:
        """Ends the process, whatever it is at."""
        with suppress(OSError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


_Events = queue.SimpleQueue[tuple[_Worker, "dict[str, Any] | None"]]


class _WorkerPool:
    """The workers and their scans."""

    def __init__(
        self,
        job: BatchJob,
        tasks: Sequence[ScanTask],
        count: int,
        log: IO[bytes],
        *,
        less_urgent: bool,
    ) -> None:
        self._job, self._log, self._less_urgent = job, log, less_urgent
        self._waiting = deque(tasks)
        self._left = {task.scan.scan_id for task in tasks}
        self._count = count
        self._threads = max(1, cpu_count() // max(1, count))
        self._events: _Events = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._dead_starts = 0
        self.lost = 0

    def work(self, on_ended: OnEnded, should_cancel: ShouldCancel) -> None:
        while self._left:
            raise_if_cancelled(should_cancel, "working on scans")
            while len(self._workers) < min(self._count, len(self._left)):
                self._workers.add(self._start())
            try:
                worker, message = self._events.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                continue
            if message is None:
                self._replace(worker)
            else:
                self._receive(worker, message, on_ended)
            self._hand_out()

    def _start(self) -> _Worker:
        worker = _Worker(self._job, self._threads, self._log, self._events)
        if self._less_urgent:
            give_way(worker.process_id)
        return worker

    def _receive(self, worker: _Worker, message: dict[str, Any], on_ended: OnEnded) -> None:
        if message.get("event") == "unavailable":
            raise LungLensError(
                str(message.get("sentence", "A worker cannot process scans")).rstrip(".")
            )
        worker.ready, self._dead_starts = True, 0
        ended, worker.task = worker.task, None
        if ended is not None:
            self._left.discard(ended.scan.scan_id)
            on_ended(ended)

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.ready and worker.task is None:
                worker.give(self._waiting.popleft())

    def _replace(self, worker: _Worker) -> None:
        """The process of a worker has ended by itself or was killed."""
        self.lost += not worker.timed_out
        worker.end()
        self._workers.discard(worker)
        if worker.task is not None:
            # Last, so that a scan no process survives does not keep the others waiting. Whether
            # it is done in truth, or has to be given up, the next worker reads from its folder.
            self._waiting.append(worker.task)
        elif not worker.ready:
            self._dead_starts += 1
        if self._dead_starts >= _MOST_DEAD_STARTS:
            raise LungLensError(
                "Worker processes do not start",
                got=f"{self._dead_starts} that ended immediately",
                expected="running processes",
                next_step=f"see {self._job.paths.log.name} in the folder of results",
            )

    def close(self) -> None:
        """Ends all workers."""
        for worker in self._workers:
            worker.end()
