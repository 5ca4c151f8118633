"""Cohort starts a batch on the data folder, follows it, stops it and resumes it.

One batch at a time for the whole server: it belongs to no session, so it continues when a page is
closed, and every session sees it and may stop it. What is done lies in the folder of results.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from core.batch import (
    BatchPaths,
    BatchSummary,
    folders_in,
    is_batch_result,
    load_cohort,
    run_batch,
)
from core.config import BatchConfig, SegmentConfig
from core.errors import LungLensError, shown_name
from core.segmentation import WeightsInfo
from core.system import OnProgress, ShouldCancel
from core.ui import segmenting
from core.ui.access import ALLOW_TRAINING_VARIABLE, may_train
from core.ui.cohort.source import (
    COHORT_FOLDER_VARIABLE,
    any_results,
    cohort_folder,
    forget_found,
    show_when_there,
    stamp_of,
)
from core.ui.data_folder import data_folder
from core.ui.job_slot import JobSlot, Outcome
from core.ui.jobs import BATCH_QUEUE
from core.ui.page import show_error
from core.ui.text import escape_markdown, seconds_text

_RESULTS = "batch"
"""Folder that batches started here write into, one folder below it for each folder of scans."""
_WHOLE = "whole data folder"
_RENEW_SECONDS = 3.0


@dataclass(frozen=True)
class _Place:
    """Scans to work on, and where their results go."""

    scans: Path
    results: Path


@dataclass(eq=False)
class _ServerBatch:
    """The batch of this server."""

    slot: JobSlot[BatchSummary] = field(default_factory=lambda: JobSlot("batch", BATCH_QUEUE))


@st.cache_resource(show_spinner=False)
def _server_batch() -> _ServerBatch:
    return _ServerBatch()


def show_batch() -> bool:
    """The batch under way; else how the last one ended, and a button that starts one.

    Returns:
        Whether one is under way.
    """
    if data_folder() is None:
        return False
    batch = _server_batch()
    if batch.slot.running:
        _follow(batch)
        return True
    outcome = batch.slot.outcome()
    first = outcome is not None or not any_results()
    with st.expander("Start a batch", icon=":material/play_circle:", expanded=first):
        if outcome is not None:
            _show_outcome(outcome)
        if may_train():
            _show_form(batch)
        else:
            st.caption(
                "Batches are switched off on this server: they take the whole machine. Its "
                f"operator can allow them with `{ALLOW_TRAINING_VARIABLE}=1`."
            )
    return False


def _follow(batch: _ServerBatch) -> None:
    place = batch.slot.subject
    assert isinstance(place, _Place)
    with st.container(border=True, key="cohort-batch-progress"):
        batch.slot.show_progress(
            f"Batch of {shown_name(place.scans.name)}",
            help="Ends the scan that is being worked on. What is done stays, and can be resumed.",
        )
        st.caption(
            "The app stays usable, and the batch continues when this page is closed. Its table "
            "grows below."
        )
    _draw_again_when_changed(place.results, stamp_of(place.results))


@st.fragment(run_every=_RENEW_SECONDS)
def _draw_again_when_changed(results: Path, stamp: tuple[int, ...]) -> None:
    if stamp_of(results) != stamp:
        forget_found()
        st.rerun()


def _show_outcome(outcome: Outcome[BatchSummary]) -> None:
    if outcome.error is not None:
        show_error(outcome.error)
    elif outcome.result is None:
        st.warning(
            "The batch was stopped. What is done is kept; resume it here.",
            icon=":material/stop_circle:",
        )
    else:
        summary = outcome.result
        ended = f"{summary.done} of {summary.found} scans done"
        ended += f", {summary.kept} of them before" if summary.kept else ""
        failed = len(summary.failures)
        ended += f", {failed} failed" if failed else ""
        left = "; ".join(f"{reason}: {count}" for reason, count in summary.left_out.items())
        text = f"Batch finished in {seconds_text(summary.seconds)}: {ended}."
        st.success(
            escape_markdown(text + (f" Left out: {left}." if left else "")),
            icon=":material/check_circle:",
        )


def _show_form(batch: _ServerBatch) -> None:
    places, last = _places(), batch.slot.subject
    st.caption(
        "Segments and measures every scan of a folder, one after the other in a process of its "
        "own. A scan that fails, or ends its process, is one row with the reason."
    )
    left, right = st.columns(2)
    chosen = left.selectbox(
        "Folder of scans",
        tuple(places),
        # The one that was stopped, or has just ended.
        index=next((at for at, one in enumerate(places.values()) if one == last), 0),
        key="cohort-start-folder",
        help="The data folder with all that lies below it, or one of its folders. Masks and "
        "results of earlier batches are left out.",
    )
    place = places[chosen]
    try:
        info = _choose_weights(right, place)
    except LungLensError as error:
        show_error(error)
        return
    if info is None:
        st.caption("No weights are installed.")
        return
    waiting, failed = _left_of(place)
    retry = failed > 0 and st.toggle(
        f"Try {failed} failed {'scan' if failed == 1 else 'scans'} again", key="cohort-start-retry"
    )
    writable = _is_writable(place.results)
    if st.button(
        "Start the batch" if waiting is None else "Resume the batch" if waiting else "Update",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not writable,
        key="cohort-start",
        help="Scans that are done with these weights are skipped; new and changed ones are worked "
        "on.",
    ):
        _start(batch, place, info, retry=retry)
        st.rerun()
    if not writable:
        st.caption(
            f"Results cannot be written here: set `{COHORT_FOLDER_VARIABLE}` to a folder for them."
        )


def _places() -> dict[str, _Place]:
    """Label → place, the whole data folder first."""
    root = data_folder()
    assert root is not None
    results = _results_root()
    found = {_WHOLE.capitalize(): _Place(root, results / _RESULTS / _WHOLE)}
    for name in folders_in(root):
        folder = root / name
        holds_results = folder == results / _RESULTS or is_batch_result(folder)
        if not holds_results and folder != results:
            found.setdefault(shown_name(name), _Place(folder, results / _RESULTS / name))
    return found


def _results_root() -> Path:
    """The operator's folder of results, else the data folder."""
    chosen, root = cohort_folder(), data_folder()
    assert root is not None
    return root if chosen is None or is_batch_result(chosen) else chosen


