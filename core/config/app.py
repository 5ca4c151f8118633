"""What the operator of a server may set."""

from __future__ import annotations

from dataclasses import dataclass

from core.config.ranges import SettingRange, check_range


@dataclass(frozen=True)
class AppConfig:
    """What the operator of a server may set."""

    data_folder: str | None = None
    """Folder whose scans may be opened by path; none allows no server path at all."""
    cohort_folder: str | None = None
    """Folder of a batch result, or of several, to look at; none looks in the data folder."""
    allow_training: bool | None = None
    """Whether visitors may train; none allows it where only this machine can reach the app."""
    keep_session_seconds: float = 60.0
    """How long scans and results are kept once their page is closed, for a reload, in s."""

    results_mb: float = 1000.0
    """Room on the disk for results of the network that are remembered, in MB; 0 remembers none."""

    def __post_init__(self) -> None:
        # Streamlit itself gives a lost page up after two minutes.
        allowed = SettingRange(1.0, 110.0, 1.0)
        check_range("keep_session_seconds", self.keep_session_seconds, allowed, unit="s")
        check_range("results_mb", self.results_mb, SettingRange(0.0, 1e6, 1.0), unit="MB")
