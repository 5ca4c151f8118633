"""Measures of where and how finely a scan was sampled."""

from __future__ import annotations

import numpy as np

from core.measuring.biomarkers import FloatVector
from core.measuring.quality.view import SliceView
from core.volume import Volume

_CIRCLE_FROM, _CIRCLE_TO = 0.97, 1.015
"""Distance from the middle, in half sides of the picture, at which a round field of view ends."""
_MAX_BEYOND = 0.002
"""A body that reaches further than this share of it beyond the circle is not cut off by it."""
_MIN_BODY_PIXELS = 200


def outline_on_edge(view: SliceView) -> float:
    """Share of the body's outline that lies on the edge of the picture or of its round field, or
    share of the picture's edge that tissue fills, whichever is larger."""
    body = view.body
    if not body.any():
        return float("nan")
    padded = np.pad(body, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline = body & ~inside
    on_edge = np.zeros_like(outline)
    on_edge[[0, -1]] = on_edge[:, [0, -1]] = True
    filled = float(np.mean(view.above_threshold[on_edge]))
    rows, columns = body.shape
    y, x = np.ogrid[:rows, :columns]
    radius = np.hypot(y - (rows - 1) / 2, x - (columns - 1) / 2) / (min(rows, columns) / 2)
    if np.mean(radius[body] > _CIRCLE_TO) < _MAX_BEYOND:
        on_edge |= (radius > _CIRCLE_FROM) & (radius < _CIRCLE_TO)
    return max(filled, float(np.count_nonzero(outline & on_edge) / np.count_nonzero(outline)))


def body_width(view: SliceView) -> float:
    """The longer side of the body's box, in pixels of the slice; nan without a body."""
    if not view.body.any():
        return float("nan")
    sides = [
        (np.ptp(np.flatnonzero(view.body.any(axis=1 - axis))) + 1)
        * view.hu.shape[axis]
        / view.body.shape[axis]
        for axis in (0, 1)
    ]
    return float(max(sides))


def sharpness(view: SliceView) -> float:
    """Strength of the finest detail against that of detail twice as wide, inside the body.

    White noise gives about 2.5; a picture enlarged twofold has next to nothing of the finest
    detail and gives well below 1.
    """
    every = view.every_other
    body, blurred = view.body_pixels[every], view.blurred[every]
    if np.count_nonzero(body) < _MIN_BODY_PIXELS:
        return float("nan")
    finest = (view.hu[every] - blurred)[body]
    wider = (blurred - view.smooth[every])[body]
    energy = float(np.mean(np.square(wider)))
    return float(np.sqrt(np.mean(np.square(finest)) / energy)) if energy > 0 else float("nan")


def pixel_size(volume: Volume) -> float:
    """The longer side of a pixel of an axial slice in mm; nan where the spacing is nominal."""
    return float("nan") if volume.spacing_nominal else max(volume.spacing_mm[:2])


def slice_distance(volume: Volume) -> float:
    """Distance of neighbouring slices in mm; nan where the spacing is nominal or for one slice."""
    if volume.spacing_nominal or volume.shape[2] < 2:
        return float("nan")
    return volume.spacing_mm[2]


def step_deviation(volume: Volume) -> FloatVector:
    """How far the distance to the slice below is off the usual one, as a share of it; (slices,).

    The first slice has none below it, hence nan. All are nan where the file does not give the
    position of each slice.
    """
    steps = np.asarray(volume.slice_steps_mm, dtype=np.float64)
    count = volume.shape[2]
    if count < 3 or steps.size != count - 1:
        return np.full(count, np.nan)
    return np.concatenate([[np.nan], np.abs(steps / np.median(steps) - 1.0)])
