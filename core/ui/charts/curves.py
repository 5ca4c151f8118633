"""Curves over epochs and learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.ui.charts.style import mark_value, new_chart


@dataclass(frozen=True)
class Curve:
    """A line of `make_curve_figure`.

    Attributes:
        x, y: of one length; nan leaves a gap.
        dash: as Plotly names it; dotted is measured on training slices.
        best: x of a point to be marked with a star.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dash: str = "solid"
    best: float | None = None


def _whole_ticks(curves: Sequence[Curve]) -> dict[str, int]:
    """Ticks where x counts something, such as epochs: there is no half of one."""
    values = [x for curve in curves for x in curve.x]
    if not values or any(x != round(x) for x in values):
        return {}
    span = max(values) - min(values)
    step = next((step for step in (1, 2, 5, 10, 20, 50) if span / step <= 10), 100)
    return {"tick0": 0, "dtick": step}


def make_curve_figure(
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    revision: str,
    y_range: tuple[float, float] | None = None,
    logarithmic_x: bool = False,
    logarithmic_y: bool = False,
    lines: Mapping[str, float] | None = None,
    height: int = 260,
) -> go.Figure:
    """Lines over epochs or learning rates.

    Args:
        revision: zoom and hidden lines stay as a person has put them as long as this stays.
        lines: name → x of upright lines, such as a suggestion.
    """
    chart = new_chart(
        x_label=x_label,
        y_label=y_label,
        height=height,
        uirevision=revision,
        showlegend=len(curves) > 1,
        hovermode="x unified",
    )
    for curve in curves:
        chart.add_traces(_traces(curve))
    chart.update_xaxes(
        type="log" if logarithmic_x else "linear",
        exponentformat="e" if logarithmic_x else "none",
        **_whole_ticks(curves),
    )
    for name, value in (lines or {}).items():
        mark_value(chart, value, name)
    chart.update_yaxes(
        type="log" if logarithmic_y else "linear",
        range=y_range,
        # A lone value would else be given ticks below zero.
        rangemode="tozero" if all(len(curve.x) == 1 for curve in curves) else "normal",
        exponentformat="e" if logarithmic_y else "none",
    )
    return chart


def _traces(curve: Curve) -> list[go.Scatter]:
    """The line, and a star at its best point."""
    line = go.Scatter(
        x=list(curve.x),
        y=list(curve.y),
        name=curve.name,
        mode="lines+markers" if len(curve.x) == 1 else "lines",
        line={"color": curve.colour, "width": 2, "dash": curve.dash},
        hovertemplate="%{y:.4g}<extra>" + curve.name + "</extra>",
    )
    if curve.best is None or curve.best not in curve.x:
        return [line]
    star = go.Scatter(
        x=[curve.best],
        y=[curve.y[list(curve.x).index(curve.best)]],
        name=f"{curve.name}, best epoch",
        mode="markers",
        showlegend=False,
        marker={"symbol": "star", "size": 13, "color": curve.colour},
        hoverinfo="skip",
    )
    return [line, star]
