"""Pieces of browser code on a page: HTML, CSS and JavaScript that Streamlit mounts."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.ui.streamlit_internals import NOT_REGISTERED


class BrowserComponent:
    """One registered component; calling it mounts it where the page stands."""

    def __init__(self, name: str, *, html: str, css: str, js: str) -> None:
        self._register = partial(st.components.v2.component, name, html=html, css=css, js=js)
        self._mount = self._register()

    def __call__(self, **arguments: Any) -> None:
        """Mounts it with the `key`, `data` and callbacks of `st.components.v2`."""
        try:
            self._mount(**arguments)
        except StreamlitAPIException as error:
            # Before 1.67 a component is known only to the server that ran at its registration.
            if NOT_REGISTERED not in str(error):
                raise
            self._mount = self._register()
            self._mount(**arguments)
