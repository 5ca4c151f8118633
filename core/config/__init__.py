"""Every default of the project, once: widgets, command line, training and tests read it here.

All configs are frozen and hashable, so that they can key caches, and turn into plain JSON
with `to_json_dict` and back with `from_json_dict`.
"""

from __future__ import annotations

from core.config.app import AppConfig
from core.config.augmentation import AUGMENT_PRESETS, AUGMENT_RANGES, AugmentConfig, AugmentPreset
from core.config.correction import BRUSH_RANGE_MM, HU_LIMITS, CorrectionConfig
from core.config.enhancement import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    WINDOW_RANGES,
    EnhanceConfig,
    EnhanceMethod,
    EnhancePreset,
)
from core.config.evaluation import EvaluateConfig
from core.config.json_text import NotJson, parse_json, read_json, shown_value, whole_number
from core.config.json_values import from_json_dict, to_json_dict
from core.config.loading import (
    GREY_WINDOW_HU,
    WINDOW_PRESETS,
    LoadLimits,
    WindowPreset,
    check_window,
)
from core.config.lobes import LobeNetworkConfig, LobeTrainingConfig
from core.config.mixture import MixtureConfig, MixtureShares
from core.config.model import EncoderName, ModelConfig, Precision
from core.config.preprocess import PreprocessConfig, preprocess_from_json
from core.config.quality import QUALITY_RANGES, QualityConfig
from core.config.ranges import SettingRange, check_range, check_ranges
from core.config.roi import ROI_RANGES, TYPICAL_SECONDS_PER_SLICE, RoiConfig, roi_from_json
from core.config.segmentation import BatchConfig, PostprocessConfig, SegmentConfig, SurfaceConfig
from core.config.training import (
    TRAIN_PRESETS,
    TRAIN_RANGES,
    LossConfig,
    PublishConfig,
    RangeTestConfig,
    ScheduleConfig,
    TrainConfig,
    TrainPreset,
)
from core.config.words import (
    CHANNELS,
    DEMO_CASES,
    EXCHANGED_NOTE,
    FIRST_LEFT_LOBE,
    LOBE_COLOURS,
    LOBE_LABELS,
    LOBES,
    RESEARCH_NOTE,
    Channel,
    EngineName,
    LobeName,
    Plane,
)

__all__ = [
    "Plane",
    "Channel",
    "EngineName",
    "LobeName",
    "LOBES",
    "LOBE_LABELS",
    "LOBE_COLOURS",
    "FIRST_LEFT_LOBE",
    "CHANNELS",
    "EXCHANGED_NOTE",
    "RESEARCH_NOTE",
    "SettingRange",
    "check_range",
    "check_ranges",
    "NotJson",
    "parse_json",
    "read_json",
    "shown_value",
    "to_json_dict",
    "from_json_dict",
    "LoadLimits",
    "WindowPreset",
    "WINDOW_PRESETS",
    "GREY_WINDOW_HU",
    "check_window",
    "EnhanceMethod",
    "WINDOW_RANGES",
    "ENHANCE_RANGES",
    "EnhanceConfig",
    "EnhancePreset",
    "ENHANCE_PRESETS",
    "ROI_RANGES",
    "TYPICAL_SECONDS_PER_SLICE",
    "RoiConfig",
    "roi_from_json",
    "PreprocessConfig",
    "preprocess_from_json",
    "PostprocessConfig",
    "SegmentConfig",
    "BatchConfig",
    "SurfaceConfig",
    "EncoderName",
    "Precision",
    "LobeNetworkConfig",
    "LobeTrainingConfig",
    "MixtureConfig",
    "MixtureShares",
    "ModelConfig",
    "AugmentConfig",
    "AugmentPreset",
    "AUGMENT_PRESETS",
    "AUGMENT_RANGES",
    "LossConfig",
    "ScheduleConfig",
    "PublishConfig",
    "DEMO_CASES",
    "TrainConfig",
    "TrainPreset",
    "TRAIN_PRESETS",
    "TRAIN_RANGES",
    "RangeTestConfig",
    "EvaluateConfig",
    "QUALITY_RANGES",
    "QualityConfig",
    "BRUSH_RANGE_MM",
    "HU_LIMITS",
    "CorrectionConfig",
    "AppConfig",
    "whole_number",
]
