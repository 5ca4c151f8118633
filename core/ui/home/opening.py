"""The widgets of Home: opening a scan from files, a folder or the public set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.config import GREY_WINDOW_HU
from core.errors import LungLensError
from core.system import OnProgress, ShouldCancel
from core.ui.data_folder import (
    DATA_FOLDER_VARIABLE,
    app_config,
    data_folder,
    find_case_folder,
    load_cases,
)
from core.ui.job_slot import JobSlot
from core.ui.jobs import DOWNLOAD_QUEUE
from core.ui.open_scan import (
    add_labelled_truth,
    add_truth,
    forget_questions,
    open_case,
    open_demo,
    open_file,
    open_series,
    open_uploads,
    open_with_scale,
)
from core.ui.page import show_error, show_errors
from core.ui.progress_line import opening
from core.ui.session import OpenStudy, clear_notice, set_notice, this_session
from core.ui.streamlit_internals import free_uploads
from core.ui.tables import show_facts
from core.ui.text import escape_markdown
from core.ui.tour import start_tour
from core.ui.widget_state import fresh_key, renew_key

if TYPE_CHECKING:  # loaded where it is first needed
    from core.loading import Case, SeriesInfo

_FORMATS = (
    "A NIfTI, NRRD or MetaImage file, a DICOM series (all its files, or one .zip or .tar.gz), or "
    "pictures of slices (.png, .jpg), one or several in order."
)
_PUBLIC_SET = "COVID-19 CT Lung and Infection Segmentation (20 cases)"
_PUBLIC_SET_FOLDER = "covid19-ct-scans"
_NOT_DOWNLOADED = (
    "Not in the data folder yet. The set is public (Ma et al. 2020, Zenodo record 3757476), "
    "about 1.1 GB, for non-commercial use. Downloading it needs an internet connection."
)


@dataclass(eq=False)
class PublicSet:
    """The download of the public set that this session has started."""

    download: JobSlot[Path] = field(default_factory=lambda: JobSlot("download", DOWNLOAD_QUEUE))


def show_demo_button(current: OpenStudy | None) -> None:
    """The way back to the generated study."""
    if st.button(
        "Open the demo study",
        type="primary" if current is None else "secondary",
        icon=":material/science:",
        help="A generated chest with known lung and infection. Closes the scan that is open.",
    ):
        clear_notice()
        with show_errors(), opening() as progress:
            open_demo(on_progress=progress)
        st.rerun()


def show_tour_button(current: OpenStudy | None) -> None:
    """The tour begins with the demo study, which it opens where another scan is open."""
    if not st.button(
        "Take the tour",
        icon=":material/explore:",
        help="Five steps on the demo study: open, mark, compare, tune, report. Leave it whenever "
        "you like.",
    ):
        return
    if current is None or current.origin != "demo":
        with show_errors(), opening() as progress:
            open_demo(on_progress=progress)
    start_tour()
    st.rerun()


def show_upload() -> None:
    """Uploads, opened as soon as they are complete; then the uploads' memory is given back."""
    files = st.file_uploader(
        "Scan files",
        accept_multiple_files=True,
        key=fresh_key("upload"),
        help=_FORMATS + " What you upload stays in this server's memory while the page is open.",
    )
    st.caption(_FORMATS)
    if files:
        # First, so that files whose opening is stopped are not opened again.
        renew_key("upload")
        try:
            _open_with_progress(lambda progress: open_uploads(files, on_progress=progress))
        finally:
            free_uploads(files)
        st.rerun()


def _open_with_progress(open_with: Callable[[OnProgress], OpenStudy | None]) -> None:
    """Opens something, slice by slice, with a bar and a way to stop."""
    with opening() as progress:
        _try_to_open(lambda: open_with(progress))


def _try_to_open(open_it: Callable[[], OpenStudy | None]) -> None:
    """Opens something and leaves a sentence on how it went; on failure all stays as it was."""
    clear_notice()
    try:
        current = open_it()
        if current is not None:
            more = f". Restored {current.brought_back}." if current.brought_back else ""
            set_notice("success", f"Opened: {current.name}{more}")
    except LungLensError as error:
        still = this_session().opened
        kept = f" Still open: {still.name}." if still is not None else ""
        set_notice("error", f"{error}{kept}")


