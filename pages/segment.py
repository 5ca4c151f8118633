"""Segment: run the network, set thresholds, take the masks away."""

import streamlit as st

from core.ui import browsing, results, segmenting
from core.ui.page import BROWSE_PAGE, begin_page, go_to, need_study, show_errors, show_scan_warnings
from core.ui.viewer import Window

begin_page(
    "Segment",
    lead="A U-Net looks at each axial slice and says for every voxel how likely it is lung, and "
    "how likely infected. Thresholds turn that into masks.",
)
current = need_study()

with show_errors():
    weights = results.choose_weights()
    running = segmenting.show_progress()
    if weights is not None and not running:
        results.show_run_button(current, weights)

if current.segmentation is None:
    st.stop()

with show_errors():
    lung, infection = results.choose_thresholds(current)
    segmenting.change_thresholds(current, lung=lung, infection=infection)

results.show_headline(current)
picture, facts = st.columns([7, 5], gap="large")
with picture:
    slice_index = browsing.choose_slice(current, "axial")
    browsing.show_picture(
        current,
        plane="axial",
        slice_index=slice_index,
        window=Window(center=-600, width=1500),
        sources=("Prediction",),
        key="preview",
    )
    if st.button("See all slices in Browse", type="primary", icon=":material/view_carousel:"):
        go_to(BROWSE_PAGE)
with facts:
    results.show_run_facts(current)
    st.markdown("**Take it away**")
    results.show_downloads(current)
    show_scan_warnings(current)
