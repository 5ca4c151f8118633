"""Which region of a label map each triangle of a surface belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.drawing.surfaces import Surface

_CELLS = 96
"""Along the longest axis, of the grid on which the nearest region is looked for."""


def region_of_faces(
    surface: Surface, labels: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """(faces,) uint8: the label nearest to the middle of each triangle; 0 where there is none.

    Args:
        labels: (i, j, k), 0 for no region.
        affine: (4, 4), voxel index → RAS mm.
    """
    steps = [max(1, round(side / _CELLS)) for side in labels.shape]
    coarse = labels[:: steps[0], :: steps[1], :: steps[2]]
    if not coarse.any():
        return np.zeros(len(surface.faces), dtype=np.uint8)
    lengths = np.linalg.norm(affine[:3, :3], axis=0) * steps
    nearest = ndimage.distance_transform_edt(
        coarse == 0, sampling=lengths, return_distances=False, return_indices=True
    )
    filled = coarse[tuple(nearest)]
    middles = surface.vertices_mm[surface.faces].mean(axis=1)
    index = (middles - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T / steps
    at = np.clip(np.rint(index).astype(np.int64), 0, np.array(coarse.shape) - 1)
    found: npt.NDArray[np.uint8] = filled[tuple(at.T)]
    return found
