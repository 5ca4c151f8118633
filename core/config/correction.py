"""Correcting masks by hand."""

from __future__ import annotations

from dataclasses import dataclass

from core.config.ranges import SettingRange, check_range

BRUSH_RANGE_MM = SettingRange(1.0, 100.0, 1.0)
"""Diameter of brush and eraser."""
HU_LIMITS = SettingRange(-1024.0, 3071.0, 10.0)
"""What a threshold brush can be set to."""


@dataclass(frozen=True)
class CorrectionConfig:
    """What brush, eraser and history begin with."""

    brush_mm: float = 10.0
    """Diameter of brush and eraser."""
    low_hu: float = -750.0
    """The threshold brush paints from here: ground glass is denser than aerated lung."""
    high_hu: float = 150.0
    """And up to here: bone and contrast medium are denser."""
    fewest_steps: int = 100
    """So many steps can always be undone."""
    history_bytes: int = 64_000_000
    """Beyond `fewest_steps`, the oldest steps go once all of them take more memory than this."""
    journal_bytes: int = 32_000_000
    """A file of kept steps is shortened once it is larger than this and twice what it need be."""
    most_runs: int = 500_000
    """Runs that one stroke may have; a stroke through a whole scan of 512 × 512 × 400 has fewer."""

    def __post_init__(self) -> None:
        check_range("brush_mm", self.brush_mm, BRUSH_RANGE_MM, unit="mm")
        check_range("low_hu", self.low_hu, HU_LIMITS, unit="HU")
        check_range("high_hu", self.high_hu, SettingRange(self.low_hu, HU_LIMITS.high, 1.0))
        check_range("fewest_steps", self.fewest_steps, SettingRange(1, 10_000, 1))
        check_range("history_bytes", self.history_bytes, SettingRange(0, 4e9, 1))
        check_range("journal_bytes", self.journal_bytes, SettingRange(0, 4e9, 1))
        check_range("most_runs", self.most_runs, SettingRange(1, 5e6, 1))
