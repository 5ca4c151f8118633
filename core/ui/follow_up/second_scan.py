"""Choosing the second scan of a patient: a case, uploaded files, or a generated one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LoadError, LungLensError
from core.system import OnProgress
from core.ui.data_folder import case_study, find_case_folder, load_cases
from core.ui.page import show_error, show_errors
from core.ui.progress_line import ProgressLine, opening
from core.ui.session import OpenStudy, Origin, this_session
from core.ui.streamlit_internals import free_uploads
from core.ui.text import escape_markdown
from core.ui.widget_state import fresh_key, renew_key
from core.volume import Study

if TYPE_CHECKING:  # loaded where it is first needed
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_FROM_CASES, _FROM_FILES, _GENERATED = "Cases on this server", "Upload", "Generated"


@dataclass(eq=False)
class _Refused:
    """Why the second scan last tried could not be opened."""

    error: LungLensError | None = None


def choose_second(first: OpenStudy) -> OpenStudy | None:
    """The second scan; where there is none yet, the ways to one."""
    refused = this_session().part(_Refused)
    if refused.error is not None:
        show_error(refused.error)
        refused.error = None
    second = this_session().second
    if second is not None:
        return second
    st.markdown(f"**First scan:** {escape_markdown(first.name)}, the one that is open.")
    st.markdown("**Second scan:** choose the later one of the same patient.")
    folder = find_case_folder()
    ways = [*([_FROM_CASES] if folder is not None else []), _FROM_FILES, _GENERATED]
    way = st.segmented_control(
        "Where the second scan comes from",
        ways,
        default=_GENERATED if first.study.synthetic else ways[0],
        required=True,
        key=f"follow-up-way-{first.token}",
        label_visibility="collapsed",
        help="The first scan is the one that is open everywhere in the app. The second is kept "
        "on this page only.",
    )
    with show_errors():
        if way == _FROM_CASES and folder is not None:
            _choose_case(first, str(folder))
        elif way == _FROM_FILES:
            _choose_files()
        else:
            _choose_generated(first)
    return None


def _choose_case(first: OpenStudy, folder: str) -> None:
    cases = [case for case in load_cases(folder) if case.case_id != first.link]
    known = {case.case_id: case.patient_id for case in load_cases(folder)}
    patient = known.get(first.link)
    # Other scans of the open one's patient first.
    cases.sort(key=lambda case: case.patient_id != patient)
    same = {case.case_id for case in cases if case.patient_id == patient}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        case_id = st.selectbox(
            "Case",
            [case.case_id for case in cases],
            format_func=lambda name: f"{name} (same patient)" if name in same else name,
            key=f"follow-up-case-{first.token}",
            help="A case of the data folder. Cases whose names give the same patient come first.",
        )
        if st.button("Open as second scan", type="primary", disabled=case_id is None):
            with opening() as progress:
                _take(lambda: case_study(case_id, on_progress=progress), "case", case_id)


def _choose_files() -> None:
    files = st.file_uploader(
        "Files of the second scan",
        accept_multiple_files=True,
        key=fresh_key("follow-up-upload"),
        help="One NIfTI file, one DICOM series (all its files or a zip), or pictures. They stay "
        "in this server's memory while the page is open.",
    )
    if not files:
        return
    # First, so that files whose opening is stopped are not opened again.
    renew_key("follow-up-upload")
    progress = ProgressLine()
    try:
        _take(lambda: _open_uploads(files, progress), "upload", "upload")
    finally:
        free_uploads(files)


def _open_uploads(files: Sequence[UploadedFile], on_progress: OnProgress) -> Study:
    from core.loading import JOINED, SeveralSeriesError, open_study, stage_uploads

    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        paths = stage_uploads([(file.name, file) for file in files], folder)
        try:
            return open_study(paths, on_progress=on_progress)
        except SeveralSeriesError as several:
            if several.series[0].uid == JOINED:  # the files of one scan: no question is open
                return open_study(paths, series_uid=JOINED, on_progress=on_progress)
            raise LoadError(
                "These files hold several series",
                got=f"{len(several.series)} of them",
                expected="the files of one",
                next_step="upload the files of the series you want",
            ) from several


def _choose_generated(first: OpenStudy) -> None:
    words = "The generated chest of the demo study scanned again, with less disease. "
    if not first.study.synthetic:
        words += (
            "It is **not of your patient**: open the demo study on Home for a meaningful "
            "comparison. "
        )
    st.caption(words + "It is labelled synthetic wherever it appears.")
    if st.button("Generate a follow-up", type="primary", icon=":material/science:"):
        progress = ProgressLine()
        _take(lambda: _demo_follow_up(progress), "demo", "demo-follow-up")


@st.cache_resource(show_spinner=False)
def _kept_follow_ups() -> dict[str, Study]:
    return {}


def _demo_follow_up(on_progress: OnProgress) -> Study:
    """Generated once per server; not by Streamlit's cache, which replays what was drawn."""
    from core.phantom import build_demo_follow_up

    kept = _kept_follow_ups()
    if "demo" not in kept:
        kept["demo"] = build_demo_follow_up(on_progress=on_progress)
    return kept["demo"]


def _take(load: Callable[[], Study], origin: Origin, link: str) -> None:
    """Loads the second scan, or leaves a sentence; what is open stays open."""
    try:
        this_session().second = OpenStudy(study=load(), origin=origin, link=link)
    except LungLensError as error:
        this_session().part(_Refused).error = error
    st.rerun()
