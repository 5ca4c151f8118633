"""Shapes of a mask: connected parts, holes, and what lies between two drawn slices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import flood

from core.errors import CorrectionError
from core.volume import BoolArray


def part_at(mask: BoolArray, place: tuple[int, ...]) -> BoolArray:
    """The connected part of a mask that holds `place`, where the mask is true; voxels are
    connected by their faces.

    Args:
        mask: of two or three axes.

    Returns:
        An array of the mask's shape.
    """
    found: BoolArray = flood(mask.view(np.uint8), place, connectivity=1)
    return found


def hole_at(mask: BoolArray, place: tuple[int, ...]) -> BoolArray:
    """What the mask encloses around `place`, where the mask is false.

    Raises:
        CorrectionError: it reaches the edge of the array, so nothing encloses it.
    """
    hole = part_at(~mask, place)
    for axis in range(mask.ndim):
        ends = np.moveaxis(hole, axis, 0)
        # A single slice has no side that could be closed.
        if mask.shape[axis] == 1 or ends[0].any() or ends[-1].any():
            raise CorrectionError(
                "There is nothing to fill here",
                got="an area that is open to the edge of the picture",
                expected="a hole that marked voxels close in on all sides",
                next_step="close the outline first, or click on a marked part to remove it",
            )
    return hole


def signed_distance(mask: BoolArray, spacing_mm: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Distance of each voxel to the edge of a mask of two axes, in mm: positive inside.

    Args:
        mask: with voxels inside and outside, or all inside.
    """
    inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    distance: npt.NDArray[np.float64] = inside - outside
    return distance


def slices_between(
    first: BoolArray, last: BoolArray, *, count: int, spacing_mm: tuple[float, float]
) -> list[BoolArray]:
    """Shapes that lead from one drawn slice to another, evenly spaced between them.

    The signed distances of both are mixed and what is inside is kept (Raya and Udupa 1990,
    doi:10.1109/42.52980).

    Args:
        first, last: of two axes and one shape, neither empty.
        count: slices between them.
        spacing_mm: of voxels along both axes.
    """
    near, far = signed_distance(first, spacing_mm), signed_distance(last, spacing_mm)
    shares = [(n + 1) / (count + 1) for n in range(count)]
    return [(1 - share) * near + share * far >= 0 for share in shares]
