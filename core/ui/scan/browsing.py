"""Where to look in the open scan, and the picture of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.config import Plane
from core.loading import as_hu, grey_ends, windowed_intensity
from core.ui.navigation import BROWSE, go_to, part_in_address
from core.ui.open_scan import set_intensity
from core.ui.page import show_errors
from core.ui.projects import keep_state, try_again
from core.ui.scan.lobes import shown_lobes
from core.ui.scan.measures import guide_counts
from core.ui.scan.notes import notebook_of
from core.ui.scan.pictures import turns_of
from core.ui.session import OpenStudy, this_session
from core.ui.text import escape_markdown
from core.ui.viewer import (
    PLANES,
    Comparison,
    Heat,
    Marks,
    Place,
    Tools,
    ViewerScan,
    show_viewer,
)
from core.volume import PLANE_AXIS


def place_of(current: OpenStudy) -> Place:
    """Where the person is in the open study; at first what the address says, or a telling slice."""
    if current.place is None:
        current.place = _first_place(current)
    return current.place


def _first_place(current: OpenStudy) -> Place:
    volume = current.study.volume
    plane = _plane_in_address() or "axial"
    wanted = _slice_in_address(volume.plane_count(plane))
    voxel = [count // 2 for count in volume.shape]
    kept = current.kept_state
    if wanted is not None:
        voxel[PLANE_AXIS["axial"]] = first_slice(current)
        voxel[PLANE_AXIS[plane]] = wanted - 1
    elif kept is not None and kept.voxel is not None:
        # Where the person was on the day before.
        voxel, plane = list(kept.voxel), kept.plane or "axial"
    else:
        voxel[PLANE_AXIS["axial"]] = first_slice(current)
    # The grey scale stays as it was with the scan before.
    i, j, k = voxel
    return Place(voxel=(i, j, k), plane=plane, window=this_session().window)


def first_slice(current: OpenStudy) -> int:
    """The most infected axial slice where one is known, else the middle."""
    counts = guide_counts(current, "axial")
    if counts is not None and counts.any():
        return int(counts.argmax())
    return current.study.volume.plane_count("axial") // 2


def _plane_in_address() -> Plane | None:
    wanted = st.query_params.get("plane")
    return next((plane for plane in PLANES if plane == wanted), None)


def _slice_in_address(count: int) -> int | None:
    wanted = st.query_params.get("slice", "")
    if not wanted.isascii() or not wanted.isdigit():
        return None
    return min(max(int(wanted[:6]), 1), count)


def write_address(current: OpenStudy) -> None:
    """Case, part, plane and slice go into the page's address, so that it can be kept and shared."""
    place = place_of(current)
    wanted = {
        **current.address,
        **part_in_address(),
        "plane": place.plane,
        "slice": str(place.slice_index + 1),
    }
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def viewer_scan(current: OpenStudy) -> ViewerScan:
    """The open study as the viewer takes it."""
    return ViewerScan(
        owner=current,
        volume=current.study.volume,
        truth=current.study.truth,
        prediction=current.prediction,
        second=current.second_prediction,
        correction=current.correction,
        lobes=shown_lobes(current),
        name=current.name,
        stamp=current.stamp,
        flags=current.look_first,
        turns=turns_of(current),
    )


@st.fragment
def show_glance(current: OpenStudy, *, key: str, tallest: float) -> None:
    """The open scan beside other things, without the toolbar.

    It runs by itself. A step through its slices does not draw the page again, which would take
    time and end what the page is doing, such as opening the next scan.
    """
    show_picture(current, key=key, tools="few", tallest=tallest)


