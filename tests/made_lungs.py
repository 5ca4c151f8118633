"""Two made lungs with plane fissures, known in the patient's millimetres, in any file order."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint8]
CENTRE_MM = np.array([12.0, -30.0, 55.0])
"""RAS; middle of the box of both lungs."""
SIZE_MM = np.array([280.0, 180.0, 260.0])
GRIDS = {
    "LPS, fine": ("LPS", (2.0, 2.0, 2.5)),
    "RAS": ("RAS", (2.0, 2.5, 3.0)),
    "slices first": ("SLP", (4.0, 2.0, 2.5)),
    "flat voxels, upside down": ("LAI", (2.0, 2.0, 6.0)),
}
"""Axes of the file and spacing along them, in mm."""


def lobes_at(points: npt.NDArray[np.float64]) -> Labels:
    """0 to 5 at (…, 3) points in RAS mm: two half egg-shaped lungs on a domed base."""
    x, y, z = np.moveaxis((points - CENTRE_MM) / (SIZE_MM / 2), -1, 0)
    side = np.where(x < 0, -1.0, 1.0)
    across = (x - side * 0.58) / 0.42
    up = (z + 1) / 2
    lung = across**2 + (y / (1 - 0.35 * up)) ** 2 + (np.maximum(z, 0) / 1.0) ** 2 < 1
    dome = -1 + 0.35 * (1 - across**2 - y**2)
    lung &= z > dome
    behind = z < -0.25 - 0.9 * y  # the oblique fissure falls towards the front
    below = z < -0.1
    # In RAS x grows towards the patient's right.
    right = np.where(behind, 3, np.where(below, 2, 1))
    left = np.where(behind, 5, 4)
    found: Labels = np.where(lung, np.where(x > 0, right, left), 0).astype(np.uint8)
    return found


def made_lobes(
    codes: str, spacing: tuple[float, float, float]
) -> tuple[Labels, npt.NDArray[np.float64]]:
    """A label map in the order of a file, with some air around it, and its affine."""
    axes = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    shape = []
    corner = CENTRE_MM.copy()
    for column, (code, step) in enumerate(zip(codes, spacing, strict=True)):
        axis, sign = axes[code]
        length = SIZE_MM[axis] * 1.16
        shape.append(round(length / step))
        affine[axis, column] = sign * step
        corner[axis] -= sign * step * (shape[-1] - 1) / 2
    affine[:3, 3] = corner
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return lobes_at(index @ affine[:3, :3].T + affine[:3, 3]), affine


def write_labels(path: Path, labels: Labels, affine: npt.NDArray[np.float64]) -> Path:
    nib.save(nib.Nifti1Image(labels, affine), path)
    return path
