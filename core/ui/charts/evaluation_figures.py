"""Charts of how predictions agree with truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.config import CHANNELS, Channel
from core.drawing import PREDICTION_COLOURS
from core.evaluation import BlandAltman, CaseResult, ThresholdCurve, Values
from core.ui.charts.figures import CURRENT_COLOUR, GRID_COLOUR, TEXT_COLOUR

SIDE_COLOURS: dict[str, str] = {
    "unseen": "#2bb98f",
    "validation": "#56B4E9",
    "training": "#8d99a5",
}
_SIDE_SYMBOLS = {"unseen": "diamond", "validation": "circle", "training": "x"}
_CURVE_COLOURS = {"dice": "#F2F5F8", "precision": "#CC79A7", "recall": "#2bb98f"}
_BACKGROUND = "#0e1319"
"""The page's own, so that a saved picture can be read on any ground."""


def make_distribution_figure(
    results: Sequence[CaseResult], *, figure: str, label: str, highest: float | None = None
) -> go.Figure:
    """One figure of every case: a box over the cases not used in training, and each case as a
    point.

    Args:
        figure: name of a column without the channel, such as "dice"; "infection_fraction_error"
            has no channel.
        label: what it is, with its unit.
        highest: end of the scale; none takes what the cases need.
    """
    chart = go.Figure()
    rows = [result.to_row() for result in results]
    columns: dict[str, str] = {channel.capitalize(): f"{channel}_{figure}" for channel in CHANNELS}
    if figure == "infection_fraction_error":
        columns = {"Infected share": figure}
    shares = figure == "infection_fraction_error"
    for name, column in columns.items():
        known = [row for row in rows if not math.isnan(row[column])]
        chart.add_trace(
            go.Box(
                x=[_scaled(row[column], shares) for row in known if row["side"] != "training"],
                y=[name] * sum(row["side"] != "training" for row in known),
                orientation="h",
                boxpoints=False,
                fillcolor="rgba(160, 180, 200, 0.10)",
                line={"color": "#8d99a5", "width": 1.2},
                hoverinfo="skip",
                showlegend=False,
                width=0.62,
            )
        )
    for side, colour in SIDE_COLOURS.items():
        points = [
            (_scaled(row[column], shares), name, row["case_id"])
            for name, column in columns.items()
            for row in rows
            if row["side"] == side and not math.isnan(row[column])
        ]
        if points:
            x, y, names = zip(*points, strict=True)
            chart.add_trace(
                go.Box(
                    x=x,
                    y=y,
                    text=names,
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
                    hovertemplate="%{text}<br>%{x:.3f}<extra>" + side + "</extra>",
                )
            )
    _style(chart, x_label=label, height=150 + 95 * len(columns))
    chart.update_layout(hovermode="closest", boxmode="overlay")
    chart.update_yaxes(autorange="reversed", showgrid=False)
    if highest is not None:
        low = min([0.5, *(row[c] for row in rows for c in columns.values() if row[c] == row[c])])
        chart.update_xaxes(range=[max(low - 0.05, -0.02), highest + 0.02])
    return chart


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
    chart = go.Figure()
    for name, curve in curves.items():
        chart.add_trace(
            go.Scatter(
                x=curve.recall,
                y=curve.precision,
                customdata=curve.thresholds,
                mode="lines",
                line={"color": "rgba(159, 177, 193, 0.45)", "width": 1},
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
    _style(chart, x_label="Recall", y_label="Precision", height=410)
    chart.update_layout(hovermode="closest")
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
    chart = go.Figure()
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
    chart.add_vline(
        x=used,
        line={"color": "#8d99a5", "width": 1.2, "dash": "dot"},
        annotation={"text": "weights' own", "font": {"color": "#aab6c2", "size": 11}},
    )
    chart.add_vline(x=float(thresholds[at]), line={"color": CURRENT_COLOUR, "width": 1.6})
    _style(chart, x_label="Threshold", y_label="", height=410)
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
    chart = go.Figure()
    for side, colour in SIDE_COLOURS.items():
        own = [n for n, result in enumerate(results) if result.side == side]
        if own:
            chart.add_trace(
                go.Scatter(
                    x=100 * compared.mean[own],
                    y=100 * compared.difference[own],
                    text=[results[n].case_id for n in own],
                    mode="markers",
                    name=side.capitalize(),
                    marker={"color": colour, "symbol": _SIDE_SYMBOLS[side], "size": 11},
                    hovertemplate="%{text}<br>mean %{x:.1f} %, difference %{y:+.1f}<extra></extra>",
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
                annotation={
                    "text": f"{name} {100 * value:+.1f}",
                    "font": {"color": CURRENT_COLOUR, "size": 11},
                },
                annotation_position="top right",
            )
    _style(
        chart,
        x_label="Infected share of the lung, mean of truth and prediction, %",
        y_label="Prediction − truth, points",
        height=450,
    )
    chart.update_layout(hovermode="closest")
    chart.update_xaxes(rangemode="tozero")
    return chart


def make_paired_figure(
    first: Sequence[CaseResult],
    second: Sequence[CaseResult],
    *,
    names: tuple[str, str],
    column: str,
    label: str,
) -> go.Figure:
    """One figure under two networks: a line for each case, from the first to the second.

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
    chart = go.Figure()
    chart.add_trace(
        go.Scatter(
            x=[value for _, a, b in pairs for value in (a, b, None)],
            y=[case_id for case_id, _, _ in pairs for _ in range(3)],
            mode="lines",
            line={"color": "#8d99a5", "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for number, (name, colour) in enumerate(zip(names, ("#9fb1c1", "#E69F00"), strict=True)):
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
    _style(chart, x_label=label, height=160 + 26 * len(pairs))
    chart.update_layout(hovermode="closest")
    chart.update_yaxes(autorange="reversed")
    return chart


def make_reliability_figure(
    sets: Mapping[str, Sequence[Sequence[float]]], *, marked: float | None = None
) -> go.Figure:
    """What a classifier said against what was so, in percent: on the diagonal both agree.

    Args:
        sets: name → rows of low, high, count, mean probability and share that had the disease.
        marked: a probability to mark.
    """
    chart = go.Figure()
    chart.add_trace(
        go.Scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            name="As said",
            line={"color": "#8d99a5", "width": 1.2, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    styles = (("#56B4E9", "circle"), ("#E69F00", "diamond"), ("#CC79A7", "square"))
    for (name, rows), (colour, symbol) in zip(sets.items(), styles, strict=False):
        chart.add_trace(
            go.Scatter(
                x=[100 * row[3] for row in rows],
                y=[100 * row[4] for row in rows],
                customdata=[[int(row[2])] for row in rows],
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 1.4},
                marker={"color": colour, "symbol": symbol, "size": 8},
                hovertemplate="said %{x:.0f} %, was %{y:.0f} % of %{customdata[0]}"
                f"<extra>{name}</extra>",
            )
        )
    if marked is not None:
        chart.add_vline(
            x=100 * marked,
            line={"color": CURRENT_COLOUR, "width": 1.6},
            annotation={"text": "here", "font": {"color": CURRENT_COLOUR, "size": 11}},
            annotation_position="bottom left" if marked > 0.5 else "bottom right",
        )
    _style(chart, x_label="Said, %", y_label="Was COVID-19, %", height=290)
    chart.update_layout(hovermode="closest", margin={"l": 8, "r": 16, "t": 40, "b": 8})
    chart.update_xaxes(range=[-3, 103])
    chart.update_yaxes(range=[-3, 103])
    return chart


def figures_html(charts: Mapping[str, go.Figure]) -> str:
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
        f"body {{ background: {_BACKGROUND}; color: {TEXT_COLOUR}; font-family: sans-serif; "
        "max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>LungLens evaluation'
        f"</title><style>{style}</style></head><body><h1>LungLens evaluation</h1>"
        f"{''.join(parts)}</body></html>"
    )


def _scaled(value: float, shares: bool) -> float:
    return 100 * value if shares else value


def _style(chart: go.Figure, *, x_label: str, y_label: str = "", height: int) -> None:
    axis: dict[str, Any] = {"gridcolor": GRID_COLOUR, "zeroline": False, "automargin": True}
    chart.update_layout(
        height=height,
        # Above the legend lie the buttons of the chart.
        margin={"l": 8, "r": 16, "t": 64, "b": 8},
        paper_bgcolor=_BACKGROUND,
        plot_bgcolor=_BACKGROUND,
        font={"color": TEXT_COLOUR, "size": 12},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1b232c", "font": {"color": CURRENT_COLOUR}},
        xaxis={**axis, "title": {"text": x_label, "standoff": 4}},
        yaxis={**axis, "title": {"text": y_label, "standoff": 6}},
    )
