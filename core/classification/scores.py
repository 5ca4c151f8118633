"""Verdicts as records: a table with a row for each picture or scan, and all of one as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.classification.verdict import NOT_A_DIAGNOSIS, Verdict
from core.system import plain_text, without_nan

COLUMNS = ("name", "covid_probability", "band", "abstained", "reason")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ScoreRow:
    """A picture or scan with its verdict, or why there is none."""

    name: str
    verdict: Verdict | None
    error: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """The texts under `COLUMNS`."""
        if self.verdict is None:
            return self.name, "", "", "true", self.error
        found = self.verdict
        return (
            self.name,
            f"{found.covid_probability:.6f}",
            found.band,
            "true" if found.abstained else "false",
            plain_text(found.reason),
        )


def table_text(rows: Sequence[ScoreRow]) -> str:
    """CSV with a header. A cell that a spreadsheet would read as a formula gets an apostrophe
    before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_safe(cell) for cell in row.cells()])
    return text.getvalue()


def _safe(cell: str) -> str:
    cell = cell.replace("\r", " ").replace("\n", " ")
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def verdict_record(name: str, verdict: Verdict, *, synthetic: bool = False) -> dict[str, Any]:
    """A verdict ready for JSON; slices count from 1, what is not defined is null.

    Args:
        synthetic: whether it is about a generated scan, for which verdicts mean nothing.
    """
    # The key of files written since 0.1.0.
    found = {
        ("drivers" if key == "highest_scoring" else key): value
        for key, value in asdict(verdict).items()
    }
    indices = found.pop("slice_indices")
    probabilities = found.pop("slice_probabilities")
    found["reason"] = plain_text(verdict.reason)
    found["drivers"] = [index + 1 for index in verdict.highest_scoring]
    found["slices"] = [
        {"slice": index + 1, "covid_probability": probability}
        for index, probability in zip(indices, probabilities, strict=True)
    ]
    record: dict[str, Any] = without_nan(
        {"note": NOT_A_DIAGNOSIS, "name": name, "synthetic": synthetic, **found}
    )
    return record
