"""Ribs, breastbone, shoulder blades (with the muscles that cover them) and shoulder joints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.phantom.canvas import Canvas
from core.phantom.chest_wall import CAGE_SIZE, Wall, wall_at
from core.phantom.curves import Outlines, Row, arc, at_height, bump, ellipse, smooth_curve, stroke
from core.phantom.frame import SIDES, Points
from core.phantom.spine import VERTEBRA_MM, VERTEBRA_TOP_MM
from core.phantom.tissue import CARTILAGE, CORTEX, MARROW, MUSCLE
from core.phantom.tubes import paint_chain

Run = npt.NDArray[np.bool_]
"""Which points of a wall belong to one run."""

SCAPULA: Outlines = {
    152: ((-112, 40), (-107, 48), (-100, 54)),
    180: ((-130, 21), (-117, 42), (-98, 56)),
    196: ((-133, 24), (-112, 47), (-80, 61)),
    217: ((-130, 32), (-106, 54), (-66, 70)),
    245: ((-126, 30), (-98, 52), (-62, 66)),
    262: ((-120, 22), (-98, 44), (-72, 58)),
}  # fmt: skip
"""Blade of the right scapula: lateral end, middle, medial end."""

_RIB_ENDS = (0.80, 0.82, 0.84, 0.85, 0.85, 0.84, 0.82, 0.78, 0.72, 0.64, 0.45, 0.3)

STERNUM: dict[float, Row] = {
    112: (6, 3), 125: (11, 4), 135: (17, 5), 160: (20, 5.5), 195: (16, 5.5), 212: (19, 6),
    225: (28, 7), 240: (31, 8), 247: (24, 7),
}  # fmt: skip
"""Half-width and half-depth."""

_STERNUM_OUTLINE = np.array(
    [(-1, -0.7), (-0.5, -1), (0, -0.9), (0.5, -1), (1, -0.7), (1, 0.6), (0.5, 0.9), (0, 1),
     (-0.5, 0.9), (-1, 0.6)]
)  # fmt: skip

CLAVICLE: tuple[Row, ...] = ((22, -62, 243), (55, -64, 256), (95, -50, 272), (130, -22, 290))
"""x, y, z along the left one."""


def paint_scapulae(canvas: Canvas) -> None:
    """Shoulder blades between subscapularis and infraspinatus."""
    for k, z in canvas.frame.slices(146, 268):
        grown = float(np.clip((z - 140) / 50, 0.25, 1))
        for side in SIDES:
            blade = smooth_curve(at_height(SCAPULA, z) * (-side, 1.0), closed=False, per_span=12)
            t = np.linspace(0, 1, len(blade))
            belly = arc(t * 0.96 + 0.02) ** 0.7
            shift = np.array((0.45 * side, 0.9))
            canvas.fill(k, stroke(blade + 10 * grown * shift, 19 * grown * belly + 1), MUSCLE)
            canvas.fill(k, stroke(blade - 7 * grown * shift, 15 * grown * belly + 1), MUSCLE - 3)
            x, y = blade[0]
            teres = ellipse(x + 6 * side, y - 4, 17 * grown, 12, -35 * side)
            canvas.fill(k, teres, MUSCLE)
            thick = 2.2 + 8.0 * bump(t, 0, 0.13) + 3.0 * bump(t, 1, 0.1)
            canvas.fill(k, stroke(blade, thick), CORTEX)
            canvas.fill(k, stroke(blade[1:-1], np.maximum(thick[1:-1] - 2.4, 0.2)), MARROW + 150)
            if z > 234:
                root = blade[2 * len(blade) // 3]
                spine = np.linspace(root, root + np.array((20.0 * side, 14.0)), 8)
                canvas.fill(k, stroke(spine, np.linspace(4, 5.5, 8)), CORTEX - 100)


@dataclass(frozen=True)
class Rib:
    """One pair of ribs: where it leaves the spine, how far it falls, how far round it goes."""

    head_mm: float
    drop_mm: float
    end: float
    """Position along the wall where bone ends."""
    cartilage: bool

    def height(self, s: Points) -> Points:
        """z of its centreline at positions along the wall; cartilage rises to the sternum."""
        fall = self.drop_mm * (0.15 * s + 0.85 * np.clip(s / 0.85, 0, 1) ** 1.35)
        rise = (0.55 * self.drop_mm * np.clip((s - 0.86) / 0.14, 0, 1)) if self.cartilage else 0
        return self.head_mm - fall + rise

    def cuts(self, s: Points, z_mm: float, half_height_mm: float) -> Iterator[tuple[Points, Run]]:
        """Where a slice cuts it: relative thickness (0 to 1), and a run of positions each."""
        inside = 1.0 - ((z_mm - self.height(s)) / half_height_mm) ** 2
        labels, count = ndimage.label((inside > 0.02) & (s > 0.035))
        for run in range(1, count + 1):
            yield np.sqrt(np.clip(inside, 0, 1)), labels == run


RIBS = tuple(
    Rib(
        head_mm=VERTEBRA_TOP_MM - VERTEBRA_MM * n,
        drop_mm=min(20.0 + 16.0 * n, 88.0),
        end=end,
        cartilage=n < 8,
    )
    for n, end in enumerate(_RIB_ENDS)
)


def paint_ribs(canvas: Canvas) -> None:
    """Ribs with cortex and marrow, and their cartilages."""
    for k, z in canvas.frame.slices(0, 268):
        for side in SIDES:
            wall = wall_at(z, side).refined()  # so that steep cuts keep smooth ends
            for rib in RIBS:
                _paint_rib(canvas, k, z, wall, rib)


def _paint_rib(canvas: Canvas, k: int, z: float, wall: Wall, rib: Rib) -> None:
    """Where a slice cuts one rib: its shell, its cartilage, then its marrow."""
    s = wall.position
    bone = s < rib.end

    def fill(run: Run, middle_mm: float, half_mm: Points, hu: float) -> None:
        if run.sum() > 2:
            canvas.fill(k, wall.band(middle_mm - half_mm, middle_mm + half_mm, run), hu)

    for thickness, run in rib.cuts(s, z, 7.0):
        fill(run & bone, 5.0, 3.4 * thickness, CORTEX)
        if rib.cartilage:
            fill(run & ~bone, 6.0, 4.6 * thickness, CARTILAGE)
    for thickness, run in rib.cuts(s, z, 5.4):
        fill(run & bone, 5.0, 2.0 * thickness, MARROW)


def paint_sternum(canvas: Canvas) -> None:
    """Manubrium, body and xiphoid."""
    for k, z in canvas.frame.slices(min(STERNUM), max(STERNUM)):
        half_width, half_depth = at_height(STERNUM, z)
        y = -at_height(CAGE_SIZE, z)[1] - 2.5 - half_depth
        for shrink, hu in ((0.0, CORTEX - 180), (1.5, MARROW - 60)):
            size = (half_width - shrink, half_depth - shrink)
            canvas.fill(k, smooth_curve(_STERNUM_OUTLINE * size + (0.0, y), closed=True), hu)


def paint_shoulder_bones(canvas: Canvas) -> None:
    """Clavicles, raised with the arms, and the heads of the humeri."""
    for side in SIDES:
        for radius, hu in ((6.2, CORTEX - 150), (4.0, MARROW - 60)):
            paint_chain(canvas, [(side * x, y, z, radius) for x, y, z in CLAVICLE], hu)
    for k, z in canvas.frame.slices(268):
        radius = max(24.0**2 - (z - 292.0) ** 2, 0.0) ** 0.5
        if radius > 4:
            for side in SIDES:
                canvas.fill(k, ellipse(side * 150, 14, radius, radius * 0.95), CORTEX - 200)
                canvas.fill(k, ellipse(side * 150, 14, radius - 2, radius * 0.95 - 2), MARROW - 40)
