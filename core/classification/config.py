"""Settings of the slice classifier and of its training; every default lives here once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import check_ranges
from core.errors import ConfigError

Band = Literal["low", "indeterminate", "high"]


@dataclass(frozen=True)
class ClassifierModelConfig:
    """The encoder column of a U-Net++ as it comes from the segmentation weights, and a linear
    head on pooled features of all its levels.

    `depth`, `width` and `max_filters` must be those of the segmentation network that it starts
    from, or of each of its members.
    """

    side: int = 192
    """Rows and columns of its input; slices are stretched to a square."""
    depth: int = 4
    width: int = 16
    max_filters: int = 0
    """No level has more filters than this; 0 sets no bound."""
    with_masks: bool = True
    """Whether features are pooled over the predicted masks too."""

    def __post_init__(self) -> None:
        allowed = {"side": (32, 2048), "depth": (1, 6), "width": (1, 256), "max_filters": (0, 4096)}
        check_ranges(self, allowed)
        if self.side < 32 or self.side % 2**self.depth:
            raise ConfigError(
                "The classifier's input cannot be halved as often as it must be",
                got=f"{self.side} pixels, {self.depth} halvings",
                expected=f"a multiple of {2**self.depth}, at least 32",
            )


def filter_counts(config: ClassifierModelConfig) -> list[int]:
    """Filters of each level of the encoder, finest first."""
    most = config.max_filters or config.width * 2**config.depth
    return [min(config.width * 2**level, most) for level in range(config.depth + 1)]


def map_names(config: ClassifierModelConfig) -> tuple[str, ...]:
    """Layers of the encoder whose maps are pooled, finest first."""
    return tuple(f"x{level}_0_relu2" for level in range(config.depth + 1))


@dataclass(frozen=True)
class BandConfig:
    """Where the bands of a probability begin; documented with the weights, not fitted to scans."""

    low_below: float = 0.3
    high_from: float = 0.7

    def __post_init__(self) -> None:
        check_ranges(self, {"low_below": (0.0, 1.0), "high_from": (self.low_below, 1.0)})
