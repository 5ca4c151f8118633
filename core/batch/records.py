"""What a worker writes down about a scan: results, failures, attempts."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any

from core.batch.job import BatchJob, ScanTask
from core.batch.places import FORMAT, ScanPaths, read_result
from core.errors import SaveError
from core.system import json_text, write_text

_MAX_ATTEMPTS_BYTES = 4 * 1024**2


def write_failure(job: BatchJob, task: ScanTask, reason: str) -> None:
    """The record of a scan that has no measurements, and why."""
    paths = job.paths.scan(task.scan.scan_id)
    write_text(
        paths.result, json_text({**record_head(job, task, "failed"), "reason": reason}) + "\n"
    )
    note_attempt(paths, job.run_id, "failed")


def crash_sentence(crashes: int) -> str:
    """What a scan that ends its worker process each time failed of."""
    return (
        f"The worker process ended abruptly each time it worked on this scan: got {crashes} "
        "attempts, expected enough memory for the scan; use fewer workers and --retry-failed."
    )


def count_open_attempts(paths: ScanPaths, run_id: str) -> int:
    """How often work began in this run without coming to any end."""
    begun = 0
    try:
        with paths.attempts.open("rb") as file:
            lines = file.read(_MAX_ATTEMPTS_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return 0
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # of a process that ended while it wrote
            continue
        if isinstance(entry, dict) and entry.get("run_id") == run_id:
            begun = begun + 1 if entry.get("event") == "begun" else 0
    return begun


def note_attempt(paths: ScanPaths, run_id: str, event: str) -> None:
    """Appends a line that is there whole or, should the process end just then, not at all."""
    entry = {"event": event, "run_id": run_id, "pid": os.getpid(), "at": now_text()}
    try:
        with paths.attempts.open("ab") as file:
            file.write((json.dumps(entry) + "\n").encode())
    except OSError as error:
        raise SaveError(
            "The log of attempts cannot be written", got=error.strerror or "a write error"
        ) from error


def is_settled(paths: ScanPaths, job: BatchJob, task: ScanTask) -> bool:
    """Whether there is a result of these very files and settings, or a failure of this run."""
    known = read_result(paths.result)
    if known.get("fingerprint") != task.fingerprint:
        return False
    return known.get("status") == "done" or known.get("run_id") == job.run_id


def record_head(job: BatchJob, task: ScanTask, status: str) -> dict[str, Any]:
    """What every record of a scan begins with."""
    return {
        "format": FORMAT,
        "scan_id": task.scan.scan_id,
        "name": task.scan.name,
        "kind": task.scan.kind,
        "status": status,
        "reason": "",
        "fingerprint": task.fingerprint,
        "run_id": job.run_id,
        "finished": now_text(),
    }


def now_text() -> str:
    """Date and time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
