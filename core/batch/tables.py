"""One row a scan, in columns that do not depend on what was found."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from core.evaluation import csv_cell

FAILURE_COLUMNS = ("scan_id", "name", "kind", "reason")
BASE_COLUMNS = (
    "scan_id",
    "name",
    "kind",
    "status",
    "reason",
    "columns",
    "rows",
    "slices",
    "spacing_x_mm",
    "spacing_y_mm",
    "spacing_z_mm",
    "spacing_nominal",
    "unit",
    "key_slice",
    "lung_volume_ml",
    "infection_volume_ml",
    "infection_fraction",
    "infected_slices",
    "lung_dice",
    "infection_dice",
    "weights_id",
    "device",
    "seconds",
    "finished",
    "warnings",
)
COLUMNS = BASE_COLUMNS

Row = dict[str, Any]


def row_of(record: dict[str, Any]) -> Row:
    """The row of a result; what it lacks is none.

    Args:
        record: of `result.json`, done or failed.
    """
    row: Row = {name: record.get(name) for name in COLUMNS}
    scan = record.get("scan", {})
    row.update(zip(("columns", "rows", "slices"), scan.get("shape", ()), strict=False))
    spacing = ("spacing_x_mm", "spacing_y_mm", "spacing_z_mm")
    if not scan.get("spacing_nominal"):
        row.update(zip(spacing, scan.get("spacing_mm", ()), strict=False))
    row["spacing_nominal"], row["unit"] = scan.get("spacing_nominal"), scan.get("unit")
    for channel, overlap in record.get("metrics", {}).items():
        row[f"{channel}_dice"] = overlap.get("dice")
    row["seconds"] = record.get("seconds", {}).get("all")
    row["warnings"] = " ".join(record.get("warnings", ()))
    return row


def waiting_row(scan_id: str, name: str, kind: str) -> Row:
    """The row of a scan that has no result yet."""
    row = row_of({"scan_id": scan_id, "name": name, "kind": kind, "status": "waiting"})
    return {**row, "reason": "not worked on yet"}


def table_csv(rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> str:
    """Rows as CSV; what is not defined is empty, and no text can pass for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, fieldnames=list(columns), lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row.get(name)) for name in columns})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else csv_cell(value)
