"""Mounting the canvas on a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.config import Plane
from core.ui.viewer.packing import Overlay, Window, pack_slice
from core.volume import MaskPair, Volume

_HERE = Path(__file__).parent

_canvas = st.components.v2.component(
    "lunglens_slice",
    html='<div class="view"></div>',
    css=(_HERE / "slice_view.css").read_text(encoding="utf-8"),
    js=(_HERE / "slice_view.js").read_text(encoding="utf-8"),
)


def show_slice(
    volume: Volume,
    *,
    plane: Plane,
    slice_index: int,
    window: Window,
    truth: MaskPair | None = None,
    prediction: MaskPair | None = None,
    overlay: Overlay | None = None,
    title: str = "",
    stamp: str = "",
    tallest: float = 0.61,
    key: str,
    on_go_to: Callable[[int], None] | None = None,
) -> None:
    """Draws one slice in radiological convention, square in mm, with overlays.

    The value under the pointer is read in the browser. Arrow keys with the
    picture in focus ask for another slice: `on_go_to` gets its index before the next run.
    The picture fills its column, but at most `tallest` of the window's height.
    """
    packed = pack_slice(
        volume,
        plane=plane,
        slice_index=slice_index,
        window=window,
        truth=truth,
        prediction=prediction,
        overlay=overlay,
        title=title,
        stamp=stamp,
        tallest=tallest,
    )

    def _wanted() -> None:
        wanted = st.session_state[key].get("slice")
        if on_go_to is not None and isinstance(wanted, (int, float)):
            last = volume.plane_count(plane) - 1
            on_go_to(min(max(int(wanted) - 1, 0), last))

    _canvas(data=packed, key=key, on_slice_change=_wanted)
