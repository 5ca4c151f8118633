"""The report as one HTML file that fetches nothing: pictures and charts lie in it.

Dark on white, so that it prints as it looks. All text of others is escaped; there is no script.
The only addresses in it are those of the works cited, as plain links to click.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from core import __version__
from core.measuring.biomarkers import GROUPS, Measurement
from core.output.report.content import NOBODY, Report
from core.output.report.lobes import LOBE_HEADER, draw_lobes, lobe_rows, lobe_words
from core.output.report.profile import draw_profile, svg_text
from core.output.report.references import Reference
from core.output.report.sections import (
    SIDES,
    Row,
    agreement_rows,
    density_measurements,
    lesion_measurements,
    lung_rows,
    zone_rows,
)
from core.output.report.zones import draw_zones

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1b2731; line-height: 1.45;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header { background: #123238; color: #fff; padding: 18px 28px; display: flex; flex-wrap: wrap;
  gap: 12px 24px; align-items: center; justify-content: space-between; }
header h1 { margin: 0; font-size: 24px; } header p { margin: 2px 0 0; font-size: 13px; }
.note { background: #e69f00; color: #1b1400; font-weight: 700; padding: 6px 14px;
  border-radius: 6px; text-transform: uppercase; font-size: 13px; letter-spacing: .02em; }
main { max-width: 1080px; margin: 0 auto; padding: 8px 28px 28px; }
h2 { color: #123238; font-size: 17px; margin: 26px 0 8px; }
.subject { font-size: 19px; font-weight: 700; margin: 18px 0 12px; overflow-wrap: anywhere; }
.stamp { color: #8a5f00; background: #fdf1d6; border-radius: 4px; padding: 1px 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 10px; }
.tile { background: #f3f6f8; border-left: 3px solid #56b4e9; border-radius: 6px;
  padding: 8px 14px; }
.tile.infected { border-color: #e69f00; }
.tile b { font-size: 21px; margin-right: 8px; }
.tile small, .quiet { color: #56646f; font-size: 12.5px; display: block; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(270px, 1fr));
  gap: 10px; }
figure { margin: 0; } figure img { width: 100%; height: 300px; object-fit: contain;
  background: #0b0f13; border-radius: 4px; display: block; }
.single figure img { height: 520px; }
figcaption { font-size: 12.5px; color: #56646f; padding: 3px 0; }
.key { display: inline-block; width: 22px; border-top: 3px solid; margin: 0 6px 4px 14px; }
.key.dashed { border-top-style: dashed; }
svg { width: 100%; height: auto; } .chart { overflow-x: auto; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 8px 36px;
  align-items: start; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th { text-align: left; border-bottom: 1.5px solid #123238; padding: 4px 8px 4px 0; }
td { border-bottom: 1px solid #dbe3e9; padding: 4px 8px 4px 0; vertical-align: top;
  overflow-wrap: anywhere; }
.numbers th + th, .numbers td + td { text-align: right; }
.facts td:first-child { color: #56646f; width: 9.5em; }
.defined td:first-child { width: 30%; }
.defined td:nth-child(2) { white-space: nowrap; font-weight: 600; }
.defined td:nth-child(3) { font-size: 12.5px; } .defined td:nth-child(4) { font-size: 11.5px;
  color: #56646f; }
summary { color: #123238; font-size: 17px; font-weight: 700; margin: 26px 0 8px;
  cursor: pointer; }
pre { background: #f3f6f8; border-radius: 6px; padding: 12px; font-size: 12px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
ol, ul { padding-left: 1.4em; } li { margin: 2px 0; overflow-wrap: anywhere; }
footer { border-top: 1px solid #dbe3e9; color: #56646f; font-size: 12.5px; padding: 12px 28px; }
@media print { body { font-size: 11px; } main { padding: 0 8px; max-width: none; }
  header, .note, .tile, figure img, .stamp { -webkit-print-color-adjust: exact;
  print-color-adjust: exact; } figure img { height: 190px; } h2 { break-after: avoid; }
  .pictures { grid-template-columns: repeat(3, 1fr); } .two { grid-template-columns: 1fr 1fr; }
  .tiles { grid-template-columns: repeat(3, 1fr); }
  figure, tr, .tile, pre { break-inside: avoid; } }
@page { size: A4; margin: 12mm; }
"""


