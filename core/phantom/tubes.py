"""Tubes: upright ones as ellipses slice by slice, others as tapering capsules in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.phantom.canvas import Canvas
from core.phantom.curves import Row, at_height, ellipse
from core.phantom.frame import ByteImage, Frame, Points

UprightTube = Mapping[float, Row]
"""Height → x, y, rx, ry."""
Chain = Sequence[Row]
"""Nodes of x, y, z, radius."""

Box3D = tuple[slice, slice, slice]
"""Slices, rows and columns."""

_SUBSLICES = 3


def paint_upright(canvas: Canvas, table: UprightTube, hu: float, *, grow_mm: float = 0.0) -> None:
    """A tube that crosses slices at right angles."""
    for k, z in canvas.frame.slices(min(table), max(table)):
        x, y, rx, ry = at_height(table, z)
        canvas.fill(k, ellipse(x, y, rx + grow_mm, ry + grow_mm), hu)


def paint_chain(canvas: Canvas, chain: Chain, hu: float, *, grow_mm: float = 0.0) -> None:
    """A tube in any direction; it displaces lung."""
    nodes = np.array(chain)
    tubes = Tubes(nodes[:-1, :3], nodes[1:, :3], nodes[:-1, 3], nodes[1:, 3])
    alpha = np.zeros(canvas.lung.shape, dtype=np.uint8)
    slices, rows, columns = draw_tubes(alpha, canvas.frame, tubes, grow_mm=grow_mm)
    for k in range(slices.start, slices.stop):
        canvas.cover(k, (rows, columns), alpha[k, rows, columns], hu)


@dataclass(frozen=True, eq=False)
class Tubes:
    """Tapering segments: starts and ends (n, 3) in mm, radii (n,) in mm at both ends."""

    start: Points
    end: Points
    start_radius: Points
    end_radius: Points


def draw_tubes(alpha: ByteImage, frame: Frame, tubes: Tubes, *, grow_mm: float = 0.0) -> Box3D:
    """Draws tubes with rounded ends into `alpha` (slices, rows, columns).

    Slices are thick: each is sampled at several heights and averaged, so that a thin vessel
    crossing a slice at right angles stays bright and one grazing it fades.

    Returns:
        The box touched.
    """
    spacing = np.array(frame.spacing_mm[::-1])
    edge_mm = max(frame.spacing_mm[0], 0.5)
    starts, ends = (_from_first_voxel_mm(frame, points) for points in (tubes.start, tubes.end))
    start_radius, end_radius = tubes.start_radius + grow_mm, tubes.end_radius + grow_mm
    margin = (np.maximum(start_radius, end_radius) + edge_mm)[:, None]
    low = np.maximum(np.floor((np.minimum(starts, ends) - margin) / spacing), 0).astype(int)
    high = np.ceil((np.maximum(starts, ends) + margin) / spacing).astype(int) + 1
    high = np.minimum(high, alpha.shape)
    seen = np.flatnonzero((high > low).all(axis=1))
    if not len(seen):
        return slice(0, 0), slice(0, 0), slice(0, 0)
    for n in seen:
        box = _box_between(low[n], high[n])
        radii = (start_radius[n], end_radius[n])
        drawn = _capsule(box, spacing, starts[n], ends[n] - starts[n], radii, edge_mm)
        patch = alpha[box]
        np.maximum(patch, drawn, out=patch)
    return _box_between(low[seen].min(axis=0), high[seen].max(axis=0))


def _capsule(
    box: Box3D, spacing: Points, start: Points, along: Points, radii: Row, edge_mm: float
) -> ByteImage:
    """Coverage (0 to 255) of a box of voxels by one capsule, in mm from voxel (0, 0, 0)."""
    slices, rows, columns = box
    depth = slices.stop - slices.start
    heights = slices.start - 0.5 + (np.arange(depth * _SUBSLICES) + 0.5) / _SUBSLICES
    z = (heights * spacing[0] - start[0])[:, None, None]
    y = (np.arange(rows.start, rows.stop) * spacing[1] - start[1])[:, None]
    x = np.arange(columns.start, columns.stop) * spacing[2] - start[2]
    dz, dy, dx = along
    t = (z * dz + (y * dy + x * dx)) / max(float(along @ along), 1e-6)
    np.clip(t, 0.0, 1.0, out=t)
    distance = np.sqrt((z - t * dz) ** 2 + (y - t * dy) ** 2 + (x - t * dx) ** 2)
    radius = radii[0] + t * (radii[1] - radii[0])
    share = (radius - distance) / edge_mm + 0.5
    # What is thinner than a pixel never fills one.
    np.clip(share, 0.0, np.minimum(2.2 * radius / edge_mm, 1.0), out=share)
    parts = share.reshape(depth, _SUBSLICES, *share.shape[1:])
    mean = (parts[:, 0] + parts[:, 1] + parts[:, 2]) * (255.0 / _SUBSLICES)
    drawn: ByteImage = mean.astype(np.uint8)
    return drawn


def _from_first_voxel_mm(frame: Frame, points: Points) -> Points:
    """Points (n, 3) in mm along slices, rows and columns, from the centre of voxel (0, 0, 0)."""
    x, y, z = points.T
    spacing = np.array(frame.spacing_mm[::-1])
    index = np.stack([z / spacing[0] - 0.5, frame.rows(y, z), frame.columns(x)])
    placed: Points = index.T * spacing
    return placed


def _box_between(low: npt.NDArray[np.int_], high: npt.NDArray[np.int_]) -> Box3D:
    """The box from (k, j, i) up to but without another."""
    k, j, i = zip(low.tolist(), high.tolist(), strict=True)
    return slice(*k), slice(*j), slice(*i)
