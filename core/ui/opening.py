"""The widgets of Home: opening a scan from files, a folder or the public set."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.errors import LungLensError
from core.system import OnProgress, ShouldCancel
from core.ui import session
from core.ui.jobs import FETCH_LINE, BackgroundJob
from core.ui.page import show_error, show_errors
from core.ui.session import DATA_FOLDER_VARIABLE, Notice, OpenStudy
from core.ui.tables import show_facts
from core.ui.text import escape_markdown

if TYPE_CHECKING:  # loaded where it is first needed
    from core.loading import Case, SeriesInfo

_FORMATS = (
    "A NIfTI file (.nii, .nii.gz), a DICOM series (all its files, or one .zip), or pictures of "
    "slices (.png, .jpg), one or several in order."
)
_POLL_SECONDS = 0.5
_PUBLIC_SET = "COVID-19 CT Lung and Infection Segmentation (20 cases)"
_PUBLIC_SET_FOLDER = "covid19-ct-scans"
_NOT_FETCHED = (
    "Not in the data folder yet. The set is public (Ma et al. 2020, Zenodo record 3757476), "
    "about 1.1 GB, for non-commercial use. Fetching it needs a network."
)


def show_demo_button(current: OpenStudy | None) -> None:
    """The way back to the generated study."""
    if current is not None and current.origin == "demo":
        st.caption(
            "This is the demo study: a **generated** chest with known lung and infection, no "
            "patient's scan. Open one of your own on this page."
        )
        return
    if st.button(
        "Open the demo study",
        type="primary" if current is None else "secondary",
        icon=":material/science:",
        help="A generated chest with known lung and infection. Closes the scan that is open.",
    ):
        session.set_notice(None)
        with show_errors(), st.spinner("Making the demo study…", show_time=True):
            session.open_demo()
        st.rerun()


class ProgressLine:
    """A progress bar that is redrawn a few times per second at most, and a way to stop.

    The button needs no answer here: Streamlit gives up a run of the page, at its next drawing,
    as soon as something is clicked. Work that draws its progress ends with it.
    """

    def __init__(self) -> None:
        self._place = st.empty()
        with self._place.container(horizontal=True, vertical_alignment="bottom"):
            self._bar = st.progress(0.0, text="Starting")
            st.button(
                "Stop",
                key="stop-opening",
                icon=":material/stop_circle:",
                help="Gives up opening this scan. What is open stays as it is.",
                on_click=_say_stopped,
                args=(_token(session.opened()),),
            )
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < 0.15 and done < total:
            return
        self._last = now
        words = f"{stage[:1].upper()}{stage[1:]}" + (f", {done} of {total}" if total > 1 else "")
        self._bar.progress(min(done / total, 1.0) if total else 0.0, text=escape_markdown(words))

    def clear(self) -> None:
        """Takes bar and button away."""
        self._place.empty()


def _token(current: OpenStudy | None) -> str:
    return current.token if current is not None else ""


def _say_stopped(token_before: str) -> None:
    # Whoever clicks at the last moment finds the scan open after all.
    if _token(session.opened()) == token_before:
        session.set_notice(Notice("warning", "Opening was stopped. Nothing was changed."))


def show_upload() -> None:
    """Uploads, opened as soon as they are complete; then the uploads' memory is given back."""
    round_number = st.session_state.setdefault("upload_round", 0)
    files = st.file_uploader(
        "Scan files",
        accept_multiple_files=True,
        key=f"upload-{round_number}",
        help=_FORMATS + " What you upload stays in this server's memory while the page is open.",
    )
    st.caption(_FORMATS)
    if files:
        # First, so that files whose opening is stopped are not opened again.
        st.session_state["upload_round"] = round_number + 1
        try:
            _open_with_progress(lambda progress: session.open_uploads(files, on_progress=progress))
        finally:
            session.give_back_uploads(files)
        st.rerun()


def _open_with_progress(open_with: Callable[[OnProgress], OpenStudy | None]) -> None:
    """Opens something, slice by slice, with a bar and a way to stop."""
    progress = ProgressLine()
    _try_to_open(lambda: open_with(progress))
    progress.clear()


def _try_to_open(open_it: Callable[[], OpenStudy | None]) -> None:
    """Opens something and leaves a sentence on how it went; on failure all stays as it was."""
    session.set_notice(None)
    try:
        current = open_it()
        if current is not None:
            session.set_notice(Notice("success", f"Opened: {current.name}."))
    except LungLensError as error:
        still = session.opened()
        kept = f" Still open: {still.name}." if still is not None else ""
        session.set_notice(Notice("error", f"{error}{kept}"))


def show_series_choice() -> None:
    """Where files hold several series: which one to open."""
    pending = session.pending_series()
    if pending is None:
        return
    with st.container(border=True, key="series-choice"):
        st.markdown("**These files hold several series. Which one do you want?**")
        chosen = st.radio(
            "Series",
            range(len(pending.series)),
            format_func=lambda index: series_text(pending.series[index]),
            label_visibility="collapsed",
            help="A series is one run of the scanner or one way of computing its pictures.",
        )
        with st.container(horizontal=True):
            if st.button("Open this series", type="primary", icon=":material/folder_open:"):
                uid = pending.series[chosen].uid
                _open_with_progress(lambda progress: session.open_series(uid, on_progress=progress))
                st.rerun()
            if st.button("Cancel", help="Forgets these files."):
                session.forget_series()
                st.rerun()


def series_text(series: SeriesInfo) -> str:
    """One line about a series."""
    count = f"{series.n_slices} slice{'s' if series.n_slices != 1 else ''}"
    words = [series.description or "no description", count, series.size, series.modality]
    return escape_markdown(", ".join(word for word in words if word))


