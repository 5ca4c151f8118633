"""The widgets of Enhance: settings, before and after, histograms, files."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import streamlit as st

from core.config import (
    ENHANCE_PRESETS,
    ENHANCE_RANGES,
    ROI_RANGES,
    WINDOW_PRESETS,
    WINDOW_RANGES,
    EnhanceConfig,
    PreprocessConfig,
)
from core.errors import WeightsError
from core.preprocessing import (
    SpatialRecord,
    enhance,
    plan_spatial,
    window_slice,
)
from core.preprocessing.enhancement import Grey
from core.ui import segmenting
from core.ui.page import show_error
from core.ui.scan.browsing import place_of
from core.ui.session import OpenStudy, remember
from core.ui.settings import Settings
from core.ui.viewer import show_pictures
from core.ui.widget_state import set_widget_value, widget_value
from core.volume import PLANE_LABELS, pixel_size_mm

METHODS = {
    "window": "Window",
    "clahe": "CLAHE",
    "equalize": "Equalise",
    "gamma": "Gamma",
    "unsharp": "Unsharp",
}
_METHOD_HELP = (
    "**Window**: nothing but the window. **CLAHE**: each tile of the picture gets its own "
    "histogram equalisation, limited by the clip limit. **Equalise**: one histogram "
    "equalisation for the whole picture; too strong for CT as a rule, because air and fat "
    "take most of the grey levels. **Gamma**: brightens or darkens the middle greys. "
    "**Unsharp**: edges are enhanced."
)
_LABELS = {
    "clip_limit": "Clip limit",
    "tile_grid": "Tile grid",
    "gamma": "Gamma",
    "unsharp_radius": "Radius, pixels",
    "unsharp_amount": "Amount",
}
_HELP = {
    "clip_limit": "How steep contrast may become: times the mean count that a grey level may "
    "have in a tile. Too much: noise in even areas looks like texture, and healthy lung like "
    "ground-glass.",
    "tile_grid": "Tiles along each side. More tiles adapt to smaller neighbourhoods. Too "
    "many: halos around vessels, and the same tissue looks different from place to place. "
    "Too few: hardly different from one equalisation of the whole picture.",
    "gamma": "Below 1 brightens dark lung, above 1 darkens it; 1 changes nothing. Too low: "
    "lung and chest wall look alike and noise shows. Too high: faint opacities disappear "
    "in black.",
    "unsharp_radius": "How wide an edge is: sigma of the blur that is taken away. Too much: broad "
    "bright and dark seams along the chest wall.",
    "unsharp_amount": "How much of the difference from the blur is added; 0 changes nothing. Too "
    "much: white and black rims, grainy lung.",
}
_SETTINGS_OF = {
    "clahe": ("clip_limit", "tile_grid"),
    "gamma": ("gamma",),
    "unsharp": ("unsharp_radius", "unsharp_amount"),
}
_FREE = "Custom"
_ENHANCE_FIELDS = tuple(field.name for field in fields(EnhanceConfig))


def base_preprocess() -> PreprocessConfig:
    """The preprocessing of the default network; of any new one where none is installed, or (with a
    sentence) where it is broken."""
    try:
        weights = segmenting.default_weights()
    except WeightsError as error:
        show_error(error)
        weights = None
    return PreprocessConfig() if weights is None else weights.preprocess


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


def show_presets(settings: Settings) -> None:
    """Settings to start from, and the way back."""
    with st.container(horizontal=True, gap="small", key="enhance-presets"):
        for preset in ENHANCE_PRESETS:
            st.button(
                preset.name,
                help=preset.note,
                on_click=settings.set,
                args=(asdict(preset.config),),
            )
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            help="All settings back to the network's own, window and crop included.",
            on_click=settings.forget,
        )


def choose_method(settings: Settings) -> None:
    """The method, and a slider for each of its settings."""
    settings.choose("Method", "method", METHODS, help=_METHOD_HELP)
    for name in _SETTINGS_OF.get(str(settings.values["method"]), ()):
        settings.slide(_LABELS[name], name, ENHANCE_RANGES[name], help=_HELP[name])


def choose_window(current: OpenStudy, settings: Settings, base: PreprocessConfig) -> None:
    """What is black and white before anything else, and what of the slice is taken."""
    if _choose_window_preset(current, settings, base) == _FREE:
        _choose_free_window(settings)
    settings.choose(
        "Crop to",
        "crop",
        {"body": "Body box", "lungs": "Lung box", "none": "Whole slice"},
        help="The network sees a box around the body, or around the lungs where their air shows "
        "them. CLAHE and equalisation look at what is inside the box, so air and table around the "
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


def _choose_window_preset(current: OpenStudy, settings: Settings, base: PreprocessConfig) -> str:
    """The named window that is chosen, or `_FREE`."""
    seen = place_of(current).window
    windows = {
        "Network": (base.window_center, base.window_width),
        **{preset.name: (preset.center, preset.width) for preset in WINDOW_PRESETS},
        "As on View": (seen.center, seen.width),
    }
    now = (settings.values["window_center"], settings.values["window_width"])
    fitting = next((name for name, window in windows.items() if window == now), _FREE)
    key = settings.key("window")
    if widget_value(key) != _FREE:
        set_widget_value(key, fitting)

    def take() -> None:
        window = windows.get(widget_value(key))
        if window is not None:
            settings.set({"window_center": window[0], "window_width": window[1]})

    st.selectbox(
        "Window",
        (*windows, _FREE),
        key=key,
        on_change=take,
        help="Which HU are drawn from black to white, before contrast is enhanced. Too narrow: "
        "much is plain black or white, and no method brings it back. Too wide: everything is "
        "grey.",
    )
    return str(widget_value(key))


def _choose_free_window(settings: Settings) -> None:
    left, right = st.columns(2)
    with left:
        settings.slide(
            "Center, HU",
            "window_center",
            WINDOW_RANGES["window_center"],
            help="The value drawn as middle grey. Too high: lung turns black; too low: the "
            "chest wall turns white.",
        )
    with right:
        settings.slide(
            "Width, HU",
            "window_width",
            WINDOW_RANGES["window_width"],
            help="How many HU lie between black and white. Too narrow: plain black and "
            "white; too wide: everything is grey.",
        )


def choose_slice(current: OpenStudy) -> int:
    """Index of the axial slice, the same as on View."""
    place, count = place_of(current), current.study.volume.plane_count("axial")
    if count == 1:
        return 0
    key = f"enhance-slice-{current.token}"
    set_widget_value(key, place.voxel[2] + 1)

    def move() -> None:
        i, j, _ = place.voxel
        place.go_to(plane="axial", voxel=(i, j, widget_value(key) - 1))

    st.slider("Axial slice", 1, count, key=key, on_change=move, help="Slice 1 is nearest the feet.")
    return place.voxel[2]


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """One slice in the box of the network, through the window, and enhanced; (rows, columns)."""

    slice_index: int
    record: SpatialRecord
    before: Grey
    after: Grey
    seconds: float


def compute_pictures(current: OpenStudy, config: PreprocessConfig, slice_index: int) -> BeforeAfter:
    """The slice as the network's input is made of it, just before it is resized."""
    record = spatial_record(current, config)
    started = time.perf_counter()
    before = window_slice(current.study.volume, record, config, slice_index)
    after = enhance(before, config.enhance)
    return BeforeAfter(slice_index, record, before, after, time.perf_counter() - started)


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


def show_before_after(current: OpenStudy, pictures: BeforeAfter) -> None:
    """Both pictures behind a divider, with the same zoom and pan."""
    show_pictures(
        pictures.before,
        pictures.after,
        names=("Before", "After"),
        key="enhance-pictures",
        pixel_mm=pixel_size_mm(current.study.volume, "axial"),
        letters=PLANE_LABELS["axial"],
        title=f"{current.name}, axial slice {pictures.slice_index + 1}",
        stamp=current.stamp,
        tallest=0.52,
    )
