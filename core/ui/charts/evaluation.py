"""Charts of how predictions agree with truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.config import CHANNELS, Channel
from core.drawing import PREDICTION_COLOURS
from core.evaluation import BlandAltman, CaseResult, ThresholdCurve, Values
from core.system import number_text, percent_text, signed_text
from core.ui.charts.style import (
    BACKGROUND,
    BOX_FILL,
    CURRENT_COLOUR,
    FAINT_LINE,
    PAIR_COLOURS,
    QUIET_COLOUR,
    SERIES_COLOURS,
    TEXT_COLOUR,
    mark_value,
    new_chart,
)

SIDE_COLOURS: dict[str, str] = {
    "unseen": SERIES_COLOURS[2],
    "validation": SERIES_COLOURS[0],
    "training": QUIET_COLOUR,
}
_SIDE_SYMBOLS = {"unseen": "diamond", "validation": "circle", "training": "x"}
_CURVE_COLOURS = {
    "dice": CURRENT_COLOUR,
    "precision": SERIES_COLOURS[3],
    "recall": SERIES_COLOURS[2],
}


def make_distribution_figure(
    results: Sequence[CaseResult], *, measurement: str, label: str, highest: float | None = None
) -> go.Figure:
    """One measurement of every case: a box over the cases not used in training, and each case as
    a point.

    Args:
        measurement: name of a column without the channel, such as "dice";
            "infection_fraction_error" has no channel and is shown in percentage points.
        label: what it is, with its unit.
        highest: end of the scale; none takes what the cases need.
    """
    shares = measurement == "infection_fraction_error"
    columns: dict[str, str] = (
        {"Infected share": measurement}
        if shares
        else {channel.capitalize(): f"{channel}_{measurement}" for channel in CHANNELS}
    )
    points = [
        _Point(100 * row[column] if shares else row[column], name, row["case_id"], row["side"])
        for name, column in columns.items()
        for row in (result.to_row() for result in results)
        if not math.isnan(row[column])
    ]
    chart = _evaluation_chart(x_label=label, height=150 + 95 * len(columns), boxmode="overlay")
    for name in columns:
        chart.add_trace(_box([p for p in points if p.name == name and p.side != "training"], name))
    for side, colour in SIDE_COLOURS.items():
        own = [point for point in points if point.side == side]
        if own:
            chart.add_trace(_case_points(own, side=side, colour=colour))
    chart.update_yaxes(autorange="reversed", showgrid=False)
    if highest is not None:
        low = min([0.5, *(point.value for point in points)])
        chart.update_xaxes(range=[max(low - 0.05, -0.02), highest + 0.02])
    return chart


@dataclass(frozen=True)
class _Point:
    """A case in the distribution; `name` is its row of the chart."""

    value: float
    name: str
    case_id: str
    side: str


def _box(points: Sequence[_Point], name: str) -> go.Box:
    return go.Box(
        x=[point.value for point in points],
        y=[name] * len(points),
        orientation="h",
        boxpoints=False,
        fillcolor=BOX_FILL,
        line={"color": QUIET_COLOUR, "width": 1.2},
        hoverinfo="skip",
        showlegend=False,
        width=0.62,
    )


def _case_points(points: Sequence[_Point], *, side: str, colour: str) -> go.Box:
    """Only the points of a box, so that equal values do not hide each other."""
    return go.Box(
        x=[point.value for point in points],
        y=[point.name for point in points],
        text=[point.case_id for point in points],
        customdata=[number_text(point.value) for point in points],
        name=side.capitalize(),
        orientation="h",
        boxpoints="all",
        pointpos=0,
        jitter=0.55,
        width=0.62,
        fillcolor="rgba(0,0,0,0)",
        line={"color": "rgba(0,0,0,0)"},
        marker={"color": colour, "symbol": _SIDE_SYMBOLS[side], "size": 9},
        hoveron="points",
        hovertemplate="%{text}<br>%{customdata}<extra>" + side + "</extra>",
    )


def make_precision_recall_figure(
    curves: Mapping[str, ThresholdCurve],
    mean: Mapping[str, Values],
    *,
    at: int,
    channel: Channel,
) -> go.Figure:
    """Precision over recall as the threshold moves: every case thin, the mean thick.

    Args:
        curves: by case, at the thresholds of `mean`.
        mean: of `core.evaluation.threshold_curve.mean_curves`.
        at: index of the threshold to mark.
    """
    chart = _evaluation_chart(x_label="Recall", y_label="Precision", height=410)
    for name, curve in curves.items():
        chart.add_trace(
            go.Scatter(
                x=curve.recall,
                y=curve.precision,
                customdata=curve.thresholds,
                mode="lines",
                line={"color": FAINT_LINE, "width": 1},
                hovertemplate=name + "<br>threshold %{customdata:.2f}<extra></extra>",
                showlegend=False,
            )
        )
    colour = PREDICTION_COLOURS[channel]
    chart.add_trace(
        go.Scatter(
            x=mean["recall"],
            y=mean["precision"],
            mode="lines",
            name="Mean over patients",
            line={"color": colour, "width": 3},
            hoverinfo="skip",
        )
    )
    chart.add_trace(
        go.Scatter(
            x=[mean["recall"][at]],
            y=[mean["precision"][at]],
            mode="markers",
            name="At the threshold",
            marker={"color": CURRENT_COLOUR, "size": 13, "line": {"color": colour, "width": 3}},
            hovertemplate="recall %{x:.3f}<br>precision %{y:.3f}<extra></extra>",
        )
    )
    chart.update_xaxes(range=[0, 1.02])
    chart.update_yaxes(range=[0, 1.02])
    return chart


def make_threshold_figure(
    thresholds: Values, mean: Mapping[str, Values], *, at: int, used: float
) -> go.Figure:
    """Dice, precision and recall over the threshold.

    Args:
        mean: of `core.evaluation.threshold_curve.mean_curves`.
        at: index of the threshold to mark.
        used: the weights' own threshold, marked too.
    """
    chart = _evaluation_chart(x_label="Threshold", height=410, hovermode="x unified")
    for name, colour in _CURVE_COLOURS.items():
        chart.add_trace(
            go.Scatter(
                x=thresholds,
                y=mean[name],
                name=name.capitalize(),
                mode="lines",
                line={"color": colour, "width": 2.6 if name == "dice" else 1.6},
                hovertemplate="%{y:.3f}<extra>" + name + "</extra>",
            )
        )
    mark_value(
        chart, used, "weights' own", line={"color": QUIET_COLOUR, "width": 1.2, "dash": "dot"}
    )
    mark_value(chart, float(thresholds[at]), line={"width": 1.6, "dash": "solid"})
    chart.update_xaxes(range=[0, 1])
    chart.update_yaxes(range=[0, 1.02])
    return chart


def make_bland_altman_figure(
    results: Sequence[CaseResult], compared: BlandAltman, lines: BlandAltman
) -> go.Figure:
    """Difference over mean of the infected share, in percentage points.

    Args:
        results: the cases of `compared`, in its order.
        compared: where each case lies.
        lines: whose bias and limits are drawn: those of the cases not used in training.
    """
    chart = _evaluation_chart(
        x_label="Infected share of the lung, mean of truth and prediction, %",
        y_label="Prediction − truth, points",
        height=450,
    )
    for side, colour in SIDE_COLOURS.items():
        own = [n for n, result in enumerate(results) if result.side == side]
        if own:
            chart.add_trace(
                go.Scatter(
                    x=100 * compared.mean[own],
                    y=100 * compared.difference[own],
                    text=[_agreement_text(results[n], compared, n) for n in own],
                    mode="markers",
                    name=side.capitalize(),
                    marker={"color": colour, "symbol": _SIDE_SYMBOLS[side], "size": 11},
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    for name, value, dash in (
        ("upper limit", lines.upper, "dash"),
        ("bias", lines.bias, "solid"),
        ("lower limit", lines.lower, "dash"),
    ):
        if not math.isnan(value):
            chart.add_hline(
                y=100 * value,
                line={"color": CURRENT_COLOUR, "width": 1.4, "dash": dash},
                annotation={"text": f"{name} {signed_text(100 * value, digits=1)}"},
                annotation_position="top right",
            )
    chart.update_xaxes(rangemode="tozero")
    return chart


def _agreement_text(result: CaseResult, compared: BlandAltman, index: int) -> str:
    mean = percent_text(float(compared.mean[index]))
    difference = signed_text(100 * float(compared.difference[index]), digits=1)
    return f"{result.case_id}<br>mean {mean}, difference {difference} points"


def make_paired_figure(
    first: Sequence[CaseResult],
    second: Sequence[CaseResult],
    *,
    names: tuple[str, str],
    column: str,
    label: str,
) -> go.Figure:
    """One measurement under two networks: a line for each case, from the first to the second.

    Args:
        names: of the two networks.
        column: of the table of results.
        label: what it is, with its unit.
    """
    before = {result.case_id: result.to_row()[column] for result in first}
    pairs = [
        (result.case_id, before[result.case_id], result.to_row()[column])
        for result in second
        if result.case_id in before
    ]
    chart = _evaluation_chart(x_label=label, height=160 + 26 * len(pairs))
    chart.add_trace(
        go.Scatter(
            x=[value for _, a, b in pairs for value in (a, b, None)],
            y=[case_id for case_id, _, _ in pairs for _ in range(3)],
            mode="lines",
            line={"color": QUIET_COLOUR, "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for number, (name, colour) in enumerate(zip(names, PAIR_COLOURS, strict=True)):
        chart.add_trace(
            go.Scatter(
                x=[pair[number + 1] for pair in pairs],
                y=[pair[0] for pair in pairs],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 11},
                hovertemplate="%{y}<br>%{x:.3f}<extra></extra>",
            )
        )
    chart.update_yaxes(autorange="reversed")
    return chart


def charts_html(charts: Mapping[str, go.Figure]) -> str:
    """All charts as one page that needs no network: Plotly's own script, about 5 MB, comes
    along once.

    Args:
        charts: heading → chart.
    """
    parts = []
    for number, (heading, chart) in enumerate(charts.items()):
        body = chart.to_html(
            full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False}
        )
        parts.append(f"<h2>{heading}</h2>{body}")
    style = (
        f"body {{ background: {BACKGROUND}; color: {TEXT_COLOUR}; font-family: sans-serif; "
        "max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>LungLens evaluation'
        f"</title><style>{style}</style></head><body><h1>LungLens evaluation</h1>"
        f"{''.join(parts)}</body></html>"
    )


def _evaluation_chart(*, x_label: str, y_label: str = "", **layout: Any) -> go.Figure:
    """With room above the legend for the buttons of the chart."""
    return new_chart(
        x_label=x_label, y_label=y_label, margin={"l": 8, "r": 16, "t": 64, "b": 8}, **layout
    )
