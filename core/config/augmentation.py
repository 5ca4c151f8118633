"""Random changes to training slices."""

from __future__ import annotations

from dataclasses import dataclass

from core.config.ranges import SettingRange, check_ranges


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

    def __post_init__(self) -> None:
        check_ranges(self, _POSSIBLE)


_POSSIBLE: dict[str, tuple[float, float]] = {
    "rotation_degrees": (0.0, 180.0),
    "zoom": (0.0, 0.9),
    "shift": (0.0, 1.0),
    "elastic": (0.0, 0.5),
    "window": (0.0, 1.0),
    "clahe": (0.0, 40.0),
    "brightness": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "gamma": (0.0, 2.0),
    "noise": (0.0, 1.0),
    "sharp_share": (0.0, 1.0),
}
"""Beyond these nothing of a slice is left."""


@dataclass(frozen=True)
class AugmentPreset:
    """A pipeline of random changes worth starting from, and what it is for."""

    name: str
    config: AugmentConfig
    note: str


AUGMENT_PRESETS: tuple[AugmentPreset, ...] = (
    AugmentPreset("Usual", AugmentConfig(), "What training uses by default."),
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
        "For few patients, or scans from many scanners; training takes longer.",
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
        "Slices unchanged, to see what augmentation contributes.",
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
"""What the page offers; files may go further, as far as `_POSSIBLE`."""
