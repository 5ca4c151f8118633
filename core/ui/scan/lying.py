"""The orientation of the open scan: the question whether it is right, and turning it."""

from __future__ import annotations

import streamlit as st

from core.ui.page import show_errors
from core.ui.session import OpenStudy
from core.ui.turning import turn_scan

_CODES = (
    "The letters give the direction of columns, rows and slices of the file: L left or R right, "
    "P posterior or A anterior, S superior or I inferior."
)


def show_question(current: OpenStudy) -> None:
    """Where the orientation in the file may be wrong: a button that turns the scan. Where a person
    has turned it: one that turns it back."""
    source = current.study.volume.source
    if source.stored_affine is not None:
        _show_turned(current)
        return
    if not source.other_orientation:
        return
    with st.container(border=True, key="orientation-question"):
        st.markdown("**Is the scan oriented correctly?**")
        st.caption(
            "Axial slices show the front of the body on top, coronal ones the head. Where they do "
            "not, turn the scan. Left and right cannot be recognised in the pictures."
        )
        if st.button(
            f"Turn the scan to {source.other_orientation}",
            icon=":material/3d_rotation:",
            help=_CODES + " The prediction is discarded.",
        ):
            with show_errors():
                turn_scan(source.other_orientation)
                st.rerun()


def _show_turned(current: OpenStudy) -> None:
    volume = current.study.volume
    with st.container(border=True, key="orientation-question"):
        st.caption(
            f"You turned this scan to {volume.file_orientation}. Masks are written onto the "
            "voxels and the position of its file all the same."
        )
        if st.button("Turn it back", icon=":material/undo:", help="The prediction is discarded."):
            with show_errors():
                turn_scan(None)
                st.rerun()
