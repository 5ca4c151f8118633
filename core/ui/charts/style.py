"""The one style of all charts: colours, fonts, margins, grid.

Colours are those of Okabe and Ito, which people with a colour vision deficiency can tell apart;
truth is besides always dashed and prediction always solid.
"""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

TEXT_COLOUR = "#C6D0DA"
CURRENT_COLOUR = "#F2F5F8"
"""Of what is marked now, such as a threshold or a slice."""
QUIET_COLOUR = "#8d99a5"
"""Of what stands behind: boxes, diagonals, reference lines."""
GRID_COLOUR = "rgba(160, 180, 200, 0.16)"
BOX_FILL = "rgba(160, 180, 200, 0.10)"
BACKGROUND = "#0e1319"
"""The page's own, so that a saved picture can be read anywhere."""
SERIES_COLOURS: tuple[str, ...] = (
    "#56B4E9", "#E69F00", "#2bb98f", "#CC79A7", "#F0E442", "#D55E00",
)  # fmt: skip
"""One for each run, group or set where several are compared."""
PAIR_COLOURS: tuple[str, str] = ("#9fb1c1", "#E69F00")
"""Of two that are compared, such as before and after."""

_AXIS = {"gridcolor": GRID_COLOUR, "zeroline": False, "automargin": True}

TEMPLATE = go.layout.Template(
    layout={
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "paper_bgcolor": BACKGROUND,
        "plot_bgcolor": BACKGROUND,
        "font": {"color": TEXT_COLOUR, "size": 12, "family": '"Source Sans", sans-serif'},
        "colorway": SERIES_COLOURS,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#1b232c", "font": {"color": CURRENT_COLOUR}},
        "xaxis": {**_AXIS, "title": {"standoff": 4}},
        "yaxis": {**_AXIS, "title": {"standoff": 6}},
        "annotationdefaults": {"font": {"color": CURRENT_COLOUR, "size": 11}},
    }
)


def new_chart(
    *, x_label: str = "", y_label: str = "", height: int = 260, **layout: Any
) -> go.Figure:
    """An empty chart in the style; `layout` says what differs from it."""
    chart = go.Figure(layout={"template": TEMPLATE})
    chart.update_layout(xaxis_title_text=x_label, yaxis_title_text=y_label, height=height, **layout)
    return chart


def mark_value(chart: go.Figure, value: float, name: str = "", **how: Any) -> None:
    """An upright line at a value of x, with its name; the axis must have its type already.

    Args:
        how: differs from a dashed line of the current colour, as in `Figure.add_vline`.
    """
    line = {"color": CURRENT_COLOUR, "width": 1.5, "dash": "dash", **how.pop("line", {})}
    chart.add_vline(x=value, line=line, annotation={"text": name} if name else None, **how)
    if name and chart.layout.xaxis.type == "log":
        # On a logarithmic axis Plotly wants texts, unlike lines, at the logarithm.
        chart.layout.annotations[-1].x = math.log10(value)
