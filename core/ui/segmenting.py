"""Running the network for this session, beside the page, and keeping its result.

The network is loaded by the thread that first needs it, never while a page is drawn.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from core.config import PostprocessConfig, PreprocessConfig, SegmentConfig
from core.errors import LungLensError
from core.system import OnProgress, ShouldCancel
from core.ui.job_slot import JobSlot
from core.ui.remembering import recall_same_run, remember_result, result_store
from core.ui.session import OpenStudy, clear_notice, set_notice, this_session

if TYPE_CHECKING:  # loaded where they are first needed
    from core.segmentation import Segmentation, UnusableWeights, WeightsInfo
    from core.segmentation.engines import Engine


CHOSEN_WEIGHTS = "weights"
"""Key of the choice of weights on Segment."""


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
        # Missing or broken weights are reported to the person who asks for a run.
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
    current: OpenStudy,
    weights: WeightsInfo,
    *,
    postprocess: PostprocessConfig | None = None,
    preprocess: PreprocessConfig | None = None,
) -> None:
    """Starts marking lung and infection in the open scan; the page stays usable meanwhile.

    Args:
        preprocess, postprocess: in place of those of the weights.
    """
    config = SegmentConfig(
        weights_id=weights.weights_id,
        preprocess=preprocess,
        postprocess=postprocess or weights.postprocess,
    )
    slot = this_session().network_run
    _start(slot, current, weights, config, before=current.segmentation)


def start_second(current: OpenStudy, weights: WeightsInfo) -> None:
    """Starts marking the open scan with another network, to compare with."""
    config = SegmentConfig(weights_id=weights.weights_id, postprocess=weights.postprocess)
    _start(this_session().second_run, current, weights, config, before=current.second)


def _start(
    slot: JobSlot[Segmentation],
    current: OpenStudy,
    weights: WeightsInfo,
    config: SegmentConfig,
    *,
    before: Segmentation | None,
) -> None:
    volume = current.study.volume
    server = _server()
    again = before is not None and before.config == config
    store = result_store()

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Segmentation:
        from core.segmentation import segment_volume

        # Who runs the same again wants to see it run.
        known = None if again else recall_same_run(store, volume, weights, config)
        if known is not None:
            return known
        on_progress("loading the network", 0, 0)
        segmenter = _load(config.weights_id, server)
        result = segment_volume(
            volume, segmenter, config=config, on_progress=on_progress, should_cancel=should_cancel
        )
        remember_result(store, volume, result, weights)
        return result

    clear_notice()
    slot.start(work, owner=current, subject=current.token)


def is_running() -> bool:
    """Whether a run is waiting or under way in this session."""
    return this_session().network_run.running


def stop_run_of(study: OpenStudy) -> None:
    """Ends the run of a study that is being closed; that of another continues."""
    this_session().network_run.drop_if(study.token)


def collect_result() -> None:
    """Takes what finished runs have left: masks, or a sentence on why there are none."""
    session = this_session()
    _collect(session.network_run, OpenStudy.set_segmentation)
    _collect(session.second_run, OpenStudy.set_second)


def _collect(
    slot: JobSlot[Segmentation], give: Callable[[OpenStudy, Segmentation | None], None]
) -> None:
    outcome = slot.take()
    if outcome is None:
        return
    owner: OpenStudy | None = outcome.owner
    if outcome.error is not None:
        set_notice("error", str(outcome.error))
    elif outcome.stopped:
        set_notice("warning", "The run was stopped. Nothing was changed.")
    elif owner is not None:
        give(owner, outcome.result)


def show_second_progress() -> bool:
    """The same as `show_progress` for the second network."""
    return this_session().second_run.show_progress(
        "Marking with the second network", help="Stops after the current slices."
    )


def show_progress() -> bool:
    """While a run is under way: its progress and a way to stop it. Says whether there is one."""
    return this_session().network_run.show_progress(
        "Marking lung and infection", help="Stops after the current slices. Nothing is changed."
    )


def change_thresholds(
    current: OpenStudy, segmentation: Segmentation, *, lung: float, infection: float
) -> None:
    """Computes the masks again from the kept probabilities; the network does not run again."""
    from core.segmentation import apply_thresholds

    before = segmentation.config.postprocess
    if (before.lung_threshold, before.infection_threshold) == (lung, infection):
        return
    wanted = replace(before, lung_threshold=lung, infection_threshold=infection)
    current.set_segmentation(apply_thresholds(segmentation, wanted))
