"""How far the surfaces of two masks lie apart, weighed by area.

A voxel is a sample at its centre. The surface runs through every cube of 2 × 2 × 2 neighbouring
samples that are not all alike: each such cube is one surface element at the corner that its voxels
share, with the area that marching cubes gives it under the spacing of the scan (Nikolov et al.
2021, doi:10.2196/26151, and their package `surface-distance`). A scan of one slice has contours
instead: squares of 2 × 2 samples, weighed by length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from core.evaluation.metrics import check_shapes
from core.volume import BoolArray

_MANY_POINTS = 20_000
"""From this number on, threads save more than they cost."""
_ROBUST_SHARE = 0.95

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceAgreement:
    """Agreement of the surfaces of two masks.

    Attributes:
        hd95_mm: Hausdorff distance without the farthest 5 % of the area: the larger, over both
            directions, of the distances within which 95 % of one surface lie from the other;
            nan where either mask is empty.
        surface_dice: share of the area of both surfaces that lies within the tolerance of the
            other; 0 where one mask is empty, nan where both are.
    """

    hd95_mm: float
    surface_dice: float


def compute_surface_agreement(
    mask_true: BoolArray,
    mask_pred: BoolArray,
    *,
    spacing_mm: tuple[float, float, float],
    tolerance_mm: float,
) -> SurfaceAgreement:
    """Distances between the surfaces of two masks (i, j, k) of one shape.

    Beyond the array is outside. A single slice is taken as the flat picture that it is.

    Raises:
        GeometryError: the masks differ in shape.
    """
    check_shapes(mask_true, mask_pred)
    true, pred, spacing = _crop_to_masks(mask_true, mask_pred, spacing_mm)
    true_mm, true_size = _surface_elements(true, spacing)
    pred_mm, pred_size = _surface_elements(pred, spacing)
    if not (len(true_mm) and len(pred_mm)):
        undefined = not (len(true_mm) or len(pred_mm))
        return SurfaceAgreement(math.nan, math.nan if undefined else 0.0)
    # Imported here: few need it, and it takes a while.
    from scipy.spatial import cKDTree

    workers = -1 if len(true_mm) + len(pred_mm) > _MANY_POINTS else 1
    from_true = cKDTree(pred_mm).query(true_mm, workers=workers)[0]
    from_pred = cKDTree(true_mm).query(pred_mm, workers=workers)[0]
    # Points of a common grid: a distance equal to the tolerance is within it, whatever the last
    # bits say.
    reach = tolerance_mm * (1 + 1e-9)
    close = true_size[from_true <= reach].sum() + pred_size[from_pred <= reach].sum()
    return SurfaceAgreement(
        hd95_mm=max(_robust_distance(from_true, true_size), _robust_distance(from_pred, pred_size)),
        surface_dice=float(close / (true_size.sum() + pred_size.sum())),
    )


def _robust_distance(distances: FloatArray, sizes: FloatArray) -> float:
    """The least of `distances` (n,) within which 95 % of the summed `sizes` (n,) lie."""
    order = np.argsort(distances)
    within = np.cumsum(sizes[order])
    index = int(np.searchsorted(within / within[-1], _ROBUST_SHARE))
    return float(distances[order[index]])


def _crop_to_masks(
    mask_true: BoolArray, mask_pred: BoolArray, spacing_mm: tuple[float, float, float]
) -> tuple[BoolArray, BoolArray, tuple[float, ...]]:
    """Both masks within the box that holds them, and the spacing of its axes; without one axis
    where the scan has a single voxel along it."""
    either = mask_true | mask_pred
    ranges: list[slice | int] = []
    for axis in range(either.ndim):
        others = tuple(other for other in range(either.ndim) if other != axis)
        held = np.flatnonzero(either.any(axis=others))
        ranges.append(slice(held[0], held[-1] + 1) if held.size else slice(0, 0))
    kept = list(range(either.ndim))
    flat = [axis for axis in kept if either.shape[axis] == 1]
    if flat:
        ranges[flat[-1]] = 0
        kept.remove(flat[-1])
    box = tuple(ranges)
    return mask_true[box], mask_pred[box], tuple(float(spacing_mm[axis]) for axis in kept)


def _surface_elements(
    mask: BoolArray, spacing_mm: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Surface elements of a mask of two or three axes.

    Returns:
        Positions in mm from the mask's first corner, (n, axes), and their lengths in mm or areas
        in mm², (n,).
    """
    padded = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros([length + 1 for length in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        shifted = padded[tuple(slice(c, c + n) for c, n in zip(corner, codes.shape, strict=True))]
        codes |= shifted << bit
    full = 2 ** (2**mask.ndim) - 1
    at = np.nonzero((codes != 0) & (codes != full))
    positions: FloatArray = np.stack(at, axis=1) * np.asarray(spacing_mm)
    return positions, _sizes_by_code(spacing_mm)[codes[at]]


@lru_cache(maxsize=32)
def _sizes_by_code(spacing_mm: tuple[float, ...]) -> FloatArray:
    """Length or area of the surface within a square or cube of neighbouring samples.

    Returns:
        (16,) in mm or (256,) in mm², by code: bit n is set where the sample at the n-th corner, in
        the order of `itertools.product`, is inside the mask.
    """
    corners = 2 ** len(spacing_mm)
    sizes = np.zeros(2**corners)
    for code in range(1, 2**corners - 1):
        inside = np.array([code >> bit & 1 for bit in range(corners)], dtype=bool)
        # The surface round the fewer corners, so that a mask and its complement have one surface.
        if 2 * inside.sum() > corners:
            inside = ~inside
        cell = inside.reshape([2] * len(spacing_mm))
        sizes[code] = (_length_in_square if cell.ndim == 2 else _area_in_cube)(cell, spacing_mm)
    sizes.setflags(write=False)
    return sizes


def _length_in_square(cell: BoolArray, spacing_mm: tuple[float, ...]) -> float:
    """Length in mm of the contour through the middles of the sides of a square (2, 2)."""
    cut_corner = math.hypot(*spacing_mm) / 2
    if cell.sum() == 1:
        return cut_corner
    for axis in (0, 1):
        if cell.any(axis=axis).sum() == 1:  # both samples lie along this axis
            return spacing_mm[axis]
    return 2 * cut_corner


def _area_in_cube(cell: BoolArray, spacing_mm: tuple[float, ...]) -> float:
    """Area in mm² of the triangles of marching cubes (Lorensen and Cline 1987) in a cube
    (2, 2, 2)."""
    # Imported here: few need it, and it takes a while.
    from skimage.measure import marching_cubes

    # In units of voxels every corner of a triangle is exact; float32 spacings would not be.
    points, triangles, _, _ = marching_cubes(cell.astype(np.float32), 0.5, method="lorensen")
    corners = (points.astype(np.float64) * spacing_mm)[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum() / 2)
