"""The parts of Preprocess: Enhance tunes contrast, Region finds what is worth keeping."""

from __future__ import annotations

import streamlit as st

from core.ui.preprocess import contrast, enhance, region, settings_files, trial
from core.ui.scan.doubts import show_doubts
from core.ui.session import OpenStudy
from core.ui.settings import write_address


def show_enhance(current: OpenStudy) -> None:
    """Contrast: what it does to picture, histogram and network."""
    _tune(current)


@st.fragment
def _tune(current: OpenStudy) -> None:
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
        show_doubts(current, key="enhance")
    write_address(current, slice_index, settings)


def show_region(current: OpenStudy) -> None:
    """What of a scan is worth keeping, and what that saves."""
    _find(current)


@st.fragment
def _find(current: OpenStudy) -> None:
    """Settings beside the boxes they give: a change runs this part of the page only."""
    settings = region.read_settings()
    picture, controls = st.columns([7, 5], gap="large")
    with controls:
        config = region.choose(settings)
    found = region.compute_region(current, config)
    with picture:
        slice_index = region.show_picture(current, found)
        show_doubts(current, key="region")
        region.show_findings(current, found)
        region.show_savings(current, found)
        region.show_download(current, found)
    with controls:
        region.show_histogram(current, found, config, slice_index)
        region.show_sizes(current, found, slice_index)
        settings_files.show_region_files(settings, config)
    write_address(current, slice_index, settings)