def show_series_choice() -> None:
    """Where files hold several series: which one to open."""
    pending = this_session().pending_series
    if pending is None:
        return
    from core.loading import JOINED

    with st.container(border=True, key="series-choice"):
        question = "These files hold several series. Which one do you want?"
        if [one.uid for one in pending.series] == [JOINED]:
            question = "Every slice of these files has a series of its own. Open them as one scan?"
        st.markdown(f"**{question}**")
        chosen = st.radio(
            "Series",
            range(len(pending.series)),
            format_func=lambda index: series_text(pending.series[index]),
            label_visibility="collapsed",
            help="A series is one acquisition of the scanner, or one reconstruction of it.",
        )
        with st.container(horizontal=True):
            if st.button("Open this series", type="primary", icon=":material/folder_open:"):
                uid = pending.series[chosen].uid
                _open_with_progress(lambda progress: open_series(uid, on_progress=progress))
                st.rerun()
            if st.button("Cancel", help="Discards these files."):
                forget_questions()
                st.rerun()


def show_scale_question() -> None:
    """Where the values of a scan are in no known scale: which HU they stand for."""
    if this_session().pending_scale is None:
        return
    with st.container(border=True, key="scale-question"):
        st.markdown("**If this is a chest CT: which HU do its values stand for?**")
        st.caption(
            "Exports are often stretched between two values of HU. Common ones are −1000 and 400, "
            "−1350 and 150, and −1024 and 3071."
        )
        left, right = st.columns(2)
        low_hu = left.number_input(
            "Lowest value, HU", value=GREY_WINDOW_HU[0], step=50.0, format="%.0f"
        )
        high_hu = right.number_input(
            "Highest value, HU", value=GREY_WINDOW_HU[1], step=50.0, format="%.0f"
        )
        with st.container(horizontal=True):
            if st.button("Open with this scale", type="primary", icon=":material/folder_open:"):
                _open_with_progress(
                    lambda progress: open_with_scale(low_hu, high_hu, on_progress=progress)
                )
                st.rerun()
            if st.button("Cancel", key="cancel-scale", help="Discards these files."):
                forget_questions()
                clear_notice()
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
            "how well the network agrees. Same size and position as the scan. Combined masks "
            "(1 lung, 3 infection) are read by their labels. For a stack of pictures: a mask for "
            "each, of the same name."
        )
        left, right = st.columns(2)
        lung = left.file_uploader(
            "Lung mask",
            key=fresh_key("lung-mask"),
            accept_multiple_files=True,
            help="Both lungs, infected parts included.",
        )
        infection = right.file_uploader(
            "Infection mask",
            key=fresh_key("infection-mask"),
            accept_multiple_files=True,
            help="Ground glass and consolidation.",
        )
        same_grid = st.checkbox(
            "Place them on the scan voxel by voxel",
            key="masks-same-grid",
            help="For masks whose files give a position different from the scan's, although their "
            "voxels are those of the scan.",
        )
        ready = bool(lung or infection)
        if st.button("Add masks", disabled=not ready, icon=":material/add:"):
            try:
                if add_truth(lung, infection, same_grid=same_grid):
                    set_notice("success", f"Masks added to {current.name}.")
                else:
                    clear_notice()
            except LungLensError as error:
                set_notice("error", str(error))
            free_uploads([*lung, *infection])
            renew_key("lung-mask")
            renew_key("infection-mask")
            st.rerun()