def html_text(report: Report) -> str:
    """The page; the same report always gives the same text."""
    title = f"{report.title} · LungLens"
    body = "\n".join(
        [
            _header(report),
            "<main>",
            _subject(report),
            _tiles(report),
            _section("The scan", _facts(report.facts)),
            _pictures(report),
            _profile(report),
            _section("What to know about this scan", _listed(_notes(report))),
            _written(report),
            _lungs(report),
            _lobes(report),
            _measurements("Density", density_measurements(report.biomarkers)),
            _measurements("Lesions", lesion_measurements(report.biomarkers)),
            _agreement(report),
            _section("Weights and settings", _facts(report.settings)),
            _section("Limitations", _listed(report.limitations)),
            _methods(report),
            _every_measurement(report),
            "</main>",
            _footer(report),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing may be fetched or run, even if something in here asked for it.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _header(report: Report) -> str:
    made = report.config.made_on.isoformat()
    return (
        f"<header><div><h1>{escape(report.title)}</h1>"
        f"<p>LungLens {__version__} · report of {made}</p></div>"
        f'<div class="note" role="note">{escape(report.note.rstrip("."))}</div></header>'
    )


def _subject(report: Report) -> str:
    words = f"{escape(report.config.subject or NOBODY)} · {escape(dict(report.facts)['Scan'])}"
    if report.stamp:
        words += f' <span class="stamp">{escape(report.stamp)}</span>'
        words += ' <span class="quiet">generated by a program, no patient</span>'
    return f'<p class="subject">{words}</p>'


def _tiles(report: Report) -> str:
    tiles = []
    for one in report.headline:
        kind = "tile infected" if "infected" in one.key else "tile"
        words = one.definition if one.defined else one.reason or one.definition
        tiles.append(
            f'<div class="{kind}"><b>{escape(one.text)}</b>{escape(one.label)}'
            f"<small>{escape(words)}</small></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts
    )
    return f'<table class="facts">{rows}</table>'


def _pictures(report: Report) -> str:
    figures = []
    for picture in report.pictures:
        data = base64.b64encode(picture.jpeg_bytes()).decode("ascii")
        words = picture.title + (f", {picture.why}" if picture.why else "")
        figures.append(
            f'<figure><img alt="{escape(words)}, with outlines" '
            f'src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{escape(words)}</figcaption></figure>"
        )
    keys = '<span class="key" style="color:#56B4E9"></span>lung'
    keys += '<span class="key" style="color:#E69F00"></span>infection'
    if report.agreement is not None and "infection" in report.agreement.scores:
        keys += '<span class="key dashed" style="color:#CDBB00"></span>true infection'
    keys += " · R and L are the patient's sides" if len(report.pictures) > 1 else ""
    kind = "pictures single" if len(report.pictures) == 1 else "pictures"
    return _section(
        "Key slices", f'<div class="{kind}">{"".join(figures)}</div><p class="quiet">{keys}</p>'
    )


def _profile(report: Report) -> str:
    if report.profile is None:
        return ""
    marks = [picture.index for picture in report.pictures if picture.plane == "axial"]
    drawing = draw_profile(report.profile, width=640, height=170, marks=marks)
    drawn = svg_text(drawing, title="Areas along the scan")
    return _section("Along the scan", f'<div class="chart">{drawn}</div>')


def _notes(report: Report) -> list[str]:
    return list(dict.fromkeys([*report.warnings, *report.quality_lines]))


def _written(report: Report) -> str:
    """What a person has written on the scan and placed on its slices."""
    if not (report.notes or report.marks):
        return ""
    words = "".join(f"<p>{escape(line)}</p>" for line in report.notes.splitlines() if line.strip())
    marks = _facts(report.marks) if report.marks else ""
    return _section("Notes and marks by the reader", words + marks)


def _listed(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _lungs(report: Report) -> str:
    found = report.biomarkers
    zones = draw_zones(found, width=320, height=130)
    drawn = ""
    if zones is not None:
        svg = svg_text(zones, title="Infected share of the six zones")
        drawn = f'<div class="chart">{svg}</div>'
    return _section(
        "Lungs and zones",
        f'<div class="two"><div>{_side_table(lung_rows(found))}{drawn}</div>'
        f"<div>{_side_table(zone_rows(found))}</div></div>"
        '<p class="quiet">Right and left are the patient\'s. Zones show their infected share; '
        "in brackets the grades 0 to 4 of the thirds, which add up to the zonal score.</p>",
    )


def _lobes(report: Report) -> str:
    found = report.biomarkers
    rows, words = lobe_rows(found), lobe_words(found)
    if not rows and not words:
        return ""
    drawing = draw_lobes(found, width=320, height=150)
    drawn = ""
    if drawing is not None:
        svg = svg_text(drawing, title="Infected share of the five lobes")
        drawn = f'<div class="chart">{svg}</div>'
    table = _table(LOBE_HEADER, rows, kind="numbers") if rows else ""
    return _section(
        "Lobes",
        f'<div class="two"><div>{table}</div><div>{drawn}</div></div>'
        f'<p class="quiet">{escape(words)}</p>',
    )


def _measurements(title: str, measurements: Sequence[Measurement]) -> str:
    rows = [(f.label, f.text, f.definition if f.defined else f.reason) for f in measurements]
    return _section(title, _table(("", "Value", "Definition"), rows, kind="defined"))


def _side_table(rows: Sequence[Row]) -> str:
    return _table(("", *SIDES), [(row.label, *row.cells) for row in rows], kind="numbers")


def _agreement(report: Report) -> str:
    if report.agreement is None:
        return ""
    header, rows = agreement_rows(report.agreement)
    words = f'<p class="quiet">{escape(report.agreement.sentence)}</p>'
    return _section("Against the truth", _table(header, rows, kind="numbers") + words)


def _methods(report: Report) -> str:
    cited = "".join(f"<li>{_cited(reference)}</li>" for reference in report.methods.references)
    return _section(
        "Methods, ready to paste",
        f"<p>{escape(report.methods.paragraph)}</p><ol>{cited}</ol>"
        f"<h2>BibTeX</h2><pre>{escape(report.methods.bibtex)}</pre>",
    )


def _cited(reference: Reference) -> str:
    words = escape(reference.short)
    if reference.doi:
        doi = escape(reference.doi)
        words += f' <a href="https://doi.org/{doi}" rel="noreferrer">doi:{doi}</a>'
    return words


def _every_measurement(report: Report) -> str:
    parts = []
    for group in GROUPS:
        rows = [
            (f.label, f.text, f.definition if f.defined else f"{f.reason} {f.definition}", f.source)
            for f in report.biomarkers.measurements
            if f.group == group
        ]
        header = (group, "Value", "Definition", "Source")
        parts.append(_table(header, rows, kind="defined"))
    return (
        "<details><summary>Every measurement with its definition and source</summary>"
        + "<br>".join(parts)
        + "</details>"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _footer(report: Report) -> str:
    stamp = f"{report.stamp} · " if report.stamp else ""
    return (
        f"<footer>{escape(f'{stamp}{report.note} {report.drawn_by}')} "
        f"LungLens {__version__}, {report.config.made_on.isoformat()}.</footer>"
    )
