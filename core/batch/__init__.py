"""Many scans: found in a folder, worked through by many processes, gathered in one table."""

from core.batch.find import Found, FoundScan, find_scans
from core.batch.places import SCAN_ID, BatchPaths, ScanPaths, is_batch_result
from core.batch.run import BatchSummary, run_batch

__all__ = [
    "SCAN_ID",
    "BatchPaths",
    "BatchSummary",
    "Found",
    "FoundScan",
    "ScanPaths",
    "find_scans",
    "is_batch_result",
    "run_batch",
]
