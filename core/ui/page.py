"""The frame around every page: title, sidebar, errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import streamlit as st
from PIL import Image, ImageDraw

from core.errors import LungLensError
from core.system import size_text
from core.ui import segmenting
from core.ui.access import login_is_set_up, may_enter, show_login
from core.ui.navigation import (
    HOME_PAGE,
    Part,
    choose_part,
    go_to,
    part_in_address,
    take_over_navigation,
)
from core.ui.open_scan import open_demo, open_link
from core.ui.progress_line import opening
from core.ui.session import OpenStudy, clear_notice, this_session
from core.ui.streamlit_internals import PAGE_STYLE
from core.ui.text import escape_markdown
from core.ui.theme import follow_theme, ink
from core.ui.tour import show_tour_step
from core.ui.turning import turn_scan

RESEARCH_USE = (
    "**Research use only.** Not a medical device and never a diagnosis: masks and "
    "measurements may be wrong, and no treatment may be based on them."
)

_QUICK_SECONDS = 0.3

_MARK_SHAPES = (
    '<rect width="64" height="64" rx="14" fill="#123238"/>'
    '<ellipse cx="19" cy="34" rx="10" ry="20" fill="#56B4E9"/>'
    '<ellipse cx="45" cy="34" rx="10" ry="20" fill="#56B4E9"/>'
    '<ellipse cx="46" cy="43" rx="8" ry="9" fill="#E69F00"/>'
)
_MARK = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">'
    f"{_MARK_SHAPES}</svg>"
)
_WORDMARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="270" height="64" viewBox="0 0 270 64">'
    f'{_MARK_SHAPES}<text x="80" y="45" font-family="sans-serif" font-size="37" '
    'font-weight="600" fill="{ink}" textLength="180" lengthAdjust="spacingAndGlyphs">'
    "LungLens</text></svg>"
)


def begin_page(title: str, *, lead: str = "") -> None:
    """Draws what every page shares. Call it, or `begin_parts`, first.

    The title stands before anything slow happens; then the study named in the page's address,
    or else the demo study, is opened, and the sidebar says what is open.
    """
    _begin(title)
    this_session().part_of_page = ""
    st.title(title, anchor=False)
    if lead:
        st.markdown(lead)
    _open_and_summarise(title)


def begin_parts(title: str, page: str, *, leads: Mapping[Part, str]) -> Part:
    """The same for a page with parts, which it shows beside its title; says which is chosen.

    Args:
        page: script of the page, as in `core.ui.navigation`.
        leads: a sentence or two on parts that need one.
    """
    _begin(title)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="parts"):
        st.title(title, anchor=False, width="content")
        part = choose_part(page)
    if part in leads:
        st.markdown(leads[part])
    _open_and_summarise(f"{title}, {part.label}")
    return part


def _begin(title: str) -> None:
    if not may_enter():
        show_login()
        st.stop()
    take_over_navigation()
    st.set_page_config(
        page_title=f"{title} · LungLens",
        page_icon=_favicon(),
        layout="wide",
        initial_sidebar_state="auto",
    )
    st.html(PAGE_STYLE)
    st.logo(_WORDMARK.replace("{ink}", ink()), size="large", icon_image=_MARK)


def _open_and_summarise(drawn: str) -> None:
    session = this_session()
    if session.page != drawn:
        # What was tried on another page is over.
        clear_notice()
        session.page = drawn
    _open_first_study()
    _turn_as_addressed()
    _name_scan_in_address()
    segmenting.collect_result()
    with st.sidebar:
        _sidebar()
    show_tour_step()


def _favicon() -> Image.Image:
    # Drawn here, because named icons would be fetched from a server of others.
    icon = Image.new("RGBA", (64, 64))
    pen = ImageDraw.Draw(icon)
    pen.rounded_rectangle((0, 0, 63, 63), radius=14, fill="#123238")
    pen.ellipse((9, 14, 29, 54), fill="#56B4E9")
    pen.ellipse((35, 14, 55, 54), fill="#56B4E9")
    pen.ellipse((38, 34, 54, 52), fill="#E69F00")
    return icon


def _open_first_study() -> None:
    """Once per session: what the address names, or the demo study."""
    if this_session().began:
        return
    with show_errors(), opening(_QUICK_SECONDS) as progress:
        open_link(st.query_params.get("case") or "demo", on_progress=progress)
    this_session().began = True


def _turn_as_addressed() -> None:
    """Once per session and reload: the orientation that a person agreed to, so that a shared
    address shows the same view."""
    session, codes = this_session(), st.query_params.get("turn")
    if session.laid:
        return
    session.laid = True
    if codes and session.opened is not None and codes != session.opened.turn:
        with show_errors():
            turn_scan(codes)


def _name_scan_in_address() -> None:
    """So that a reload of any page finds the scan, an uploaded one too, and the part."""
    part = part_in_address().get("part")
    if part is None:
        st.query_params.pop("part", None)
    elif st.query_params.get("part") != part:
        st.query_params["part"] = part
    current = this_session().opened
    if current is None:
        return
    if not current.turn:
        st.query_params.pop("turn", None)
    for name, text in current.address.items():
        if st.query_params.get(name) != text:
            st.query_params[name] = text


def _sidebar() -> None:
    st.markdown("##### Current scan")
    current = this_session().opened
    if current is None:
        st.caption("No scan is open.")
    else:
        _open_scan_summary(current)
    if login_is_set_up() and st.button("Log out", icon=":material/logout:"):
        # At once, and not after the time in which a reload would find it.
        this_session().end()
        st.logout()
    st.divider()
    st.caption(f"Device: {segmenting.device_text()}")
    st.caption(RESEARCH_USE)
    follow_theme()


def _open_scan_summary(current: OpenStudy) -> None:
    volume = current.study.volume
    st.markdown(f"**{escape_markdown(current.name)}**")
    if current.study.synthetic:
        st.badge("SYNTHETIC", icon=":material/science:", color="orange")
    lines = [
        size_text(volume.shape) + " voxels",
        spacing_text(current),
        "values in HU" if volume.unit == "HU" else "grey values, HU assumed",
        "true masks: " + _truth_text(current),
        "prediction: " + ("ready" if current.segmentation is not None else "not yet"),
    ]
    st.caption("  \n".join(lines))


def spacing_text(current: OpenStudy) -> str:
    """The size of a voxel, or that it is not known."""
    volume = current.study.volume
    if volume.spacing_nominal:
        return "size in mm not known"
    return " × ".join(f"{length:.2f}" for length in volume.spacing_mm) + " mm"


def _truth_text(current: OpenStudy) -> str:
    truth = current.study.truth
    if truth is None or (truth.lung is None and truth.infection is None):
        return "none"
    if truth.lung is None:
        return "infection"
    return "lung" if truth.infection is None else "lung and infection"


def need_study() -> OpenStudy:
    """The open study; where there is none, says what to do and ends the page."""
    show_notice()
    current = this_session().opened
    if current is not None:
        return current
    st.info(
        "No scan is open. Upload one on **Home**, or open the demo study, a generated chest "
        "with known lung and infection.",
        icon=":material/folder_open:",
    )
    with st.container(horizontal=True):
        if st.button("Open the demo study", type="primary", icon=":material/science:"):
            clear_notice()
            with show_errors(), opening() as progress:
                open_demo(on_progress=progress)
            st.rerun()
        if st.button("Go to Home", icon=":material/home:"):
            go_to(HOME_PAGE)
    st.stop()


@contextmanager
def show_errors() -> Iterator[None]:
    """Shows an expected failure as one calm sentence; what was open stays open."""
    try:
        yield
    except LungLensError as error:
        show_error(error)


def show_error(error: LungLensError) -> None:
    """One sentence, as the command line prints it."""
    st.error(escape_markdown(str(error)), icon=":material/error:")


def show_notice() -> None:
    """The sentence left by the last thing tried, if any."""
    left = this_session().notice
    if left is None:
        return
    icons = {"success": "check_circle", "error": "error", "warning": "info"}
    draw = {"success": st.success, "error": st.error, "warning": st.warning}[left.kind]
    draw(escape_markdown(left.text), icon=f":material/{icons[left.kind]}:")
