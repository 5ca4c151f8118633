"""Settings of the training of a classifier."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.classification.config import ClassifierModelConfig
from core.classification.learning.augment import VariationConfig
from core.config import check_ranges


@dataclass(frozen=True)
class LearnConfig:
    """How one network is trained.

    Attributes:
        learning_rate: its peak; it rises for the first tenth and falls along half a cosine.
        average_momentum: of the running mean of the weights, which is what is kept.
        smoothing: of the labels.
        epochs, steps: the learning rate changes from epoch to epoch; steps of each.
        variations: of each picture, of the smallest set; larger sets get fewer.
    """

    augment: VariationConfig = field(default_factory=VariationConfig)
    learning_rate: float = 6e-4
    weight_decay: float = 0.02
    average_momentum: float = 0.98
    smoothing: float = 0.05
    batch_size: int = 32
    epochs: int = 32
    steps: int = 10
    variations: int = 14
    seed: int = 7

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "learning_rate": (1e-7, 1.0),
                "weight_decay": (0.0, 1.0),
                "average_momentum": (0.0, 0.9999),
                "smoothing": (0.0, 0.5),
                "batch_size": (4, 4096),
                "epochs": (1, 10_000),
                "steps": (1, 100_000),
                "variations": (1, 1000),
                "seed": (0, 2**31 - 1),
            },
        )


@dataclass(frozen=True)
class Job:
    """One network to train.

    Attributes:
        name: of its files.
        sets: that it learns from.
        all_sides: whether it learns from the pictures held out too; it is then measured on none
            of its own sets.
        effort: its steps, as a share of those of the config.
        rate: its learning rate, as a share of that of the config.
    """

    name: str
    model: ClassifierModelConfig
    sets: tuple[str, ...] = ("ucsd", "sars")
    all_sides: bool = False
    effort: float = 1.0
    rate: float = 1.0
    seed: int = 1
