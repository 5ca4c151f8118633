"""The widgets of Report: what to print on it, making it beside the page, its pages.

The scan is measured once for each result; a date or a name only writes the pages again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from core.system import OnProgress, ShouldCancel
from core.ui import segmenting
from core.ui.job_slot import JobSlot
from core.ui.jobs import REPORT_QUEUE
from core.ui.page import show_error
from core.ui.scan.lobes import lungs_of
from core.ui.scan.measures import known_masks
from core.ui.segment import results
from core.ui.session import OpenStudy

if TYPE_CHECKING:  # loaded where they are first needed
    from core.output.report import Report, ReportConfig
    from core.segmentation import Segmentation, WeightsInfo

T = TypeVar("T")

_PAGE_SCALE = 2.0
_JOBS, _WRITTEN = "report jobs", "written report"
"""Names in the memo of the open study, so that all of it goes when the study goes."""


@dataclass(frozen=True, eq=False)
class WrittenReport:
    """A report as its files and the pictures of its pages."""

    report: Report
    pdf: bytes
    html: str
    pages: tuple[bytes, ...]
    stem: str
    """What its files are called; of the scan's file only if that may be shown."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """Distinguishes it from every other, also from those that are gone."""


def prediction_of(current: OpenStudy) -> Segmentation | None:
    """The network's result, with the masks as they were corrected; where there is none, offers to
    run it."""
    result = current.result
    if result is not None:
        if result.by_hand is not None:
            st.info(result.by_hand.sentence, icon=":material/draw:")
        return result
    if segmenting.show_progress():
        return None
    st.info(
        "There is nothing to report yet: the network has not marked this scan.",
        icon=":material/description:",
    )
    weights = results.choose_weights()
    if weights is not None:
        results.show_run_button(current, weights)
    return None


def make_report(current: OpenStudy, segmentation: Segmentation) -> WrittenReport | None:
    """What to print, and the report once it was asked for and is made."""
    config = _choose_settings(current)
    measured = _measured_report(current, segmentation)
    return None if measured is None else _written_report(current, measured, config)


def _choose_settings(current: OpenStudy) -> ReportConfig:
    """What is printed on the report."""
    from core.output.report import ReportConfig

    left, right = st.columns([3, 2])
    subject = left.text_input(
        "About",
        key=f"report-subject-{current.token}",
        max_chars=120,
        placeholder="nobody is named",
        help="Whom or what the report is about, in your own words. Printed as you type it, in the "
        "PDF and the HTML file and nowhere else; if empty, nobody is named.",
    )
    day = right.date_input(
        "Date",
        value="today",
        key=f"report-date-{current.token}",
        help="Printed on the report and written into its files. The same scan, result and date "
        "give the same files, byte by byte.",
    )
    shown = st.toggle(
        "Show the file's name",
        key=f"report-file-name-{current.token}",
        help="File names often hold a patient's name or number, so the report names only the "
        "kind of file, unless you switch this on.",
    )
    return ReportConfig(day if isinstance(day, date) else date.today(), subject, shown)


def _measured_report(current: OpenStudy, segmentation: Segmentation) -> Report | None:
    """The content of the report, measured in the background once it is asked for."""
    slot = jobs_of(current).measuring
    # Other notes or marks are another report.
    slot.drop_unless(_written_on(current))
    if slot.job is None:
        if st.button(
            "Make the report",
            type="primary",
            icon=":material/description:",
            help="Measures the scan, checks its quality and draws key slices. Takes a few seconds.",
        ):
            _start(slot, current, segmentation)
            st.rerun()
        return None
    return result_of(slot)


@dataclass(eq=False)
class ReportJobs:
    """The jobs of one result, in the memo of the open study.

    Another result, a stroke or an added truth empties the memo: all change the report.
    """

    measuring: JobSlot[Report] = field(default_factory=lambda: JobSlot("report", REPORT_QUEUE))
    packing: JobSlot[bytes] = field(default_factory=lambda: JobSlot("report-zip", REPORT_QUEUE))


def jobs_of(current: OpenStudy) -> ReportJobs:
    """The jobs of the open study's present result."""
    jobs: ReportJobs = current.result_memo.setdefault(_JOBS, ReportJobs())
    return jobs


def _start(slot: JobSlot[Report], current: OpenStudy, segmentation: Segmentation) -> None:
    from core.output.report import ReportConfig

    study, info = current.study, _weights_of(segmentation)
    notes, annotations = current.notes, current.annotations
    # The first masks that are known are those of the report.
    lungs = lungs_of(current, next(iter(known_masks(current))))

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
        from core.output.report import build_report

        return build_report(
            study,
            segmentation,
            config=ReportConfig(date.today()),
            info=info,
            lobes=lungs.lobes(),
            notes=notes,
            annotations=annotations,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )

    slot.start(work, owner=current, subject=_written_on(current))


def _written_on(current: OpenStudy) -> str:
    """Distinguishes what was written on the scan from what was before."""
    return str(hash((current.notes, current.annotations)))


def _weights_of(segmentation: Segmentation) -> WeightsInfo | None:
    weights = segmenting.available_weights()
    return next((w for w in weights if w.weights_id == segmentation.weights_id), None)


def result_of(slot: JobSlot[T]) -> T | None:
    """What a job has made; until then its progress, and where it made nothing, why and a button
    to try again."""
    if slot.show_progress():
        return None
    outcome = slot.outcome()
    if outcome is None:
        return None
    if outcome.result is None:
        if outcome.error is not None:
            show_error(outcome.error)
        if st.button("Try again", key=f"again-{slot.name}", icon=":material/refresh:"):
            slot.drop()
            st.rerun()
    return outcome.result


def _written_report(current: OpenStudy, measured: Report, config: ReportConfig) -> WrittenReport:
    """The report as files, written again only for other words on it."""
    memo = current.result_memo
    kept: tuple[Report, ReportConfig, WrittenReport] | None = memo.get(_WRITTEN)
    # The very report and not its id, which another may be given once this one is gone.
    if kept is None or kept[0] is not measured or kept[1] != config:
        with st.spinner("Writing the report…"):
            kept = (measured, config, _write(current, measured, config))
        memo[_WRITTEN] = kept
    return kept[2]


def _write(current: OpenStudy, measured: Report, config: ReportConfig) -> WrittenReport:
    from core.output.report import html_text, page_png_bytes, pdf_bytes, with_config

    report = with_config(measured, current.study, config)
    pdf = pdf_bytes(report)
    stem = results.file_stem(current) if config.show_file_name else "lunglens"
    pages = page_png_bytes(pdf, scale=_PAGE_SCALE)
    return WrittenReport(report, pdf, html_text(report), pages, stem)


def show_pages(files: WrittenReport) -> None:
    """The PDF's pages as pictures."""
    for number, page in enumerate(files.pages, 1):
        st.image(
            page,
            caption=f"Page {number} of {len(files.pages)}",
            width="stretch",
            output_format="PNG",
        )
