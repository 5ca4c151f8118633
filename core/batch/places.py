"""What lies where in the folder of a batch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import NotJson, read_json

SCAN_ID = re.compile(r"[0-9a-f]{12}")
"""Folder names of scans: a hash of where a scan lies, which says nothing of whose it is."""
FORMAT = "lunglens-batch-1"
"""What `batch.json` and `result.json` begin with; another number for another layout."""
RECORD_NAME = "batch.json"


@dataclass(frozen=True)
class ScanPaths:
    """The files of one scan. `result` is written last and makes the others count."""

    folder: Path

    @property
    def result(self) -> Path:
        """The record of what was found, or of why there is nothing."""
        return self.folder / "result.json"

    @property
    def thumbnail(self) -> Path:
        """The key slice with outlines."""
        return self.folder / "thumbnail.png"

    @property
    def lock(self) -> Path:
        """Held by the one process that works on the scan."""
        return self.folder / "lock"

    @property
    def attempts(self) -> Path:
        """A line for each time that work on the scan began, and ended."""
        return self.folder / "attempts.jsonl"

    @property
    def error(self) -> Path:
        """Where in the code a bug stopped the work."""
        return self.folder / "error.txt"

    def mask(self, channel: str) -> Path:
        """The mask of a channel in the scan's own geometry."""
        return self.folder / f"{channel}_mask.nii.gz"


@dataclass(frozen=True)
class BatchPaths:
    """The files of a batch."""

    folder: Path

    @property
    def record(self) -> Path:
        """Settings, versions and counts."""
        return self.folder / RECORD_NAME

    @property
    def table(self) -> Path:
        """One row a scan."""
        return self.folder / "cohort.csv"

    @property
    def failures(self) -> Path:
        """The rows of what failed, with reasons."""
        return self.folder / "failures.csv"

    @property
    def key(self) -> Path:
        """Which scan lies where: names of folders may be those of patients, so it stays apart."""
        return self.folder / "paths.json"

    @property
    def lock(self) -> Path:
        """Held as long as a batch is under way."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What worker processes wrote to standard error."""
        return self.folder / "workers.log"

    def scan(self, scan_id: str) -> ScanPaths:
        """The files of a scan.

        Raises:
            ValueError: the id is none, and might lead elsewhere.
        """
        if not SCAN_ID.fullmatch(scan_id):
            raise ValueError("no id of a scan")
        return ScanPaths(self.folder / scan_id)


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object of this format; empty where there is none that can be read."""
    try:
        record = read_json(path)
    except NotJson:
        return {}
    known = isinstance(record, dict) and record.get("format") == FORMAT
    return record if known else {}


def is_batch_result(folder: Path) -> bool:
    """Whether a batch was written into a folder."""
    return bool(read_record(folder / RECORD_NAME))
