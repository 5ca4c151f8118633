"""Grids whose axes do not stand at right angles, and their slices put straight.

The slices of a tilted gantry are parallel, but each is displaced against the one below. No NIfTI
quaternion can hold that, and ITK refuses such files. Put straight, every slice stays in its own
plane and moves within it by whole voxels onto a larger grid with right angles: no voxel is gained
or lost, volumes stay exact, places are right to half a voxel, and the way back is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.volume import Array

_MAX_GROWTH = 6


@dataclass(frozen=True, eq=False)
class StraightGrid:
    """A grid with right angles that holds the voxels of a sheared one."""

    affine: npt.NDArray[np.float64]
    """(4, 4), index → RAS mm; slices lie in the planes of the sheared grid."""
    shape: tuple[int, int, int]
    column_shifts: npt.NDArray[np.intp]
    """(rows, slices), by how many voxels each row moves along the first axis."""
    row_shifts: npt.NDArray[np.intp]
    """(slices,), by how many voxels each slice moves along the second axis."""

    def place(self, array: Array) -> Array:
        """(a, b, c) of the sheared grid on this one; 0 outside. Fortran order."""
        out = np.zeros(self.shape, dtype=array.dtype, order="F")
        for j, k, target in self._rows(array.shape):
            out[target] = array[:, j, k]
        return out

    def take_back(self, array: Array, shape: tuple[int, int, int]) -> Array:
        """The inverse of `place`: the voxels of a sheared grid of `shape`. Fortran order."""
        out = np.empty(shape, dtype=array.dtype, order="F")
        for j, k, source in self._rows(shape):
            out[:, j, k] = array[source]
        return out

    def _rows(
        self, shape: tuple[int, ...]
    ) -> list[tuple[slice | int, int, tuple[slice, slice | int, int]]]:
        """For each slice, or each of its rows where they move apart: its place there and here."""
        columns, rows, slices = shape
        pieces: list[tuple[slice | int, int, tuple[slice, slice | int, int]]] = []
        for k in range(slices):
            shifts, down = self.column_shifts[:, k], int(self.row_shifts[k])
            if (shifts == shifts[0]).all():
                first = int(shifts[0])
                target = (slice(first, first + columns), slice(down, down + rows), k)
                pieces.append((slice(None), k, target))
                continue
            pieces += [
                (j, k, (slice(int(first), int(first) + columns), j + down, k))
                for j, first in enumerate(shifts)
            ]
        return pieces


def straight_grid(
    affine: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> StraightGrid | None:
    """The straight grid for a sheared one of `shape`.

    None where no voxel lies half a voxel or more beside it (so nothing has to move), or where the
    straight grid would be more than six times larger.
    """
    first, second, third = affine[:3, :3].T
    across = float(second @ first / (first @ first))
    second = second - across * first
    along_first = float(third @ first / (first @ first))
    along_second = float(third @ second / (second @ second))
    third = third - along_first * first - along_second * second
    j, k = np.arange(shape[1]), np.arange(shape[2])
    column_shifts = np.rint(across * j[:, np.newaxis] + along_first * k).astype(np.intp)
    row_shifts = np.rint(along_second * k).astype(np.intp)
    if not column_shifts.any() and not row_shifts.any():
        return None
    straight = np.eye(4)
    straight[:3, :3] = np.stack([first, second, third], axis=1)
    start = np.array([column_shifts.min(), row_shifts.min(), 0.0])
    straight[:3, 3] = affine[:3, 3] + straight[:3, :3] @ start
    grown = (
        shape[0] + int(np.ptp(column_shifts)),
        shape[1] + int(np.ptp(row_shifts)),
        shape[2],
    )
    if grown[0] * grown[1] > _MAX_GROWTH * shape[0] * shape[1]:
        return None
    return StraightGrid(
        straight, grown, column_shifts - column_shifts.min(), row_shifts - row_shifts.min()
    )


def right_angled(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The affine with its second and third axis turned to right angles, planes kept."""
    first, second, third = affine[:3, :3].T
    second = second - (second @ first) / (first @ first) * first
    for axis in (first, second):
        third = third - (third @ axis) / (axis @ axis) * axis
    straight = affine.copy()
    straight[:3, :3] = np.stack([first, second, third], axis=1)
    return straight
