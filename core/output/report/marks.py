"""Notes, arrows, distances and regions of a person, drawn into key slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from core.annotation import Annotation, measure_annotation
from core.config import Plane
from core.system import number_text
from core.volume import Volume

MARK_COLOUR = "#FFFFFF"
_SHADE = (8, 12, 16)
_LONGEST = 24
"""Characters of a note beside its mark; the list has all of them."""
_EDGE = 44.0
"""Pixels at both sides that are left to the letters of the patient's sides."""
_HEAD, _TURN = 20.0, 2.6
"""Length of an arrow's head in pixels, and how far its sides are turned from its line."""
Ranges = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
Place = tuple[float, float]


def ordered_marks(annotations: Sequence[Annotation]) -> list[tuple[int, Annotation]]:
    """All marks by plane and slice, with the numbers by which list and pictures name them."""
    ordered = sorted(annotations, key=lambda one: (one.plane, one.index))
    return list(enumerate(ordered, 1))


def marked_slices(annotations: Sequence[Annotation], plane: Plane) -> list[int]:
    """Slices of a plane with marks, those with most first."""
    found = [one.index for one in annotations if one.plane == plane]
    return sorted(set(found), key=lambda index: (-found.count(index), index))


def widened(box: Ranges, annotations: Sequence[Annotation], volume: Volume) -> Ranges:
    """A box in voxels, made large enough for what lies on the slices, with a little around it."""
    ranges = [list(span) for span in box]
    for one in annotations:
        axes = _axes(one.plane)
        for axis, places in zip(axes, zip(*one.points, strict=True), strict=True):
            count = volume.shape[axis]
            if one.plane != "axial" and axis == 2:
                places = tuple(count - place for place in places)
            around = 0.04 * count
            ranges[axis][0] = min(ranges[axis][0], max(0, math.floor(min(places) - around)))
            ranges[axis][1] = max(ranges[axis][1], min(count, math.ceil(max(places) + around)))
    i, j, k = ((start, stop) for start, stop in ranges)
    return i, j, k


def draw_marks(
    pen: Any,
    marks: Sequence[tuple[int, Annotation]],
    volume: Volume,
    *,
    box: Ranges,
    scale: tuple[float, float],
    quarter_turns: int,
    font: Any,
) -> None:
    """Draws the marks of one slice into its picture, each with its number and what was measured.

    Args:
        pen: draws into the picture, which shows what of the slice lies in the box.
        marks: numbers and marks, all of this slice.
        box: voxel ranges (i, j, k), half-open.
        scale: pixels for a voxel across and down, before the picture was turned.
        quarter_turns: by which the picture was turned, clockwise.
    """
    size = pen.im.size[:: -1 if quarter_turns % 2 else 1]
    for number, one in marks:
        places = [_in_picture(point, one.plane, volume, box, scale) for point in one.points]
        points = [_turned(place, quarter_turns, size) for place in places]
        for colour, width in ((_SHADE, 9), (MARK_COLOUR, 4)):
            _trace(pen, one.kind, points, colour=colour, width=width)
        words = f"{number}: {found}" if (found := _short(one, volume)) else str(number)
        _write(pen, words, points[:1] if one.kind == "arrow" else points, font)


def _axes(plane: Plane) -> tuple[int, int]:
    """Of the scan, those that run across and down the picture of a plane."""
    return {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}[plane]


def _in_picture(
    point: Place, plane: Plane, volume: Volume, box: Ranges, scale: tuple[float, float]
) -> Place:
    column, row = point
    across, down = _axes(plane)
    top = box[down][0] if plane == "axial" else volume.shape[down] - box[down][1]
    return (column - box[across][0]) * scale[0], (row - top) * scale[1]


def _turned(place: Place, quarter_turns: int, size: tuple[int, int]) -> Place:
    """A place of a picture of some width and height, in the picture turned clockwise."""
    (x, y), (width, height) = place, size
    for _ in range(quarter_turns % 4):
        (x, y), (width, height) = (height - y, x), (height, width)
    return x, y


def _trace(pen: Any, kind: str, points: Sequence[Place], *, colour: Any, width: int) -> None:
    (x, y), (to_x, to_y) = points[0], points[-1]
    if kind == "note":
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline=colour, width=width)
        return
    if kind == "region":
        corners = (min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))
        pen.ellipse(corners, outline=colour, width=width)
        return
    pen.line([(x, y), (to_x, to_y)], fill=colour, width=width)
    if kind == "arrow":
        angle = math.atan2(to_y - y, to_x - x)
        for turn in (_TURN, -_TURN):
            side = (
                to_x + _HEAD * math.cos(angle + turn),
                to_y + _HEAD * math.sin(angle + turn),
            )
            pen.line([(to_x, to_y), side], fill=colour, width=width)
        return
    for end_x, end_y in points:
        reach = width + 1
        pen.ellipse((end_x - reach, end_y - reach, end_x + reach, end_y + reach), fill=colour)


def _short(one: Annotation, volume: Volume) -> str:
    """What was measured, short enough for a picture; the words of notes and arrows."""
    found = measure_annotation(one, volume)
    if one.kind == "distance":
        if math.isfinite(found.length_mm):
            return f"{number_text(found.length_mm, digits=1)} mm"
        return ""
    if one.kind == "region":
        if not math.isfinite(found.mean_hu):
            return "HU not known"
        mean, deviation = (
            number_text(value, digits=0) for value in (found.mean_hu, found.deviation_hu)
        )
        return f"{mean} ± {deviation} HU"
    return one.text if len(one.text) <= _LONGEST else one.text[: _LONGEST - 1].rstrip() + "…"


def _write(pen: Any, words: str, points: Sequence[Place], font: Any) -> None:
    """Beside the mark, on the side that has room."""
    width, height = pen.im.size
    columns, rows = zip(*points, strict=True)
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font, anchor="lm")
    wide, high = right - left, bottom - top
    last = width - _EDGE - wide
    start = max(columns) + 14
    if start > last:
        start = min(columns) - 14 - wide
    start = max(_EDGE, min(start, last))
    middle = max(2.5 * high, min(min(rows) - 12, height - 2.5 * high))
    pen.text(
        (start, middle),
        words,
        fill=MARK_COLOUR,
        font=font,
        anchor="lm",
        stroke_width=3,
        stroke_fill=_SHADE,
    )
