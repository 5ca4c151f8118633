"""A session of a test page that begins anew without the page being loaded again."""

from __future__ import annotations

import streamlit as st


def begin_anew() -> None:
    """Forgets all, and gives the next viewer another key."""
    run = st.session_state.get("run", 0) + 1
    st.session_state.clear()
    st.session_state.run = run


def viewer_key() -> str:
    """The key of this session's viewer."""
    return f"viewer-{st.session_state.get('run', 0)}"
