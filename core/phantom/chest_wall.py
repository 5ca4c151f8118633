"""The inner chest wall, on which lungs, ribs and muscles hang, and the skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.phantom.canvas import Canvas
from core.phantom.curves import Outlines, Row, at_height, smooth_curve
from core.phantom.frame import SIDES, Points
from core.phantom.tissue import FAT, SKIN

LUNG_TOP_MM = 272.0
_APEX_MM = np.array((42.0, 4.0))
"""x and y towards which the lung narrows at its top."""

CAGE_TEMPLATE: tuple[Row, ...] = (
    (0.16, 0.15), (0.20, 0.54), (0.28, 0.85), (0.43, 1.0), (0.615, 0.87), (0.78, 0.52),
    (0.92, 0.0), (0.995, -0.29), (0.975, -0.58), (0.86, -0.82), (0.67, -0.96), (0.45, -1.0),
    (0.20, -0.995), (0.03, -0.98),
)  # fmt: skip
"""Inner chest wall from beside the spine round to the sternum, of half-width and depths 1."""

CAGE_SIZE: dict[float, Row] = {
    0: (120, 100, 58), 40: (124, 105, 60), 82: (126, 111, 60), 107: (125, 108, 56),
    147: (122, 104, 52), 180: (119, 98, 52), 196: (115, 92, 52), 217: (107, 80, 51),
    235: (100, 68, 50), 250: (93, 56, 48), 272: (88, 50, 46),
}  # fmt: skip
"""Half-width, depth in front of and behind the front of the spine, in mm."""

BODY: Outlines = {
    0: ((0, -131), (30, -131), (66, -128), (101, -115), (130, -90), (148, -55), (154, -15),
        (151, 25), (137, 58), (108, 82), (70, 94), (30, 96), (0, 93)),
    60: ((0, -130), (30, -131), (66, -128), (101, -116), (131, -92), (150, -55), (157, -15),
         (153, 25), (138, 58), (108, 82), (70, 94), (30, 96), (0, 92)),
    147: ((0, -121), (30, -126), (70, -128), (106, -116), (136, -90), (153, -55), (160, -15),
          (157, 25), (142, 58), (111, 82), (70, 95), (30, 97), (0, 93)),
    196: ((0, -110), (30, -117), (70, -124), (110, -114), (141, -92), (163, -55), (173, -8),
          (172, 32), (153, 64), (115, 86), (70, 97), (30, 98), (0, 95)),
    230: ((0, -92), (30, -98), (70, -106), (112, -98), (146, -76), (171, -42), (182, 0),
          (180, 38), (158, 68), (118, 88), (70, 97), (30, 98), (0, 95)),
    260: ((0, -72), (30, -78), (70, -86), (115, -80), (150, -60), (175, -30), (184, 4),
          (180, 40), (160, 66), (120, 84), (70, 92), (30, 93), (0, 91)),
    288: ((0, -58), (30, -62), (65, -68), (110, -64), (150, -47), (178, -20), (186, 8),
          (180, 38), (155, 60), (115, 76), (70, 84), (30, 86), (0, 85)),
}  # fmt: skip
"""Left half of the skin, from the sternum to the back."""


@dataclass(frozen=True)
class Wall:
    """The inner chest wall of one side at one height: points and outward normals (n, 2)."""

    points: Points
    normals: Points

    @property
    def position(self) -> Points:
        """0 beside the spine to 1 at the sternum, for each point."""
        return np.linspace(0.0, 1.0, len(self.points))

    def offset(self, mm: Any) -> Points:
        """The curve moved outwards, by one distance or one per point."""
        distance = np.broadcast_to(mm, (len(self.points),))[:, None]
        moved: Points = self.points + self.normals * distance
        return moved

    def band(self, inner_mm: Any, outer_mm: Any, part: npt.NDArray[np.bool_]) -> Points:
        """The closed outline between two offsets over a run of points."""
        inner, outer = self.offset(inner_mm)[part], self.offset(outer_mm)[part]
        return np.concatenate([outer, inner[::-1]])

    def refined(self) -> Wall:
        """The same wall with four times the points."""
        return Wall(*(ndimage.zoom(a, (4, 1), order=1) for a in (self.points, self.normals)))


@lru_cache(maxsize=512)
def wall_at(z_mm: float, side: int) -> Wall:
    """The chest wall of the left (1) or right (-1) side."""
    half_width, front, back = at_height(CAGE_SIZE, z_mm)
    across, deep = np.array(CAGE_TEMPLATE).T
    outline = np.stack([across * half_width, deep * np.where(deep < 0, front, back)], axis=1)
    # Towards its top the dome of the lung closes.
    rise = max(z_mm - 225.0, 0.0) / (LUNG_TOP_MM - 225.0)
    dome = max(1.0 - rise**2, 0.0) ** 0.5
    outline = _APEX_MM + (outline - _APEX_MM) * max(dome, 0.05)
    curve = smooth_curve(outline, closed=False)
    tangent = np.gradient(curve, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal = ndimage.gaussian_filter1d(normal, 1.5, axis=0, mode="nearest")
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    narrower = 0.975 if side > 0 else 1.0  # the left lung has the heart beside it
    return Wall(curve * (side * narrower, 1.0), normal * (side, 1.0))


def cage_outline(z_mm: float, offset_mm: Any = 0.0) -> Points:
    """The walls of both sides joined in front and behind."""
    right, left = (wall_at(z_mm, side).offset(offset_mm) for side in SIDES)
    return np.concatenate([left, right[::-1]])


def body_outline(z_mm: float, inset_mm: float = 0.0) -> Points:
    """The skin, moved inwards by a distance."""
    half = at_height(BODY, z_mm)
    mirrored = half[-2:0:-1] * (-1.015, 1.0)
    outline = smooth_curve(np.concatenate([half, mirrored]), closed=True)
    # A body is never quite symmetric.
    turn = np.arctan2(outline[:, 1], outline[:, 0])
    outline *= (1.0 + 0.008 * np.sin(3 * turn + 0.02 * z_mm) + 0.005 * np.sin(5 * turn))[:, None]
    tangent = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return outline - inset_mm * normal


def paint_body(canvas: Canvas) -> None:
    """Skin and the fat beneath it."""
    for k, z in canvas.frame.slices():
        canvas.fill(k, body_outline(z), SKIN)
        canvas.fill(k, body_outline(z, 2.0), FAT)
