"""One row a scan, in columns that do not depend on what was found."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from core.evaluation import csv_cell
from core.measuring.biomarkers import Measurement, compute_biomarkers
from core.volume import Intensity, MaskPair, volume_from_file

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
    "infected_slices",
    "lung_dice",
    "infection_dice",
    "weights_id",
    "device",
    "seconds",
    "finished",
    "warnings",
)

Row = dict[str, Any]


@cache
def biomarker_columns() -> tuple[Measurement, ...]:
    """Every biomarker with label, unit, definition and source, in order; the same for all scans.

    They are those of a scan on which nothing is marked, so each value is undefined.
    """
    nothing = volume_from_file(
        np.zeros((2, 2, 2), dtype=np.int16),
        np.eye(4),
        intensity=Intensity("HU", "made so"),
        name="nothing",
        format="generated",
    )
    return compute_biomarkers(nothing, MaskPair(None, None)).measurements


def columns() -> tuple[str, ...]:
    """The head of the table."""
    return (*BASE_COLUMNS, *(one.key for one in biomarker_columns()))


def row_of(record: dict[str, Any]) -> Row:
    """The row of a result; what it lacks is none.

    Args:
        record: of `result.json`, done or failed.
    """
    row: Row = {name: record.get(name) for name in BASE_COLUMNS}
    # What is there was checked where it was read; a failed scan may hold anything or nothing.
    if record.get("status") == "failed":
        record = {name: record.get(name) for name in BASE_COLUMNS if name != "warnings"}
        record["seconds"] = {}
    measured = record.get("biomarkers", {}).get("values", {})
    row.update({one.key: measured.get(one.key) for one in biomarker_columns()})
    scan = record.get("scan", {})
    row.update(zip(("columns", "rows", "slices"), scan.get("shape", ()), strict=False))
    spacing = ("spacing_x_mm", "spacing_y_mm", "spacing_z_mm")
    if not scan.get("spacing_nominal"):
        row.update(zip(spacing, scan.get("spacing_mm", ()), strict=False))
    row["spacing_nominal"], row["unit"] = scan.get("spacing_nominal"), scan.get("unit")
    for channel, overlap in record.get("metrics", {}).items():
        row[f"{channel}_dice"] = overlap.get("dice")
    row["seconds"] = record.get("seconds", {}).get("all")
    notes = record.get("biomarkers", {}).get("notes", ())
    row["warnings"] = " ".join(dict.fromkeys([*record.get("warnings", ()), *notes]))
    return row


def waiting_row(scan_id: str, name: str, kind: str) -> Row:
    """The row of a scan that has no result yet."""
    row = row_of({"scan_id": scan_id, "name": name, "kind": kind, "status": "waiting"})
    return {**row, "reason": "not worked on yet"}


def table_csv(rows: Iterable[Row], names: Sequence[str]) -> str:
    """Rows as CSV; what is not defined is empty, and no text can pass for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row.get(name)) for name in names})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else csv_cell(value)
