"""Thresholds from which on scan quality is a finding."""

from __future__ import annotations

from dataclasses import dataclass

from core.config.ranges import SettingRange, check_range

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
    """Thresholds from which on a measure of scan quality is a finding; what each means is in
    `core.measuring.quality`.

    Shares are between 0 and 1. Where a value is a share of the contrast, 1 is the step from air
    to tissue, about 1000 HU. The defaults are set so that the healthy scan and the public cases
    pass where nothing can be seen in them, and deliberately damaged copies do not.
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
            check_range(name, getattr(self, name), allowed)
