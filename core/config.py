"""Every default of the project, once: widgets, command line, training and tests read it here.

All configs are frozen and hashable, so that they can key caches, and turn into plain JSON
with `to_json_dict` and back with `from_json_dict`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.errors import ConfigError

Plane = Literal["axial", "coronal", "sagittal"]
Channel = Literal["lung", "infection"]
EngineName = Literal["auto", "openvino", "keras"]
"""What computes the network; auto takes what is fastest on the machine."""
CHANNELS: tuple[Channel, ...] = ("lung", "infection")
"""Order of the network's output channels."""


@dataclass(frozen=True)
class WindowPreset:
    """A display window in HU."""

    name: str
    center: float
    width: float


WINDOW_PRESETS: tuple[WindowPreset, ...] = (
    WindowPreset("Lung", -600.0, 1500.0),
    WindowPreset("Mediastinum", 40.0, 400.0),
    WindowPreset("Bone", 400.0, 1800.0),
    WindowPreset("Wide", -100.0, 2400.0),
)

GREY_WINDOW_HU: tuple[float, float] = (-1250.0, 250.0)
"""HU that black and white of an 8-bit scan are taken to stand for, unless a person says otherwise.

The authors of the 20-case set exported half of it with this lung window (Ma et al. 2021,
doi:10.1002/mp.14676)."""


@dataclass(frozen=True)
class LoadLimits:
    """Sizes past which an input is refused before memory is taken."""

    max_voxels: int = 512 * 512 * 1500
    max_side: int = 4096
    max_files: int = 5000
    max_unpacked_bytes: int = 4 * 1024**3
    max_compression_ratio: float = 200.0
    min_side: int = 16
    """Smallest number of rows or columns of an axial slice that can still show a chest."""


@dataclass(frozen=True)
class SettingRange:
    """What a number may be set to, both ends included, and how far a widget steps."""

    low: float
    high: float
    step: float


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"Setting {name} is not understood",
            got=repr(value),
            expected="one of " + ", ".join(map(repr, allowed)),
        )


def _check_range(name: str, value: float, allowed: SettingRange, *, unit: str = "") -> None:
    if not allowed.low <= value <= allowed.high:
        raise ConfigError(
            f"Setting {name} is out of range",
            got=f"{value}",
            expected=f"{allowed.low:g} to {allowed.high:g} {unit}".rstrip(),
        )


EnhanceMethod = Literal["window", "clahe", "equalize", "gamma", "unsharp"]

WINDOW_RANGES: dict[str, SettingRange] = {
    "window_center": SettingRange(-1500.0, 3000.0, 10.0),
    "window_width": SettingRange(10.0, 5000.0, 10.0),
}

ENHANCE_RANGES: dict[str, SettingRange] = {
    "clip_limit": SettingRange(0.5, 40.0, 0.5),
    "tile_grid": SettingRange(1, 32, 1),
    "gamma": SettingRange(0.2, 5.0, 0.05),
    "unsharp_radius": SettingRange(0.5, 20.0, 0.5),
    "unsharp_amount": SettingRange(0.0, 5.0, 0.1),
}


@dataclass(frozen=True)
class EnhanceConfig:
    """What is done to a windowed slice before the network sees it: one method, or none but the
    window. Settings of the other methods are kept, and do nothing."""

    method: EnhanceMethod = "window"
    clip_limit: float = 2.0
    """CLAHE: how many times the mean count a grey level may have in a tile's histogram."""
    tile_grid: int = 8
    """CLAHE: tiles along each side of the slice."""
    gamma: float = 0.7
    """Gamma: exponent of grey as a share of white; below 1 brightens."""
    unsharp_radius: float = 2.0
    """Unsharp mask: sigma of the blur taken away, in pixels."""
    unsharp_amount: float = 1.0
    """Unsharp mask: how much of the difference from the blur is added."""

    def __post_init__(self) -> None:
        _check_choice("method", self.method, get_args(EnhanceMethod))
        for name, allowed in ENHANCE_RANGES.items():
            _check_range(name, getattr(self, name), allowed)


