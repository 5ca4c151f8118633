"""Lung and infection in space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.config import CHANNELS, LOBE_COLOURS, LOBES, Channel
from core.drawing import PREDICTION_COLOURS, Surface
from core.ui.charts.style import CURRENT_COLOUR, TEXT_COLOUR, new_chart
from core.volume import FloatArray

_LIGHTING = {
    "lung": {"ambient": 0.5, "diffuse": 0.7, "specular": 0.25, "roughness": 0.5, "fresnel": 0.8},
    "infection": {"ambient": 0.55, "diffuse": 0.65, "specular": 0.2, "roughness": 0.6},
}
_LOBE_SCALE = [
    (place / len(LOBES), LOBE_COLOURS[name])
    for number, name in enumerate(LOBES)
    for place in (number, number + 1)
]
"""Steps of one colour each."""
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
    lobes: npt.NDArray[np.uint8] | None = None,
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
        lobes: (faces of the lung,) 1 to 5, by which the lung is coloured; none gives one colour.
    """
    points = np.concatenate([surface.vertices_mm for surface in surfaces.values()])
    low, high = points.min(axis=0) - _LETTER_GAP_MM, points.max(axis=0) + _LETTER_GAP_MM
    chart = new_chart(
        height=430,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        uirevision=revision,
        scene=_scene(low, high),
    )
    chart.add_traces(
        [
            *(
                _mesh(
                    surfaces[channel],
                    channel=channel,
                    colour=colours[channel],
                    lobes=lobes if channel == "lung" else None,
                )
                for channel in reversed(CHANNELS)
                if channel in surfaces
            ),
            *_slice_plane(slice_corners_mm),
            _letters(low, high),
        ]
    )
    if stamp:
        chart.add_annotation(
            text=stamp,
            x=0.01,
            y=0.99,
            xref="paper",
            yref="paper",
            showarrow=False,
            font={"color": PREDICTION_COLOURS["infection"], "size": 12},
        )
    return chart


def _scene(low: FloatArray, high: FloatArray) -> dict[str, Any]:
    """Bare axes in mm, and the camera in front of the box from `low` to `high`."""
    # Plotly measures the eye's distance in boxes of volume 1; flat scans need it further away.
    sides = (high - low) / np.cbrt(np.prod(high - low))
    eye = 1.06 * np.linalg.norm(sides) * _VIEW_FROM
    hidden = {"visible": False, "showspikes": False}
    return {
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
    }


def _mesh(
    surface: Surface, *, channel: Channel, colour: str, lobes: npt.NDArray[np.uint8] | None
) -> go.Mesh3d:
    # Plotly sends arrays as bytes: small indices take half of what large ones do.
    small = len(surface.vertices_mm) <= np.iinfo(np.uint16).max
    faces = surface.faces.astype(np.uint16 if small else np.int32)
    x, y, z = surface.vertices_mm.T
    i, j, k = faces.T
    coloured: dict[str, Any] = {"color": colour}
    if lobes is not None:
        coloured = {
            "intensity": lobes,
            "intensitymode": "cell",
            "cmin": 0.5,
            "cmax": len(LOBES) + 0.5,
            "colorscale": _LOBE_SCALE,
            "showscale": False,
        }
    return go.Mesh3d(
        name=channel.capitalize(),
        x=x,
        y=y,
        z=z,
        i=i,
        j=j,
        k=k,
        **coloured,
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
