"""The coarse grid that the lobe network sees: the box around both lungs, whatever its size.

Axes are the canonical ones: to the left, to the back, upwards. A point of the grid is the centre of
a cell; the lungs' box fills the grid but for `MARGIN` cells on each side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.volume import BoolArray

MARGIN = 2.0
"""Cells around the lungs' box."""

Floats = npt.NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class LungGrid:
    """Where the grid lies among the voxels of a scan.

    Attributes:
        shape: cells along each axis.
        first: voxel coordinates of the centre of the first cell.
        step: voxels from one cell to the next.
    """

    shape: tuple[int, int, int]
    first: Point
    step: Point

    def cells_of(self, axis: int, voxels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Where voxels lie on an axis, in cells."""
        return (voxels - self.first[axis]) / self.step[axis]


def grid_of_box(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> LungGrid:
    """The grid of a box.

    Args:
        low, high: (3,) outer sides of the box, in voxel coordinates (voxel n reaches from n - 0.5
            to n + 0.5).
    """
    cells = np.array(shape) - 2.0 * MARGIN
    step = (high - low) / cells
    first = low + step * (0.5 - MARGIN)
    return LungGrid(shape, _point(first), _point(step))


def _point(values: npt.NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])


def network_input(mask: BoolArray) -> Floats:
    """(*grid, 4) float32: lung as 0 or 1, and the position in the box from -1 to 1.

    Args:
        mask: (*grid), lung.
    """
    found: Floats = np.empty((*mask.shape, 4), dtype=np.float32)
    found[..., 0] = mask
    for axis, side in enumerate(mask.shape):
        along = np.linspace(-1.0, 1.0, side, dtype=np.float32)
        found[..., axis + 1] = along.reshape([-1 if n == axis else 1 for n in range(3)])
    return found
