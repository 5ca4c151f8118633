"""Notes on the open scan, and the notes, arrows, distances and regions placed on its slices."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core.annotation import MOST_CHARACTERS, Annotation, measured_text
from core.correction.project import MOST_NOTES
from core.ui.projects import keep_state
from core.ui.session import OpenStudy, set_notice
from core.ui.text import escape_markdown
from core.ui.viewer import Notebook
from core.volume import PLANE_AXIS

_HELP = (
    "Place them in the picture: M a distance, R a region with its HU, V an arrow, T a note. They "
    "are kept with the scan where corrections are kept, and stand in the report."
)


def notebook_of(current: OpenStudy) -> Notebook:
    """What was placed on the scan's slices, as the viewer takes it."""

    def take(items: tuple[Annotation, ...]) -> None:
        current.annotations = items
        _keep(current)

    return Notebook(
        current.annotations, current.annotations_command, current.correction.locked, take
    )


def show_notes(current: OpenStudy) -> None:
    """Words on the whole scan, and all marks: to go to, to write on, to delete."""
    count = len(current.annotations)
    title = f"Notes and marks ({count})" if count else "Notes and marks"
    locked = current.correction.locked
    with st.expander(title, icon=":material/edit_note:"):
        notes = st.text_area(
            "Notes on this scan",
            value=current.notes,
            key=f"notes-{current.token}",
            max_chars=MOST_NOTES,
            disabled=bool(locked),
            height=90,
            help="In your own words; printed in the report as you type them.",
        )
        if notes != current.notes and not locked:
            current.notes = notes
            _keep(current)
        if locked:
            st.caption(locked)
        elif not count:
            st.caption(_HELP)
        for number, one in enumerate(current.annotations):
            _show_mark(current, number, one, locked=bool(locked))


def _show_mark(current: OpenStudy, number: int, one: Annotation, *, locked: bool) -> None:
    key = f"mark-{number}-{current.token}-{current.annotations_command}"
    go, words, change = st.columns([3, 7, 3], vertical_alignment="center")
    if go.button(
        f"{one.plane.capitalize()} {one.index + 1}",
        key=f"go-{key}",
        help="Goes to this slice.",
        width="stretch",
    ):
        _go_to(current, one)
        st.rerun()
    words.markdown(escape_markdown(mark_text(current, one)))
    with change.container(horizontal=True, horizontal_alignment="right"):
        with st.popover("", icon=":material/edit:", help="Write on this mark", disabled=locked):
            text = st.text_input(
                "Text", value=one.text, key=f"text-{key}", max_chars=MOST_CHARACTERS
            )
            if text != one.text:
                _change(current, number, replace(one, text=text))
        if st.button(
            "", key=f"delete-{key}", icon=":material/delete:", help="Deletes it.", disabled=locked
        ):
            _change(current, number, None)


def mark_text(current: OpenStudy, one: Annotation) -> str:
    """What a mark is, what was measured, and what was written on it."""
    words = [one.kind.capitalize(), measured_text(one, current.study.volume), one.text]
    return " · ".join(word for word in words if word)


def _go_to(current: OpenStudy, one: Annotation) -> None:
    place = current.place
    if place is None:
        return
    voxel = list(place.voxel)
    voxel[PLANE_AXIS[one.plane]] = one.index
    i, j, k = voxel
    place.go_to(plane=one.plane, voxel=(i, j, k))


def _change(current: OpenStudy, number: int, one: Annotation | None) -> None:
    """Puts another mark in the place of one, or none, and tells the browser."""
    items = list(current.annotations)
    items[number : number + 1] = [] if one is None else [one]
    current.annotations = tuple(items)
    current.annotations_command += 1
    _keep(current)
    st.rerun()


def _keep(current: OpenStudy) -> None:
    refused = keep_state(current)
    if refused:
        set_notice("warning", refused)
