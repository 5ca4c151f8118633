"""The six zones as a drawing: how much of each is infected, at a glance."""

from __future__ import annotations

import math
from typing import Any

from core.measuring.biomarkers import Biomarkers
from core.output.report.fonts import BOLD, REGULAR, printable, register_fonts

INK, _QUIET, _EMPTY = "#27343F", "#56646F", "#EEF3F6"
_AMBER = (230, 159, 0)
_THIRDS = ("upper", "middle", "lower")


def draw_zones(found: Biomarkers, *, width: float, height: float) -> Any | None:
    """A ReportLab `Drawing` in points; none where no zone is defined.

    The patient's right is on the left, as in the pictures. The deeper the amber, the larger the
    infected share; the number says it as well.
    """
    from reportlab.graphics.shapes import Drawing, Rect, String
    from reportlab.lib.colors import HexColor

    shares = {
        (side, third): found.measurement(f"infected_share_{side}_{third}")
        for side in ("right", "left")
        for third in _THIRDS
    }
    if not any(one.defined for one in shares.values()):
        return None
    register_fonts()
    drawing = Drawing(width, height)
    label_width, top, gap = 44.0, 14.0, 4.0
    cell_width = (width - label_width - gap) / 2
    cell_height = (height - top - 2 * gap) / 3

    def text(x: float, y: float, words: str, **style: Any) -> None:
        style = {"fontName": REGULAR, "fontSize": 7, "fillColor": HexColor(INK), **style}
        drawing.add(String(x, y, printable(words), **style))

    for column, side in enumerate(("right", "left")):
        x = label_width + column * (cell_width + gap)
        text(x + cell_width / 2, height - 9, f"{side.capitalize()} lung", textAnchor="middle")
        for row, third in enumerate(_THIRDS):
            y = height - top - (row + 1) * cell_height - row * gap
            infected = shares[side, third]
            grade = found.measurement(f"zone_score_{side}_{third}")
            share = float(infected.value) if infected.defined else math.nan
            cell = Rect(x, y, cell_width, cell_height, rx=5, ry=5, strokeColor=None)
            cell.fillColor = HexColor(infection_shade(share))
            drawing.add(cell)
            middle = y + cell_height / 2
            text(
                x + cell_width / 2,
                middle + 0.5,
                infected.text,
                textAnchor="middle",
                fontName=BOLD,
            )
            if grade.defined:
                words = f"grade {grade.text}"
                text(x + cell_width / 2, middle - 8, words, textAnchor="middle", fontSize=6)
    for row, third in enumerate(_THIRDS):
        y = height - top - (row + 0.5) * cell_height - row * gap
        text(0, y - 2, third.capitalize(), fillColor=HexColor(_QUIET))
    return drawing


def infection_shade(share: float) -> str:
    """White to amber, full from one half on: more is rare, and dark text must show on it."""
    if not math.isfinite(share):
        return _EMPTY
    strength = min(1.0, share / 0.5) ** 0.7
    return "#" + "".join(f"{round(250 + (part - 250) * strength):02X}" for part in _AMBER)
