"""Measurements as CSV: nested values one a line, and every slice a row."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.config import CHANNELS
from core.evaluation import compute_overlap_per_slice
from core.measuring.biomarkers import compute_slice_burden
from core.system import no_formula
from core.volume import MaskPair, Study


def values_csv(values: Mapping[str, Any]) -> str:
    """Nested values as lines of name and value; parts of a name are joined by dots.

    Of the biomarkers, values alone.
    """
    if "biomarkers" in values:
        values = {**values, "biomarkers": values["biomarkers"]["values"]}
    return table_csv(("name", "value"), _flat("", values))


def table_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as CSV; what is undefined is empty, and no cell is a formula."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return lines.getvalue()


def _cell(value: Any) -> Any:
    """As `no_formula`; empty where undefined; numbers stay."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return no_formula(value) if isinstance(value, str) else value


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        parts: Any = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        return [(name, value)]
    return [
        row for key, part in parts for row in _flat(f"{name}.{key}" if name else str(key), part)
    ]


def slice_rows(
    study: Study, predicted: MaskPair, *, note: str = ""
) -> list[dict[str, float | int | str | None]]:
    """Areas and infected share of every axial slice, and overlap with the truth where known.

    Slices count from 1, from the feet up. Areas in mm² are undefined (null) where the spacing is
    nominal; pixels always count.

    Args:
        note: what was done to the masks, such as "corrected by hand"; a column of its own, where
            there is one.
    """
    volume, truth = study.volume, study.truth
    burden = compute_slice_burden(predicted, volume)
    columns: dict[str, Any] = {
        "lung_pixels": burden.lung_pixels,
        "infection_pixels": burden.infection_pixels,
        "lung_area_mm2": burden.lung_area_mm2,
        "infection_area_mm2": burden.infection_area_mm2,
        "infection_fraction": burden.infection_fraction,
    }
    if truth is not None:
        true_burden = compute_slice_burden(truth, volume)
        columns["infection_fraction_true"] = true_burden.infection_fraction
        for channel in CHANNELS:
            mask_true, mask_pred = getattr(truth, channel), getattr(predicted, channel)
            if mask_true is not None and mask_pred is not None:
                found = compute_overlap_per_slice(mask_true, mask_pred)
                columns.update({f"{channel}_{name}": values for name, values in found.items()})
    rows: list[dict[str, float | int | str | None]] = []
    for k in range(volume.shape[2]):
        row: dict[str, float | int | str | None] = {"slice": k + 1}
        for name, values in columns.items():
            value = float(values[k])
            whole = name.endswith("pixels") and math.isfinite(value)
            row[name] = int(value) if whole else value if math.isfinite(value) else None
        if note:
            row["masks"] = note
        rows.append(row)
    return rows
