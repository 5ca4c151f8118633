"""Charts of how a measurement is spread over many scans."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.system import MINUS
from core.ui.charts.style import BACKGROUND, BOX_FILL, QUIET_COLOUR, SERIES_COLOURS, TEMPLATE

_EDGE = {"color": BACKGROUND, "width": 1}
_ROW_PIXELS = 46
_MOST_TICKS = 5
_BINS = 12


def make_spread_figure(
    groups: Mapping[str, Sequence[tuple[str, float]]], *, label: str, share: bool = False
) -> go.Figure:
    """A histogram over all scans, above a box with each scan as a point, group by group.

    Args:
        groups: name of the group → (name of the scan, value), defined values only.
        label: what it is, with its unit.
        share: whether values are shares, to be shown in percent.
    """
    factor = 100.0 if share else 1.0
    # Names come from files: as text of a chart they would be read as markup.
    shown = {
        escape(name): [(escape(scan), factor * value) for scan, value in members]
        for name, members in groups.items()
        if members
    }
    several = len(shown) > 1
    values = [value for members in shown.values() for _, value in members]
    bins = _bins(values)
    boxes = max(1, len(shown)) * _ROW_PIXELS + 20
    chart = _two_rows(boxes, several=several)
    for number, (name, members) in enumerate(shown.items()):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        chart.add_trace(_histogram(name, members, bins, colour, several=several), row=1, col=1)
        chart.add_trace(_box(name, members, colour), row=2, col=1)
    chart.update_xaxes(title_text=label + (", %" if share else ""), row=2, col=1)
    # Whole numbers of scans, each at most once.
    step = max(1, math.ceil(_tallest(values, bins) / _MOST_TICKS))
    chart.update_yaxes(title_text="scans", tick0=0, dtick=step, rangemode="tozero", row=1, col=1)
    chart.update_yaxes(showticklabels=several, autorange="reversed", row=2, col=1)
    return chart


Members = Sequence[tuple[str, float]]
"""Name and shown value of each scan of a group."""


def _two_rows(boxes: int, *, several: bool) -> go.Figure:
    chart = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[190, boxes]
    )
    chart.update_layout(
        template=TEMPLATE,
        barmode="stack",
        height=300 + boxes,
        margin={"l": 60, "r": 16, "t": 10, "b": 56},
        showlegend=several,
    )
    return chart


def _histogram(
    name: str, members: Members, bins: Mapping[str, float], colour: str, *, several: bool
) -> go.Histogram:
    return go.Histogram(
        x=[value for _, value in members],
        name=f"{name} ({len(members)})",
        marker={"color": colour, "line": _EDGE},
        xbins=bins,
        autobinx=False,
        legendgroup=name,
        hovertemplate="%{x}<br>%{y} scans<extra>" + (name if several else "") + "</extra>",
    )


def _box(name: str, members: Members, colour: str) -> go.Box:
    return go.Box(
        x=[value for _, value in members],
        y=[name] * len(members),
        text=[scan for scan, _ in members],
        customdata=[_value_text(value) for _, value in members],
        orientation="h",
        boxpoints="all",
        pointpos=0,
        jitter=0.5,
        width=0.6,
        fillcolor=BOX_FILL,
        line={"color": QUIET_COLOUR, "width": 1.2},
        marker={"color": colour, "size": 8, "line": _EDGE},
        hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        legendgroup=name,
        showlegend=False,
    )


def _value_text(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)


def _bins(values: Sequence[float]) -> dict[str, float]:
    """Round bins, about `_BINS` of them, the same for all groups."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    rough = (high - low) / _BINS or max(abs(high), 1.0) / _BINS
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(n * power for n in (1.0, 2.0, 5.0, 10.0) if n * power >= rough)
    start = math.floor(low / size) * size
    return {
        "start": start,
        "end": start + size * (math.floor((high - start) / size) + 1),
        "size": size,
    }


def _tallest(values: Sequence[float], bins: Mapping[str, float]) -> int:
    """Scans in the fullest bin."""
    counts = Counter(math.floor((value - bins["start"]) / bins["size"]) for value in values)
    return max(counts.values(), default=0)
