"""The widgets of Region of interest: settings, boxes over the scan, savings, the cropped file."""

from __future__ import annotations

from dataclasses import asdict, replace
from math import prod

import numpy as np
import streamlit as st

from core.config import ROI_RANGES, TYPICAL_SECONDS_PER_SLICE, RoiConfig
from core.output import volume_nifti_bytes
from core.preprocessing import plan_spatial
from core.preprocessing.roi import (
    BoundingBox,
    Region,
    SliceTissue,
    VolumeBox,
    compute_savings,
    count_levels,
    crop_volume,
    find_region,
    level_values,
    part_slice_of,
    slice_levels,
    tissue_threshold,
)
from core.segmentation import find_outlines
from core.system import number_text
from core.ui.chart_view import show_chart
from core.ui.charts.histogram import make_histogram_figure
from core.ui.charts.style import SERIES_COLOURS
from core.ui.preprocess.enhance import base_preprocess
from core.ui.scan.browsing import place_of, viewer_scan
from core.ui.segment.results import file_stem
from core.ui.session import OpenStudy, remember
from core.ui.settings import Settings
from core.ui.tables import show_number_table
from core.ui.text import area_text, percent, seconds_text
from core.ui.viewer import Box, Line, show_viewer
from core.volume import BoolArray, Volume, pixel_size_mm

_BOX_COLOUR = "#F2F5F8"
"""No colour: boxes differ by line; colours belong to outlines."""
_MASK_COLOURS = {
    "Body": SERIES_COLOURS[3],
    "Air inside": SERIES_COLOURS[5],
    "Lung candidates": SERIES_COLOURS[2],
}
_MIN_OUTLINE_POINTS = 8
"""Shorter outlines are specks of noise."""


def read_settings() -> Settings:
    """The settings of this session, of the address, or those of the network's box."""
    return Settings("region", asdict(RoiConfig()), lambda values: RoiConfig(**values))


def choose(settings: Settings) -> RoiConfig:
    """What is looked for, by which threshold, and with how much around it."""
    settings.choose(
        "Keep",
        "target",
        {"body": "Body", "lungs": "Lungs"},
        help="**Body**: the box that the network's input is cropped to. **Lungs**: tighter, "
        "found by the air in them. Too tight where disease has filled lung with fluid: "
        "check the box.",
    )
    settings.choose(
        "Threshold",
        "method",
        {"otsu": "Otsu", "multi-otsu": "Multi-Otsu"},
        help="What is brighter is tissue. **Otsu** separates all values into two classes, "
        "**multi-Otsu** into more; of its thresholds the one nearest to −500 HU, halfway "
        "between air and water, separates tissue from air.",
    )
    if settings.values["method"] == "multi-otsu":
        settings.slide(
            "Classes",
            "classes",
            ROI_RANGES["classes"],
            help="How many classes the values are separated into. Too many: the threshold "
            "moves into lung, and ground glass counts as tissue.",
        )
    settings.choose(
        "Threshold from",
        "scope",
        {"volume": "The volume", "slice": "Each slice"},
        help="One threshold for the whole scan, or one for each slice. One for each slice can "
        "fail where a slice shows little air.",
    )
    settings.slide(
        "Margin in the slice, mm",
        "margin_mm",
        ROI_RANGES["margin_mm"],
        help="Added to the box on each side. Too little: skin, or lung at its edge, is cut off. "
        "Too much: nothing is saved.",
    )
    settings.switch(
        "Leave out slices without lungs",
        "leave_out_slices",
        help="Slices below and above the lungs, such as belly and neck, are not kept.",
    )
    if settings.values["leave_out_slices"]:
        settings.slide(
            "Margin below and above, mm",
            "slice_margin_mm",
            ROI_RANGES["slice_margin_mm"],
            help="Kept of the slices beyond the lungs. Too little: the lowest lung, where fluid "
            "gathers and no air shows, is cut off.",
        )
    return RoiConfig(**settings.values)


def compute_region(current: OpenStudy, config: RoiConfig) -> Region:
    """The region; found once per scan and settings."""
    volume = current.study.volume
    return remember(
        current,
        ("region", config),
        lambda: find_region(volume, config),
        doing="Finding the region…",
    )


