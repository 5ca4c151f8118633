"""What lies where in the folder of a batch."""

from __future__ import annotations

import gzip
import math
import os
import re
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO

from core.config import CHANNELS, NotJson, read_json

SCAN_ID = re.compile(r"[0-9a-f]{12}")
"""Folder names of scans: a hash of where a scan is, which does not identify the patient."""
FORMAT = "lunglens-batch-1"
"""What `batch.json` and `result.json` begin with; another number for another layout."""
RECORD_NAME = "batch.json"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


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


def read_result(path: Path) -> dict[str, Any]:
    """The record of a scan; empty where there is none whose every part can be used, and where the
    files beside it are gone or cut."""
    record = read_record(path)
    if not record or not is_whole(record):
        return {}
    if record["status"] == "done" and not _are_files_whole(ScanPaths(path.parent)):
        return {}
    return record


def _are_files_whole(paths: ScanPaths) -> bool:
    """Whether masks and picture of a scan are there from beginning to end; their content is not
    looked at."""
    try:
        if not all(_is_mask_whole(paths.mask(channel)) for channel in CHANNELS):
            return False
        with _regular(paths.thumbnail) as file:
            if file.read(8) != _PNG_START:
                return False
            file.seek(-len(_PNG_END), os.SEEK_END)
            return bool(file.read() == _PNG_END)
    except (OSError, EOFError, zlib.error, ValueError):
        return False


def _is_mask_whole(path: Path) -> bool:
    """Whether a gzipped NIfTI file ends with the number of bytes that its header declares."""
    with _regular(path) as file:
        header = gzip.GzipFile(fileobj=file).read(352)
        file.seek(-4, os.SEEK_END)
        unpacked = int.from_bytes(file.read(4), "little")
    sides = struct.unpack("<8h", header[40:56])[1:8]
    return bool(unpacked == (352 + math.prod(max(1, side) for side in sides)) % 2**32)


def _regular(path: Path) -> BinaryIO:
    if not path.is_file():  # opening a pipe would wait for who writes into it
        raise FileNotFoundError(path)
    return path.open("rb")


def is_whole(record: dict[str, Any]) -> bool:
    """Whether the record of a scan has the parts that its row in the table is made of."""
    if not all(isinstance(record.get(name), str) for name in _TEXTS):
        return False
    if record["status"] == "failed":
        return True
    biomarkers, scan, seconds = (record.get(name) for name in ("biomarkers", "scan", "seconds"))
    return (
        record["status"] == "done"
        and isinstance(biomarkers, dict)
        and _all_plain(biomarkers.get("values"))
        and _are_texts(biomarkers.get("notes", []))
        and isinstance(scan, dict)
        and _are_numbers(scan.get("shape"), 3)
        and _are_numbers(scan.get("spacing_mm"), 3)
        and _all_plain(seconds)
        and _all_plain(record.get("metrics", {}), also=dict)
        and _are_texts(record.get("warnings", []))
        and isinstance(record.get("key_slice"), int)
    )


_TEXTS = ("scan_id", "name", "kind", "status", "reason", "fingerprint", "run_id")


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)
    )


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, str) for one in values)


def _all_plain(values: Any, also: type = str) -> bool:
    kinds = (int, float, str, NoneType, also)
    return isinstance(values, dict) and all(isinstance(one, kinds) for one in values.values())


def set_aside(path: Path, *, is_folder: bool = False) -> bool:
    """Moves away what stands where a file of the batch belongs and is none, such as a folder.

    It keeps its content under a name of its own beside the place. Returns whether there was any.

    Args:
        is_folder: a folder belongs there, and a file is moved away.

    Raises:
        OSError: it cannot be moved.
    """
    if not path.exists() or (path.is_dir() if is_folder else path.is_file()):
        return False
    path.rename(path.with_name(f"{path.name}.set-aside-{secrets.token_hex(4)}"))
    return True


def has_damaged_record(folder: Path) -> bool:
    """Whether a folder holds the results of a batch whose own record cannot be read."""
    paths = BatchPaths(folder)
    is_known = paths.record.exists() and paths.lock.exists() and paths.key.exists()
    return is_known and not is_batch_result(folder)


def is_batch_result(folder: Path) -> bool:
    """Whether a batch was written into a folder."""
    return bool(read_record(folder / RECORD_NAME))
