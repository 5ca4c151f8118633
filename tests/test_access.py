"""Who may come in: nobody before a login where one is set up, and a notice where none is."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.secrets import Secrets, secrets_singleton
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from core.ui.access import OPEN_TO_ALL
from core.ui.session import OpenStudy
from core.ui.viewer.serving import offers
from tests.app_session import session_of
from tests.studies import small_study
from tests.test_viewer import get

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
SECRET = "a secret of at least thirty-two characters"
LOGIN = {
    "auth": {
        "redirect_uri": "https://lunglens.example/oauth2callback",
        "cookie_secret": SECRET,
        "client_id": "lunglens",
        "client_secret": "another secret",
        "server_metadata_url": "https://login.example/.well-known/openid-configuration",
    }
}


def app_of(
    script: str, *, secrets: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> AppTest:
    app = AppTest.from_file(str(ROOT / script), default_timeout=60)
    session_of(app).began = True
    session_of(app).opened = OpenStudy(study=small_study(), origin="case", link="small")
    app.secrets = secrets or {}
    app.user = user or {}
    app.run()
    assert not app.exception
    return app


def listen_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    get_option = st.get_option
    monkeypatch.setattr(
        "core.ui.access.st.get_option",
        lambda name: address if name == "server.address" else get_option(name),
    )


def shown(app: AppTest) -> list[str]:
    """Kinds of what is on the page and in its sidebar."""
    kinds = [str(element.type) for block in (app.main, app.sidebar) for element in block]
    return [kind for kind in kinds if kind not in ("main", "sidebar")]


@pytest.mark.parametrize(
    ("address", "login", "notice"),
    [
        ("localhost", False, False),
        ("127.0.0.1", False, False),
        ("0.0.0.0", False, True),
        ("", False, True),
        ("ct.hospital.example", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_home_says_whether_the_server_is_open_to_all(
    address: str, login: bool, notice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_at(address, monkeypatch)
    app = app_of(
        "pages/home.py", secrets=LOGIN if login else None, user={"is_logged_in": True, "sub": "1"}
    )
    assert (OPEN_TO_ALL in [warning.value for warning in app.warning]) is notice
    assert app.title[0].value == "LungLens"


@pytest.mark.parametrize("script", ["streamlit_app.py", *(f"pages/{name}.py" for name in PAGES)])
@pytest.mark.parametrize("user", [{}, {"is_logged_in": False}, {"is_logged_in": "yes"}])
def test_nothing_is_shown_before_the_login(script: str, user: dict[str, Any]) -> None:
    app = app_of(script, secrets=LOGIN, user=user)
    assert [button.label for button in app.button] == ["Log in"]
    assert shown(app) == ["button"]


def test_the_login_stands_at_the_address_of_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an address without a page, Streamlit says that it does not exist."""
    offered: list[set[str]] = []
    navigation = st.navigation

    def noted(pages: Any, **options: Any) -> Any:
        flat = chain.from_iterable(pages.values()) if isinstance(pages, dict) else pages
        offered.append({page.url_path for page in flat})
        return navigation(pages, **options)

    monkeypatch.setattr("core.ui.navigation.st.navigation", noted)
    app_of("streamlit_app.py", secrets=LOGIN)
    app_of("streamlit_app.py", secrets=LOGIN, user={"is_logged_in": True, "sub": "1"})
    before, after = offered
    assert before == after
    assert {"", "view", "browse", "train"} <= before


def test_who_has_logged_in_sees_the_pages_and_may_leave() -> None:
    app = app_of("pages/home.py", secrets=LOGIN, user={"is_logged_in": True, "sub": "1"})
    assert "Log out" in [button.label for button in app.button]
    assert "Log in" not in [button.label for button in app.button]
    assert session_of(app).opened is not None


def test_a_login_that_does_not_work_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("pages/home.py", secrets={"auth": {"client_id": "half of a section"}})
    app.button[0].click().run()
    assert not app.exception
    assert app.error[0].value.startswith("The login of this server does not work")
    assert shown(app) == ["button", "error"]


def test_a_secrets_file_that_cannot_be_read_closes_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth\nclient_id = ")
    get_option = st.get_option
    monkeypatch.setattr(st, "secrets", Secrets())
    monkeypatch.setattr(
        "streamlit.config.get_option",
        lambda name: [str(broken)] if name == "secrets.files" else get_option(name),
    )
    monkeypatch.setattr(
        st,
        "get_option",
        lambda name: [str(broken)] if name == "secrets.files" else get_option(name),
    )
    app = app_of("pages/home.py")
    assert app.error[0].value.startswith("This server is closed")
    assert shown(app) == ["error"]
    assert get(_address()).status == 401


class Owner:
    """Stands for a session's open study."""


_OWNER = Owner()


def _address() -> str:
    offer = offers.offer(_OWNER, small_study().volume)
    return f"{offer.token}/values/0"


def _cookie(login: dict[str, Any], secret: str = SECRET) -> str:
    signed = create_signed_value(secret, "_streamlit_user", json.dumps(login))
    return SimpleCookie({"_streamlit_user": signed.decode("latin-1")}).output(header="").strip()


GOOD_LOGIN = {"is_logged_in": True, "origin": "https://lunglens.example", "sub": "1"}


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        ("", 401),
        ("_streamlit_user=made up", 401),
        (_cookie(GOOD_LOGIN), 200),
        (_cookie(GOOD_LOGIN, secret="another secret, as long as that one"), 401),
        (_cookie({**GOOD_LOGIN, "is_logged_in": False}), 401),
        (_cookie({**GOOD_LOGIN, "origin": "https://elsewhere.example"}), 401),
        (_cookie({}), 401),
    ],
    # A signature holds the time, and every process of a test run must give the same names.
    ids=["none", "made up", "good", "other secret", "logged out", "other origin", "empty"],
)
def test_slices_are_refused_without_the_login(
    cookie: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_singleton, "_secrets", LOGIN)
    answer = get(_address(), cookie)
    assert answer.status == status
    assert status == 200 or b"login" in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_slices_need_no_login_where_none_is_set_up() -> None:
    assert get(_address()).status == 200