@dataclass(frozen=True)
class EnhancePreset:
    """Settings worth starting from, and what they are for."""

    name: str
    config: EnhanceConfig
    note: str


ENHANCE_PRESETS: tuple[EnhancePreset, ...] = (
    EnhancePreset("Plain window", EnhanceConfig(), "What the shipped network learned from."),
    EnhancePreset(
        "Gentle CLAHE",
        EnhanceConfig("clahe", clip_limit=1.5, tile_grid=4),
        "A little more contrast, hardly more noise.",
    ),
    EnhancePreset(
        "Usual CLAHE",
        EnhanceConfig("clahe", clip_limit=2.0, tile_grid=8),
        "What most published pipelines take.",
    ),
    EnhancePreset(
        "Strong CLAHE",
        EnhanceConfig("clahe", clip_limit=7.0, tile_grid=8),
        "As the public copy of the 20-case set was stored: noise stands out as well.",
    ),
    EnhancePreset(
        "Lift the dark",
        EnhanceConfig("gamma", gamma=0.6),
        "Faint opacities in dark lung become brighter.",
    ),
    EnhancePreset(
        "Fine edges",
        EnhanceConfig("unsharp", unsharp_radius=1.5, unsharp_amount=1.0),
        "Vessels and septa stand out.",
    ),
)


@dataclass(frozen=True)
class PreprocessConfig:
    """The ordered steps to the network's input: box → crop → window → enhance → resize → smooth."""

    crop: Literal["body", "none"] = "body"
    margin_mm: float = 6.0
    window_center: float = -500.0
    window_width: float = 1500.0
    enhance: EnhanceConfig = field(default_factory=EnhanceConfig)
    rows: int = 192
    columns: int = 256
    smooth_sigma: float = 0.0
    """Gaussian that takes noise out of the network's input, in its pixels; 0 leaves it as it is."""

    def __post_init__(self) -> None:
        _check_choice("crop", self.crop, ("body", "none"))
        _check_range("margin_mm", self.margin_mm, ROI_RANGES["margin_mm"], unit="mm")
        _check_range("smooth_sigma", self.smooth_sigma, SettingRange(0.0, 5.0, 0.1), unit="pixels")
        if not 0.0 < self.window_width < 1e6:
            raise ConfigError(
                "Window width must be positive", got=f"{self.window_width}", expected="> 0 HU"
            )
        if not -1e6 < self.window_center < 1e6:
            raise ConfigError(
                "Window center is no number of HU",
                got=f"{self.window_center}",
                expected="such as -500",
            )
        if (
            self.rows % 16
            or self.columns % 16
            or not (32 <= self.rows <= 2048 and 32 <= self.columns <= 2048)
        ):
            raise ConfigError(
                "Network input size does not fit the U-Net",
                got=f"{self.rows}×{self.columns}",
                expected="multiples of 16, from 32×32 to 2048×2048",
            )

    @staticmethod
    def upgrade_json(values: dict[str, Any]) -> dict[str, Any]:
        """`values` as written up to version 0.1, with a `clahe` of its own, in today's words."""
        if "clahe" not in values:
            return values
        if "enhance" in values:
            raise ConfigError(
                "Two settings contradict each other",
                got="both clahe and enhance",
                expected="enhance, which took the place of clahe",
            )
        rest = {name: value for name, value in values.items() if name != "clahe"}
        if values["clahe"] is None:
            return rest
        if not isinstance(values["clahe"], dict):
            raise ConfigError("Setting clahe is not understood", got=repr(values["clahe"]))
        return {**rest, "enhance": {"method": "clahe", **values["clahe"]}}


ROI_RANGES: dict[str, SettingRange] = {
    "classes": SettingRange(3, 4, 1),
    "margin_mm": SettingRange(0.0, 100.0, 1.0),
    "slice_margin_mm": SettingRange(0.0, 100.0, 1.0),
}