def show_findings(current: OpenStudy, region: Region) -> None:
    """What stands in the way, and whether this is the box that the network takes."""
    for finding in region.findings:
        st.warning(finding.text, icon=":material/info:")
    networks = _networks_box(current)
    if region.box.in_slice == networks:
        st.caption("In the slice, this is the box that the network's input is cropped to.")
    else:
        st.caption(
            f"The network's own box is {networks.width} × {networks.height} pixels, drawn dotted."
        )


def _networks_box(current: OpenStudy) -> BoundingBox:
    own, volume = base_preprocess(), current.study.volume
    key = ("network's box", own.crop, own.margin_mm)
    return remember(
        current, key, lambda: plan_spatial(volume, replace(own, level_slices=False)).box
    )


def show_picture(current: OpenStudy, region: Region) -> int:
    """The boxes on all planes, and outlines of body, air and lungs on the axial slice."""
    shown = st.pills(
        "Outlines",
        tuple(_MASK_COLOURS),
        selection_mode="multi",
        default=("Body", "Lung candidates"),
        key="region-outlines",
        persist_state="session",
        help="On the axial slice. Body: the largest piece of tissue and what it encloses. Air "
        "inside: what of it is darker than the threshold. Lung candidates: its large "
        "pieces; a threshold does not see disease, so do not measure on these.",
    )
    place = place_of(current)
    slice_index = place.voxel[2]
    parted = part_slice_of(current.study.volume, region, slice_index)
    masks = {"Body": parted.body, "Air inside": parted.air, "Lung candidates": parted.lung}
    drawings: list[Box | Line] = _boxes(current, region, slice_index)
    for name in shown:
        drawings += _outlines(masks[name], slice_index, colour=_MASK_COLOURS[name])
    show_viewer(
        viewer_scan(current),
        place,
        key="region-picture",
        drawings=drawings,
        tallest=0.56,
    )
    st.caption(
        "White boxes. Solid: what is kept. Dashed: the box of this slice by itself. Dotted: the "
        "network's own box, where it differs."
    )
    return slice_index


def _boxes(current: OpenStudy, region: Region, slice_index: int) -> list[Box | Line]:
    box, networks = region.box, _networks_box(current)
    stop = tuple(part.stop for part in box.slices)
    drawings: list[Box | Line] = [Box(box.start, stop, label="Region", colour=_BOX_COLOUR)]
    if networks != box.in_slice:
        drawings.append(
            Box(
                (networks.i_start, networks.j_start, 0),
                (networks.i_stop, networks.j_stop, current.study.volume.shape[2]),
                colour=_BOX_COLOUR,
                line="dotted",
            )
        )
    own = region.slice_boxes[slice_index]
    if own is not None:
        drawings.append(
            Box(
                (own.i_start, own.j_start, slice_index),
                (own.i_stop, own.j_stop, slice_index + 1),
                colour=_BOX_COLOUR,
                line="dashed",
            )
        )
    return drawings


def _outlines(mask: BoolArray, slice_index: int, *, colour: str) -> list[Box | Line]:
    """Of a mask (rows, columns) on the axial slice."""
    everything = BoundingBox(0, mask.shape[1], 0, mask.shape[0])
    return [
        Line(points, slices=(slice_index, slice_index), closed=True, colour=colour)
        for points in find_outlines(mask.T, everything)
        if len(points) >= _MIN_OUTLINE_POINTS
    ]


def show_histogram(current: OpenStudy, region: Region, config: RoiConfig, slice_index: int) -> None:
    """The values that the threshold was found on, with the threshold drawn in."""
    logarithmic = st.toggle(
        "Logarithmic counts",
        value=True,
        key="region-logarithmic",
        persist_state="session",
        help="Shows rare values beside frequent ones.",
    )
    volume = current.study.volume
    if config.scope == "slice":
        counts = {"This slice": count_levels(slice_levels(volume, slice_index))}
    else:
        counts = {"Volume": region.counts}
    thresholds = region.thresholds[slice_index]
    chart = make_histogram_figure(
        counts,
        values=level_values(volume, np.arange(256)),
        value_label=_value_label(volume),
        logarithmic=bool(logarithmic),
        lines={
            _threshold_name(volume, level, thresholds): float(level_values(volume, level))
            for level in thresholds
        },
    )
    show_chart(chart, key="region-histogram")


