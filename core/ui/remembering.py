"""Results of the network that outlive the session: the same scan opens with its masks."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from core.config import SegmentConfig
from core.errors import LungLensError
from core.ui.operator_numbers import number_or_default
from core.ui.projects import projects_folder
from core.ui.session import OpenStudy

if TYPE_CHECKING:  # loaded where they are first needed
    from core.segmentation import ResultStore, Segmentation, WeightsInfo
    from core.volume import Volume

RESULTS_VARIABLE = "LUNGLENS_RESULTS_MB"
_FOLDER = "results"
_LOG = logging.getLogger(__name__)


def result_store() -> ResultStore | None:
    """Where results are remembered: beside the projects; none where nothing is kept."""
    folder = projects_folder()
    most_mb = number_or_default(RESULTS_VARIABLE, "results_mb", expected="MB, such as 1000")
    if folder is None or not most_mb:
        return None
    from core.segmentation import ResultStore

    return ResultStore(folder / _FOLDER, round(most_mb * 1e6))


def recall_result(current: OpenStudy) -> None:
    """Gives a scan that was just opened the masks of an earlier run, where there are any, with the
    thresholds that its project remembers."""
    store = result_store()
    if store is None or store.empty:
        return
    from core.segmentation import apply_thresholds, list_weights

    found: Segmentation | None = None
    kept = current.kept_state
    # Damaged weights are reported to the person who asks for a run.
    with suppress(LungLensError):
        weights = list_weights()
        wanted = "" if kept is None else kept.weights_id
        preferred = [info for info in weights if info.weights_id == wanted or info.is_default]
        preferred.sort(key=lambda info: info.weights_id != wanted)
        for choice in (*([info] for info in preferred), weights):
            found = store.recall(current.study.volume, choice)
            if found is not None:
                break
    if found is None:
        return
    if kept is not None and kept.weights_id == found.weights_id:
        found = apply_thresholds(found, kept.with_thresholds(found.config.postprocess))
    current.set_segmentation(found)


def recall_same_run(
    store: ResultStore | None, volume: Volume, info: WeightsInfo, config: SegmentConfig
) -> Segmentation | None:
    """The result of an earlier run of these weights with these settings, where there is one."""
    return None if store is None or store.empty else store.recall(volume, [info], config)


def remember_result(
    store: ResultStore | None, volume: Volume, result: Segmentation, info: WeightsInfo
) -> None:
    """Keeps the result of a run, if it can: a full disk is no reason to lose it now."""
    if store is None:
        return
    try:
        store.remember(volume, result, info)
    except LungLensError as error:
        _LOG.warning("A result is not remembered: %s", error)
