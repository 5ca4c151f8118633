"""The second scan of a patient beside the open one, and what changed between them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.errors import LoadError, LungLensError
from core.measuring import (
    Change,
    SliceMatch,
    changes_csv,
    changes_json_dict,
    compare_biomarkers,
    coverage_note,
    match_slices,
    resample_matched,
)
from core.measuring.biomarkers import GROUPS
from core.system import UNDEFINED_TEXT, OnProgress, json_text
from core.ui import browsing, segmenting, session
from core.ui.biomarkers import STYLE, said_header, scan_biomarkers
from core.ui.measures import known_masks
from core.ui.opening import ProgressLine
from core.ui.page import show_error, show_errors, spacing_text
from core.ui.results import file_stem
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown
from core.ui.viewer import Comparison, ViewerScan
from core.volume import MaskPair, Study, Volume

if TYPE_CHECKING:  # loaded where it is first needed
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_SECOND = "follow_up"
_ERROR = "follow_up_error"
_FROM_CASES, _FROM_FILES, _GENERATED = "Cases on this server", "Upload", "Generated"
_HEADLINES = (
    "infected_share",
    "infected_share_right",
    "infected_share_left",
    "infected_volume_ml",
    "lung_volume_ml",
    "mean_lung_hu",
    "well_aerated_share",
    "ground_glass_share",
    "consolidation_share",
    "lesion_count",
    "lesion_largest_ml",
    "zonal_score",
    "mosmed_category",
    "laterality",
)
"""What is shown without asking."""


def second_scan() -> OpenStudy | None:
    """The follow-up of this session."""
    return st.session_state.get(_SECOND)


def choose_second(first: OpenStudy) -> OpenStudy | None:
    """The second scan; where there is none yet, the ways to one."""
    error = st.session_state.pop(_ERROR, None)
    if error is not None:
        show_error(error)
    second = second_scan()
    if second is not None:
        return second
    st.markdown(f"**First scan:** {escape_markdown(first.name)}, the one that is open.")
    st.markdown("**Second scan:** choose the later one of the same patient.")
    folder = session.find_case_folder()
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
    cases = [case for case in session.load_cases(folder) if case.case_id != first.link]
    known = {case.case_id: case.patient_id for case in session.load_cases(folder)}
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
            help="A case of the data folder. Those that its names give as the same patient come "
            "first.",
        )
        if st.button("Open as second scan", type="primary", disabled=case_id is None):
            with st.spinner("Opening the case…", show_time=True):
                _take(lambda: session.case_study(case_id), "case", case_id)


def _choose_files() -> None:
    round_number = st.session_state.setdefault("follow_up_round", 0)
    files = st.file_uploader(
        "Files of the second scan",
        accept_multiple_files=True,
        key=f"follow-up-upload-{round_number}",
        help="One NIfTI file, one DICOM series (all its files or a zip), or pictures. They stay "
        "in this server's memory while the page is open.",
    )
    if not files:
        return
    # First, so that files whose opening is stopped are not opened again.
    st.session_state["follow_up_round"] = round_number + 1
    progress = ProgressLine()
    try:
        _take(lambda: _open_uploads(files, progress), "upload", "upload")
    finally:
        session.give_back_uploads(files)


def _open_uploads(files: Sequence[UploadedFile], on_progress: OnProgress) -> Study:
    from core.loading import SeveralSeriesError, open_study, stage_uploads

    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        paths = stage_uploads([(file.name, file) for file in files], folder)
        try:
            return open_study(paths, on_progress=on_progress)
        except SeveralSeriesError as several:
            raise LoadError(
                "These files hold several series",
                got=f"{len(several.series)} of them",
                expected="the files of one",
                next_step="upload the files of the series you want",
            ) from several


def _choose_generated(first: OpenStudy) -> None:
    words = "The generated chest of the demo study scanned again, with less disease. "
    if not first.study.synthetic:
        words += "It is **not of your patient**: open the demo study on Home to see it as meant. "
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


def _take(load: Callable[[], Study], origin: session.Origin, link: str) -> None:
    """Loads the second scan, or leaves a sentence; what is open stays open."""
    try:
        st.session_state[_SECOND] = OpenStudy(study=load(), origin=origin, link=link)
    except LungLensError as error:
        st.session_state[_ERROR] = error
    st.rerun()


def show_heads(first: OpenStudy, second: OpenStudy) -> bool:
    """What each scan is and which masks are measured; false while one has none."""
    running = segmenting.show_progress()
    columns = st.columns(2, gap="large")
    for column, title, one in zip(
        columns, ("First scan", "Second scan"), (first, second), strict=True
    ):
        with column, show_errors():
            _show_head(title, one, running=running, second=one is second)
    names = [masks_used(one) for one in (first, second)]
    if first.study.synthetic != second.study.synthetic:
        st.warning(
            "One of these scans is generated and the other is not: they are not of one patient.",
            icon=":material/info:",
        )
    if None in names:
        st.info("Mark lung and infection in both scans to compare them.", icon=":material/info:")
        return False
    if names[0] != names[1]:
        st.warning(
            "One scan is measured on the network's masks and the other on true masks. Changes "
            "then hold the network's error as well: mark both to compare like with like.",
            icon=":material/info:",
        )
    return True


def _forget_second() -> None:
    second = st.session_state.pop(_SECOND, None)
    job = segmenting.running_job()
    if job is not None and job.owner is second:
        session.drop_job()


def masks_used(one: OpenStudy) -> str | None:
    """The masks that are measured: the prediction where there is one, else the truth."""
    return next(iter(known_masks(one)), None)


def _show_head(title: str, one: OpenStudy, *, running: bool, second: bool) -> None:
    volume = one.study.volume
    st.markdown(f"**{title}:** {escape_markdown(one.name)}")
    if one.study.synthetic:
        st.badge("SYNTHETIC", icon=":material/science:", color="orange")
    used = masks_used(one)
    measured = {
        "Prediction": "measured on the network's masks",
        "Truth": "measured on its true masks; the network has not run",
        None: "nothing is marked yet",
    }[used]
    size = " × ".join(map(str, volume.shape))
    st.caption(f"{size} voxels, {spacing_text(one)}; {measured}.")
    with st.container(horizontal=True):
        if second:
            st.button(
                "Choose another second scan",
                icon=":material/swap_horiz:",
                on_click=_forget_second,
                help="Closes the second scan; the first stays open.",
            )
        weights = segmenting.default_weights()
        if one.prediction is not None or running or weights is None:
            return
        if st.button(
            "Mark lung and infection",
            key=f"follow-up-mark-{one.token}",
            type="primary" if used is None else "secondary",
            icon=":material/ink_highlighter:",
            help="Runs the network on this scan.",
        ):
            segmenting.start(one, weights)
            st.rerun()


@dataclass(eq=False)
class _Pair:
    """The second scan on the slices of the first; slices are served as long as it is kept."""

    match: SliceMatch
    volume: Volume
    masks: MaskPair
    key: tuple[object, ...] = field(repr=False, default=())


def _pair(first: OpenStudy, second: OpenStudy) -> _Pair:
    one, other = (known_masks(study)[masks_used(study) or ""] for study in (first, second))
    kept: _Pair | None = second.memo.get("follow-up-pair")
    key = (first.study.volume, one, second.study.volume, other)
    if kept is not None and all(a is b for a, b in zip(kept.key, key, strict=True)):
        return kept
    with st.spinner("Laying slices beside each other…"):
        nothing = [np.zeros((1, 1, s.study.volume.shape[2]), dtype=bool) for s in (first, second)]
        match = match_slices(
            nothing[0] if one.lung is None else one.lung,
            nothing[1] if other.lung is None else other.lung,
        )
        volume, masks = resample_matched(second.study.volume, other, match)
    kept = _Pair(match, volume, masks, key)
    second.memo["follow-up-pair"] = kept
    return kept


@st.fragment
def show_scans(first: OpenStudy, second: OpenStudy) -> None:
    """Both scans side by side at the same height in the lung; one step moves both."""
    pair = _pair(first, second)
    used = [(masks_used(one) or "").lower() for one in (first, second)]
    beside = ViewerScan(
        owner=pair,
        volume=pair.volume,
        truth=pair.masks if used[1] == "truth" else None,
        prediction=pair.masks if used[1] == "prediction" else None,
        name=second.name,
        stamp=second.stamp,
        numbers=(tuple(map(int, pair.match.slices)), second.study.volume.shape[2]),
    )
    place = browsing.show_picture(
        first,
        key="follow-up",
        tallest=0.6,
        comparison=Comparison(
            "First",
            "Second",
            scan=beside,
            left_masks=(used[0],),
            right_masks=(used[1],),
            aside=True,
        ),
    )
    st.caption(_where(pair.match, place.voxel[2], second))
    browsing.write_address(first)


def _where(match: SliceMatch, slice_index: int, second: OpenStudy) -> str:
    """Which slice of the second scan is seen, and how it was found."""
    other = int(match.slices[slice_index])
    of = f"of {second.study.volume.shape[2]} of the second"
    if other < 0:
        seen = f"Axial slice {slice_index + 1} of the first scan lies beyond the second scan."
    else:
        seen = (
            f"Axial slice {slice_index + 1} of the first scan stands beside slice {other + 1} {of}."
        )
    if match.by_lung:
        way = "Slices are matched by their place between the first and the last slice with lung;"
    else:
        way = "A scan shows no lung, so slices are matched by their place in the whole scan;"
    return (
        f"{seen} {way} coronal and sagittal ones by their place in the picture. Biomarkers are "
        "measured on each scan's own slices."
    )


def changes_of(first: OpenStudy, second: OpenStudy) -> tuple[Change, ...]:
    """Every biomarker of both, measured once for each scan."""
    found = [scan_biomarkers(one, masks_used(one) or "") for one in (first, second)]
    return compare_biomarkers(*found)


def show_changes(first: OpenStudy, second: OpenStudy) -> None:
    """What changed, as a table and as files."""
    changes = changes_of(first, second)
    st.markdown(
        "**What changed**",
        help="Second scan less first. Shares change in percentage points; the last column is the "
        "change in percent of the first value. What is undefined in one scan is undefined here.",
    )
    st.caption("Point at the name of a figure, or tap it, for its rule and source.")
    by_key = {change.measurement.key: change for change in changes}
    _show_table([by_key[key] for key in _HEADLINES], "The main changes")
    with st.expander("All biomarkers of both scans", icon=":material/lab_profile:"):
        for group in GROUPS:
            st.markdown(f"**{group}**")
            _show_table([c for c in changes if c.measurement.group == group], group)
    notes = {
        note: None
        for one in (first, second)
        for note in scan_biomarkers(one, masks_used(one) or "").notes
    }
    if differ := coverage_note(changes):
        st.warning(differ, icon=":material/info:")
    for note in notes:
        st.caption(note)
    _show_files(first, second, changes)


def _show_table(changes: Sequence[Change], caption: str) -> None:
    columns = ("First", "Second", "Change", "in %")
    names = "".join(f'<th scope="col">{name}</th>' for name in columns)
    lines = "".join(
        f"<tr>{said_header(change.measurement)}{_cells(change)}</tr>" for change in changes
    )
    st.html(
        f'{STYLE}<table class="biomarkers" aria-label="{escape(caption, quote=True)}"><thead><tr>'
        f"<th></th>{names}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _cells(change: Change) -> str:
    values = (change.before_text, change.after_text)
    differences = (change.absolute_text, change.relative_text)
    reason = escape(change.reason, quote=True)
    return "".join(
        f'<td class="undefined" title="{reason}">{escape(short)}</td>'
        if text == UNDEFINED_TEXT
        else f"<td>{escape(text)}</td>"
        for texts, short in ((values, UNDEFINED_TEXT), (differences, "–"))
        for text in texts
    )


def show_warnings(first: OpenStudy, second: OpenStudy) -> None:
    """What there is to know about either scan."""
    for title, one in (("First scan", first), ("Second scan", second)):
        notes = list(one.study.volume.warnings)
        if one.segmentation is not None:
            notes += list(one.segmentation.warnings)
        for note in notes:
            st.warning(f"{title}: {escape_markdown(note)}", icon=":material/info:")


def _show_files(first: OpenStudy, second: OpenStudy, changes: tuple[Change, ...]) -> None:
    stem = f"{file_stem(first)}_to_{file_stem(second)}"
    names = (first.name, second.name)
    record = {
        "note": "Research software, never a diagnosis.",
        "first": {
            "name": first.name,
            "masks": masks_used(first),
            "synthetic": first.study.synthetic,
        },
        "second": {
            "name": second.name,
            "masks": masks_used(second),
            "synthetic": second.study.synthetic,
        },
        "changes": changes_json_dict(changes),
    }
    with st.container(horizontal=True):
        st.download_button(
            "Changes (CSV)",
            data=changes_csv(changes, names=names),
            file_name=f"{stem}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="One figure a line: both values, both changes, rule and source.",
        )
        st.download_button(
            "Changes (JSON)",
            data=json_text(record) + "\n",
            file_name=f"{stem}.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            help="The same with which masks were measured; undefined figures are null.",
        )
