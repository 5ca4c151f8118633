"""Browse: the scan slice by slice, with what is marked in it."""

import streamlit as st

from core.ui import browsing, measures, segmenting
from core.ui.page import begin_page, need_study, show_scan_warnings
from core.ui.starting import mark_and_browse

begin_page("Browse")
current = need_study()
segmenting.show_progress()

picture, figures = st.columns([7, 5], gap="large")
with picture:
    with st.container(horizontal=True, gap="medium"):
        plane = browsing.choose_plane(current)
        window = browsing.choose_window(current)
    canvas = st.container()
    slice_index = browsing.choose_slice(current, plane)
    browsing.show_jump_buttons(current, plane, slice_index)
    browsing.show_grey_scale_choice(current)
    show_scan_warnings(current)

with figures:
    mark_and_browse(current)
    sources, overlay = browsing.choose_overlay(current)

with canvas:
    browsing.show_picture(
        current,
        plane=plane,
        slice_index=slice_index,
        window=window,
        sources=sources,
        overlay=overlay,
    )

# After the picture, because large scans take a while to measure.
with figures:
    measures.show_profile(current, plane, slice_index)
    measures.show_burden(current, plane, slice_index)
    measures.show_agreement(current, plane, slice_index)

browsing.write_address(current, plane, slice_index)
