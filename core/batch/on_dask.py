"""The same work handed to a Dask cluster, whose workers may be on other machines.

All of them see FOLDER and OUT under the same paths. A scan's result is the file it leaves: Dask
may run a task twice, or lose a worker that has just finished, and neither does a scan twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from core.batch.job import MOST_CRASHES, BatchJob, ScanTask
from core.batch.local import OnEnded
from core.batch.records import count_open_attempts, is_settled, write_failure
from core.batch.work import work_on_scan
from core.errors import ConfigError, LungLensError, SaveError, shown_name
from core.system import ShouldCancel, raise_if_cancelled

_SECONDS_TO_CONNECT = 15
_SECONDS_FOR_WORKERS = 60.0
_SECONDS_WITHOUT_WORKERS = 300.0
_SECONDS_BETWEEN_LOOKS = 0.25
_MOST_SUBMISSIONS = 20


def run_on_dask(
    job: BatchJob,
    tasks: Sequence[ScanTask],
    *,
    scheduler: str,
    on_ended: OnEnded,
    should_cancel: ShouldCancel,
) -> int:
    """Works through all tasks; returns how many workers Dask lost on the way.

    Raises:
        ConfigError: the scheduler's address is none, nobody answers, or it has no workers.
        LungLensError: workers cannot do any scan, or the scheduler was lost.
        Cancelled: the person asked to stop.
    """
    with _quiet_client():
        client = _connect(scheduler)
        try:
            return _Cluster(client, job, tasks).work(on_ended, should_cancel)
        finally:
            client.close(timeout=_SECONDS_TO_CONNECT)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Dask logs a lost scheduler with a traceback; here a sentence reports it."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "comm", "utils")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def do_task(job_text: str, task_text: str) -> dict[str, Any]:
    """What a Dask worker runs: plain text in, plain values out."""
    job = BatchJob.from_json(job_text)
    task = ScanTask.from_json_dict(json.loads(task_text))
    try:
        return {"outcome": work_on_scan(job, task)}
    except LungLensError as error:
        return {"unavailable": str(error)}


def _connect(scheduler: str) -> Any:
    from distributed import Client

    if not scheduler.startswith(("tcp://", "tls://")):
        raise ConfigError(
            "The scheduler's address cannot be read",
            got=shown_name(scheduler),
            expected="such as tcp://127.0.0.1:8786",
            next_step="start one with 'dask scheduler' and use the address it prints",
        )
    try:
        make_client: Any = Client
        return make_client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError, asyncio.TimeoutError) as error:
        raise ConfigError(
            "No Dask scheduler answers there",
            got=shown_name(scheduler.split("//", 1)[1]),
            expected="a running scheduler of the same version of Dask",
            next_step="start one with 'dask scheduler', and 'dask worker' on each machine",
        ) from error


class _Cluster:
    """The futures of a batch, and what has become of them."""

    def __init__(self, client: Any, job: BatchJob, tasks: Sequence[ScanTask]) -> None:
        self._client, self._job = client, job
        self._tasks = {self._key(task): task for task in tasks}
        self._changed = threading.Event()
        self._seen: set[str] = set()
        self._times: Counter[str] = Counter()
        self._last_seen = time.monotonic()
        self.lost = 0

    def _key(self, task: ScanTask) -> str:
        return f"lunglens-{self._job.run_id}-{task.scan.scan_id}"

    def work(self, on_ended: OnEnded, should_cancel: ShouldCancel) -> int:
        self._wait_for_workers(should_cancel)
        futures = {key: self._submit(key, task) for key, task in self._tasks.items()}
        try:
            while futures:
                raise_if_cancelled(should_cancel, "working on scans")
                self._count_lost()
                ended = [key for key, future in futures.items() if future.done()]
                for key in ended:
                    task, future = self._tasks[key], futures.pop(key)
                    if self._is_innocent(future, task):
                        futures[key] = self._submit(key, task)
                        continue
                    self._take(future, task)
                    on_ended(task)
                if not ended:
                    self._changed.wait(_SECONDS_BETWEEN_LOOKS)
                    self._changed.clear()
        finally:
            if futures:
                self._client.cancel(list(futures.values()), force=True)
        return self.lost

    def _submit(self, key: str, task: ScanTask) -> Any:
        self._times[key] += 1
        future = self._client.submit(
            do_task,
            self._job.to_json(),
            json.dumps(task.to_json_dict()),
            key=f"{key}-{self._times[key]}",
            pure=False,
            retries=MOST_CRASHES - 1,
        )
        future.add_done_callback(lambda _: self._changed.set())
        return future

    def _is_innocent(self, future: Any, task: ScanTask) -> bool:
        """Whether Dask has given up a scan that merely waited at workers which others ended."""
        from distributed.scheduler import KilledWorker

        if future.status != "error" or not isinstance(future.exception(), KilledWorker):
            return False
        paths = self._job.paths.scan(task.scan.scan_id)
        tried = self._times[self._key(task)]
        return tried < _MOST_SUBMISSIONS and (
            count_open_attempts(paths, self._job.run_id) < MOST_CRASHES
        )

    def _wait_for_workers(self, should_cancel: ShouldCancel) -> None:
        end = time.monotonic() + _SECONDS_FOR_WORKERS
        while not self._workers():
            raise_if_cancelled(should_cancel, "waiting for workers")
            if time.monotonic() > end:
                raise ConfigError(
                    "The Dask scheduler has no workers",
                    got=f"none in {_SECONDS_FOR_WORKERS:.0f} s",
                    expected="at least one",
                    next_step="start 'dask worker ADDRESS --nthreads 1' on each machine",
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self._last_seen = time.monotonic()

    def _workers(self) -> set[str]:
        return set(self._client.scheduler_info(n_workers=-1)["workers"])

    def _count_lost(self) -> None:
        """Looks who is there; a cluster that stays empty will do no scan.

        Raises:
            LungLensError: no worker has been there for long.
        """
        try:
            now = self._workers()
        except (OSError, RuntimeError, TimeoutError, asyncio.TimeoutError):
            return  # where the scheduler is gone, its futures say so
        self.lost += len(self._seen - now)
        self._seen = now
        if now:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > _SECONDS_WITHOUT_WORKERS:
            raise LungLensError(
                "The Dask cluster has no workers left",
                got=f"none for {_SECONDS_WITHOUT_WORKERS:.0f} s",
                expected="at least one",
                next_step="start workers and run the same command to resume",
            )

    def _take(self, future: Any, task: ScanTask) -> None:
        """Reads how a task went, and writes the record where every worker was lost."""
        if future.status == "cancelled":
            raise LungLensError(
                "The Dask scheduler was lost",
                got="a connection that ended",
                expected="a scheduler that runs as long as the batch",
                next_step="start it again and run the same command to resume",
            )
        if future.status == "finished":
            answer = future.result()
            if "unavailable" in answer:
                raise LungLensError(str(answer["unavailable"]).rstrip("."))
            return
        paths = self._job.paths.scan(task.scan.scan_id)
        if is_settled(paths, self._job, task):
            return  # in truth the last worker was lost after it had written
        reason = self._reason(future.exception())
        try:
            paths.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SaveError("The folder of results cannot be written") from error
        write_failure(self._job, task, reason)

    def _reason(self, error: BaseException | None) -> str:
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return (
                "The workers that were given this scan were lost, one after the other: expected "
                "enough memory for the scan; give each worker more memory and use --retry-failed."
            )
        return (
            f"A Dask worker could not work on this scan: got {type(error).__name__}; "
            "its own log says why."
        )
