"""Who may come in: everybody at this machine, or whoever logs in where the operator asks for it.

The login is Streamlit's own (OpenID Connect), set up in its secrets file under `[auth]`; see
docs/serving-a-team.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from core.config import AppConfig
from core.ui.streamlit_internals import LoginUnavailable, holds_login, start_login

ALLOW_TRAINING_VARIABLE = "LUNGLENS_ALLOW_TRAINING"
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

OPEN_TO_ALL = (
    "This server is open to all: whoever reaches its address can use it and open the scans of its "
    "data folder. Its operator can ask for a login; docs/serving-a-team.md has the steps."
)
_SECRETS_UNREADABLE = (
    "This server is closed: its secrets file cannot be read, and it may ask for a login. Its "
    "operator finds the reason in the server's output."
)


def listens_to_this_machine_only() -> bool:
    """Whether the server's address can be reached from this machine alone."""
    return str(st.get_option("server.address") or "").strip("[]").lower() in _THIS_MACHINE


def may_train() -> bool:
    """Whether visitors may train and start batches, which take the whole machine for minutes to
    hours: where only this machine can reach the app, unless the operator says otherwise."""
    setting = os.environ.get(ALLOW_TRAINING_VARIABLE, "").strip().lower()
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    allowed = AppConfig(allow_training=known.get(setting)).allow_training
    return listens_to_this_machine_only() if allowed is None else allowed


def login_is_set_up() -> bool:
    """Whether the operator asks for a login."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def secrets_are_unreadable() -> bool:
    """Whether there is a secrets file, but none that says whether to ask for a login."""
    if st.secrets.load_if_toml_exists():
        return False
    return any(Path(path).exists() for path in st.get_option("secrets.files"))


def may_enter() -> bool:
    """Whether the person at this page may see anything."""
    if secrets_are_unreadable():
        return False
    return not login_is_set_up() or st.user.get("is_logged_in") is True


def may_fetch(cookies: Mapping[str, str]) -> bool:
    """The same for a request of a browser with these cookies, outside of any page."""
    if secrets_are_unreadable():
        return False
    return not login_is_set_up() or holds_login(cookies)


def show_login() -> None:
    """All that somebody sees who has not come in yet."""
    if secrets_are_unreadable():
        st.error(_SECRETS_UNREADABLE, icon=":material/lock:")
        return
    if not st.button("Log in", type="primary", icon=":material/login:"):
        return
    try:
        start_login()
    except LoginUnavailable as error:
        st.error(str(error), icon=":material/lock:")


def show_if_open_to_all() -> None:
    """A notice where others can reach the server and nobody asks who they are."""
    if not listens_to_this_machine_only() and not login_is_set_up():
        st.warning(OPEN_TO_ALL, icon=":material/lock_open:")
