"""Histograms of grey values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.system import THIN_SPACE
from core.ui.charts.style import PAIR_COLOURS, PAIR_FILL, mark_value, new_chart

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def make_histogram_figure(
    counts: Mapping[str, Counts],
    *,
    values: Values,
    value_label: str,
    logarithmic: bool = False,
    cumulative: bool = False,
    lines: Mapping[str, float] | None = None,
) -> go.Figure:
    """One or two histograms over each other.

    Args:
        counts: name → pixels of each value; the first is drawn as an area, the second as a line.
        values: what the counts were counted at, of the same length, ascending.
        value_label: what the values are, with their unit.
        logarithmic: counts on a logarithmic scale; values that nothing has are left out.
        cumulative: also the share of pixels up to each value, dotted, on a scale of its own.
        lines: name → value of lines to draw into it, such as thresholds.
    """
    chart = new_chart(x_label=value_label, y_label="Pixels", hovermode="x unified")
    for number, (name, found) in enumerate(counts.items()):
        chart.add_trace(_counts(name, found, values, first=number == 0, logarithmic=logarithmic))
        if cumulative:
            chart.add_trace(_share(name, found, values, colour=PAIR_COLOURS[number]))
    for name, value in (lines or {}).items():
        mark_value(chart, value, name)
    chart.update_layout(showlegend=len(chart.data) > 1)
    chart.update_xaxes(range=[float(values[0]), float(values[-1])])
    chart.update_yaxes(type="log" if logarithmic else "linear", rangemode="tozero")
    if cumulative:
        chart.update_layout(
            yaxis2={
                "title": {"text": "Up to here, %", "standoff": 6},
                "overlaying": "y",
                "side": "right",
                "range": [0, 101],
                "tickvals": [0, 25, 50, 75, 100],
                "showgrid": False,
                "automargin": True,
            }
        )
    return chart


def _counts(
    name: str, found: Counts, values: Values, *, first: bool, logarithmic: bool
) -> go.Scatter:
    return go.Scatter(
        x=values,
        y=np.where(found > 0, found.astype(np.float64), np.nan) if logarithmic else found,
        name=name,
        mode="lines",
        connectgaps=True,
        line={"color": PAIR_COLOURS[not first], "width": 1 if first else 1.8, "shape": "hvh"},
        fill="tozeroy" if first else None,
        fillcolor=PAIR_FILL if first else None,
        hovertemplate="%{y:,.0f} pixels<extra>" + name + "</extra>",
    )


def _share(name: str, found: Counts, values: Values, *, colour: str) -> go.Scatter:
    share = np.cumsum(found) / max(1, int(found.sum()))
    return go.Scatter(
        x=values,
        y=100.0 * share,
        yaxis="y2",
        name=f"{name}, up to here",
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": "dot"},
        hovertemplate=f"%{{y:.1f}}{THIN_SPACE}% up to here<extra>{name}</extra>",
    )
