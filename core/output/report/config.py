"""What a person can choose about a report."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date

MAX_SUBJECT = 120


@dataclass(frozen=True)
class ReportConfig:
    """A report of a scan; the same scan, result and config always give the same bytes."""

    made_on: date
    """Printed on the report."""
    subject: str = ""
    """Whom or what the report is about, in the person's own words; if empty, nobody is named."""
    show_file_name: bool = False
    """File names often hold a patient's name or number, so they are shown only when asked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", clean_line(self.subject))


def clean_line(text: str) -> str:
    """Free text on one line of at most `MAX_SUBJECT` characters, without control characters and
    direction overrides."""
    spaced = " ".join(text.split())
    kept = "".join(c for c in spaced if unicodedata.category(c) not in _UNSEEN)
    return kept if len(kept) <= MAX_SUBJECT else kept[: MAX_SUBJECT - 1] + "…"


_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
