"""A worker process of a batch: `python -m core.batch.worker`, given its work line by line.

Standard input gives the job and then one scan at a time, standard output reports how each ended.
When the input ends, the process that started this one has ended, and so does this one, at once:
nothing half-done counts, and another run takes it up again.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import IO, Any

from core.batch.job import BatchJob, ScanTask
from core.batch.work import prepare_worker, work_on_scan
from core.errors import LungLensError
from core.system import cpu_count

_ORPHANED = 3


def main() -> None:
    """Works until its input ends."""
    # Whoever presses Ctrl-C means the whole batch, and its parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _take_standard_output()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    _limit_threads()
    job = BatchJob.from_json(lines.get())
    try:
        prepare_worker(job)
        _send(answers, event="ready")
        while True:
            task = ScanTask.from_json_dict(json.loads(lines.get()))
            outcome = work_on_scan(job, task)
            _send(answers, event="ended", scan_id=task.scan.scan_id, outcome=outcome)
    except LungLensError as error:
        _send(answers, event="unavailable", sentence=str(error))


def _take_standard_output() -> IO[str]:
    """The pipe to the parent; what libraries print goes to standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _read(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(_ORPHANED)


def _limit_threads() -> None:
    import cv2

    cv2.setNumThreads(cpu_count())


def _send(answers: IO[str], **message: Any) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
