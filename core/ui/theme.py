"""Which theme the page is drawn in: dark or light."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.ui.components import BrowserComponent
from core.ui.streamlit_internals import BROWSER_SCRIPT

INK = {"dark": "#dbe3ea", "light": "#1d2731"}
"""Colour of text, as in `.streamlit/config.toml`."""

_follower = BrowserComponent(
    "lunglens_theme",
    html="<span hidden></span>",
    css="",
    js=BROWSER_SCRIPT + Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def is_light() -> bool:
    """Whether the page is drawn on a light background."""
    return st.context.theme.type == "light"


def ink() -> str:
    """The colour of text, for pictures that do not inherit it."""
    return INK["light" if is_light() else "dark"]


def follow_theme() -> None:
    """Draws the page once more when the person chooses another theme: charts and pictures are made
    for one, and Streamlit changes only what is its own. A choice holds for all pages."""

    def chosen() -> None:
        """The page runs again, which is all that is wanted."""

    _follower(data={"light": is_light()}, key="theme", on_theme_change=chosen)