TYPICAL_SECONDS_PER_SLICE = 0.03
"""What a slice costs, start to mask, on two CPU cores with AMX (see the README), for predictions
before the network has run."""


@dataclass(frozen=True)
class RoiConfig:
    """The region of interest: what of a scan is worth looking at.

    With the defaults the box in the slice is that of the network's input.
    """

    target: Literal["body", "lungs"] = "body"
    method: Literal["otsu", "multi-otsu"] = "otsu"
    scope: Literal["volume", "slice"] = "volume"
    """Whether one threshold serves all slices, or each slice has its own."""
    classes: int = 3
    """Multi-Otsu: into how many kinds of tissue and air the values are parted."""
    margin_mm: float = 6.0
    """Added to the box on each side in the slice."""
    leave_out_slices: bool = True
    """Whether slices below and above the lungs are left out."""
    slice_margin_mm: float = 15.0
    """Kept of what lies below and above the lungs."""

    def __post_init__(self) -> None:
        _check_choice("target", self.target, ("body", "lungs"))
        _check_choice("method", self.method, ("otsu", "multi-otsu"))
        _check_choice("scope", self.scope, ("volume", "slice"))
        for name, allowed in ROI_RANGES.items():
            _check_range(name, getattr(self, name), allowed)


@dataclass(frozen=True)
class PostprocessConfig:
    """From probabilities to masks."""

    lung_threshold: float = 0.5
    infection_threshold: float = 0.5
    min_lung_part_fraction: float = 0.05
    """A connected part that holds less than this share of all lung is dropped."""
    max_hole_fraction: float = 0.1
    """Holes up to this share of a slice's lung area are filled; larger ones may be mediastinum."""
    neighbour_share: float = 0.0
    """How much the two neighbouring slices together say about a slice, where slices are
    neighbours; at most two thirds, a plain mean of three."""

    def __post_init__(self) -> None:
        for name in ("lung_threshold", "infection_threshold"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name)}",
                    expected="a probability between 0 and 1",
                )
        if not 0.0 <= self.neighbour_share <= 2.0 / 3.0:
            raise ConfigError(
                "Setting neighbour_share is out of range",
                got=f"{self.neighbour_share:g}",
                expected="0 to 2/3",
            )


@dataclass(frozen=True)
class ModelConfig:
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) or U-Net++ (Zhou et al. 2018,
    arXiv:1807.10165)."""

    architecture: Literal["unet", "unetpp"] = "unet"
    depth: int = 4
    width: int = 16
    normalization: Literal["batch", "group", "none"] = "batch"
    dropout: float = 0.0
    input_channels: int = 1
    output_channels: int = 2
    deep_supervision: bool = False
    """Of a U-Net++: a head at every depth learns too, and prediction is their mean."""


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training slices; the factors are those of the Keras layers."""

    flip: bool = True
    rotation_degrees: float = 12.0
    zoom: float = 0.15
    shift: float = 0.06
    elastic: float = 0.0
    """How far points may move in smooth random bending, as a share of the smaller side."""
    window: float = 0.0
    """How far black and white may move, as shares of the window."""
    clahe: float = 0.0
    """Largest clip limit of CLAHE, drawn anew for each slice from 0 on; below 1 it does nothing."""
    brightness: float = 0.1
    contrast: float = 0.2
    gamma: float = 0.3
    noise: float = 0.03
    blur: bool = True
    sharp_share: float = 0.5
    """Share of batches that are neither moved nor blurred. Every resampling blurs, and a network
    that has only seen blurred slices takes the noise of sharp ones for disease."""


@dataclass(frozen=True)
class AugmentPreset:
    """A pipeline of random changes worth starting from, and what it is for."""

    name: str
    config: AugmentConfig
    note: str


