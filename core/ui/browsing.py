"""The widgets of Browse: where to look, through which window, with what marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.config import GREY_WINDOW_HU, WINDOW_PRESETS, Channel, Plane
from core.loading.intensity import as_hu, grey_intensity
from core.ui import session
from core.ui.measures import guide_counts, known_masks
from core.ui.page import show_errors
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown
from core.ui.viewer import Overlay, Style, Window, show_slice

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
FREE_WINDOW = "Free"

_PLANE_HELP = (
    "Axial: seen from the feet. Coronal: seen from the front. Sagittal: seen from the left. "
    "The patient's right is on the left of the picture; letters at its edges say where "
    "right (R), left (L), front (A), back (P), head (S) and feet (I) are."
)
_SLICE_HELP = {
    "axial": "Slice 1 is nearest the feet.",
    "coronal": "Slice 1 is at the front.",
    "sagittal": "Slice 1 is on the patient's right.",
}


def choose_plane(current: OpenStudy) -> Plane:
    """Axial, coronal or sagittal."""
    key = _plane_key(current)
    _start_with(key, _plane_in_address() or "axial")
    plane: Plane | None = st.segmented_control(
        "Plane",
        PLANES,
        format_func=str.capitalize,
        key=key,
        required=True,
        persist_state="session",
        help=_PLANE_HELP,
    )
    return plane or "axial"


def choose_slice(current: OpenStudy, plane: Plane) -> int:
    """Index of the slice, from 0; people and addresses count from 1."""
    count = current.study.volume.plane_count(plane)
    key = slice_key(current, plane)
    _start_with(key, _slice_in_address(plane, count) or first_slice(current, plane) + 1)
    if count == 1:
        st.caption(f"The only {plane} slice.")
        return 0
    shown: int = st.slider(
        f"{plane.capitalize()} slice",
        min_value=1,
        max_value=count,
        key=key,
        persist_state="session",
        help=_SLICE_HELP[plane] + " With the picture in focus, arrow keys step through slices.",
    )
    return shown - 1


def first_slice(current: OpenStudy, plane: Plane) -> int:
    """Where to start: the most infected slice where one is known, else the middle."""
    counts = guide_counts(current, plane)
    if counts is not None and counts.any():
        return int(counts.argmax())
    return current.study.volume.plane_count(plane) // 2


def slice_key(current: OpenStudy, plane: Plane) -> str:
    """The widget key of a plane's slice."""
    return f"slice-{plane}-{current.token}"


def _plane_key(current: OpenStudy) -> str:
    return f"plane-{current.token}"


def _start_with(key: str, value: Any) -> None:
    if key not in st.session_state:
        st.session_state[key] = value


def _plane_in_address() -> Plane | None:
    wanted = st.query_params.get("plane")
    return next((plane for plane in PLANES if plane == wanted), None)


def _slice_in_address(plane: Plane, count: int) -> int | None:
    wanted = st.query_params.get("slice", "")
    if (_plane_in_address() or "axial") != plane or not wanted.isascii() or not wanted.isdigit():
        return None
    return min(max(int(wanted[:6]), 1), count)


