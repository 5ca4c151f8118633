"""The widgets of Enhance: settings, the slice that is tuned, and what can be done with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.config import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    ROI_RANGES,
    WINDOW_PRESETS,
    WINDOW_RANGES,
    EnhanceConfig,
    PreprocessConfig,
    RoiConfig,
    SettingRange,
)
from core.errors import ConfigError, WeightsError
from core.preprocessing import SpatialRecord, plan_spatial, slice_in_box
from core.preprocessing.roi import find_region, part_slice_of
from core.ui import segmenting
from core.ui.navigation import BROWSE, TRAIN, go_to
from core.ui.page import show_error
from core.ui.preprocess.tuner import Answer, Reported, TunedSlice, show_tuner
from core.ui.scan.browsing import place_of
from core.ui.scan.measures import known_masks
from core.ui.session import OpenStudy, remember, this_session
from core.ui.settings import Settings
from core.ui.widget_state import widget_value
from core.volume import BoolArray, pixel_size_mm

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import WeightsInfo

METHODS = {
    "window": "Window",
    "clahe": "CLAHE",
    "equalize": "Equalise",
    "gamma": "Gamma",
    "unsharp": "Unsharp",
}
_SLIDERS: dict[str, tuple[str, str]] = {
    "clip_limit": (
        "Clip limit",
        "How steep contrast may become: times the mean count that a grey level may have in a tile. "
        "Too much: noise in even areas looks like texture, and healthy lung like ground glass.",
    ),
    "tile_grid": (
        "Tile grid",
        "Tiles along each side. More tiles adapt to smaller neighbourhoods. Too many: halos around "
        "vessels, and the same tissue looks different from place to place. Too few: hardly "
        "different from one equalisation of the whole picture.",
    ),
    "gamma": (
        "Gamma",
        "Below 1 brightens dark lung, above 1 darkens it; 1 changes nothing. Too low: lung and "
        "chest wall look alike and noise shows. Too high: faint opacities disappear in black.",
    ),
    "unsharp_radius": (
        "Radius, pixels",
        "How wide an edge is: sigma of the blur that is taken away. Too much: broad bright and "
        "dark seams along the chest wall.",
    ),
    "unsharp_amount": (
        "Amount",
        "How much of the difference from the blur is added; 0 changes nothing. Too much: white and "
        "black rims, grainy lung.",
    ),
    "window_center": (
        "Centre, HU",
        "The value drawn as middle grey. Too high: lung turns black; too low: the chest wall turns "
        "white.",
    ),
    "window_width": (
        "Width, HU",
        "How many HU lie between black and white. Too narrow: plain black and white; too wide: "
        "everything is grey.",
    ),
}
_SETTINGS_OF = {
    "clahe": ("clip_limit", "tile_grid"),
    "gamma": ("gamma",),
    "unsharp": ("unsharp_radius", "unsharp_amount"),
}
_PRESET_NAME = "enhance-preset-name"
_ENHANCE_FIELDS = tuple(field.name for field in fields(EnhanceConfig))
LIVE = ("method", *_SLIDERS)
"""Settings that the browser changes; the others need the scan, and so Python."""


@dataclass(eq=False)
class Tuning:
    """What Enhance keeps for the session.

    Attributes:
        seq: of the last report of the browser.
        presets: the person's own, by name.
    """

    seq: int = 0
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)


def tuning() -> Tuning:
    """That of this session."""
    return this_session().part(Tuning)


def base_preprocess() -> PreprocessConfig:
    """The preprocessing of the default network; of any new one where none is installed, or (with a
    sentence) where it is broken."""
    try:
        weights = segmenting.default_weights()
    except WeightsError as error:
        show_error(error)
        weights = None
    return PreprocessConfig() if weights is None else weights.preprocess


def _default_weights() -> WeightsInfo | None:
    """None also where they are broken, which `base_preprocess` says."""
    try:
        return segmenting.default_weights()
    except WeightsError:
        return None


def read_settings(base: PreprocessConfig) -> Settings:
    """The settings of this session, of the address, or of the network."""
    return Settings("enhance", flat_settings(base), lambda values: build_config(values, base))


def flat_settings(config: PreprocessConfig) -> dict[str, Any]:
    """What the widgets stand for, by name."""
    return {
        **asdict(config.enhance),
        "crop": config.crop,
        "margin_mm": config.margin_mm,
        "window_center": config.window_center,
        "window_width": config.window_width,
        "level_slices": config.level_slices,
        "smooth_sigma": config.smooth_sigma,
    }


def build_config(values: dict[str, Any], base: PreprocessConfig) -> PreprocessConfig:
    """The preprocessing that the widgets stand for."""
    own = {name: value for name, value in values.items() if name in _ENHANCE_FIELDS}
    rest = {name: value for name, value in values.items() if name not in own}
    return replace(base, enhance=EnhanceConfig(**own), **rest)


# ---------------------------------------------------------------- the live part


def show_live(
    current: OpenStudy, settings: Settings, base: PreprocessConfig, answer: Answer
) -> None:
    """The slice, before and after, with its sliders; the browser reports on release."""
    config, kept = build_config(settings.values, base), tuning()

    def take(reported: Reported) -> None:
        kept.seq = reported.seq
        take_report(current, settings, base, reported)

    show_tuner(
        tuned_slice(current, config),
        settings={name: settings.values[name] for name in LIVE},
        options=_options(current, base),
        answer=answer,
        seq=kept.seq,
        key="tuner",
        on_report=take,
        tallest=0.56,
    )


def take_report(
    current: OpenStudy, settings: Settings, base: PreprocessConfig, reported: Reported
) -> None:
    """Takes settings and slice from the browser; values that make no sense change nothing."""
    place = place_of(current)
    i, j, k = place.voxel
    if reported.slice_index != k:
        place.go_to(plane="axial", voxel=(i, j, reported.slice_index))
    wanted = {**settings.values}
    for name in LIVE:
        value, default = reported.values.get(name), settings.defaults[name]
        if isinstance(default, str) and isinstance(value, str):
            wanted[name] = value
        elif isinstance(default, (int, float)) and isinstance(value, (int, float)):
            wanted[name] = type(default)(value)
    try:
        build_config(wanted, base)
    except ConfigError:
        return
    settings.set({name: wanted[name] for name in LIVE})


def _options(current: OpenStudy, base: PreprocessConfig) -> dict[str, Any]:
    seen = place_of(current).window
    defaults = flat_settings(base)
    windows = [
        {"name": "Network", "center": base.window_center, "width": base.window_width},
        *({"name": p.name, "center": p.center, "width": p.width} for p in WINDOW_PRESETS),
        {"name": "As on View", "center": seen.center, "width": seen.width},
    ]
    presets = [
        *(
            {"name": preset.name, "note": preset.note, "settings": _used(asdict(preset.config))}
            for preset in ENHANCE_PRESETS
        ),
        *(
            {"name": name, "note": "Your own preset", "settings": values}
            for name, values in tuning().presets.items()
        ),
    ]
    ranges = {**ENHANCE_RANGES, **WINDOW_RANGES}
    return {
        "defaults": {name: defaults[name] for name in LIVE},
        "windows": windows,
        "presets": presets,
        "methods": METHODS,
        "sliders": {
            name: _slider(name, label, words, ranges[name])
            for name, (label, words) in _SLIDERS.items()
        },
        "used": _SETTINGS_OF,
    }


def _slider(name: str, label: str, words: str, allowed: SettingRange) -> dict[str, Any]:
    return {
        "label": label,
        "help": words,
        "low": allowed.low,
        "high": allowed.high,
        "step": allowed.step,
        "logarithmic": name == "clip_limit",
    }


def _used(values: dict[str, Any]) -> dict[str, Any]:
    """The method and the settings that it uses."""
    names = ("method", *_SETTINGS_OF.get(str(values["method"]), ()))
    return {name: values[name] for name in names}


# ---------------------------------------------------------------- the slice


def tuned_slice(current: OpenStudy, config: PreprocessConfig) -> TunedSlice:
    """The slice as the network's input is made of it, before any window."""
    volume, index = current.study.volume, place_of(current).voxel[2]
    record = spatial_record(current, config)
    lung, source = _lung_of_slice(current, index)
    box = record.box
    return TunedSlice(
        values=slice_in_box(volume, record, index),
        intensity=volume.intensity,
        lung=lung[box.j_start : box.j_stop, box.i_start : box.i_stop],
        lung_source=source,
        index=index,
        count=volume.plane_count("axial"),
        pixel_mm=pixel_size_mm(volume, "axial"),
        name=f"{current.name}, axial slice {index + 1}",
        stamp=current.stamp,
        token=current.token,
    )


