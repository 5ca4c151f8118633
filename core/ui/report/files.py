"""The files of a report: PDF and HTML, everything as one zip, each file by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.config import CHANNELS, Channel
from core.errors import SaveError
from core.output import mask_file_notes, mask_nifti_bytes, mask_picture_bytes
from core.output.exports import check_dicom_seg
from core.system import OnProgress, ShouldCancel
from core.ui.job_result import result_of
from core.ui.job_slot import JobSlot
from core.ui.report.making import WrittenReport, jobs_of
from core.ui.scan.pictures import is_picture
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import Segmentation

_MIME = {
    "gz": "application/gzip",
    "png": "image/png",
    "dcm": "application/dicom",
    "stl": "model/stl",
    "ply": "application/octet-stream",
    "csv": "text/csv",
    "json": "application/json",
    "pdf": "application/pdf",
    "html": "text/html",
    "zip": "application/zip",
}


def show_report_downloads(files: WrittenReport) -> None:
    """The report as PDF and as one HTML file."""
    with st.container(horizontal=True, key="report-downloads"):
        _offer(
            "Report (PDF)",
            files.pdf,
            f"{files.stem}_report.pdf",
            help="Two pages of A4, as shown on this page.",
            primary=True,
        )
        _offer(
            "Report (HTML)",
            files.html,
            f"{files.stem}_report.html",
            help="One file that opens in any browser and fetches nothing, with every "
            "measurement, its definition and BibTeX.",
        )


def show_everything(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    """One zip with all files, packed beside the page."""
    slot = jobs_of(current).packing
    slot.drop_unless(files.token)
    if slot.job is None:
        if st.button(
            "Pack everything (zip)",
            icon=":material/folder_zip:",
            help="Report, masks, surfaces, tables, pictures and a Methods paragraph in one zip.",
        ):
            _start_packing(slot, current, segmentation, files)
            st.rerun()
        return
    packed = result_of(slot)
    if packed is None:
        return
    _offer(
        f"Everything (zip, {len(packed) / 1e6:.1f} MB)",
        packed,
        f"{files.stem}.zip",
        help="Report, masks, surfaces, tables, pictures and a Methods paragraph; README.txt "
        "explains each file.",
        primary=True,
    )


def _start_packing(
    slot: JobSlot[bytes], current: OpenStudy, segmentation: Segmentation, files: WrittenReport
) -> None:
    study, report = current.study, files.report

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> bytes:
        from core.output.report import bundle_bytes

        return bundle_bytes(
            report, study, segmentation, on_progress=on_progress, should_cancel=should_cancel
        )

    slot.start(work, owner=current, subject=files.token)


def show_single_files(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    """Each file by itself; made when it is asked for."""
    st.markdown("**Single files**")
    with st.container(horizontal=True, key="report-masks"):
        _offer_masks(current, segmentation, files)
    for note in mask_file_notes(current.study.volume):
        st.caption(escape_markdown(note))
    with st.container(horizontal=True, key="report-surfaces"):
        _offer_surfaces(current, segmentation, files.stem)
    with st.container(horizontal=True, key="report-tables"):
        _offer_tables(current, segmentation, files)


def _offer_masks(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    from core.output.report import dicom_seg_of, hand_note, lobe_note

    study, masks, stem = current.study, segmentation.masks, files.stem
    note = hand_note(segmentation)
    for channel in CHANNELS:
        mask = getattr(masks, channel)
        if mask is not None:
            _offer(
                f"{channel.capitalize()} mask (NIfTI)",
                partial(mask_nifti_bytes, mask, study.volume, note=note),
                f"{stem}_{channel}_mask.nii.gz",
                help="0 and 1, in the shape and position of the scan's own file.",
            )
        if mask is not None and is_picture(current):
            _offer(
                f"{channel.capitalize()} mask (PNG)",
                partial(mask_picture_bytes, mask),
                f"{stem}_{channel}_mask.png",
                help="White where marked, with the rows and columns of the picture's own file.",
            )
    _offer(
        "Label map (NIfTI)",
        lambda: mask_nifti_bytes(masks.label_map(), study.volume, note=note),
        f"{stem}_label_map.nii.gz",
        help="0 background, 1 lung, 2 infection, in the shape and position of the scan's own file.",
    )
    lobes = files.report.lobes
    if lobes.labels is not None:
        _offer(
            "Lobes (NIfTI)",
            partial(mask_nifti_bytes, lobes.labels, study.volume, note=lobe_note(note)),
            f"{stem}_lobes.nii.gz",
            help=f"1 to 3 right upper, middle and lower lobe, 4 and 5 left upper and lower. "
            f"{lobes.note}",
        )
    if _fits_dicom(current, segmentation):
        _offer(
            "Segmentation (DICOM)",
            lambda: dicom_seg_of(files.report, study, segmentation),
            f"{stem}_segmentation.dcm",
            help="A DICOM segmentation object that refers to the series. Patient tags are empty; "
            "the unique identifiers of study and images stay, for without them it would belong to "
            "no study.",
        )


def _offer_surfaces(current: OpenStudy, segmentation: Segmentation, stem: str) -> None:
    for channel in CHANNELS:
        mask = getattr(segmentation.masks, channel)
        if mask is None or not mask.any():
            continue
        for ending in ("stl", "ply"):
            _offer(
                f"{channel.capitalize()} surface ({ending.upper()})",
                partial(_mesh, current, segmentation, channel, ending),
                f"{stem}_{channel}.{ending}",
                help="In mm of the patient (LPS), smoothed: for viewing, not for measuring.",
            )


def _offer_tables(current: OpenStudy, segmentation: Segmentation, files: WrittenReport) -> None:
    from core.output.report import biomarkers_csv, measurements_json, slices_csv

    study, stem = current.study, files.stem
    _offer(
        "Measurements (JSON)",
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
