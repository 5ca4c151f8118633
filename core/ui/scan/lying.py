"""Whether the open scan lies as it should, and turning it."""

from __future__ import annotations

import streamlit as st

from core.ui.open_scan import turn_scan
from core.ui.page import show_errors
from core.ui.session import OpenStudy

_CODES = (
    "The letters say where columns, rows and slices of the file lead: L left or R right, "
    "P posterior or A anterior, S superior or I inferior."
)


def show_question(current: OpenStudy) -> None:
    """Where a scan may lie otherwise than its file says: a button that turns it. Where a person
    has turned it: one that turns it back."""
    source = current.study.volume.source
    if source.stored_affine is not None:
        _show_turned(current)
        return
    if not source.other_orientation:
        return
    with st.container(border=True, key="orientation-question"):
        st.markdown("**Does the scan lie as it should?**")
        st.caption(
            "Axial slices show the front of the body on top, coronal ones the head. Where they do "
            "not, turn the scan. Left and right cannot be told from the pictures."
        )
        if st.button(
            f"Turn the scan to {source.other_orientation}",
            icon=":material/3d_rotation:",
            help=_CODES + " A prediction is dropped.",
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
        if st.button("Turn it back", icon=":material/undo:", help="A prediction is dropped."):
            with show_errors():
                turn_scan(None)
                st.rerun()
