"""Running the classifier beside the page, and keeping its verdicts.

A verdict is kept for each scan, its masks and the weights. Stepping through slices reads it; the
heat of the slices that were classified is computed with it and goes to the browser at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from core.system import OnProgress, ShouldCancel
from core.ui import segmenting
from core.ui.job_slot import JobSlot
from core.ui.jobs import NETWORK_QUEUE
from core.ui.scan.pictures import is_picture
from core.ui.scan.slice_strip import go_to
from core.ui.session import OpenStudy, clear_notice, set_notice, this_session

if TYPE_CHECKING:  # loaded where they are first needed
    from core.classification import Classifier, ClassifierInfo, Verdict
    from core.segmentation import Segmentation

_MOST_KEPT = 8
_HEAT_CELLS = 64
"""Longest side of a map of heat as it is sent; the network's own is coarser."""


@dataclass(frozen=True, eq=False)
class ExplainedVerdict:
    """A verdict with its maps: slice → (rows, columns) uint8, coarse, over the whole slice."""

    verdict: Verdict
    heats: Mapping[int, npt.NDArray[np.uint8]]
    in_lung: Mapping[int, float]
    """Slice → share of its heat inside the lung before it was cut off; nan without heat."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """Distinguishes it from every other, also from those that are gone."""


@dataclass(eq=False)
class Verdicts:
    """This session's verdicts, and the job that computes one."""

    kept: dict[object, ExplainedVerdict] = field(default_factory=dict)
    slot: JobSlot[tuple[Segmentation, ExplainedVerdict]] = field(
        default_factory=lambda: JobSlot("classify", NETWORK_QUEUE)
    )


def show_origin(current: OpenStudy) -> None:
    """What a person must know of the open study before any verdict on it."""
    volume = current.study.volume
    if current.study.synthetic:
        st.warning(
            "**This scan is synthetic**, a generated chest. The classifier was not trained on "
            "such images: its result here is meaningless and only shows how the page works.",
            icon=":material/science:",
        )
    elif volume.source.format == "pictures" and volume.shape[2] > 1:
        st.info(
            "The stack of pictures is treated as the slices of one scan and classified as a "
            "whole. For pictures of several patients use the command line, which gives one "
            "result for each.",
            icon=":material/info:",
        )


def installed() -> ClassifierInfo:
    """The classifier that is installed.

    Raises:
        WeightsError: there is none, or its manifest cannot be read.
    """
    from core.classification import find_classifier

    return find_classifier()


def find_verdict(current: OpenStudy, info: ClassifierInfo) -> ExplainedVerdict | None:
    """The verdict on the open study; where there is none yet, a button or the progress of a
    run."""
    verdicts = this_session().part(Verdicts)
    if current.segmentation is not None:
        kept = verdicts.kept.get(_name(current, current.segmentation, info))
        if kept is not None:
            return kept
    verdicts.slot.drop_unless(_subject(current))
    if verdicts.slot.show_progress():
        return None
    _collect(current, info, verdicts)
    if not segmenting.show_progress():
        _show_run_button(current, info)
    return None


def _subject(current: OpenStudy) -> object:
    """What a run is about: with another grey scale it would be about something else."""
    return current.token, current.study.volume.intensity


def _collect(current: OpenStudy, info: ClassifierInfo, verdicts: Verdicts) -> None:
    """Keeps what a finished run has found and draws the page with it, or says why there is
    nothing."""
    outcome = verdicts.slot.take()
    if outcome is None:
        return
    if outcome.result is None:
        if outcome.error is None:
            set_notice("warning", "The run was stopped. Nothing was changed.")
        else:
            set_notice("error", str(outcome.error))
        st.rerun()
    segmentation, explained = outcome.result
    if current.segmentation is None:
        current.set_segmentation(segmentation)
    verdicts.kept[_name(current, segmentation, info)] = explained
    go_to(current, explained.verdict.highest_scoring[0])
    while len(verdicts.kept) > _MOST_KEPT:
        del verdicts.kept[next(iter(verdicts.kept))]
    st.rerun()


def _name(current: OpenStudy, segmentation: Segmentation, info: ClassifierInfo) -> object:
    """Everything that a verdict depends on."""
    masks = (segmentation.weights_id, repr(segmentation.config), segmentation.record.quarter_turns)
    return current.study.volume.digest, masks, info.sha256


def _show_run_button(current: OpenStudy, info: ClassifierInfo) -> None:
    what = "picture" if is_picture(current) else "scan"
    marks = "" if current.segmentation is not None else "It marks lung and infection first. "
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Classify this {what}",
            type="primary",
            icon=":material/play_arrow:",
            help="Runs the classifier once; you can keep browsing meanwhile, and stop it.",
        ):
            clear_notice()
            _start(current, info)
            st.rerun()
        st.caption(f"{marks}Takes a few seconds. {not_a_diagnosis()}")


def _start(current: OpenStudy, info: ClassifierInfo) -> None:
    volume, segmentation = current.study.volume, current.segmentation

    def work(
        on_progress: OnProgress, should_cancel: ShouldCancel
    ) -> tuple[Segmentation, ExplainedVerdict]:
        from core.classification import (
            classify_volume,
            explain_slices,
            load_classifier,
            segment_for,
        )
        from core.classification.frames import shrink_heat

        on_progress("loading the classifier", 0, 0)
        classifier: Classifier = load_classifier(info.weights_id)
        masks = segmentation or segment_for(
            volume, classifier, on_progress=on_progress, should_cancel=should_cancel
        )
        verdict = classify_volume(
            volume, masks, classifier, on_progress=on_progress, should_cancel=should_cancel
        )
        slices = verdict.slice_indices
        explained = explain_slices(
            volume,
            slices,
            masks,
            classifier,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        heats = [one.heat for one in explained]
        small = (shrink_heat(heat, longest=_HEAT_CELLS) for heat in heats)
        coarse = dict(zip(slices, small, strict=True))
        in_lung = dict(zip(slices, (one.inside for one in explained), strict=True))
        return masks, ExplainedVerdict(verdict, coarse, in_lung)

    slot = this_session().part(Verdicts).slot
    slot.start(work, owner=current, subject=_subject(current))


def not_a_diagnosis() -> str:
    """The sentence that stands beside every verdict."""
    from core.classification import NOT_A_DIAGNOSIS

    return NOT_A_DIAGNOSIS
