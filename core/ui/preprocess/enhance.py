"""The widgets of Enhance: settings, before and after, histograms, files."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
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
)
from core.errors import WeightsError
from core.preprocessing import (
    Contrast,
    SpatialRecord,
    compute_contrast,
    compute_histogram,
    enhance,
    plan_spatial,
    window_slice,
)
from core.preprocessing.enhancement import Grey
from core.preprocessing.roi import find_region, part_slice_of
from core.ui import segmenting
from core.ui.charts.figures import make_histogram_figure
from core.ui.page import show_error
from core.ui.scan.browsing import place_of
from core.ui.scan.measures import known_masks
from core.ui.session import OpenStudy, remember
from core.ui.settings import Settings
from core.ui.tables import show_figure_table
from core.ui.text import percent
from core.ui.viewer import show_pictures
from core.ui.widget_state import set_widget_value, widget_value
from core.volume import PLANE_LABELS, BoolArray, pixel_size_mm

METHODS = {
    "window": "Window",
    "clahe": "CLAHE",
    "equalize": "Equalise",
    "gamma": "Gamma",
    "unsharp": "Unsharp",
}
_METHOD_HELP = (
    "**Window**: nothing but the window. **CLAHE**: each tile of the picture gets its own "
    "histogram equalisation, held back by the clip limit. **Equalise**: one histogram "
    "equalisation for the whole picture; too strong for CT as a rule, because air and fat take "
    "most of the grey levels. **Gamma**: brightens or darkens the middle greys. **Unsharp**: "
    "edges are drawn stronger."
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
    "tile_grid": "Tiles along each side. More tiles adapt to smaller neighbourhoods. Too many: "
    "halos around vessels, the same tissue looks different from place to place. Too few: hardly "
    "other than one equalisation for the whole picture.",
    "gamma": "Below 1 brightens dark lung, above 1 darkens it; 1 changes nothing. Too low: lung "
    "and chest wall grow alike and noise shows. Too high: faint opacities drown in black.",
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
_FREE = "Free"
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
            help="Everything as the network has it, the window and the cut as well.",
            on_click=settings.forget,
        )


def choose_method(settings: Settings) -> None:
    """The method, and a slider for each of its settings."""
    settings.choose("Method", "method", METHODS, help=_METHOD_HELP)
    for name in _SETTINGS_OF.get(str(settings.values["method"]), ()):
        settings.slide(_LABELS[name], name, ENHANCE_RANGES[name], help=_HELP[name])


def choose_window(current: OpenStudy, settings: Settings, base: PreprocessConfig) -> None:
    """What is black and white before anything else, and what of the slice is taken."""
    seen = place_of(current).window
    windows = {
        "Network": (base.window_center, base.window_width),
        **{preset.name: (preset.center, preset.width) for preset in WINDOW_PRESETS},
        "As in Browse": (seen.center, seen.width),
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
    if widget_value(key) == _FREE:
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
    settings.choose(
        "Cut out",
        "crop",
        {"body": "Body box", "lungs": "Lung box", "none": "Whole slice"},
        help="The network sees a box around the body, or around the lungs where their air shows "
        "them. CLAHE and equalisation look at what is cut out, so air and table around the body "
        "change their result.",
    )
    if settings.values["crop"] != "none":
        settings.slide(
            "Margin, mm",
            "margin_mm",
            ROI_RANGES["margin_mm"],
            help="Kept around it. Too much: what matters gets small in the network's frame, and "
            "fine marks are lost.",
        )
    settings.switch(
        "Level slices",
        "level_slices",
        help="Adjusts slices that are darker or brighter throughout than the rest of the scan, as "
        "export slice by slice leaves them. Scans in step stay as they are.",
    )


def choose_slice(current: OpenStudy) -> int:
    """Index of the axial slice, the same as in Browse."""
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
    before = window_slice(
        current.study.volume, record.box, config, slice_index, stretch=record.stretch
    )
    after = enhance(before, config.enhance)
    return BeforeAfter(slice_index, record, before, after, time.perf_counter() - started)


def spatial_record(current: OpenStudy, config: PreprocessConfig) -> SpatialRecord:
    """Where the box is and which slices are out of step; found once per scan and cut."""
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


def show_contrast(current: OpenStudy, pictures: BeforeAfter) -> None:
    """Both histograms over each other, and the figures that tell contrast apart."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        where = st.segmented_control(
            "Counted",
            ("Whole picture", "Lung only"),
            default="Whole picture",
            key="enhance-where",
            required=True,
            persist_state="session",
            help="Lung as predicted, else as the truth has it, else air inside the body found by "
            "a threshold.",
        )
        scale = st.segmented_control(
            "Counts",
            ("Linear", "Logarithmic"),
            default="Linear",
            key="enhance-scale",
            required=True,
            persist_state="session",
            help="Logarithmic shows rare grey levels beside frequent ones.",
        )
        cumulative = st.toggle(
            "Cumulative",
            key="enhance-cumulative",
            persist_state="session",
            help="Also the share of pixels up to each grey level. A straight rise means that all "
            "levels are used alike.",
        )
    started = time.perf_counter()
    mask, source = _lung_in_box(current, pictures) if where == "Lung only" else (None, "")
    counts = {
        name: compute_histogram(grey, mask)
        for name, grey in (("Before", pictures.before), ("After", pictures.after))
    }
    figure = make_histogram_figure(
        counts,
        values=np.arange(256.0),
        value_label="Grey level, black 0 to white 255",
        logarithmic=scale == "Logarithmic",
        cumulative=bool(cumulative),
    )
    spent = pictures.seconds + time.perf_counter() - started
    st.plotly_chart(figure, key="enhance-histogram", config={"displayModeBar": False})
    _show_figures({name: compute_contrast(found) for name, found in counts.items()})
    st.caption(
        (f"Lung: {source}. " if source else "")
        + f"Pictures and histograms took {1000 * spent:.0f}\u00a0ms."
    )


