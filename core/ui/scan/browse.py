"""The part Browse of View: the scan slice by slice, with what is marked in it."""

from __future__ import annotations

import streamlit as st

from core.ui import segmenting
from core.ui.own_cases import show_training_case
from core.ui.scan import browsing, lying, measures, notes, second_network, surfaces
from core.ui.scan.biomarkers import show_biomarkers
from core.ui.scan.headline import headline_words, show_headline
from core.ui.scan.mark_button import mark_and_browse
from core.ui.scan.slides import show_slides
from core.ui.session import OpenStudy


def show_browse(current: OpenStudy) -> None:
    """Picture and measurements, and below them what is to be asked about the scan."""
    _look(current)
    browsing.show_grey_scale_choice(current)
    lying.show_question(current)


@st.fragment
def _look(current: OpenStudy) -> None:
    """Picture and measurements: the part of the page that follows the slice."""
    picture, numbers = st.columns([7, 5], gap="large")
    with picture:
        place = browsing.place_of(current)
        if browsing.slices_are_wanted():
            surfaces.look_in_space(False)
        if surfaces.in_space() and current.study.volume.shape[2] > 1:
            surfaces.show_surfaces(current, place.plane, place.slice_index)
        else:
            browsing.show_picture(
                current,
                key="picture",
                tallest=0.62,
                headline=headline_words(current),
                on_solid=surfaces.look_in_space if current.study.volume.shape[2] > 1 else None,
            )
        notes.show_notes(current)
    with numbers:
        # Of one height, so that nothing below moves when the result comes.
        with st.container(key="result-room"):
            running = segmenting.show_progress()
            mark_and_browse(current)
            if current.result is None and not running:
                st.caption(
                    "The result then stands here in one sentence: how much is infected, and where."
                )
            show_headline(current, key="browse")
        measures.show_difference(current, place.plane, place.slice_index)
        show_training_case(current)
        measures.show_burden(current, place.plane, place.slice_index)
        measures.show_agreement(current, place.plane, place.slice_index)
        second_network.show_second_network(current, place.plane, place.slice_index)
        show_biomarkers(current)
        show_slides(current)
    browsing.write_address(current)
