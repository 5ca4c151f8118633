"""What a job has made, shown in its place on the page: progress, then the result, or why none."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from core.ui.job_slot import JobSlot
from core.ui.page import show_error

T = TypeVar("T")

AT_ONCE_SECONDS = 0.8
"""How long the page waits for a job before it shows progress: quick work appears without it."""


def result_of(slot: JobSlot[T], *, doing: str = "", stop_help: str | None = None) -> T | None:
    """What a job has made; until then its progress with a way to stop it, and where it made
    nothing, why and a button to try again, which empties the slot.

    Args:
        doing: what the job does, before the stage it is at.
        stop_help: what stopping it means.
    """
    if slot.show_progress(doing, help=stop_help):
        return None
    outcome = slot.outcome()
    if outcome is None:
        return None
    if outcome.result is None:
        if outcome.error is not None:
            show_error(outcome.error)
        elif outcome.stopped:
            st.caption("Stopped before it was done.")
        if st.button("Try again", key=f"again-{slot.name}", icon=":material/refresh:"):
            slot.drop()
            st.rerun()
    return outcome.result
