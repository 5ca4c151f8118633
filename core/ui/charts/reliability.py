"""Charts of how far a classifier's probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from core.system import THIN_SPACE
from core.ui.charts.style import QUIET_COLOUR, SERIES_COLOURS, mark_value, new_chart

_STYLES = tuple(
    zip(SERIES_COLOURS[:2] + SERIES_COLOURS[3:4], ("circle", "diamond", "square"), strict=True)
)


def make_reliability_figure(
    sets: Mapping[str, Sequence[Sequence[float]]], *, marked: float | None = None
) -> go.Figure:
    """Predicted against observed shares, in percent: on the diagonal both agree.

    Args:
        sets: name → rows of low, high, count, mean probability and share that had the disease.
        marked: a probability to mark.
    """
    chart = new_chart(
        x_label="Predicted, %",
        y_label="Observed, %",
        height=290,
        margin={"l": 8, "r": 16, "t": 40, "b": 8},
    )
    chart.add_trace(
        go.Scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            name="Ideal",
            line={"color": QUIET_COLOUR, "width": 1.2, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    for (name, rows), (colour, symbol) in zip(sets.items(), _STYLES, strict=False):
        chart.add_trace(
            go.Scatter(
                x=[100 * row[3] for row in rows],
                y=[100 * row[4] for row in rows],
                customdata=[[int(row[2])] for row in rows],
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 1.4},
                marker={"color": colour, "symbol": symbol, "size": 8},
                hovertemplate=f"predicted %{{x:.0f}}{THIN_SPACE}%, "
                f"observed %{{y:.0f}}{THIN_SPACE}% of %{{customdata[0]}}<extra>{name}</extra>",
            )
        )
    if marked is not None:
        mark_value(
            chart,
            100 * marked,
            "this case",
            line={"width": 1.6, "dash": "solid"},
            annotation_position="bottom left" if marked > 0.5 else "bottom right",
        )
    chart.update_xaxes(range=[-3, 103])
    chart.update_yaxes(range=[-3, 103])
    return chart
