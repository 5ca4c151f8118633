"""The quality checks of the open scan: measured once, beside the page."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from core.config import QualityConfig
from core.measuring.quality import (
    QualityReport,
    ScanMeasures,
    apply_thresholds,
    measure_scan,
    slices_with_lung,
)
from core.system import OnProgress, ShouldCancel
from core.ui.job_slot import JobSlot
from core.ui.jobs import MEASURING_QUEUE
from core.ui.page import show_error
from core.ui.scan.measures import known_masks
from core.ui.session import OpenStudy, remember, this_session

_AT_ONCE_SECONDS = 1.5
"""Small scans are done by then; until then no progress is worth drawing."""


@dataclass(eq=False)
class ScanCheck:
    """What was measured of the open scan, or the job that measures it."""

    slot: JobSlot[ScanMeasures] = field(default_factory=lambda: JobSlot("quality", MEASURING_QUEUE))


def measures_of(current: OpenStudy) -> ScanMeasures | None:
    """What was measured of the open scan; none, and progress or a button, until it is there."""
    slot, volume = this_session().part(ScanCheck).slot, current.study.volume
    # Grey values that were given another meaning lie elsewhere between air and tissue.
    subject = (current.token, volume.intensity)
    slot.drop_unless(subject)
    if slot.job is None:

        def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> ScanMeasures:
            return measure_scan(volume, on_progress=on_progress, should_cancel=should_cancel)

        slot.start(work, owner=current, subject=subject).join(_AT_ONCE_SECONDS)
    if slot.show_progress():
        return None
    outcome = slot.outcome()
    if outcome is None:
        return None
    if outcome.error is not None:
        show_error(outcome.error)
    if outcome.result is None and st.button("Check the scan", type="primary", key="check-scan"):
        slot.drop()
        st.rerun()
    return outcome.result


def report_of(current: OpenStudy, measures: ScanMeasures, config: QualityConfig) -> QualityReport:
    """What the thresholds find; where lung is outlined, "no lung" is not."""
    held = remember(
        current, "slices with lung", lambda: slices_with_lung(*known_masks(current).values())
    )
    return apply_thresholds(measures, config).trusting_lung(held)


def known_report(current: OpenStudy) -> QualityReport | None:
    """What the checks find in the open scan by their usual thresholds; none where it was not
    measured yet."""
    slot = this_session().part(ScanCheck).slot
    if slot.subject != (current.token, current.study.volume.intensity):
        return None
    outcome = slot.outcome()
    measures = None if outcome is None else outcome.result
    return None if measures is None else report_of(current, measures, QualityConfig())
