"""Progress of something that the page itself waits for, such as opening a scan."""

from __future__ import annotations

import time

import streamlit as st

from core.ui.session import OpenStudy, set_notice, this_session
from core.ui.text import escape_markdown


class ProgressLine:
    """A progress bar that is redrawn a few times per second at most, and a way to stop.

    The button needs no code here: as soon as something is clicked, Streamlit ends the run of the
    page at its next drawing. Work that draws its progress ends with it.
    """

    def __init__(self) -> None:
        self._place = st.empty()
        with self._place.container(horizontal=True, vertical_alignment="bottom"):
            self._bar = st.progress(0.0, text="Starting")
            st.button(
                "Stop",
                key="stop-opening",
                icon=":material/stop_circle:",
                help="Cancels opening this scan. The current scan stays open.",
                on_click=_say_stopped,
                args=(_token(this_session().opened),),
            )
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < 0.15 and done < total:
            return
        self._last = now
        words = f"{stage[:1].upper()}{stage[1:]}" + (f", {done} of {total}" if total > 1 else "")
        self._bar.progress(min(done / total, 1.0) if total else 0.0, text=escape_markdown(words))

    def clear(self) -> None:
        """Takes bar and button away."""
        self._place.empty()


def _token(current: OpenStudy | None) -> str:
    return current.token if current is not None else ""


def _say_stopped(token_before: str) -> None:
    # Whoever clicks at the last moment finds the scan open after all.
    if _token(this_session().opened) == token_before:
        set_notice("warning", "Opening was stopped. Nothing was changed.")
