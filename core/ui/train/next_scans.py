"""What to correct next: scans that the network is least sure of, and slices to check first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.errors import LungLensError
from core.loading import Case, load_case
from core.system import OnProgress, ShouldCancel
from core.ui import segmenting
from core.ui.data_folder import find_case_folder, load_cases
from core.ui.job_slot import JobSlot
from core.ui.jobs import NETWORK_QUEUE
from core.ui.navigation import BROWSE, go_to
from core.ui.open_scan import open_case
from core.ui.page import show_error, show_errors
from core.ui.progress_line import opening
from core.ui.session import this_session
from core.ui.text import escape_markdown
from core.ui.widget_state import fresh_key, renew_key
from core.volume import Volume

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import RankedScan

_SLICES = 5
_HELP = (
    "The network marks each scan and its mirror image. Where both masks of infection disagree, it "
    "is unsure, and correcting helps most. It can also be sure and wrong."
)


@dataclass(eq=False)
class NextScans:
    """The list of this session, or the job that makes it."""

    slot: JobSlot[list[RankedScan]] = field(
        default_factory=lambda: JobSlot("next-scans", NETWORK_QUEUE)
    )


def show_next_scans() -> None:
    """Asks for the list of the data folder's cases, follows it, and opens the case clicked on."""
    folder = find_case_folder()
    if folder is None:
        return
    st.subheader("What to correct next", anchor=False, help=_HELP)
    with show_errors():
        cases = load_cases(str(folder))
        slot = this_session().part(NextScans).slot
        if slot.show_progress():
            return
        outcome = slot.outcome()
        if outcome is None:
            _ask(cases)
            return
        if outcome.error is not None:
            show_error(outcome.error)
        if outcome.result is not None:
            _show(outcome.result)
        if st.button("Measure again", key="next-again"):
            slot.drop()
            st.rerun()


def _ask(cases: tuple[Case, ...]) -> None:
    st.caption(
        f"{len(cases)} cases of the data folder, ordered by how unsure the default network is "
        "about them. Takes some seconds a case; you can continue working meanwhile."
    )
    if not st.button("Find what to correct next", icon=":material/troubleshoot:"):
        return
    weights = segmenting.default_weights()
    if weights is None:
        st.caption("No trained network is installed.")
        return
    scans = [(case.case_id, partial(_volume, case)) for case in cases]
    session = this_session()
    session.part(NextScans).slot.start(_work(scans, weights.weights_id), owner=session)
    st.rerun()


def _volume(case: Case) -> Volume:
    return load_case(case).volume


def _work(
    scans: Sequence[tuple[str, Callable[[], Volume]]], weights_id: str
) -> Callable[[OnProgress, ShouldCancel], list[RankedScan]]:
    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> list[RankedScan]:
        from core.segmentation import load_segmenter, rank_scans

        return rank_scans(
            scans,
            load_segmenter(weights_id),
            slices=_SLICES,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )

    return work


def _show(ranked: list[RankedScan]) -> None:
    picked = st.dataframe(
        pd.DataFrame([_row(one) for one in ranked]),
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=fresh_key("next-rows"),
        height=min(38 * (len(ranked) + 1), 420),
    )
    st.caption("Click a row to open the scan on View, at the first of these slices.")
    for one in ranked:
        if one.trouble:
            st.caption(escape_markdown(f"{one.name}: {one.trouble}"))
    rows = [*picked["selection"]["rows"], *(row for row, _ in picked["selection"]["cells"])]
    if rows:
        renew_key("next-rows")
        _open(ranked[rows[0]])


def _row(one: RankedScan) -> dict[str, object]:
    found = one.found
    return {
        "Scan": one.name,
        "Disagreement": None if found is None else round(found.disagreement, 3),
        "Entropy at the border": None if found is None else round(found.border_entropy, 3),
        "Slices to check first": ", ".join(str(k + 1) for k in one.slices),
    }


def _open(one: RankedScan) -> None:
    try:
        with opening() as progress:
            opened = open_case(one.name, on_progress=progress)
    except LungLensError as error:
        show_error(error)
        return
    opened.look_first = one.slices
    if one.slices:
        from core.ui.scan.browsing import place_of

        place = place_of(opened)
        i, j, _ = place.voxel
        place.go_to(plane="axial", voxel=(i, j, one.slices[0]))
    go_to(BROWSE)
