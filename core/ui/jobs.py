"""Long work beside the page: it reports progress, can be stopped, and waits for its turn.

One network runs at a time in the whole server, so that memory stays bounded however many
people are looking; the others wait in a queue, in the order they came, and see their place.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from core.errors import Cancelled, LungLensError
from core.system import OnProgress, ShouldCancel, raise_if_cancelled

T = TypeVar("T")
State = Literal["waiting", "running", "done", "failed", "stopped"]
Work = Callable[[OnProgress, ShouldCancel], T]

_QUESTION_SECONDS = 0.2
"""How often waiting work checks whether it was cancelled and updates its place in the queue."""


class FairQueue:
    """Where work waits for its turn: first come, first served, whoever asks."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._tickets: list[object] = []

    def join(self) -> object:
        """A ticket for the last place."""
        ticket = object()
        with self._moved:
            self._tickets.append(ticket)
        return ticket

    def ahead(self, ticket: object) -> int:
        """How many come before this ticket, the one at work included; 0 when it is its turn."""
        with self._moved:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def wait(self, ticket: object, *, timeout: float | None = None) -> bool:
        """Waits until it is this ticket's turn; false if that takes longer than `timeout`."""
        with self._moved:
            return self._moved.wait_for(lambda: self._tickets[0] is ticket, timeout)

    def leave(self, ticket: object) -> None:
        """Gives the place up, at work or still waiting; the others move up."""
        with self._moved:
            self._tickets.remove(ticket)
            self._moved.notify_all()

    @contextmanager
    def turn(self, *, timeout: float | None = None) -> Iterator[bool]:
        """Waits and holds the turn as long as the context lasts; gives false if it never came."""
        ticket = self.join()
        try:
            yield self.wait(ticket, timeout=timeout)
        finally:
            self.leave(ticket)

    @contextmanager
    def turn_unless_cancelled(self, should_cancel: ShouldCancel, stage: str) -> Iterator[None]:
        """Waits for the turn however long it takes, and holds it as long as the context lasts.

        Raises:
            Cancelled: the person stopped the work while it waited; `stage` says for what.
        """
        ticket = self.join()
        try:
            while not self.wait(ticket, timeout=_QUESTION_SECONDS):
                raise_if_cancelled(should_cancel, stage)
            yield
        finally:
            self.leave(ticket)


NETWORK_QUEUE = FairQueue()
"""Its first runs the network."""

EVALUATION_QUEUE = FairQueue()
"""Its first evaluates cases; it joins the network's queue again for each case, so that nobody waits
for a whole set."""

MEASURING_QUEUE = FairQueue()
"""Its first checks the quality of scans: one at a time on the server, beside the network."""

REPORT_QUEUE = FairQueue()
"""Its first measures a scan for its report, or packs its files."""

PREVIEW_QUEUE = FairQueue()
"""Its first changes a few slices as training would."""

BATCH_QUEUE = FairQueue()
"""Its first works through a folder of scans, in processes of its own."""

DOWNLOAD_QUEUE = FairQueue()
"""Its first downloads the public set."""


class BackgroundJob(Generic[T]):
    """One piece of work in a thread of its own.

    The thread holds `owner` only weakly: when the session that asked is gone, the work stops at
    its next question and its memory is given back.
    """

    def __init__(self, work: Work[T], *, queue: FairQueue, owner: Any) -> None:
        self.state: State = "waiting"
        # Here and not in the thread: places go by when people asked, not by which thread woke.
        ticket = queue.join()
        self.stage = _waiting_words(queue.ahead(ticket))
        self.done = 0
        self.total = 0
        self.result: T | None = None
        self.error: LungLensError | None = None
        self.bug: BaseException | None = None
        self.started = time.monotonic()
        self._stop = threading.Event()
        self._owner = weakref.ref(owner)
        self._thread = threading.Thread(target=self._run, args=(work, queue, ticket), daemon=True)
        try:
            self._thread.start()
        except BaseException:  # no thread left: the place must not stay taken for ever
            queue.leave(ticket)
            raise

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

    def _run(self, work: Work[T], queue: FairQueue, ticket: object) -> None:
        while not queue.wait(ticket, timeout=_QUESTION_SECONDS):
            self.stage = _waiting_words(queue.ahead(ticket))
            if self._should_cancel():
                self.state = "stopped"
                queue.leave(ticket)
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
            queue.leave(ticket)


def _waiting_words(ahead: int) -> str:
    if ahead == 0:
        return "starting"
    return f"waiting, {ahead} {'person' if ahead == 1 else 'people'} before you"
