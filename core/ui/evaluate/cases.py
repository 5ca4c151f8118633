"""Results of Evaluate: by case, for two networks, and as files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.config import CHANNELS
from core.evaluation import (
    THRESHOLDS,
    CaseResult,
    bootstrap_intervals,
    mean_curves,
    mean_values,
    paired_differences,
    results_csv,
    slices_csv,
)
from core.system import number_text
from core.ui.chart_view import Chart, show_chart
from core.ui.charts.evaluation import (
    charts_html,
    make_distribution_figure,
    make_paired_figure,
    make_precision_recall_figure,
)
from core.ui.evaluate.curves import (
    curves_by_patient,
    curves_of,
    kept_cases,
    many,
    share_chart,
    with_share,
)
from core.ui.evaluate.question import Question
from core.ui.tables import show_number_table

_SEED = 0
"""Of the bootstrap, so that a table can be repeated."""
MEASUREMENTS = {
    "dice": "Dice",
    "iou": "IoU",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "hd95_mm": "HD95, mm",
    "surface_dice": "Surface Dice",
}
SHARE_ERROR = "infection_fraction_error"
_SHARE_LABEL = "Infected-share error, points"

RULES = """
- **Dice** = 2·hit / (2·hit + missed + false), **IoU** = hit / (hit + missed + false),
  **precision** = hit / (hit + false), **recall** = hit / (hit + missed), **specificity** = left
  out by both / (left out by both + false), counted in voxels of the scan's own grid.
- **HD95**: of the distances from each surface to the other, the 95th percentile in both
  directions, the larger of the two. **Surface Dice**: share of both surfaces that lies within the
  tolerance of the other (Nikolov et al. 2021, doi:10.2196/26151). In a slice both are measured in
  the plane, in a scan in space.
- **Infected-share error**: predicted less true infected share of the lung, in percentage points.
- **Empty masks.** Where truth and prediction are both empty nothing is defined but specificity.
  Where only the prediction is empty, precision is not defined, and Dice, IoU and recall are 0.
  Where only the truth is empty, recall is not defined, and Dice, IoU and precision are 0. HD95
  needs both; surface Dice is 0 where one is empty. Undefined values are left out of means.
- **Distances are not known** where the file does not give the voxel size.
- **Means** are over patients, each the mean over their scans; in brackets the 95 % bootstrap
  interval over patients (2000 draws, fixed seed), from three patients on.
- **Training cases** are those the network was trained on. Results on them are too optimistic, so
  they have a mean of their own and are in no other. The thresholds were chosen on **validation**
  cases, so results on them are slightly optimistic. **Unseen** cases were used for neither.
