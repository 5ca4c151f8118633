"""The second page: all values, settings, limits and methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.measuring.biomarkers import Biomarkers
from core.output.report.content import Report
from core.output.report.lobes import draw_lobes, lobe_words
from core.output.report.pdf.frame import draw_banner, draw_footer
from core.output.report.pdf.pieces import (
    FOOT,
    HEIGHT,
    INNER,
    MARGIN,
    QUIET,
    bullets,
    equal_widths,
    fact_table,
    fill_box,
    grid,
    heading,
    height_of,
    number_table,
    paragraph,
    safe,
    space,
)
from core.output.report.sections import (
    SIDES,
    Row,
    agreement_rows,
    density_measurements,
    lesion_measurements,
    lung_rows,
    reasons,
    zone_rows,
)
from core.output.report.zones import draw_zones


def draw_second_page(canvas: Any, report: Report) -> None:
    """Draws all biomarkers, settings, methods and references."""
    top = draw_banner(canvas, report, height=30) - 10
    gap = 16.0
    half = (INNER - gap) / 2
    methods = _methods(report)
    columns = [_biomarker_column(report, half), _facts_column(report, half)]
    methods_height = min(height_of(methods, INNER) + 6, 0.38 * HEIGHT)
    room = top - FOOT - methods_height - 10
    height = min(room, max(height_of(column, half) for column in columns) + 6)
    for number, column in enumerate(columns):
        x = MARGIN + number * (half + gap)
        fill_box(canvas, column, (x, top - height, half, height))
    below = top - height - 8
    fill_box(canvas, methods, (MARGIN, below - methods_height, INNER, methods_height))
    draw_footer(canvas, report, 2)


def _biomarker_column(report: Report, width: float) -> list[Any]:
    found = report.biomarkers
    bands, lesions = density_measurements(found), lesion_measurements(found)
    flow = [
        heading("Lungs and zones"),
        _side_table(lung_rows(found), width),
        space(3),
        paragraph(
            "Infected share of each zone; right and left are the patient's. In brackets the grades "
            "0 to 4 of the thirds, which add up to the zonal score.",
            size=6.2,
            colour=QUIET,
        ),
        space(2),
        _side_table(zone_rows(found), width),
        heading("Density"),
        _measurement_table(bands, width),
        heading("Lesions"),
        _measurement_table(lesions, width, rest_only=True),
    ]
    why = reasons(list(found.measurements))
    if why:
        words = "Not defined: " + " ".join(why)
        flow += [space(3), paragraph(safe(words), size=6.2, colour=QUIET)]
    return flow


def _facts_column(report: Report, width: float) -> list[Any]:
    flow: list[Any] = _written(report, width)
    if report.agreement is not None:
        header, rows = agreement_rows(report.agreement)
        flow += [
            heading("Against the truth"),
            number_table(
                [header, *rows], [width * 0.52, *equal_widths(width * 0.48, len(header) - 1)]
            ),
            space(3),
            paragraph(safe(report.agreement.sentence), size=6.8),
        ]
    flow += [
        heading("Weights and settings"),
        fact_table(report.settings, columns=1, width=width),
        heading("Limitations"),
        *bullets(report.limitations),
    ]
    return flow + _parts_of_the_lungs(report.biomarkers, width)


def _parts_of_the_lungs(found: Biomarkers, width: float) -> list[Any]:
    """The lobes as a drawing; where there are none the six zones, and why."""
    lobes = draw_lobes(found, width=width, height=136)
    words = space(3), paragraph(safe(lobe_words(found)), size=6.2, colour=QUIET)
    if lobes is not None:
        return [heading("Infected share of the five lobes"), lobes, *words]
    zones = draw_zones(found, width=width, height=128)
    if zones is None:
        return []
    return [
        heading("Infected share of the six zones"),
        zones,
        *(words if lobe_words(found) else ()),
    ]


_MOST_LINES = 14


def _written(report: Report, width: float) -> list[Any]:
    """What a person has written and placed, as much as a column has room for."""
    if not (report.notes or report.marks):
        return []
    flow: list[Any] = [heading("Notes and marks by the reader")]
    if report.notes:
        shown = report.notes if len(report.notes) <= 600 else report.notes[:599] + "…"
        flow.append(paragraph(safe(shown), size=6.8))
    if report.marks:
        flow.append(fact_table(report.marks[:_MOST_LINES], columns=1, width=width))
    if len(report.marks) > _MOST_LINES or len(report.notes) > 600:
        flow.append(paragraph("All of them: in the HTML report.", size=6.2, colour=QUIET))
    return flow


def _methods(report: Report) -> list[Any]:
    listed = " ".join(
        f"[{number}]&nbsp;{safe(reference.short)}"
        + (f" doi:{safe(reference.doi)}." if reference.doi else "")
        for number, reference in enumerate(report.methods.references, 1)
    )
    return [
        heading("Methods, ready to paste"),
        paragraph(safe(report.methods.paragraph), size=7.4),
        space(3),
        paragraph(listed, size=6.6, colour=QUIET),
        paragraph(
            "BibTeX: in the HTML report and in the zip as methods.bib.", size=6.2, colour=QUIET
        ),
    ]


def _side_table(rows: Sequence[Row], width: float) -> Any:
    cells = [("", *SIDES), *((row.label, *row.cells) for row in rows)]
    return number_table(cells, [width * 0.25, *equal_widths(width * 0.75, 3)])


def _measurement_table(
    measurements: Sequence[Any], width: float, *, rest_only: bool = False
) -> Any:
    """Label, value and definition; with `rest_only` what all definitions share stands once."""

    def entry(number: int, one: Any) -> str:
        words = str(one.definition)
        return words.rsplit(": ", 1)[-1] if rest_only and number else words

    rows = [
        [
            paragraph(safe(one.label), size=7.2),
            paragraph(safe(one.text), size=7.2, bold=True)
            if one.defined
            else paragraph(one.text.replace(" ", "&nbsp;"), size=6.2, colour=QUIET),
            paragraph(safe(entry(number, one)), size=6.2, colour=QUIET, leading=7.6),
        ]
        for number, one in enumerate(measurements)
    ]
    return grid(rows, [width * 0.36, width * 0.18, width * 0.46])
