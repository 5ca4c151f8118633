"""Vertebrae with their arches, discs and the spinal canal."""

from __future__ import annotations

import numpy as np

from core.phantom.canvas import Canvas
from core.phantom.curves import bump, ellipse, ramp, smooth_curve, stroke
from core.phantom.frame import SIDES
from core.phantom.tissue import CORTEX, DISC, FAT, MARROW

VERTEBRA_TOP_MM = 266.0

VERTEBRA_MM = 21.5
"""From one vertebra to the next, disc included."""


_BODY = np.array(
    [(0, 0.0), (0.52, 0.08), (0.9, 0.48), (1.0, 1.02), (0.84, 1.48), (0.42, 1.66), (0, 1.58),
     (-0.42, 1.66), (-0.84, 1.48), (-1.0, 1.02), (-0.9, 0.48), (-0.52, 0.08)]
)  # fmt: skip

_ARCH = np.array(
    [(0.62, 1.5), (0.8, 2.0), (0.72, 2.6), (0.25, 3.05), (0, 3.15), (-0.25, 3.05), (-0.72, 2.6),
     (-0.8, 2.0), (-0.62, 1.5)]
)  # fmt: skip


def paint_spine(canvas: Canvas) -> None:
    """Every vertebra and disc from top to bottom."""
    for k, z in canvas.frame.slices():
        phase = (z - VERTEBRA_TOP_MM) / VERTEBRA_MM % 1.0
        size = float(np.interp(z, (0, 150, 288), (21.0, 17.0, 15.0)))
        _paint_arch(canvas, k, phase, size)
        _paint_vertebral_body(canvas, k, phase, size)
        _paint_canal(canvas, k, phase, size)


def _has_pedicles(phase: float) -> bool:
    """Whether body and arch are joined; `phase` is 0 to 1 through a vertebra and its disc."""
    return 0.25 < phase < 0.8


def _paint_arch(canvas: Canvas, k: int, phase: float, size: float) -> None:
    """Transverse processes, arch and spinous process."""
    pedicles = _has_pedicles(phase)
    if pedicles and phase > 0.4:
        beside = 255 - canvas.lung[k]  # never into the lung
        for side in SIDES:
            nodes = np.array(
                [(0.7 * size, 2.1 * size), (1.35 * size, 2.35 * size), (2.0 * size + 3, 2.8 * size)]
            )
            arm = smooth_curve(nodes * (side, 1), closed=False)
            shaft = np.linspace(9, 7, len(arm))
            canvas.fill(k, stroke(arm, shaft), CORTEX - 200, clip=beside)
            canvas.fill(k, stroke(arm, shaft - 3), MARROW, clip=beside)
    arch = smooth_curve(_ARCH * size, closed=True)
    canvas.fill(k, arch if pedicles else arch * (0.8, 1) + (0, 2), CORTEX - 150)
    length = 18.0 if phase < 0.55 else 10.0
    process = np.array([(0, 2.7 * size), (0, 2.9 * size + length / 2), (0, 2.9 * size + length)])
    canvas.fill(k, stroke(process, np.array([5, 4, 6.0]) + 0.055 * size), CORTEX - 180)
    canvas.fill(k, stroke(process, np.array([2.4, 1.4, 3.0])), MARROW)


def _paint_vertebral_body(canvas: Canvas, k: int, phase: float, size: float) -> None:
    """Shell and spongy core, denser towards the endplates, or the disc."""
    from_edge = min(phase, 1 - phase)
    disc = ramp(from_edge, 0.13, 0.08)
    waist = 1.0 - 0.10 * np.sin(np.pi * phase) ** 2
    shell = _BODY * (size * waist, size * 0.97)
    canvas.fill(k, smooth_curve(shell, closed=True), (1 - disc) * (CORTEX - 350) + disc * DISC)
    core = (shell - (0, 0.8 * size)) * 0.9 + (0, 0.8 * size)
    marrow = MARROW + 170 * bump(from_edge, 0.15, 0.04)
    canvas.fill(k, smooth_curve(core, closed=True), (1 - disc) * marrow + disc * DISC)


def _paint_canal(canvas: Canvas, k: int, phase: float, size: float) -> None:
    """Fat, the cord in it, and fat where nerves leave between the pedicles."""
    canvas.fill(k, ellipse(0, 2.15 * size, 0.62 * size, 0.5 * size), FAT + 100)
    canvas.fill(k, ellipse(0, 2.12 * size, 0.45 * size, 0.36 * size), 32.0)
    if not _has_pedicles(phase):
        for side in SIDES:
            canvas.fill(k, ellipse(side * 0.8 * size, 2.0 * size, 5.5, 4.5), FAT + 50)
