"""Results of Evaluate over thresholds, and agreement of infected shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from core.config import Channel
from core.evaluation import (
    THRESHOLDS,
    BlandAltman,
    CaseResult,
    CaseReview,
    ThresholdCurve,
    compare_measurements,
    curve_of,
    mean_curves,
)
from core.system import number_text, signed_text
from core.ui.chart_view import Chart, show_chart
from core.ui.charts.evaluation import (
    make_bland_altman_figure,
    make_precision_recall_figure,
    make_threshold_figure,
)
from core.ui.evaluate.question import Question


def not_training(reviews: Sequence[CaseReview]) -> list[CaseReview]:
    """Cases not used in training."""
    return [review for review in reviews if review.result.side != "training"]


def kept_cases(reviews: Sequence[CaseReview]) -> tuple[list[CaseReview], str]:
    """The cases to sum up, and a word on them: training cases only where there are no others."""
    kept = not_training(reviews)
    if kept:
        left_out = len(reviews) - len(kept)
        return kept, f"{many(len(kept), 'case')} not used in training" + (
            f"; {many(left_out, 'training case')} left out" if left_out else ""
        )
    return list(reviews), (
        "training cases only, which gives optimistic results: there are no others"
    )


def many(count: int, what: str) -> str:
    """A count and its noun."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def choose_channel(key: str) -> Channel:
    """Infection or lung; infection at first, which is the harder of the two."""
    chosen: Channel | None = st.segmented_control(
        "Channel",
        ("infection", "lung"),
        format_func=str.capitalize,
        default="infection",
        required=True,
        key=key,
        persist_state="session",
        label_visibility="collapsed",
    )
    return chosen or "infection"


def show_thresholds(question: Question) -> None:
    """Precision over recall, and the results at a threshold; moving it runs no network."""
    channel = choose_channel("evaluation-curve-channel")
    reviews, note = kept_cases(question.reviews(question.weights))
    curves = curves_of(reviews, channel)
    if not curves:
        st.info(f"No case has a true {channel} mask.")
        return
    own = float(getattr(question.weights.postprocess, f"{channel}_threshold"))
    threshold = st.select_slider(
        "Threshold",
        THRESHOLDS,
        value=min(THRESHOLDS, key=lambda one: abs(one - own)),
        key=f"evaluation-threshold-{channel}-{question.weights.weights_id}",
        persist_state="session",
        help="Probability from which a voxel counts. Starts at the weights' own.",
    )
    at = THRESHOLDS.index(threshold)
    mean = mean_curves(curves_by_patient(reviews, channel))
    best = max(range(len(THRESHOLDS)), key=lambda n: _or_low(float(mean["dice"][n])))
    places = st.columns(4)
    for place, name in zip(places, ("dice", "precision", "recall"), strict=False):
        place.metric(name.capitalize(), number_text(float(mean[name][at])))
    places[3].metric(
        "Highest mean Dice",
        f"{number_text(float(mean['dice'][best]))} at {THRESHOLDS[best]:.2f}",
        help="A threshold chosen on the cases it is evaluated on gives optimistic results.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        show_chart(
            make_precision_recall_figure(curves, mean, at=at, channel=channel),
            key=f"chart-precision_recall_{channel}",
            file_name=f"precision_recall_{channel}",
        )
    with right:
        thresholds = next(iter(curves.values())).thresholds
        show_chart(
            make_threshold_figure(thresholds, mean, at=at, used=own),
            key=f"chart-threshold_{channel}",
            file_name=f"threshold_{channel}",
        )
    st.caption(f"Means over patients: {note}. " + _CURVE_NOTES[channel])


_CURVE_NOTES: dict[Channel, str] = {
    "infection": "Infection counts inside the lung as marked at the weights' own lung threshold.",
    "lung": "Stray parts and holes of the lung are cleaned up as at the weights' own threshold.",
}


def _or_low(value: float) -> float:
    return -1.0 if math.isnan(value) else float(value)


def curves_of(reviews: Sequence[CaseReview], channel: Channel) -> dict[str, ThresholdCurve]:
    """By case, where the channel has a truth."""
    return {
        review.result.case_id: curve_of(review.levels[channel])
        for review in reviews
        if channel in review.levels
    }


def curves_by_patient(
    reviews: Sequence[CaseReview], channel: Channel
) -> dict[str, list[ThresholdCurve]]:
    """By patient, where the channel has a truth."""
    patients: dict[str, list[ThresholdCurve]] = {}
    for review in reviews:
        if channel in review.levels:
            curve = curve_of(review.levels[channel])
            patients.setdefault(review.result.patient_id, []).append(curve)
    return patients


def show_share(question: Question) -> None:
    """Bland-Altman of the infected share: one dot a scan."""
    reviews = question.reviews(question.weights)
    known = with_share([review.result for review in reviews])
    if not known:
        st.info("The infected share needs true masks of lung and infection.")
        return
    kept, note = kept_cases(reviews)
    lines = _compared(with_share([review.result for review in kept]))
    left, right = st.columns([8, 4], gap="large")
    with left:
        show_chart(share_chart(reviews), key="chart-bland_altman", file_name="bland_altman")
    with right:
        st.metric(
            "Bias",
            _points(lines.bias),
            help="Mean of prediction minus truth, in percentage points of the lung.",
        )
        st.metric(
            "Limits of agreement",
            f"{_points(lines.lower)} to {_points(lines.upper)}",
            help="Bias ± 1.96 standard deviations of the differences: about 95 % of scans lie "
            "between them where differences are roughly normal. From three scans on.",
        )
        st.caption(
            f"Lines: {note}. Each scan counts once, two scans of one patient included, so limits "
            "may be a little narrow. Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8."
        )


def with_share(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Those whose infected share is known on both sides."""
    return [result for result in results if not math.isnan(result.infection_fraction_error)]


def _compared(results: Sequence[CaseResult]) -> BlandAltman:
    return compare_measurements(
        [result.infection_fraction_true for result in results],
        [result.infection_fraction_pred for result in results],
    )


def share_chart(reviews: Sequence[CaseReview]) -> Chart:
    """Bland-Altman of all cases, with the lines of those not used in training."""
    known = with_share([review.result for review in reviews])
    lines = with_share([review.result for review in kept_cases(reviews)[0]])
    return make_bland_altman_figure(known, _compared(known), _compared(lines))


def _points(share: float) -> str:
    return signed_text(100 * share, digits=1)
