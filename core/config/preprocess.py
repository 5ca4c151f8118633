"""The steps to the network's input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from core.config.enhancement import EnhanceConfig
from core.config.json_text import shown_value
from core.config.json_values import from_json_dict, settings_in_text, to_json_dict
from core.config.ranges import SettingRange, check_choice, check_range
from core.config.roi import ROI_RANGES
from core.errors import ConfigError


@dataclass(frozen=True)
class PreprocessConfig:
    """The ordered steps to the network's input: box → crop → normalize slices → window → enhance →
    resize → smooth."""

    crop: Literal["body", "lungs", "none"] = "body"
    """What the box holds: the body, or the lungs where they can be found by their air."""
    margin_mm: float = 6.0
    level_slices: bool = False
    """Slice normalization: adjust slices that are darker or brighter throughout than the rest of
    their scan. The name is that of the files that hold it, such as manifests of weights."""
    window_center: float = -500.0
    window_width: float = 1500.0
    enhance: EnhanceConfig = field(default_factory=EnhanceConfig)
    rows: int = 192
    columns: int = 256
    smooth_sigma: float = 0.0
    """Gaussian that takes noise out of the network's input, in its pixels; 0 leaves it as it is."""

    def __post_init__(self) -> None:
        check_choice("crop", self.crop, ("body", "lungs", "none"))
        check_range("margin_mm", self.margin_mm, ROI_RANGES["margin_mm"], unit="mm")
        check_range("smooth_sigma", self.smooth_sigma, SettingRange(0.0, 5.0, 0.1), unit="pixels")
        if not 0.0 < self.window_width < 1e6:
            raise ConfigError(
                "The window's width cannot be used",
                got=f"{self.window_width:g} HU",
                expected="more than 0 and less than 1 000 000 HU",
            )
        if not -1e6 < self.window_center < 1e6:
            raise ConfigError(
                "The window's center cannot be used",
                got=f"{self.window_center:g} HU",
                expected="−1 000 000 to 1 000 000 HU, such as −500",
            )
        if (
            self.rows % 16
            or self.columns % 16
            or not (32 <= self.rows <= 2048 and 32 <= self.columns <= 2048)
        ):
            raise ConfigError(
                "Network input size does not fit the U-Net",
                got=f"{self.rows} × {self.columns}",
                expected="multiples of 16, from 32 × 32 to 2048 × 2048",
            )

    @staticmethod
    def upgrade_json(values: dict[str, Any]) -> dict[str, Any]:
        """`values` as written up to version 0.1, with a `clahe` of its own, in today's format."""
        if "clahe" not in values:
            return values
        if "enhance" in values:
            raise ConfigError(
                "Two settings contradict each other",
                got="both clahe and enhance",
                expected="enhance alone, which replaces clahe",
            )
        rest = {name: value for name, value in values.items() if name != "clahe"}
        if values["clahe"] is None:
            return rest
        if not isinstance(values["clahe"], dict):
            raise ConfigError(
                "Setting clahe is not understood",
                got=shown_value(values["clahe"]),
                expected="an object of settings or null",
            )
        return {**rest, "enhance": {"method": "clahe", **values["clahe"]}}


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
    values = settings_in_text(text, under="preprocess", what="preprocessing", page="Preprocess")
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
            got=f"{config.rows} × {config.columns}",
            expected=f"{base.rows} × {base.columns}",
            next_step="leave rows and columns out of the file",
        )
    return config
