"""The widgets of Report: what to print on it, making it beside the page, its files.

The scan is measured once for each result; a date or a name only writes the pages anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from core.config import CHANNELS, Channel
from core.errors import SaveError
from core.output import mask_nifti_bytes
from core.output.exports import check_dicom_seg
from core.system import OnProgress, ShouldCancel
from core.ui import results, segmenting
from core.ui.jobs import BackgroundJob, Line
from core.ui.page import show_error
from core.ui.quality_view import show_job
from core.ui.session import OpenStudy

if TYPE_CHECKING:  # loaded where they are first needed
    from core.output.report import Report, ReportConfig
    from core.segmentation import Segmentation, WeightsInfo

T = TypeVar("T")

REPORT_LINE = Line()
"""Its first measures a scan for its report, or packs its files: one at a time on the server."""

_PAGE_SCALE = 2.0
_MEASURED, _WRITTEN, _PACKED = "measured report", "written report", "packed report"
"""Names in the memo of the open study, so that all of it goes when the study goes."""
_MIME = {
    "gz": "application/gzip",
    "dcm": "application/dicom",
    "stl": "model/stl",
    "ply": "application/octet-stream",
    "csv": "text/csv",
    "json": "application/json",
    "pdf": "application/pdf",
    "html": "text/html",
    "zip": "application/zip",
}


@dataclass(frozen=True, eq=False)
class WrittenReport:
    """A report as its files and the pictures of its pages."""

    report: Report
    pdf: bytes
    html: str
    pages: tuple[bytes, ...]
    stem: str
    """What its files are called; of the scan's file only if that may be shown."""


def prediction_of(current: OpenStudy) -> Segmentation | None:
    """The network's result; where there is none, offers to run it."""
    if current.segmentation is not None:
        return current.segmentation
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
        "PDF and the HTML file and nowhere else; empty names nobody.",
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
        help="File names often hold a patient's name or number, so the report only says what kind "
        "of file it was, unless you switch this on.",
    )
    return ReportConfig(day if isinstance(day, date) else date.today(), subject, shown)


def _measured_report(current: OpenStudy, segmentation: Segmentation) -> Report | None:
    """Everything the report says, measured beside the page once it is asked for."""
    # The memo is emptied by another result and by a truth that is added: both change the report.
    job: BackgroundJob[Report] | None = current.memo.get(_MEASURED)
    if job is None:
        if st.button(
            "Make the report",
            type="primary",
            icon=":material/description:",
            help="Measures the scan, checks its quality and draws key slices. Takes some seconds.",
        ):
            current.memo[_MEASURED] = _start(current, segmentation)
            st.rerun()
        return None
    if not job.finished:
        show_job(job, key="report")
        return None
    return _result(current, job, _MEASURED)


def _start(current: OpenStudy, segmentation: Segmentation) -> BackgroundJob[Report]:
    from core.output.report import ReportConfig

    study, info = current.study, _weights_of(segmentation)

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
        from core.output.report import build_report

        return build_report(
            study,
            segmentation,
            config=ReportConfig(date.today()),
            info=info,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )

    return BackgroundJob(work, line=REPORT_LINE, owner=current)


def _weights_of(segmentation: Segmentation) -> WeightsInfo | None:
    weights = segmenting.available_weights()
    return next((w for w in weights if w.weights_id == segmentation.weights_id), None)


def _result(current: OpenStudy, job: BackgroundJob[T], name: str) -> T | None:
    """What a finished job has made; where it made nothing, says why and offers another try."""
    if job.bug is not None:
        raise job.bug
    if job.result is None:
        if job.error is not None:
            show_error(job.error)
        if st.button("Try again", key=f"again-{name}", icon=":material/refresh:"):
            del current.memo[name]
            st.rerun()
    return job.result


def _written_report(current: OpenStudy, measured: Report, config: ReportConfig) -> WrittenReport:
    """The report as files, written anew only for other words on it."""
    kept: tuple[Any, WrittenReport] | None = current.memo.get(_WRITTEN)
    if kept is None or kept[0] != (id(measured), config):
        with st.spinner("Writing the report…"):
            kept = ((id(measured), config), _write(current, measured, config))
        current.memo[_WRITTEN] = kept
    return kept[1]


def _write(current: OpenStudy, measured: Report, config: ReportConfig) -> WrittenReport:
    from core.output.report import html_text, page_png_bytes, pdf_bytes, with_config

    report = with_config(measured, current.study, config)
    pdf = pdf_bytes(report)
    stem = results.file_stem(current) if config.show_file_name else "lunglens"
    pages = page_png_bytes(pdf, scale=_PAGE_SCALE)
    return WrittenReport(report, pdf, html_text(report), pages, stem)


def show_report_downloads(files: WrittenReport) -> None:
    """The report as PDF and as one HTML file."""
    with st.container(horizontal=True, key="report-downloads"):
        _offer(
            "Report (PDF)",
            files.pdf,
            f"{files.stem}_report.pdf",
            help="Two pages of A4, as shown beside.",
            primary=True,
        )
        _offer(
            "Report (HTML)",
            files.html,
            f"{files.stem}_report.html",
            help="One file that opens in any browser and fetches nothing, with every figure, its "
            "definition and BibTeX.",
        )


