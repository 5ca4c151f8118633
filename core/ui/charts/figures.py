"""Every Plotly figure of the app.

Colours are those of Okabe and Ito, which people with a colour vision deficiency can tell apart;
truth is besides always dashed and prediction always solid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.config import CHANNELS, Channel
from core.drawing import PREDICTION_COLOURS, Surface
from core.volume import FloatArray

TEXT_COLOUR = "#C6D0DA"
CURRENT_COLOUR = "#F2F5F8"
GRID_COLOUR = "rgba(160, 180, 200, 0.16)"


_LIGHTING = {
    "lung": {"ambient": 0.5, "diffuse": 0.7, "specular": 0.25, "roughness": 0.5, "fresnel": 0.8},
    "infection": {"ambient": 0.55, "diffuse": 0.65, "specular": 0.2, "roughness": 0.6},
}
_LETTER_GAP_MM = 14.0
_VIEW_FROM = np.array([0.29, 0.92, 0.25])
"""Where the eye is at first: in front, a little to the patient's right and above."""


def make_surface_figure(
    surfaces: Mapping[Channel, Surface],
    *,
    colours: Mapping[Channel, str],
    revision: str,
    slice_corners_mm: FloatArray | None = None,
    stamp: str = "",
) -> go.Figure:
    """Lung and infection in space, seen from the front, with a slice through them.

    Args:
        surfaces: at least one, in RAS mm.
        colours: `PREDICTION_COLOURS` or `TRUTH_COLOURS`.
        revision: the camera stays where a person has put it as long as this stays the same.
        slice_corners_mm: (4, 3) the slice as a rectangle, in order around it. Without it, its
            two traces (`meta` is "slice") are there, hidden, for the browser to place: so moving
            a slice sends nothing else again.
        stamp: a word in the corner, such as "SYNTHETIC".
    """
    points = np.concatenate([surface.vertices_mm for surface in surfaces.values()])
    low, high = points.min(axis=0) - _LETTER_GAP_MM, points.max(axis=0) + _LETTER_GAP_MM
    # Plotly measures the eye's distance in boxes of volume 1; flat scans need it further away.
    sides = (high - low) / np.cbrt(np.prod(high - low))
    eye = 1.06 * np.linalg.norm(sides) * _VIEW_FROM
    figure = go.Figure(
        [
            *(
                _mesh(surfaces[channel], channel=channel, colour=colours[channel])
                for channel in reversed(CHANNELS)
                if channel in surfaces
            ),
            *_slice_plane(slice_corners_mm),
            _letters(low, high),
        ]
    )
    hidden = {"visible": False, "showspikes": False}
    figure.update_layout(
        height=430,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR},
        showlegend=False,
        uirevision=revision,
        scene={
            "aspectmode": "data",
            "dragmode": "turntable",
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "camera": {
                "eye": dict(zip("xyz", map(float, eye), strict=True)),
                "up": {"x": 0, "y": 0, "z": 1},
                "projection": {"type": "perspective"},
            },
        },
    )
    if stamp:
        figure.add_annotation(
            text=stamp,
            x=0.01,
            y=0.99,
            xref="paper",
            yref="paper",
            showarrow=False,
            font={"color": PREDICTION_COLOURS["infection"], "size": 12},
        )
    return figure


def _mesh(surface: Surface, *, channel: Channel, colour: str) -> go.Mesh3d:
    # Plotly sends arrays as bytes: small indices take half of what large ones do.
    small = len(surface.vertices_mm) <= np.iinfo(np.uint16).max
    faces = surface.faces.astype(np.uint16 if small else np.int32)
    x, y, z = surface.vertices_mm.T
    i, j, k = faces.T
    return go.Mesh3d(
        name=channel.capitalize(),
        x=x,
        y=y,
        z=z,
        i=i,
        j=j,
        k=k,
        color=colour,
        opacity=0.22 if channel == "lung" else 1.0,
        flatshading=False,
        lighting=_LIGHTING[channel],
        lightposition={"x": 2000, "y": 4000, "z": 3000},
        hoverinfo="skip",
    )


