"""Grids with known geometry: a ball in millimetres, sampled under any affine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.volume import BoolArray, Intensity, Volume, volume_from_file

HU = Intensity("HU", "made in a test")
GREY = Intensity("unknown", "made in a test", slope=1500.0 / 255.0, intercept=-1250.0)
"""An 8-bit export of [-1250, 250] HU."""


def turned(degrees: float) -> npt.NDArray[np.float64]:
    """(3, 3) rotation about an axis that is none of the patient's."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)
    cross = np.cross(np.eye(3), axis)
    angle = np.deg2rad(degrees)
    outer = np.outer(axis, axis)
    rotation: npt.NDArray[np.float64] = (
        np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * outer
    )
    return rotation


def affine_of(columns: Any) -> npt.NDArray[np.float64]:
    """(4, 4) from (3, 3), with an origin that is not at a voxel."""
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = (-41.3, 17.9, 5.5)
    return affine


SHEARED = np.diag([-1.5, -1.5, 3.0]) + np.array([[0, 0, 0], [0, 0, 0.9], [0, 0, 0]])
"""Slices that are stacked askew, as under a tilted gantry."""

AFFINES: dict[str, npt.NDArray[np.float64]] = {
    "canonical": affine_of(np.diag([-1.5, -1.2, 3.0])),
    "ras": affine_of(np.diag([1.5, 1.2, 3.0])),
    "flipped": affine_of(np.diag([1.5, -1.2, -3.0])),
    "permuted": affine_of([[0, 3.0, 0], [0, 0, 1.2], [-1.5, 0, 0]]),
    "rotated": affine_of(turned(20) @ np.diag([-1.5, -1.2, 3.0])),
    "rotated and flipped": affine_of(turned(-25) @ np.diag([1.5, -1.2, -3.0])),
    "sheared": affine_of(SHEARED),
}


def ball(
    shape: tuple[int, int, int],
    affine: npt.NDArray[np.float64],
    *,
    radius_mm: float,
    center_mm: npt.NDArray[np.float64] | None = None,
) -> BoolArray:
    """Voxels whose centre lies within `radius_mm` of a point, by default that of the grid."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    if center_mm is None:
        center_mm = affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
    inside: BoolArray = ((points - center_mm) ** 2).sum(axis=-1) <= radius_mm**2
    return inside


def make_volume(
    array: npt.NDArray[Any],
    affine: npt.NDArray[np.float64] | None = None,
    *,
    intensity: Intensity = HU,
    spacing_nominal: bool = False,
) -> Volume:
    """A scan from an array in file order; by default canonical axes and 1 mm."""
    return volume_from_file(
        array,
        np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine,
        intensity=intensity,
        name="made",
        format="generated",
        spacing_nominal=spacing_nominal,
    )


def dice(a: BoolArray, b: BoolArray) -> float:
    """Overlap of two masks, written apart from the code under test."""
    return 2.0 * float((a & b).sum()) / float(a.sum() + b.sum())
