"""How far a verdict can be trusted: calibration, infected shares, limits; and its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.system import THIN_SPACE, json_text, number_text
from core.ui.chart_view import show_chart
from core.ui.charts.reliability import make_reliability_figure
from core.ui.classify.running import ExplainedVerdict
from core.ui.classify.slices import show_slices
from core.ui.scan.biomarkers import scan_biomarkers, show_shares
from core.ui.scan.pictures import is_picture
from core.ui.segment.results import file_stem
from core.ui.session import OpenStudy
from core.ui.tables import show_number_table
from core.ui.text import escape_markdown

if TYPE_CHECKING:  # loaded where they are first needed
    from core.classification import ClassifierInfo, Verdict
    from core.classification.card import Calibration


def show_slices_and_limits(
    current: OpenStudy, info: ClassifierInfo, explained: ExplainedVerdict
) -> None:
    """What the verdict rests on beside how far it can be trusted."""
    picture, words = st.columns([7, 5], gap="large")
    with picture:
        show_slices(current, info, explained)
    with words:
        _show_calibration(current, info, explained.verdict)
        _show_infection(current)
        show_limits(info)
        _show_downloads(current, explained.verdict)


def _show_calibration(current: OpenStudy, info: ClassifierInfo, verdict: Verdict) -> None:
    from core.classification.card import read_calibration
    from core.classification.metrics import wilson_interval

    st.markdown(
        "**Calibration on held-out pictures**",
        help="Held-out pictures were not used to train the network that was evaluated on them. "
        "Bars and brackets are 95\u2009% intervals.",
    )
    sets = read_calibration(info)
    if not sets:
        st.caption("Not known: the weights come without calibration data.")
        return
    if not is_picture(current):
        st.caption(
            "These values are for single pictures. That of a scan was calibrated on few scans; its "
            "first line gives their number."
        )
    st.markdown(
        "\n".join(f"- {calibration_sentence(one, verdict.covid_probability)}" for one in sets)
    )
    show_chart(
        make_reliability_figure(
            {
                one.name: [
                    (
                        b.low,
                        b.high,
                        b.count,
                        b.mean_probability,
                        b.share_positive,
                        *wilson_interval(round(b.count * b.share_positive), b.count),
                    )
                    for b in one.bins
                ]
                for one in sets
            },
            marked=verdict.covid_probability if np.isfinite(verdict.covid_probability) else None,
        ),
        key="classify-reliability",
    )
    show_number_table(
        {
            "Expected calibration error": {
                "network alone": [number_text(one.ece_before) for one in sets],
                "calibrated": [_with_interval(one.ece_after, one.ece_interval) for one in sets],
            },
            "": {"pictures": [str(one.pictures) for one in sets]},
        },
        rows=[one.name for one in sets],
        caption="Expected calibration error of the network alone and of the calibrated "
        "probability, with 95\u2009% interval",
    )


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{number_text(value)} ({number_text(interval[0])}–{number_text(interval[1])})"


def calibration_sentence(one: Calibration, probability: float) -> str:
    """How many held-out pictures with such a probability had COVID-19, as Markdown."""
    from core.classification.metrics import wilson_interval

    name = escape_markdown(one.name)
    held = one.bin_of(probability)
    if held is None:
        return f"{name}: no held-out picture was given such a probability."
    span = f"{100 * held.low:.0f} to {100 * held.high:.0f}{THIN_SPACE}\\%"
    positive = round(held.count * held.share_positive)
    low, high = wilson_interval(positive, held.count)
    return (
        f"{name}: of 100 pictures given {span}, **{100 * held.share_positive:.0f}** "
        f"({100 * low:.0f} to {100 * high:.0f}) showed COVID-19 ({positive} of {held.count} "
        "held-out ones)."
    )


def _show_infection(current: OpenStudy) -> None:
    """Infected share by lung and zone, by the masks that the classifier was shown."""
    found = scan_biomarkers(current, "Prediction")
    st.markdown(
        "**How much is infected**",
        help="As marked by the segmentation network; the share of the whole lung is part of "
        "the verdict on a scan. Left and right are the patient's; zones are thirds of "
        "each lung.",
    )
    show_shares(found)
    for note in found.notes[:1] if found.split is None else ():
        st.caption(note)


def show_limits(info: ClassifierInfo) -> None:
    """What the classifier has not seen, and its card."""
    from core.classification.card import LIMITS, card_points, read_card, read_elsewhere

    points = [
        "Whole scans: it was trained on single slices, most of them cropped from figures in "
        "papers, with masks of another network."
    ]
    foreign = read_elsewhere(info)
    if foreign:
        results = ", ".join(
            f"{_with_interval(row.auc, row.auc_interval)} on {escape_markdown(row.tested)} when "
            f"trained on {escape_markdown(row.trained)}"
            for row in foreign
        )
        points.append(
            "Your hospital. Trained on one data set and tested on the other, its AUC is "
            f"{results}; 0.5 is chance level."
        )
    card = read_card(info)
    points += [escape_markdown(point) for point in card_points(card, LIMITS)]
    st.markdown("**What the model has not seen**")
    st.markdown("\n".join(f"- {point}" for point in points))
    if card:
        with st.expander("Card of these weights", icon=":material/description:"):
            st.markdown(card)


def _show_downloads(current: OpenStudy, verdict: Verdict) -> None:
    """The verdict as JSON, and the row that the command would write."""
    from core.classification.scores import ScoreRow, table_text, verdict_record

    stem, name, synthetic = file_stem(current), current.name, current.study.synthetic
    files: tuple[tuple[str, str, str, Callable[[], str], str], ...] = (
        (
            "Verdict (JSON)",
            f"{stem}_verdict.json",
            "application/json",
            lambda: json_text(verdict_record(name, verdict, synthetic=synthetic)),
            "Probability, band, reason, every slice that was classified, shares and weights.",
        ),
        (
            "Scores (CSV)",
            f"{stem}_scores.csv",
            "text/csv",
            lambda: table_text([ScoreRow(name, verdict)]),
            "One row with the columns that python -m core classify writes.",
        ),
    )
    with st.container(horizontal=True, key="classify-downloads"):
        for label, file_name, mime, data, words in files:
            st.download_button(
                label,
                data=data,
                file_name=file_name,
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                help=words,
                key=f"download-{label}",
            )
