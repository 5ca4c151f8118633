"""One measurement of the table of `benchmark --all`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        value: nan where it could not be measured.
        bar: what it is to reach, in the same unit; none where it is only reported.
        at_most: whether the bar is an upper one.
        failure: why it could not be measured.
    """

    group: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True
    failure: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; none without a bar or a value."""
        if self.bar is None or math.isnan(self.value):
            return None
        return bool(self.value <= self.bar if self.at_most else self.value >= self.bar)


def to_json_rows(rows: list[Row]) -> list[dict[str, Any]]:
    """JSON-ready."""
    return [
        {
            **asdict(row),
            "value": None if math.isnan(row.value) else float(row.value),
            "met": row.met,
        }
        for row in rows
    ]
