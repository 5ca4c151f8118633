"""How predictions are compared with truth."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ConfigError


@dataclass(frozen=True)
class EvaluateConfig:
    """How predictions are compared with truth."""

    surface_tolerance_mm: float = 2.0
    """Surfaces this close count as the same in surface Dice: about what two readers differ by."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.surface_tolerance_mm <= 50.0:
            raise ConfigError(
                "Setting surface_tolerance_mm is out of range",
                got=f"{self.surface_tolerance_mm:g}",
                expected="0 to 50 mm",
            )
