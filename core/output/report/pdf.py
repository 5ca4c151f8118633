"""The report as two pages of A4, with ReportLab: vector charts, one embedded font, no fetching.

ReportLab writes the same bytes each time in its invariant mode, in which nothing tells the time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from core import __version__
from core.output.report.content import NOBODY, Report
from core.output.report.fonts import BOLD, ITALIC, REGULAR, lacks_letters, printable, register_fonts
from core.output.report.pictures import KeySlice
from core.output.report.profile import draw_profile
from core.output.report.sections import (
    SIDES,
    Row,
    agreement_rows,
    density_figures,
    lesion_figures,
    lung_rows,
    reasons,
    zone_rows,
)
from core.output.report.zones import draw_zones

_WIDTH, _HEIGHT = 595.28, 841.89
_SIDE = 36.0
_INNER = _WIDTH - 2 * _SIDE
_FOOT = 34.0
_ROW_LIMIT = 150.0
"""Height of key slices where they stand in several rows."""
_INK, _QUIET, _LINE, _BAND = "#1B2731", "#56646F", "#C9D3DB", "#123238"
_AMBER, _DARK_AMBER, _PALE = "#E69F00", "#A86F00", "#F3F6F8"
_LUNG, _INFECTION, _TRUTH = "#56B4E9", "#E69F00", "#F0E442"


def pdf_bytes(report: Report) -> bytes:
    """Two pages of A4; the same report always gives the same bytes."""
    from reportlab.pdfgen.canvas import Canvas

    register_fonts()
    packed = io.BytesIO()
    canvas = Canvas(packed, pagesize=(_WIDTH, _HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(f"LungLens report: {report.title}")
    canvas.setAuthor(f"LungLens {__version__}")
    canvas.setSubject(report.note)
    _first_page(canvas, report)
    canvas.showPage()
    _second_page(canvas, report)
    canvas.showPage()
    canvas.save()
    return packed.getvalue()


# ---------------------------------------------------------------- pages


def _first_page(canvas: Any, report: Report) -> None:
    top = _banner(canvas, report, height=56)
    top = _subject(canvas, report, top - 8)
    top = _tiles(canvas, report, top - 6)
    top = _place(canvas, _fact_table(report.facts, columns=2), top - 8, _INNER)
    notes = [
        _heading("What to know about this scan"),
        *_bullets([*report.warnings, *report.quality_lines]),
    ]
    room = top - 8 - _FOOT - min(_height_of(notes, _INNER) + 10, 150.0)
    has_profile = report.profile is not None
    limit = room - 20 - (110 if has_profile else 0)
    below = _pictures(canvas, report.pictures, top - 8, limit)
    below = _legend(canvas, report, below - 4)
    room -= top - 8 - below
    top = below
    if report.profile is not None:
        height = min(max(room - 12, 90.0), 230.0)
        marks = [picture.index for picture in report.pictures if picture.plane == "axial"]
        drawing = draw_profile(report.profile, width=_INNER, height=height, marks=marks)
        drawing.drawOn(canvas, _SIDE, top - 6 - height)
        top -= 6 + height
    _fill(canvas, notes, (_SIDE, _FOOT, _INNER, top - 4 - _FOOT))
    _footer(canvas, report, 1)


def _second_page(canvas: Any, report: Report) -> None:
    top = _banner(canvas, report, height=30) - 10
    gap = 16.0
    half = (_INNER - gap) / 2
    methods = _methods(report)
    columns = [_biomarker_column(report, half), _facts_column(report, half)]
    methods_height = min(_height_of(methods, _INNER) + 6, 0.38 * _HEIGHT)
    room = top - _FOOT - methods_height - 10
    height = min(room, max(_height_of(column, half) for column in columns) + 6)
    for number, column in enumerate(columns):
        x = _SIDE + number * (half + gap)
        _fill(canvas, column, (x, top - height, half, height))
    below = top - height - 8
    _fill(canvas, methods, (_SIDE, below - methods_height, _INNER, methods_height))
    _footer(canvas, report, 2)


# ---------------------------------------------------------------- parts of the first page


def _banner(canvas: Any, report: Report, *, height: float) -> float:
    """The dark strip on top with title and warning; gives its lower edge."""
    bottom = _HEIGHT - height
    canvas.setFillColor(_BAND)
    canvas.rect(0, bottom, _WIDTH, height, stroke=0, fill=1)
    middle = bottom + height / 2
    scale = min(1.0, height / 56)
    canvas.setFillColor(_LUNG)
    for x in (_SIDE + 8 * scale, _SIDE + 27 * scale):
        canvas.ellipse(x - 7 * scale, middle - 15 * scale, x + 7 * scale, middle + 15 * scale, 0, 1)
    canvas.setFillColor(_INFECTION)
    x = _SIDE + 28 * scale
    canvas.ellipse(x - 5 * scale, middle - 13 * scale, x + 5 * scale, middle + 1, 0, 1)
    canvas.setFillColor("#FFFFFF")
    size = 15.5 if height > 40 else 11
    canvas.setFont(BOLD, size)
    left = _SIDE + 46 * scale
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
    x = _WIDTH - _SIDE - width
    canvas.setFillColor(_AMBER)
    canvas.roundRect(x, middle - 9, width, 18, 4, stroke=0, fill=1)
    canvas.setFillColor("#1B1400")
    canvas.drawString(x + 8, middle - 2.7, words)


def _subject(canvas: Any, report: Report, top: float) -> float:
    """Whom it is about, in the person's own words, and the stamp of generated scans."""
    lines = []
    scan = dict(report.facts)["Scan"]
    subject = report.config.subject
    named = f"<b>{_safe(subject)}</b>" if subject else f'<font color="{_QUIET}">{NOBODY}</font>'
    words = f"{named} · {_safe(scan)}"
    if report.stamp:
        words += f' &nbsp; <font color="{_DARK_AMBER}"><b>{report.stamp}</b></font>'
        words += " <font size=8>generated by a program, no patient</font>"
    lines.append(_paragraph(words, size=11))
    if lacks_letters(subject):
        lines.append(
            _paragraph(
                'Letters shown as "?" are not in the font of this PDF; the HTML report has them.',
                size=6.5,
                colour=_QUIET,
            )
        )
    for line in lines:
        top = _place(canvas, line, top, _INNER)
    return top


