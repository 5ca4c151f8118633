"""A report of one scan to hand round: PDF, one HTML file, or a zip with everything beside it."""

from core.report.bundle import bundle_bytes
from core.report.config import ReportConfig
from core.report.content import Report, build_report
from core.report.html import html_text
from core.report.pdf import pdf_bytes
from core.report.raster import page_png_bytes

__all__ = [
    "Report",
    "ReportConfig",
    "build_report",
    "bundle_bytes",
    "html_text",
    "page_png_bytes",
    "pdf_bytes",
]
