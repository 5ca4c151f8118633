"""One job of a session: started by a click, followed on the page, its result or error collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import streamlit as st

from core.errors import LungLensError
from core.system import THIN_SPACE
from core.ui.jobs import BackgroundJob, FairQueue, Work
from core.ui.text import escape_markdown

T = TypeVar("T")

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a finished job has left; without result and error it was stopped.

    Attributes:
        owner: what the job was started for, while it still exists.
    """

    result: T | None
    error: LungLensError | None
    stopped: bool
    owner: Any | None


class JobSlot(Generic[T]):
    """Holds the job of one kind that a session may have, from its start to its outcome.

    Attributes:
        name: names the widgets of its progress.
        job: the job, while there is one.
    """

    def __init__(self, name: str, queue: FairQueue) -> None:
        self.name = name
        self.job: BackgroundJob[T] | None = None
        self._queue = queue
        self._subject: object = None

    @property
    def subject(self) -> object:
        """What the job is about, as it was started."""
        return self._subject

    @property
    def running(self) -> bool:
        """Whether a job is waiting or under way."""
        return self.job is not None and not self.job.finished

    def start(self, work: Work[T], *, owner: object, subject: object = None) -> BackgroundJob[T]:
        """Starts a job in place of the one there is.

        Args:
            owner: the job stops when this is gone.
            subject: what the job is about; see `drop_unless`.
        """
        self.drop()
        self._subject = subject
        self.job = BackgroundJob(work, queue=self._queue, owner=owner)
        return self.job

    def drop(self) -> None:
        """Stops the job and forgets it with its result."""
        if self.job is not None:
            self.job.stop()
        self.job = None

    def drop_if(self, subject: object) -> None:
        """Drops a job that is about this, such as a scan that is being closed."""
        if self._subject == subject:
            self.drop()

    def drop_unless(self, subject: object) -> None:
        """Drops a job that is about something else, such as another scan."""
        if self._subject != subject:
            self.drop()

    def show_progress(
        self,
        doing: str = "",
        *,
        stop: str = "Stop",
        help: str | None = None,
        percent: bool = False,
    ) -> bool:
        """While a job is under way: its progress and a button that stops it.

        Args:
            doing: what it does, before the stage it is at.
            percent: progress in percent instead of counts, for stages that count bytes.

        Returns:
            Whether there is such a job. At its end the page is drawn again.
        """
        if not self.running:
            return False
        _follow(self, doing, stop, help, percent)
        return True

    def outcome(self) -> Outcome[T] | None:
        """What the finished job has left; none without a job or while it is under way.

        The job is kept, for those who show its result each time the page is drawn. An unexpected
        error is raised, once.
        """
        job = self.job
        if job is None or not job.finished:
            return None
        if job.bug is not None:
            self.job = None
            raise job.bug
        return Outcome(job.result, job.error, job.state == "stopped", job.owner)

    def take(self) -> Outcome[T] | None:
        """The same, once: the slot is empty afterwards."""
        found = self.outcome()
        if found is not None:
            self.job = None
        return found


@st.fragment(run_every=POLL_SECONDS)
def _follow(slot: JobSlot[Any], doing: str, stop: str, help: str | None, percent: bool) -> None:
    job = slot.job
    if job is None:
        return
    if job.finished:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"progress-{slot.name}"):
        text = progress_text(job, doing, percent=percent)
        st.progress(job.fraction, text=escape_markdown(text))
        if st.button(stop, key=f"stop-{slot.name}", icon=":material/stop_circle:", help=help):
            job.stop()


def progress_text(job: BackgroundJob[Any], doing: str = "", *, percent: bool = False) -> str:
    """What a job is at and how far it has come."""
    text = f"{doing}: {job.stage}" if doing else job.stage
    if job.total > 1:
        done = f"{100 * job.fraction:.0f}{THIN_SPACE}%"
        text += f", {done if percent else f'{job.done} of {job.total}'}"
    return text[:1].upper() + text[1:]