def write_address(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """Case, plane and slice go into the page's address, so that it can be kept and shared."""
    wanted = {"case": current.link, "plane": plane, "slice": str(slice_index + 1)}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def choose_window(current: OpenStudy) -> Window:
    """The grey scale of the picture: a preset or any center and width."""
    names = [preset.name for preset in WINDOW_PRESETS] + [FREE_WINDOW]
    chosen = st.segmented_control(
        "Window",
        names,
        default=names[0],
        key="window",
        required=True,
        persist_state="session",
        help="Which values are drawn from black to white, in HU. "
        + "; ".join(f"{p.name}: {p.center:.0f} ± {p.width / 2:.0f}" for p in WINDOW_PRESETS)
        + ".",
    )
    for preset in WINDOW_PRESETS:
        if preset.name == chosen:
            return Window(center=preset.center, width=preset.width)
    left, right = st.columns(2)
    center = left.slider(
        "Center, HU",
        -1000,
        1000,
        value=-600,
        step=10,
        key="window-center",
        persist_state="session",
        help="The value drawn as middle grey.",
    )
    width = right.slider(
        "Width, HU",
        50,
        3000,
        value=1500,
        step=50,
        key="window-width",
        persist_state="session",
        help="How many HU lie between black and white. Narrow is more contrast.",
    )
    return Window(center=float(center), width=float(width))


def choose_overlay(current: OpenStudy) -> tuple[tuple[str, ...], Overlay]:
    """Whose masks are drawn (names of `known_masks`), and how."""
    names = tuple(known_masks(current))
    if not names:
        return (), Overlay(channels=())
    with st.container(horizontal=True, gap="medium"):
        sources = _choose_sources(names)
        channels: tuple[Channel, ...] = tuple(
            st.pills(
                "Show",
                ("lung", "infection"),
                selection_mode="multi",
                default=("lung", "infection"),
                format_func=str.capitalize,
                key="overlay-channels",
                persist_state="session",
                help="What is marked in the picture.",
            )
        )
    with st.container(horizontal=True, gap="medium"):
        style = _choose_style(len(names) > 1)
        opacity = st.slider(
            "Opacity",
            0,
            100,
            value=35,
            step=5,
            format="%d %%",
            key="overlay-opacity",
            persist_state="session",
            disabled=style == "outline",
            width=150,
            help="How much the marked areas cover the picture.",
        )
    # Agreement needs both, whichever are chosen.
    shown = names if style == "agreement" else sources
    return shown, Overlay(channels=channels, style=style, opacity=opacity / 100)


def _choose_sources(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) == 1:
        return names
    return tuple(
        st.pills(
            "Masks",
            names,
            selection_mode="multi",
            default=names,
            key="overlay-sources",
            persist_state="session",
            help="The prediction is the network's, drawn as an area or a solid line. The truth "
            "was drawn by people (or is known, in the demo study) and has a dashed line.",
        )
    )


def _choose_style(both_known: bool) -> Style:
    names: dict[Style, str] = {"fill": "Area", "outline": "Outline"}
    if both_known:
        names["agreement"] = "Agreement"
    remembered: Style = st.session_state.get("style", "fill")
    style = st.segmented_control(
        "Drawn as",
        tuple(names),
        default=remembered if remembered in names else "fill",
        format_func=lambda style: names[style],
        key=f"overlay-style-{len(names)}",
        required=True,
        persist_state="session",
        help="Area, outline, or (where the truth is known) agreement: what both mark, what was "
        "missed and what was marked in error, of the infection or, with only the lung chosen, "
        "of the lung.",
    )
    # Kept by hand: the choice is another widget once there is something to agree with.
    st.session_state["style"] = style
    return style


def show_picture(
    current: OpenStudy,
    *,
    plane: Plane,
    slice_index: int,
    window: Window,
    sources: tuple[str, ...] = ("Prediction", "Truth"),
    overlay: Overlay | None = None,
    tallest: float = 0.61,
    key: str = "picture",
) -> None:
    """The slice with its overlays; arrow keys in it move the slice slider."""
    pairs = known_masks(current)
    target = slice_key(current, plane)

    def go_to(index: int) -> None:
        st.session_state[target] = index + 1

    show_slice(
        current.study.volume,
        plane=plane,
        slice_index=slice_index,
        window=window,
        truth=pairs.get("Truth") if "Truth" in sources else None,
        prediction=pairs.get("Prediction") if "Prediction" in sources else None,
        overlay=overlay,
        title=current.name,
        stamp=current.stamp,
        tallest=tallest,
        key=key,
        on_go_to=go_to,
    )


def show_glance(current: OpenStudy) -> None:
    """One axial slice of the open scan, as a first look."""
    preset = WINDOW_PRESETS[0]
    show_slice(
        current.study.volume,
        plane="axial",
        slice_index=first_slice(current, "axial"),
        window=Window(center=preset.center, width=preset.width),
        prediction=current.prediction,
        title=current.name,
        stamp=current.stamp,
        tallest=0.4,
        key="glance",
    )


def show_preview(current: OpenStudy, slice_index: int) -> None:
    """An axial slice with the prediction, where there is one, and nothing else."""
    preset = WINDOW_PRESETS[0]
    show_picture(
        current,
        plane="axial",
        slice_index=slice_index,
        window=Window(center=preset.center, width=preset.width),
        sources=("Prediction",),
        tallest=0.56,
        key="preview",
    )


def show_jump_buttons(current: OpenStudy, plane: Plane, slice_index: int) -> None:
    """To the most infected slice, and to the infected ones before and after this."""
    counts = guide_counts(current, plane)
    if counts is None:
        return
    infected = np.flatnonzero(np.nan_to_num(counts))
    before, after = infected[infected < slice_index], infected[infected > slice_index]
    most = int(counts.argmax()) if infected.size else None
    key = slice_key(current, plane)

    def go_to(index: int) -> None:
        st.session_state[key] = index + 1

    with st.container(horizontal=True, gap="small", key="jumps"):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            on_click=go_to,
            args=(int(before[-1]) if before.size else 0,),
            disabled=before.size == 0,
            help="The nearest slice with infection before this one.",
        )
        st.button(
            "Go to the most infected slice",
            icon=":material/my_location:",
            type="primary",
            on_click=go_to,
            args=(most or 0,),
            disabled=most is None or most == slice_index,
            help="The slice with the largest infected area, by the prediction where there is "
            "one, else by the truth.",
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            on_click=go_to,
            args=(int(after[0]) if after.size else 0,),
            disabled=after.size == 0,
            help="The nearest slice with infection after this one.",
        )
    if most is None:
        st.caption("No infection is marked in this scan.")


def show_grey_scale_choice(current: OpenStudy) -> None:
    """For scans whose values are not HU: says so, and lets the person correct the assumption."""
    recognised, intensity = current.recognised, current.study.volume.intensity
    if recognised.unit == "HU":
        return
    assumed = intensity.unit != "HU"
    title = "Values are not HU: the scale is assumed" if assumed else "Values declared to be HU"
    with st.expander(title, icon=":material/contrast:"):
        st.caption(escape_markdown(f"Recognised: {recognised.reason}."))
        grey_max = (GREY_WINDOW_HU[1] - GREY_WINDOW_HU[0]) / recognised.slope
        shown = intensity if assumed else recognised
        left, right = st.columns(2)
        low_hu = left.number_input(
            "Black stands for, HU",
            value=float(round(shown.intercept)),
            step=50.0,
            key=f"grey-low-{current.token}",
            help="The HU that black stood for when the scan was exported.",
        )
        high_hu = right.number_input(
            "White stands for, HU",
            value=float(round(shown.intercept + shown.slope * grey_max)),
            step=50.0,
            key=f"grey-high-{current.token}",
            help="The HU that white stood for when the scan was exported.",
        )
        with st.container(horizontal=True), show_errors():
            if st.button("Use this scale", help="For the picture and for the network."):
                session.set_intensity(
                    grey_intensity(low_hu=low_hu, high_hu=high_hu, grey_max=grey_max)
                )
                st.rerun()
            if st.button(
                "The values are HU",
                disabled=not assumed,
                help="For scans whose numbers are HU although they do not look like it.",
            ):
                session.set_intensity(as_hu())
                st.rerun()
        if current.segmentation is not None:
            st.caption("With another scale the prediction is dropped; run the network again.")
