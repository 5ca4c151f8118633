"""Lung and infection along the scan, as a drawing that becomes vectors in PDF and HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from core.measuring.biomarkers import compute_slice_burden
from core.output.report.fonts import BOLD, REGULAR, register_fonts
from core.volume import MaskPair, Study

FloatVector = npt.NDArray[np.float64]

_LUNG, _INFECTION, _TRUTH = "#56B4E9", "#E69F00", "#8A6D00"
_LUNG_FILL = "#CDE8F8"
"""A plain light blue and no transparency, which not every form of the drawing keeps."""
_INK, _FAINT = "#27343F", "#C9D3DB"


@dataclass(frozen=True, eq=False)
class Profile:
    """Areas slice by slice, each (slices,), in cm² or, where millimetres are not known, pixels."""

    lung: FloatVector
    infection: FloatVector
    infection_true: FloatVector | None
    unit: str


def measure_profile(study: Study, predicted: MaskPair) -> Profile | None:
    """Areas along the scan; none for a single slice."""
    volume = study.volume
    if volume.shape[2] < 2:
        return None
    burden = compute_slice_burden(predicted, volume)
    true = None
    if study.truth is not None and study.truth.infection is not None:
        true = compute_slice_burden(study.truth, volume)
    if volume.spacing_nominal:
        infection_true = None if true is None else true.infection_pixels
        return Profile(burden.lung_pixels, burden.infection_pixels, infection_true, "pixels")
    return Profile(
        burden.lung_area_mm2 / 100,
        burden.infection_area_mm2 / 100,
        None if true is None else true.infection_area_mm2 / 100,
        "cm²",
    )


def draw_profile(
    profile: Profile, *, width: float, height: float, marks: Sequence[int] = ()
) -> Any:
    """A ReportLab `Drawing` in points, dark on white.

    Args:
        marks: slices to mark with a line, from 0.
    """
    from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, String
    from reportlab.lib.colors import HexColor

    register_fonts()
    ink, faint = HexColor(_INK), HexColor(_FAINT)
    drawing = Drawing(width, height)
    left, bottom, right, top = 40.0, 24.0, 6.0, 16.0
    count = len(profile.lung)
    ticks = _ticks(float(np.nanmax(np.nan_to_num(profile.lung)) or 1.0))
    if not np.nan_to_num(profile.lung).any():
        ticks = _ticks(float(np.nan_to_num(profile.infection).max()) or 1.0)

    def x_of(k: float) -> float:
        return left + (width - left - right) * (k + 0.5) / count

    def y_of(value: float) -> float:
        return bottom + (height - bottom - top) * value / ticks[-1]

    def text(x: float, y: float, words: str, **style: Any) -> None:
        style = {"fontName": REGULAR, "fontSize": 6.5, "fillColor": ink, **style}
        drawing.add(String(x, y, words, **style))

    for values, line_colour, fill in (
        (profile.lung, _LUNG, _LUNG_FILL),
        (profile.infection, _INFECTION, _INFECTION),
    ):
        line = [n for k, v in enumerate(np.nan_to_num(values)) for n in (x_of(k), y_of(float(v)))]
        area = [x_of(0), y_of(0), *line, x_of(count - 1), y_of(0)]
        drawing.add(Polygon(area, fillColor=HexColor(fill), strokeColor=None))
        drawing.add(PolyLine(line, strokeColor=HexColor(line_colour), strokeWidth=0.8))
    for tick in ticks:
        y = y_of(tick)
        drawing.add(Line(left, y, width - right, y, strokeColor=faint, strokeWidth=0.4))
        text(left - 4, y - 2.2, f"{tick:,.0f}".replace(",", "\u00a0"), textAnchor="end")
    for k in _slice_ticks(count):
        text(x_of(k), bottom - 9, str(k + 1), textAnchor="middle")
    if profile.infection_true is not None:
        true = np.nan_to_num(profile.infection_true)
        line = [n for k, v in enumerate(true) for n in (x_of(k), y_of(float(v)))]
        dashed = {"strokeDashArray": [3, 2], "strokeWidth": 1.0}
        drawing.add(PolyLine(line, strokeColor=HexColor(_TRUTH), **dashed))
    for k in sorted(set(marks)):
        x = x_of(k)
        drawing.add(
            Line(
                x, bottom, x, height - top, strokeColor=ink, strokeWidth=0.6, strokeDashArray=[1, 2]
            )
        )
        text(x, height - top + 2, str(k + 1), textAnchor="middle", fontName=BOLD, fontSize=6)
    drawing.add(Line(left, bottom, width - right, bottom, strokeColor=ink, strokeWidth=0.6))
    text(left, 3, "Axial slice, from the feet up; lines mark the slices shown", fontSize=6.5)
    text(2, height - 9, f"Area, {profile.unit}", fontSize=6.5)
    return drawing


def svg_text(drawing: Any, *, title: str) -> str:
    """A drawing as an `<svg>` element for a page.

    Args:
        title: for those who cannot see it; also parts its identifiers from those of others.
    """
    from reportlab.graphics import renderSVG

    whole = renderSVG.drawToString(drawing)
    svg = str(whole[whole.index("<svg") :]).replace("font-family: Vera", "font-family: sans-serif")
    own = re.sub("[^a-z]", "-", title.lower())
    svg = re.sub(r"<title>.*?</title>", f"<title>{escape(title)}</title>", svg, count=1)
    svg = re.sub(r"\s*<desc>.*?</desc>", "", svg, count=1)
    svg = re.sub(r'id="(clip|group)"', rf'id="{own}-\1"', svg)
    return svg.replace("url(#clip)", f"url(#{own}-clip)")


def _ticks(top: float) -> list[float]:
    """Three to six round values from 0 to at least `top`."""
    raw = top / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= raw)
    return [step * n for n in range(math.ceil(top / step - 1e-9) + 1)]


def _slice_ticks(count: int) -> list[int]:
    """Slices to number: the first, and round numbers after."""
    step = next(s for s in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000) if count / s <= 12)
    return sorted({0, *range(step - 1, count, step)})
