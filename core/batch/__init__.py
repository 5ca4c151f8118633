"""Many scans: found in a folder, worked through by many processes, gathered in one table."""

from core.batch.cohort import (
    Cohort,
    RowFilter,
    find_batch_results,
    folders_in,
    load_cohort,
    median_of,
    read_rows,
    read_thumbnail,
    rows_csv,
    scan_place,
    select_rows,
    sort_rows,
)
from core.batch.find import Found, FoundScan, find_scans
from core.batch.ledger import BatchSummary
from core.batch.places import SCAN_ID, BatchPaths, ScanPaths, is_batch_result
from core.batch.run import run_batch
from core.batch.tables import Row, biomarker_columns
from core.batch.work import open_found

__all__ = [
    "Cohort",
    "RowFilter",
    "find_batch_results",
    "folders_in",
    "load_cohort",
    "median_of",
    "read_rows",
    "read_thumbnail",
    "rows_csv",
    "scan_place",
    "select_rows",
    "sort_rows",
    "Found",
    "FoundScan",
    "find_scans",
    "open_found",
    "BatchPaths",
    "SCAN_ID",
    "ScanPaths",
    "is_batch_result",
    "BatchSummary",
    "run_batch",
    "Row",
    "biomarker_columns",
]
