"""The figures beside the picture: areas, volumes, shares and agreement with the truth.

Everything is computed once per study, segmentation and plane, and then read per slice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from core.biomarkers import compute_burden, compute_slice_burden
from core.config import CHANNELS, Channel, Plane
from core.figures import make_infection_profile_figure
from core.metrics import Overlap, compute_overlap, compute_overlap_per_slice
from core.ui.session import OpenStudy, remember
from core.ui.text import area_text, percent, score, volume_text
from core.volume import PLANE_AXIS, BoolArray, MaskPair

Counts = npt.NDArray[np.int64]


def known_masks(current: OpenStudy) -> dict[str, MaskPair]:
    """The pairs of masks there are, by name, prediction first."""
    pairs = {"Prediction": current.prediction, "Truth": current.study.truth}
    return {name: pair for name, pair in pairs.items() if pair is not None}


def infected_pixels(current: OpenStudy, name: str, plane: Plane) -> Counts:
    """(slices,) number of infected pixels in each slice of a plane."""

    def compute() -> Counts:
        mask = known_masks(current)[name].infection
        count = current.study.volume.plane_count(plane)
        if mask is None:
            return np.zeros(count, dtype=np.int64)
        others = tuple(axis for axis in range(3) if axis != PLANE_AXIS[plane])
        return np.count_nonzero(mask, axis=others)

    counts: Counts = remember(current, ("infected", name, plane), compute)
    return counts


def guide_counts(current: OpenStudy, plane: Plane) -> Counts | None:
    """Infected pixels per slice by the prediction, or by the truth where nothing is predicted."""
    for name, pair in known_masks(current).items():
        if pair.infection is not None:
            return infected_pixels(current, name, plane)
    return None


def show_figures(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """All figures of the open study, or what to do to get some."""
    if not known_masks(current):
        st.info(
            "Nothing is marked yet. Run the network to see how much of the lung is infected.",
            icon=":material/ink_highlighter:",
        )
        return
    show_profile(current, plane, slice_index)
    show_burden(current, plane, slice_index)
    show_agreement(current, plane, slice_index)


def show_burden(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Areas in this slice, volumes in the whole scan, and the infected share of both."""
    slice_columns, scan_columns = {}, {}
    for name, pair in known_masks(current).items():
        slice_columns[name] = _slice_burden(current, name, pair, plane, slice_index)
        scan_columns[name] = _scan_burden(current, name, pair)
    rows = ["Lung", "Infection", "Infected share"]
    st.markdown("**This slice**")
    st.table(pd.DataFrame(slice_columns, index=rows), border="horizontal")
    st.markdown("**Whole scan**")
    st.table(pd.DataFrame(scan_columns, index=rows), border="horizontal")
    if current.study.volume.spacing_nominal:
        st.caption(
            "Areas and volumes are not known: the file does not say how large a voxel is. "
            "Shares and overlaps do not need it."
        )


def _slice_burden(
    current: OpenStudy, name: str, pair: MaskPair, plane: Plane, slice_index: int
) -> list[str]:
    volume = current.study.volume
    burden = remember(
        current,
        ("slices", name, plane),
        lambda: compute_slice_burden(pair, volume, plane=plane),
    )
    return [
        area_text(float(burden.lung_area_mm2[slice_index])) if pair.lung is not None else "no mask",
        area_text(float(burden.infection_area_mm2[slice_index]))
        if pair.infection is not None
        else "no mask",
        percent(float(burden.infection_fraction[slice_index])),
    ]


def _scan_burden(current: OpenStudy, name: str, pair: MaskPair) -> list[str]:
    burden = scan_burden(current, name, pair)
    return [
        volume_text(burden.lung_volume_ml) if pair.lung is not None else "no mask",
        volume_text(burden.infection_volume_ml) if pair.infection is not None else "no mask",
        percent(burden.infection_fraction),
    ]


def scan_burden(current: OpenStudy, name: str, pair: MaskPair) -> Any:
    """Volumes and infected share of one pair of masks over the whole scan."""
    return remember(current, ("scan", name), lambda: compute_burden(pair, current.study.volume))


def show_agreement(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Dice, IoU, precision and recall of the prediction, where the truth is known."""
    columns = {}
    for channel in CHANNELS:
        masks = _both_masks(current, channel)
        if masks is None:
            continue
        per_slice, whole = _overlaps(current, channel, masks, plane)
        columns[f"{channel.capitalize()}, slice"] = [
            score(float(per_slice[name][slice_index])) for name in _OVERLAP_ROWS
        ]
        columns[f"{channel.capitalize()}, scan"] = [
            score(getattr(whole, name)) for name in _OVERLAP_ROWS
        ]
    if not columns:
        return
    st.markdown(
        "**Agreement with the truth**",
        help="Dice and IoU say how much prediction and truth overlap (1 is the same). Precision: "
        "how much of the prediction is true. Recall: how much of the truth was found. "
        "Not defined where there is nothing to compare.",
    )
    st.table(pd.DataFrame(columns, index=list(_OVERLAP_ROWS.values())), border="horizontal")


_OVERLAP_ROWS = {"dice": "Dice", "iou": "IoU", "precision": "Precision", "recall": "Recall"}


def _both_masks(current: OpenStudy, channel: Channel) -> tuple[BoolArray, BoolArray] | None:
    truth, prediction = current.study.truth, current.prediction
    if truth is None or prediction is None:
        return None
    true_mask = truth.lung if channel == "lung" else truth.infection
    predicted = prediction.lung if channel == "lung" else prediction.infection
    return (true_mask, predicted) if true_mask is not None and predicted is not None else None


def _overlaps(
    current: OpenStudy, channel: Channel, masks: tuple[BoolArray, BoolArray], plane: Plane
) -> tuple[dict[str, Any], Overlap]:
    per_slice = remember(
        current,
        ("overlap", channel, plane),
        lambda: compute_overlap_per_slice(*masks, axis=PLANE_AXIS[plane]),
    )
    whole = remember(current, ("overlap", channel), lambda: compute_overlap(*masks))
    return per_slice, whole


def show_profile(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Infected area of each slice along the scan, with the current slice marked."""
    values: dict[str, Any] = {}
    areas_known = not current.study.volume.spacing_nominal
    for name, pair in known_masks(current).items():
        if pair.infection is None:
            continue
        counts = infected_pixels(current, name, plane)
        values[name.lower()] = counts * _pixel_area_cm2(current, plane) if areas_known else counts
    if not values:
        return
    figure = make_infection_profile_figure(
        **values,
        current_index=slice_index,
        value_label="Infected, cm²" if areas_known else "Infected, pixels",
        plane=plane,
    )
    st.markdown("**Infected area along the scan**")
    st.plotly_chart(
        figure,
        key="profile",
        theme=None,
        config={"displayModeBar": False},
    )


def _pixel_area_cm2(current: OpenStudy, plane: Plane) -> float:
    sizes = list(current.study.volume.spacing_mm)
    del sizes[PLANE_AXIS[plane]]
    return float(np.prod(sizes)) / 100.0