def _value_label(volume: Volume) -> str:
    return "HU" if volume.unit == "HU" else "Grey value of the file"


def _threshold_name(volume: Volume, level: int, thresholds: tuple[int, ...]) -> str:
    value = number_text(float(level_values(volume, level)), digits=0)
    unit = " HU" if volume.unit == "HU" else ""
    parts = "tissue above " if level == tissue_threshold(thresholds) else ""
    return f"{parts}{value}{unit}"


def show_sizes(current: OpenStudy, region: Region, slice_index: int) -> None:
    """Sides of the boxes, and areas in the slice."""
    volume = current.study.volume
    own = region.slice_boxes[slice_index]
    columns = {"Region": _sides(volume, region.box)}
    if own is not None:
        columns["This slice"] = _sides(volume, VolumeBox(own, slice_index, slice_index + 1))
    show_number_table(
        {"Box": columns},
        rows=["Right to left", "Front to back", "Feet to head"],
        caption="Sides of the boxes",
    )
    parted = part_slice_of(volume, region, slice_index)
    show_number_table(
        {"In this slice": {"Area": _areas(volume, parted)}},
        rows=["Body", "Air inside it", "Lung candidates"],
        caption="Areas in this slice",
    )


def _sides(volume: Volume, box: VolumeBox) -> list[str]:
    unit = ("pixels", "pixels", "slice" if box.shape[2] == 1 else "slices")
    if volume.spacing_nominal:
        return [f"{n} {what}" for n, what in zip(box.shape, unit, strict=True)]
    return [
        f"{n} {what}, {n * step:.0f}\u00a0mm"
        for n, what, step in zip(box.shape, unit, volume.spacing_mm, strict=True)
    ]


def _areas(volume: Volume, parted: SliceTissue) -> list[str]:
    pixels = [int(np.count_nonzero(mask)) for mask in (parted.body, parted.air, parted.lung)]
    if volume.spacing_nominal:
        return [f"{n} pixels" for n in pixels]
    return [area_text(n * prod(pixel_size_mm(volume, "axial"))) for n in pixels]


def show_savings(current: OpenStudy, region: Region) -> None:
    """Voxels, memory and time of the network, before and after."""
    per_slice, source = _seconds_per_slice(current)
    savings = compute_savings(current.study.volume, region.box, seconds_per_slice=per_slice)
    st.markdown(
        "**What it saves**",
        help="The network scales each slice's box to the same size. Leaving out pixels shows "
        "it more detail but saves no time; leaving out slices does.",
    )
    show_number_table(
        {
            "Scan": {
                name: [
                    f"{savings.voxels[at] / 1e6:.2f} million",
                    f"{savings.megabytes[at]:.1f}\u00a0MB",
                    str(savings.slices[at]),
                    seconds_text(savings.seconds[at]),
                ]
                for at, name in enumerate(("Before", "After"))
            }
        },
        rows=["Voxels", "In memory", "Slices", "Network, predicted"],
        caption="What the region saves",
    )
    st.caption(f"{percent(savings.kept_share)} of the voxels are kept. Time: {source}.")


def _seconds_per_slice(current: OpenStudy) -> tuple[float, str]:
    done = current.segmentation
    if done is None:
        return (
            TYPICAL_SECONDS_PER_SLICE,
            "typical of two CPU cores; run the network once to measure this machine's",
        )
    slices = current.study.volume.shape[2]
    return sum(done.seconds.values()) / slices, "by the run of this scan"


def show_download(current: OpenStudy, region: Region) -> None:
    """The cropped scan as a file, packed when it is asked for."""
    volume = current.study.volume

    def pack() -> bytes:
        cropped, _ = crop_volume(volume, region.box)
        return volume_nifti_bytes(cropped)

    st.download_button(
        "Cropped scan (NIfTI)",
        data=pack,
        file_name=f"{file_stem(current)}_cropped.nii.gz",
        mime="application/gzip",
        icon=":material/download:",
        on_click="ignore",
        key="download-cropped",
        help="What is inside the solid box, with the scan's own values. It opens at the right "
        "position over the original.",
    )
