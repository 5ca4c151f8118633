"""Lung and infection in space, beside the slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from core.config import CHANNELS, Channel, Plane, SurfaceConfig
from core.drawing import (
    CORRECTED_COLOURS,
    PREDICTION_COLOURS,
    SECOND_COLOURS,
    TRUTH_COLOURS,
    Surface,
    build_surface,
    region_of_faces,
    slice_corners_mm,
)
from core.ui.chart_view import show_chart
from core.ui.charts.surface import make_surface_figure
from core.ui.components import BrowserComponent
from core.ui.scan.browsing import place_of
from core.ui.scan.lobes import scan_lobes
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import SECOND_NETWORK, OpenStudy, remember, this_session
from core.ui.streamlit_internals import BROWSER_SCRIPT
from core.ui.viewer import PLANES, Layout
from core.ui.widget_state import set_widget_value, widget_value
from core.volume import PLANE_AXIS

_HERE = Path(__file__).parent
_CHART = "surfaces-chart"
_SLICE_MARGIN_MM = 8.0
_COLOURS = {
    CORRECTED: CORRECTED_COLOURS,
    "Prediction": PREDICTION_COLOURS,
    SECOND_NETWORK: SECOND_COLOURS,
    "Truth": TRUTH_COLOURS,
}

_turntable = BrowserComponent(
    "lunglens_turntable",
    html=(
        '<div class="turntable" role="group" aria-label="Rotate the 3D view" hidden>'
        '<button type="button" class="turn">Rotate</button>'
        '<button type="button" data-view="front">From the front</button>'
        '<button type="button" data-view="left">From the left</button>'
        '<button type="button" data-view="feet">From the feet</button>'
        "</div>"
    ),
    css=(_HERE / "turntable.css").read_text(encoding="utf-8"),
    js=BROWSER_SCRIPT + (_HERE / "turntable.js").read_text(encoding="utf-8"),
)


@dataclass(eq=False)
class _Shown:
    """Whether this session looks at the scan in space."""

    in_space: bool = False


def in_space() -> bool:
    """Whether lung and infection are shown in space, in place of the slices."""
    return this_session().part(_Shown).in_space


def look_in_space(wanted: bool = True) -> None:
    """Goes to the view in space, or back to the slices."""
    this_session().part(_Shown).in_space = wanted


def show_surfaces(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Lung and infection as surfaces with the current slice through them, and the way back."""
    _show_way_back(current)
    names = tuple(known_masks(current))
    if not names:
        st.caption(
            "There are no masks yet. Mark lung and infection with the network, or add true masks "
            "on Home, and they appear here as surfaces."
        )
        return
    source = _choose_source(names)
    surfaces = remember(
        current,
        ("surfaces", source),
        lambda: _build(current, source),
        doing="Building surfaces…",
        corrected=source == CORRECTED,
    )
    by_lobe = "lung" in surfaces and _wants_lobes(current, source)
    if surfaces:
        _show_chart(
            current,
            surfaces,
            source=source,
            plane=plane,
            slice_index=slice_index,
            by_lobe=by_lobe,
        )
        _choose_slice(current, plane, slice_index)
    if by_lobe:
        st.caption(scan_lobes(current, source).note)
    _show_remarks(current, surfaces, source)


def _show_way_back(current: OpenStudy) -> None:
    """The planes, one or all linked, in the place where the viewer has them."""

    def leave(plane: Plane, layout: Layout) -> None:
        look_in_space(False)
        place_of(current).go_to(plane=plane, voxel=place_of(current).voxel, layout=layout)

    with st.container(horizontal=True, gap="small", key="surfaces-planes"):
        for plane in PLANES:
            st.button(
                plane.capitalize(),
                key=f"surfaces-to-{plane}",
                on_click=leave,
                args=(plane, "single"),
                help=f"Back to the {plane} slices.",
            )
        st.button(
            "Linked",
            key="surfaces-to-linked",
            on_click=leave,
            args=("axial", "linked"),
            help="Back to all three planes with a crosshair.",
        )
        st.button("3D", type="primary", key="surfaces-here", help="Drag to rotate, scroll to zoom.")


