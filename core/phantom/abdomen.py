"""The diaphragm, and what of the abdomen a chest scan shows beneath it."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.phantom.canvas import Canvas, multiply_shares
from core.phantom.chest_wall import cage_outline
from core.phantom.curves import Outlines, Row, ellipse, outline_at, stroke
from core.phantom.frame import SIDES, ByteImage, FloatImage
from core.phantom.tissue import AIR, FAT, LIVER, MUSCLE

LIVER_EDGE: Outlines = {
    0: ((-140, -120), (-40, -120), (-10, -112), (6, -90), (-4, -60), (-14, -34), (-30, -18),
        (-44, 4), (-58, 28), (-78, 48), (-106, 52), (-140, 20)),
    45: ((-140, -120), (-40, -120), (10, -112), (44, -88), (34, -62), (6, -42), (-14, -32),
         (-32, -12), (-46, 12), (-60, 42), (-96, 72), (-140, 50)),
    80: ((-140, -120), (-40, -120), (10, -112), (56, -88), (44, -64), (8, -38), (-10, -24),
         (-32, -6), (-46, 20), (-66, 60), (-110, 84), (-140, 60)),
    115: ((-140, -120), (-40, -120), (10, -112), (40, -88), (30, -64), (8, -38), (-10, -24),
          (-32, -6), (-46, 20), (-66, 60), (-110, 84), (-140, 60)),
}  # fmt: skip


def paint_abdomen(canvas: Canvas) -> None:
    """Everything below the diaphragm, and the diaphragm as a soft edge where it is cut flat."""
    frame = canvas.frame
    soft_mm = max(frame.spacing_mm[2], 1.5)
    whole = (slice(None), slice(None))
    for k, z in frame.slices(0, 122):
        chest = canvas.stencil(k, cage_outline(z))
        above_mm = _diaphragm(*frame.grid(z)) - z
        diaphragm, fat, liver, belly = (
            _share_below(above_mm - depth_mm, soft_mm, chest) for depth_mm in (0.0, 3.5, 2.0, 4.0)
        )
        canvas.cover(k, whole, diaphragm, MUSCLE - 8)
        canvas.cover(k, whole, fat, FAT)
        canvas.fill(k, outline_at(LIVER_EDGE, z), LIVER, clip=liver)
        _paint_left_belly(canvas, k, z, belly)
        _paint_retroperitoneum(canvas, k, z)


def _share_below(above_mm: FloatImage, soft_mm: float, chest: ByteImage) -> ByteImage:
    """How much of each voxel of `chest` lies below a surface so far above it."""
    share = np.clip(above_mm / soft_mm + 0.5, 0.0, 1.0)
    result: ByteImage = (share * chest).astype(np.uint8)
    return result


def _diaphragm(x: Any, y: Any) -> Any:
    """Height of the diaphragm above each point, as a smooth union of domes and centre."""
    sides = np.maximum(
        _dome(x, y, (-66, -48, 114), (70, 60, 58, 66)),
        _dome(x, y, (70, -24, 98), (55, 56, 75, 58)),
    )
    centre = (
        86.0
        - 30.0 * (x / 62.0) ** 4
        - 34.0 * np.where(y > -50, (y + 50) / 40.0, (y + 50) / 70) ** 2
    )
    ripple = 1.5 * np.sin(x / 17.0 + 1.0) * np.sin(y / 21.0)
    higher, gap = np.maximum(sides, centre), np.abs(sides - centre)
    return higher + 4.0 * np.exp(-gap / 6.0) + ripple


def _dome(x: Any, y: Any, centre: Row, reach: Row) -> Any:
    """Height of one side's diaphragm: `centre` x, y, z; `reach` medial, lateral, front, back."""
    dx, dy = x - centre[0], y - centre[1]
    outward = dx * np.sign(centre[0])
    u = dx / np.where(outward < 0, reach[0], reach[1])
    v = dy / np.where(dy < 0, reach[2], reach[3])
    return centre[2] - 60.0 * (np.sqrt(1.0 + 1.9 * (u * u + v * v)) - 1.0)


def _paint_left_belly(canvas: Canvas, k: int, z: float, clip: ByteImage) -> None:
    """Spleen, and a stomach whose gas lies in front of its contents."""
    spleen = _ball(z, 42, 46)
    if spleen > 0.1:
        canvas.fill(k, ellipse(88, 8, 22 * spleen, 42 * spleen, -22), 52.0, clip=clip)
    stomach = _ball(z, 48, 44)
    if stomach > 0.1:
        canvas.fill(k, ellipse(58, -52, 32 * stomach, 30 * stomach, 20), 45.0, clip=clip)
        lumen = canvas.stencil(k, ellipse(58, -52, 28 * stomach, 26 * stomach, 20))
        clip = multiply_shares(clip, lumen)
        canvas.fill(k, ellipse(58, -52, 40, 40), 22.0, clip=clip)
        top = np.array([(10, -140), (110, -140), (110, -66), (10, -66)], dtype=np.float64)
        canvas.fill(k, top, AIR + 20, clip=clip)


def _ball(z: float, centre: float, radius: float) -> float:
    """Relative radius of a ball where it is cut at a height; 0 beyond it."""
    return float(np.sqrt(max(1 - ((z - centre) / radius) ** 2, 0.0)))


def _paint_retroperitoneum(canvas: Canvas, k: int, z: float) -> None:
    """Upper poles of the kidneys, adrenal glands and the crura of the diaphragm."""
    for side in SIDES:
        pole = _ball(z, -8 - 4 * side, 44)
        if pole > 0.15:
            canvas.fill(k, ellipse(side * 50, 26, 20 * pole, 26 * pole, 25 * side), 34.0)
        if 28 < z < 50:
            gland = np.array([(24, -2), (30, 8), (38, 18)]) * (side, 1)
            canvas.fill(k, stroke(gland, np.array([4.0, 4.0, 2.0])), 28.0)
        if z < 75:
            canvas.fill(k, ellipse(side * 17 + 2, -2, 4.5, 16, 12 * side), MUSCLE)
