"""One job of a session: started, followed, collected once, dropped with what it was about."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.errors import LoadError
from core.ui.job_slot import JobSlot, progress_text
from core.ui.jobs import FairQueue


class Owner:
    """Stands for a session."""


def slot_with(work: Any, owner: Owner, subject: object = None) -> JobSlot[Any]:
    slot: JobSlot[Any] = JobSlot("test", FairQueue())
    slot.start(work, owner=owner, subject=subject).join(10)
    return slot


def test_a_result_can_be_looked_at_again_and_taken_once() -> None:
    owner = Owner()
    slot = slot_with(lambda *_: 42, owner)
    for outcome in (slot.outcome(), slot.outcome(), slot.take()):
        assert outcome is not None
        assert (outcome.result, outcome.error, outcome.stopped) == (42, None, False)
        assert outcome.owner is owner
    assert slot.take() is None


def test_an_expected_error_is_kept_and_a_bug_is_raised_once() -> None:
    def fails(*_: Any) -> None:
        raise LoadError("Nothing there")

    def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    owner = Owner()
    outcome = slot_with(fails, owner).outcome()
    assert outcome is not None
    assert str(outcome.error).startswith("Nothing there")
    slot = slot_with(breaks, owner)
    with pytest.raises(ZeroDivisionError):
        slot.outcome()
    assert slot.outcome() is None


def test_a_job_is_dropped_with_its_subject_and_by_the_next_one() -> None:
    owner, stopped = Owner(), threading.Event()

    def work(on_progress: Any, should_cancel: Any) -> None:
        while not should_cancel():
            stopped.wait(0.01)
        stopped.set()

    slot: JobSlot[None] = JobSlot("test", FairQueue())
    slot.start(work, owner=owner, subject="first scan")
    assert slot.running
    assert slot.outcome() is None
    slot.drop_unless("first scan")
    slot.drop_if("second scan")
    assert slot.running
    slot.drop_unless("second scan")
    assert slot.job is None
    assert stopped.wait(10)
    stopped.clear()
    first = slot.start(work, owner=owner)
    slot.start(lambda *_: None, owner=owner).join(10)
    first.join(10)
    assert first.finished


def test_progress_is_reported_in_counts_or_in_percent() -> None:
    owner = Owner()
    slot = slot_with(lambda on_progress, _: on_progress("reading slices", 3, 12), owner)
    assert slot.job is not None
    assert progress_text(slot.job) == "Reading slices, 3 of 12"
    assert progress_text(slot.job, "Opening") == "Opening: reading slices, 3 of 12"
    assert progress_text(slot.job, percent=True) == "Reading slices, 25\u2009%"
