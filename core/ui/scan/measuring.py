"""Biomarkers measured beside the page, in a job that stores them in the memo of their scan."""

from __future__ import annotations

from typing import Any, TypeAlias

from core.measuring.biomarkers import Biomarkers
from core.system import OnProgress, ShouldCancel
from core.ui.job_slot import JobSlot
from core.ui.scan.lobes import lungs_of
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy

Measuring: TypeAlias = JobSlot[bool]
"""The slot of such a job: its result says no more than that all is measured."""


def known_biomarkers(current: OpenStudy, name: str) -> Biomarkers | None:
    """The biomarkers of one pair of masks, where they are measured.

    Args:
        name: of `known_masks`.
    """
    found: Biomarkers | None = _memo(current, name).get(("biomarkers", name))
    return found


def start_measuring(
    slot: Measuring, asked: tuple[tuple[OpenStudy, str], ...], *, wait_seconds: float
) -> tuple[Biomarkers, ...] | None:
    """The biomarkers of several pairs of masks, all in one job where one is not known yet.

    Args:
        asked: scans with a name of `known_masks` each.
        wait_seconds: how long the page waits for a job that it starts.

    Returns:
        None while they are measured, and where that was stopped or failed: the slot tells.
    """
    missing = [(one, name) for one, name in asked if known_biomarkers(one, name) is None]
    if missing:
        subject = tuple(_subject(one, name) for one, name in asked)
        slot.drop_unless(subject)
        done = slot.outcome()
        if done is not None and done.result:  # and forgotten since, as where a truth was added
            slot.drop()
        if slot.job is None:
            parts = [
                (lungs_of(one, name), known_masks(one)[name], _memo(one, name), name)
                for one, name in missing
            ]

            def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> bool:
                for lungs, pair, memo, name in parts:
                    if ("biomarkers", name) not in memo:
                        memo[("biomarkers", name)] = lungs.biomarkers(
                            pair, on_progress=on_progress, should_cancel=should_cancel
                        )
                return True

            slot.start(work, owner=asked[0][0], subject=subject).join(wait_seconds)
    found = [known_biomarkers(one, name) for one, name in asked]
    known = tuple(one for one in found if one is not None)
    return known if len(known) == len(asked) else None


def _memo(current: OpenStudy, name: str) -> dict[object, Any]:
    return current.corrected_memo if name == CORRECTED else current.memo


def _subject(current: OpenStudy, name: str) -> object:
    segmentation = current.segmentation
    run = None if segmentation is None else (segmentation.weights_id, segmentation.config)
    return current.token, name, current.correction.revision if name == CORRECTED else run