def show_masks_upload(current: OpenStudy) -> None:
    """True masks for the open scan, from files."""
    with st.expander("Add true masks to the open scan", icon=":material/layers:"):
        st.caption(
            "If somebody has drawn the lungs or the infection in this scan, add the masks to see "
            "how well the network agrees. NIfTI, same size and position as the scan; anything "
            "above 0 counts as marked."
        )
        round_number = st.session_state.setdefault("mask_round", 0)
        left, right = st.columns(2)
        lung = left.file_uploader(
            "Lung mask",
            key=f"lung-mask-{round_number}",
            help="Both lungs, infected parts included.",
        )
        infection = right.file_uploader(
            "Infection mask",
            key=f"infection-mask-{round_number}",
            help="Ground-glass and consolidation.",
        )
        ready = lung is not None or infection is not None
        if st.button("Add masks", disabled=not ready, icon=":material/add:"):
            try:
                session.add_truth(lung, infection)
                session.set_notice(Notice("success", f"Masks added to {current.name}."))
            except LungLensError as error:
                session.set_notice(Notice("error", str(error)))
            session.give_back_uploads([lung, infection])
            st.session_state["mask_round"] = round_number + 1
            st.rerun()


def show_recognised(current: OpenStudy) -> None:
    """What the open scan was recognised as."""
    facts = {"Scan": current.name, **dict(current.study.volume.source.facts)}
    show_facts(facts, caption="What the open scan was recognised as")


def show_data_folder() -> None:
    """Opening by path, and the public set, where the operator allows a folder."""
    folder = session.data_folder()
    if folder is None:
        st.caption(
            "Opening scans from a folder of the server is switched off. To allow one, start the "
            f"app with the environment variable `{DATA_FOLDER_VARIABLE}` set to that folder."
        )
        if session.app_config().data_folder:
            st.warning("The data folder that was set does not exist.", icon=":material/info:")
        return
    with st.form("open-path", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        wanted = left.text_input(
            "Path in the data folder",
            placeholder="for example case_001.nii.gz or a folder with a DICOM series",
            help="A file or folder inside the data folder of this server, as seen from there.",
        )
        asked = right.form_submit_button("Open", width="stretch", icon=":material/folder_open:")
    if asked:
        _open_with_progress(lambda progress: session.open_file(wanted, on_progress=progress))
        st.rerun()
    _show_public_set(folder)


def _show_public_set(folder: Path) -> None:
    st.markdown(f"**{_PUBLIC_SET}**")
    if "fetch_job" in st.session_state:
        _poll_fetching()
        return
    case_folder, place = session.find_case_folder(), folder / _PUBLIC_SET_FOLDER
    if case_folder is None:
        st.caption(_NOT_FETCHED)
        _show_fetch_button(place, "Fetch the 20 cases")
        return
    with show_errors():
        cases = session.load_cases(str(case_folder))
        _show_case_table(cases)
        if place.is_dir() and not all(_masks_of(case) for case in cases):
            _show_fetch_button(place, "Go on fetching the masks")


def _show_case_table(cases: tuple[Case, ...]) -> None:
    st.caption("Click a row to open the case with its true masks.")
    round_number = st.session_state.setdefault("case_round", 0)
    picked = st.dataframe(
        pd.DataFrame([case_row(case) for case in cases]),
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=f"cases-{round_number}",
        height=min(38 * (len(cases) + 1), 420),
    )
    rows = [*picked["selection"]["rows"], *(row for row, _ in picked["selection"]["cells"])]
    if rows:
        case_id = cases[rows[0]].case_id
        st.session_state["case_round"] = round_number + 1
        with st.spinner("Opening the case…", show_time=True):
            _try_to_open(lambda: session.open_case(case_id))
        st.rerun()


def case_row(case: Case) -> dict[str, str]:
    """One line of the table of cases."""
    return {"Case": case.case_id, "True masks": " and ".join(_masks_of(case)) or "none"}


def _masks_of(case: Case) -> list[str]:
    return [
        name
        for name, path in (("lung", case.lung_path), ("infection", case.infection_path))
        if path is not None or case.label_path is not None
    ]


def _show_fetch_button(place: Path, label: str) -> None:
    if not st.button(label, icon=":material/download:", help="Into the data folder."):
        return

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Path:
        from core.loading import download_covid20

        return download_covid20(place, on_progress=on_progress, should_cancel=should_cancel)

    owner = st.session_state.setdefault("fetch_owner", _Owner())
    st.session_state["fetch_job"] = BackgroundJob(work, line=FETCH_LINE, owner=owner)
    st.rerun()


class _Owner:
    """Lives as long as the session that asked for the fetching."""


@st.fragment(run_every=_POLL_SECONDS)
def _poll_fetching() -> None:
    job: BackgroundJob[Path] | None = st.session_state.get("fetch_job")
    if job is None:
        return
    if job.finished:
        _show_fetched(job)
        return
    words = job.stage + (f", {100 * job.fraction:.0f} %" if job.total > 1 else "")
    st.progress(job.fraction, text=escape_markdown(words[:1].upper() + words[1:]))
    if st.button("Stop fetching", help="What has arrived is kept; fetching can go on later."):
        job.stop()


def _show_fetched(job: BackgroundJob[Path]) -> None:
    if job.bug is not None:
        del st.session_state["fetch_job"]
        raise job.bug
    if job.state == "done":
        _leave_fetching()
    if job.error is not None:
        show_error(job.error)
    else:
        st.caption("Stopped. What has arrived is kept.")
    if st.button("Close", key="close-fetching"):
        _leave_fetching()


def _leave_fetching() -> None:
    del st.session_state["fetch_job"]
    session.load_cases.clear()
    st.rerun()
