"""The widgets of Report: what to print on it, making it beside the page, its pages.

The scan is measured once for each result; a date or a name only writes the pages again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from core.system import OnProgress, ShouldCancel, raise_if_cancelled
from core.ui import segmenting
from core.ui.job_result import AT_ONCE_SECONDS, result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import REPORT_QUEUE
from core.ui.scan.lobes import lungs_of
from core.ui.scan.measures import known_masks
from core.ui.segment import results
from core.ui.session import OpenStudy
from core.volume import Study

if TYPE_CHECKING:  # loaded where they are first needed
    from core.output.report import Report, ReportConfig
    from core.segmentation import Segmentation, WeightsInfo

_PAGE_SCALE = 2.0
_JOBS = "report jobs"
"""Name in the memo of the open study, so that all of it goes when the study goes."""


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
    writing: JobSlot[WrittenReport] = field(
        default_factory=lambda: JobSlot("report-writing", REPORT_QUEUE)
    )
    written: WrittenReport | None = None
    """The one written last."""
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


def _written_report(
    current: OpenStudy, measured: Report, config: ReportConfig
) -> WrittenReport | None:
    """The report as files, written beside the page, and again only for other words on it."""
    slot = jobs_of(current).writing
    # Measured anew is written anew.
    subject = (config, _written_on(current))
    slot.drop_unless(subject)
    if slot.job is None:
        study = current.study
        stem = results.file_stem(current) if config.show_file_name else "lunglens"

        def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> WrittenReport:
            return _write(study, measured, config, stem, on_progress, should_cancel)

        slot.start(work, owner=current, subject=subject).join(AT_ONCE_SECONDS)
    written = result_of(slot, stop_help="Stops writing. What was measured is kept.")
    jobs_of(current).written = written or jobs_of(current).written
    return written


def written_before(current: OpenStudy) -> WrittenReport | None:
    """The report to look at while it is written with other words; else none."""
    jobs = jobs_of(current)
    return jobs.written if jobs.writing.running else None


def _write(
    study: Study,
    measured: Report,
    config: ReportConfig,
    stem: str,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> WrittenReport:
    from core.output.report import html_text, page_png_bytes, pdf_bytes, with_config

    def begin(stage: str, number: int) -> None:
        raise_if_cancelled(should_cancel, stage)
        on_progress(stage, number, 3)

    begin("writing the PDF", 0)
    report = with_config(measured, study, config)
    pdf = pdf_bytes(report)
    begin("drawing its pages", 1)
    pages = page_png_bytes(pdf, scale=_PAGE_SCALE)
    begin("writing the HTML file", 2)
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
