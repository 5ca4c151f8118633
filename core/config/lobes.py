"""Training of the network that estimates lobes from the shape of the lungs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from core.config.ranges import RUN_LEAST, check_least
from core.errors import ConfigError

_HALVINGS = 3


@dataclass(frozen=True)
class LobeNetworkConfig:
    """The network, and the grid that it sees.

    Attributes:
        grid: points to the left, to the back and upwards.
        widths: filters at a half, a quarter and an eighth of the grid.
        fine_width: filters at the whole grid.
    """

    grid: tuple[int, int, int] = (64, 48, 64)
    widths: tuple[int, int, int] = (24, 48, 80)
    fine_width: int = 8

    def __post_init__(self) -> None:
        if min(self.grid) < 2**_HALVINGS or any(side % 2**_HALVINGS for side in self.grid):
            raise ConfigError(
                "The grid of the lobes is out of range",
                got=" × ".join(str(side) for side in self.grid),
                expected=f"three multiples of {2**_HALVINGS}",
            )
        if min(*self.widths, self.fine_width) < 1:
            raise ConfigError(
                "The lobe network needs filters",
                got=f"{self.widths} and {self.fine_width}",
                expected="at least 1 each",
            )


@dataclass(frozen=True)
class LobeTrainingConfig:
    """One training run; together with the label maps it says all that is needed to repeat it."""

    network: LobeNetworkConfig = LobeNetworkConfig()
    epochs: int = 15
    steps_per_epoch: int = 100
    batch_size: int = 4
    learning_rate: float = 2e-3
    """After warm-up; falls along half a cosine."""
    warmup_steps: int = 80
    weight_decay: float = 1e-3
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto takes bfloat16 on a GPU; on CPUs, TensorFlow's 3D convolutions of few channels gave
    values that are no numbers in it."""
    folds: int = 5
    seed: int = 7

    def __post_init__(self) -> None:
        check_least(self, RUN_LEAST)
        if not 0.0 < self.learning_rate < math.inf or not 0.0 <= self.weight_decay < math.inf:
            raise ConfigError(
                "Learning rate or weight decay is out of range",
                got=f"{self.learning_rate:g} and {self.weight_decay:g}",
                expected="a rate above 0, a decay of at least 0",
            )
