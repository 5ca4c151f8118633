"""The part Segment of View: run the network, set thresholds, download the masks."""

from __future__ import annotations

import streamlit as st

from core.ui import segmenting
from core.ui.page import show_errors
from core.ui.scan import browsing
from core.ui.scan.biomarkers import show_biomarkers
from core.ui.scan.headline import headline_words, show_headline
from core.ui.segment import results
from core.ui.session import OpenStudy


def show_segment(current: OpenStudy) -> None:
    """Weights, thresholds, measurements and files beside the picture."""
    picture, controls = st.columns([7, 5], gap="large")
    with controls, show_errors():
        running = segmenting.show_progress()
        weights = results.choose_weights()
        if weights is not None and not running:
            results.show_run_button(current, weights)
        show_headline(current, key="segment")
        if current.segmentation is not None:
            results.choose_thresholds(current, current.segmentation, chosen=weights)
            show_biomarkers(current)
            st.markdown("**Download**")
            results.show_downloads(current, current.result or current.segmentation)
            results.show_run_facts(current.segmentation)
        elif (drawn := current.result) is not None:
            show_biomarkers(current)
            st.markdown("**Download**")
            results.show_downloads(current, drawn)
    with picture:
        _look(current)


@st.fragment
def _look(current: OpenStudy) -> None:
    """The picture, which moves without drawing the rest again."""
    browsing.show_picture(current, key="picture", tallest=0.62, headline=headline_words(current))
    browsing.write_address(current)