def _is_writable(folder: Path) -> bool:
    """Whether results can be written; asked of the nearest folder that is there."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _choose_weights(place: st.delta_generator.DeltaGenerator, of: _Place) -> WeightsInfo | None:
    installed = {info.weights_id: info for info in segmenting.available_weights()}
    if not installed:
        return None
    used = _used_weights(of)
    names = tuple(installed)
    chosen = place.selectbox(
        "Weights",
        names,
        index=names.index(used) if used in names else 0,
        format_func=lambda name: installed[name].title,
        key=f"cohort-start-weights-{of.results}",
        help="With their own thresholds. With other weights than before all scans are worked on "
        "again.",
    )
    return installed[chosen]


def _used_weights(place: _Place) -> str:
    if not is_batch_result(place.results):
        return ""
    try:
        weights = load_cohort(place.results).record.get("weights")
    except LungLensError:
        return ""
    return str(weights.get("weights_id", "")) if isinstance(weights, dict) else ""


def _left_of(place: _Place) -> tuple[int | None, int]:
    """How many scans an earlier batch has left, none without one, and how many failed."""
    if not is_batch_result(place.results) or not BatchPaths(place.results).table.exists():
        return None, 0
    try:
        cohort = load_cohort(place.results)
    except LungLensError:
        return None, 0
    return cohort.count("waiting"), cohort.count("failed")


def _start(batch: _ServerBatch, place: _Place, info: WeightsInfo, *, retry: bool) -> None:
    config = BatchConfig(
        segment=SegmentConfig(weights_id=info.weights_id, postprocess=info.postprocess),
        retry_failed=retry,
        less_urgent=True,
    )

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> BatchSummary:
        try:
            return run_batch(
                place.scans,
                place.results,
                config=config,
                on_progress=on_progress,
                should_cancel=should_cancel,
            )
        finally:
            # Nobody may have had the page open to see the table come.
            forget_found()

    if batch.slot.running:  # another session was first
        return
    batch.slot.start(work, owner=batch, subject=place)
    show_when_there(place.results)