AUGMENT_PRESETS: tuple[AugmentPreset, ...] = (
    AugmentPreset("Usual", AugmentConfig(), "What training takes unless told otherwise."),
    AugmentPreset(
        "Strong",
        AugmentConfig(
            rotation_degrees=25.0,
            zoom=0.25,
            shift=0.1,
            elastic=0.06,
            window=0.1,
            clahe=4.0,
            brightness=0.15,
            contrast=0.3,
            gamma=0.4,
            noise=0.06,
        ),
        "For few patients, or scans from many scanners; learning takes longer.",
    ),
    AugmentPreset(
        "None",
        AugmentConfig(
            flip=False,
            rotation_degrees=0.0,
            zoom=0.0,
            shift=0.0,
            brightness=0.0,
            contrast=0.0,
            gamma=0.0,
            noise=0.0,
            blur=False,
        ),
        "Slices as they are, to see what changes are good for.",
    ),
)

AUGMENT_RANGES: dict[str, SettingRange] = {
    "rotation_degrees": SettingRange(0.0, 45.0, 1.0),
    "zoom": SettingRange(0.0, 0.5, 0.01),
    "shift": SettingRange(0.0, 0.3, 0.01),
    "elastic": SettingRange(0.0, 0.2, 0.01),
    "window": SettingRange(0.0, 0.4, 0.01),
    "clahe": SettingRange(0.0, 8.0, 0.5),
    "brightness": SettingRange(0.0, 0.5, 0.01),
    "contrast": SettingRange(0.0, 0.8, 0.01),
    "gamma": SettingRange(0.0, 1.0, 0.05),
    "noise": SettingRange(0.0, 0.2, 0.005),
    "sharp_share": SettingRange(0.0, 1.0, 0.05),
}
"""What the page offers; files may go further."""


@dataclass(frozen=True)
class LossConfig:
    """What training makes small; the formulas are those of `core.losses`."""

    kind: Literal["bce", "dice", "bce_dice", "tversky", "focal_tversky"] = "bce_dice"
    alpha: float = 0.3
    """Of the Tversky losses: weight of falsely marked pixels; missed ones weigh 1 - alpha."""
    gamma: float = 4.0 / 3.0
    """Of the focal Tversky loss: above 1, what goes badly keeps more of its pull."""

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
    """How the learning rate goes after warm-up; the formulas are those of `core.schedule`."""

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
        if not 0.0 <= self.initial_share < 1.0:
            raise ConfigError(
                "Setting initial_share is out of range",
                got=f"{self.initial_share:g}",
                expected="at least 0 and below 1",
            )


