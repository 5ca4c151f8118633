"""Training: loss, schedule, the run as a whole, and what is published of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config.augmentation import AugmentConfig
from core.config.model import ModelConfig
from core.config.preprocess import PreprocessConfig
from core.config.ranges import SettingRange, check_choice, check_ranges
from core.errors import ConfigError


@dataclass(frozen=True)
class LossConfig:
    """The loss that training minimises; its formulas are in `core.training.losses`."""

    kind: Literal["bce", "dice", "bce_dice", "tversky", "focal_tversky"] = "bce_dice"
    alpha: float = 0.3
    """Of the Tversky losses: weight of falsely marked pixels; missed ones weigh 1 - alpha."""
    gamma: float = 4.0 / 3.0
    """Of the focal Tversky loss: above 1, hard cases weigh more."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ConfigError(
                "Setting alpha is out of range",
                got=f"{self.alpha:g}",
                expected="above 0 and below 1",
            )
        if not 1.0 <= self.gamma <= 3.0:
            raise ConfigError(
                "Setting gamma of the loss is out of range",
                got=f"{self.gamma:g}",
                expected="1 to 3",
            )


@dataclass(frozen=True)
class ScheduleConfig:
    """Schedule of the learning rate after warm-up; its formulas are in `core.training.schedule`."""

    kind: Literal["constant", "exponential", "cosine", "cosine_restarts"] = "cosine"
    final_share: float = 0.01
    """Share of the full rate that is left at the end (of each cycle)."""
    cycles: int = 3
    """Of the cosine with restarts: how often it falls."""
    cycle_growth: float = 2.0
    """Of the cosine with restarts: each cycle is this many times as long as the one before."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("final_share", 1e-6, 1.0),
            ("cycles", 1, 20),
            ("cycle_growth", 1.0, 10.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name):g}",
                    expected=f"{low:g} to {high:g}",
                )


@dataclass(frozen=True)
class PublishConfig:
    """What weights are published with; all of it chosen on validation patients."""

    smooth_sigma: float = 0.7
    """`PreprocessConfig.smooth_sigma`: augmentation resamples, hence blurs, and what the network
    is shown later should be about as smooth."""
    infection_threshold: float = 0.25
    neighbour_share: float = 0.5
    initial_share: float = 0.0
    """Of a run that started from another: share of the other's weights in the published mean
    (Wortsman et al. 2022, arXiv:2109.01903)."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "smooth_sigma": (0.0, 5.0),
                "infection_threshold": (0.001, 0.999),
                "neighbour_share": (0.0, 2 / 3),
            },
        )
        if not 0.0 <= self.initial_share < 1.0:
            raise ConfigError(
                "Setting initial_share is out of range",
                got=f"{self.initial_share:g}",
                expected="at least 0 and below 1",
            )


