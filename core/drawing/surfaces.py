"""Closed triangle meshes around masks, in millimetres.

A mask is cropped to what it holds, averaged over blocks of voxels to cells of a few millimetres,
smoothed by a Gaussian, and cut at one half by marching cubes (Lewiner et al. 2003, as scikit-image
does it). The result is for viewing only: it is rounder than the mask, so nothing is measured on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.config import Channel, Plane, SurfaceConfig
from core.errors import GeometryError
from core.volume import PLANE_AXIS, BoolArray, FloatArray, check_affine, spacing_mm

_LEVEL = 0.499
"""Not quite one half: halves do occur, and corners that lie on the level make empty triangles."""
_FAINT = 0.6
"""A part of the mask that nowhere reaches this after smoothing is drawn from its cells instead."""
_PAD = 3
"""Empty cells around the mask, so that every surface closes and smoothing has room."""
_MIN_CELLS = 8
"""Cells kept along an axis, where the mask has as many voxels."""

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed mesh.

    Attributes:
        vertices_mm: (n, 3) float32, RAS.
        faces: (m, 3) int32, indices of vertices, counter-clockwise seen from outside.
    """

    vertices_mm: FloatArray
    faces: npt.NDArray[np.int32]


def build_surface(
    mask: BoolArray, affine: npt.NDArray[np.float64], config: SurfaceConfig, *, channel: Channel
) -> Surface | None:
    """The smoothed surface of a mask; none where the mask is empty.

    Parts of a few voxels stay, as small blobs. Grids too fine for `config.max_triangles` are
    made coarser until the mesh fits.

    Args:
        mask: (i, j, k) bool; not changed, and never copied whole.
        affine: (4, 4), voxel index → RAS mm.
        channel: chooses the size of the cells.

    Raises:
        GeometryError: the mask has not three axes, or the affine is singular or not finite.
    """
    if mask.ndim != 3:
        raise GeometryError("No surface of this mask", got=f"shape {mask.shape}", expected="3 axes")
    check_affine(affine)
    box = _bounding_ranges(mask)
    if box is None:
        return None
    cell_mm = config.lung_cell_mm if channel == "lung" else config.infection_cell_mm
    while True:
        vertices, faces = _triangulate(mask, box, spacing_mm(affine), cell_mm, config)
        excess = len(faces) / config.max_triangles
        if excess <= 1:
            break
        # Triangles go with the square of the cell; the floor makes sure that it ends.
        cell_mm *= max(1.1, 1.05 * excess**0.5)
    vertices_mm = vertices @ affine[:3, :3].T + affine[:3, 3]
    if np.linalg.det(affine[:3, :3]) > 0:  # one that mirrors has already turned faces over
        faces = faces[:, ::-1]
    return Surface(vertices_mm.astype(np.float32), np.ascontiguousarray(faces, dtype=np.int32))


