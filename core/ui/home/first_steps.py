"""What Home says to someone who sees it for the first time."""

from __future__ import annotations

import streamlit as st

from core.ui import segmenting
from core.ui.session import OpenStudy


def show_if_demo(current: OpenStudy) -> None:
    """That the open scan is the demo study."""
    if current.origin == "demo":
        st.caption(
            "The demo study is a **generated** chest, no patient's scan. Its true lung and "
            "infection are known: they are dashed in the picture. The network does not see them. "
            "Open a scan of your own under **Open a scan**."
        )


def show_what_marking_gives(current: OpenStudy) -> None:
    """What comes of the button, before it was pressed."""
    if current.segmentation is None and not segmenting.is_running():
        st.caption(
            "**Mark lung and infection** runs the network for some seconds. Then one sentence "
            "gives how much of the lung is infected, and where; tables and a report follow."
        )
