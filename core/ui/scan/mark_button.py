"""From an open scan to marked slices in one click."""

from __future__ import annotations

import streamlit as st

from core.ui import segmenting
from core.ui.navigation import BROWSE, go_to
from core.ui.page import show_errors
from core.ui.session import OpenStudy


def mark_and_browse(current: OpenStudy) -> None:
    """A button that runs the default network and goes to Browse, where the marks appear."""
    if current.segmentation is not None or segmenting.is_running():
        return
    with show_errors():
        weights = segmenting.default_weights()
        if weights is None:
            st.caption(
                "No trained network is installed, so nothing can be marked. Get the repository "
                "with its `weights/` folder, or train a network on **Train**."
            )
            return
        clicked = st.button(
            "Mark lung and infection",
            type="primary",
            icon=":material/ink_highlighter:",
            help="Runs the network on the open scan and shows the result on View.",
        )
        if clicked:
            segmenting.start(current, weights)
            go_to(BROWSE)
