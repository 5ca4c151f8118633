"""Charts and pages of the report as pictures, by PDFium, which renders what a reader would see."""

from __future__ import annotations

import io
import threading
from typing import Any

from core.output.report.fonts import register_fonts

_PDFIUM = threading.Lock()
"""PDFium is not made for threads."""
_CHART_SCALE = 3.0


def page_png_bytes(pdf: bytes, *, scale: float = 2.0) -> tuple[bytes, ...]:
    """Every page of a PDF as a PNG, `scale` pixels a point."""
    import pypdfium2

    pages = []
    with _PDFIUM:
        document = pypdfium2.PdfDocument(pdf)
        try:
            for page in document:
                packed = io.BytesIO()
                page.render(scale=scale).to_pil().save(packed, "PNG", optimize=False)
                pages.append(packed.getvalue())
        finally:
            document.close()
    return tuple(pages)


def drawing_png_bytes(drawing: Any) -> bytes:
    """A chart as a PNG on white."""
    from reportlab.graphics import renderPDF
    from reportlab.pdfgen.canvas import Canvas

    register_fonts()
    packed = io.BytesIO()
    canvas = Canvas(packed, pagesize=(drawing.width, drawing.height), invariant=1)
    renderPDF.draw(drawing, canvas, 0, 0)
    canvas.showPage()
    canvas.save()
    return page_png_bytes(packed.getvalue(), scale=_CHART_SCALE)[0]
