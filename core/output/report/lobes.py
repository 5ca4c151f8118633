"""The five lobes as a drawing and as rows of a table: how much of each is infected."""

from __future__ import annotations

import math
from typing import Any

from core.config import LOBE_LABELS, LOBES, LobeName
from core.measuring.biomarkers import Biomarkers, lobe_score_rule
from core.output.report.fonts import BOLD, REGULAR, printable, register_fonts
from core.output.report.zones import INK, infection_shade
from core.system import percent_text

NEAR_FISSURE = "†"
LOBE_HEADER = ("", "Volume", "Infected", "Share", "Score")
_COLUMNS = (
    "{}_lobe_volume_ml",
    "{}_lobe_infected_ml",
    "{}_lobe_infected_share",
    "lobe_score_{}",
)
_PLACES: dict[LobeName, tuple[int, float, float]] = {
    "right_upper": (0, 0.0, 0.38),
    "right_middle": (0, 0.38, 0.6),
    "right_lower": (0, 0.6, 1.0),
    "left_upper": (1, 0.0, 0.55),
    "left_lower": (1, 0.55, 1.0),
}
"""Column, and where the cell begins and ends in it, as shares of its height."""


def lobe_rows(found: Biomarkers) -> list[tuple[str, ...]]:
    """A row for each lobe, and the CT severity score; none where there are no lobes."""
    if not found.lobes:
        return []
    rows = [
        (_name(found, name), *(found.measurement(key.format(name)).text for key in _COLUMNS))
        for name in LOBES
    ]
    score = found.measurement("lobar_score")
    of_25 = f"{score.text} of 25" if score.defined else score.text
    return [*rows, ("CT severity score", "", "", "", of_25)]


def lobe_words(found: Biomarkers) -> str:
    """What stands below lobes: that they are estimated, how they are scored, what the mark means;
    or why there are none."""
    if not found.lobes:
        return found.lobes_reason
    words = found.lobes_note
    if found.lobar_score is not None:
        words += f" Score of a lobe by its infected share: {lobe_score_rule(found.config)}"
    if not any(part.near_fissure_share > 0 for part in found.lobes.values()):
        return words
    return (
        f"{words} {NEAR_FISSURE} Infection within {found.config.fissure_mm:g} mm of an "
        "estimated fissure: part of it may belong to the neighbouring lobe."
    )


def _name(found: Biomarkers, name: LobeName) -> str:
    mark = f" {NEAR_FISSURE}" if found.lobes[name].near_fissure_share > 0 else ""
    return f"{LOBE_LABELS[name]}{mark}"


def draw_lobes(found: Biomarkers, *, width: float, height: float) -> Any | None:
    """A ReportLab `Drawing` in points; none where lobes or the infection are not known.

    The patient's right is on the left, as in the pictures; a lobe's cell is about as high as the
    lobe. The deeper the amber, the larger the infected share; the number says it as well.
    """
    shares = {name: part.infected_share for name, part in found.lobes.items()}
    if not any(math.isfinite(share) for share in shares.values()):
        return None
    from reportlab.graphics.shapes import Drawing, Rect, String
    from reportlab.lib.colors import HexColor

    register_fonts()
    drawing = Drawing(width, height)
    top, gap = 14.0, 4.0
    cell_width, room = (width - gap) / 2, height - top

    def text(x: float, y: float, words: str, **style: Any) -> None:
        style = {"fontName": REGULAR, "fontSize": 7, "fillColor": HexColor(INK), **style}
        drawing.add(String(x, y, printable(words), textAnchor="middle", **style))

    for column, side in enumerate(("right", "left")):
        x = column * (cell_width + gap) + cell_width / 2
        text(x, height - 9, f"{side.capitalize()} lung")
    for name, (column, begin, end) in _PLACES.items():
        x, y = column * (cell_width + gap), room * (1 - end)
        high = room * (end - begin) - (gap if end < 1 else 0)
        cell = Rect(x, y + (gap if end < 1 else 0), cell_width, high, rx=5, ry=5, strokeColor=None)
        cell.fillColor = HexColor(infection_shade(shares[name]))
        drawing.add(cell)
        middle = y + (gap if end < 1 else 0) + high / 2
        digits = 2 if 0 < shares[name] < 0.01 else 1
        share = percent_text(shares[name], digits=digits)
        text(x + cell_width / 2, middle + 0.5, share, fontName=BOLD)
        score = found.lobes[name].score
        label = _name(found, name).split(" ", 1)[1].replace(" lobe", "")
        words = label if score is None else f"{label}, score {score}"
        text(x + cell_width / 2, middle - 8, words, fontSize=6)
    return drawing