def _lung_in_box(current: OpenStudy, pictures: BeforeAfter) -> tuple[BoolArray, str]:
    """Lung of the slice, on the picture of the box, and where it is known from."""
    lung, source = _lung_of_slice(current, pictures.slice_index)
    box = pictures.record.box
    return lung[box.j_start : box.j_stop, box.i_start : box.i_stop], source


def _lung_of_slice(current: OpenStudy, slice_index: int) -> tuple[BoolArray, str]:
    for name, pair in known_masks(current).items():
        if pair.lung is not None:
            return pair.lung[:, :, slice_index].T, name.lower()
    volume = current.study.volume
    region = remember(current, ("region", RoiConfig()), lambda: find_region(volume, RoiConfig()))
    return part_slice_of(volume, region, slice_index).lung, "air inside the body"


def _show_figures(figures: dict[str, Contrast]) -> None:
    st.markdown(
        "**Contrast**",
        help="Of grey levels 0 to 255. *Entropy*: bits a pixel carries, 8 at most; noise raises it "
        "too. *RMS contrast*: standard deviation as a share of white. *Black*, *white*: share of "
        "pixels at either end, where differences are lost.",
    )
    show_figure_table(
        {
            "Grey levels": {
                name: [
                    _number(of.mean, 1),
                    _number(of.standard_deviation, 1),
                    _number(of.entropy_bits, 2),
                    _number(of.rms_contrast, 3),
                    percent(of.black_share),
                    percent(of.white_share),
                    percent(of.saturated_share),
                ]
                for name, of in figures.items()
            }
        },
        rows=[
            "Mean",
            "Standard deviation",
            "Entropy, bits",
            "RMS contrast",
            "Black",
            "White",
            "Saturated",
        ],
        caption="Contrast before and after",
    )


def _number(value: float, digits: int) -> str:
    return "not defined" if np.isnan(value) else f"{value:.{digits}f}"