@dataclass(frozen=True)
class TrainConfig:
    """One training run; with the data folder, all that is needed to repeat it."""

    model: ModelConfig = field(default_factory=ModelConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 1e-3
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    weight_decay: float = 1e-4
    warmup_epochs: int = 2
    validation_fraction: float = 0.25
    slices_per_patient: int = 0
    """Slices drawn of each patient's cases an epoch, so that long scans do not dominate; 0 takes
    all."""
    validation_slices: int = 0
    """Slices of each scan kept out, evenly spaced, by which an epoch is judged; 0 takes all.
    Results of the whole run are of all slices."""
    negatives_per_epoch: int = 100
    pictures_per_epoch: int = 50
    average_momentum: float = 0.997
    """A running mean of the weights is validated and kept (Polyak averaging); 0 switches it off."""
    published: PublishConfig = field(default_factory=PublishConfig)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto takes bfloat16 on a GPU and, for networks without an encoder, on CPUs that multiply it
    (AMX, AVX-512 BF16)."""
    pretrained: bool = True
    """Whether an encoder starts with what it learned on ImageNet; a network without one ignores
    it."""
    initial_weights: str = ""
    """Id of weights to start from, whose network and preprocessing the config must have; empty
    starts anew."""
    frozen_encoder: bool = False
    """Whether the encoder of these weights stays as it is."""
    seed: int = 7

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, ("auto", "float32", "mixed_bfloat16"))
        check_ranges(
            self,
            {
                "epochs": (1, 100_000),
                "batch_size": (1, 4096),
                "weight_decay": (0.0, 10.0),
                "warmup_epochs": (0, 10_000),
                "slices_per_patient": (0, 1_000_000),
                "validation_slices": (0, 1_000_000),
                "negatives_per_epoch": (0, 1_000_000),
                "pictures_per_epoch": (0, 1_000_000),
                "seed": (0, 2**32 - 1),
            },
        )
        if not 0.0 < self.learning_rate <= 100.0:
            raise ConfigError(
                "Setting learning_rate is out of range",
                got=f"{self.learning_rate:g}",
                expected="above 0, at most 100",
            )
        if not 0.0 <= self.average_momentum < 1.0:
            raise ConfigError(
                "Setting average_momentum is out of range",
                got=f"{self.average_momentum:g}",
                expected="at least 0 and below 1",
            )
        if self.frozen_encoder and (self.model.encoder == "plain" or not self.initial_weights):
            raise ConfigError(
                "There is no encoder to keep as it is",
                got="frozen_encoder on",
                expected="weights to start from, with a pretrained encoder",
            )
        if self.model.slice_head and not self.initial_weights:
            raise ConfigError(
                "A slice head cannot be trained on cases alone, which lack slices without lung",
                got="slice_head on",
                expected="slice_head off",
                next_step="train on all sets with 'python -m core train-mixture'",
            )
        if not 0.0 < self.validation_fraction < 1.0:
            raise ConfigError(
                "Setting validation_fraction is out of range",
                got=f"{self.validation_fraction:g}",
                expected="a share between 0 and 1",
            )


@dataclass(frozen=True)
class TrainPreset:
    """A training config worth starting from, and what it is for."""

    name: str
    config: TrainConfig
    note: str


TRAIN_PRESETS: tuple[TrainPreset, ...] = (
    TrainPreset(
        "Small and quick",
        TrainConfig(
            model=ModelConfig(depth=3, width=8),
            preprocess=PreprocessConfig(rows=96, columns=128),
            epochs=12,
            batch_size=4,
            learning_rate=5e-3,
            warmup_epochs=1,
            slices_per_patient=48,
            average_momentum=0.9,
        ),
        "To see how training works: coarse slices, a narrow network, minutes on two cores.",
    ),
    TrainPreset(
        "Pretrained",
        TrainConfig(
            model=ModelConfig(depth=5, width=16, max_filters=96, encoder="lite0"),
            epochs=30,
            warmup_epochs=1,
            slices_per_patient=48,
            average_momentum=0.99,
        ),
        "Starts from an encoder trained on ImageNet: best with few cases.",
    ),
    TrainPreset(
        "Full",
        TrainConfig(),
        "For a network to be used: hours on two cores for the 20-case set.",
    ),
    TrainPreset(
        "Full, U-Net++",
        TrainConfig(model=ModelConfig(architecture="unetpp", deep_supervision=True)),
        "Denser links and a head at every depth; slower, and not always better.",
    ),
)

TRAIN_RANGES: dict[str, SettingRange] = {
    "depth": SettingRange(2, 4, 1),
    "width": SettingRange(4, 32, 4),
    "epochs": SettingRange(1, 120, 1),
    "batch_size": SettingRange(2, 16, 1),
    "warmup_epochs": SettingRange(0, 10, 1),
    "loss_alpha": SettingRange(0.05, 0.95, 0.05),
    "loss_gamma": SettingRange(1.0, 3.0, 0.05),
    "final_share": SettingRange(0.005, 0.5, 0.005),
    "cycles": SettingRange(1, 6, 1),
    "cycle_growth": SettingRange(1.0, 3.0, 0.5),
}
"""What the page offers; the command line and files may go further."""


@dataclass(frozen=True)
class RangeTestConfig:
    """A learning-rate range test: rates grow evenly on a logarithmic scale."""

    lowest: float = 1e-6
    highest: float = 1.0
    batches: int = 100

    def __post_init__(self) -> None:
        if not 0.0 < self.lowest < self.highest <= 1e6:
            raise ConfigError(
                "The range of learning rates is empty",
                got=f"{self.lowest:g} to {self.highest:g}",
                expected="two rates above 0 and up to 1e6, the lower first",
            )
        if not 10 <= self.batches <= 10_000:
            raise ConfigError(
                "Setting batches is out of range", got=f"{self.batches}", expected="10 to 10000"
            )