def _tiles(canvas: Any, report: Report, top: float) -> float:
    """The figures of the first page in two rows of three, each with its definition."""
    gap, height = 8.0, 50.0
    width = (_INNER - 2 * gap) / 3
    for number, figure in enumerate(report.headline):
        x = _SIDE + (number % 3) * (width + gap)
        y = top - height - (number // 3) * (height + 6)
        canvas.setFillColor(_PALE)
        canvas.roundRect(x, y, width, height, 4, stroke=0, fill=1)
        canvas.setFillColor(_AMBER if "infected" in figure.key else _LUNG)
        canvas.rect(x, y + 4, 2.2, height - 8, stroke=0, fill=1)
        style = f'size=13 name="{BOLD}"' if figure.defined else f'size=9 color="{_QUIET}"'
        shown = _paragraph(
            f"<font {style}>{_safe(figure.text)}</font> &nbsp; {_safe(figure.label)}",
            size=7.5,
            leading=15,
        )
        words = figure.definition if figure.defined else figure.reason or figure.definition
        small = _paragraph(_safe(words), size=5.6, colour=_QUIET, leading=6.8)
        _fill(canvas, [shown, small], (x + 8, y + 2, width - 12, height - 4))
    return top - 2 * height - 6


def _pictures(canvas: Any, pictures: Sequence[KeySlice], top: float, room: float) -> float:
    """Key slices in rows of three, as large as `room` allows; gives their lower edge."""
    from reportlab.lib.utils import ImageReader

    gap = 7.0
    columns = 2 if len(pictures) == 4 else min(3, max(1, len(pictures)))
    width = (_INNER - (columns - 1) * gap) / columns if columns > 1 else 0.55 * _INNER
    rows = -(-len(pictures) // columns)
    limit = max(90.0, room / rows - gap)
    if rows > 1 and columns == 3:
        limit = min(limit, _ROW_LIMIT)
    for start in range(0, len(pictures), columns):
        row = pictures[start : start + columns]
        sizes = [_fitted(picture, width, limit) for picture in row]
        height = max(h for _, h in sizes)
        for n, (picture, (w, h)) in enumerate(zip(row, sizes, strict=True)):
            x = _SIDE + n * (width + gap) + (width - w) / 2
            if columns == 1:
                x = (_WIDTH - w) / 2
            image = ImageReader(io.BytesIO(picture.jpeg_bytes()))
            canvas.drawImage(image, x, top - height + (height - h) / 2, w, h)
        top -= height + gap
    return top + gap


def _fitted(picture: KeySlice, width: float, height: float) -> tuple[float, float]:
    rows, columns = picture.picture.shape[:2]
    scale = min(width / columns, height / rows)
    return columns * scale, rows * scale


def _legend(canvas: Any, report: Report, top: float) -> float:
    """What the outlines mean, and which pictures were chosen for what."""
    x, y = _SIDE, top - 8
    entries = [(_LUNG, "lung", False), (_INFECTION, "infection", False)]
    if report.agreement is not None and "infection" in report.agreement.figures:
        entries.append(("#CDBB00", "true infection", True))
    canvas.setFont(REGULAR, 6.8)
    for colour, words, dashed in entries:
        canvas.setStrokeColor(colour)
        canvas.setLineWidth(2)
        canvas.setDash([3, 2] if dashed else [])
        canvas.line(x, y + 2, x + 16, y + 2)
        canvas.setDash([])
        canvas.setFillColor(_INK)
        canvas.drawString(x + 20, y, words)
        x += 28 + canvas.stringWidth(words, REGULAR, 6.8)
    most = [p.title.lower() for p in report.pictures if p.why == "most infected"]
    words = "R and L are the patient's sides. " if len(report.pictures) > 1 else ""
    words += f"Most infected: {', '.join(most)}." if most else "No infection is marked."
    canvas.setFillColor(_QUIET)
    canvas.drawRightString(_WIDTH - _SIDE, y, words)
    return y - 4


# ---------------------------------------------------------------- parts of the second page


def _biomarker_column(report: Report, width: float) -> list[Any]:
    found = report.biomarkers
    bands, lesions = density_figures(found), lesion_figures(found)
    flow = [
        _heading("Lungs and zones"),
        _side_table(lung_rows(found), width),
        _space(3),
        _paragraph(
            "Infected share of each zone; right and left are the patient's. In brackets the grades "
            "0 to 4 of the thirds, which add up to the zonal score.",
            size=6.2,
            colour=_QUIET,
        ),
        _space(2),
        _side_table(zone_rows(found), width),
        _heading("Density"),
        _figure_table(bands, width),
        _heading("Lesions"),
        _figure_table(lesions, width, rest_only=True),
    ]
    why = reasons(list(found.figures))
    if why:
        words = "Not defined: " + " ".join(why)
        flow += [_space(3), _paragraph(_safe(words), size=6.2, colour=_QUIET)]
    return flow


def _facts_column(report: Report, width: float) -> list[Any]:
    flow: list[Any] = []
    if report.agreement is not None:
        header, rows = agreement_rows(report.agreement)
        flow += [
            _heading("Against the truth"),
            _table([header, *rows], [width * 0.52, *_shared(width * 0.48, len(header) - 1)]),
            _space(3),
            _paragraph(_safe(report.agreement.sentence), size=6.8),
        ]
    flow += [
        _heading("Weights and settings"),
        _fact_table(report.settings, columns=1, width=width),
        _heading("Limitations"),
        *_bullets(report.limitations),
    ]
    zones = draw_zones(report.biomarkers, width=width, height=128)
    if zones is not None:
        flow += [_heading("Infected share of the six zones"), zones]
    return flow


def _methods(report: Report) -> list[Any]:
    listed = " ".join(
        f"[{number}]&nbsp;{_safe(reference.short)}"
        + (f" doi:{_safe(reference.doi)}." if reference.doi else "")
        for number, reference in enumerate(report.methods.references, 1)
    )
    return [
        _heading("Methods, ready to paste"),
        _paragraph(_safe(report.methods.paragraph), size=7.4),
        _space(3),
        _paragraph(listed, size=6.6, colour=_QUIET),
        _paragraph(
            "BibTeX: in the HTML report and in the zip as methods.bib.", size=6.2, colour=_QUIET
        ),
    ]


def _side_table(rows: Sequence[Row], width: float) -> Any:
    cells = [("", *SIDES), *((row.label, *row.cells) for row in rows)]
    return _table(cells, [width * 0.25, *_shared(width * 0.75, 3)])


def _figure_table(figures: Sequence[Any], width: float, *, rest_only: bool = False) -> Any:
    """Label, value and definition; with `rest_only` what all definitions share stands once."""

    def told(number: int, figure: Any) -> str:
        words = str(figure.definition)
        return words.rsplit(": ", 1)[-1] if rest_only and number else words

    rows = [
        [
            _paragraph(_safe(figure.label), size=7.2),
            _paragraph(_safe(figure.text), size=7.2, bold=True)
            if figure.defined
            else _paragraph(figure.text.replace(" ", "&nbsp;"), size=6.2, colour=_QUIET),
            _paragraph(_safe(told(number, figure)), size=6.2, colour=_QUIET, leading=7.6),
        ]
        for number, figure in enumerate(figures)
    ]
    return _grid(rows, [width * 0.36, width * 0.18, width * 0.46])


# ---------------------------------------------------------------- pieces


def _safe(text: str) -> str:
    """Text as ReportLab's markup, in letters that the font has."""
    return escape(printable(text))


def _paragraph(
    words: str,
    *,
    size: float = 7.2,
    colour: str = _INK,
    leading: float | None = None,
    bold: bool = False,
    bullet: str | None = None,
) -> Any:
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


def _heading(words: str) -> Any:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "heading",
        fontName=BOLD,
        fontSize=8.4,
        leading=11,
        textColor=_BAND,
        spaceBefore=7,
        spaceAfter=2,
    )
    return Paragraph(_safe(words), style)


def _bullets(lines: Sequence[str]) -> list[Any]:
    return [_paragraph(_safe(line), size=7.2, bullet="•") for line in dict.fromkeys(lines)]


def _space(height: float) -> Any:
    from reportlab.platypus import Spacer

    return Spacer(1, height)


def _shared(width: float, parts: int) -> list[float]:
    return [width / max(1, parts)] * parts


def _fact_table(facts: Sequence[tuple[str, str]], *, columns: int, width: float = _INNER) -> Any:
    cells = [
        (
            _paragraph(_safe(label), size=6.8, colour=_QUIET),
            _paragraph(_safe(value), size=6.8),
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
    return _grid(rows, [part * 0.24, part * 0.76] * columns, lines=False)


def _table(cells: Sequence[Sequence[str]], widths: list[float]) -> Any:
    """The first row is a header; figures to the right."""
    from reportlab.platypus import Table

    table = Table(
        [[printable(cell) for cell in row] for row in cells], colWidths=widths, rowHeights=13
    )
    table.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), REGULAR, 7.2),
            ("FONT", (0, 0), (-1, 0), BOLD, 7.2),
            ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.7, _BAND),
            ("LINEBELOW", (0, 1), (-1, -1), 0.3, _LINE),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            *_NO_PADDING,
        ]
    )
    table.hAlign = "LEFT"
    return table