def show_everything(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    """One zip with all files, packed beside the page."""
    asked: tuple[WrittenReport, BackgroundJob[bytes]] | None = current.memo.get(_PACKED)
    if asked is not None and asked[0] is not files:
        asked[1].stop()
        asked = None
    if asked is None:
        if st.button(
            "Pack everything (zip)",
            icon=":material/folder_zip:",
            help="Report, masks, surfaces, tables, pictures and a Methods paragraph in one zip.",
        ):
            current.memo[_PACKED] = (files, _start_packing(current, segmentation, files))
            st.rerun()
        return
    job = asked[1]
    if not job.finished:
        show_job(job, key="report-zip")
        return
    packed = _result(current, job, _PACKED)
    if packed is None:
        return
    _offer(
        f"Everything (zip, {len(packed) / 1e6:.1f} MB)",
        packed,
        f"{files.stem}.zip",
        help="Report, masks, surfaces, tables, pictures and a Methods paragraph; README.txt says "
        "what each file is.",
        primary=True,
    )


def _start_packing(
    current: OpenStudy, segmentation: Segmentation, files: WrittenReport
) -> BackgroundJob[bytes]:
    study, report = current.study, files.report

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> bytes:
        from core.output.report import bundle_bytes

        return bundle_bytes(
            report, study, segmentation, on_progress=on_progress, should_cancel=should_cancel
        )

    return BackgroundJob(work, line=REPORT_LINE, owner=current)


def show_single_files(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    """Each file by itself; made when it is asked for."""
    from core.output.report import biomarkers_csv, dicom_seg_of, measurements_json, slices_csv

    study, masks, stem = current.study, segmentation.masks, files.stem
    volume = study.volume
    marked = [c for c in CHANNELS if (m := getattr(masks, c)) is not None and m.any()]
    st.markdown("**Single files**")
    with st.container(horizontal=True, key="report-masks"):
        for channel in CHANNELS:
            mask = getattr(masks, channel)
            if mask is not None:
                _offer(
                    f"{channel.capitalize()} mask (NIfTI)",
                    partial(mask_nifti_bytes, mask, volume),
                    f"{stem}_{channel}_mask.nii.gz",
                    help="0 and 1, in the shape and position of the scan's own file.",
                )
        _offer(
            "Label map (NIfTI)",
            lambda: mask_nifti_bytes(masks.label_map(), volume),
            f"{stem}_label_map.nii.gz",
            help="0 background, 1 lung, 2 infection, in the shape and position of the scan's own "
            "file.",
        )
        if _fits_dicom(current, segmentation):
            _offer(
                "Segmentation (DICOM)",
                lambda: dicom_seg_of(files.report, study, segmentation),
                f"{stem}_segmentation.dcm",
                help="A DICOM segmentation object that refers to the series. Patient tags are "
                "empty; the unique identifiers of study and pictures stay, for without them it "
                "would belong to no study.",
            )
    with st.container(horizontal=True, key="report-surfaces"):
        for channel in marked:
            for ending in ("stl", "ply"):
                _offer(
                    f"{channel.capitalize()} surface ({ending.upper()})",
                    partial(_mesh, current, segmentation, channel, ending),
                    f"{stem}_{channel}.{ending}",
                    help="In mm of the patient (LPS), smoothed: to look at, not to measure.",
                )
    with st.container(horizontal=True, key="report-tables"):
        _offer(
            "Figures (JSON)",
            lambda: measurements_json(files.report, study, segmentation),
            f"{stem}_figures.json",
            help="Every number, with settings, definitions and findings.",
        )
        _offer(
            "Biomarkers (CSV)",
            lambda: biomarkers_csv(files.report),
            f"{stem}_biomarkers.csv",
            help="Every biomarker with unit, definition and source.",
        )
        _offer(
            "Slices (CSV)",
            lambda: slices_csv(study, segmentation),
            f"{stem}_slices.csv",
            help="Areas and shares of every axial slice, and overlap where the truth is known.",
        )


def _fits_dicom(current: OpenStudy, segmentation: Segmentation) -> bool:
    """Whether a DICOM segmentation can be made: of a DICOM series, with something marked."""
    try:
        check_dicom_seg(segmentation.masks, current.study.volume)
    except SaveError:
        return False
    return True


def _mesh(current: OpenStudy, segmentation: Segmentation, channel: Channel, ending: str) -> bytes:
    from core.output.report import mesh_bytes

    return mesh_bytes(current.study, segmentation)[f"{channel}.{ending}"]


def show_pages(files: WrittenReport) -> None:
    """The PDF's pages as pictures."""
    for number, page in enumerate(files.pages, 1):
        st.image(
            page,
            caption=f"Page {number} of {len(files.pages)}",
            width="stretch",
            output_format="PNG",
        )


def _offer(
    label: str,
    data: bytes | str | Callable[[], bytes | str],
    file_name: str,
    *,
    help: str,
    primary: bool = False,
) -> None:
    st.download_button(
        label,
        data=data,
        file_name=file_name,
        mime=_MIME[file_name.rsplit(".", 1)[-1]],
        icon=":material/download:",
        on_click="ignore",
        type="primary" if primary else "secondary",
        help=help,
        key=f"download-{label.split(' (zip')[0]}",
    )
