"""The parts of Preprocess: Enhance tunes contrast, Region finds what is worth keeping."""

from __future__ import annotations

import streamlit as st

from core.ui.preprocess import enhance, region, settings_files, trial
from core.ui.scan.browsing import place_of
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
    live, more = st.container(), st.container(horizontal=True, key="enhance-more")
    with more:
        enhance.show_actions(current, settings, base)
        with st.popover("Box and slices", icon=":material/crop:"):
            enhance.choose_rare(settings)
        with st.popover("Export settings", icon=":material/code:"):
            settings_files.show_files(settings, base)
        show_doubts(current, key="enhance")
    config = enhance.build_config(settings.values, base)
    with live:
        answer = trial.network_answer(current, config, place_of(current).voxel[2])
        enhance.show_live(current, settings, base, answer)
    write_address(current, place_of(current).voxel[2], settings)


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
        with st.expander("Export settings", icon=":material/code:"):
            settings_files.show_region_files(settings, config)
    write_address(current, slice_index, settings)