def _lung_of_slice(current: OpenStudy, slice_index: int) -> tuple[BoolArray, str]:
    for name, pair in known_masks(current).items():
        if pair.lung is not None:
            return pair.lung[:, :, slice_index].T, name.lower()
    volume = current.study.volume
    region = remember(current, ("region", RoiConfig()), lambda: find_region(volume, RoiConfig()))
    return part_slice_of(volume, region, slice_index).lung, "air inside the body"


def spatial_record(current: OpenStudy, config: PreprocessConfig) -> SpatialRecord:
    """Where the box is and which slices are normalized; found once per scan and crop."""
    key = ("spatial", *spatial_settings(config))
    volume = current.study.volume
    return remember(current, key, lambda: plan_spatial(volume, config))


def spatial_settings(config: PreprocessConfig) -> tuple[Any, ...]:
    """All of a config that `plan_spatial` asks for."""
    return (
        config.crop,
        config.margin_mm,
        config.rows,
        config.columns,
        config.level_slices,
    )


# ---------------------------------------------------------------- what else there is


def choose_rare(settings: Settings) -> None:
    """What is seldom changed: the box, and slices that are darker or brighter than the rest."""
    settings.choose(
        "Crop to",
        "crop",
        {"body": "Body box", "lungs": "Lung box", "none": "Whole slice"},
        help="The network sees a box around the body, or around the lungs where their air shows "
        "them. CLAHE and equalisation use only what is inside the box, so air and table around the "
        "body change their result.",
    )
    if settings.values["crop"] != "none":
        settings.slide(
            "Margin, mm",
            "margin_mm",
            ROI_RANGES["margin_mm"],
            help="Kept around the box. With a large margin the lungs are small in the network's "
            "input, and fine detail is lost.",
        )
    settings.switch(
        "Normalise slices",
        "level_slices",
        help="Adjusts slices that are darker or brighter throughout than the rest of the scan, as "
        "export slice by slice leaves them. Slices that agree with the rest stay as they are.",
    )


