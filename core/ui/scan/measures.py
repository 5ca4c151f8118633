"""The measurements beside the picture: areas, volumes, shares and agreement with the truth.

Everything is computed once per study, segmentation and plane, and then read per slice.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import CHANNELS, Channel, Plane
from core.evaluation import (
    Overlap,
    compute_differences,
    compute_overlap,
    compute_overlap_per_slice,
)
from core.measuring.biomarkers import (
    Burden,
    FloatVector,
    SliceBurden,
    compute_burden,
    compute_slice_burden,
)
from core.system import number_text
from core.ui.session import SECOND_NETWORK, OpenStudy, remember
from core.ui.tables import show_number_table
from core.ui.text import area_text, percent, volume_text
from core.volume import PLANE_AXIS, BoolArray, MaskPair

CORRECTED = "Corrected"
"""What masks corrected by hand are called on pages."""


def known_masks(current: OpenStudy) -> dict[str, MaskPair]:
    """The pairs of masks there are, by name: corrected first, then the prediction."""
    pairs = {
        CORRECTED: current.corrected,
        "Prediction": current.prediction,
        SECOND_NETWORK: current.second_prediction,
        "Truth": current.study.truth,
    }
    return {name: pair for name, pair in pairs.items() if pair is not None}


def scan_burden(current: OpenStudy, name: str) -> Burden:
    """Volumes and infected share of one pair of masks over the whole scan."""
    pair, volume = known_masks(current)[name], current.study.volume
    return remember(
        current,
        ("scan", name),
        lambda: compute_burden(pair, volume),
        corrected=name == CORRECTED,
    )


def slice_burden(current: OpenStudy, name: str, plane: Plane) -> SliceBurden:
    """Areas and infected share of one pair of masks, for each slice of a plane."""
    pair, volume = known_masks(current)[name], current.study.volume
    return remember(
        current,
        ("slices", name, plane),
        lambda: compute_slice_burden(pair, volume, plane=plane),
        corrected=name == CORRECTED,
    )


def guide_counts(current: OpenStudy, plane: Plane) -> FloatVector | None:
    """Infected pixels per slice by the corrected masks, else by the prediction or the truth."""
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
    rows, groups = (
        ["Lung", "Infection", "Infected share"],
        {"This slice": here, "Whole scan": whole},
    )
    caption = "How much is infected, in this slice and in the whole scan"
    # Three masks side by side, twice, would not fit.
    parts = [groups] if len(pairs) < 3 else [{name: group} for name, group in groups.items()]
    for part in parts:
        show_number_table(part, rows=rows, caption=caption)
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
    """Dice, IoU, precision and recall of each network and of masks corrected by hand, where the
    truth is known."""
    for name in known_masks(current):
        if name != "Truth":
            _show_agreement_of(current, name, plane, slice_index)


def _show_agreement_of(current: OpenStudy, source: str, plane: Plane, slice_index: int) -> None:
    groups = {}
    for channel in CHANNELS:
        masks = _both_masks(current, source, channel)
        if masks is None:
            continue
        per_slice, whole = _overlaps(current, source, channel, masks, plane)
        groups[channel.capitalize()] = {
            "This slice": [
                number_text(float(per_slice[name][slice_index])) for name in _OVERLAP_ROWS
            ],
            "Whole scan": [number_text(getattr(whole, name)) for name in _OVERLAP_ROWS],
        }
    if not groups:
        return
    whose, what = {
        CORRECTED: (": corrected by hand", "corrected mask"),
        SECOND_NETWORK: (": second network", "second network's mask"),
    }.get(source, ("", "prediction"))
    st.markdown(
        f"**Agreement with the truth{whose}**",
        help=f"Dice and IoU show how much {what} and truth overlap (1 means identical). Precision: "
        f"how much of the {what} is true. Recall: how much of the truth was found. "
        "Not defined where there is nothing to compare.",
    )
    show_number_table(
        groups,
        rows=list(_OVERLAP_ROWS.values()),
        caption=f"Agreement of {what} and truth",
    )


_OVERLAP_ROWS = {"dice": "Dice", "iou": "IoU", "precision": "Precision", "recall": "Recall"}


def _both_masks(
    current: OpenStudy, source: str, channel: Channel
) -> tuple[BoolArray, BoolArray] | None:
    truth, other = current.study.truth, known_masks(current)[source]
    if truth is None:
        return None
    true_mask = truth.lung if channel == "lung" else truth.infection
    predicted = other.lung if channel == "lung" else other.infection
    return (true_mask, predicted) if true_mask is not None and predicted is not None else None


def _overlaps(
    current: OpenStudy,
    source: str,
    channel: Channel,
    masks: tuple[BoolArray, BoolArray],
    plane: Plane,
) -> tuple[dict[str, Any], Overlap]:
    by_hand = source == CORRECTED
    per_slice = remember(
        current,
        ("overlap", source, channel, plane),
        lambda: compute_overlap_per_slice(*masks, axis=PLANE_AXIS[plane]),
        corrected=by_hand,
    )
    whole = remember(
        current, ("overlap", source, channel), lambda: compute_overlap(*masks), corrected=by_hand
    )
    return per_slice, whole


def dice_of(current: OpenStudy, source: str, channel: Channel) -> float | None:
    """Dice of the whole scan between one pair of masks and the truth; none where either is
    unknown."""
    masks = _both_masks(current, source, channel)
    if masks is None:
        return None
    whole: Overlap = remember(
        current,
        ("overlap", channel),
        lambda: compute_overlap(*masks),
        corrected=source == CORRECTED,
    )
    return whole.dice


def show_difference(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """What a person has changed in the network's masks, where both are known."""
    volume, network, yours = current.study.volume, current.correction.network, current.corrected
    if network is None or yours is None:
        return
    found = remember(
        current,
        ("difference", plane),
        lambda: compute_differences(network, yours, volume, plane=plane),
        corrected=True,
    )
    groups = {
        channel.capitalize(): {
            "This slice": [
                number_text(float(one.slice_dice[slice_index])),
                area_text(float(one.added_mm2[slice_index])),
                area_text(float(one.removed_mm2[slice_index])),
            ],
            "Whole scan": [
                number_text(one.dice),
                volume_text(one.added_ml),
                volume_text(one.removed_ml),
            ],
        }
        for channel, one in found.items()
    }
    st.markdown(
        "**Your masks against the network's**",
        help="How much the masks that you corrected by hand and the network's overlap (Dice: 1 "
        "means identical), and how much you added and removed.",
    )
    show_number_table(
        groups,
        rows=["Dice", "Added", "Removed"],
        caption="Masks corrected by hand against the network's",
    )
