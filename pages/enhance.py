"""Enhance: tune contrast, and see at once what it does to picture, histogram and network."""

import streamlit as st

from core.ui import enhancing, settings_files, trying
from core.ui.page import begin_page, need_study, show_scan_warnings
from core.ui.session import OpenStudy
from core.ui.settings import write_address


@st.fragment
def tune(current: OpenStudy) -> None:
    """Settings beside pictures: a change runs this part of the page only."""
    base = enhancing.base_preprocess()
    settings = enhancing.read_settings(base)
    picture, controls = st.columns([7, 5], gap="large")
    with controls:
        enhancing.show_presets(settings)
        enhancing.choose_method(settings)
        enhancing.choose_window(current, settings, base)
    config = enhancing.build_config(settings.values, base)
    with picture:
        slice_index = enhancing.choose_slice(current)
        pictures = enhancing.compute_pictures(current, config, slice_index)
        enhancing.show_before_after(current, pictures)
    with controls:
        enhancing.show_contrast(current, pictures)
        settings_files.show_files(settings, base)
    with picture:
        trying.show_trial(current, config, pictures)
    write_address(current, slice_index, settings)


begin_page(
    "Enhance",
    lead="What the network sees is made in steps: box, window, contrast, size. Here the middle two "
    "are tuned on one slice of the open scan, with the very functions that make the network's "
    "input.",
)
current = need_study()
tune(current)
show_scan_warnings(current)
