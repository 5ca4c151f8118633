"""What the app uses of Streamlit beyond its documented interface, all in one place.

`tests/test_streamlit_internals.py` checks each item against the installed version and names the one
that an upgrade has moved. What the browser code uses is in `streamlit_internals.js`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.auth_util import get_origin_from_redirect_uri
from streamlit.errors import Error
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.scriptrunner import get_script_run_ctx, script_runner
from streamlit.runtime.state import SessionState
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

from core.errors import LungLensError

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_LOG = logging.getLogger(__name__)

TEST_IDS = (
    "stMainBlockContainer",
    "stHeader",
    "stToolbar",
    "stSidebarUserContent",
    "stMetricValue",
    "stTable",
    "stImage",
    "stButtonGroup",
    "stPlotlyChart",
    "stHorizontalBlock",
    "stColumn",
)
"""Values of `data-testid` in Streamlit's own HTML that `PAGE_STYLE` selects by."""

PAGE_STYLE = """
<style>
/* Shades of both themes, by the light or dark colour scheme that Streamlit gives its app. */
:root {
  --strong: light-dark(#0f1820, #f2f5f8); --quiet: light-dark(#4a5864, #aab6c2);
  --faint: light-dark(#5f6d79, #8d99a5); --amber: light-dark(#8f5f00, #e69f00);
  --line: light-dark(rgba(40, 60, 80, 0.16), rgba(160, 180, 200, 0.16));
  --edge: light-dark(#c3ced7, #3a4856); --panel: light-dark(#f6f8fa, #131a21);
  --raised: light-dark(#ffffff, #26323d);
}
[data-testid="stMainBlockContainer"] {
  padding: 1.6rem 2.2rem 3rem; max-width: 1560px;
}
[data-testid="stMainBlockContainer"] h1 { padding: 0.4rem 0 0.6rem; }
[data-testid="stHeader"] { background: transparent; }
/* It lies over the title and the parts of a page, and takes clicks on its own buttons alone. */
[data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stToolbar"] div {
  pointer-events: none;
}
[data-testid="stHeader"] :is(button, a, [role="button"]) { pointer-events: auto; }
[data-testid="stSidebarUserContent"] hr { margin: 0.6rem 0; }
[data-testid="stMetricValue"] { font-size: 1.5rem; font-variant-numeric: tabular-nums; }
/* The primary colour is too dark for text on its own tint: 3.6 to 1 in the dark theme. Inherited,
   because popovers lie outside the app and do not know its shades. */
[data-testid="stButtonGroup"] button:is([aria-checked="true"], [aria-pressed="true"]) {
  color: inherit !important;
}
.st-key-result-room { min-height: 13.6rem; }
[data-testid="stTable"] { font-variant-numeric: tabular-nums; }
/* On a tablet, picture and numbers one below the other: beside each other both are too narrow. */
@media (max-width: 1024px) {
  [data-testid="stHorizontalBlock"]:not([data-testid="stColumn"] *):has(>
    [data-testid="stColumn"]:nth-child(2):last-child) > [data-testid="stColumn"] {
    min-width: 100%;
  }
}
/* As the toolbar of the viewer, in whose place they stand. */
.st-key-surfaces-planes { gap: 2px !important; }
.st-key-surfaces-planes button { min-height: 28px; padding: 0 0.5rem; line-height: 1; }
.st-key-surfaces-planes button p { font-size: 0.8rem; }
.st-key-surfaces-chart [data-testid="stPlotlyChart"] { border-radius: 8px; overflow: hidden; }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 3.2rem 1rem 2rem; }
  h1 { font-size: 1.6rem !important; }
  .st-key-report .stColumn:has([data-testid="stImage"]) { order: 1; }
}
</style>
"""
"""Spacing and type of every page, of which `st` knows nothing."""

NOT_REGISTERED = "not registered"
"""Words of the error for a component that another server process has registered."""

BROWSER_COOKIE = "_streamlit_xsrf"
"""Cookie that each browser has of its own for as long as it runs."""

BROWSER_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""JavaScript functions to put before a component's own."""


def main_script_name() -> str | None:
    """File name of the script that the server runs; none outside of a page."""
    context = get_script_run_ctx(suppress_warning=True)
    return None if context is None else Path(context.main_script_path).name