def show_labels_question(current: OpenStudy) -> None:
    """Where the labels of an infection mask are of no known coding: which are infection."""
    pending = this_session().pending_labels
    if pending is None or pending.token != current.token:
        return
    with st.container(border=True, key="labels-question"):
        st.markdown("**Which labels of this mask are infection?**")
        st.caption(escape_markdown(pending.sentence))
        chosen = st.multiselect(
            "Labels that are infection",
            pending.labels,
            key=f"labels-{current.token}",
            help="All voxels with one of these values count as infection, all others do not.",
        )
        with st.container(horizontal=True):
            if st.button("Use these labels", type="primary", disabled=not chosen):
                try:
                    add_labelled_truth(chosen)
                    set_notice("success", f"Masks added to {current.name}.")
                except LungLensError as error:
                    set_notice("error", str(error))
                st.rerun()
            if st.button("Cancel", key="cancel-labels", help="Discards these masks."):
                this_session().pending_labels = None
                st.rerun()


def show_recognised(current: OpenStudy) -> None:
    """What the open scan was recognised as."""
    facts = {"Scan": current.name, **dict(current.study.volume.source.facts)}
    show_facts(facts, caption="What the open scan was recognised as")


def show_data_folder() -> None:
    """Opening by path, and the public set, where the operator allows a folder."""
    folder = data_folder()
    if folder is None:
        st.caption(
            "Opening scans from a folder of the server is switched off. To allow one, start the "
            f"app with the environment variable `{DATA_FOLDER_VARIABLE}` set to that folder."
        )
        if app_config().data_folder:
            st.warning("The data folder that was set does not exist.", icon=":material/info:")
        return
    with st.form("open-path", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        wanted = left.text_input(
            "Path in the data folder",
            placeholder="for example case_001.nii.gz or a folder with a DICOM series",
            help="A file or folder inside the data folder of this server; the path starts there.",
        )
        asked = right.form_submit_button("Open", width="stretch", icon=":material/folder_open:")
    if asked:
        _open_with_progress(lambda progress: open_file(wanted, on_progress=progress))
        st.rerun()
    _show_public_set(folder)


def _show_public_set(folder: Path) -> None:
    st.markdown(f"**{_PUBLIC_SET}**")
    if _show_download():
        return
    case_folder, place = find_case_folder(), folder / _PUBLIC_SET_FOLDER
    if case_folder is None:
        st.caption(_NOT_DOWNLOADED)
        _show_download_button(place, "Download the 20 cases")
        return
    with show_errors():
        cases = load_cases(str(case_folder))
        _show_case_table(cases)
        if place.is_dir() and not all(_masks_of(case) for case in cases):
            _show_download_button(place, "Continue downloading the masks")


def _show_case_table(cases: tuple[Case, ...]) -> None:
    st.caption("Click a row to open the case with its true masks.")
    picked = st.dataframe(
        pd.DataFrame([case_row(case) for case in cases]),
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=fresh_key("cases"),
        height=min(38 * (len(cases) + 1), 420),
    )
    rows = [*picked["selection"]["rows"], *(row for row, _ in picked["selection"]["cells"])]
    if rows:
        case_id = cases[rows[0]].case_id
        renew_key("cases")
        _open_with_progress(lambda progress: open_case(case_id, on_progress=progress))
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


def _show_download_button(place: Path, label: str) -> None:
    if not st.button(label, icon=":material/download:", help="Into the data folder."):
        return

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Path:
        from core.loading import download_covid20

        return download_covid20(place, on_progress=on_progress, should_cancel=should_cancel)

    session = this_session()
    session.part(PublicSet).download.start(work, owner=session)
    st.rerun()


def _show_download() -> bool:
    """The download under way, or how it ended until that is closed; false where there is none."""
    slot = this_session().part(PublicSet).download
    if slot.show_progress(
        stop="Stop the download",
        help="What has been downloaded is kept; the download can continue later.",
        percent=True,
    ):
        return True
    outcome = slot.outcome()
    if outcome is None:
        return False
    if outcome.result is not None:
        _close_download(slot)
    if outcome.error is not None:
        show_error(outcome.error)
    else:
        st.caption("Stopped. What has been downloaded is kept.")
    if st.button("Close", key="close-download"):
        _close_download(slot)
    return True


def _close_download(slot: JobSlot[Path]) -> None:
    slot.drop()
    load_cases.clear()
    st.rerun()
