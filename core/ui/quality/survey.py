"""The public set at a glance: one row a case, measured beside the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import streamlit as st

from core.config import QualityConfig
from core.errors import DatasetError
from core.loading import Case
from core.measuring.quality import (
    EmptySlices,
    SurveyedCase,
    check_named,
    empty_totals,
    survey_cases,
)
from core.system import OnProgress, ShouldCancel
from core.ui.data_folder import find_case_folder, inside_data_folder, load_cases
from core.ui.job_slot import JobSlot, Outcome
from core.ui.jobs import MEASURING_QUEUE
from core.ui.open_scan import open_case
from core.ui.page import show_error, show_errors
from core.ui.progress_line import opening
from core.ui.quality.leaving_out import left_out
from core.ui.session import this_session
from core.ui.widget_state import fresh_key, renew_key
from core.volume import MaskPair, Study

Surveyed = tuple[SurveyedCase, ...]


@dataclass(eq=False)
class Survey:
    """What was measured of all cases, or the job that measures them."""

    slot: JobSlot[Surveyed] = field(default_factory=lambda: JobSlot("survey", MEASURING_QUEUE))


def show_survey(config: QualityConfig) -> None:
    """Asks for the survey of the data folder's cases, follows it, and shows its rows."""
    folder = find_case_folder()
    if folder is None:
        return
    st.subheader("All cases", anchor=False)
    with show_errors():
        cases = load_cases(str(folder))
        slot = this_session().part(Survey).slot
        if slot.show_progress():
            return
        outcome = slot.outcome()
        if outcome is None:
            _ask(cases)
        else:
            _show_result(slot, outcome, config)


def _ask(cases: tuple[Case, ...]) -> None:
    st.caption(
        f"The data folder holds {len(cases)} cases. Checking them takes about a second for "
        "each hundred slices; you can continue working meanwhile, and stop it at any time."
    )
    text = st.text_input(
        "Folder of predictions",
        placeholder="optional, for example results",
        key="survey-predictions",
        help="Inside the data folder, with CASE/infection_mask.nii.gz as `python -m core segment` "
        "writes it. Then slices without predicted infection are counted too.",
    )
    if st.button("Check all cases", type="primary", icon=":material/playlist_add_check:"):
        predicted = _predictions(inside_data_folder(text)) if text.strip() else None

        def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Surveyed:
            return tuple(
                survey_cases(
                    cases,
                    predicted=predicted,
                    on_progress=on_progress,
                    should_cancel=should_cancel,
                )
            )

        session = this_session()
        session.part(Survey).slot.start(work, owner=session)
        st.rerun()


def _predictions(folder: Path) -> Callable[[Case, Study], MaskPair | None]:
    def predicted(case: Case, study: Study) -> MaskPair | None:
        from core.evaluation import load_prediction

        try:
            return load_prediction(folder, case, study)
        except DatasetError:  # a folder may hold predictions for some of the cases
            return None

    return predicted


def _show_result(
    slot: JobSlot[Surveyed], outcome: Outcome[Surveyed], config: QualityConfig
) -> None:
    if outcome.error is not None:
        show_error(outcome.error)
    if outcome.result is not None:
        _show_rows(outcome.result, config)
    else:
        st.caption("Stopped. Nothing was kept.")
    if st.button("Check again", key="survey-again"):
        slot.drop()
        st.rerun()


def _show_rows(surveyed: Surveyed, config: QualityConfig) -> None:
    picked = st.dataframe(
        pd.DataFrame([survey_row(case, config) for case in surveyed]),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=fresh_key("survey-rows"),
        height=min(35 * (len(surveyed) + 1) + 3, 738),
    )
    for side, total in empty_totals(surveyed).items():
        st.markdown(
            f"By {side}, **{total.empty} of {total.slices}** slices of {total.cases} "
            f"case{'s' if total.cases > 1 else ''} hold no infection."
        )
    chosen = [surveyed[row].case_id for row in picked["selection"]["rows"]]
    _show_actions(chosen)


def _show_actions(chosen: list[str]) -> None:
    """What can be done with the rows that are ticked."""
    marks = left_out()

    def mark(*, out: bool) -> None:
        for case_id in chosen:
            marks.set_case(case_id, out=out)
        renew_key("survey-rows")

    if not chosen:
        st.caption("Select cases to open one, or to leave some out of training.")
    with st.container(horizontal=True, gap="small"):
        opened = st.button("Open the case", key="survey-open", disabled=len(chosen) != 1)
        st.button(
            "Leave out", key="survey-out", on_click=mark, kwargs={"out": True}, disabled=not chosen
        )
        st.button(
            "Include again", key="survey-back", on_click=mark, kwargs={"out": False},
            disabled=not chosen,
        )  # fmt: skip
    if opened:
        renew_key("survey-rows")
        with opening() as progress:
            open_case(chosen[0], on_progress=progress)
        st.rerun()


def survey_row(case: SurveyedCase, config: QualityConfig) -> dict[str, str]:
    """One line of the table."""
    report = case.report(config)
    marks = left_out()
    out = marks.slices_of(case.case_id)
    row = {
        "Case": case.case_id,
        "Slices": "",
        "With findings": "",
        "No infection (truth)": _empty(case.truth),
        "No infection (prediction)": _empty(case.prediction),
        "Left out": "all" if marks.has_case(case.case_id) else str(len(out) or ""),
        "Found": case.error,
    }
    if report is None:
        return row
    found = [
        check_named(outcome.check).label
        + ("" if check_named(outcome.check).whole_scan else f" {len(outcome.findings)}")
        for outcome in report.outcomes
        if outcome.findings
    ]
    return {
        **row,
        "Slices": str(report.slices),
        "With findings": str(len(report.flagged_slices)),
        "Found": ", ".join(found) or "nothing",
    }


def _empty(found: EmptySlices | None) -> str:
    return "not known" if found is None else str(found.empty)
