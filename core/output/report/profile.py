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
    register_fonts()
    chart = _ProfileChart(profile, width, height)
    chart.add_areas()
    chart.add_axes()
    chart.add_truth()
    chart.add_marks(sorted(set(marks)))
    return chart.finished()


class _ProfileChart:
    """The drawing, and where values lie on it."""

    left, bottom, right, top = 40.0, 24.0, 6.0, 16.0
    """Margins in points."""

    def __init__(self, profile: Profile, width: float, height: float) -> None:
        from reportlab.graphics.shapes import Drawing
        from reportlab.lib.colors import HexColor

        self.profile, self.width, self.height = profile, width, height
        self.count = len(profile.lung)
        self.ink, self.colour = HexColor(_INK), HexColor
        self.drawing = Drawing(width, height)
        largest = float(np.nan_to_num(profile.lung).max())
        self.ticks = _ticks(largest or float(np.nan_to_num(profile.infection).max()) or 1.0)

    def x_of(self, k: float) -> float:
        return self.left + (self.width - self.left - self.right) * (k + 0.5) / self.count

    def y_of(self, value: float) -> float:
        return self.bottom + (self.height - self.bottom - self.top) * value / self.ticks[-1]

    def points(self, values: FloatVector) -> list[float]:
        """x, y, x, y … of a line along the slices."""
        return [
            n
            for k, v in enumerate(np.nan_to_num(values))
            for n in (self.x_of(k), self.y_of(float(v)))
        ]

    def text(self, x: float, y: float, words: str, **style: Any) -> None:
        from reportlab.graphics.shapes import String

        style = {"fontName": REGULAR, "fontSize": 6.5, "fillColor": self.ink, **style}
        self.drawing.add(String(x, y, words, **style))

    def line(self, ends: tuple[float, float, float, float], **style: Any) -> None:
        from reportlab.graphics.shapes import Line

        self.drawing.add(Line(*ends, **{"strokeColor": self.ink, "strokeWidth": 0.6, **style}))

    def add_areas(self) -> None:
        """Lung and, before it, infection."""
        from reportlab.graphics.shapes import Polygon, PolyLine

        for values, line_colour, fill in (
            (self.profile.lung, _LUNG, _LUNG_FILL),
            (self.profile.infection, _INFECTION, _INFECTION),
        ):
            line, floor = self.points(values), self.y_of(0)
            area = [self.x_of(0), floor, *line, self.x_of(self.count - 1), floor]
            self.drawing.add(Polygon(area, fillColor=self.colour(fill), strokeColor=None))
            self.drawing.add(PolyLine(line, strokeColor=self.colour(line_colour), strokeWidth=0.8))

    def add_axes(self) -> None:
        """Lines and numbers of areas and slices."""
        end = self.width - self.right
        for tick in self.ticks:
            y = self.y_of(tick)
            self.line((self.left, y, end, y), strokeColor=self.colour(_FAINT), strokeWidth=0.4)
            words = f"{tick:,.0f}".replace(",", "\u00a0")
            self.text(self.left - 4, y - 2.2, words, textAnchor="end")
        for k in _slice_ticks(self.count):
            self.text(self.x_of(k), self.bottom - 9, str(k + 1), textAnchor="middle")

    def add_truth(self) -> None:
        """The true infection as a dashed line, where it is known."""
        from reportlab.graphics.shapes import PolyLine

        if self.profile.infection_true is None:
            return
        line = self.points(self.profile.infection_true)
        dashed = {"strokeDashArray": [3, 2], "strokeWidth": 1.0}
        self.drawing.add(PolyLine(line, strokeColor=self.colour(_TRUTH), **dashed))

    def add_marks(self, slices: Sequence[int]) -> None:
        """A numbered line at each slice shown."""
        top = self.height - self.top
        for k in slices:
            x = self.x_of(k)
            self.line((x, self.bottom, x, top), strokeDashArray=[1, 2])
            self.text(x, top + 2, str(k + 1), textAnchor="middle", fontName=BOLD, fontSize=6)

    def finished(self) -> Any:
        """The drawing with its base line and the names of both axes."""
        self.line((self.left, self.bottom, self.width - self.right, self.bottom))
        self.text(self.left, 3, "Axial slice, from the feet up; lines mark the slices shown")
        self.text(2, self.height - 9, f"Area, {self.profile.unit}")
        return self.drawing


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
