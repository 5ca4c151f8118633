"""The session of a page under test."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from core.ui.session import SESSION_KEY, Session


def session_of(app: AppTest) -> Session:
    """What the app keeps for the person at this page; a new one before its first run."""
    if SESSION_KEY not in app.session_state:
        app.session_state[SESSION_KEY] = Session()
    return app.session_state[SESSION_KEY]
