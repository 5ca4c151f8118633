"""The report as two pages of A4, with ReportLab: vector charts, one embedded font, no fetching.

ReportLab writes the same bytes each time in its invariant mode, which writes no time.
"""

from __future__ import annotations

import io

from core import __version__
from core.output.report.content import Report
from core.output.report.fonts import register_fonts
from core.output.report.pdf.first_page import draw_first_page
from core.output.report.pdf.pieces import HEIGHT, WIDTH
from core.output.report.pdf.second_page import draw_second_page

__all__ = ["pdf_bytes"]


def pdf_bytes(report: Report) -> bytes:
    """Two pages of A4; the same report always gives the same bytes."""
    from reportlab.pdfgen.canvas import Canvas

    register_fonts()
    packed = io.BytesIO()
    canvas = Canvas(packed, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(f"LungLens report: {report.title}")
    canvas.setAuthor(f"LungLens {__version__}")
    canvas.setSubject(report.note)
    draw_first_page(canvas, report)
    canvas.showPage()
    draw_second_page(canvas, report)
    canvas.showPage()
    canvas.save()
    return packed.getvalue()
