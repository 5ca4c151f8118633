"""A report of one scan to share: PDF, one HTML file, or a zip with everything beside it."""

from core.output.report.bundle import (
    biomarkers_csv,
    bundle_bytes,
    dicom_seg_of,
    hand_note,
    lobe_note,
    measurements_json,
    mesh_bytes,
    slices_csv,
)
from core.output.report.config import ReportConfig
from core.output.report.content import Report, build_report, with_config
from core.output.report.html import html_text
from core.output.report.pdf import pdf_bytes
from core.output.report.raster import page_png_bytes

__all__ = [
    "Report",
    "ReportConfig",
    "biomarkers_csv",
    "build_report",
    "bundle_bytes",
    "dicom_seg_of",
    "hand_note",
    "lobe_note",
    "measurements_json",
    "html_text",
    "mesh_bytes",
    "page_png_bytes",
    "pdf_bytes",
    "slices_csv",
    "with_config",
]
