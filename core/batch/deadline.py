"""The time limit of one scan.

Work in native code cannot be interrupted from Python, so the process that works on the scan ends
itself, after it has written the scan down as failed; whoever started it starts another.
"""

from __future__ import annotations

import os
import threading

from core.batch.job import BatchJob, ScanTask
from core.batch.records import write_failure

TIMED_OUT = 4
"""Exit status of a process that a scan took too long in."""


class Deadline:
    """Runs from `with` on; `settle` stops it."""

    def __init__(self, job: BatchJob, task: ScanTask) -> None:
        self._job, self._task = job, task
        self._lock = threading.Lock()
        self._settled = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Deadline:
        if self._job.timeout_s is not None:
            self._timer = threading.Timer(self._job.timeout_s, self._expire)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()

    def settle(self) -> None:
        """From here on the scan counts as in time. Does not return where it is too late."""
        with self._lock:
            self._settled = True
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        with self._lock:
            if not self._settled:
                write_failure(self._job, self._task, _sentence(self._job.timeout_s or 0.0))
                os._exit(TIMED_OUT)


def _sentence(seconds: float) -> str:
    return (
        f"The work on this scan took too long: got more than {seconds:g} s, expected less; "
        "run again with --retry-failed and a longer --timeout."
    )
