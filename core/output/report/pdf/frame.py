"""What stands above and below every page."""

from __future__ import annotations

from typing import Any

from core import __version__
from core.output.report.content import Report
from core.output.report.fonts import BOLD, ITALIC, REGULAR
from core.output.report.pdf.pieces import (
    AMBER,
    BAND,
    HEIGHT,
    INFECTION,
    LINE,
    LUNG,
    MARGIN,
    QUIET,
    WIDTH,
)


def draw_banner(canvas: Any, report: Report, *, height: float) -> float:
    """The dark strip on top with title and warning; gives its lower edge."""
    bottom = HEIGHT - height
    canvas.setFillColor(BAND)
    canvas.rect(0, bottom, WIDTH, height, stroke=0, fill=1)
    middle = bottom + height / 2
    scale = min(1.0, height / 56)
    canvas.setFillColor(LUNG)
    for x in (MARGIN + 8 * scale, MARGIN + 27 * scale):
        canvas.ellipse(x - 7 * scale, middle - 15 * scale, x + 7 * scale, middle + 15 * scale, 0, 1)
    canvas.setFillColor(INFECTION)
    x = MARGIN + 28 * scale
    canvas.ellipse(x - 5 * scale, middle - 13 * scale, x + 5 * scale, middle + 1, 0, 1)
    canvas.setFillColor("#FFFFFF")
    size = 15.5 if height > 40 else 11
    canvas.setFont(BOLD, size)
    left = MARGIN + 46 * scale
    title_y = middle + 2 if height > 40 else middle - 4
    canvas.drawString(left, title_y, report.title)
    if height > 40:
        canvas.setFont(REGULAR, 8)
        canvas.drawString(
            left,
            middle - 13,
            f"LungLens {__version__} · report of {report.config.made_on.isoformat()}",
        )
    _warning_sign(canvas, report.note, middle)
    return bottom


def _warning_sign(canvas: Any, note: str, middle: float) -> None:
    words = note.rstrip(".").upper()
    canvas.setFont(BOLD, 7.5)
    width = canvas.stringWidth(words, BOLD, 7.5) + 16
    x = WIDTH - MARGIN - width
    canvas.setFillColor(AMBER)
    canvas.roundRect(x, middle - 9, width, 18, 4, stroke=0, fill=1)
    canvas.setFillColor("#1B1400")
    canvas.drawString(x + 8, middle - 2.7, words)


def draw_footer(canvas: Any, report: Report, number: int) -> None:
    """Draws the line, the note on use and the page number at the bottom of a page."""
    canvas.setStrokeColor(LINE)
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, 28, WIDTH - MARGIN, 28)
    canvas.setFillColor(QUIET)
    canvas.setFont(ITALIC, 6.5)
    stamp = f"{report.stamp} · " if report.stamp else ""
    canvas.drawString(
        MARGIN,
        18,
        f"{stamp}{report.note} {report.drawn_by}",
    )
    canvas.setFont(REGULAR, 6.5)
    canvas.drawRightString(
        WIDTH - MARGIN,
        18,
        f"LungLens {__version__} · {report.config.made_on.isoformat()} · page {number} of 2",
    )
