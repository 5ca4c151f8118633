"""A report of one scan to hand round: PDF, one HTML file, or a zip with everything beside it."""

from core.report.bundle import (
    biomarkers_csv,
    bundle_bytes,
    dicom_seg_of,
    figures_json,
    mesh_bytes,
    slices_csv,
)
from core.report.config import ReportConfig
from core.report.content import Report, build_report, with_config
from core.report.html import html_text
from core.report.pdf import pdf_bytes
from core.report.raster import page_png_bytes

__all__ = [
    "Report",
    "ReportConfig",
    "biomarkers_csv",
    "build_report",
    "bundle_bytes",
    "dicom_seg_of",
    "figures_json",
    "html_text",
    "mesh_bytes",
    "page_png_bytes",
    "pdf_bytes",
    "slices_csv",
    "with_config",
]
