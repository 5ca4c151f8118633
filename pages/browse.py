"""Browse: the scan slice by slice, with what is marked in it."""

import streamlit as st

from core.ui import browsing, measures, segmenting
from core.ui.page import begin_page, need_study, show_scan_warnings
from core.ui.starting import mark_and_browse

begin_page("Browse")
current = need_study()
segmenting.show_progress()

picture, figures = st.columns([7, 5], gap="large")
with figures, st.container(border=True):
    plane_place, window_place = st.columns(2)
    with plane_place:
        plane = browsing.choose_plane(current)
    with window_place:
        window = browsing.choose_window(current)
    sources, overlay = browsing.choose_overlay(current)
    browsing.show_grey_scale_choice(current)

with picture:
    slice_place, canvas_place = st.container(), st.container()
    with slice_place:
        slice_index = browsing.choose_slice(current, plane)
    with canvas_place:
        browsing.show_picture(
            current,
            plane=plane,
            slice_index=slice_index,
            window=window,
            sources=sources,
            overlay=overlay,
        )
    browsing.show_jump_buttons(current, plane, slice_index)
    mark_and_browse(current)
    show_scan_warnings(current)

with figures:
    measures.show_figures(current, plane, slice_index)
browsing.write_address(current, plane, slice_index)