def free_uploads(files: Sequence[UploadedFile | None]) -> None:
    """Frees uploads that have been read; Streamlit would keep them as long as the page is open."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    remove_file = getattr(context.uploaded_file_mgr, "remove_file", None)
    for file in files:
        if file is not None and remove_file is not None:
            remove_file(context.session_id, file.file_id)


def server_session_id() -> str | None:
    """Id of the server's session for the page being drawn; none outside of a running server."""
    context = get_script_run_ctx(suppress_warning=True)
    # The tests of pages stand a mock in its place.
    served = Runtime.exists() and type(Runtime.instance()) is Runtime
    return context.session_id if context is not None and served else None


def browser_id() -> str | None:
    """What only this browser and the person logged in have: Streamlit's token against forged
    requests, which a reload keeps and which no address holds. None where it is switched off."""
    token, _ = decode_xsrf_token_string(st.context.cookies.get(BROWSER_COOKIE, ""))
    if token is None:
        return None
    return f"{token.hex()} {st.user.get('sub') or st.user.get('email') or ''}"


def is_connected(session_id: str) -> bool:
    """Whether a browser is connected to this session of the server."""
    return Runtime.instance().is_active_session(session_id)


def close_session(session_id: str, then: Callable[[], None]) -> None:
    """Closes a session of the server for good unless a browser is connected to it, then calls
    `then`; at the server's next chance, in its own thread."""
    runtime = Runtime.instance()

    def close() -> None:
        if not runtime.is_active_session(session_id):
            info = runtime._session_mgr.get_session_info(session_id)
            runtime.close_session(session_id)
            if info is not None:
                _empty(info.session)
            then()

    runtime._get_async_objs().eventloop.call_soon_threadsafe(close)


def _empty(session: AppSession) -> None:
    """Takes from a closed session what its pages have put into widgets and fragments, scans among
    it: the server's loop holds the session that was connected last until somebody else comes. A
    script that is still ending has the old ones for itself."""
    session._session_state = SessionState()
    session._fragment_storage = MemoryFragmentStorage()


def refuse_parts_of_other_pages() -> None:
    """From now on a request to run a part of a page is dropped once its session is on another page,
    or on its way there.

    The viewer may report a last change when a person has just gone to another page. Streamlit
    would run the part after the new page, which does not have it, and leave that page blank.
    """
    pages: WeakKeyDictionary[AppSession, str] = WeakKeyDictionary()
    ask, clear = AppSession.request_rerun, AppSession._clear_queue

    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        if client_state is not None and client_state.page_script_hash:
            page = client_state.page_script_hash
            if not client_state.fragment_id:
                pages[session] = page
            elif pages.get(session, page) != page:
                return
        ask(session, client_state)

    def clear_queue(session: AppSession, fragment_ids_this_run: list[str] | None = None) -> None:
        # A page begins that nobody asked for, such as one that another page leads to.
        if not fragment_ids_this_run and pages.get(session) != _page_of(session):
            pages.pop(session, None)
        clear(session, fragment_ids_this_run)

    AppSession.request_rerun = request_rerun  # type: ignore[assignment, method-assign]
    AppSession._clear_queue = clear_queue  # type: ignore[assignment, method-assign]


def _page_of(session: AppSession) -> str:
    return session._client_state.page_script_hash


def leave_keras_alone() -> None:
    """From now on Keras keeps its state and its compiled kernels between runs of a page.

    Streamlit clears both after each run of each page, once Keras is loaded: in the middle of other
    people's predictions, and with a collection of all garbage that halts every session.
    """
    script_runner._clean_problem_modules = lambda: None


class LoginUnavailable(LungLensError):
    """The login that the operator has set up does not work."""


def start_login() -> None:
    """Sends the person to the login that the operator has set up.

    Raises:
        LoginUnavailable: it does not work; the reason is for the operator, in the log.
    """
    try:
        st.login()
    except Error as error:
        _LOG.error("The login does not work: %s", error)
        raise LoginUnavailable(
            "The login of this server does not work",
            next_step="its operator finds the reason in the server's output",
        ) from error


def holds_login(cookies: Mapping[str, str]) -> bool:
    """Whether cookies hold a login to this server that Streamlit has signed."""
    signed = _get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
    try:
        login = json.loads(signed or b"null")
    except ValueError:
        return False
    if not isinstance(login, dict) or login.get("is_logged_in") is not True:
        return False
    return login.get("origin") == get_origin_from_redirect_uri()