@dataclass(frozen=True)
class TrainConfig:
    """One training run; together with the data folder it says all that is needed to repeat it."""

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
    """Slices drawn of each patient's cases an epoch, lest long scans rule; 0 takes all."""
    negatives_per_epoch: int = 100
    pictures_per_epoch: int = 50
    average_momentum: float = 0.997
    """Judged and kept is a running mean of the weights (Polyak averaging); 0 switches it off."""
    published: PublishConfig = field(default_factory=PublishConfig)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto takes bfloat16 on a GPU and on CPUs with AMX, where it more than doubles the speed."""
    seed: int = 7

    def __post_init__(self) -> None:
        for name, low in (
            ("epochs", 1),
            ("batch_size", 1),
            ("warmup_epochs", 0),
            ("slices_per_patient", 0),
            ("negatives_per_epoch", 0),
            ("pictures_per_epoch", 0),
            ("seed", 0),
        ):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name)}",
                    expected=f"at least {low}",
                )
        if not self.learning_rate > 0:
            raise ConfigError(
                "Setting learning_rate is out of range",
                got=f"{self.learning_rate:g}",
                expected="above 0",
            )
        if not 0.0 <= self.average_momentum < 1.0:
            raise ConfigError(
                "Setting average_momentum is out of range",
                got=f"{self.average_momentum:g}",
                expected="at least 0 and below 1",
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
        "To see how training goes: coarse slices, a narrow network, minutes on two cores.",
    ),
    TrainPreset(
        "Full",
        TrainConfig(),
        "What a network for use needs: hours on two cores for the 20-case set.",
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
        if not 0.0 < self.lowest < self.highest:
            raise ConfigError(
                "The range of learning rates is empty",
                got=f"{self.lowest:g} to {self.highest:g}",
                expected="two rates above 0, the lower first",
            )
        if not 10 <= self.batches <= 10_000:
            raise ConfigError(
                "Setting batches is out of range", got=f"{self.batches}", expected="10 to 10000"
            )


@dataclass(frozen=True)
class SegmentConfig:
    """How a scan is segmented."""

    weights_id: str | None = None
    """Folder name in `weights/`; none takes the manifest's default."""
    batch_size: int = 8
    preprocess: PreprocessConfig | None = None
    """None takes that of the weights, which they learned with."""
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    turn_pictures: bool = True
    """Pictures carry no orientation: try the four quarter turns and take the surest."""
    clear_empty: bool = False
    """Take all infection out of slices that the gate for empty slices calls empty."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 256:
            raise ConfigError(
                "Batch size is out of range", got=f"{self.batch_size}", expected="1 to 256"
            )


@dataclass(frozen=True)
class SurfaceConfig:
    """How finely masks are turned into surfaces to look at."""

    lung_cell_mm: float = 3.0
    infection_cell_mm: float = 1.8
    """Finer than the lung: a lesion may be a few voxels."""
    smoothing: float = 0.8
    """Sigma of the Gaussian, in cells."""
    max_triangles: int = 60_000
    """Of one surface; a finer one is built again from larger cells."""

    def __post_init__(self) -> None:
        for name, low in (("lung_cell_mm", 0.1), ("infection_cell_mm", 0.1), ("smoothing", 0.0)):
            if not low <= getattr(self, name) <= 50.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name):g}",
                    expected=f"{low:g} to 50",
                )
        if self.max_triangles < 1000:
            raise ConfigError(
                "Setting max_triangles is out of range",
                got=f"{self.max_triangles}",
                expected="at least 1000",
            )


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


QUALITY_RANGES: dict[str, SettingRange] = {
    "max_outline_on_edge": SettingRange(0.0, 1.0, 0.01),
    "max_pixel_mm": SettingRange(0.1, 10.0, 0.1),
    "min_body_pixels": SettingRange(16, 1024, 1),
    "min_sharpness": SettingRange(0.0, 3.0, 0.05),
    "max_slice_distance_mm": SettingRange(0.1, 30.0, 0.1),
    "max_step_deviation": SettingRange(0.0, 5.0, 0.01),
    "max_noise": SettingRange(0.0, 1.0, 0.005),
    "max_unevenness": SettingRange(0.0, 2.0, 0.01),
    "max_stripes": SettingRange(0.0, 1.0, 0.005),
    "max_brightness_step": SettingRange(0.0, 1.0, 0.01),
    "max_saturation": SettingRange(0.0, 1.0, 0.01),
    "max_surroundings": SettingRange(0.0, 2.0, 0.05),
    "min_difference": SettingRange(0.0, 2.0, 0.01),
    "max_there_and_back": SettingRange(-1.0, 2.0, 0.01),
    "max_jump": SettingRange(-1.0, 2.0, 0.01),
    "max_marks": SettingRange(0, 1000, 1),
    "min_lung": SettingRange(0.0, 1.0, 0.005),
    "min_paired_lung": SettingRange(0.0, 0.5, 0.005),
}


@dataclass(frozen=True)
class QualityConfig:
    """From where on a measure of scan quality is a finding; what each means is in `core.quality`.

    Shares are between 0 and 1. Where a figure is a share of the contrast, 1 is the step from air
    to tissue, about 1000 HU. The defaults are set so that the healthy scan and the public cases
    are let pass where nothing is to be seen in them, and copies damaged on purpose are not.
    """

    max_outline_on_edge: float = 0.25
    max_pixel_mm: float = 2.0
    min_body_pixels: int = 160
    min_sharpness: float = 0.6
    max_slice_distance_mm: float = 5.0
    max_step_deviation: float = 0.5
    """The loader takes a step this much longer than usual for a missing slice."""
    max_noise: float = 0.1
    max_unevenness: float = 0.22
    max_stripes: float = 0.06
    max_brightness_step: float = 0.1
    max_saturation: float = 0.1
    max_surroundings: float = 0.5
    min_difference: float = 0.1
    max_there_and_back: float = 0.02
    max_jump: float = 0.12
    max_marks: int = 3
    min_lung: float = 0.02
    min_paired_lung: float = 0.04

    def __post_init__(self) -> None:
        for name, allowed in QUALITY_RANGES.items():
            _check_range(name, getattr(self, name), allowed)


@dataclass(frozen=True)
class AppConfig:
    """What the operator of a server may set."""

    data_folder: str | None = None
    """Folder whose scans may be opened by path; none allows no server path at all."""
    runs_folder: str | None = None
    """Folder that training writes into; none takes `runs` beside the app."""
    allow_training: bool | None = None
    """Whether visitors may train; none allows it where only this machine can reach the app."""


C = TypeVar("C")


def to_json_dict(config: Any) -> dict[str, Any]:
    """A config (any frozen dataclass of this module) as a dictionary of plain JSON values."""
    return dataclasses.asdict(config)


def from_json_dict(kind: type[C], values: dict[str, Any]) -> C:
    """The config of class `kind` from plain JSON values; missing keys take their defaults.

    Raises:
        ConfigError: a key is unknown or a value has another type than the field.
    """
    if not isinstance(values, dict):
        raise ConfigError(
            f"{kind.__name__} cannot be read", got=type(values).__name__, expected="a JSON object"
        )
    upgrade = getattr(kind, "upgrade_json", None)
    if upgrade is not None:
        values = upgrade(values)
    hints = get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - fields)
    if unknown:
        raise ConfigError(
            f"{kind.__name__} has no such setting",
            got=", ".join(unknown),
            expected="one of " + ", ".join(sorted(fields)),
        )
    return kind(**{name: _coerce(hints[name], value, name) for name, value in values.items()})


def _coerce(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) is Literal:
        _check_choice(name, value, get_args(hint))
        return value
    options = get_args(hint) or (hint,)
    for option in options:
        if value is None and option is type(None):
            return None
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return from_json_dict(option, value)  # type: ignore[arg-type]
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    raise ConfigError(f"Setting {name} is not understood", got=repr(value), expected=str(hint))


def preprocess_from_json(text: str, base: PreprocessConfig) -> PreprocessConfig:
    """Preprocessing from a JSON file that a person chose.

    Args:
        text: an object of settings, or one that holds such under "preprocess" (the manifest of
            weights, a training config). What it does not name is taken from `base`.
        base: the settings of the weights it is meant for.

    Raises:
        ConfigError: it is no such JSON, a setting is unknown or out of range, or the network's
            input would have another size than that of `base`.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "The preprocessing settings cannot be read",
            got="no JSON",
            expected="a JSON object",
            next_step="download them from the Enhance page",
        ) from error
    if isinstance(values, dict) and "preprocess" in values:
        values = values["preprocess"]
    if isinstance(values, dict):
        values = PreprocessConfig.upgrade_json(values)
        known = to_json_dict(base)
        if isinstance(values.get("enhance"), dict):
            values = {**values, "enhance": {**known["enhance"], **values["enhance"]}}
        values = {**known, **values}
    config = from_json_dict(PreprocessConfig, values)
    if (config.rows, config.columns) != (base.rows, base.columns):
        raise ConfigError(
            "The size of the network's input is that of its weights",
            got=f"{config.rows}×{config.columns}",
            expected=f"{base.rows}×{base.columns}",
            next_step="leave rows and columns out of the file",
        )
    return config
