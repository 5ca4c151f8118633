"""Training on all sets at once, whatever each of them knows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from core.config.model import ModelConfig
from core.config.preprocess import PreprocessConfig
from core.config.ranges import RUN_LEAST, check_least
from core.config.segmentation import PostprocessConfig
from core.errors import ConfigError


@dataclass(frozen=True)
class MixtureShares:
    """How often slices of each set are drawn, in proportion; sets that are not there have no part.
    The sets are those of `core.training.mixture.sources`."""

    covid20: float = 0.27
    second_team: float = 0.24
    whole_chest: float = 0.12
    whole_unmarked: float = 0.03
    pictures: float = 0.12
    reviewed: float = 0.04
    unreviewed: float = 0.05
    lung_slices: float = 0.11
    healthy: float = 0.02

    def __post_init__(self) -> None:
        values = [getattr(self, part.name) for part in fields(self)]
        if min(values) < 0 or sum(values) <= 0:
            raise ConfigError(
                "Shares of the sets are out of range",
                got=", ".join(f"{value:g}" for value in values),
                expected="none below 0, and one above",
            )


@dataclass(frozen=True)
class MixtureConfig:
    """One training run on all sets; with the data folder, all that is needed to repeat it."""

    model: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            depth=5, width=16, max_filters=96, encoder="lite0", slice_head=True
        )
    )
    preprocess: PreprocessConfig = field(
        default_factory=lambda: PreprocessConfig(
            crop="lungs", margin_mm=8.0, level_slices=True, rows=192, columns=256
        )
    )
    postprocess: PostprocessConfig = field(
        default_factory=lambda: PostprocessConfig(neighbour_share=0.5)
    )
    """What the weights are evaluated and published with."""
    shares: MixtureShares = field(default_factory=MixtureShares)
    pretrained: bool = True
    """Whether the encoder starts with what it learned on ImageNet."""
    epochs: int = 40
    steps_per_epoch: int = 100
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    """After warm-up; falls along half a cosine to a hundredth."""
    warmup_steps: int = 150
    weight_decay: float = 1e-4
    presence_weight: float = 0.2
    """Of the slice head's loss, beside 1 for the pixels'."""
    average_momentum: float = 0.998
    """Kept is a running mean of the weights (Polyak averaging); 0 switches it off."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto takes bfloat16 on a GPU, where it is faster; on CPUs the encoder's depthwise
    convolutions are slower in it."""
    folds: int = 3
    seed: int = 7

    def __post_init__(self) -> None:
        check_least(self, RUN_LEAST)
        for name in ("learning_rate", "weight_decay", "presence_weight"):
            if not 0.0 <= getattr(self, name) < math.inf or self.learning_rate == 0.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name):g}",
                    expected="at least 0, and a learning rate above",
                )
        if not 0.0 <= self.average_momentum < 1.0:
            raise ConfigError(
                "Setting average_momentum is out of range",
                got=f"{self.average_momentum:g}",
                expected="at least 0 and below 1",
            )
