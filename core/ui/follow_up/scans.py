"""Both scans side by side at the same height in the lung, and which masks are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from core.measuring import SliceMatch, match_slices, resample_matched
from core.system import OnProgress, ShouldCancel, raise_if_cancelled, size_text
from core.ui import segmenting
from core.ui.job_result import AT_ONCE_SECONDS, result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import MEASURING_QUEUE
from core.ui.page import show_errors, spacing_text
from core.ui.scan import browsing
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, this_session
from core.ui.text import escape_markdown
from core.ui.viewer import Comparison, ViewerScan
from core.volume import MaskPair, Volume

_ALIGNING = "follow-up aligning"
"""Name in the memo of the second scan."""
_MEASURED_ON = {
    "Prediction": "the network's masks",
    CORRECTED: "masks corrected by hand",
    "Truth": "true masks",
}


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
            "Only one of these scans is generated, so they are not of the same patient.",
            icon=":material/info:",
        )
    if None in names:
        st.info("Mark lung and infection in both scans to compare them.", icon=":material/info:")
        return False
    if names[0] != names[1]:
        some, others = (words for name, words in _MEASURED_ON.items() if name in names)
        st.warning(
            f"One scan is measured on {some} and the other on {others}. Changes "
            "then include the network's error as well: mark both for a fair comparison.",
            icon=":material/info:",
        )
    return True


def _forget_second() -> None:
    session = this_session()
    if session.second is not None:
        segmenting.stop_run_of(session.second)
    session.second = None


def masks_used(one: OpenStudy) -> str | None:
    """The masks that are measured: corrected ones where there are any, else the prediction or the
    truth."""
    return next(iter(known_masks(one)), None)


def _show_head(title: str, one: OpenStudy, *, running: bool, second: bool) -> None:
    volume = one.study.volume
    st.markdown(f"**{title}:** {escape_markdown(one.name)}")
    if one.study.synthetic:
        st.badge("SYNTHETIC", icon=":material/science:", color="orange")
    used = masks_used(one)
    measured = {
        CORRECTED: "measured on masks corrected by hand",
        "Prediction": "measured on the network's masks",
        "Truth": "measured on its true masks; the network has not run",
        None: "nothing is marked yet",
    }[used]
    st.caption(f"{size_text(volume.shape)} voxels, {spacing_text(one)}; {measured}.")
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


@dataclass(eq=False)
class _Aligning:
    """The job that makes the pair, and the scans and masks that it is made of."""

    of: tuple[object, ...]
    slot: JobSlot[_Pair] = field(default_factory=lambda: JobSlot("align", MEASURING_QUEUE))


def _pair(first: OpenStudy, second: OpenStudy) -> _Pair | None:
    """Both scans aligned; none while that is done beside the page, and where it was stopped."""
    one, other = (known_masks(study)[masks_used(study) or ""] for study in (first, second))
    here, there = first.study.volume, second.study.volume
    of = (here, one, there, other)
    kept: _Aligning | None = second.memo.get(_ALIGNING)
    if kept is None or any(a is not b for a, b in zip(kept.of, of, strict=True)):
        if kept is not None:
            kept.slot.drop()
        kept = second.memo[_ALIGNING] = _Aligning(of)
    if kept.slot.job is None:

        def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> _Pair:
            on_progress("finding the lung in both scans", 0, 1)
            lungs = [
                np.zeros((1, 1, volume.shape[2]), dtype=bool) if pair.lung is None else pair.lung
                for volume, pair in ((here, one), (there, other))
            ]
            match = match_slices(*lungs)
            raise_if_cancelled(should_cancel, "aligning slices")
            moved = resample_matched(
                there, other, match, on_progress=on_progress, should_cancel=should_cancel
            )
            return _Pair(match, *moved)

        kept.slot.start(work, owner=second).join(AT_ONCE_SECONDS)
    return result_of(kept.slot, stop_help="Stops aligning the two scans. Both stay open.")


@st.fragment
def show_scans(first: OpenStudy, second: OpenStudy) -> None:
    """Both scans side by side at the same height in the lung; one step moves both."""
    pair = _pair(first, second)
    if pair is None:
        return
    used = [(masks_used(one) or "").lower() for one in (first, second)]
    beside = ViewerScan(
        owner=pair,
        volume=pair.volume,
        truth=pair.masks if used[1] == "truth" else None,
        prediction=pair.masks if used[1] != "truth" else None,
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
            # Masks of the second scan were moved onto the first: they are shown, not corrected.
            right_masks=("truth" if used[1] == "truth" else "prediction",),
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
            f"Axial slice {slice_index + 1} of the first scan is shown beside slice "
            f"{other + 1} {of}."
        )
    if match.by_lung:
        way = "Slices are matched by their place between the first and the last slice with lung;"
    else:
        way = "A scan shows no lung, so slices are matched by their place in the whole scan;"
    return (
        f"{seen} {way} coronal and sagittal ones by their place in the picture. Biomarkers are "
        "measured on each scan's own slices."
    )


def show_warnings(first: OpenStudy, second: OpenStudy) -> None:
    """What there is to know about either scan."""
    for title, one in (("First scan", first), ("Second scan", second)):
        notes = list(one.study.volume.warnings)
        if one.segmentation is not None:
            notes += list(one.segmentation.warnings)
        for note in notes:
            st.warning(f"{title}: {escape_markdown(note)}", icon=":material/info:")
