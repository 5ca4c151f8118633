"""Segment: run the network, set thresholds, download the masks."""

import streamlit as st

from core.ui import segmenting
from core.ui.navigation import BROWSE_PAGE
from core.ui.page import begin_page, go_to, need_study, show_errors, show_scan_warnings
from core.ui.scan import browsing
from core.ui.scan.biomarkers import show_biomarkers
from core.ui.segment import results

begin_page(
    "Segment",
    lead="A U-Net predicts the probability of lung and of infection for every voxel of each "
    "axial slice. Thresholds turn the probabilities into masks.",
)
current = need_study()

picture, controls = st.columns([7, 5], gap="large")
with controls, show_errors():
    running = segmenting.show_progress()
    weights = results.choose_weights()
    if weights is not None and not running:
        results.show_run_button(current, weights)
    if current.segmentation is not None:
        results.choose_thresholds(current, current.segmentation)
        results.show_headline(current)
        show_biomarkers(current)
        st.markdown("**Download**")
        results.show_downloads(current, current.result or current.segmentation)
        results.show_run_facts(current.segmentation)
    elif (drawn := current.result) is not None:
        results.show_headline(current)
        show_biomarkers(current)
        st.markdown("**Download**")
        results.show_downloads(current, drawn)

with picture:
    browsing.show_glance(current, key="preview", tallest=0.56)
    if current.segmentation is not None and st.button(
        "See all slices in Browse", type="primary", icon=":material/view_carousel:"
    ):
        go_to(BROWSE_PAGE)
    show_scan_warnings(current)
