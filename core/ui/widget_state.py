"""Widgets' values in Streamlit's session state, by their keys.

Everything else that a session keeps is in `core.ui.session.Session`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st


def widget_value(key: str, default: Any = None) -> Any:
    """What a widget holds; `default` where it has not been drawn yet."""
    return st.session_state.get(key, default)


def set_widget_value(key: str, value: Any) -> None:
    """Sets a widget before it is drawn, or in a callback."""
    st.session_state[key] = value


def set_first_value(key: str, value: Any) -> None:
    """Sets a widget that has no value yet."""
    if key not in st.session_state:
        st.session_state[key] = value


def forget_widget(key: str) -> None:
    """Resets a widget to its first value."""
    st.session_state.pop(key, None)


def fresh_key(name: str) -> str:
    """The key of a widget that `renew_key` can empty, such as an upload or a picked row."""
    return f"{name}-{st.session_state.get(_rounds(name), 0)}"


def renew_key(name: str) -> None:
    """Gives the widget a new key: it is drawn empty, and the same choice can be made again."""
    st.session_state[_rounds(name)] = st.session_state.get(_rounds(name), 0) + 1


def _rounds(name: str) -> str:
    return f"{name}-rounds"
