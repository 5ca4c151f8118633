"""Which lung voxels of an axial slice lie near the ribs.

The ribs are taken to be the convex outline around both lungs. A voxel lies as deep as its distance
from the nearest side of that outline.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.measuring.biomarkers.config import BiomarkerConfig
from core.volume import Array, BoolArray, Volume

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

_CHORD = 0.25
"""Of a pixel: how far the outline may be straightened, which halves the work on it."""
_FEW = 0.1
"""A slice in which one lung covers less than this share of the other is taken for one of a single
lung when its outer outline is sought."""


class Ribs:
    """The outlines of the slices of one scan."""

    def __init__(self, volume: Volume, midline: float) -> None:
        """
        Args:
            midline: along i, in the coordinates of the voxels that are asked about.
        """
        self._nominal = volume.spacing_nominal
        self._midline = midline
        # From index steps along i and j to mm in the axial plane, whatever their angle.
        self._in_plane = np.asarray(np.linalg.qr(volume.affine[:3, :2]).R, dtype=np.float32)

    def find_rim(self, i: Array, j: Array, side: Array, config: BiomarkerConfig) -> BoolArray:
        """(n,) which voxels of a slice are peripheral: less deep than `peripheral_mm`, or, where mm
        are not known, than a share of the greatest depth in the slice.

        Args:
            i, j: (n,) of the voxels, rows in order, and columns in order within a row.
            side: (n,) 0 for the right and 1 for the left lung.
        """
        sides = self._sides(i, j, side)
        if sides is None:
            return np.ones(i.size, dtype=np.bool_)
        rim = config.peripheral_mm
        if self._nominal:
            rim = config.peripheral_depth_share * _greatest_depth(sides, i, j)
        low, high = _core(sides, np.arange(int(j[-1]) + 1), rim)
        found: BoolArray = (i < low[j]) | (i > high[j])
        return found

    def _sides(self, i: Array, j: Array, side: Array) -> Floats | None:
        """(3, sides) a, b, c of the outline: a * i + b * j - c is the distance from each side, and
        positive inside; none where there is no outline with an inside."""
        outline = _outer_points(i, j)
        held = np.bincount(side, minlength=2)
        if held.min() < _FEW * held.max():
            mirrored = outline.copy()
            mirrored[:, 0] = 2 * self._midline - mirrored[:, 0]
            outline = np.concatenate([outline, mirrored])
        pixel = float(np.abs(np.diag(self._in_plane)).min())
        hull = cv2.convexHull(outline @ self._in_plane.T)
        corners = cv2.approxPolyDP(hull, _CHORD * pixel, True)[:, 0].astype(np.float64)
        edges = np.roll(corners, -1, axis=0) - corners
        lengths = np.linalg.norm(edges, axis=1)
        edges, corners, lengths = edges[lengths > 0], corners[lengths > 0], lengths[lengths > 0]
        if len(edges) < 3:
            return None
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / lengths[:, None]
        normals *= np.sign(((corners.mean(axis=0) - corners) * normals).sum(axis=1))[:, None]
        a, b = (normals @ self._in_plane).T
        return np.stack([a, b, (corners * normals).sum(axis=1)])


def _core(sides: Floats, rows: npt.NDArray[np.int64], rim: float) -> tuple[Floats, Floats]:
    """(rows,) least and largest i at least `rim` away from each side: what is that deep in a convex
    outline is one piece of each row."""
    a, b, c = (one[:, None] for one in sides)
    needed = c + rim - b * rows
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = needed / a
    low = np.where(a > 0, ends, -np.inf)
    # A side along the row is far enough from all of it, or from nothing.
    low = np.where((a == 0) & (needed > 0), np.inf, low).max(axis=0)
    high = np.where(a < 0, ends, np.inf).min(axis=0)
    return low, high


def _greatest_depth(sides: Floats, i: Array, j: Array) -> float:
    depth = np.full(i.size, np.inf)
    for a, b, c in sides.T:
        np.minimum(depth, a * i + b * j - c, out=depth)
    return max(0.0, float(depth.max()))


def _outer_points(i: Array, j: Array) -> Points:
    """The first and last voxel of each row j: all that a convex outline can touch."""
    starts = np.flatnonzero(np.diff(j, prepend=j[0] - 1))
    ends = np.append(starts[1:], j.size) - 1
    picked = np.concatenate([starts, ends])
    return np.stack([i[picked], j[picked]], axis=1).astype(np.float32)
