"""Colours, sizes and pieces of both pages. ReportLab is imported when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from core.output.report.fonts import BOLD, REGULAR, printable

WIDTH, HEIGHT = 595.28, 841.89
"""A4 in points."""
MARGIN = 36.0
INNER = WIDTH - 2 * MARGIN
FOOT = 34.0
INK, QUIET, LINE, BAND = "#1B2731", "#56646F", "#C9D3DB", "#123238"
AMBER, DARK_AMBER, PALE = "#E69F00", "#A86F00", "#F3F6F8"
LUNG, INFECTION = "#56B4E9", "#E69F00"

_NO_PADDING = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 0.8),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 0.8),
]


def safe(text: str) -> str:
    """Text as ReportLab's markup, in letters that the font has."""
    return escape(printable(text))


def paragraph(
    words: str,
    *,
    size: float = 7.2,
    colour: str = INK,
    leading: float | None = None,
    bold: bool = False,
    bullet: str | None = None,
) -> Any:
    """Text in the style of the report, wrapped to its column."""
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "report",
        fontName=BOLD if bold else REGULAR,
        fontSize=size,
        leading=leading or size * 1.3,
        textColor=colour,
        bulletFontName=REGULAR,
        bulletFontSize=size,
        leftIndent=8 if bullet else 0,
        splitLongWords=1,
    )
    return Paragraph(words, style, bulletText=bullet)


def heading(words: str) -> Any:
    """The heading of a section."""
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "heading",
        fontName=BOLD,
        fontSize=8.4,
        leading=11,
        textColor=BAND,
        spaceBefore=7,
        spaceAfter=2,
    )
    return Paragraph(safe(words), style)


def bullets(lines: Sequence[str]) -> list[Any]:
    """One bullet for each different line."""
    return [paragraph(safe(line), size=7.2, bullet="•") for line in dict.fromkeys(lines)]


def space(height: float) -> Any:
    """Empty space of that height in points."""
    from reportlab.platypus import Spacer

    return Spacer(1, height)


def equal_widths(width: float, parts: int) -> list[float]:
    """Widths in points of columns that share `width` equally."""
    return [width / max(1, parts)] * parts


def fact_table(facts: Sequence[tuple[str, str]], *, columns: int, width: float = INNER) -> Any:
    """Labels and values in that many columns."""
    cells = [
        (
            paragraph(safe(label), size=6.8, colour=QUIET),
            paragraph(safe(value), size=6.8),
        )
        for label, value in facts
    ]
    per_column = -(-len(cells) // columns)
    rows = [
        [cell for pair in cells[start::per_column] for cell in pair] for start in range(per_column)
    ]
    longest = max(map(len, rows))
    rows = [row + [""] * (longest - len(row)) for row in rows]
    part = width / columns
    return grid(rows, [part * 0.24, part * 0.76] * columns, lines=False)


def number_table(cells: Sequence[Sequence[str]], widths: list[float]) -> Any:
    """The first row is a header; numbers to the right."""
    from reportlab.platypus import Table

    table = Table(
        [[printable(cell) for cell in row] for row in cells], colWidths=widths, rowHeights=13
    )
    table.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), REGULAR, 7.2),
            ("FONT", (0, 0), (-1, 0), BOLD, 7.2),
            ("TEXTCOLOR", (0, 0), (-1, -1), INK),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.7, BAND),
            ("LINEBELOW", (0, 1), (-1, -1), 0.3, LINE),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            *_NO_PADDING,
        ]
    )
    table.hAlign = "LEFT"
    return table


def grid(rows: Sequence[Sequence[Any]], widths: list[float], *, lines: bool = True) -> Any:
    """A table with a thin line below each row where `lines` is true."""
    from reportlab.platypus import Table

    table = Table(list(rows), colWidths=widths)
    style: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), *_NO_PADDING]
    if lines:
        style.append(("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE))
    table.setStyle(style)
    table.hAlign = "LEFT"
    return table


def place(canvas: Any, flowable: Any, top: float, width: float) -> float:
    """Draws one piece below `top`; gives its lower edge."""
    _, height = flowable.wrapOn(canvas, width, HEIGHT)
    flowable.drawOn(canvas, MARGIN, top - height)
    return float(top - height)


def height_of(flow: Sequence[Any], width: float) -> float:
    """Total height in points of pieces in one column."""
    total = 0.0
    for piece in flow:
        total += piece.wrap(width, HEIGHT)[1] + piece.getSpaceBefore() + piece.getSpaceAfter()
    return total


def fill_box(canvas: Any, flow: Sequence[Any], box: tuple[float, float, float, float]) -> None:
    """Draws pieces from the top of a box (x, y, width, height), smaller where they do not fit."""
    from reportlab.platypus import Frame, KeepInFrame

    x, y, width, height = box
    frame = Frame(x, y, width, height, 0, 0, 0, 0)
    frame.addFromList([KeepInFrame(width, height - 0.1, list(flow), mode="shrink")], canvas)