def _grid(rows: Sequence[Sequence[Any]], widths: list[float], *, lines: bool = True) -> Any:
    from reportlab.platypus import Table

    table = Table(list(rows), colWidths=widths)
    style: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), *_NO_PADDING]
    if lines:
        style.append(("LINEBELOW", (0, 0), (-1, -1), 0.3, _LINE))
    table.setStyle(style)
    table.hAlign = "LEFT"
    return table


_NO_PADDING = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 0.8),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 0.8),
]


def _place(canvas: Any, flowable: Any, top: float, width: float) -> float:
    """Draws one piece below `top`; gives its lower edge."""
    _, height = flowable.wrapOn(canvas, width, _HEIGHT)
    flowable.drawOn(canvas, _SIDE, top - height)
    return float(top - height)


def _height_of(flow: Sequence[Any], width: float) -> float:
    total = 0.0
    for piece in flow:
        total += piece.wrap(width, _HEIGHT)[1] + piece.getSpaceBefore() + piece.getSpaceAfter()
    return total


def _fill(canvas: Any, flow: Sequence[Any], box: tuple[float, float, float, float]) -> None:
    """Draws pieces from the top of a box (x, y, width, height), smaller where they do not fit."""
    from reportlab.platypus import Frame, KeepInFrame

    x, y, width, height = box
    frame = Frame(x, y, width, height, 0, 0, 0, 0)
    frame.addFromList([KeepInFrame(width, height - 0.1, list(flow), mode="shrink")], canvas)


def _footer(canvas: Any, report: Report, number: int) -> None:
    canvas.setStrokeColor(_LINE)
    canvas.setLineWidth(0.5)
    canvas.line(_SIDE, 28, _WIDTH - _SIDE, 28)
    canvas.setFillColor(_QUIET)
    canvas.setFont(ITALIC, 6.5)
    stamp = f"{report.stamp} · " if report.stamp else ""
    canvas.drawString(
        _SIDE,
        18,
        f"{stamp}{report.note} Masks were drawn by a program and not checked by a reader.",
    )
    canvas.setFont(REGULAR, 6.5)
    canvas.drawRightString(
        _WIDTH - _SIDE,
        18,
        f"LungLens {__version__} · {report.config.made_on.isoformat()} · page {number} of 2",
    )
