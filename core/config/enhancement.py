"""Contrast: what is done to a windowed slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from core.config.ranges import SettingRange, check_choice, check_range

EnhanceMethod = Literal["window", "clahe", "equalize", "gamma", "unsharp"]

WINDOW_RANGES: dict[str, SettingRange] = {
    "window_center": SettingRange(-1500.0, 3000.0, 10.0),
    "window_width": SettingRange(10.0, 5000.0, 10.0),
}

ENHANCE_RANGES: dict[str, SettingRange] = {
    "clip_limit": SettingRange(0.5, 40.0, 0.1),
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
        check_choice("method", self.method, get_args(EnhanceMethod))
        for name, allowed in ENHANCE_RANGES.items():
            check_range(name, getattr(self, name), allowed)


@dataclass(frozen=True)
class EnhancePreset:
    """Settings worth starting from, and what they are for."""

    name: str
    config: EnhanceConfig
    note: str


ENHANCE_PRESETS: tuple[EnhancePreset, ...] = (
    EnhancePreset("Plain window", EnhanceConfig(), "What the shipped network was trained with."),
    EnhancePreset(
        "Gentle CLAHE",
        EnhanceConfig("clahe", clip_limit=1.5, tile_grid=4),
        "A little more contrast, hardly more noise.",
    ),
    EnhancePreset(
        "Usual CLAHE",
        EnhanceConfig("clahe", clip_limit=2.0, tile_grid=8),
        "What most published pipelines use.",
    ),
    EnhancePreset(
        "Strong CLAHE",
        EnhanceConfig("clahe", clip_limit=7.0, tile_grid=8),
        "As the public copy of the 20-case set was stored: noise stands out as well.",
    ),
    EnhancePreset(
        "Brighten shadows",
        EnhanceConfig("gamma", gamma=0.6),
        "Faint opacities in dark lung become brighter.",
    ),
    EnhancePreset(
        "Fine edges",
        EnhanceConfig("unsharp", unsharp_radius=1.5, unsharp_amount=1.0),
        "Vessels and septa stand out.",
    ),
)
