"""The region of interest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config.json_values import from_json_dict, settings_in_text
from core.config.ranges import SettingRange, check_choice, check_range

ROI_RANGES: dict[str, SettingRange] = {
    "classes": SettingRange(3, 4, 1),
    "margin_mm": SettingRange(0.0, 100.0, 1.0),
    "slice_margin_mm": SettingRange(0.0, 100.0, 1.0),
}

TYPICAL_SECONDS_PER_SLICE = 0.03
"""Time that a slice takes, start to mask, on two CPU cores with AMX (see the README); an estimate
until the network has run."""


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
    """Multi-Otsu: into how many classes of tissue and air the values are divided."""
    margin_mm: float = 6.0
    """Added to the box on each side in the slice."""
    leave_out_slices: bool = True
    """Whether slices below and above the lungs are left out."""
    slice_margin_mm: float = 15.0
    """Kept of what lies below and above the lungs."""

    def __post_init__(self) -> None:
        check_choice("target", self.target, ("body", "lungs"))
        check_choice("method", self.method, ("otsu", "multi-otsu"))
        check_choice("scope", self.scope, ("volume", "slice"))
        for name, allowed in ROI_RANGES.items():
            check_range(name, getattr(self, name), allowed)


def roi_from_json(text: str) -> RoiConfig:
    """The region from a JSON file that a person chose: an object of settings, or one that holds
    such under "region". What it does not name has its default.

    Raises:
        ConfigError: it is no such JSON, or a setting is unknown or out of range.
    """
    return from_json_dict(
        RoiConfig,
        settings_in_text(text, under="region", what="region", page="Preprocess"),
    )
