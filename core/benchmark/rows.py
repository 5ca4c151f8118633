"""One measurement of the table of `benchmark --all`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        bar: what it is to reach, in the same unit; none where it is only reported.
        at_most: whether the bar is an upper one.
    """

    group: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; none without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def to_json_rows(rows: list[Row]) -> list[dict[str, Any]]:
    """JSON-ready."""
    return [{**asdict(row), "met": row.met} for row in rows]
