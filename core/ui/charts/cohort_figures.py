"""Charts of how a figure is spread over many scans."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.ui.charts.figures import CURRENT_COLOUR, GRID_COLOUR, TEXT_COLOUR

GROUP_COLOURS = ("#56B4E9", "#E69F00", "#2bb98f", "#CC79A7", "#F0E442", "#D55E00")
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
    shown = {name: members for name, members in groups.items() if members}
    boxes = max(1, len(shown)) * _ROW_PIXELS + 20
    chart = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[190, boxes]
    )
    several = len(shown) > 1
    values = [factor * value for members in shown.values() for _, value in members]
    bins = _bins(values)
    for number, (name, members) in enumerate(shown.items()):
        colour = GROUP_COLOURS[number % len(GROUP_COLOURS)]
        # Names come from files: as text of a chart they would be read as markup.
        safe = escape(name)
        x = [factor * value for _, value in members]
        chart.add_trace(
            go.Histogram(
                x=x,
                name=f"{safe} ({len(x)})",
                marker={"color": colour, "line": {"color": "#0e1319", "width": 1}},
                xbins=bins,
                autobinx=False,
                legendgroup=safe,
                hovertemplate="%{x}<br>%{y} scans<extra>" + (safe if several else "") + "</extra>",
            ),
            row=1,
            col=1,
        )
        chart.add_trace(
            go.Box(
                x=x,
                y=[safe] * len(x),
                text=[escape(scan) for scan, _ in members],
                orientation="h",
                boxpoints="all",
                pointpos=0,
                jitter=0.5,
                width=0.6,
                fillcolor="rgba(160, 180, 200, 0.10)",
                line={"color": "#8d99a5", "width": 1.2},
                marker={"color": colour, "size": 8, "line": {"color": "#0e1319", "width": 1}},
                hovertemplate="%{text}<br>%{x:.4g}<extra></extra>",
                legendgroup=safe,
                showlegend=False,
            ),
            row=2,
            col=1,
        )
    chart.update_layout(
        barmode="stack",
        height=300 + boxes,
        margin={"l": 60, "r": 16, "t": 10, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR},
        showlegend=several,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"bgcolor": "#1b2530", "font": {"color": CURRENT_COLOUR}},
    )
    chart.update_xaxes(gridcolor=GRID_COLOUR, zeroline=False)
    chart.update_xaxes(title=label + (", %" if share else ""), row=2, col=1)
    chart.update_yaxes(gridcolor=GRID_COLOUR, zeroline=False)
    # Whole numbers of scans, each at most once.
    step = max(1, math.ceil(_tallest(values, bins) / _MOST_TICKS))
    chart.update_yaxes(title="scans", tick0=0, dtick=step, rangemode="tozero", row=1, col=1)
    chart.update_yaxes(showticklabels=several, automargin=True, autorange="reversed", row=2, col=1)
    return chart


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