def _slice_plane(corners: FloatArray | None) -> tuple[go.Mesh3d, go.Scatter3d]:
    """A thin rectangle and its outline."""
    x, y, z = np.empty((3, 0)) if corners is None else np.concatenate([corners, corners[:1]]).T
    place = {"x": x, "y": y, "z": z, "visible": corners is not None, "meta": "slice"}
    return (
        go.Mesh3d(
            name="Slice",
            i=[0, 0],
            j=[1, 2],
            k=[2, 3],
            color=CURRENT_COLOUR,
            opacity=0.12,
            lighting={"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0},
            hoverinfo="skip",
            **place,
        ),
        go.Scatter3d(
            name="Outline of the slice",
            mode="lines",
            line={"color": CURRENT_COLOUR, "width": 3},
            hoverinfo="skip",
            **place,
        ),
    )


def _letters(low: FloatArray, high: FloatArray) -> go.Scatter3d:
    """R, L, A, P, S and I where the patient's sides are."""
    places = np.tile((low + high) / 2, (6, 1))
    for axis in range(3):
        places[2 * axis, axis] = high[axis]
        places[2 * axis + 1, axis] = low[axis]
    return go.Scatter3d(
        name="Directions",
        x=places[:, 0],
        y=places[:, 1],
        z=places[:, 2],
        mode="text",
        text=["R", "L", "A", "P", "S", "I"],
        textfont={"color": TEXT_COLOUR, "size": 15},
        hoverinfo="skip",
    )


HISTOGRAM_COLOURS: tuple[str, ...] = ("#9fb1c1", "#E69F00")
"""First and second histogram of a figure, such as before and after."""


def make_histogram_figure(
    counts: Mapping[str, npt.NDArray[np.int64]],
    *,
    values: npt.NDArray[np.float64],
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
    figure = go.Figure()
    for (name, found), colour in zip(counts.items(), HISTOGRAM_COLOURS, strict=False):
        first = colour == HISTOGRAM_COLOURS[0]
        figure.add_trace(
            go.Scatter(
                x=values,
                y=np.where(found > 0, found.astype(np.float64), np.nan) if logarithmic else found,
                name=name,
                mode="lines",
                connectgaps=True,
                line={"color": colour, "width": 1 if first else 1.8, "shape": "hvh"},
                fill="tozeroy" if first else None,
                fillcolor="rgba(159, 177, 193, 0.35)" if first else None,
                hovertemplate="%{y:,.0f} pixels<extra>" + name + "</extra>",
            )
        )
        if cumulative:
            share = np.cumsum(found) / max(1, int(found.sum()))
            figure.add_trace(
                go.Scatter(
                    x=values,
                    y=100.0 * share,
                    yaxis="y2",
                    name=f"{name}, up to here",
                    mode="lines",
                    line={"color": colour, "width": 1.5, "dash": "dot"},
                    hovertemplate="%{y:.1f} % up to here<extra>" + name + "</extra>",
                )
            )
    for name, value in (lines or {}).items():
        figure.add_vline(
            x=value,
            line={"color": CURRENT_COLOUR, "width": 1.5, "dash": "dash"},
            annotation={"text": name, "font": {"color": CURRENT_COLOUR, "size": 11}},
        )
    figure.update_layout(
        height=260,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR, "size": 12},
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1b232c", "font": {"color": "#F2F5F8"}},
        xaxis={
            "title": {"text": value_label, "standoff": 4},
            "gridcolor": GRID_COLOUR,
            "zeroline": False,
            "automargin": True,
            "range": [float(values[0]), float(values[-1])],
        },
        yaxis={
            "title": {"text": "Pixels", "standoff": 6},
            "gridcolor": GRID_COLOUR,
            "zeroline": False,
            "type": "log" if logarithmic else "linear",
            "rangemode": "tozero",
            "automargin": True,
        },
    )
    if cumulative:
        figure.update_layout(
            yaxis2={
                "title": {"text": "Up to here, %", "standoff": 6},
                "overlaying": "y",
                "side": "right",
                "range": [0, 101],
                "showgrid": False,
                "automargin": True,
            }
        )
    return figure


RUN_COLOURS: tuple[str, ...] = ("#56B4E9", "#E69F00", "#2BB98F", "#CC79A7", "#F0E442", "#D55E00")
"""One a run where several are compared."""


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
    figure = go.Figure()
    for curve in curves:
        figure.add_trace(
            go.Scatter(
                x=list(curve.x),
                y=list(curve.y),
                name=curve.name,
                mode="lines+markers" if len(curve.x) == 1 else "lines",
                line={"color": curve.colour, "width": 2, "dash": curve.dash},
                hovertemplate="%{y:.4g}<extra>" + curve.name + "</extra>",
            )
        )
        if curve.best is not None and curve.best in curve.x:
            figure.add_trace(
                go.Scatter(
                    x=[curve.best],
                    y=[curve.y[list(curve.x).index(curve.best)]],
                    name=f"{curve.name}, best epoch",
                    mode="markers",
                    showlegend=False,
                    marker={"symbol": "star", "size": 13, "color": curve.colour},
                    hoverinfo="skip",
                )
            )
    for name, value in (lines or {}).items():
        figure.add_vline(
            x=value,
            line={"color": CURRENT_COLOUR, "width": 1.5, "dash": "dash"},
            annotation={"text": name, "font": {"color": CURRENT_COLOUR, "size": 11}},
        )
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR, "size": 12},
        uirevision=revision,
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1b232c", "font": {"color": "#F2F5F8"}},
        xaxis={
            "title": {"text": x_label, "standoff": 4},
            "gridcolor": GRID_COLOUR,
            "zeroline": False,
            "automargin": True,
            "type": "log" if logarithmic_x else "linear",
            **_whole_ticks(curves),
        },
        yaxis={
            "title": {"text": y_label, "standoff": 6},
            "gridcolor": GRID_COLOUR,
            "zeroline": False,
            "automargin": True,
            "type": "log" if logarithmic_y else "linear",
            "range": y_range,
            # A lone value would else be given ticks below zero.
            "rangemode": "tozero" if all(len(curve.x) == 1 for curve in curves) else "normal",
            "exponentformat": "e" if logarithmic_y else "none",
        },
    )
    return figure
