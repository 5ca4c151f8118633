"""Settings of the slice classifier and of its training; every default lives here once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import AugmentConfig
from core.errors import ConfigError

Band = Literal["low", "indeterminate", "high"]
BANDS: tuple[Band, ...] = ("low", "indeterminate", "high")
INPUT_CHANNELS = ("slice", "lung", "infection")
"""What the classifier sees of a slice: grey, and two probabilities of the segmentation network."""


@dataclass(frozen=True)
class ClassifierModelConfig:
    """The encoder column of a U-Net++ with a linear head on its coarsest levels.

    `depth` and `width` must be those of the segmentation network that it starts from.
    """

    side: int = 160
    """Rows and columns of its input; slices are stretched to a square."""
    depth: int = 4
    width: int = 16
    with_masks: bool = True
    head_levels: int = 2
    """How many of the coarsest levels the head reads."""
    dropout: float = 0.4
    """Share of the head's channels left out while it learns."""
    members: int = 1
    """Encoders of one shape, each trained by itself, whose evidence is averaged."""

    def __post_init__(self) -> None:
        if self.side < 32 or self.side % 2**self.depth:
            raise ConfigError(
                "The classifier's input cannot be halved as often as it must be",
                got=f"{self.side} pixels, {self.depth} halvings",
                expected=f"a multiple of {2**self.depth}, at least 32",
            )
        if not 1 <= self.head_levels <= self.depth + 1:
            raise ConfigError(
                "The classifier's head reads levels that there are not",
                got=f"{self.head_levels}",
                expected=f"1 to {self.depth + 1}",
            )
        if not 0.0 <= self.dropout < 1.0 or self.members < 1:
            raise ConfigError(
                "The classifier's head cannot be built so",
                got=f"dropout {self.dropout:g}, {self.members} members",
                expected="a dropout from 0 to below 1 and at least one member",
            )

    @property
    def channels(self) -> int:
        """Of the input."""
        return len(INPUT_CHANNELS) if self.with_masks else 1


@dataclass(frozen=True)
class ClassifierTrainConfig:
    """How a classifier learns; the split is fixed by the data, not drawn."""

    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    transfer: bool = True
    """Start the encoder from the segmentation weights instead of from chance."""
    learn_from: Literal["both", "ucsd", "sars"] = "both"
    include_validation: bool = False
    """Learn from the validation pictures too: only for a recipe that was chosen before."""
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(
            rotation_degrees=15.0,
            zoom=0.2,
            shift=0.08,
            window=0.15,
            brightness=0.1,
            contrast=0.2,
            gamma=0.3,
            noise=0.03,
            sharp_share=0.0,
        )
    )
    mask_dropout: float = 0.2
    """Share of training slices whose masks are hidden, so that no one mask is leaned on."""
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 2e-2
    warmup_share: float = 0.1
    label_smoothing: float = 0.05
    mixup: float = 0.2
    """Alpha of mixup (Zhang et al. 2018); 0 leaves it out."""
    ucsd_repeats: int = 2
    """How often each UCSD picture comes in an epoch."""
    sars_share: float = 0.4
    """Share of the SARS slices that an epoch draws: neighbours are nearly the same slice."""
    average_momentum: float = 0.99
    precision: Literal["float32", "mixed_bfloat16"] = "mixed_bfloat16"
    seed: int = 7


@dataclass(frozen=True)
class BandConfig:
    """Where the bands of a probability begin; documented with the weights, not fitted to scans."""

    low_below: float = 0.3
    high_from: float = 0.7
