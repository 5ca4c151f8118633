"""Another network's masks beside those of the first, on the same slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.config import CHANNELS, Plane
from core.errors import LungLensError
from core.evaluation import compute_differences
from core.system import number_text
from core.ui import segmenting
from core.ui.page import show_errors
from core.ui.session import SECOND_NETWORK, OpenStudy, remember
from core.ui.tables import show_number_table
from core.ui.text import area_text, volume_text

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import WeightsInfo


def show_second_network(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """A second network to run on the open scan, and how its masks differ from the first one's.

    The viewer shows both: as outlines, as agreement, on two sides of a divider (D), and W goes to
    the slice where they agree least.
    """
    if current.segmentation is None:
        return
    with st.expander("Compare with another network", icon=":material/compare:"):
        if segmenting.show_second_progress():
            return
        if current.second is None:
            _choose(current)
            return
        st.caption(
            f"{current.segmentation.weights_id} (prediction) and {current.second.weights_id} "
            "(second network). In the picture: Agreement, D for a divider, W for the slice where "
            "the chosen pair agrees least."
        )
        if st.button("Remove the second network", icon=":material/close:"):
            current.set_second(None)
            st.rerun()
    if current.second is not None:
        _show_difference(current, plane, slice_index)


def _choose(current: OpenStudy) -> None:
    assert current.segmentation is not None
    with show_errors():
        known = _others(current.segmentation.weights_id)
        if not known:
            st.caption("There is no other network here. Train and publish one on Train.")
            return
        chosen = st.selectbox(
            "Second network",
            known,
            format_func=lambda info: f"{info.title} · {info.weights_id}",
            key="second-weights",
            help="Shipped weights, and those published on this machine.",
        )
        if chosen is not None and st.button(
            "Mark with this network too", icon=":material/play_arrow:"
        ):
            segmenting.start_second(current, chosen)
            st.rerun()


def _others(weights_id: str) -> list[WeightsInfo]:
    try:
        known = segmenting.available_weights()
    except LungLensError:
        return []
    return [info for info in known if info.weights_id != weights_id]


def _show_difference(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    first, second = current.prediction, current.second_prediction
    if first is None or second is None:
        return
    found = remember(
        current,
        (SECOND_NETWORK, "difference", plane),
        lambda: compute_differences(first, second, current.study.volume, plane=plane),
    )
    groups = {
        channel.capitalize(): {
            "This slice": [
                number_text(float(found[channel].slice_dice[slice_index])),
                area_text(float(found[channel].added_mm2[slice_index])),
                area_text(float(found[channel].removed_mm2[slice_index])),
            ],
            "Whole scan": [
                number_text(found[channel].dice),
                volume_text(found[channel].added_ml),
                volume_text(found[channel].removed_ml),
            ],
        }
        for channel in CHANNELS
        if channel in found
    }
    st.markdown(
        "**Second network against the first**",
        help="How much the masks of both networks overlap (Dice, 1 is the same), and what only one "
        "of them marks.",
    )
    show_number_table(
        groups,
        rows=["Dice", "Only the second", "Only the first"],
        caption="Masks of the second network against those of the first",
    )
