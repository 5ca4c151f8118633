"""Names the part of Streamlit that an upgrade has moved, and keeps its use in one place."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest
import streamlit
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.runtime import AsyncObjects
from streamlit.runtime.scriptrunner import script_runner
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.runtime.session_manager import SessionInfo, SessionManager
from streamlit.runtime.uploaded_file_manager import UploadedFile
from streamlit.web.server.starlette.starlette_app_utils import (
    decode_xsrf_token_string,
    generate_xsrf_token_string,
)
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from core.ui.streamlit_internals import (
    BROWSER_COOKIE,
    BROWSER_SCRIPT,
    NOT_REGISTERED,
    PAGE_STYLE,
    TEST_IDS,
    leave_keras_alone,
    refuse_parts_of_other_pages,
)

ROOT = Path(__file__).resolve().parent.parent
STATIC = Path(streamlit.__file__).parent / "static"
OURS = [*(ROOT / "core" / "ui").rglob("*"), *(ROOT / "pages").glob("*.py")]


@pytest.fixture(scope="module")
def browser_code() -> str:
    """All JavaScript that Streamlit sends to the browser."""
    scripts = sorted((STATIC / "static" / "js").glob("*.js"))
    assert scripts, "Streamlit serves its scripts from elsewhere than /static/js/"
    return "\n".join(script.read_text(encoding="utf-8") for script in scripts)


@pytest.mark.parametrize("name", ["session_id", "main_script_path", "uploaded_file_mgr"])
def test_the_script_run_context_has(name: str) -> None:
    assert name in {field.name for field in fields(ScriptRunContext)}


def test_an_upload_can_be_freed() -> None:
    assert list(inspect.signature(MemoryUploadedFileManager.remove_file).parameters) == [
        "self",
        "session_id",
        "file_id",
    ]
    assert "file_id" in inspect.getsource(UploadedFile)


def test_the_server_says_which_pages_are_connected_and_closes_sessions() -> None:
    for name in ("is_active_session", "close_session"):
        assert list(inspect.signature(getattr(Runtime, name)).parameters) == ["self", "session_id"]
    assert "eventloop" in AsyncObjects._fields
    assert "AsyncObjects" in inspect.getsource(Runtime._get_async_objs)


def test_a_closed_session_can_be_emptied() -> None:
    made = inspect.getsource(AppSession.__init__)
    assert "self._session_state = SessionState()" in made
    assert "self._fragment_storage: FragmentStorage = MemoryFragmentStorage()" in made
    assert "_session_mgr" in inspect.getsource(Runtime.__init__)
    assert "session_id" in inspect.signature(SessionManager.get_session_info).parameters
    assert "session" in {field.name for field in fields(SessionInfo)}


def test_a_browser_is_known_by_the_cookie_against_forged_requests() -> None:
    assert XSRF_COOKIE_NAME == BROWSER_COOKIE
    cookie = generate_xsrf_token_string(b"0123456789abcdef")
    assert decode_xsrf_token_string(cookie)[0] == b"0123456789abcdef"


def test_keras_is_cleared_by_a_function_that_can_be_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = inspect.getsource(script_runner)
    assert source.count("_clean_problem_modules") == 2  # where it is defined, where it is called
    assert "clear_session()" in source
    # The replacement goes when the test has ended.
    monkeypatch.setattr(script_runner, "_clean_problem_modules", None)
    leave_keras_alone()
    assert script_runner._clean_problem_modules() is None


def test_garbage_is_not_collected_after_every_run() -> None:
    assert 'get_option("runner.postScriptGC")' in inspect.getsource(script_runner)
    settings = (ROOT / ".streamlit" / "config.toml").read_text("utf-8")
    assert "[runner]" in settings
    assert "\npostScriptGC = false\n" in settings


def test_the_app_takes_routes_beside_its_own() -> None:
    assert "routes" in inspect.signature(streamlit.App).parameters


def test_an_unknown_component_is_reported_by_these_words() -> None:
    package = Path(streamlit.__file__).parent / "components" / "v2"
    assert any(NOT_REGISTERED in file.read_text("utf-8") for file in package.rglob("*.py"))


@pytest.mark.parametrize("name", TEST_IDS)
def test_the_page_has_a_part_with_the_test_id(name: str, browser_code: str) -> None:
    assert name in PAGE_STYLE
    assert name in browser_code


def test_the_page_loads_its_scripts_from_where_the_viewer_looks() -> None:
    assert "/static/js/" in BROWSER_SCRIPT
    assert "static/js/" in (STATIC / "index.html").read_text(encoding="utf-8")


def test_the_theme_is_kept_for_the_address_that_was_loaded(browser_code: str) -> None:
    assert "stActiveTheme-${window.location.pathname}" in browser_code
    for name in ("stApp", "stSidebarNavLink"):
        assert f"[data-testid={name}]" in BROWSER_SCRIPT
        assert name in browser_code


@pytest.mark.parametrize("name", ["js-plotly-plot", "st-key-"])
def test_charts_are_found_by_their_class(name: str, browser_code: str) -> None:
    assert name in BROWSER_SCRIPT
    assert name in browser_code


@pytest.mark.parametrize(
    ("word", "places"),
    [
        ("data-testid", {"streamlit_internals.py", "streamlit_internals.js"}),
        ("stActiveTheme", {"streamlit_internals.js"}),
        ("/static/js/", {"streamlit_internals.py", "streamlit_internals.js"}),
        ("js-plotly-plot", {"streamlit_internals.js"}),
        ("get_script_run_ctx", {"streamlit_internals.py"}),
        ("st.session_state", {"session.py", "widget_state.py"}),
        (".plotly_chart(", {"chart_view.py"}),
    ],
)
def test_used_in_one_place(word: str, places: set[str]) -> None:
    files = [file for file in OURS if file.suffix in (".py", ".js", ".css")]
    assert {file.name for file in files if word in file.read_text("utf-8")} <= places


def test_parts_of_a_page_that_was_left_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the page that a person has gone to stays blank."""

    class Bare(AppSession):
        def __init__(self) -> None:
            self._client_state = ClientState()

        def __del__(self) -> None:
            pass

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        AppSession,
        "request_rerun",
        lambda _, state: asked.append((state.page_script_hash, state.fragment_id)),
    )
    monkeypatch.setattr(AppSession, "_clear_queue", lambda *_: None)
    refuse_parts_of_other_pages()
    session = Bare()

    def ask(page: str, part: str = "") -> bool:
        before = len(asked)
        session.request_rerun(ClientState(page_script_hash=page, fragment_id=part))
        return len(asked) > before

    def begin(page: str) -> None:
        session._client_state.page_script_hash = page
        session._clear_queue(None)

    assert ask("view", "picture"), "nothing is known of the session yet"
    begin("view")
    assert ask("view", "picture")
    assert ask("home")
    assert not ask("view", "picture"), "Home was asked for"
    begin("home")
    assert not ask("view", "picture")
    assert ask("home", "glance")
    begin("view")  # as the page itself has chosen
    assert ask("view", "picture")
    session._clear_queue(["picture"])  # a part begins, and its page stays
    assert ask("view", "picture")
