"""Where the voxels of the demo study lie in the patient, in millimetres.

x runs towards the patient's left (0 is the midline), y towards the back (0 is the front of the
spine), z upwards (0 is the lowest edge of the scan). The extent is fixed; the number of voxels
only changes the sampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]
ByteImage = npt.NDArray[np.uint8]

EXTENT_MM = (378.88, 378.88, 288.0)
_FRONT_EDGE_MM = -202.0
SIDES = (-1, 1)
"""Signs of x on the patient's right and left."""


@dataclass(frozen=True)
class Frame:
    """The grid of a study of (columns, rows, slices) voxels."""

    shape: tuple[int, int, int]

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Column, row and slice distance."""
        x, y, z = (extent / n for extent, n in zip(EXTENT_MM, self.shape, strict=True))
        return x, y, z

    @cached_property
    def z_mm(self) -> Points:
        """Heights of the slice centres."""
        return np.asarray((np.arange(self.shape[2]) + 0.5) * self.spacing_mm[2], dtype=np.float64)

    def slices(
        self, low_mm: float = 0.0, high_mm: float = EXTENT_MM[2]
    ) -> Iterator[tuple[int, float]]:
        """Index and height of the slices between two heights, or of all."""
        for k, z in enumerate(self.z_mm):
            if low_mm <= z <= high_mm:
                yield k, float(z)

    def lean_mm(self, z_mm: Any) -> Any:
        """How far the spine, and all with it, leans forward at a height: y there starts later."""
        return 14.0 * np.clip((np.asarray(z_mm) - 150.0) / 138.0, 0.0, 1.0) ** 1.6

    def columns(self, x_mm: Any) -> Any:
        """Column index (fractional) of x."""
        return (np.asarray(x_mm) + EXTENT_MM[0] / 2) / self.spacing_mm[0] - 0.5

    def rows(self, y_mm: Any, z_mm: Any) -> Any:
        """Row index (fractional) of y at height z."""
        return (np.asarray(y_mm) - self.lean_mm(z_mm) - _FRONT_EDGE_MM) / self.spacing_mm[1] - 0.5

    def x_mm(self, columns: Any) -> Any:
        """x of column indices."""
        return (columns + 0.5) * self.spacing_mm[0] - EXTENT_MM[0] / 2

    def y_mm(self, rows: Any, z_mm: Any) -> Any:
        """y of row indices at height z."""
        return (rows - self.rows(0.0, z_mm)) * self.spacing_mm[1]

    def grid(self, z_mm: float) -> tuple[FloatImage, FloatImage]:
        """x (1, columns) and y (rows, 1) in mm of one slice."""
        x = self.x_mm(np.arange(self.shape[0]))
        y = self.y_mm(np.arange(self.shape[1]), z_mm)
        return x[None].astype(np.float32), y[:, None].astype(np.float32)
