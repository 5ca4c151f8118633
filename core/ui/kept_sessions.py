"""How long a session outlives its page: until a reload takes it over, or its time has passed.

A browser that leaves says nothing of why. For a short time its work is kept, so that a reload or a
lost connection costs nothing; then scan, masks and the address of the slices are gone, whether or
not anybody else visits the server.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from core.ui.operator_numbers import number_or_default

KEEP_SESSION_VARIABLE = "LUNGLENS_KEEP_SESSION_SECONDS"
_QUESTION_SECONDS = 1.0
_LOG = logging.getLogger(__name__)
_garbage = threading.Event()


def collect_soon() -> None:
    """Has garbage collected within about a second: something large may be part of it. Python itself
    waits for many new objects, however large, and Streamlit's own collection after every run of a
    page is switched off, since it halts all sessions."""
    _garbage.set()


class Keepable(Protocol):
    """What is asked of a session."""

    @property
    def link(self) -> str | None:
        """What names the open scan in the page's address; none where no scan is open."""

    @property
    def holds_scans(self) -> bool:
        """Whether there is anything of a person in it."""

    def end(self) -> None:
        """Lets go of everything."""


S = TypeVar("S", bound=Keepable)


@dataclass
class _Kept:
    """Which connection a session belongs to, and since when that is gone."""

    session_id: str
    browser: str | None
    left_at: float | None = None
    closing: bool = False


class KeptSessions(Generic[S]):
    """All sessions of this server, none held, and when each of them ends.

    Args:
        keep_seconds: how long a session is kept once its page is gone.
        is_connected: whether a browser is connected to a session of this id.
        close: closes the server's session of an id unless a browser is connected again, and then
            calls what it is given; it may do so later and in another thread.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        keep_seconds: float,
        is_connected: Callable[[str], bool],
        close: Callable[[str, Callable[[], None]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keep_seconds = keep_seconds
        self._is_connected = is_connected
        self._close = close
        self._clock = clock
        self._kept: weakref.WeakKeyDictionary[S, _Kept] = weakref.WeakKeyDictionary()
        self._changing = threading.RLock()

    def add(self, session: S, session_id: str, browser: str | None) -> None:
        """From now on the session lives as long as the connection of this id, and a little longer.

        Args:
            browser: what only this browser and this person have; none where that is not known.
        """
        with self._changing:
            self._kept[session] = _Kept(session_id, browser)

    def take_over(self, session_id: str, browser: str | None, link: str | None) -> S | None:
        """The session that a reloaded page has left: of the same browser, with the scan that the
        page's address names, and connected to no other page. None where there is none.

        Args:
            session_id: of the new connection, which the session belongs to from now on.
        """
        if browser is None or link is None:
            return None
        with self._changing:
            self._look()
            left = [
                (kept.left_at, session)
                for session, kept in self._kept.items()
                if kept.left_at is not None
                and not kept.closing
                and kept.browser == browser
                and session.link == link
            ]
            if not left:
                return None
            _, session = max(left, key=lambda pair: pair[0])
            before = self._kept[session].session_id
            self._kept[session] = _Kept(session_id, browser)
        # What Streamlit still keeps of the old page must not come back beside the new one.
        self._close(before, lambda: None)
        return session

    def end_overdue(self) -> bool:
        """Ends sessions whose time has passed; returns whether there were any."""
        with self._changing:
            self._look()
            # A script that was under way when its page was closed may have opened a scan since.
            late = [s for s, kept in self._kept.items() if kept.closing and s.holds_scans]
            overdue = [
                (session, kept)
                for session, kept in self._kept.items()
                if kept.left_at is not None
                and not kept.closing
                and self._clock() - kept.left_at >= self.keep_seconds
            ]
            for _, kept in overdue:
                kept.closing = True
        for session in late:
            session.end()
        for session, kept in overdue:
            self._close(kept.session_id, session.end)
        return bool(overdue or late)

    def _look(self) -> None:
        for kept in list(self._kept.values()):
            if self._is_connected(kept.session_id):
                kept.left_at, kept.closing = None, False
            elif kept.left_at is None:
                kept.left_at = self._clock()


def seconds_to_keep() -> float:
    """What the operator wants, else the default."""
    return number_or_default(
        KEEP_SESSION_VARIABLE, "keep_session_seconds", expected="seconds, such as 60"
    )


def watch(sessions: KeptSessions[S]) -> threading.Thread:
    """Ends sessions in the background as long as the server runs."""

    def look() -> None:
        collect_again = False
        while True:
            time.sleep(min(_QUESTION_SECONDS, sessions.keep_seconds / 4))
            try:
                due = sessions.end_overdue() or _garbage.is_set()
                # Once more after the server has closed its own session, in a thread of its own, or
                # a page has been drawn without the scan that was open before.
                if due or collect_again:
                    _garbage.clear()
                    gc.collect()
                collect_again = due
            except Exception:
                # The next round tries again: without this thread nothing would ever end.
                _LOG.exception("Ended sessions could not be cleared")

    thread = threading.Thread(target=look, name="ended-sessions", daemon=True)
    thread.start()
    return thread
