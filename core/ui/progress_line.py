"""Progress of something that the page itself waits for, such as opening a scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import LungLensError
from core.system import OnProgress
from core.ui.session import OpenStudy, set_notice, this_session
from core.ui.text import escape_markdown


class ProgressLine:
    """A progress bar that is redrawn a few times per second at most, and a way to stop.

    The button needs no code here: as soon as something is clicked, Streamlit ends the run of the
    page at its next drawing. Work that draws its progress ends with it.

    Args:
        after_seconds: how long nothing is drawn, so that quick work leaves the page as it is.
        on_stop: takes back the choice that the work was begun for, where the next drawing of the
            page would begin it again.
    """

    def __init__(
        self, after_seconds: float = 0.0, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._place = st.empty()
        self._bar: DeltaGenerator | None = None
        self._from = time.monotonic() + after_seconds
        self._last = 0.0
        self._on_stop = on_stop
        if not after_seconds:
            self._bar = self._draw()

    def _draw(self) -> DeltaGenerator:
        with self._place.container(horizontal=True, vertical_alignment="bottom"):
            bar = st.progress(0.0, text="Starting")
            st.button(
                "Stop",
                key="stop-opening",
                icon=":material/stop_circle:",
                help="Cancels opening this scan. The current scan stays open.",
                on_click=_say_stopped,
                args=(_token(this_session().opened), self._on_stop),
            )
        return bar

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._from or (now - self._last < 0.15 and done < total):
            return
        if self._bar is None:
            self._bar = self._draw()
        self._last = now
        words = f"{stage[:1].upper()}{stage[1:]}" + (f", {done} of {total}" if total > 1 else "")
        self._bar.progress(min(done / total, 1.0) if total else 0.0, text=escape_markdown(words))

    def clear(self) -> None:
        """Takes bar and button away."""
        self._place.empty()


@contextmanager
def opening(
    after_seconds: float = 0.0, on_stop: Callable[[], None] = lambda: None
) -> Iterator[OnProgress]:
    """A bar with a way to stop around opening a scan; taken away at its end, and where it failed.

    Whoever stops it ends this run of the page, and with it what stands in the context.

    Args:
        after_seconds, on_stop: see `ProgressLine`.
    """
    progress = ProgressLine(after_seconds, on_stop)
    try:
        yield progress
    except LungLensError:
        progress.clear()
        raise
    progress.clear()


def _token(current: OpenStudy | None) -> str:
    return current.token if current is not None else ""


def _say_stopped(token_before: str, on_stop: Callable[[], None]) -> None:
    on_stop()
    # Not begun again by the next drawing, where it was the first scan of the session.
    this_session().began = True
    # Whoever clicks at the last moment finds the scan open after all.
    if _token(this_session().opened) == token_before:
        set_notice("warning", "Opening was stopped. Nothing was changed.")
