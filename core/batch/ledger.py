"""What is known of each scan while a batch runs: tables, progress, and counts at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.batch.find import Found
from core.batch.job import BatchJob, ScanTask, fingerprint
from core.batch.places import read_result
from core.batch.tables import FAILURE_COLUMNS, Row, columns, row_of, table_csv, waiting_row
from core.system import OnProgress, write_text

_SECONDS_BETWEEN_TABLES = 15.0


@dataclass(frozen=True)
class BatchSummary:
    """Outcome of a batch.

    Attributes:
        found: scans in the folder.
        done: of them with a result, now or before.
        kept: of those done, how many an earlier run had done.
        failures: (id, name, reason) of each that failed, now or before.
        lost_workers: processes that ended abruptly and were replaced.
        left_out: reason → how many files or folders were not taken for scans.
        renewed: ids of scans whose record of an earlier run could not be used; they were worked
            on anew.
    """

    found: int
    done: int
    kept: int
    failures: tuple[tuple[str, str, str], ...]
    lost_workers: int
    left_out: dict[str, int]
    seconds: float
    renewed: tuple[str, ...] = ()

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values."""
        named = [
            dict(zip(("scan_id", "name", "reason"), one, strict=True)) for one in self.failures
        ]
        return {**self.__dict__, "failed": len(self.failures), "failures": named}


@dataclass
class _Pace:
    """How long the rest will take, from how long the ended ones took."""

    started: float = field(default_factory=time.monotonic)

    def words(self, ended: int, left: int) -> str:
        if not ended or not left:
            return ""
        seconds = (time.monotonic() - self.started) / ended * left
        if seconds < 90:
            return f", about {max(1, round(seconds))} s left"
        if seconds < 5400:
            return f", about {round(seconds / 60)} min left"
        return f", about {seconds / 3600:.1f} h left"


class Ledger:
    """What is known of each scan of a batch, and the tables of it."""

    def __init__(
        self, job: BatchJob, found: Found, *, retry_failed: bool, on_progress: OnProgress
    ) -> None:
        self._job, self._found, self._on_progress = job, found, on_progress
        self._rows: dict[str, Row] = {}
        self._kept = 0
        self._renewed: list[str] = []
        self.left: Sequence[ScanTask] = []
        for scan in found.scans:
            task = ScanTask(scan, fingerprint(scan, job))
            place = job.paths.scan(scan.scan_id)
            known = read_result(place.result)
            if not known and (place.result.exists() or place.folder.is_file()):
                self._renewed.append(scan.scan_id)
            again = retry_failed and known.get("status") == "failed"
            if known.get("fingerprint") == task.fingerprint and not again:
                self._rows[scan.scan_id] = row_of(known)
                self._kept += known.get("status") == "done"
            else:
                self.left.append(task)
        self._total, self._ended = len(self.left), 0
        self._pace, self._written = _Pace(), time.monotonic()
        self._tell()
        self.write()

    def enter(self, task: ScanTask) -> None:
        """Takes over the record that work on a scan has left."""
        self._read(task)
        self._ended += 1
        self._tell()
        if time.monotonic() - self._written > _SECONDS_BETWEEN_TABLES:
            self.write()

    def close(self) -> None:
        """Takes over what workers had written when the batch was stopped, too late to say so."""
        for task in self.left:
            if task.scan.scan_id not in self._rows:
                self._read(task)
        self.write()

    def _read(self, task: ScanTask) -> None:
        known = read_result(self._job.paths.scan(task.scan.scan_id).result)
        if known.get("fingerprint") == task.fingerprint:
            self._rows[task.scan.scan_id] = row_of(known)

    def _tell(self) -> None:
        words = self._pace.words(self._ended, self._total - self._ended)
        before = len(self._found.scans) - self._total
        self._on_progress(f"working on scans{words}", before + self._ended, len(self._found.scans))

    def write(self) -> None:
        """Writes the tables anew: one row a scan found, in the order found."""
        rows = [
            self._rows.get(scan.scan_id) or waiting_row(scan.scan_id, scan.name, scan.kind)
            for scan in self._found.scans
        ]
        failed = [row for row in rows if row["status"] == "failed"]
        write_text(self._job.paths.table, table_csv(rows, columns()))
        write_text(self._job.paths.failures, table_csv(failed, FAILURE_COLUMNS))
        self._written = time.monotonic()

    def summary(self, *, lost_workers: int, seconds: float) -> BatchSummary:
        """Counts at the end."""
        rows = [
            self._rows[scan.scan_id] for scan in self._found.scans if scan.scan_id in self._rows
        ]
        failures = [
            (row["scan_id"], row["name"], row["reason"])
            for row in rows
            if row["status"] == "failed"
        ]
        return BatchSummary(
            found=len(self._found.scans),
            done=sum(row["status"] == "done" for row in rows),
            kept=self._kept,
            failures=tuple(failures),
            lost_workers=lost_workers,
            left_out=self._found.left_out,
            seconds=seconds,
            renewed=tuple(self._renewed),
        )
