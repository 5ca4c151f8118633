"""The picked scan of Cohort: its picture, its measurements, and the way to View."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.batch import Cohort, Row, biomarker_columns, read_thumbnail, scan_place
from core.config import CHANNELS
from core.errors import LoadError, LungLensError
from core.measuring.biomarkers import measurement_text
from core.system import OnProgress, number_text
from core.ui.data_folder import (
    DATA_FOLDER_VARIABLE,
    find_case_folder,
    inside_data_folder,
    load_cases,
)
from core.ui.navigation import BROWSE, go_to
from core.ui.open_scan import open_case, open_file, open_series
from core.ui.progress_line import opening
from core.ui.scan.browsing import place_of
from core.ui.scan.headline import show_headline_of
from core.ui.session import OpenStudy
from core.ui.tables import show_facts
from core.ui.text import escape_markdown

BIOMARKERS = {figure.key: figure for figure in biomarker_columns()}
TABLE_BIOMARKERS = (
    "infected_share",
    "lung_volume_ml",
    "infected_volume_ml",
    "mosmed_category",
    "lobar_score",
    "zonal_score",
    "laterality",
    "lesion_count",
    "mean_lung_hu",
    "ground_glass_share",
    "consolidation_share",
)
_CARD_BIOMARKERS = (
    *TABLE_BIOMARKERS,
    "infected_share_right",
    "infected_share_left",
)
_CARD_WIDTH = 448


@st.cache_data(max_entries=2000, show_spinner=False)
def scan_picture(folder: str, scan_id: str, finished: str, width: int) -> bytes | None:
    """The thumbnail that a batch has written of a scan, as JPEG of this width; kept until the scan
    is segmented again."""
    return read_thumbnail(Path(folder), scan_id, width=width)


def show_scan(cohort: Cohort, row: Row | None) -> None:
    """The picked scan: picture, measurements, and the way to View."""
    if row is None:
        st.caption("Pick a row to see its scan larger, and to open it on View.")
        return
    with st.container(border=True, key="cohort-scan"):
        picture, facts = st.columns([2, 5], gap="large")
        with facts:
            st.markdown(f"**{escape_markdown(row['name'])}**")
            _show_way_to_view(cohort, row)
            if row["status"] == "done":
                show_headline_of(row, whose="As marked by the network, not checked by anyone.")
                show_facts(_facts(row), caption="Measurements of the scan")
            if row["reason"] or row["warnings"]:
                st.caption(escape_markdown(row["reason"] or row["warnings"]))
        with picture:
            if cohort.folder is not None and row["status"] == "done":
                folder = str(cohort.folder)
                large = scan_picture(folder, row["scan_id"], row["finished"], _CARD_WIDTH)
                if large is not None:
                    st.image(large, caption=f"Axial slice {row['key_slice']:.0f}, key slice")


def _facts(row: Row) -> dict[str, str]:
    facts = {}
    for key in _CARD_BIOMARKERS:
        figure, value = BIOMARKERS[key], row[key]
        known = value not in (None, "")
        facts[figure.label] = measurement_text(value, figure.unit) if known else "not defined"
    for channel in CHANNELS:
        if row[f"{channel}_dice"] is not None:
            facts[f"Dice of {channel}"] = number_text(row[f"{channel}_dice"])
    return facts


def _show_way_to_view(cohort: Cohort, row: Row) -> None:
    place = scan_place(cohort, row["scan_id"])
    if place is None:
        st.caption("The location of this scan is not known here, so it cannot be opened.")
        return
    try:
        path = inside_data_folder(str(place[0]))
    except LoadError:
        st.caption(
            f"This scan is not in the data folder (`{DATA_FOLDER_VARIABLE}`), so it cannot be "
            "opened from here."
        )
        return
    if st.button(
        "Open on View",
        type="primary",
        icon=":material/folder_open:",
        help="Opens the scan itself at this slice; the masks of the batch stay in its folder.",
    ):
        try:
            with opening() as progress:
                opened = _open(path, place[1], row["key_slice"], on_progress=progress)
        except LungLensError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")
            return
        if opened:
            go_to(BROWSE)


def _open(
    path: Path, series_uid: str | None, key_slice: float | None, *, on_progress: OnProgress
) -> bool:
    current = _open_case(path, on_progress) or open_file(str(path), on_progress=on_progress)
    if current is None and series_uid is not None:
        current = open_series(series_uid, on_progress=on_progress)
    if current is not None and key_slice is not None:
        shape, place = current.study.volume.shape, place_of(current)
        i, j, _ = place.voxel
        place.go_to(plane="axial", voxel=(i, j, min(max(int(key_slice) - 1, 0), shape[2] - 1)))
    return current is not None


def _open_case(path: Path, on_progress: OnProgress) -> OpenStudy | None:
    """With its true masks, where the scan is one of the public set."""
    folder = find_case_folder()
    if folder is not None and path.is_relative_to(folder):
        for case in load_cases(str(folder)):
            if case.scan_path == path:
                return open_case(case.case_id, on_progress=on_progress)
    return None
