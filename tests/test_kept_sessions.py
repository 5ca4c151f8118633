"""Closed pages: their scans and slices end in time, and a reload before that finds its work."""

from __future__ import annotations

import gc
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import pytest

from core.errors import ConfigError
from core.ui.kept_sessions import (
    KEEP_SESSION_VARIABLE,
    KeptSessions,
    seconds_to_keep,
)
from core.ui.operator_numbers import read_number
from core.ui.session import Session
from core.ui.viewer.place import Place
from core.ui.viewer.serving import offers
from tests.browser import Chromium, Server, serve, wait_for
from tests.scans import chest_hu, small_affine
from tests.studies import small_study


class FakeServer:
    """Streamlit's part: which pages are connected, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self.closed: list[str] = []
        self.now = 1000.0
        self.sessions: KeptSessions[Session] = KeptSessions(
            60.0, self.is_connected, self.close, lambda: self.now
        )

    def is_connected(self, session_id: str) -> bool:
        return session_id in self.connected

    def close(self, session_id: str, then: Callable[[], None]) -> None:
        if session_id not in self.connected:
            self.closed.append(session_id)
            then()

    def open_page(self, session_id: str, browser: str | None = "one browser") -> Session:
        session = Session()
        session.open_study(small_study(), origin="upload", link=f"upload-{session_id}")
        self.connected.add(session_id)
        self.sessions.add(session, session_id, browser)
        return session

    def after(self, seconds: float) -> bool:
        self.now += seconds
        return self.sessions.end_overdue()


def test_a_closed_page_is_ended_after_its_time_and_not_before() -> None:
    server = FakeServer()
    session, other = server.open_page("a"), server.open_page("b")
    assert session.opened is not None
    offer = offers.offer(session.opened, session.opened.study.volume)
    array = weakref.ref(session.opened.study.volume.array)
    server.connected.remove("a")
    assert not server.after(1)
    assert not server.after(59.9)
    assert offers.find(offer.token) is offer
    token = offer.token
    del offer
    assert server.after(0.1)
    assert session.opened is None
    assert offers.find(token) is None
    gc.collect()
    assert array() is None
    assert server.closed == ["a"]
    assert other.opened is not None


def test_slices_end_even_while_something_holds_the_scan() -> None:
    server = FakeServer()
    session = server.open_page("a")
    held = session.opened
    assert held is not None
    offer = offers.offer(held, held.study.volume)
    server.connected.clear()
    server.after(1)
    server.after(60)
    assert offers.find(offer.token) is None


def test_a_page_whose_connection_comes_back_goes_on() -> None:
    server = FakeServer()
    session = server.open_page("a")
    server.connected.clear()
    server.after(1)
    server.after(50)
    server.connected.add("a")
    server.after(50)
    server.connected.clear()
    assert not server.after(50)
    assert session.opened is not None


def test_a_page_that_comes_back_at_the_last_moment_keeps_its_scan() -> None:
    server = FakeServer()
    session = server.open_page("a")
    server.connected.clear()
    server.after(1)
    # Connected again between the look and the server's turn to close.
    close = server.close

    def close_late(session_id: str, then: Callable[[], None]) -> None:
        server.connected.add("a")
        close(session_id, then)

    server.sessions._close = close_late
    server.after(60)
    assert session.opened is not None
    assert not server.after(60)
    assert session.opened is not None


def test_a_scan_opened_by_a_script_that_outlived_its_page_is_ended_too() -> None:
    server = FakeServer()
    session = server.open_page("a")
    server.connected.clear()
    server.after(1)
    server.after(60)
    session.open_study(small_study(), origin="upload", link="late")
    assert server.after(1)
    assert session.opened is None


@pytest.mark.parametrize(
    ("browser", "link", "found"),
    [
        ("one browser", "upload-a", True),
        ("another browser", "upload-a", False),  # a guessed or forwarded address
        ("one browser", "upload-b", False),
        ("one browser", None, False),
        (None, "upload-a", False),
    ],
)
def test_a_reload_finds_the_work_of_its_own_browser(
    browser: str | None, link: str | None, found: bool
) -> None:
    server = FakeServer()
    session = server.open_page("a")
    assert server.sessions.take_over("b", browser, link) is None  # its page is still open
    server.connected.clear()
    taken = server.sessions.take_over("b", browser, link)
    assert (taken is session) is found
    if found:
        server.connected.add("b")
        server.after(200)
        assert session.opened is not None
        assert server.closed == ["a"]
        assert server.sessions.take_over("c", browser, link) is None


def test_after_a_reload_the_address_counts() -> None:
    session = FakeServer().open_page("a")
    assert session.opened is not None
    session.opened.place = place = Place((1, 2, 3))
    session.settings = {"enhance": {"gamma": 2.0}}
    session.navigated = True
    session.follow_address({"case": "upload-a"})
    assert session.opened.place is place
    assert session.settings == {}
    assert not session.navigated
    session.follow_address({"case": "upload-a", "slice": "4"})
    assert session.opened.place is None


def test_a_session_of_an_unknown_browser_is_given_to_nobody() -> None:
    server = FakeServer()
    server.open_page("a", browser=None)
    server.connected.clear()
    assert server.sessions.take_over("b", None, "upload-a") is None


@pytest.mark.parametrize("text", ["soon", "nan", "0", "-5", "inf", "1e9"])
def test_a_time_that_cannot_be_used_is_reported_and_the_default_kept(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEEP_SESSION_VARIABLE, text)
    with pytest.raises(ConfigError, match="expected"):
        read_number(KEEP_SESSION_VARIABLE, "keep_session_seconds", expected="seconds")
    assert seconds_to_keep() == 60
    monkeypatch.setenv(KEEP_SESSION_VARIABLE, "")
    assert seconds_to_keep() == 60


@pytest.fixture(scope="module")
def hasty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    yield from serve("streamlit_app.py", log, {KEEP_SESSION_VARIABLE: "15"})


def _answer(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.browser
@pytest.mark.slow
def test_slices_of_a_closed_tab_are_gone_and_those_of_a_reloaded_one_are_not(
    hasty_server: Server, chromium: Chromium, tmp_path: Path
) -> None:
    scan = tmp_path / "my_scan.nii"
    large = chest_hu().repeat(8, axis=0).repeat(8, axis=1).repeat(32, axis=2)
    nib.save(nib.Nifti1Image(large, small_affine()), scan)
    page = chromium.open_tab(hasty_server, tmp_path / "downloads")
    page.open()
    page.upload(scan)
    page.wait_for_text("Opened: my_scan")
    page.settle()
    page.browser.refresh()
    page.settle()
    assert "my_scan" in page.text
    address = wait_for(
        lambda: page.js(
            "const found = performance.getEntriesByType('resource').map((e) => e.name)"
            ".filter((name) => name.includes('/lunglens/slices/')); return found.at(-1);"
        ),
        what="the address of slices",
    )
    assert _answer(address) == 200
    chromium.close_tab(page)
    assert _answer(address) == 200  # for a reload
    held = _memory_bytes(hasty_server)
    # Nobody else comes, and no page is drawn.
    wait_for(lambda: _answer(address) == 404, what="the end of the slices", seconds=60)
    if held is not None:
        wait_for(
            lambda: held - (_memory_bytes(hasty_server) or 0) > 0.9 * large.nbytes,
            what="the memory of the scan",
            seconds=20,
        )


def _memory_bytes(server: Server) -> int | None:
    """What the server holds; none on systems that do not tell it in this way."""
    assert server.process is not None
    try:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    except OSError:
        return None
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
