"""What the operator of a server may set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AppConfig:
    """What the operator of a server may set."""

    data_folder: str | None = None
    """Folder whose scans may be opened by path; none allows no server path at all."""
    runs_folder: str | None = None
    """Folder that training writes into; none takes `runs` beside the app."""
    allow_training: bool | None = None
    """Whether visitors may train; none allows it where only this machine can reach the app."""
