"""The one style of all charts: colours, fonts, margins, grid.

Charts are made in the colours of the dark theme; `in_light_theme` exchanges each for its partner on
white. In both sets people with a colour vision deficiency can distinguish all series, which
`tests/test_colours.py` simulates; truth is besides always dashed and prediction always solid.
"""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

TEXT_COLOUR = "#C6D0DA"
CURRENT_COLOUR = "#F2F5F8"
"""Of what is marked now, such as a threshold or a slice."""
QUIET_COLOUR = "#8D99A5"
"""Of what stands behind: boxes, diagonals, reference lines."""
GRID_COLOUR = "rgba(160, 180, 200, 0.16)"
BOX_FILL = "rgba(160, 180, 200, 0.10)"
BACKGROUND = "#0E1319"
"""The page's own, so that a saved picture can be read anywhere."""
SERIES_COLOURS: tuple[str, ...] = (
    "#56B4E9", "#E69F00", "#009867", "#B9729B", "#FFF050", "#D05B03",
)  # fmt: skip
"""One for each run, group or set where several are compared."""
PAIR_COLOURS: tuple[str, str] = ("#9FB1C1", "#E69F00")
"""Of two that are compared, such as before and after."""
PAIR_FILL = "rgba(159, 177, 193, 0.35)"
FAINT_LINE = "rgba(159, 177, 193, 0.45)"
"""Of many lines behind one that counts."""
_HOVER = "#1B232C"

LIGHT_PARTNERS: dict[str, str] = {
    TEXT_COLOUR: "#3B4853",
    CURRENT_COLOUR: "#10181F",
    QUIET_COLOUR: "#67747F",
    GRID_COLOUR: "rgba(40, 60, 80, 0.14)",
    BOX_FILL: "rgba(40, 60, 80, 0.07)",
    BACKGROUND: "#FFFFFF",
    _HOVER: "#FFFFFF",
    PAIR_COLOURS[0]: "#5C7082",
    PAIR_FILL: "rgba(92, 112, 130, 0.25)",
    FAINT_LINE: "rgba(92, 112, 130, 0.45)",
    SERIES_COLOURS[0]: "#1279BE",
    SERIES_COLOURS[1]: "#BA803A",
    SERIES_COLOURS[2]: "#05694C",
    SERIES_COLOURS[3]: "#A6477E",
    SERIES_COLOURS[4]: "#6F630D",
    SERIES_COLOURS[5]: "#750017",
}
"""Of each colour of a chart, the one that takes its place on white."""

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
        "hoverlabel": {"bgcolor": _HOVER, "font": {"color": CURRENT_COLOUR}},
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


def in_light_theme(chart: go.Figure) -> dict[str, Any]:
    """The chart as Plotly's JSON, each colour exchanged for its partner on white."""
    changed: dict[str, Any] = _exchanged(chart.to_plotly_json())
    return changed


def _exchanged(part: Any) -> Any:
    if isinstance(part, str):
        return LIGHT_PARTNERS.get(part, part)
    if isinstance(part, dict):
        return {name: _exchanged(inner) for name, inner in part.items()}
    if isinstance(part, (list, tuple)):
        return [_exchanged(inner) for inner in part]
    return part