def slice_corners_mm(
    shape: tuple[int, int, int],
    affine: npt.NDArray[np.float64],
    *,
    plane: Plane,
    slice_index: int,
    around_mm: FloatArray,
    margin_mm: float,
) -> FloatArray:
    """(4, 3) corners in RAS mm, in order, of the part of a slice that lies around some points.

    Args:
        shape, affine: of the scan; the slice is never drawn past its edge.
        around_mm: (n, 3) points, such as the vertices of all surfaces shown.
        margin_mm: how far the rectangle reaches beyond them.
    """
    index = (around_mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    margin = margin_mm / np.array(spacing_mm(affine))
    low = np.maximum(index.min(axis=0) - margin, -0.5)
    high = np.minimum(index.max(axis=0) + margin, np.array(shape) - 0.5)
    across = PLANE_AXIS[plane]
    first, second = (axis for axis in range(3) if axis != across)
    corners = np.empty((4, 3))
    corners[:, across] = slice_index
    corners[:, first] = (low[first], high[first], high[first], low[first])
    corners[:, second] = (low[second], low[second], high[second], high[second])
    placed: FloatArray = (corners @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)
    return placed


def _bounding_ranges(mask: BoolArray) -> tuple[Range, Range, Range] | None:
    """Half-open index ranges that hold all of the mask."""
    footprint: BoolArray = np.any(mask, axis=2)
    ranges = []
    for filled in (footprint.any(axis=1), footprint.any(axis=0), np.any(mask, axis=(0, 1))):
        inside = np.flatnonzero(filled)
        if inside.size == 0:
            return None
        ranges.append((int(inside[0]), int(inside[-1]) + 1))
    i, j, k = ranges
    return i, j, k


def _triangulate(
    mask: BoolArray,
    box: tuple[Range, Range, Range],
    voxel_mm: tuple[float, float, float],
    cell_mm: float,
    config: SurfaceConfig,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Vertices in (fractional) voxel indices, and faces, inward in the grid's handedness."""
    from skimage.measure import marching_cubes

    extent = np.array([stop - start for start, stop in box])
    wanted = np.rint(cell_mm / np.array(voxel_mm)).astype(int)
    # A thin mask keeps its thickness: neither blocks nor blur may reach across it.
    factors = np.clip(wanted, 1, np.maximum(extent // _MIN_CELLS, 1))
    cells = _block_means(mask, box, factors)
    sigma = config.smoothing * cell_mm / (factors * np.array(voxel_mm))
    sigma = np.minimum(sigma, extent / factors / _MIN_CELLS)
    field = ndimage.gaussian_filter(cells, sigma, mode="constant", truncate=3.0)
    _keep_small_parts(field, cells)
    # At the outermost cells the field must be empty for the surface to close.
    for axis in range(3):
        ends = [slice(None)] * 3
        ends[axis] = slice(None, None, field.shape[axis] - 1)
        field[tuple(ends)] = 0.0
    vertices, faces, _, _ = marching_cubes(field, _LEVEL, gradient_direction="descent")
    first = np.array([start for start, _ in box]) + (factors - 1) / 2  # centre of the first block
    return (vertices.astype(np.float64) - _PAD) * factors + first, faces


def _block_means(
    mask: BoolArray, box: tuple[Range, Range, Range], factors: npt.NDArray[np.int_]
) -> FloatArray:
    """The share of each block of voxels that is in the mask, with `_PAD` empty cells around."""
    (i0, i1), (j0, j1), (k0, k1) = box
    counts = [-(-(stop - start) // int(f)) for (start, stop), f in zip(box, factors, strict=True)]
    cells = np.zeros([count + 2 * _PAD for count in counts], dtype=np.float32)
    inner = cells[_PAD:-_PAD, _PAD:-_PAD, _PAD:-_PAD]
    picture = np.zeros((counts[1] * factors[1], counts[0] * factors[0]), dtype=np.uint8)
    for k in range(k0, k1):
        picture[: j1 - j0, : i1 - i0] = mask[i0:i1, j0:j1, k].T
        picture *= 255  # cv2 rounds means to whole numbers
        shrunk = cv2.resize(picture, (counts[0], counts[1]), interpolation=cv2.INTER_AREA)
        inner[:, :, (k - k0) // factors[2]] += shrunk.T
    cells /= np.float32(255 * factors[2])
    return cells


def _keep_small_parts(field: FloatArray, cells: FloatArray) -> None:
    """Raises connected parts that smoothing has all but wiped out, in place."""
    labels, count = ndimage.label(cells > 0, structure=np.ones((3, 3, 3), dtype=bool))
    filled = np.flatnonzero(labels)
    part = labels.ravel()[filled]
    share, smoothed = cells.ravel()[filled], field.ravel()[filled]
    fullest, peak = np.zeros((2, count + 1), dtype=np.float32)
    np.maximum.at(fullest, part, share)
    np.maximum.at(peak, part, smoothed)
    faint = peak[part] < _FAINT
    raised = share[faint] / fullest[part[faint]]
    field.ravel()[filled[faint]] = np.maximum(smoothed[faint], raised)
