"""Which theme the page is drawn in: dark or light."""

from __future__ import annotations

import streamlit as st

INK = {"dark": "#dbe3ea", "light": "#1d2731"}
"""Colour of text, as in `.streamlit/config.toml`."""


def is_light() -> bool:
    """Whether the page is drawn on a light background."""
    return st.context.theme.type == "light"


def ink() -> str:
    """The colour of text, for pictures that do not inherit it."""
    return INK["light" if is_light() else "dark"]
