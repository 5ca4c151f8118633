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
    """A calibration curve: predicted against observed frequency in percent, the latter with a 95 %
    interval; on the diagonal both agree.

    Args:
        sets: name → rows of low, high, count, mean probability, share that had the disease, and the
            two ends of that share's interval.
        marked: a probability to mark.
    """
    chart = new_chart(
        x_label="Predicted frequency, %",
        y_label="Observed frequency, %",
        height=290,
        margin={"l": 8, "r": 16, "t": 40, "b": 8},
    )
    chart.add_trace(_diagonal())
    for (name, rows), (colour, symbol) in zip(sets.items(), _STYLES, strict=False):
        chart.add_trace(
            go.Scatter(
                x=[100 * row[3] for row in rows],
                y=[100 * row[4] for row in rows],
                customdata=[[int(row[2])] for row in rows],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (row[6] - row[4]) for row in rows],
                    "arrayminus": [100 * (row[4] - row[5]) for row in rows],
                    "thickness": 1,
                    "width": 3,
                    "color": colour,
                },
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


def _diagonal() -> go.Scatter:
    return go.Scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="Perfect calibration",
        line={"color": QUIET_COLOUR, "width": 1.2, "dash": "dot"},
        hoverinfo="skip",
    )
