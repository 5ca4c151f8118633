"""Where predictions fail: a gallery of the worst slices, and each of them in the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import streamlit as st

from core.config import Channel
from core.drawing import AGREEMENT_COLOURS
from core.evaluation import SCORES, CaseReview, WorstSlice, find_worst, slice_rows
from core.segmentation import Segmentation
from core.system import number_text
from core.ui.data_folder import case_study
from core.ui.evaluate.cases import MEASUREMENTS
from core.ui.evaluate.curves import choose_channel
from core.ui.evaluate.question import Question
from core.ui.navigation import BROWSE, go_to
from core.ui.open_scan import open_case
from core.ui.page import show_errors
from core.ui.progress_line import opening
from core.ui.scan import browsing
from core.ui.session import this_session
from core.ui.text import escape_markdown
from core.ui.viewer import Place, ViewerScan, show_viewer
from core.ui.widget_state import fresh_key, renew_key
from core.volume import MaskPair, Study

_COUNT = 9
_WIDTH = 110
"""Of a thumbnail, in pixels: three side by side on a phone too."""
_ORDERS = {"area": "Largest error", "dice": "Lowest Dice"}


@dataclass(eq=False)
class ShownCase:
    """The one case that is shown, with the prediction of the network that was evaluated."""

    case_id: str
    sha256: str
    study: Study
    segmentation: Segmentation
    place: Place
    """Also what slices are served for: they can be fetched as long as this is kept."""

    @cached_property
    def lungs(self) -> tuple[MaskPair | None, MaskPair]:
        """Truth and prediction without infection: the viewer compares what there is."""
        truth = self.study.truth
        return (
            None if truth is None else MaskPair(truth.lung, None),
            MaskPair(self.segmentation.masks.lung, None),
        )

    def masks(self, channel: Channel) -> tuple[MaskPair | None, MaskPair]:
        """Truth and prediction to show, the same objects each time."""
        return self.lungs if channel == "lung" else (self.study.truth, self.segmentation.masks)


@dataclass(eq=False)
class Gallery:
    """What this view keeps for the session.

    Attributes:
        shown: the case in the viewer.
        wanted: case and slice last clicked.
        asked_to_correct: whether the person is about to leave for View to correct it.
    """

    shown: ShownCase | None = None
    wanted: tuple[str, int] | None = None
    asked_to_correct: bool = False

    def ask_to_correct(self) -> None:
        """The person wants to correct the shown case, which is done on View."""
        self.asked_to_correct = True


def show_slices(question: Question) -> None:
    """Gallery beside viewer; every measurement of every slice of the shown case below."""
    reviews = {review.result.case_id: review for review in question.reviews(question.weights)}
    picture, gallery = st.columns([7, 5], gap="large")
    with gallery:
        with st.container(horizontal=True):
            channel = choose_channel("evaluation-gallery-channel")
            by = st.segmented_control(
                "Order",
                tuple(_ORDERS),
                format_func=lambda name: _ORDERS[name],
                default="area",
                required=True,
                key="evaluation-gallery-order",
                label_visibility="collapsed",
                help="Largest error: most missed and false pixels.",
            )
        worst = find_worst(list(reviews.values()), channel, by=by or "area", count=_COUNT)
    wanted = _wanted(worst, reviews)
    with picture, show_errors():
        shown = _show_case(question, reviews, *wanted, channel=channel)
    with gallery:
        _show_gallery(worst, reviews, wanted)
    _show_rows(reviews[shown.case_id] if shown is not None else None)


def _wanted(worst: list[WorstSlice], reviews: dict[str, CaseReview]) -> tuple[str, int]:
    """Case and slice last clicked, else the worst."""
    wanted = this_session().part(Gallery).wanted
    if wanted is not None and wanted[0] in reviews:
        return wanted
    if worst:
        return worst[0].case_id, worst[0].slice_index
    first = next(iter(reviews.values())).result
    return first.case_id, first.slices // 2


def _look_at(case_id: str, slice_index: int) -> None:
    state = this_session().part(Gallery)
    state.wanted = (case_id, slice_index)
    shown = state.shown
    if shown is not None and shown.case_id == case_id:
        i, j, _ = shown.place.voxel
        shown.place.go_to(plane="axial", voxel=(i, j, slice_index))


def _show_case(
    question: Question,
    reviews: dict[str, CaseReview],
    case_id: str,
    slice_index: int,
    *,
    channel: Channel,
) -> ShownCase | None:
    state = this_session().part(Gallery)
    shown = state.shown
    sha256 = question.weights.sha256
    if shown is None or (shown.case_id, shown.sha256) != (case_id, sha256):
        with opening() as progress:
            study = question.study or case_study(case_id, on_progress=progress)
            i, j, _ = (count // 2 for count in study.volume.shape)
            shown = ShownCase(
                case_id=case_id,
                sha256=sha256,
                study=study,
                segmentation=reviews[case_id].kept.restore(),
                place=Place(voxel=(i, j, slice_index)),
            )
        state.shown = shown
    truth, prediction = shown.masks(channel)
    scan = ViewerScan(
        owner=shown,
        volume=shown.study.volume,
        truth=truth,
        prediction=prediction,
        name=shown.case_id,
        stamp="SYNTHETIC" if shown.study.synthetic else "",
    )
    gallery = this_session().part(Gallery)
    show_viewer(
        scan,
        shown.place,
        key="evaluation-picture",
        tallest=0.6,
        marks="agreement",
        on_correct=gallery.ask_to_correct,
    )
    if gallery.asked_to_correct:
        gallery.asked_to_correct = False
        _open_on_view(question, shown, correcting=True)
    result = reviews[case_id].result
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"**{escape_markdown(case_id)}**, {result.side}: Dice of the scan "
            f"{number_text(result.infection.dice)} for infection, "
            f"{number_text(result.lung.dice)} for lung."
        )
        if st.button(
            "Open on View",
            icon=":material/view_carousel:",
            help="Opens this case with this prediction for all pages.",
        ):
            _open_on_view(question, shown)
    return shown


def _open_on_view(question: Question, shown: ShownCase, *, correcting: bool = False) -> None:
    current = this_session().opened
    if question.study is None or current is None:
        current = open_case(shown.case_id)
    current.set_segmentation(shown.segmentation)
    browsing.place_of(current).go_to(plane="axial", voxel=shown.place.voxel)
    if correcting:
        browsing.correct_on_view(current)
    go_to(BROWSE)


def _show_gallery(
    worst: list[WorstSlice], reviews: dict[str, CaseReview], wanted: tuple[str, int]
) -> None:
    if not worst:
        st.success("No slice has an error.", icon=":material/check_circle:")
        return
    swatches = " ".join(
        f'<span style="color:{AGREEMENT_COLOURS[name]};background:#0b0f14;border-radius:3px;'
        f'padding:0 0.2rem">■</span> {words} &nbsp; '
        for name, words in (("hit", "hit"), ("missed", "missed"), ("wrong", "false"))
    )
    st.html(f'<div style="font-size:0.86rem;color:var(--quiet)">{swatches}</div>')
    with st.container(horizontal=True, gap="small", key="evaluation-gallery"):
        for one in worst:
            with st.container(width=_WIDTH, gap="small"):
                name = "Slice" if len(reviews) == 1 else f"{_short(one.case_id)} ·"
                side = reviews[one.case_id].result.side
                _show_thumbnail(one, name=name, side=side, is_shown=wanted == _name(one))


def _name(one: WorstSlice) -> tuple[str, int]:
    return one.case_id, one.slice_index


def _show_thumbnail(one: WorstSlice, *, name: str, side: str, is_shown: bool) -> None:
    st.image(one.picture, width="stretch")
    st.button(
        f"{name} {one.slice_index + 1}",
        key=f"look-{one.channel}-{one.case_id}-{one.slice_index}",
        type="primary" if is_shown else "tertiary",
        width="stretch",
        on_click=_look_at,
        args=_name(one),
        help=f"Case {escape_markdown(one.case_id)} ({side}), slice "
        f"{one.slice_index + 1}: Dice {number_text(one.dice)}, {one.missed} pixels missed, "
        f"{one.false} false.",
    )


def _short(case_id: str) -> str:
    """The telling end of a long name."""
    name = case_id.removesuffix("-dcm")
    return escape_markdown(name if len(name) <= 9 else f"…{name[-7:]}")


def _show_rows(review: CaseReview | None) -> None:
    if review is None:
        return
    rows = slice_rows(review)
    columns = {"Slice": [row["slice"] for row in rows]}
    formats = {}
    for channel in review.slices:
        for name in SCORES:
            label = f"{channel.capitalize()} {MEASUREMENTS[name]}"
            columns[label] = [row[f"{channel}_{name}"] for row in rows]
            digits = "%.1f" if name == "hd95_mm" else "%.3f"
            formats[label] = st.column_config.NumberColumn(format=digits)
    for name, label in (
        ("infection_fraction_true", "Share, truth"),
        ("infection_fraction_pred", "Share, prediction"),
        ("infection_fraction_error", "Share error"),
    ):
        columns[label] = [row[name] for row in rows]
        formats[label] = st.column_config.NumberColumn(format="percent")
    with st.expander(f"All {len(rows)} slices of this case", icon=":material/table_rows:"):
        st.caption("Click a row to go to its slice.")
        picked = st.dataframe(
            pd.DataFrame(columns),
            hide_index=True,
            column_config=formats,
            on_select="rerun",
            selection_mode="single-row",
            height=min(36 * (len(rows) + 1) + 2, 420),
            placeholder="not defined",
            key=fresh_key("evaluation-slices"),
        )
        chosen = picked["selection"]["rows"]
        if chosen:
            renew_key("evaluation-slices")
            _look_at(review.result.case_id, chosen[0])
            st.rerun(scope="fragment")
