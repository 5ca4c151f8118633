"""Long work beside the page: it reports progress, can be stopped, and waits for its turn.

One network runs at a time in the whole server, so that memory stays bounded however many
people are looking; the others wait in line and are told so.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from core.errors import Cancelled, LungLensError
from core.progress import OnProgress, ShouldCancel

T = TypeVar("T")
State = Literal["waiting", "running", "done", "failed", "stopped"]
Work = Callable[[OnProgress, ShouldCancel], T]

NETWORK_LINE = threading.Lock()
"""Held while a network runs or trains."""

FETCH_LINE = threading.Lock()
"""Held while the public set is fetched."""


class BackgroundJob(Generic[T]):
    """One piece of work in a thread of its own.

    The thread holds `owner` only weakly: when the session that asked is gone, the work stops at
    its next question and its memory is given back.
    """

    def __init__(self, work: Work[T], *, line: threading.Lock, owner: Any) -> None:
        self.state: State = "waiting"
        self.stage = "waiting for another run to finish"
        self.done = 0
        self.total = 0
        self.result: T | None = None
        self.error: LungLensError | None = None
        self.bug: BaseException | None = None
        self.started = time.monotonic()
        self._stop = threading.Event()
        self._owner = weakref.ref(owner)
        self._thread = threading.Thread(target=self._run, args=(work, line), daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """True once there is a result, an error or nothing more to come."""
        return self.state in ("done", "failed", "stopped")

    @property
    def fraction(self) -> float:
        """How far the present stage has come, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0

    @property
    def owner(self) -> Any | None:
        """What the work was started for, while it still exists."""
        return self._owner()

    def stop(self) -> None:
        """Asks the work to stop at its next chance."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Waits for the thread."""
        self._thread.join(timeout)

    def _should_cancel(self) -> bool:
        return self._stop.is_set() or self._owner() is None

    def _report(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total

    def _run(self, work: Work[T], line: threading.Lock) -> None:
        while not line.acquire(timeout=0.2):
            if self._should_cancel():
                self.state = "stopped"
                return
        try:
            self.state, self.stage = "running", "starting"
            self.result = work(self._report, self._should_cancel)
            self.state = "done"
        except Cancelled:
            self.state = "stopped"
        except LungLensError as error:
            self.error, self.state = error, "failed"
        except BaseException as bug:
            self.bug, self.state = bug, "failed"
        finally:
            line.release()
