"""Every default of the project, once: widgets, command line, training and tests read it here.

All configs are frozen and hashable, so that they can key caches, and turn into plain JSON
with `to_json_dict` and back with `from_json_dict`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.errors import ConfigError

Plane = Literal["axial", "coronal", "sagittal"]
Channel = Literal["lung", "infection"]
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
class ClaheConfig:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), as OpenCV does it."""

    clip_limit: float = 2.0
    tile_grid: int = 8


@dataclass(frozen=True)
class PreprocessConfig:
    """The ordered steps to the network's input: box → crop → window → CLAHE → resize → smooth."""

    crop: Literal["body", "none"] = "body"
    margin_mm: float = 6.0
    window_center: float = -500.0
    window_width: float = 1500.0
    clahe: ClaheConfig | None = None
    rows: int = 192
    columns: int = 256
    smooth_sigma: float = 0.0
    """Gaussian that takes noise out of the network's input, in its pixels; 0 leaves it as it is."""

    def __post_init__(self) -> None:
        if self.crop not in ("body", "none"):
            raise ConfigError("Unknown crop", got=repr(self.crop), expected="'body' or 'none'")
        if not 0.0 <= self.smooth_sigma <= 5.0:
            raise ConfigError(
                "Setting smooth_sigma is out of range",
                got=f"{self.smooth_sigma}",
                expected="0 to 5 pixels",
            )
        if self.window_width <= 0:
            raise ConfigError(
                "Window width must be positive", got=f"{self.window_width}", expected="> 0 HU"
            )
        if self.rows % 16 or self.columns % 16 or self.rows < 32 or self.columns < 32:
            raise ConfigError(
                "Network input size does not fit the U-Net",
                got=f"{self.rows}×{self.columns}",
                expected="multiples of 16, at least 32×32",
            )


@dataclass(frozen=True)
class PostprocessConfig:
    """From probabilities to masks."""

    lung_threshold: float = 0.5
    infection_threshold: float = 0.5
    min_lung_part_fraction: float = 0.05
    """A connected part that holds less than this share of all lung is dropped."""
    max_hole_fraction: float = 0.1
    """Holes up to this share of a slice's lung area are filled; larger ones may be mediastinum."""

    def __post_init__(self) -> None:
        for name in ("lung_threshold", "infection_threshold"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name)}",
                    expected="a probability between 0 and 1",
                )


@dataclass(frozen=True)
class ModelConfig:
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597)."""

    architecture: Literal["unet"] = "unet"
    depth: int = 4
    width: int = 16
    normalization: Literal["batch", "group", "none"] = "batch"
    dropout: float = 0.0
    input_channels: int = 1
    output_channels: int = 2


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training slices; the factors are those of the Keras layers."""

    flip: bool = True
    rotation_degrees: float = 12.0
    zoom: float = 0.15
    shift: float = 0.06
    brightness: float = 0.1
    contrast: float = 0.2
    gamma: float = 0.3
    noise: float = 0.03
    blur: bool = True
    sharp_share: float = 0.5
    """Share of batches that are neither moved nor blurred. Every resampling blurs, and a network
    that has only seen blurred slices takes the noise of sharp ones for disease."""


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
class TrainConfig:
    """One training run; together with the data folder it says all that is needed to repeat it."""

    model: ModelConfig = field(default_factory=ModelConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_epochs: int = 2
    validation_fraction: float = 0.25
    slices_per_patient: int = 0
    """Slices drawn of each patient's cases an epoch, lest long scans rule; 0 takes all."""
    negatives_per_epoch: int = 100
    pictures_per_epoch: int = 50
    average_momentum: float = 0.997
    """Judged and kept is a running mean of the weights (Polyak averaging); 0 switches it off."""
    published_smooth_sigma: float = 0.7
    """`PreprocessConfig.smooth_sigma` of the published weights: augmentation resamples, hence
    blurs, and what the network is shown later should be about as smooth."""
    published_infection_threshold: float = 0.3
    """Like the sigma, chosen on validation patients."""
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
class SegmentConfig:
    """How a scan is segmented."""

    weights_id: str | None = None
    """Folder name in `weights/`; none takes the manifest's default."""
    batch_size: int = 8
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    turn_pictures: bool = True
    """Pictures carry no orientation: try the four quarter turns and take the surest."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 256:
            raise ConfigError(
                "Batch size is out of range", got=f"{self.batch_size}", expected="1 to 256"
            )


@dataclass(frozen=True)
class AppConfig:
    """What the operator of a server may set."""

    data_folder: str | None = None
    """Folder whose scans may be opened by path; none allows no server path at all."""


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
        if value not in get_args(hint):
            raise ConfigError(
                f"Setting {name} is not understood",
                got=repr(value),
                expected="one of " + ", ".join(map(repr, get_args(hint))),
            )
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
