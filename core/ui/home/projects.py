"""The list of kept corrections on Home: open, rename, delete."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.correction.project import Card, Listed, delete_project, list_projects, rename_project
from core.errors import LungLensError
from core.ui.open_scan import open_case, open_demo, open_file, open_kept
from core.ui.page import show_errors
from core.ui.progress_line import opening
from core.ui.project_files import open_project
from core.ui.projects import projects_folder
from core.ui.session import OpenStudy, clear_notice, set_notice, this_session
from core.ui.streamlit_internals import free_uploads
from core.ui.text import escape_markdown
from core.ui.turning import turn_scan
from core.ui.widget_state import fresh_key, renew_key

_ORIGINS = {
    "demo": "demo study",
    "case": "case of the data folder",
    "file": "file of the data folder",
    "upload": "uploaded scan",
}
_UPLOADED = "The scan was uploaded and is not kept: upload it again, and its corrections come back."
_OPEN_ALONE = (
    "The project was added. It does not contain its scan: open the scan, and its corrections and "
    "notes come back."
)


def show_open_project() -> None:
    """Opening a project that was saved as one file."""
    with st.expander("Open a project file", icon=":material/unarchive:"):
        file = st.file_uploader(
            "Project (zip)",
            type="zip",
            key=fresh_key("project-file"),
            help='A file written by "Save project", here or elsewhere. It is checked before '
            "anything is added.",
        )
    if file is None:
        return
    renew_key("project-file")
    clear_notice()
    try:
        with opening() as progress:
            opened = open_project(file, on_progress=progress)
        if opened is None:
            set_notice("success", _OPEN_ALONE)
        elif this_session().notice is None:
            set_notice("success", f"Opened: {opened.name}.")
    except LungLensError as error:
        set_notice("error", str(error))
    finally:
        free_uploads([file])
    st.rerun()


def show_projects() -> None:
    """All scans that were corrected on this machine; nothing where none is kept."""
    show_open_project()
    folder = projects_folder()
    found = [] if folder is None else list_projects(folder)
    if not found:
        return
    st.subheader("Corrected scans", anchor=False)
    for one in found:
        with st.container(border=True):
            _show_project(one)


def _show_project(one: Listed) -> None:
    key = one.folder.name
    if one.card is None:
        st.caption(escape_markdown(one.trouble))
        _offer_deleting(one, key)
        return
    st.markdown(f"**{escape_markdown(one.card.name)}**")
    changed = "" if one.changed is None else f"{one.changed.astimezone():%Y-%m-%d %H:%M}, "
    steps = f"{one.steps} step" + ("" if one.steps == 1 else "s")
    origin = _ORIGINS.get(one.card.origin, "scan")
    if one.with_scan:
        origin += " kept here"
    if one.card.orientation:
        origin += f", turned to {one.card.orientation}"
    st.caption(f"{origin}, {steps}, changed {changed}{_bytes_text(one.size_bytes)}")
    lost = one.card.origin == "upload" and not one.with_scan
    with st.container(horizontal=True):
        if st.button(
            "Open",
            key=f"project-open-{key}",
            icon=":material/folder_open:",
            disabled=lost,
            help=_UPLOADED if lost else "Opens the scan with its corrected masks.",
        ):
            _open(one)
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input(
                "Name",
                value=one.card.name,
                key=f"project-name-{key}",
                max_chars=120,
                help="What the project is called here.",
            )
            if st.button("Save the name", key=f"project-rename-{key}"):
                _try(lambda: rename_project(one.folder, name), f"Renamed to {name.strip()}.")
        _offer_deleting(one, key)


def _bytes_text(size: int) -> str:
    return f"{size / 1e6:.1f}\u00a0MB" if size >= 100_000 else f"{max(size / 1e3, 1):.0f}\u00a0kB"


def _offer_deleting(one: Listed, key: str) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.caption("This deletes the corrected masks and all their steps permanently.")
        if st.button("Delete permanently", key=f"project-delete-{key}"):
            _try(lambda: delete_project(one.folder), "The corrections were deleted.")


def _open(one: Listed) -> None:
    card = one.card
    assert card is not None
    openings: dict[str, Callable[[], OpenStudy | None]] = {
        "demo": lambda: open_demo(on_progress=progress),
        "case": lambda: open_case(card.where, on_progress=progress),
        "file": lambda: open_file(card.where, on_progress=progress),
    }
    clear_notice()
    with show_errors(), opening() as progress:
        opened = (
            open_kept(one.folder.name, on_progress=progress)
            if one.with_scan
            else openings.get(card.origin, open_demo)()
        )
        _turn_as_in(card, opened)
        opened = None if opened is None else this_session().opened
        if opened is not None and opened.study.volume.digest != card.fingerprint:
            set_notice(
                "warning",
                "The scan is not the one that was corrected: its file has changed. The "
                "corrections stay in the list.",
            )
        st.rerun()


def _turn_as_in(card: Card, opened: OpenStudy | None) -> None:
    """The project that was chosen is of the scan as its file says, or as it was turned."""
    if opened is None or opened.study.volume.digest == card.fingerprint:
        return
    if card.orientation:
        turn_scan(card.orientation)
    elif opened.turned_from:
        turn_scan(None)


def _try(act: Callable[[], None], done: str) -> None:
    try:
        act()
    except LungLensError as error:
        set_notice("error", str(error))
    else:
        set_notice("success", done)
    st.rerun()
