"""What the operator of a server may set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AppConfig:
    """What the operator of a server may set."""

    data_folder: str | None = None
    """Folder whose scans may be opened by path; none allows no server path at all."""
    cohort_folder: str | None = None
    """Folder of a batch result, or of several, to look at; none looks in the data folder."""
    allow_training: bool | None = None
    """Whether visitors may train; none allows it where only this machine can reach the app."""
