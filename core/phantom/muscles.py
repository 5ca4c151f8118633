"""Muscles of the trunk, the back, the breast and the shoulders."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.phantom.canvas import Canvas
from core.phantom.chest_wall import Wall, body_outline, cage_outline, wall_at
from core.phantom.curves import arc, bump, ellipse, ramp, smooth_curve
from core.phantom.frame import SIDES, Points
from core.phantom.lattice import lattice_slice, smooth_noise
from core.phantom.tissue import FAT, MUSCLE


def paint_trunk_muscles(canvas: Canvas) -> None:
    """Serratus and obliques in slips, a plane of fat, then intercostals between the ribs."""
    for k, z in canvas.frame.slices(0, 262):
        s = wall_at(z, 1).position
        lateral = bump(s, 0.5, 0.16)
        slips = np.sin(25 * s + z / 7.5) + 0.6 * np.sin(43 * s - z / 11.0)
        for offset, hu in (
            (11.2 + 5.5 * lateral + 0.9 * slips, MUSCLE), (10.6 + 0.7 * slips, FAT + 25),
            (9.2 - 0.5 * slips, MUSCLE - 12), (2.6, FAT + 40), (1.2, MUSCLE - 40),
        ):  # fmt: skip
            canvas.fill(k, cage_outline(z, offset), hu)


def paint_back_muscles(canvas: Canvas) -> None:
    """Erector spinae on both sides of the spinous processes, trapezius over them."""
    for k, z in canvas.frame.slices():
        top = ramp(z, 150, 270)
        reach = float(np.interp(z, (40, 120, 200), (30, 58, 95)))
        trapezius = np.array(
            [(2, 77), (0.25 * reach, 78 + 2 * top), (0.6 * reach, 78 - 3 * top), (reach, 69),
             (0.6 * reach, 72 - 3 * top), (0.25 * reach, 72), (4, 70)]
        )  # fmt: skip
        erector = ((17, 62, 14, 11, -8), (39 - 4 * top, 62, 13 - 3 * top, 9 - 2 * top, 15))
        for side in SIDES:
            canvas.fill(k, smooth_curve(trapezius * (side, 1), closed=True), MUSCLE - 4)
            for x, y, rx, ry, turn in erector:
                canvas.fill(k, ellipse(side * x, y, rx, ry, side * turn), MUSCLE)
                canvas.fill(k, ellipse(side * (x + 3), y + 1, rx * 0.5, 0.5, side * 40), FAT + 60)


def paint_pectorals(canvas: Canvas) -> None:
    """Pectoralis major and minor in front, latissimus dorsi at the side and back."""
    for k, z in canvas.frame.slices(0, 262):
        major, minor = 15.0 * bump(z, 215, 42), 8.0 * bump(z, 225, 22)
        dorsal = 5.0 + 9.0 * bump(z, 180, 50)
        dorsal_start = float(np.interp(z, (0, 150), (0.13, 0.27)))
        for side in SIDES:
            wall = wall_at(z, side)
            away = 26.0 * ramp(z, 170, 230) * ramp(wall.position, 0.74, 0.6) ** 1.5
            if major > 1.5:
                belly = _belly(wall, (0.58, 0.95), 16.0 + away, major, rim_mm=1.0, power=0.6)
                canvas.fill(k, belly, MUSCLE)
            if minor > 1.5:
                canvas.fill(k, _belly(wall, (0.6, 0.8), 13.0 + 0.4 * away, minor), MUSCLE - 2)
            if z < 225:
                belly = _belly(wall, (dorsal_start, 0.56), 17.5, dorsal, power=0.7)
                canvas.fill(k, belly, MUSCLE)


def paint_girdle(canvas: Canvas) -> None:
    """Muscle bellies of neck and shoulders: fat runs where smooth noise crosses zero."""
    rng = np.random.default_rng(3)
    bellies = np.minimum(np.abs(smooth_noise(rng, 3.6)), 0.25 + np.abs(smooth_noise(rng, 2.0)))
    for k, z in canvas.frame.slices(228):
        level = float(np.interp(z, (228, 262), (2.6, 0.42)))
        share = np.clip((lattice_slice(bellies, canvas.frame, k) - level) / 0.2 + 0.5, 0, 1)
        clip = (share * 255).astype(np.uint8)
        canvas.fill(k, body_outline(z, 15.0), MUSCLE - 3, clip=clip)
        grown = ramp(z, 222, 262)
        for side in SIDES:
            for x, y, rx, ry, turn in (
                (152, 8, 15, 22, 20), (132, -24, 18, 11, 28), (62, -56, 36, 8, 10),
            ):  # fmt: skip
                belly = ellipse(side * x, y, rx * grown, ry * grown, side * turn)
                canvas.fill(k, belly, MUSCLE - 2)


def _belly(
    wall: Wall,
    reach: tuple[float, float],
    inner_mm: Any,
    thickness_mm: float,
    *,
    rim_mm: float = 0.0,
    power: float = 1.0,
) -> Points:
    """The outline of a muscle along a wall between two positions; a low power blunts its ends."""
    start, end = reach
    s = wall.position
    outer_mm = inner_mm + rim_mm + thickness_mm * arc(ramp(s, start, end)) ** power
    return wall.band(inner_mm, outer_mm, (s > start) & (s < end))
