"""Running the network for this session, beside the page, and keeping its result.

The network is loaded by the thread that first needs it, never while a page is drawn.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from core.config import PostprocessConfig, SegmentConfig
from core.errors import LungLensError
from core.system import OnProgress, ShouldCancel
from core.ui import session
from core.ui.jobs import NETWORK_LINE, BackgroundJob
from core.ui.session import Notice, OpenStudy
from core.ui.text import escape_markdown

if TYPE_CHECKING:  # loaded where they are first needed
    from core.segmentation import Segmentation, UnusableWeights, WeightsInfo
    from core.segmentation.engines import Engine

POLL_SECONDS = 0.5


@dataclass
class _Server:
    """What all sessions know of the network."""

    device: str = ""


@st.cache_resource(show_spinner=False)
def _server() -> _Server:
    return _Server()


def device_text() -> str:
    """What the network runs on, once that is known."""
    return _server().device or "known once the network is loaded"


def _load(weights_id: str | None, server: _Server) -> Engine:
    from core.segmentation import load_segmenter

    segmenter = load_segmenter(weights_id)
    server.device = segmenter.device
    return segmenter


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Loads the default network in the background, once, so that the first run starts sooner."""
    server = _server()

    def load() -> None:
        # Missing or broken weights are told to the person who asks for a run.
        with contextlib.suppress(LungLensError):
            _load(None, server)

    thread = threading.Thread(target=load, name="warm-up", daemon=True)
    thread.start()
    return thread


def available_weights() -> tuple[WeightsInfo, ...]:
    """All usable weights, the default first.

    Raises:
        WeightsError: there are weights, but none can be used.
    """
    from core.segmentation import list_weights

    return tuple(list_weights())


def unusable_weights() -> tuple[UnusableWeights, ...]:
    """Installed weights whose manifest cannot be read, with the reason."""
    from core.segmentation import list_unusable_weights

    return list_unusable_weights()


def default_weights() -> WeightsInfo | None:
    """The weights a run takes unless others are chosen; none where none are installed.

    Raises:
        WeightsError: the default ones cannot be used.
    """
    from core.segmentation import find_weights

    weights = available_weights()
    if not weights or weights[0].is_default:
        return weights[0] if weights else None
    return find_weights()


def start(
    current: OpenStudy, weights: WeightsInfo, *, postprocess: PostprocessConfig | None = None
) -> None:
    """Starts marking lung and infection in the open scan; the page goes on meanwhile."""
    volume = current.study.volume
    server = _server()
    config = SegmentConfig(
        weights_id=weights.weights_id, postprocess=postprocess or weights.postprocess
    )

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Segmentation:
        from core.segmentation import segment_volume

        on_progress("loading the network", 0, 0)
        segmenter = _load(config.weights_id, server)
        return segment_volume(
            volume, segmenter, config=config, on_progress=on_progress, should_cancel=should_cancel
        )

    session.set_notice(None)
    st.session_state["job"] = BackgroundJob(work, line=NETWORK_LINE, owner=current)


def running_job() -> BackgroundJob[Segmentation] | None:
    """The run that is under way for the open study."""
    job: BackgroundJob[Segmentation] | None = st.session_state.get("job")
    return job if job is not None and not job.finished else None


def collect_result() -> None:
    """Takes what a finished run has left: masks, or a sentence on why there are none."""
    job: BackgroundJob[Segmentation] | None = st.session_state.get("job")
    if job is None or not job.finished:
        return
    del st.session_state["job"]
    owner: OpenStudy | None = job.owner
    if job.bug is not None:
        raise job.bug
    if job.error is not None:
        session.set_notice(Notice("error", str(job.error)))
    elif job.state == "stopped":
        session.set_notice(Notice("warning", "The run was stopped. Nothing was changed."))
    elif owner is not None:
        owner.set_segmentation(job.result)


def show_progress() -> bool:
    """While a run is under way: its progress and a way to stop it. Says whether there is one."""
    job = running_job()
    if job is None:
        return False
    _poll()
    return True


@st.fragment(run_every=POLL_SECONDS)
def _poll() -> None:
    job: BackgroundJob[Segmentation] | None = st.session_state.get("job")
    if job is None:
        return
    if job.finished:
        st.rerun()
    words = f"Marking lung and infection: {job.stage}"
    if job.total > 1:
        words += f", {job.done} of {job.total}"
    with st.container(horizontal=True, vertical_alignment="bottom", key="run-progress"):
        st.progress(job.fraction, text=escape_markdown(words))
        if st.button(
            "Stop",
            key="stop-run",
            icon=":material/stop_circle:",
            help="Ends the run at its next slices. What is open stays as it is.",
        ):
            job.stop()


def change_thresholds(
    current: OpenStudy, segmentation: Segmentation, *, lung: float, infection: float
) -> None:
    """Draws the masks anew from the probabilities at hand; the network does not run again."""
    from core.segmentation import apply_thresholds

    before = segmentation.config.postprocess
    if (before.lung_threshold, before.infection_threshold) == (lung, infection):
        return
    wanted = replace(before, lung_threshold=lung, infection_threshold=infection)
    current.set_segmentation(apply_thresholds(segmentation, wanted))
