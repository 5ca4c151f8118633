"""Settings of the slice classifier and of its training; every default lives here once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import check_ranges
from core.errors import ConfigError

MaskUse = Literal["none", "pooling", "both"]
CELL = 16
"""Pixels of the input along each side of a cell of the maps."""
FEATURES, EVIDENCE = "features_relu", "evidence"
"""Layers whose maps are used."""
LEAST_LUNG_CELLS, LEAST_LESION_CELLS = 0.01, 1.0
"""Added to the weights' sum: a mark smaller than a cell counts by its area."""
ATTENTION_BOUND = 3.0
"""A cell of the lung counts at most e to this times what its area says."""

Band = Literal["low", "indeterminate", "high"]


@dataclass(frozen=True)
class ClassifierModelConfig:
    """An EfficientNet-Lite0 encoder, and evidence pooled over the lung and over what is marked.

    Attributes:
        rows, columns: of its input, multiples of 32.
        masks: whether the predicted masks are the weights of the pooling ("pooling"), input
            channels too ("both"), or neither ("none", which pools over the whole slice).
        attention: whether the network learns which parts of the lung count more.
        filters: of the layer before the evidence.
    """

    rows: int = 160
    columns: int = 224
    masks: MaskUse = "both"
    attention: bool = False
    filters: int = 96

    def __post_init__(self) -> None:
        allowed = {"rows": (32, 2048), "columns": (32, 2048), "filters": (1, 4096)}
        check_ranges(self, allowed)
        if self.rows % 32 or self.columns % 32:
            raise ConfigError(
                "The classifier's input cannot be halved as often as it must be",
                got=f"{self.rows}×{self.columns} pixels",
                expected="multiples of 32",
            )

    @property
    def channels(self) -> int:
        """Of its input: grey alone, or grey and both masks."""
        return 3 if self.masks == "both" else 1

    @property
    def pools_masks(self) -> bool:
        """Whether evidence is pooled over the masks, or over the whole slice."""
        return self.masks != "none"


@dataclass(frozen=True)
class BandConfig:
    """Where the bands of a probability begin; documented with the weights, not fitted to scans."""

    low_below: float = 0.3
    high_from: float = 0.7

    def __post_init__(self) -> None:
        check_ranges(self, {"low_below": (0.0, 1.0), "high_from": (self.low_below, 1.0)})