"""


def show_cases(question: Question) -> None:
    """Means by side with intervals, the spread of one measurement, and a row a case."""
    reviews = question.reviews(question.weights)
    results = [review.result for review in reviews]
    left, right = st.columns([6, 6], gap="large")
    with left:
        _show_means(results)
        with st.expander("How measurements are defined, and what happens with empty masks"):
            st.markdown(RULES)
    with right:
        names = {**MEASUREMENTS, SHARE_ERROR: _SHARE_LABEL}
        measurement = st.selectbox(
            "Spread of", tuple(names), format_func=lambda name: names[name], key="evaluation-spread"
        )
        show_chart(
            _distribution(results, measurement),
            key=f"chart-spread_{measurement}",
            file_name=f"spread_{measurement}",
        )
        st.caption("The box spans the cases not used in training; point at a mark for its case.")
    _show_rows(results)


def _distribution(results: Sequence[CaseResult], measurement: str) -> Chart:
    bounded = measurement not in ("hd95_mm", SHARE_ERROR)
    label = {**MEASUREMENTS, SHARE_ERROR: _SHARE_LABEL}[measurement]
    return make_distribution_figure(
        results, measurement=measurement, label=label, highest=1.0 if bounded else None
    )


def _show_means(results: Sequence[CaseResult]) -> None:
    sides = {
        side: own
        for side in ("unseen", "validation", "training")
        if (own := [result for result in results if result.side == side])
    }
    st.markdown(
        "**Means over patients**, with 95 % intervals",
        help="Each side has means of its own: cases the network was trained on are never "
        "mixed with others.",
    )
    side = next(iter(sides))
    if len(sides) > 1:
        chosen = st.segmented_control(
            "Side",
            tuple(sides),
            format_func=str.capitalize,
            default=side,
            required=True,
            key="evaluation-side",
            label_visibility="collapsed",
        )
        side = chosen or side
    patients = len({result.patient_id for result in sides[side]})
    show_number_table(
        {f"{side.capitalize()} cases, {many(patients, 'patient')}": mean_columns(sides[side])},
        rows=[*MEASUREMENTS.values(), _SHARE_LABEL],
        caption="Means over patients of one side of the training split",
    )


def mean_columns(results: Sequence[CaseResult]) -> dict[str, list[str]]:
    """Ready-made texts: channel → one text a measurement, mean and interval."""
    means, intervals = mean_values(results), bootstrap_intervals(results, seed=_SEED)
    columns = {}
    for channel in CHANNELS:
        texts = [
            _interval_text(means, intervals, f"{channel}_{name}", millimetres=name == "hd95_mm")
            for name in MEASUREMENTS
        ]
        shares = _interval_text(means, intervals, SHARE_ERROR, factor=100.0)
        columns[channel.capitalize()] = [*texts, shares if channel == "infection" else ""]
    return columns


def _interval_text(
    means: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    name: str,
    *,
    millimetres: bool = False,
    factor: float = 1.0,
) -> str:
    mean, (low, high) = means[name], intervals[name]
    if math.isnan(mean):
        return "not known" if millimetres else "not defined"
    digits = 1 if millimetres or factor != 1.0 else 3
    shown, *ends = (number_text(factor * value, digits=digits) for value in (mean, low, high))
    return shown if math.isnan(low) else f"{shown} ({ends[0]} to {ends[1]})"


def _show_rows(results: Sequence[CaseResult]) -> None:
    rows = [result.to_row() for result in results]
    columns: dict[str, list[Any]] = {
        "Case": [row["case_id"] for row in rows],
        "Side": [row["side"] for row in rows],
        "Slices": [row["slices"] for row in rows],
    }
    formats: dict[str, Any] = {}
    for channel in reversed(CHANNELS):
        for name, label in MEASUREMENTS.items():
            column = f"{channel.capitalize()} {label}"
            columns[column] = [row[f"{channel}_{name}"] for row in rows]
            digits = "%.1f" if name == "hd95_mm" else "%.3f"
            formats[column] = st.column_config.NumberColumn(format=digits)
    for name, label in (
        ("infection_fraction_true", "Share, truth"),
        ("infection_fraction_pred", "Share, prediction"),
        (SHARE_ERROR, "Share error"),
    ):
        columns[label] = [row[name] for row in rows]
        formats[label] = st.column_config.NumberColumn(format="percent")
    formats["Case"] = st.column_config.TextColumn(pinned=True)
    st.markdown(f"**Case by case**, {many(len(rows), 'case')}")
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        column_config=formats,
        height=min(35 * (len(rows) + 1) + 3, 600),
        placeholder="not defined",
        key="evaluation-rows",
    )


def show_pair(question: Question) -> None:
    """The second network minus the first, case by case."""
    second = question.second
    if second is None:
        st.info(
            "One network was evaluated. Choose another under **Compare with**; networks you "
            "train appear there once you publish them on **Train**.",
            icon=":material/info:",
        )
        return
    first_results = [review.result for review in question.reviews(question.weights)]
    second_results = [review.result for review in question.reviews(second)]
    differences = paired_differences(first_results, second_results)
    if not differences:
        st.info("The second network has not been evaluated on these cases yet.")
        return
    names = (question.weights.weights_id, second.weights_id)
    fair = [result for result in differences if result.side != "training"]
    st.markdown(
        f"**{names[1]} minus {names[0]}**, mean over patients with 95 % interval",
        help="Differences of the same case, so cases that are hard for both weigh little. An "
        "interval that spans 0 shows no difference. Cases that either was trained on are "
        "listed separately.",
    )
    groups = {
        heading: mean_columns(own)
        for heading, own in (
            ("Not used in training", fair),
            ("Training cases", [r for r in differences if r.side == "training"]),
        )
        if own
    }
    show_number_table(
        groups, rows=[*MEASUREMENTS.values(), _SHARE_LABEL], caption="Differences of two networks"
    )
    columns = {
        f"{c}_{f}": f"{c.capitalize()} {MEASUREMENTS[f]}" for c in CHANNELS for f in MEASUREMENTS
    }
    column = st.selectbox(
        "Case by case",
        tuple(columns),
        index=tuple(columns).index("infection_dice"),
        format_func=lambda name: columns[name],
        key="evaluation-pair-measurement",
        persist_state="session",
    )
    show_chart(
        make_paired_figure(
            first_results, second_results, names=names, column=column, label=columns[column]
        ),
        key=f"chart-pair_{column}",
        file_name=f"pair_{column}",
    )


def show_downloads(question: Question) -> None:
    """Tables and charts to download."""
    with st.container(horizontal=True, key="evaluation-downloads"):
        for info in question.networks:
            reviews = question.reviews(info)
            ending = f" of {info.weights_id}" if question.second is not None else ""
            _download(
                f"Cases{ending} (CSV)",
                results_csv([review.result for review in reviews]),
                f"evaluation_{info.weights_id}.csv",
                "text/csv",
                "One row per case with every measurement; empty where undefined.",
            )
            _download(
                f"Slices{ending} (CSV)",
                _later(slices_csv, reviews),
                f"evaluation_{info.weights_id}_slices.csv",
                "text/csv",
                "One row per slice with every measurement, slices counted from 1.",
            )
        _download(
            "Charts (HTML)",
            _later(_all_charts, question),
            f"evaluation_{question.weights.weights_id}.html",
            "text/html",
            "All charts in one page that works without a network, about 5 MB. To save a "
            "single chart as PNG, point at it and click the camera.",
        )


def _later(make: Callable[[Any], str], about: Any) -> Callable[[], bytes]:
    # Made only when asked for.
    return lambda: make(about).encode()


def _download(
    label: str, data: str | Callable[[], bytes], name: str, mime: str, explanation: str
) -> None:
    st.download_button(
        label,
        data=data,
        file_name=name,
        mime=mime,
        icon=":material/download:",
        on_click="ignore",
        key=f"download-{name}",
        help=explanation,
    )


def _all_charts(question: Question) -> str:
    reviews = question.reviews(question.weights)
    results = [review.result for review in reviews]
    charts = {
        label: _distribution(results, measurement)
        for measurement, label in {**MEASUREMENTS, SHARE_ERROR: _SHARE_LABEL}.items()
    }
    kept, _ = kept_cases(reviews)
    for channel in CHANNELS:
        curves = curves_of(kept, channel)
        if not curves:
            continue
        own = float(getattr(question.weights.postprocess, f"{channel}_threshold"))
        at = min(range(len(THRESHOLDS)), key=lambda n: abs(THRESHOLDS[n] - own))
        charts[f"Precision and recall, {channel}"] = make_precision_recall_figure(
            curves, mean_curves(curves_by_patient(kept, channel)), at=at, channel=channel
        )
    if with_share(results):
        charts["Infected share, Bland-Altman"] = share_chart(reviews)
    return charts_html(charts)
