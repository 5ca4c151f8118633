"""Every Plotly figure of the app, and the colours of what is marked.

Colours are those of Okabe and Ito, which people with a colour vision deficiency can tell apart;
truth is besides always dashed and prediction always solid.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from core.config import Channel

PREDICTION_COLOURS: dict[Channel, str] = {"lung": "#56B4E9", "infection": "#E69F00"}
TRUTH_COLOURS: dict[Channel, str] = {"lung": "#CDE9FA", "infection": "#F0E442"}
AGREEMENT_COLOURS: dict[str, str] = {"hit": "#009E73", "missed": "#F0E442", "wrong": "#CC79A7"}
"""Marked by both, only in the truth, only predicted."""

_TEXT = "#C6D0DA"
_GRID = "rgba(160, 180, 200, 0.16)"
_CURRENT = "#F2F5F8"


def make_infection_profile_figure(
    *,
    prediction: Sequence[float] | None = None,
    truth: Sequence[float] | None = None,
    current_index: int,
    value_label: str,
    plane: str = "axial",
) -> go.Figure:
    """How much of each slice is infected, along the scan, with the current slice marked.

    Args:
        prediction, truth: one value per slice of the plane; both may be given, at least one.
        current_index: slice shown now, from 0; drawn as slice `current_index + 1`.
        value_label: what the values are, with their unit, such as "Infected area, cm²".
    """
    figure = go.Figure()
    slices = max(len(values) for values in (prediction, truth, ()) if values is not None)
    for name, values, colours, dash in (
        ("Prediction", prediction, PREDICTION_COLOURS, "solid"),
        ("Truth", truth, TRUTH_COLOURS, "dash"),
    ):
        if values is None:
            continue
        solid = dash == "solid"
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(values) + 1)),
                y=list(values),
                name=name,
                mode="lines+markers" if len(values) == 1 else "lines",
                line={"color": colours["infection"], "width": 2, "dash": dash},
                fill="tozeroy" if solid else None,
                fillcolor="rgba(230, 159, 0, 0.18)" if solid else None,
                hovertemplate="slice %{x}: %{y:.3g}<extra>" + name + "</extra>",
            )
        )
    figure.add_vline(x=current_index + 1, line={"color": _CURRENT, "width": 1.5})
    figure.update_layout(
        height=180,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT, "size": 12},
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1b232c", "font": {"color": "#F2F5F8"}},
        xaxis={
            "title": {"text": f"{plane.capitalize()} slice", "standoff": 4},
            "gridcolor": _GRID,
            "zeroline": False,
            "automargin": True,
            "range": [0.5, slices + 0.5],
        },
        yaxis={
            "title": {"text": value_label, "standoff": 6},
            "gridcolor": _GRID,
            "zeroline": False,
            "rangemode": "tozero",
            "automargin": True,
        },
    )
    return figure
