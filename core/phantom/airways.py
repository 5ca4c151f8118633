"""Windpipe and main bronchi: walls, then air."""

from __future__ import annotations

from core.phantom.canvas import Canvas
from core.phantom.tissue import AIR
from core.phantom.tubes import Chain, UprightTube, paint_chain, paint_upright

TRACHEA: UprightTube = {
    186: (-1, -22, 12, 7), 194: (-1, -22, 9.5, 8), 230: (-3, -25, 8, 8.5), 288: (-1, -34, 8, 8.5),
}  # fmt: skip

BRONCHI: tuple[Chain, ...] = (
    ((-4, -22, 189, 6.5), (-22, -22, 176, 6), (-34, -24, 166, 5), (-36, -20, 146, 4)),
    ((-30, -24, 174, 4), (-46, -30, 180, 3.2)),
    ((2, -22, 189, 6), (20, -18, 176, 5.5), (38, -18, 164, 4.8), (42, -10, 148, 3.8)),
    ((38, -18, 166, 4), (52, -28, 168, 3)),
)  # fmt: skip


def paint_airways(canvas: Canvas) -> None:
    """Walls first, so that no wall crosses the air where branches meet."""
    paint_upright(canvas, TRACHEA, 30.0, grow_mm=1.8)
    for chain in BRONCHI:
        paint_chain(canvas, chain, 25.0, grow_mm=1.3)
    paint_upright(canvas, TRACHEA, AIR + 12)
    for chain in BRONCHI:
        paint_chain(canvas, chain, AIR + 15)
