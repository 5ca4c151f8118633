"""The measurements beside the picture: areas, volumes, shares and agreement with the truth.

Everything is computed once per study, segmentation and plane, and then read per slice.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import CHANNELS, Channel, Plane
from core.evaluation import Overlap, compute_overlap, compute_overlap_per_slice
from core.measuring.biomarkers import (
    Burden,
    FloatVector,
    SliceBurden,
    compute_burden,
    compute_slice_burden,
)
from core.system import number_text
from core.ui.session import OpenStudy, remember
from core.ui.tables import show_number_table
from core.ui.text import area_text, percent, volume_text
from core.volume import PLANE_AXIS, BoolArray, MaskPair


def known_masks(current: OpenStudy) -> dict[str, MaskPair]:
    """The pairs of masks there are, by name, prediction first."""
    pairs = {"Prediction": current.prediction, "Truth": current.study.truth}
    return {name: pair for name, pair in pairs.items() if pair is not None}


def scan_burden(current: OpenStudy, name: str) -> Burden:
    """Volumes and infected share of one pair of masks over the whole scan."""
    pair, volume = known_masks(current)[name], current.study.volume
    return remember(current, ("scan", name), lambda: compute_burden(pair, volume))


def slice_burden(current: OpenStudy, name: str, plane: Plane) -> SliceBurden:
    """Areas and infected share of one pair of masks, for each slice of a plane."""
    pair, volume = known_masks(current)[name], current.study.volume
    return remember(
        current, ("slices", name, plane), lambda: compute_slice_burden(pair, volume, plane=plane)
    )


def guide_counts(current: OpenStudy, plane: Plane) -> FloatVector | None:
    """Infected pixels per slice by the prediction, or by the truth where nothing is predicted."""
    for name, pair in known_masks(current).items():
        if pair.infection is not None:
            return slice_burden(current, name, plane).infection_pixels
    return None


def show_burden(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Areas in this slice, volumes in the whole scan, and the infected share of both."""
    pairs = known_masks(current)
    if not pairs:
        st.caption(
            "Nothing is marked in this scan yet. Once lung and infection are marked, their "
            "areas and volumes appear here."
        )
        return
    here, whole = {}, {}
    for name, pair in pairs.items():
        burden = slice_burden(current, name, plane)
        areas = (burden.lung_area_mm2[slice_index], burden.infection_area_mm2[slice_index])
        share = percent(float(burden.infection_fraction[slice_index]))
        here[name] = _column(pair, [area_text(float(area)) for area in areas], share)
        total = scan_burden(current, name)
        volumes = (total.lung_volume_ml, total.infection_volume_ml)
        share = percent(total.infection_fraction)
        whole[name] = _column(pair, [volume_text(volume) for volume in volumes], share)
    st.markdown(
        "**How much is infected**",
        help="Areas in this slice, volumes in the whole scan. The share is infected lung divided "
        "by lung; it is not defined where there is no lung.",
    )
    show_number_table(
        {"This slice": here, "Whole scan": whole},
        rows=["Lung", "Infection", "Infected share"],
        caption="How much is infected, in this slice and in the whole scan",
    )
    if current.study.volume.spacing_nominal:
        st.caption(
            "Areas and volumes are not known: the file does not give the voxel size. "
            "Shares and overlaps do not need it."
        )


def _column(pair: MaskPair, sizes: list[str], share: str) -> list[str]:
    lung, infection = sizes
    return [
        lung if pair.lung is not None else "no mask",
        infection if pair.infection is not None else "no mask",
        share,
    ]


def show_agreement(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Dice, IoU, precision and recall of the prediction, where the truth is known."""
    groups = {}
    for channel in CHANNELS:
        masks = _both_masks(current, channel)
        if masks is None:
            continue
        per_slice, whole = _overlaps(current, channel, masks, plane)
        groups[channel.capitalize()] = {
            "This slice": [
                number_text(float(per_slice[name][slice_index])) for name in _OVERLAP_ROWS
            ],
            "Whole scan": [number_text(getattr(whole, name)) for name in _OVERLAP_ROWS],
        }
    if not groups:
        return
    st.markdown(
        "**Agreement with the truth**",
        help="Dice and IoU say how much prediction and truth overlap (1 is the same). Precision: "
        "how much of the prediction is true. Recall: how much of the truth was found. "
        "Not defined where there is nothing to compare.",
    )
    show_number_table(
        groups,
        rows=list(_OVERLAP_ROWS.values()),
        caption="Agreement of prediction and truth",
    )


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