def _choose_slice(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """The slice through the surfaces, which the numbers beside them are of."""
    axis, count = PLANE_AXIS[plane], current.study.volume.plane_count(plane)
    if count < 2:
        return
    key = f"surfaces-slice-{plane}-{current.token}"

    def move() -> None:
        place = place_of(current)
        voxel = list(place.voxel)
        voxel[axis] = int(widget_value(key)) - 1
        place.go_to(plane=plane, voxel=(voxel[0], voxel[1], voxel[2]))

    # Other parts of the page move the slice, too.
    set_widget_value(key, slice_index + 1)
    st.slider(
        f"{plane.capitalize()} slice",
        1,
        count,
        key=key,
        on_change=move,
        help="Where the slice lies in the lungs. The areas beside are those of this slice.",
    )


def _choose_source(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    chosen: str | None = st.segmented_control(
        "Surfaces of",
        names,
        default=names[0],
        key="surfaces-source",
        required=True,
        persist_state="session",
        help="What you corrected, what the network predicted, or the truth: drawn by people, or "
        "known by construction in the demo study.",
    )
    return chosen or names[0]


def _wants_lobes(current: OpenStudy, source: str) -> bool:
    """Whether the lung is to be coloured by lobe, where there are lobes."""
    wanted = st.toggle(
        "Colour the lung by lobe",
        key="surfaces-lobes",
        persist_state="session",
        help="Lobes are estimated from the shape of the lungs.",
    )
    if not wanted:
        return False
    lobes = scan_lobes(current, source)
    if lobes.labels is None:
        st.caption(lobes.reason)
    return lobes.labels is not None


def _build(current: OpenStudy, source: str) -> dict[Channel, Surface]:
    pair, config = known_masks(current)[source], SurfaceConfig()
    masks = {"lung": pair.lung, "infection": pair.infection}
    surfaces: dict[Channel, Surface] = {}
    for channel in CHANNELS:
        mask = masks[channel]
        if mask is None:
            continue
        surface = build_surface(mask, current.study.volume.affine, config, channel=channel)
        if surface is not None:
            surfaces[channel] = surface
    return surfaces


def _show_chart(
    current: OpenStudy,
    surfaces: dict[Channel, Surface],
    *,
    source: str,
    plane: Plane,
    slice_index: int,
    by_lobe: bool,
) -> None:
    labels = scan_lobes(current, source).labels if by_lobe else None
    affine = current.study.volume.affine
    chart = remember(
        current,
        ("surface chart", source, by_lobe),
        lambda: make_surface_figure(
            surfaces,
            colours=_COLOURS[source],
            revision=current.token,
            stamp=current.stamp,
            lobes=None if labels is None else region_of_faces(surfaces["lung"], labels, affine),
        ),
        corrected=source == CORRECTED,
    )
    volume = current.study.volume
    corners = slice_corners_mm(
        volume.shape,
        volume.affine,
        plane=plane,
        slice_index=slice_index,
        around_mm=np.concatenate([surface.vertices_mm for surface in surfaces.values()]),
        margin_mm=_SLICE_MARGIN_MM,
    )
    with st.container(key=_CHART):
        show_chart(chart, key=f"surfaces-{current.token}", always_dark=True)
    _turntable(
        data={"chart": _CHART, "corners": corners.tolist()}, key=f"turntable-{current.token}"
    )


def _show_remarks(current: OpenStudy, surfaces: dict[Channel, Surface], source: str) -> None:
    """What is not drawn and why, and how far the picture may be trusted."""
    pair, remarks = known_masks(current)[source], []
    for channel, mask in (("lung", pair.lung), ("infection", pair.infection)):
        if mask is None:
            remarks.append(f"There is no mask of the {channel}.")
        elif channel not in surfaces:
            remarks.append(f"No {channel} is marked in this scan.")
    if surfaces:
        triangles = f"{sum(len(surface.faces) for surface in surfaces.values()):,}"
        remarks.append(
            triangles.replace(",", "\u00a0")
            + " triangles, smoothed and simplified: for viewing, not for measuring."
        )
        if current.study.volume.spacing_nominal:
            remarks.append(
                "Proportions along the body are nominal: the file does not give the voxel size."
            )
    st.caption(" ".join(remarks))
