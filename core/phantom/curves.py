"""Outlines from a few control points: smooth curves, ellipses, strokes and soft steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.phantom.frame import Points

Row = tuple[float, ...]
Outlines = Mapping[float, Sequence[Row]]
"""Control points (x, y) at a few heights."""

_TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)


def at_height(table: Mapping[float, Any], z_mm: float) -> Points:
    """Values of a table at another height, shape-preserving, constant beyond its ends."""
    # Imported here: it takes half a second, and the demo study is mostly read and not drawn.
    from scipy.interpolate import PchipInterpolator

    heights = np.array(sorted(table))
    values = np.array([table[height] for height in heights], dtype=np.float64)
    clipped = np.clip(z_mm, heights[0], heights[-1])
    result: Points = PchipInterpolator(heights, values, axis=0)(clipped)
    return result


def outline_at(table: Outlines, z_mm: float) -> Points:
    """The closed outline of an organ at a height."""
    return smooth_curve(at_height(table, z_mm), closed=True)


def smooth_curve(points: Points, *, closed: bool, per_span: int = 8) -> Points:
    """A Catmull-Rom curve (m, 2) through (n, 2) control points."""
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
        padded = np.concatenate([first[None], points, last[None]])
    t = np.arange(per_span)[:, None, None] / per_span
    a, b, c, d = (padded[i : len(padded) - 3 + i][None] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Points:
    """An ellipse as a closed outline (40, 2)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    u, v = rx * np.cos(_TURN), ry * np.sin(_TURN)
    return np.stack([x + c * u - s * v, y + s * u + c * v], axis=1)


def stroke(points: Points, thickness_mm: Any) -> Points:
    """The closed outline of a line drawn with a pen, of one thickness or one per point."""
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    thickness = np.broadcast_to(thickness_mm, (len(points),))
    normal *= thickness[:, None] / 2 / np.linalg.norm(normal, axis=1)[:, None]
    return np.concatenate([points + normal, (points - normal)[::-1]])


def ramp(value: Any, start: float, end: float) -> Any:
    """Rises straight from 0 at `start` to 1 at `end` (which may be the lower of the two)."""
    return np.clip((value - start) / (end - start), 0.0, 1.0)


def bump(value: Any, centre: float, width: float) -> Any:
    """A bell of height 1; at `width` from its centre it has fallen to 1/e."""
    return np.exp(-(((value - centre) / width) ** 2))


def arc(share: Any) -> Any:
    """A half-wave: from 0 at share 0 over 1 in the middle back to 0 at share 1."""
    return np.sin(np.pi * np.clip(share, 0, 1))
