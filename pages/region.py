"""Region of interest: what of a scan is worth keeping, and what that saves."""

import streamlit as st

from core.ui.page import begin_page, need_study, show_scan_warnings
from core.ui.preprocess import region, settings_files
from core.ui.session import OpenStudy
from core.ui.settings import write_address


@st.fragment
def look(current: OpenStudy) -> None:
    """Settings beside the boxes they give: a change runs this part of the page only."""
    settings = region.read_settings()
    picture, controls = st.columns([7, 5], gap="large")
    with controls:
        config = region.choose(settings)
    found = region.compute_region(current, config)
    with picture:
        slice_index = region.show_picture(current, found)
        region.show_findings(current, found)
        region.show_savings(current, found)
        region.show_download(current, found)
    with controls:
        region.show_histogram(current, found, config, slice_index)
        region.show_sizes(current, found, slice_index)
        settings_files.show_region_files(settings, config)
    write_address(current, slice_index, settings)


begin_page(
    "Region of interest",
    lead="A threshold separates tissue from air; the largest piece of tissue is the body, and "
    "the air it encloses shows the lungs. No network is used. What lies outside can be "
    "cropped away.",
)
current = need_study()
look(current)
show_scan_warnings(current)
