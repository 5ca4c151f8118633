"""Enhance: tune contrast, and see at once what it does to picture, histogram and network."""

import streamlit as st

from core.ui.page import begin_page, need_study, show_scan_warnings
from core.ui.preprocess import contrast, enhance, settings_files, trial
from core.ui.session import OpenStudy
from core.ui.settings import write_address


@st.fragment
def tune(current: OpenStudy) -> None:
    """Settings beside pictures: a change runs this part of the page only."""
    base = enhance.base_preprocess()
    settings = enhance.read_settings(base)
    picture, controls = st.columns([7, 5], gap="large")
    with controls:
        enhance.show_presets(settings)
        enhance.choose_method(settings)
        enhance.choose_window(current, settings, base)
    config = enhance.build_config(settings.values, base)
    with picture:
        slice_index = enhance.choose_slice(current)
        pictures = enhance.compute_pictures(current, config, slice_index)
        enhance.show_before_after(current, pictures)
    with controls:
        contrast.show_contrast(current, pictures)
        settings_files.show_files(settings, base)
    with picture:
        trial.show_trial(current, config, pictures)
    write_address(current, slice_index, settings)


begin_page(
    "Enhance",
    lead="The network's input is computed in steps: crop, window, contrast, resize. Here "
    "window and contrast are tuned on one slice of the open scan, with the same functions "
    "that compute the network's input.",
)
current = need_study()
tune(current)
show_scan_warnings(current)
