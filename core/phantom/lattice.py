"""The coarse grid on which smooth fields are made: noise, depth in the lung, disease."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.phantom.canvas import Canvas
from core.phantom.frame import EXTENT_MM, FloatImage, Frame, Points

LATTICE = (96, 128, 128)
"""Slices, rows and columns."""

_CELL_MM = 3.0
_FRAME = Frame((LATTICE[2], LATTICE[1], LATTICE[0]))


def lattice_mm(cells: npt.NDArray[Any]) -> Points:
    """x, y, z in mm of (n, 3) lattice indices (slice, row, column)."""
    slices, rows, columns = cells.T
    z = (slices + 0.5) * _FRAME.spacing_mm[2]
    return np.stack([_FRAME.x_mm(columns), _FRAME.y_mm(rows, z), z], axis=1)


def smooth_noise(rng: np.random.Generator, sigma: float) -> FloatImage:
    """Smooth noise on the lattice, mean 0, standard deviation 1, `sigma` in cells (3 mm)."""
    white = rng.standard_normal(LATTICE, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=2.5)
    result: FloatImage = smooth / smooth.std()
    return result


def lung_depth(canvas: Canvas) -> FloatImage:
    """How far in mm each cell lies inside the lungs; 0 outside."""
    small = np.stack(
        [cv2.resize(s, LATTICE[:0:-1], interpolation=cv2.INTER_AREA) for s in canvas.lung]
    ).astype(np.float32)
    at = (np.arange(LATTICE[0]) + 0.5) * len(small) / LATTICE[0] - 0.5
    at = np.clip(at, 0, len(small) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(small) - 1)
    part = (at - low).astype(np.float32)[:, None, None]
    share = (small[low] * (1 - part) + small[high] * part) / np.float32(255)
    depth = ndimage.distance_transform_edt(share > 0.5, sampling=_CELL_MM)
    return np.asarray(depth, dtype=np.float32)


def lattice_slice(field: FloatImage, frame: Frame, k: int) -> FloatImage:
    """One slice of a lattice field at full resolution."""
    at = float(np.clip(frame.z_mm[k] / EXTENT_MM[2] * LATTICE[0] - 0.5, 0, LATTICE[0] - 1))
    low = int(at)
    high = min(low + 1, LATTICE[0] - 1)
    part = np.float32(at - low)
    mixed = field[low] * (1 - part) + field[high] * part
    resized: FloatImage = cv2.resize(mixed, frame.shape[:2], interpolation=cv2.INTER_CUBIC)
    return resized
