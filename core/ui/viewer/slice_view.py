"""Mounting the canvas on a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.config import Plane
from core.ui.viewer.packing import Overlay, Window, pack_slice
from core.volume import MaskPair, Volume

_HERE = Path(__file__).parent


def _register() -> Any:
    return st.components.v2.component(
        "lunglens_slice",
        html='<div class="view"></div>',
        css=(_HERE / "slice_view.css").read_text(encoding="utf-8"),
        js=(_HERE / "slice_view.js").read_text(encoding="utf-8"),
    )


_canvas = _register()


def _mount(**arguments: Any) -> None:
    global _canvas
    try:
        _canvas(**arguments)
    except StreamlitAPIException as error:
        # Before 1.67 a component is known only to the server that ran at its registration.
        if "not registered" not in str(error):
            raise
        _canvas = _register()
        _canvas(**arguments)


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
        steppable=on_go_to is not None,
    )

    def _wanted() -> None:
        wanted = st.session_state[key].get("slice")
        if on_go_to is not None and isinstance(wanted, (int, float)):
            last = volume.plane_count(plane) - 1
            on_go_to(min(max(int(wanted) - 1, 0), last))

    _mount(data=packed, key=key, on_slice_change=_wanted)