def show_actions(current: OpenStudy, settings: Settings, base: PreprocessConfig) -> None:
    """What can be done with the settings: mark the scan, train with them, keep them by name."""
    config = build_config(settings.values, base)
    weights = _default_weights()
    if (
        st.button(
            "Mark the whole scan with these settings",
            type="primary",
            icon=":material/ink_highlighter:",
            disabled=weights is None or segmenting.is_running(),
            help="Runs the network on every slice with this preprocessing in place of its own, and "
            "shows the result on View. It was not trained with other settings.",
        )
        and weights is not None
    ):
        segmenting.start(current, weights, preprocess=config)
        go_to(BROWSE)
    if st.button(
        "Use for training",
        icon=":material/model_training:",
        help="Goes to Train, where this input is chosen as **Tuned**.",
    ):
        session = this_session()
        session.tuned_preprocess, session.tuned_is_new = config, True
        go_to(TRAIN)
    with st.popover("Save as preset", icon=":material/bookmark_add:"):
        _name_preset(settings)


def _name_preset(settings: Settings) -> None:
    kept = tuning()

    def keep() -> None:
        name = str(widget_value(_PRESET_NAME, "")).strip()
        if name:
            window = {side: settings.values[side] for side in ("window_center", "window_width")}
            kept.presets[name] = {**_used(settings.values), **window}

    with st.form("enhance-preset", border=False, clear_on_submit=True):
        st.text_input(
            "Name",
            max_chars=24,
            key=_PRESET_NAME,
            help="It stands beside the other presets for this session.",
        )
        st.form_submit_button("Save", icon=":material/bookmark_add:", on_click=keep)