def show_picture(
    current: OpenStudy,
    *,
    key: str,
    tools: Tools = "all",
    tallest: float,
    comparison: Comparison | None = None,
    heat: Heat | None = None,
    marks: Marks | None = None,
    headline: tuple[str, str] | None = None,
    on_solid: Callable[[], None] | None = None,
) -> Place:
    """The open scan with all that is marked in it; returns where in it the person is.

    Args:
        comparison: what stands beside it, such as a second scan.
        tools: "few" for a picture beside other things, without the toolbar.
        tallest: largest height, as a share of the browser window's.
        heat, marks, headline, on_solid: see `core.ui.viewer.show_viewer`.
    """
    place = place_of(current)
    # Small pictures and pairs of scans are to look at.
    elsewhere = tools == "few" or comparison is not None
    if try_again(current):
        # The notice stands outside the fragment that follows the slice.
        st.rerun()
    show_viewer(
        viewer_scan(current),
        place,
        key=key,
        tools=tools,
        tallest=tallest,
        comparison=comparison,
        heat=heat,
        marks=marks,
        on_place=_remember_window,
        notebook=notebook_of(current),
        headline=headline,
        on_solid=on_solid,
        on_correct=partial(_ask_to_correct, current) if elsewhere else None,
        correct=0 if elsewhere else current.asked_to_correct,
    )
    keep_state(current)
    if elsewhere:
        _leave_to_correct(current)
    return place


def _ask_to_correct(current: OpenStudy) -> None:
    this_session().part(_Leaving).token = current.token


@dataclass(eq=False)
class _Leaving:
    """Of a person who has asked to correct masks and is about to leave the page for View.

    Attributes:
        token: of the scan.
        slices: View has yet to show slices, in place of the view in space.
    """

    token: str = ""
    slices: bool = False


def _leave_to_correct(current: OpenStudy) -> None:
    leaving = this_session().part(_Leaving)
    if leaving.token == current.token:
        leaving.token = ""
        correct_on_view(current)


def correct_on_view(current: OpenStudy) -> None:
    """Leaves for View, where correcting begins at the slice where the person is."""
    current.asked_to_correct += 1
    this_session().part(_Leaving).slices = True
    go_to(BROWSE)


def slices_are_wanted() -> bool:
    """Whether a person has just come to correct masks; once for each time."""
    leaving = this_session().part(_Leaving)
    wanted, leaving.slices = leaving.slices, False
    return wanted


def show_way_to_correct(current: OpenStudy) -> None:
    """The button that leads there, for pages without the picture."""
    if st.button(
        "Correct on View",
        key=f"correct-on-view-{current.token}",
        icon=":material/edit:",
        help="Lung and infection are corrected by hand on View.",
    ):
        correct_on_view(current)


def _remember_window(place: Place) -> None:
    this_session().window = place.window


def show_grey_scale_choice(current: OpenStudy) -> None:
    """For scans whose values are not HU: says so, and lets the person correct the assumption."""
    recognised, intensity = current.recognised, current.study.volume.intensity
    if recognised.unit == "HU":
        return
    assumed = intensity.unit != "HU"
    title = "Values are not HU: the scale is assumed" if assumed else "Values declared to be HU"
    with st.expander(title, icon=":material/contrast:"):
        st.caption(escape_markdown(f"Recognised: {recognised.reason}."))
        array = current.study.volume.array
        black, white = grey_ends(array)
        shown = intensity if assumed else recognised
        left, right = st.columns(2)
        low_hu = left.number_input(
            "Black stands for, HU",
            value=float(round(shown.intercept + shown.slope * black)),
            step=50.0,
            key=f"grey-low-{current.token}",
            help="The HU that black stood for when the scan was exported.",
        )
        high_hu = right.number_input(
            "White stands for, HU",
            value=float(round(shown.intercept + shown.slope * white)),
            step=50.0,
            key=f"grey-high-{current.token}",
            help="The HU that white stood for when the scan was exported.",
        )
        with st.container(horizontal=True), show_errors():
            if st.button("Use this scale", help="For the picture and for the network."):
                set_intensity(windowed_intensity(array, low_hu, high_hu))
                st.rerun()
            if st.button(
                "The values are HU",
                disabled=not assumed,
                help="For scans whose values are HU although they do not look like HU.",
            ):
                set_intensity(as_hu())
                st.rerun()
        if current.segmentation is not None:
            st.caption("A new scale discards the prediction; run the network again.")
