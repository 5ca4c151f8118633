"""Keeping the open scan, and handing its project on."""

from __future__ import annotations

import streamlit as st

from core.errors import LungLensError
from core.ui.project_files import keep_scan, project_zip
from core.ui.projects import projects_folder
from core.ui.session import OpenStudy, set_notice

_WHERE = (
    "Writes the scan to this machine, beside its corrections; it then opens from the list on Home. "
    "Otherwise an uploaded scan is gone once its page is closed."
)


def show_keeping(current: OpenStudy) -> None:
    """Whether an uploaded scan is kept, and its project as one file."""
    with st.container(horizontal=True, vertical_alignment="center"):
        _show_keep_scan(current)
        _show_save(current)


def _show_keep_scan(current: OpenStudy) -> None:
    keeper = current.keeper
    if current.origin != "upload" or keeper is None or projects_folder() is None:
        return
    kept = keeper.begun and keeper.holds_scan
    wanted = st.checkbox(
        "Keep this scan on this machine",
        value=kept,
        key=f"keep-scan-{current.token}",
        disabled=bool(current.correction.locked),
        help=_WHERE,
    )
    if wanted == kept:
        return
    try:
        with st.spinner("Writing the scan…" if wanted else "Deleting the scan…"):
            keep_scan(current, wanted)
    except LungLensError as error:
        set_notice("error", str(error))
    st.rerun()


def _show_save(current: OpenStudy) -> None:
    with st.popover("Save project", icon=":material/archive:"):
        st.caption(
            "One file with corrections and their steps, notes, marks and settings, to keep or to "
            "pass on. Home opens it."
        )
        with_scan = st.toggle(
            "With the scan",
            value=True,
            key=f"project-scan-{current.token}",
            help="Without it, whoever opens the project must open the same scan too.",
        )
        identity = st.toggle(
            "With names and identifiers",
            key=f"project-identity-{current.token}",
            help="The scan's file name and, of a DICOM series, its unique identifiers, without "
            "which no DICOM segmentation can be made. Patient tags are never included. Your "
            "notes are included as you typed them.",
        )
        st.download_button(
            "Save project (zip)",
            data=lambda: project_zip(current, with_scan=with_scan, identity=identity),
            file_name="lunglens_project.zip",
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
            key=f"project-save-{current.token}",
            help="Packed when you click.",
        )
